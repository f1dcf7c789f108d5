//! Threads that run the jobs of many VMs.

use std::boxed::Box;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::thread::JoinHandle;
use std::vec::Vec;

use iopgtable::{Format, TableAllocator};

use crate::device::Device;
use crate::vm::Vm;

/// A few threads that run whatever jobs are ready, of any number of VMs. An idle VM costs no
/// thread.
///
/// Dropping it stops each thread when the VM that it is at has no ready job left; what other VMs
/// have queued stays queued, for another runner.
///
/// ```
/// use gpuvm::{Backing, Op, Vm, Worker};
/// use iopgtable::memory::Heap;
/// use iopgtable::{Arm64S1, Config, Granule4K, Iova, IovaRange, PhysAddr, Prot, Segment, Unwalked};
///
/// let worker = Worker::new(1)?;
/// let vm = Vm::<Arm64S1<Granule4K>, _, _>::new(Config::new(48, 48), Heap::new(), Unwalked)?;
/// worker.attach(&vm);
/// let backing = Backing::new([Segment::new(PhysAddr(0x8000_0000), 0x1000)])?;
/// let range = IovaRange::new(Iova(0x1000), 0x1000)?;
/// let done = vm.submit([Op::Map { range, backing, offset: 0, prot: Prot::RW }], [], [])?;
/// done.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Worker {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    ready: Mutex<Ready>,
    bell: Condvar,
    /// How many tasks there are.
    attached: AtomicUsize,
}

#[derive(Default)]
struct Ready {
    /// Has room for every task that is attached, each of which is in it at most once: waking
    /// allocates nothing.
    tasks: VecDeque<Arc<Task>>,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A VM as the threads see it.
struct Task {
    shared: Weak<Shared>,
    /// Whether it is in the list.
    listed: AtomicBool,
    /// Runs the VM's ready jobs.
    run: Box<dyn Fn(&Waker) + Send + Sync>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if self.listed.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.lock().tasks.push_back(self);
            shared.bell.notify_one();
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.attached.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Worker {
    /// Starts `threads` threads (at least one).
    ///
    /// # Errors
    ///
    /// The system's, where a thread cannot be started.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            ready: Mutex::new(Ready::default()),
            bell: Condvar::new(),
            attached: AtomicUsize::new(0),
        });
        let mut worker = Self { shared, threads: Vec::new() };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&worker.shared);
            let thread = std::thread::Builder::new()
                .name(std::format!("gpuvm-{number}"))
                .spawn(move || work(&shared))?;
            worker.threads.push(thread);
        }
        Ok(worker)
    }

    /// Runs `vm`'s jobs from now on, for as long as somebody else holds the VM.
    pub fn attach<F, A, D>(&self, vm: &Vm<F, A, D>)
    where
        F: Format,
        A: TableAllocator + Send + Sync + 'static,
        D: Device + 'static,
        D::Error: 'static,
    {
        let inner = Arc::downgrade(vm.inner());
        let run = move |waker: &Waker| {
            if let Some(inner) = inner.upgrade() {
                let _ = inner.poll(waker);
            }
        };
        let task = Arc::new(Task {
            shared: Arc::downgrade(&self.shared),
            listed: AtomicBool::new(false),
            run: Box::new(run),
        });
        {
            let mut ready = self.shared.lock();
            let attached = self.shared.attached.fetch_add(1, Ordering::AcqRel) + 1;
            let room = attached.saturating_sub(ready.tasks.len());
            ready.tasks.reserve(room);
        }
        // The first run leaves the task's waker with the VM.
        task.wake();
    }
}

fn work(shared: &Shared) {
    let mut ready = shared.lock();
    while !ready.stop {
        let Some(task) = ready.tasks.pop_front() else {
            ready = shared.bell.wait(ready).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(ready);
        // Whoever wakes it from here on lists it anew, so no wake is lost.
        task.listed.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&task));
        (task.run)(&waker);
        ready = shared.lock();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.bell.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}
