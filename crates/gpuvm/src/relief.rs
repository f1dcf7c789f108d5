//! Wakes those who wait for memory when a VM frees some.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// Who waits for memory of the VMs that share it. What is freed elsewhere, it does not hear of.
#[derive(Debug, Default)]
pub(crate) struct Relief {
    waiting: AtomicUsize,
    /// How often some was freed while somebody waited.
    freed: std::sync::Mutex<u64>,
    bell: Condvar,
}

impl Relief {
    /// Memory is free again: what was freed is back where it came from.
    pub(crate) fn notify(&self) {
        // Either this sees who waits, or he sees what was freed: both have a fence between the two.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            *self.lock() += 1;
            self.bell.notify_all();
        }
    }

    /// Somebody who will wait. He looks for memory after this.
    pub(crate) fn enter(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Waiting { relief: self, seen: *self.lock() }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.freed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for memory.
#[derive(Debug)]
pub(crate) struct Waiting<'r> {
    relief: &'r Relief,
    /// What he knows of.
    seen: u64,
}

impl Waiting<'_> {
    /// Sleeps until memory was freed since he came, or last slept; or for so long.
    pub(crate) fn sleep(&mut self, most: Duration) {
        let (relief, seen) = (self.relief, self.seen);
        let waited = relief.bell.wait_timeout_while(relief.lock(), most, |freed| *freed == seen);
        let (freed, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.seen = *freed;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.relief.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A VM's share in one. When it is dropped, with the VM's tables before it, their memory is free.
#[derive(Debug)]
pub(crate) struct Share(Arc<Relief>);

impl Share {
    pub(crate) const fn new(relief: Arc<Relief>) -> Self {
        Self(relief)
    }
}

impl core::ops::Deref for Share {
    type Target = Relief;
    fn deref(&self) -> &Relief {
        &self.0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.notify();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use std::time::Instant;

    use iopgtable::memory::Heap;
    use iopgtable::{
        Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment, Unwalked,
    };

    use super::*;
    use crate::{Backing, InFlight, Op, Vm, VmOptions};

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn whoever_waits_is_woken_by_jobs_that_free_tables_and_by_vms_that_go() {
        let in_flight = InFlight::new(1 << 20);
        let vm = || {
            let options = VmOptions::new().in_flight(Arc::clone(&in_flight));
            let config = Config::new(48, 48);
            Vm::<Arm64S1<Granule4K>, _, _>::with_options(config, Heap::new(), Unwalked, options)
                .unwrap()
        };
        let (vm, other) = (vm(), vm());
        let range = IovaRange::new(Iova(0), 4096).unwrap();
        let backing = Backing::new([Segment::new(PhysAddr(0), 4096)]).unwrap();
        let map = || Op::Map { range, backing: Arc::clone(&backing), offset: 0, prot: Prot::RW };
        // Whoever waits at one VM hears of the other's as well: they share the limit in flight.
        let mut waiting = other.inner().relief.enter();
        let (seen, start) = (waiting.seen, Instant::now());
        vm.bind([map()]).unwrap();
        assert_eq!(*vm.inner().relief.lock(), seen, "nothing was freed");
        vm.bind([Op::Unmap { range }]).unwrap();
        waiting.sleep(LONG);
        vm.bind([map()]).unwrap();
        drop(vm);
        waiting.sleep(LONG);
        assert!(start.elapsed() < LONG);
        waiting.sleep(Duration::from_millis(1));
        assert_eq!(waiting.seen, seen + 2, "that was all");
        drop(waiting);
        assert_eq!(other.inner().relief.waiting.load(Ordering::Relaxed), 0);
    }
}
