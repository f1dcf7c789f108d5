//! An allocator in C's terms that counts.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use core::ffi::c_void;
use core::ptr::null_mut;
use std::alloc::{Layout, alloc, dealloc};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use iopgtable_c::types::Allocator;

/// Where this allocator's "physical" addresses differ from pointers.
const OFFSET: u64 = 1 << 47;

/// The last address of those that the 32-bit formats and Mali reach.
const LAST_LOW: u64 = (1 << 40) - 1;

pub(crate) struct Counted {
    out: AtomicUsize,
    allowed: AtomicUsize,
    published: AtomicUsize,
    commits: AtomicUsize,
    /// What low addresses lack of the pointers.
    high: AtomicU64,
}

impl Counted {
    pub(crate) fn boxed() -> Box<Self> {
        Box::new(Self {
            out: AtomicUsize::new(0),
            allowed: AtomicUsize::new(usize::MAX),
            published: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            high: AtomicU64::new(0),
        })
    }

    /// How many pages are out.
    pub(crate) fn out(&self) -> usize {
        self.out.load(Relaxed)
    }

    /// Bytes published.
    pub(crate) fn published(&self) -> usize {
        self.published.load(Relaxed)
    }

    /// Operations committed.
    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Relaxed)
    }

    /// After `pages` more pages there are none.
    pub(crate) fn allow(&self, pages: usize) {
        self.allowed.store(pages, Relaxed);
    }

    pub(crate) fn allocator(&self) -> Allocator {
        Allocator {
            cookie: core::ptr::from_ref(self).cast_mut().cast(),
            alloc: Some(take),
            free: Some(put),
            virt_to_phys: Some(phys),
            phys_to_virt: Some(virt),
            publish: Some(publish),
            commit: Some(commit),
            last_phys: (1 << 48) - 1,
            zeroed: false,
            coherent: false,
        }
    }

    /// The same for tables within 40 bits.
    pub(crate) fn low_allocator(&self) -> Allocator {
        Allocator {
            virt_to_phys: Some(low_phys),
            phys_to_virt: Some(low_virt),
            last_phys: LAST_LOW,
            ..self.allocator()
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.out(), 0, "every page went back");
        }
    }
}

fn of<'a>(cookie: *mut c_void) -> &'a Counted {
    // SAFETY: the cookie is the one that `allocator` says, of counts which outlive the table.
    unsafe { &*cookie.cast::<Counted>() }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, bytes).expect("a power of two")
}

unsafe extern "C" fn take(
    cookie: *mut c_void,
    bytes: usize,
    _: i8,
    _: bool,
    _: u64,
    _: bool,
) -> *mut u8 {
    let counted = of(cookie);
    if counted.allowed.load(Relaxed) == 0 {
        return null_mut();
    }
    counted.allowed.fetch_sub(1, Relaxed);
    counted.out.fetch_add(1, Relaxed);
    // SAFETY: the layout is that of a page, which is not empty.
    let page = unsafe { alloc(layout(bytes)) };
    if !page.is_null() {
        // Not zeroed, and visibly so.
        // SAFETY: so many bytes were allocated just now.
        unsafe { page.write_bytes(0xa5, bytes) };
    }
    page
}

unsafe extern "C" fn put(cookie: *mut c_void, page: *mut u8, bytes: usize) {
    of(cookie).out.fetch_sub(1, Relaxed);
    // SAFETY: `take` has allocated the page with this layout, and nobody uses it any more.
    unsafe { dealloc(page, layout(bytes)) };
}

unsafe extern "C" fn phys(_: *mut c_void, page: *const u8) -> u64 {
    page.expose_provenance() as u64 ^ OFFSET
}

unsafe extern "C" fn virt(_: *mut c_void, phys: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut((phys ^ OFFSET) as usize)
}

unsafe extern "C" fn low_phys(cookie: *mut c_void, page: *const u8) -> u64 {
    let address = page.expose_provenance() as u64;
    let high = of(cookie).high.swap(address & !LAST_LOW, Relaxed);
    assert!(high == 0 || high == address & !LAST_LOW, "the heap is smaller than that");
    address & LAST_LOW
}

unsafe extern "C" fn low_virt(cookie: *mut c_void, phys: u64) -> *mut u8 {
    let high = of(cookie).high.load(Relaxed);
    core::ptr::with_exposed_provenance_mut((high | phys) as usize)
}

unsafe extern "C" fn publish(cookie: *mut c_void, _: *const u8, _: u64, bytes: usize) {
    of(cookie).published.fetch_add(bytes, Relaxed);
}

unsafe extern "C" fn commit(cookie: *mut c_void) {
    of(cookie).commits.fetch_add(1, Relaxed);
}
