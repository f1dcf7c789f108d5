//! Pages for those who bring no pool: touched, zeroed, on a stack. Physical addresses are virtual
//! ones.
//!
//! Each thread has its own stacks, one a page size, because one of the published crates reaches
//! its allocator through a type alone. Pages that come back are dirty until they are laundered,
//! which is nobody's timed part. Memory is kept until the process ends.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::{NonNull, with_exposed_provenance_mut};

thread_local! {
    static STACKS: RefCell<[Stack; 3]> = const { RefCell::new([Stack::NEW; 3]) };
}

/// What memory is got in, in bytes.
const CHUNK: usize = 2 << 20;

struct Stack {
    clean: Vec<NonNull<u64>>,
    dirty: Vec<NonNull<u64>>,
}

impl Stack {
    const NEW: Self = Self { clean: Vec::new(), dirty: Vec::new() };
}

fn with<R>(shift: u32, work: impl FnOnce(&mut Stack) -> R) -> R {
    // 4 KiB, 16 KiB, 64 KiB.
    let size = (shift as usize - 12) / 2;
    STACKS.with_borrow_mut(|stacks| work(&mut stacks[size]))
}

/// Has at least `count` clean pages of `1 << shift` bytes ready.
pub(crate) fn reserve(shift: u32, count: usize) {
    launder();
    let missing = with(shift, |stack| count.saturating_sub(stack.clean.len()));
    if missing == 0 {
        return;
    }
    // Aligned as a region is: whether the system backs it by large pages is not left to chance.
    let bytes = (missing << shift).next_multiple_of(CHUNK);
    let layout = Layout::from_size_align(bytes, CHUNK).expect("a table fits in memory");
    // SAFETY: the size is not zero.
    let start =
        NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
    let _ = start.as_ptr().expose_provenance();
    with(shift, |stack| {
        // The lowest address is on top.
        for page in (0..bytes >> shift).rev() {
            // SAFETY: the page lies within what was allocated; a page is aligned to its size.
            let page = unsafe { start.add(page << shift).cast::<u64>() };
            // SAFETY: as above; nobody else knows the page yet. A volatile write touches it.
            unsafe { page.write_volatile(0) };
            stack.clean.push(page);
        }
    });
}

/// A zeroed page of `1 << shift` bytes.
pub(crate) fn take(shift: u32) -> Option<NonNull<u64>> {
    with(shift, |stack| stack.clean.pop())
}

/// Takes a page back, whatever is in it.
///
/// # Safety
///
/// It came from [`take`] with this `shift`, and nobody uses it any more.
pub(crate) unsafe fn give(shift: u32, page: NonNull<u64>) {
    with(shift, |stack| stack.dirty.push(page));
}

/// Zeroes what came back.
pub(crate) fn launder() {
    for shift in [12, 14, 16] {
        with(shift, |stack| {
            // The last to come is the first to go.
            for page in stack.dirty.drain(..) {
                // SAFETY: `give` promises that these are unused pages of this size.
                unsafe { page.cast::<u8>().write_bytes(0, 1 << shift) };
                stack.clean.push(page);
            }
        });
    }
}

/// The page at a physical address.
pub(crate) fn at(phys: usize) -> *mut u64 {
    with_exposed_provenance_mut(phys)
}
