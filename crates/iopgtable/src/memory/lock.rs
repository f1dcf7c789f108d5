//! The lock of the allocators.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// A spin lock for critical sections of a few instructions: splices of lists and counters. Nobody
/// allocates, zeroes a page, calls out or takes another lock while holding it. (But the copy queue:
/// its publications take turns, so each holds the lock until its words, at most a table's, are
/// where they go.)
///
/// It has cache lines of its own: what lies beside it in an allocator is read at every step of a
/// walk, perhaps by other threads.
///
/// # Invariants
///
/// `value` is only touched through a [`Guard`], of which there is at most one: `held` is true
/// while it lives.
#[repr(align(64))]
pub(super) struct SpinLock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives access to one thread at a time, so sharing it only ever moves the use of
// the value from thread to thread.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    pub(super) const fn new(value: T) -> Self {
        Self { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    pub(super) fn lock(&self) -> Guard<'_, T> {
        while self
            .held
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            // Reading alone leaves the cache line with its holder.
            while self.held.load(Ordering::Relaxed) {
                core::hint::spin_loop();
            }
        }
        // INVARIANT: `held` was false, so there was no guard; now there is this one.
        Guard { lock: self }
    }
}

/// The right to touch what the lock guards.
pub(super) struct Guard<'a, T> {
    lock: &'a SpinLock<T>,
}

// SAFETY: a shared guard gives out `&T` and nothing else. (Left to the compiler, the guard would
// be `Sync` wherever the lock is, that is without `T: Sync`.)
unsafe impl<T: Sync> Sync for Guard<'_, T> {}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the only guard, and it is borrowed for as long as the result lives.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, and it is borrowed mutably for as long.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.held.store(false, Ordering::Release);
    }
}
