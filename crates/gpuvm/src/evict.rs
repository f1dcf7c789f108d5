//! Memory that goes away for a while, and comes back elsewhere.

use alloc::sync::Arc;

use iopgtable::{Format, TableAllocator};

use crate::backing::Backing;
use crate::device::Device;
use crate::refusal::SubmitError;
use crate::timeline::Point;
use crate::vm::{Op, Vm};

impl<F: Format, A: TableAllocator + Clone, D: Device> Vm<F, A, D> {
    /// Takes the memory of `backing` away from the device: a job, in its order among the others,
    /// clears the entries of all its mappings. When the point that is returned is reached (and not
    /// in error), the device has forgotten them, and the memory may be used for something else.
    ///
    /// The mappings stay in the plan, and their tables stay where they are, so that
    /// [`restore`](Self::restore) needs none for leaves of the same sizes. Meanwhile they may be
    /// unmapped, replaced, split and protected like others, and `backing` may be mapped: what is
    /// restored is what there is then. Until then, accesses fault. What is evicted already stays
    /// so; a backing without any mapping is evicted all the same.
    ///
    /// Jobs of other queues that map or change what is evicted keep their order with it. So do those
    /// that are still to unmap a part of it, which the plan does not have any more: when the point is
    /// reached, nothing is mapped of the backing.
    ///
    /// Finding the mappings goes through all that there are. It is for a VM that the backing is
    /// evicted, not for the backing: others that map it are to be asked, too.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gpuvm::{Backing, Op, Vm};
    /// use iopgtable::memory::Heap;
    /// use iopgtable::{Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment};
    /// use iopgtable::Unwalked;
    ///
    /// let vm = Vm::<Arm64S1<Granule4K>, _, _>::new(Config::new(48, 48), Heap::new(), Unwalked)?;
    /// let old = Backing::new([Segment::new(PhysAddr(0x8000_0000), 0x20_0000)])?;
    /// let range = IovaRange::new(Iova(0x20_0000), 0x20_0000)?;
    /// vm.bind([Op::Map { range, backing: Arc::clone(&old), offset: 0, prot: Prot::RW }])?;
    ///
    /// let gone = vm.evict(&old, [], [])?;
    /// vm.run_ready();
    /// assert_eq!(gone.state(), Some(Ok(()))); // the memory may be written to disk now
    /// assert!(vm.translate(Iova(0x20_0000)).is_none());
    /// // It is still mapped, and can be changed.
    /// let half = IovaRange::new(Iova(0x20_0000), 0x10_0000)?;
    /// vm.bind([Op::Unmap { range: half }])?;
    ///
    /// let new = Backing::new([Segment::new(PhysAddr(0x1_0000_0000), 0x20_0000)])?;
    /// let back = vm.restore(&old, &new, [], [])?;
    /// vm.run_ready();
    /// assert_eq!(back.state(), Some(Ok(())));
    /// assert!(vm.translate(Iova(0x20_0000)).is_none());
    /// assert_eq!(vm.translate(Iova(0x30_0000)).unwrap().phys, PhysAddr(0x1_0010_0000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SubmitReason::Banned`](crate::SubmitReason::Banned); nothing else, for it takes no memory
    /// for tables.
    pub fn evict(
        &self,
        backing: &Arc<Backing>,
        waits: impl IntoIterator<Item = Point>,
        signals: impl IntoIterator<Item = Point>,
    ) -> Result<Point, SubmitError> {
        self.submit([Op::Evict { backing: Arc::clone(backing) }], waits, signals)
    }

    /// Maps all that is evicted of `backing` again, as a job in its order: `with` holds what
    /// `backing` held, in the same place (then the two are the same) or elsewhere, in other pieces.
    /// From then on, the mappings are mappings of `with`.
    ///
    /// The tables that other leaf sizes need, or no longer need, are reserved and freed exactly.
    /// Where `with` is another backing, `backing` itself stays evicted, since its memory may be
    /// gone: what is mapped of it later gets leaves when it is restored once more. And if `with`
    /// was evicted, it is no longer, and what is mapped of it is restored as well: so contents can
    /// move to and fro between two backings.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with [`NotEvicted`](crate::SubmitReason::NotEvicted),
    /// [`RestoreLength`](crate::SubmitReason::RestoreLength), and as for [`submit`](Self::submit)
    /// where `with` cannot be mapped or tables are missing. Everything stays evicted then.
    pub fn restore(
        &self,
        backing: &Arc<Backing>,
        with: &Arc<Backing>,
        waits: impl IntoIterator<Item = Point>,
        signals: impl IntoIterator<Item = Point>,
    ) -> Result<Point, SubmitError> {
        let op = Op::Restore { backing: Arc::clone(backing), with: Arc::clone(with) };
        self.submit([op], waits, signals)
    }
}
