//! Whom to wake when a job of a VM may run.

use alloc::sync::Arc;
use alloc::task::Wake;
#[cfg(feature = "std")]
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;

use crate::sync::Mutex;

/// What the in-points of a VM's jobs wake: everybody who runs jobs of it. So it does not matter
/// who looked at an in-point last, nor whether he is still there.
///
/// Ringing allocates nothing.
#[derive(Default)]
pub(crate) struct Doorbell {
    runner: Mutex<Option<Waker>>,
    has_runner: AtomicBool,
    /// Threads that wait in a synchronous bind. Their wakers only unpark, so they are woken under
    /// the lock.
    #[cfg(feature = "std")]
    binders: Mutex<Vec<(u64, Waker)>>,
    #[cfg(feature = "std")]
    numbers: core::sync::atomic::AtomicU64,
}

impl Doorbell {
    /// Makes `waker`'s owner the runner.
    pub(crate) fn set_runner(&self, waker: &Waker) {
        let mut runner = self.runner.lock();
        if !runner.as_ref().is_some_and(|runner| runner.will_wake(waker)) {
            *runner = Some(waker.clone());
            self.has_runner.store(true, Ordering::Relaxed);
        }
    }

    /// Wakes the runner: there is a new job.
    ///
    /// The lock of the queues orders this: a runner that did not find the job there was set before
    /// the job was queued.
    pub(crate) fn wake_runner(&self) {
        if !self.has_runner.load(Ordering::Relaxed) {
            return;
        }
        let runner = self.runner.lock().clone();
        if let Some(runner) = runner {
            runner.wake();
        }
    }

    fn ring(&self) {
        self.wake_runner();
        #[cfg(feature = "std")]
        for (_, binder) in self.binders.lock().iter() {
            binder.wake_by_ref();
        }
    }

    /// Has `waker`, which must only unpark a thread, woken too until the guard is dropped.
    #[cfg(feature = "std")]
    pub(crate) fn enter(&self, waker: Waker) -> Binder<'_> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.binders.lock().push((number, waker));
        Binder { doorbell: self, number }
    }
}

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// A thread that waits in a bind.
#[cfg(feature = "std")]
pub(crate) struct Binder<'d> {
    doorbell: &'d Doorbell,
    number: u64,
}

#[cfg(feature = "std")]
impl Drop for Binder<'_> {
    fn drop(&mut self) {
        self.doorbell.binders.lock().retain(|(number, _)| *number != self.number);
    }
}
