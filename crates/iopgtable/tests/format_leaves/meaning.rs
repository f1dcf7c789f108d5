//! What a format makes of what is asked for.

use std::ptr::NonNull;

use iopgtable::memory::Publish;
use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Config, Format, Granule, IovaRange, Options,
    PhysAddr, Prot, ProtError, Segment,
};
use walkers::{DeviceType, MemoryType, Shareability};

use crate::machine::{Table, Walked, range};

pub(crate) const FLAGS: [Prot; 6] =
    [Prot::READ, Prot::WRITE, Prot::EXECUTE, Prot::PRIVILEGED, Prot::CACHED, Prot::DEVICE];

/// Every set of flags.
pub(crate) fn all() -> impl Iterator<Item = Prot> {
    (0..1 << FLAGS.len()).map(|bits| {
        let chosen = FLAGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        chosen.fold(Prot::NONE, |prot, (_, &flag)| prot | flag)
    })
}

/// What a format makes of permissions, as its manual says.
pub(crate) trait Meaning: Walked {
    const CONFIG: Config;
    fn refusal(options: Options, prot: Prot) -> Option<ProtError>;
    fn memory(options: Options, prot: Prot) -> (MemoryType, Shareability);
}

/// What no format expresses.
pub(crate) fn common_refusal(prot: Prot) -> Option<ProtError> {
    if !prot.intersects(Prot::READ | Prot::WRITE | Prot::EXECUTE) {
        Some(ProtError::NoPermission)
    } else if prot.contains(Prot::CACHED | Prot::DEVICE) {
        Some(ProtError::CachedDevice)
    } else {
        None
    }
}

/// Stage 1 can forbid everything but reading.
pub(crate) fn stage_1_refusal(options: Options, prot: Prot) -> Option<ProtError> {
    let reads = prot.contains(Prot::READ) || options.contains(Options::NO_PERMISSIONS);
    common_refusal(prot).or((!reads).then_some(ProtError::ReadImplied))
}

/// Stage 2 and Mali do not tell who accesses.
pub(crate) fn stage_2_refusal(prot: Prot) -> Option<ProtError> {
    let privileged = prot.contains(Prot::PRIVILEGED);
    common_refusal(prot).or(privileged.then_some(ProtError::NoPrivilege))
}

pub(crate) fn arm_memory(prot: Prot) -> (MemoryType, Shareability) {
    if prot.contains(Prot::CACHED) {
        (MemoryType::WriteBack, Shareability::Inner)
    } else if prot.contains(Prot::DEVICE) {
        (MemoryType::Device(DeviceType::NGnRE), Shareability::Outer)
    } else {
        (MemoryType::NonCacheable, Shareability::Outer)
    }
}

/// With LPA2, all leaves are shared as the tables are, which walkers snoop here.
pub(crate) fn arm64_memory<G: Granule>(prot: Prot) -> (MemoryType, Shareability) {
    let (memory, shareability) = arm_memory(prot);
    (memory, if G::LPA2 { Shareability::Inner } else { shareability })
}

/// The largest sizes.
pub(crate) const fn arm64_config<G: Granule>() -> Config {
    if G::LPA2 || G::SHIFT == 16 { Config::new(52, 52) } else { Config::new(48, 48) }
}

impl<G: Granule> Meaning for Arm64S1<G> {
    const CONFIG: Config = arm64_config::<G>();

    fn refusal(options: Options, prot: Prot) -> Option<ProtError> {
        stage_1_refusal(options, prot)
    }

    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        arm64_memory::<G>(prot)
    }
}

impl<G: Granule> Meaning for Arm64S2<G> {
    const CONFIG: Config = arm64_config::<G>();

    fn refusal(_: Options, prot: Prot) -> Option<ProtError> {
        stage_2_refusal(prot)
    }

    /// The types are the same under forced write-back: the walker reads them in that encoding.
    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        arm64_memory::<G>(prot)
    }
}

impl Meaning for Arm32S1 {
    const CONFIG: Config = Config::new(31, 40);

    fn refusal(options: Options, prot: Prot) -> Option<ProtError> {
        stage_1_refusal(options, prot)
    }

    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        arm_memory(prot)
    }
}

impl Meaning for Arm32S2 {
    const CONFIG: Config = Config::new(40, 40);

    fn refusal(_: Options, prot: Prot) -> Option<ProtError> {
        stage_2_refusal(prot)
    }

    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        arm_memory(prot)
    }
}

impl Meaning for ArmMali {
    const CONFIG: Config = Config::new(48, 40);

    fn refusal(_: Options, prot: Prot) -> Option<ProtError> {
        stage_2_refusal(prot)
    }

    /// Attributes as Linux writes them; what lies outside the GPU is its outer domain.
    fn memory(_: Options, prot: Prot) -> (MemoryType, Shareability) {
        let attribute = if prot.contains(Prot::CACHED) { 0x8d } else { 0x88 };
        (MemoryType::Other(attribute), Shareability::Outer)
    }
}

/// Every set of a format's options, but for one that takes memory which walkers do not snoop.
pub(crate) fn all_options<F: Format>() -> Vec<Options> {
    let mut all = vec![Options::NONE];
    for option in [
        Options::UPPER_HALF,
        Options::NON_SECURE,
        Options::NO_PERMISSIONS,
        Options::FORCE_WRITE_BACK,
        Options::HARDWARE_DIRTY,
        Options::CONTIGUOUS,
    ] {
        if F::OPTIONS.contains(option) {
            all.extend(all.clone().into_iter().map(|options| options | option));
        }
    }
    all
}

/// What a leaf allows where `prot` is asked for.
pub(crate) fn granted(options: Options, prot: Prot) -> Prot {
    if options.contains(Options::NO_PERMISSIONS) {
        (prot | Prot::RW | Prot::EXECUTE).without(Prot::PRIVILEGED)
    } else {
        prot
    }
}

/// The highest leaves at a level, as many as carry the hint together, and where they lead: as high
/// as it goes, too.
pub(crate) fn highest<F: Format>(table: &Table<'_, F>, level: i8) -> (IovaRange, Segment) {
    let geometry = table.geometry();
    let group = 1u64 << geometry.group_shift(level);
    // A root may have less than a group.
    let bytes = group.min(1 << geometry.input_bits());
    let range = range(geometry.last_iova().0 - (bytes - 1), bytes);
    (range, Segment::new(PhysAddr(geometry.last_phys().0 - (bytes - 1)), bytes))
}

/// Walkers see what was written, but not through the CPU's caches.
pub(crate) struct Uncached;

// SAFETY: the soft MMU reads what the CPU wrote.
unsafe impl Publish for Uncached {
    fn publish(&self, _: NonNull<u8>, _: PhysAddr, _: usize) {}
}
