//! Tables below 2^32, for formats whose entries hold no more. None of the memory is used twice.

use core::ffi::{c_int, c_long, c_uint, c_void};
use core::ptr::{null_mut, with_exposed_provenance_mut, without_provenance_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use iopgtable_c::linux::abi::Cfg;

use super::driver;

unsafe extern "C" {
    fn mmap(
        address: *mut c_void,
        bytes: usize,
        prot: c_int,
        flags: c_int,
        file: c_int,
        offset: c_long,
    ) -> *mut c_void;
}

const FIRST: usize = 0x4000_0000;
const BYTES: usize = 64 << 20;

fn base() -> usize {
    static BASE: OnceLock<usize> = OnceLock::new();
    *BASE.get_or_init(|| {
        // Readable and writable; private and of no file; where it is asked for, if that is free.
        // SAFETY: what is mapped anew, and not forced to its place, was nobody's.
        let memory = unsafe { mmap(without_provenance_mut(FIRST), BYTES, 3, 0x22, -1, 0) };
        assert_eq!(memory.addr(), FIRST, "nothing else is there");
        memory.expose_provenance()
    })
}

pub(crate) unsafe extern "C" fn alloc(cookie: *mut c_void, size: usize, _: c_uint) -> *mut c_void {
    static USED: AtomicUsize = AtomicUsize::new(0);
    // Sizes are powers of two, and so there is an aligned place among twice as many bytes.
    let first = base() + USED.fetch_add(2 * size, Ordering::Relaxed);
    let page = first.next_multiple_of(size);
    if page + size > base() + BYTES {
        return null_mut();
    }
    let out = &driver(cookie).out;
    out.set(out.get() + 1);
    with_exposed_provenance_mut(page)
}

unsafe extern "C" fn free(cookie: *mut c_void, _: *mut c_void, _: usize) {
    let out = &driver(cookie).out;
    out.set(out.get() - 1);
}

/// `cfg`, with such tables.
pub(crate) fn low(cfg: Cfg) -> Cfg {
    Cfg { alloc: Some(alloc), free: Some(free), ..cfg }
}
