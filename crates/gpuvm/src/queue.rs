//! Further bind queues of a VM.

use core::fmt;

use iopgtable::{Format, TableAllocator};

use crate::device::Device;
use crate::lanes::QueueId;
#[cfg(feature = "std")]
use crate::refusal::BindError;
use crate::refusal::SubmitError;
use crate::submit::Submission;
use crate::timeline::{Point, Timeline};
use crate::vm::{Op, Vm};

/// A bind queue beside the VM's own. Its jobs run in the order of their submission. They overtake
/// jobs of other queues, and are overtaken, where the addresses that they touch are disjoint:
/// the ranges of the operations, the leaves that these cut, and the spans of the tables that
/// come loose. Elsewhere the order of submission holds across queues.
///
/// When the handle is dropped, jobs that are in the queue run nevertheless. It keeps the VM alive.
///
/// ```
/// use gpuvm::{Backing, Op, Timeline, Vm};
/// use iopgtable::memory::Heap;
/// use iopgtable::{Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment, Unwalked};
///
/// let vm = Vm::<Arm64S1<Granule4K>, _, _>::new(Config::new(48, 48), Heap::new(), Unwalked)?;
/// let queue = vm.queue();
/// let backing = Backing::new([Segment::new(PhysAddr(0x8000_0000), 0x1000)])?;
/// let map = |first| -> Result<Op, iopgtable::RangeError> {
///     let range = IovaRange::new(Iova(first), 0x1000)?;
///     Ok(Op::Map { range, backing: backing.clone(), offset: 0, prot: Prot::RW })
/// };
/// let rendered = Timeline::new();
/// let waiting = vm.submit([map(0x1000)?], [rendered.point(1)], [])?;
/// let overtaking = queue.submit([map(0x2000)?], [], [])?;
/// let behind = queue.submit([map(0x1000)?], [], [])?; // where the first one maps
/// assert_eq!(vm.run_ready(), 2);
/// assert_eq!(overtaking.state(), Some(Ok(())));
/// assert_eq!((waiting.state(), behind.state()), (None, None));
/// rendered.signal(1);
/// assert_eq!(vm.run_ready(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<F: Format, A: TableAllocator, D: Device> {
    vm: Vm<F, A, D>,
    id: QueueId,
    line: Timeline,
}

impl<F: Format, A: TableAllocator, D: Device> Queue<F, A, D> {
    pub(crate) fn new(vm: Vm<F, A, D>) -> Self {
        let (id, line) = vm.inner().lanes.lock().open();
        Self { vm, id, line }
    }

    /// Its name, in [`Submission::on`] and in a VM's [`State`](crate::State).
    pub const fn id(&self) -> QueueId {
        self.id
    }

    /// The VM that it belongs to.
    pub const fn vm(&self) -> &Vm<F, A, D> {
        &self.vm
    }

    /// The line on which its `n`-th job signals point `n`, counted from 1.
    pub const fn timeline(&self) -> &Timeline {
        &self.line
    }
}

impl<F: Format, A: TableAllocator + Clone, D: Device> Queue<F, A, D> {
    /// As [`Vm::submit`], on this queue.
    ///
    /// # Errors
    ///
    /// As for [`Vm::submit`].
    pub fn submit(
        &self,
        ops: impl IntoIterator<Item = Op>,
        waits: impl IntoIterator<Item = Point>,
        signals: impl IntoIterator<Item = Point>,
    ) -> Result<Point, SubmitError> {
        let submission = Submission::new(ops).after(waits).signalling(signals).on(self.id);
        self.vm.submit_one(submission)
    }

    /// As [`Vm::bind`], on this queue.
    ///
    /// # Errors
    ///
    /// As for [`Vm::bind`].
    #[cfg(feature = "std")]
    pub fn bind(&self, ops: impl IntoIterator<Item = Op>) -> Result<(), BindError> {
        let done = self.submit(ops, [], [])?;
        self.vm.wait_for(&done).map_err(BindError::Failed)
    }
}

impl<F: Format, A: TableAllocator, D: Device> Drop for Queue<F, A, D> {
    fn drop(&mut self) {
        self.vm.inner().lanes.lock().close(self.id);
    }
}

impl<F: Format, A: TableAllocator, D: Device> fmt::Debug for Queue<F, A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({} of {:?}, {:?})", self.id, self.vm, self.line)
    }
}
