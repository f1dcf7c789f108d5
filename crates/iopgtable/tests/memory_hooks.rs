//! Hooks call their callbacks with their cookie, and refuse what no table can be made of.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::Mutex;

use iopgtable::memory::{
    AllocContext, AllocError, HookTable, Hooks, TableAllocator, TableLayout, TableMemory,
};
use iopgtable::{Iova, PhysAddr, TableCount};

/// What a callback was called with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Alloc { bytes: usize, level: i8, root: bool, iova: u64, may_block: bool },
    Free { bytes: usize },
    Publish { phys: u64, bytes: usize },
    Commit,
}

/// The cookie: what was called, and what `alloc` is to answer.
#[derive(Default)]
struct Cookie {
    calls: Mutex<Vec<Call>>,
    /// No memory.
    refuse: bool,
    /// The pointer is off by so many bytes.
    skew: usize,
    /// The physical address is the pointer plus this.
    phys_offset: u64,
}

impl Cookie {
    fn record(&self, call: Call) {
        self.calls.lock().expect("poisoned").push(call);
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("poisoned").clone()
    }
}

/// # Safety
///
/// It is the cookie that the hooks were made with.
unsafe fn cookie<'a>(cookie: *mut c_void) -> &'a Cookie {
    // SAFETY: the tests make hooks with a cookie that outlives them.
    unsafe { &*cookie.cast() }
}

fn block(bytes: usize) -> Layout {
    Layout::from_size_align(bytes * 2, bytes).expect("a power of two")
}

unsafe extern "C" fn alloc(
    state: *mut c_void,
    bytes: usize,
    level: i8,
    root: bool,
    iova: u64,
    may_block: bool,
) -> *mut u8 {
    // SAFETY: the hooks pass their cookie.
    let state = unsafe { cookie(state) };
    state.record(Call::Alloc { bytes, level, root, iova, may_block });
    if state.refuse {
        return core::ptr::null_mut();
    }
    // SAFETY: the layout is not of size zero, and the skew within.
    unsafe { alloc_zeroed(block(bytes)).add(state.skew) }
}

unsafe extern "C" fn free(state: *mut c_void, page: *mut u8, bytes: usize) {
    // SAFETY: the hooks pass their cookie.
    let state = unsafe { cookie(state) };
    state.record(Call::Free { bytes });
    // SAFETY: the page came from `alloc` with the same number of bytes.
    unsafe { dealloc(page.sub(state.skew), block(bytes)) };
}

unsafe extern "C" fn virt_to_phys(state: *mut c_void, page: *const u8) -> u64 {
    // SAFETY: the hooks pass their cookie.
    let offset = unsafe { cookie(state) }.phys_offset;
    (page.expose_provenance() as u64).wrapping_add(offset)
}

unsafe extern "C" fn phys_to_virt(state: *mut c_void, phys: u64) -> *mut u8 {
    // SAFETY: the hooks pass their cookie.
    let offset = unsafe { cookie(state) }.phys_offset;
    let address = usize::try_from(phys.wrapping_sub(offset)).unwrap_or(0);
    core::ptr::with_exposed_provenance_mut(address)
}

unsafe extern "C" fn publish(state: *mut c_void, _: *const u8, phys: u64, bytes: usize) {
    // SAFETY: the hooks pass their cookie.
    unsafe { cookie(state) }.record(Call::Publish { phys, bytes });
}

unsafe extern "C" fn commit(state: *mut c_void) {
    // SAFETY: the hooks pass their cookie.
    unsafe { cookie(state) }.record(Call::Commit);
}

const TABLE: HookTable = HookTable {
    alloc,
    free,
    virt_to_phys,
    phys_to_virt,
    publish: Some(publish),
    commit: Some(commit),
    zeroed: true,
};

fn hooks(cookie: &Cookie, table: HookTable, last_phys: u64) -> Hooks {
    let cookie = core::ptr::from_ref(cookie).cast_mut().cast();
    // SAFETY: the callbacks keep the contract or are tests of those that do not; each test keeps
    // the cookie for as long as the hooks.
    unsafe { Hooks::new(cookie, table, PhysAddr(last_phys), false) }
}

const CONTEXT: AllocContext = AllocContext::table(2, Iova(0x1234_5000));
const PAGE: TableLayout = TableLayout::PAGE_4K;

#[test]
fn the_callbacks_get_the_cookie_and_what_the_page_is_for() {
    let cookie = Cookie::default();
    let hooks = hooks(&cookie, TABLE, u64::MAX);
    let page = hooks.alloc(PAGE, CONTEXT.non_blocking()).unwrap();
    let root = hooks.alloc(TableLayout::new(8192).unwrap(), AllocContext::root(1)).unwrap();
    // SAFETY: the pages came from there; there is no walker.
    unsafe {
        hooks.free(page);
        hooks.free(root);
    }
    assert_eq!(
        cookie.calls(),
        [
            Call::Alloc { bytes: 4096, level: 2, root: false, iova: 0x1234_5000, may_block: false },
            Call::Alloc { bytes: 8192, level: 1, root: true, iova: 0, may_block: true },
            Call::Free { bytes: 4096 },
            Call::Free { bytes: 8192 },
        ]
    );
}

#[test]
fn addresses_are_what_the_callbacks_say() {
    let cookie = Cookie { phys_offset: 1 << 40, ..Cookie::default() };
    let hooks = hooks(&cookie, TABLE, u64::MAX);
    let page = hooks.alloc(PAGE, CONTEXT).unwrap();
    assert_eq!(page.phys().0, (page.cpu().addr().get() as u64).wrapping_add(1 << 40));
    assert_eq!(hooks.cpu_address(page.phys()), page.cpu());
    // An address without a page has an answer too.
    let _: NonNull<u64> = hooks.cpu_address(PhysAddr(cookie.phys_offset));
    // SAFETY: the page came from there; there is no walker.
    unsafe { hooks.free(page) };
}

#[test]
fn no_memory_is_told_from_no_memory_without_blocking() {
    let cookie = Cookie { refuse: true, ..Cookie::default() };
    let hooks = hooks(&cookie, TABLE, u64::MAX);
    assert_eq!(hooks.alloc(PAGE, CONTEXT).err(), Some(AllocError::OutOfMemory { pages: 1 }));
    let refused = hooks.alloc(PAGE, CONTEXT.non_blocking());
    assert_eq!(refused.err(), Some(AllocError::WouldBlock));
    assert_eq!(cookie.calls().len(), 2, "nothing was freed");
}

#[test]
fn a_page_that_no_table_can_be_made_of_is_given_back() {
    let misaligned = Cookie { skew: 64, ..Cookie::default() };
    let misaligned_phys = Cookie { phys_offset: 64, ..Cookie::default() };
    for cookie in [misaligned, misaligned_phys] {
        let refused = hooks(&cookie, TABLE, u64::MAX).alloc(PAGE, CONTEXT);
        assert_eq!(refused.err(), Some(AllocError::Layout(PAGE)));
        assert_eq!(cookie.calls().last(), Some(&Call::Free { bytes: 4096 }));
    }
    let too_high = Cookie::default();
    let refused = hooks(&too_high, TABLE, 4095).alloc(PAGE, CONTEXT);
    assert_eq!(refused.err(), Some(AllocError::OutOfMemory { pages: 1 }));
    assert_eq!(too_high.calls().last(), Some(&Call::Free { bytes: 4096 }));
}

#[test]
fn a_bulk_allocation_that_fails_midway_frees_what_it_had() {
    let cookie = Cookie::default();
    let hooks = hooks(&cookie, TABLE, u64::MAX);
    let pages = hooks.alloc_bulk(PAGE, &TableCount::of(3, 3), CONTEXT).unwrap();
    // SAFETY: the pages came from there; there is no walker.
    unsafe { hooks.free_bulk(pages) };
    let freed = cookie.calls().iter().filter(|&&call| call == Call::Free { bytes: 4096 }).count();
    assert_eq!(freed, 3);
}

#[test]
fn pages_that_come_unzeroed_are_zeroed_and_published_before_use() {
    let cookie = Cookie::default();
    let hooks = hooks(&cookie, HookTable { zeroed: false, ..TABLE }, u64::MAX);
    let mut page = hooks.alloc(PAGE, CONTEXT).unwrap();
    assert!(!page.is_zeroed());
    page.make_zeroed(&hooks);
    hooks.commit();
    let phys = page.phys().0;
    assert_eq!(cookie.calls()[1..], [Call::Publish { phys, bytes: 4096 }, Call::Commit]);
    assert!(!hooks.is_coherent());
    // SAFETY: the page came from there; there is no walker.
    unsafe { hooks.free(page) };
}

#[test]
fn publishing_is_optional() {
    let cookie = Cookie::default();
    let hooks = hooks(&cookie, HookTable { publish: None, commit: None, ..TABLE }, u64::MAX);
    let page = hooks.alloc(PAGE, CONTEXT).unwrap();
    hooks.publish(page.cpu().cast(), page.phys(), 8);
    hooks.commit();
    assert_eq!(cookie.calls().len(), 1);
    // SAFETY: the page came from there; there is no walker.
    unsafe { hooks.free(page) };
}
