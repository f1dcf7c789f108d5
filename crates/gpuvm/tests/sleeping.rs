//! The allocator of tables may wait for jobs that are queued: submissions ask it under no lock that
//! running a job takes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
mod machine;
mod ops;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use deadline::bounded;
use gpuvm::{InFlight, Op, Point, Submission, Timeline, Vm, VmOptions, Worker};
use iopgtable::memory::{Donated, Party, PartyError};
use iopgtable::{Segment, Unwalked};
use machine::{Memory, memory};
use ops::{CONFIG, GIB, MIB, PAGE, S1, backing, map, map_backing, unmap};

/// Shares no page before a certain job has run, when it is told so: memory that comes free by jobs.
#[derive(Default)]
struct Patient {
    /// What the job waits for, and what it signals.
    job: Mutex<Option<(Point, Point)>>,
    waited: AtomicU64,
}

// SAFETY: nobody walks the tables.
unsafe impl Party for Patient {
    fn share(&self, _: Segment, _: bool) -> Result<(), PartyError> {
        let job = self.job.lock().unwrap().take();
        if let Some((gate, done)) = job {
            gate.signal();
            done.wait().unwrap();
            self.waited.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn reclaim(&self, _: Segment, _: bool) -> Result<(), PartyError> {
        Ok(())
    }
}

type PatientVm = Vm<S1, Arc<Donated<Memory, &'static Patient>>, Unwalked>;

#[test]
fn an_allocation_may_wait_for_a_job_that_is_queued() {
    bounded(|| {
        let patient: &'static Patient = Box::leak(Box::default());
        let tables = Arc::new(Donated::new(memory(), patient));
        let options = VmOptions::new().in_flight(InFlight::new(1 << 20)).spare_pages(true);
        let vm = PatientVm::with_options(CONFIG, tables, Unwalked, options).unwrap();
        let (worker, queue, gate) = (Worker::new(1).unwrap(), vm.queue(), Timeline::new());
        worker.attach(&vm);
        let (pages, block) = (backing(4 * GIB + PAGE, 2 * MIB), backing(8 * GIB, 2 * MIB));
        vm.bind([map_backing(0, 2 * MIB, &block), map(GIB, GIB, GIB)]).unwrap();
        vm.evict(&block, [], []).unwrap().wait().unwrap();

        let restore = Op::Restore { backing: Arc::clone(&block), with: pages };
        let asks: [(&str, Op); 4] = [
            ("a map", map(512 * GIB, PAGE, 0)),
            ("an unmap that cuts a block", unmap(GIB + PAGE, PAGE)),
            ("a map over a part of a block", map(2 * GIB - MIB, PAGE, 0)),
            ("a restoration with other leaves", restore),
        ];
        for (number, (name, op)) in (1..).zip(asks) {
            // It frees tables, on another queue than what asks for some.
            let far = (4 + number) * 512 * GIB;
            vm.bind([map(far, PAGE, 0)]).unwrap();
            let job = queue.submit([unmap(far, PAGE)], [gate.point(number)], []).unwrap();
            *patient.job.lock().unwrap() = Some((gate.point(number), job.clone()));
            let soon = std::time::Instant::now() + std::time::Duration::from_secs(20);
            let points = match number % 2 {
                0 => vm.submit_until([Submission::new([op])], soon).unwrap(),
                _ => vec![vm.submit([op], [], []).unwrap()],
            };
            assert_eq!(job.state(), Some(Ok(())), "{name}");
            assert_eq!(patient.waited.load(Ordering::Relaxed), number, "{name} asks for tables");
            for point in points {
                point.wait().unwrap();
            }
        }
    });
}
