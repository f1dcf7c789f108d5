//! A virtual machine with one processor.

use std::io;
use std::sync::Arc;

use kvm_bindings::{
    CpuId, KVM_INTERNAL_ERROR_EMULATION, KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_segment, kvm_sregs,
    kvm_userspace_memory_region,
};
use kvm_ioctls::{Cap, Kvm as Device, SyncReg, VcpuExit, VcpuFd, VmFd};

use super::deadline::{Deadline, interruptible};
use super::image::{
    Entry, Processor, SUPERVISOR_CODE, SUPERVISOR_DATA, TASK, USER_CODE, USER_DATA,
};
use super::stub::DONE;
use super::without;
use crate::Absent;
use crate::{MmuError, Privilege, Ram, X86_64Registers};

/// `CR0`: protection, the coprocessor's type and errors, paging. And `WP`.
const CR0: u64 = 1 << 0 | 1 << 4 | 1 << 5 | 1 << 31;
const CR0_WP: u64 = 1 << 16;
/// `CR4`: physical addresses of 64 bits. And what may be on.
const CR4: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const CR4_SMEP: u64 = 1 << 20;
/// `EFER`: long mode, enabled and active. And `NXE`.
const EFER: u64 = 1 << 8 | 1 << 10;
const EFER_NXE: u64 = 1 << 11;
/// `RFLAGS`: the bit that is always set. No interrupts, and no ports for users.
const FLAGS: u64 = 1 << 1;

/// What the processor can do.
#[expect(clippy::struct_excessive_bools, reason = "each is there or not, apart from the others")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    /// Leaves of a gibibyte.
    pub(super) huge_leaves: bool,
    /// How many bits a physical address has: `MAXPHYADDR`.
    pub(super) physical_bits: u8,
    /// How many of these a guest can use.
    pub(super) reach: u8,
    pub(super) la57: bool,
    pub(super) nxe: bool,
    pub(super) smep: bool,
}

/// Why the processor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The list is through.
    Done,
    /// A read of a byte at a physical address that is no memory.
    Read(u64),
    /// A write of a byte there.
    Write(u64),
    /// An instruction that could not be fetched.
    Unfetchable,
}

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    // In this order, so that what uses the memories goes before them.
    processor: VcpuFd,
    vm: VmFd,
    memories: [Arc<Ram>; 2],
    features: Features,
}

impl Machine {
    /// The device, and what its processors can do, but for what is found by trial.
    pub(super) fn device() -> Result<(Device, CpuId, Features), Absent> {
        let device = Device::new().map_err(|why| without("/dev/kvm", why))?;
        if !device.check_extension(Cap::SyncRegs) {
            return Err(Absent::new("/dev/kvm does not tell registers at exits"));
        }
        let cpuid = device
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(|why| without("KVM's list of features", why))?;
        let leaf = |function| cpuid.as_slice().iter().find(|leaf| leaf.function == function);
        let sizes = leaf(0x8000_0008).map_or(36, |leaf| leaf.eax);
        // CAST: bytes of the register.
        let (physical_bits, guest_bits) = (sizes as u8, (sizes >> 16) as u8);
        let features = Features {
            huge_leaves: leaf(0x8000_0001).is_some_and(|leaf| leaf.edx & 1 << 26 != 0),
            physical_bits,
            reach: if guest_bits == 0 { physical_bits } else { guest_bits.min(physical_bits) },
            la57: false,
            nxe: false,
            smep: false,
        };
        Ok((device, cpuid, features))
    }

    /// A machine with these memories, whose processor is set up for the stub at `stub`.
    pub(super) fn new(
        (device, cpuid, features): &(Device, CpuId, Features),
        memories: [Arc<Ram>; 2],
        stub: Processor,
    ) -> Result<Self, Absent> {
        let vm = device.create_vm().map_err(|why| without("a virtual machine", why))?;
        let mut processor = vm.create_vcpu(0).map_err(|why| without("a virtual processor", why))?;
        processor.set_cpuid2(cpuid).map_err(|why| without("a processor with all features", why))?;
        processor.set_sync_valid_reg(SyncReg::Register);
        interruptible(&processor).map_err(|why| without("a time limit", why))?;
        let mut machine = Self { processor, vm, memories, features: *features };
        machine.plug().map_err(|why| without("memory of the machine", why))?;
        let plain = X86_64Registers::default();
        let works = |registers| machine.control(registers, stub, Privilege::Privileged).is_ok();
        let features = Features {
            la57: works(&X86_64Registers { la57: true, ..plain }),
            nxe: works(&X86_64Registers { nxe: true, ..plain }),
            smep: works(&X86_64Registers { smep: true, ..plain }),
            ..machine.features
        };
        machine.features = features;
        machine
            .control(&plain, stub, Privilege::Privileged)
            .map_err(|why| without("a processor in long mode", why))?;
        Ok(machine)
    }

    /// What its processor can do.
    pub(super) fn features(&self) -> Features {
        self.features
    }

    /// Takes the memories out and puts them in again, after which nothing is left of what KVM
    /// knew of tables in them.
    pub(super) fn replug(&self) -> io::Result<()> {
        self.set_slots(|_| 0)?;
        self.plug()
    }

    fn plug(&self) -> io::Result<()> {
        // CAST: a size in memory.
        self.set_slots(|memory| memory.bytes() as u64)
    }

    #[expect(unsafe_code, reason = "the machine gets memory of this process")]
    fn set_slots(&self, bytes: impl Fn(&Ram) -> u64) -> io::Result<()> {
        for (slot, memory) in (0..).zip(&self.memories) {
            let region = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: memory.first(),
                memory_size: bytes(memory),
                // CAST: an address of this process.
                userspace_addr: memory.as_ptr().as_ptr() as u64,
            };
            // SAFETY: the memory is mapped as long as `memories` keeps it, which is longer than
            // the machine exists; it is shared, and read and written atomically.
            unsafe { self.vm.set_user_memory_region(region) }?;
        }
        Ok(())
    }

    /// Sets the control registers and the segments.
    pub(super) fn control(
        &self,
        registers: &X86_64Registers,
        stub: Processor,
        privilege: Privilege,
    ) -> io::Result<()> {
        let (code, data, level) = match privilege {
            Privilege::Privileged => (SUPERVISOR_CODE, SUPERVISOR_DATA, 0),
            Privilege::Unprivileged => (USER_CODE, USER_DATA, 3),
        };
        // Flat: what is accessed and readable code, and what is accessed and writable data.
        let flat = kvm_segment {
            limit: u32::MAX,
            dpl: level,
            present: 1,
            s: 1,
            g: 1,
            ..kvm_segment::default()
        };
        let code = kvm_segment { selector: code, type_: 11, l: 1, ..flat };
        let data = kvm_segment { selector: data, type_: 3, db: 1, ..flat };
        let (base, limit) = stub.tss;
        let task = kvm_segment {
            base,
            limit,
            selector: TASK,
            type_: 11, // A task segment in use.
            present: 1,
            ..kvm_segment::default()
        };
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        let mut all: kvm_sregs = self.processor.get_sregs()?;
        (all.cs, all.ss, all.ds, all.es, all.fs, all.gs) = (code, data, data, data, data, data);
        all.tr = task;
        (all.gdt.base, all.gdt.limit) = stub.gdt;
        (all.idt.base, all.idt.limit) = stub.idt;
        all.cr0 = CR0 | bit(registers.wp, CR0_WP);
        all.cr3 = stub.root;
        all.cr4 = CR4 | bit(registers.la57, CR4_LA57) | bit(registers.smep, CR4_SMEP);
        all.efer = EFER | bit(registers.nxe, EFER_NXE);
        Ok(self.processor.set_sregs(&all)?)
    }

    /// Goes to `entry`, with `count` addresses.
    pub(super) fn enter(&self, entry: Entry, count: usize) -> io::Result<()> {
        Ok(self.processor.set_regs(&kvm_regs {
            rip: entry.rip,
            rsp: entry.rsp,
            rflags: FLAGS,
            rsi: entry.addresses,
            rcx: count as u64,
            rbx: entry.next,
            rdx: entry.distance,
            ..kvm_regs::default()
        })?)
    }

    /// Goes on after an instruction that could not be fetched, and has the exception forgotten
    /// that KVM has in mind for that.
    pub(super) fn skip(&self) -> io::Result<()> {
        let regs = self.processor.get_regs()?;
        Ok(self.processor.set_regs(&kvm_regs { rip: regs.rbx, ..regs })?)
    }

    /// The registers, as they were at the last exit.
    pub(super) fn registers(&self) -> kvm_regs {
        self.processor.sync_regs().regs
    }

    /// Runs to the next exit.
    pub(super) fn run(&mut self, deadline: &Deadline) -> Result<Exit, MmuError> {
        loop {
            match self.processor.run() {
                Ok(VcpuExit::IoOut(DONE, _)) => return Ok(Exit::Done),
                Ok(VcpuExit::MmioRead(address, data)) if data.len() == 1 => {
                    data.fill(0);
                    return Ok(Exit::Read(address));
                }
                Ok(VcpuExit::MmioWrite(address, data)) if data.len() == 1 => {
                    return Ok(Exit::Write(address));
                }
                Ok(VcpuExit::InternalError) => {
                    return if self.suberror() == KVM_INTERNAL_ERROR_EMULATION {
                        Ok(Exit::Unfetchable)
                    } else {
                        let why = format!("KVM's internal error {}", self.suberror());
                        Err(MmuError::Broken(self.describe(&why)))
                    };
                }
                Ok(other) => {
                    let why = format!("{other:x?}");
                    return Err(MmuError::Broken(self.describe(&why)));
                }
                Err(why) if why.errno() == libc::EINTR => {
                    if deadline.is_over() {
                        return Err(MmuError::Broken(self.describe("no end in time")));
                    }
                }
                Err(why) if why.errno() == libc::EAGAIN => {}
                Err(why) => return Err(broken("it does not run", why)),
            }
        }
    }

    /// Which internal error it was.
    #[expect(unsafe_code, reason = "a field of a union")]
    fn suberror(&mut self) -> u32 {
        // SAFETY: any bits are a valid number.
        unsafe { self.processor.get_kvm_run().__bindgen_anon_1.internal.suberror }
    }

    /// `why`, and where the processor is.
    fn describe(&self, why: &str) -> String {
        match self.processor.get_regs() {
            Ok(regs) => format!("{why}, at {:#x} with {:#x}", regs.rip, regs.rax),
            Err(_) => why.to_owned(),
        }
    }
}

/// The machine has failed: `what`, as the system says `why`.
pub(super) fn broken(what: &str, why: impl Into<io::Error>) -> MmuError {
    MmuError::Broken(format!("{what}: {}", why.into()))
}
