//! A GPU driver to copy from, and an emulated GPU for it to drive: `cargo run --example driver`.
//!
//! The GPU is like Mali: it has a few slots for address spaces, each with registers. The driver is
//! like panthor: it has more address spaces than slots. `gpuvm::guide` goes through it step by step.

#![allow(clippy::missing_panics_doc, reason = "what it shows, it asserts")]

mod gpu;

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gpu::{Command, Gpu, Instruction, Register, SLOTS};
use gpuvm::{Backing, BanReason, Device, InFlight, Op, Point, SubmitReason, Vm, VmOptions, Worker};
use iopgtable::format::MaliRegisters;
use iopgtable::memory::{Account, Accounted, Pool, Region, TableLayout, Watermarks};
use iopgtable::{
    AllocError, ArmMali, Config, Invalidate, Invalidation, Iova, IovaRange, PhysAddr, Prot, Segment,
};

// Step 1: where tables come from. One pool of zeroed pages for the device, an account a process.
type Tables = Accounted<Arc<Pool<Arc<Region>>>, Arc<Account>>;
type Space = Vm<ArmMali, Tables, Mmu>;

/// Physical memory for tables, above all else.
const TABLES: PhysAddr = PhysAddr(0x7_0000_0000);
/// What queued jobs may hold, of all processes together.
const MOST_IN_FLIGHT: u64 = 256 << 10;

// Step 2: what the driver knows of an address space.
#[derive(Default)]
struct Seat {
    registers: Option<MaliRegisters>,
    slot: Option<usize>,
    /// What a bind job is changing.
    locked: Option<IovaRange>,
    /// When it was used last, and whether a job of the GPU uses it now.
    used: u64,
    is_running: bool,
    faults: Vec<GpuFault>,
}

/// A fault, as its owner hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GpuFault {
    address: u64,
    status: u64,
}

/// The hardware did not do this in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timeout(Command);

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the GPU did not answer {:?}", self.0)
    }
}

impl Error for Timeout {}

/// The slots, and who sits in them.
struct Slots {
    gpu: Gpu,
    /// By the number of the address space. Taken under the locks of a VM, so no VM is called with
    /// this one held.
    seats: Mutex<Vec<Seat>>,
}

impl Slots {
    fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Step 3: commands, which take bounded time.
    fn command(&self, slot: usize, command: Command) -> Result<(), Timeout> {
        self.gpu.write(slot, Register::Command, command as u64);
        let is_done = |_| self.gpu.read(slot, Register::Status) & gpu::ACTIVE == 0;
        (0..1000).any(is_done).then_some(()).ok_or(Timeout(command))
    }

    /// Locks the smallest region that the hardware can lock around `range`: 32 KiB at least.
    fn lock(&self, slot: usize, range: IovaRange) -> Result<(), Timeout> {
        let (first, last) = (range.first().0, range.last().0);
        let bits = (u64::BITS - (first ^ last).leading_zeros()).max(15);
        let base = first >> (bits - 1) >> 1 << (bits - 1) << 1;
        self.gpu.write(slot, Register::LockAddr, base | u64::from(bits - 1));
        self.command(slot, Command::Lock)
    }

    // Step 4: a slot for an address space: its own, a free one, or the least recently used.
    fn enter(&self, number: usize) -> Result<usize, Box<dyn Error>> {
        let mut seats = self.seats();
        let now = seats.iter().map(|seat| seat.used).max().unwrap_or(0) + 1;
        let slot = if let Some(slot) = seats[number].slot {
            slot
        } else {
            let is_taken = |slot: &usize| seats.iter().any(|seat| seat.slot == Some(*slot));
            let free = (0..SLOTS).find(|slot| !is_taken(slot));
            let idle = seats.iter_mut().filter(|seat| seat.slot.is_some() && !seat.is_running);
            let slot = match (free, idle.min_by_key(|seat| seat.used)) {
                (Some(free), _) => free,
                (None, Some(oldest)) => self.leave(oldest)?.ok_or("it has a slot")?,
                (None, None) => return Err("every slot is busy".into()),
            };
            let registers = seats[number].registers.ok_or("the VM is there")?;
            self.gpu.write(slot, Register::TransTab, registers.transtab);
            self.gpu.write(slot, Register::MemAttr, registers.memattr);
            self.command(slot, Command::Update)?;
            // It may come in while a bind job of it is running.
            seats[number].locked.map_or(Ok(()), |range| self.lock(slot, range))?;
            slot
        };
        let seat = &mut seats[number];
        (seat.slot, seat.used, seat.is_running) = (Some(slot), now, true);
        Ok(slot)
    }

    /// Takes its slot from an address space; the hardware knows nothing of it afterwards.
    fn leave(&self, seat: &mut Seat) -> Result<Option<usize>, Timeout> {
        let Some(slot) = seat.slot else { return Ok(None) };
        self.gpu.write(slot, Register::TransTab, 0);
        self.command(slot, Command::Update)?;
        self.lock(slot, IovaRange::between(Iova(0), Iova(u64::MAX)))?;
        self.command(slot, Command::FlushPt)?;
        self.command(slot, Command::Unlock)?;
        seat.slot = None;
        Ok(Some(slot))
    }

    // Step 5: faults go to their owner, and take the slot from it.
    fn interrupt(&self) -> Result<(), Timeout> {
        let pending = self.gpu.take_interrupts();
        for slot in (0..SLOTS).filter(|slot| pending >> slot & 1 != 0) {
            let status = self.gpu.read(slot, Register::FaultStatus);
            let address = self.gpu.read(slot, Register::FaultAddress);
            if let Some(owner) = self.seats().iter_mut().find(|seat| seat.slot == Some(slot)) {
                owner.faults.push(GpuFault { address, status });
                self.leave(owner)?;
            }
        }
        Ok(())
    }

    // Step 6: after a timeout nobody knows what the hardware holds.
    fn reset(&self) {
        let mut seats = self.seats();
        self.gpu.reset();
        seats.iter_mut().for_each(|seat| seat.slot = None);
    }
}

// Step 7: what a VM asks of the hardware while it runs a bind job.
struct Mmu {
    slots: Arc<Slots>,
    number: usize,
}

impl Mmu {
    fn with<R>(&self, talk: impl FnOnce(&Slots, &mut Seat) -> R) -> R {
        talk(&self.slots, &mut self.slots.seats()[self.number])
    }
}

// SAFETY: the registers of the VM are written to the slot of its seat and nowhere else. Where it
// has a slot, the stale range is locked and flushed; one without was flushed when its slot went.
unsafe impl Invalidate for Mmu {
    type Error = Timeout;

    fn invalidate(&mut self, stale: &Invalidation) -> Result<(), Timeout> {
        self.with(|slots, seat| {
            let (Some(slot), Some(stale)) = (seat.slot, stale.hull()) else { return Ok(()) };
            slots.lock(slot, seat.locked.map_or(stale, |locked| locked.hull(stale)))?;
            slots.command(slot, Command::FlushPt)
        })
    }
}

impl Device for Mmu {
    fn begin(&mut self, _: u64, footprint: IovaRange) -> Result<(), Timeout> {
        self.with(|slots, seat| {
            seat.locked = Some(footprint);
            seat.slot.map_or(Ok(()), |slot| slots.lock(slot, footprint))
        })
    }

    fn end(&mut self, _: u64) -> Result<(), Timeout> {
        self.with(|slots, seat| {
            seat.locked = None;
            seat.slot.map_or(Ok(()), |slot| slots.command(slot, Command::Unlock))
        })
    }
}

/// The driver of one GPU.
struct Driver {
    slots: Arc<Slots>,
    pool: Arc<Pool<Arc<Region>>>,
    in_flight: Arc<InFlight>,
    worker: Worker,
    next_page: Mutex<u64>,
}

impl Driver {
    fn new() -> Result<Self, Box<dyn Error>> {
        let region = Arc::new(Region::with_capacity(TABLES, 8 << 20)?);
        let pool = Pool::new(Arc::clone(&region), TableLayout::PAGE_4K, Watermarks::default());
        let slots = Slots { gpu: Gpu::new(region), seats: Mutex::default() };
        Ok(Self {
            slots: Arc::new(slots),
            pool: Arc::new(pool),
            in_flight: InFlight::new(MOST_IN_FLIGHT),
            worker: Worker::new(1)?,
            next_page: Mutex::new(gpu::RAM.0),
        })
    }

    // Step 8: an address space for a process.
    fn open(&self, account: &Arc<Account>) -> Result<Process, Box<dyn Error>> {
        let mut seats = self.slots.seats();
        let number = seats.len();
        seats.push(Seat::default());
        drop(seats);
        let tables = Accounted::new(Arc::clone(&self.pool), Arc::clone(account));
        let mmu = Mmu { slots: Arc::clone(&self.slots), number };
        let options = VmOptions::new().in_flight(Arc::clone(&self.in_flight)).spare_pages(true);
        let vm = Space::with_options(Config::new(48, 40), tables, mmu, options)?;
        self.worker.attach(&vm);
        // SAFETY: `Mmu` reaches whatever slot these are written to, and `close` takes the slot
        // before the VM goes.
        let registers = unsafe { vm.registers() };
        self.slots.seats()[number].registers = Some(registers);
        Ok(Process { vm, number })
    }

    fn close(&self, process: Process) -> Result<(), Box<dyn Error>> {
        let Process { vm, number } = process;
        self.slots.leave(&mut self.slots.seats()[number])?;
        if vm.ban().is_some() {
            println!("  teardown: {}", vm.teardown(vm.geometry().whole())?);
        }
        Ok(())
    }

    // Step 9: a job of the GPU runs when its memory is bound.
    fn execute(
        &self,
        process: &Process,
        bound: &Point,
        job: &[Instruction],
    ) -> Result<(), Box<dyn Error>> {
        bound.wait()?;
        let slot = self.slots.enter(process.number)?;
        let is_done = self.slots.gpu.run(slot, job);
        self.slots.seats()[process.number].is_running = false;
        self.slots.interrupt()?;
        if is_done { Ok(()) } else { Err("the job met a fault".into()) }
    }

    /// Memory in pieces of that many bytes, none of which follows on the one before.
    fn buffer(&self, pieces: &[u64]) -> Result<Arc<Backing>, Box<dyn Error>> {
        let mut next = self.next_page.lock().map_err(|_| "poisoned")?;
        let pieces = pieces.iter().map(|&bytes| {
            let phys = next.next_multiple_of(bytes);
            *next = phys + bytes + 4096;
            Segment::new(PhysAddr(phys), bytes)
        });
        Ok(Backing::new(pieces.collect::<Vec<_>>())?)
    }

    /// The word at an offset of a buffer, as the CPU reaches it.
    fn word(&self, buffer: &Backing, offset: u64) -> Result<&AtomicU64, Box<dyn Error>> {
        let run = buffer.runs(offset, 8).next().ok_or("beyond the buffer")?;
        Ok(self.slots.gpu.word(run.phys.0))
    }

    /// Copies what the GPU left in a buffer that it does not reach any more.
    fn move_contents(&self, from: &Backing, to: &Backing) -> Result<(), Box<dyn Error>> {
        for offset in (0..from.bytes()).step_by(8) {
            let word = self.word(from, offset)?.load(Relaxed);
            self.word(to, offset)?.store(word, Relaxed);
        }
        Ok(())
    }
}

/// A process with an address space of its own.
struct Process {
    vm: Space,
    number: usize,
}

fn map(at: u64, buffer: &Arc<Backing>) -> Result<Op, Box<dyn Error>> {
    let range = IovaRange::new(Iova(at), buffer.bytes())?;
    Ok(Op::Map { range, backing: Arc::clone(buffer), offset: 0, prot: Prot::RW })
}

/// Adds what lies at 0 and at 8 KiB of `at`, 1024 words each, to 16 KiB of `at`.
fn sums(at: u64) -> [Instruction; 3] {
    [
        Instruction::Fill { to: at, words: 1024, value: 40 },
        Instruction::Fill { to: at + 0x2000, words: 1024, value: 2 },
        Instruction::Add { from: [at, at + 0x2000], to: at + 0x4000, words: 1024 },
    ]
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let driver = Driver::new()?;
    let (gpu, account) = (&driver.slots.gpu, Arc::new(Account::new("processes", 160 << 10)));
    let processes = [driver.open(&account)?, driver.open(&account)?, driver.open(&account)?];
    let slots = || driver.slots.seats().iter().map(|seat| seat.slot).collect::<Vec<_>>();
    let at = 0x10_0000;

    println!("three processes, {SLOTS} slots: whoever was idle longest gives up its slot");
    let buffers = [
        driver.buffer(&[0x1000; 6])?,
        driver.buffer(&[0x4000, 0x2000])?,
        driver.buffer(&[0x8000])?,
    ];
    for (number, (process, buffer)) in processes.iter().zip(&buffers).enumerate() {
        let bound = process.vm.submit([map(at, buffer)?], [], [])?;
        driver.execute(process, &bound, &sums(at))?;
        assert_eq!(driver.word(buffer, 0x5ff8)?.load(Relaxed), 42);
        println!("  process {number} has computed; slots {:?}", slots());
    }
    assert_eq!(slots(), [None, Some(1), Some(0)]);
    let [first, second, third] = &processes;

    println!("what is unbound faults, and its owner hears of it");
    let unmap = Op::Unmap { range: IovaRange::new(Iova(at), 0x1000)? };
    let unbound = second.vm.submit([unmap], [], [])?;
    assert!(driver.execute(second, &unbound, &sums(at)).is_err());
    let faults = std::mem::take(&mut driver.slots.seats()[second.number].faults);
    // A write, and a translation fault at level 3.
    assert_eq!(faults, [GpuFault { address: at, status: 0x3c3 }]);
    assert_eq!(slots(), [None, None, Some(0)], "the others go on");
    println!("  {:x?}; slots {:?}", faults, slots());

    println!("memory goes away and comes back elsewhere");
    let (old, new) = (&buffers[2], driver.buffer(&[0x8000])?);
    let gone = third.vm.evict(old, [], [])?;
    assert!(driver.execute(third, &gone, &sums(at)).is_err(), "it is not there");
    driver.move_contents(old, &new)?;
    let back = third.vm.restore(old, &new, [], [])?;
    let more = Instruction::Add { from: [at + 0x4000; 2], to: at + 0x6000, words: 1 };
    driver.execute(third, &back, &[more])?;
    assert_eq!(driver.word(&new, 0x6000)?.load(Relaxed), 84);
    assert_eq!(driver.word(old, 0x6000)?.load(Relaxed), 0);
    println!("  42 + 42 = 84 in new memory");

    println!("a bind over the limit is refused when it is submitted");
    let far = (0..16).map(|n| map(n << 39, &buffers[0])).collect::<Result<Vec<_>, _>>()?;
    let refused = first.vm.submit(far, [], []).expect_err("48 tables");
    assert!(matches!(refused.reason, SubmitReason::Memory(AllocError::Limit(_))));
    println!("  {refused}");

    println!("the GPU stops answering: its process is banned, and the others go on");
    driver.execute(first, &first.vm.timeline().point(1), &sums(at))?;
    gpu.hang(true);
    let stuck = first.vm.submit([Op::Unmap { range: first.vm.geometry().whole() }], [], [])?;
    assert!(stuck.wait().is_err());
    driver.slots.reset();
    let ban = first.vm.ban().ok_or("it is banned")?;
    assert!(matches!(ban.reason, BanReason::Device(Timeout(Command::Lock))));
    println!("  {ban}");
    let refused = first.vm.submit([], [], []).expect_err("it is banned");
    assert_eq!(refused.reason, SubmitReason::Banned);
    driver.execute(third, &back, &sums(at))?;

    println!("all is given back");
    println!("{}", second.vm.state());
    processes.into_iter().try_for_each(|process| driver.close(process))?;
    let Driver { worker, pool, in_flight, .. } = driver;
    // It may be about to let go of the last VM that it has run.
    drop(worker);
    assert_eq!((account.charged(), in_flight.used()), (0, 0));
    assert_eq!(pool.upstream().in_use(), pool.figures().free * 4096, "every table is in the pool");
    Ok(())
}
