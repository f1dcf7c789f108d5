//! A region, and hooks that lead to the heap.

use core::ffi::c_void;
use core::ptr::NonNull;

use iopgtable::PhysAddr;
use iopgtable::memory::{
    Heap, HookTable, Hooks, Region, TableAllocator, TableLayout, TablePage, Watermarks,
};

use crate::model::CONTEXT;

pub(crate) const BASE: PhysAddr = PhysAddr(0x4_0000_0000 + 4096);
pub(crate) const BYTES: usize = 128 << 10;

pub(crate) fn region() -> Region {
    Region::with_capacity(BASE, BYTES).expect("a good region")
}

unsafe extern "C" fn heap_alloc(
    _: *mut c_void,
    bytes: usize,
    _: i8,
    _: bool,
    _: u64,
    _: bool,
) -> *mut u8 {
    let Some(layout) = TableLayout::new(bytes) else {
        return core::ptr::null_mut();
    };
    Heap.alloc(layout, CONTEXT).map_or(core::ptr::null_mut(), |page| page.cpu().as_ptr().cast())
}

unsafe extern "C" fn heap_free(_: *mut c_void, page: *mut u8, bytes: usize) {
    let (cpu, layout) = (NonNull::new(page.cast()), TableLayout::new(bytes));
    let (Some(cpu), Some(layout)) = (cpu, layout) else {
        return;
    };
    let phys = PhysAddr(cpu.addr().get() as u64);
    // SAFETY: the caller says that the page is one of ours, and gives it up.
    unsafe { Heap.free(TablePage::from_raw_parts(cpu, phys, layout, false)) };
}

unsafe extern "C" fn heap_phys(_: *mut c_void, page: *const u8) -> u64 {
    page.expose_provenance() as u64
}

unsafe extern "C" fn heap_virt(_: *mut c_void, phys: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(usize::try_from(phys).unwrap_or(0))
}

pub(crate) fn hooks() -> Hooks {
    let table = HookTable {
        alloc: heap_alloc,
        free: heap_free,
        virt_to_phys: heap_phys,
        phys_to_virt: heap_virt,
        publish: None,
        commit: None,
        zeroed: true,
    };
    // SAFETY: the callbacks pass on to the heap, and need no cookie.
    unsafe { Hooks::new(core::ptr::null_mut(), table, PhysAddr(u64::MAX), true) }
}

pub(crate) const WATERMARKS: Watermarks = Watermarks { low: 2, batch: 5, high: 9 };
