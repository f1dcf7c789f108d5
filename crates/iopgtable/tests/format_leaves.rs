//! A leaf allows what was asked for, to the walker and when it is read back, in every size; what a
//! format cannot express it refuses.

#![cfg(feature = "alloc")]

mod machine;

use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Format, Granule, Granule4K, Granule16K, Granule64K, Options,
    PhysAddr, Prot, ProtError, Segment,
};
use machine::{Walked, finish, range, walk};
use walkers::{
    Access, DeviceType, Fault, FaultKind, MemoryType, Permissions, Rights, Shareability,
};

const FLAGS: [Prot; 6] =
    [Prot::READ, Prot::WRITE, Prot::EXECUTE, Prot::PRIVILEGED, Prot::CACHED, Prot::DEVICE];

/// Every set of flags.
fn all() -> impl Iterator<Item = Prot> {
    (0..1 << FLAGS.len()).map(|bits| {
        let chosen = FLAGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        chosen.fold(Prot::NONE, |prot, (_, &flag)| prot | flag)
    })
}

/// What a format makes of permissions, as its manual says.
trait Meaning: Walked {
    const CONFIG: Config;
    fn refusal(prot: Prot) -> Option<ProtError>;
    fn permissions(prot: Prot) -> Permissions;
    fn memory(prot: Prot) -> (MemoryType, Shareability);
}

/// What no format expresses.
fn common_refusal(prot: Prot) -> Option<ProtError> {
    if !prot.intersects(Prot::READ | Prot::WRITE | Prot::EXECUTE) {
        Some(ProtError::NoPermission)
    } else if prot.contains(Prot::CACHED | Prot::DEVICE) {
        Some(ProtError::CachedDevice)
    } else {
        None
    }
}

fn rights(prot: Prot) -> Rights {
    Rights {
        read: prot.contains(Prot::READ),
        write: prot.contains(Prot::WRITE),
        execute: prot.contains(Prot::EXECUTE),
    }
}

fn arm_memory(prot: Prot) -> (MemoryType, Shareability) {
    if prot.contains(Prot::CACHED) {
        (MemoryType::WriteBack, Shareability::Inner)
    } else if prot.contains(Prot::DEVICE) {
        (MemoryType::Device(DeviceType::NGnRE), Shareability::Outer)
    } else {
        (MemoryType::NonCacheable, Shareability::Outer)
    }
}

impl<G: Granule> Meaning for Arm64S1<G> {
    const CONFIG: Config = Config::new(48, 48);

    fn refusal(prot: Prot) -> Option<ProtError> {
        let reads = prot.contains(Prot::READ);
        common_refusal(prot).or((!reads).then_some(ProtError::ReadImplied))
    }

    /// What unprivileged accesses may write, privileged ones cannot execute (D8.4.1.2).
    fn permissions(prot: Prot) -> Permissions {
        let mut privileged = rights(prot);
        let mut unprivileged = rights(prot);
        if prot.contains(Prot::PRIVILEGED) {
            unprivileged = Rights::default();
        }
        privileged.execute &= !unprivileged.write;
        Permissions { privileged, unprivileged }
    }

    fn memory(prot: Prot) -> (MemoryType, Shareability) {
        arm_memory(prot)
    }
}

impl<G: Granule> Meaning for Arm64S2<G> {
    const CONFIG: Config = Config::new(48, 48);

    fn refusal(prot: Prot) -> Option<ProtError> {
        let privileged = prot.contains(Prot::PRIVILEGED);
        common_refusal(prot).or(privileged.then_some(ProtError::NoPrivilege))
    }

    fn permissions(prot: Prot) -> Permissions {
        Permissions { privileged: rights(prot), unprivileged: rights(prot) }
    }

    fn memory(prot: Prot) -> (MemoryType, Shareability) {
        arm_memory(prot)
    }
}

impl Meaning for ArmMali {
    const CONFIG: Config = Config::new(48, 40);

    fn refusal(prot: Prot) -> Option<ProtError> {
        Arm64S2::<Granule4K>::refusal(prot)
    }

    fn permissions(prot: Prot) -> Permissions {
        Permissions { privileged: rights(prot), unprivileged: rights(prot) }
    }

    /// Attributes as Linux writes them; what lies outside the GPU is its outer domain.
    fn memory(prot: Prot) -> (MemoryType, Shareability) {
        let attribute = if prot.contains(Prot::CACHED) { 0x8d } else { 0x88 };
        (MemoryType::Other(attribute), Shareability::Outer)
    }
}

fn leaves_mean<F: Meaning>() {
    let memory = machine::memory();
    for prot in all() {
        assert_eq!(F::attributes(Options::NONE, prot).err(), F::refusal(prot), "{prot:?}");
        if F::refusal(prot).is_some() {
            continue;
        }
        let mut table = machine::table::<F>(F::CONFIG, &memory);
        let sizes: Vec<u64> = table.geometry().leaf_sizes().collect();
        for size in sizes {
            let leads = (1 << 40) - 2 * size;
            let mapped =
                table.map(range(2 * size, size), [Segment::new(PhysAddr(leads), size)], prot);
            let gather = mapped.expect("it is legal, and nothing is there");
            finish(&table, gather);
            let at = 3 * size - 8;
            let own = table.translate(iopgtable::Iova(at)).expect("it is mapped");
            assert_eq!((own.prot, own.leaf_bytes), (prot, size), "read back");
            let mut allowed = 0;
            for access in Access::ALL {
                match walk(&table, at, access) {
                    Ok(found) => {
                        allowed += 1;
                        assert!(F::permissions(prot).allow(access), "{prot:?} allows {access:?}");
                        assert_eq!(found.permissions, F::permissions(prot), "{prot:?}");
                        assert_eq!((found.memory, found.shareability), F::memory(prot), "{prot:?}");
                        assert_eq!((found.address, found.leaf_size), (leads + size - 8, size));
                        assert!(!found.contiguous);
                    }
                    Err(fault) => {
                        let level = table.geometry().leaf_level(
                            iopgtable::Iova(2 * size),
                            PhysAddr(leads),
                            size,
                        );
                        assert_eq!(fault, Fault::new(FaultKind::Permission, level));
                        assert!(!F::permissions(prot).allow(access), "{prot:?} forbids {access:?}");
                    }
                }
            }
            assert!(allowed > 0, "{prot:?} allows nothing");
        }
    }
    assert_eq!(memory.live(), 0);
}

#[test]
fn stage_1_leaves_allow_what_was_asked_for() {
    leaves_mean::<Arm64S1<Granule4K>>();
    leaves_mean::<Arm64S1<Granule16K>>();
    leaves_mean::<Arm64S1<Granule64K>>();
}

#[test]
fn stage_2_leaves_allow_what_was_asked_for() {
    leaves_mean::<Arm64S2<Granule4K>>();
    leaves_mean::<Arm64S2<Granule16K>>();
    leaves_mean::<Arm64S2<Granule64K>>();
}

#[test]
fn mali_leaves_allow_what_was_asked_for() {
    leaves_mean::<ArmMali>();
}

/// The access flag is set (a device that does not manage it would fault), mappings are not global.
/// Arm DDI 0487, table D8-52: AF 10, nG 11, SH 9:8, AP 7:6, `AttrIndx` 4:2, UXN 54, PXN 53.
#[test]
fn a_page_of_stage_1_is_as_computed_by_hand() {
    let memory = machine::memory();
    let mut table = machine::table::<Arm64S1<Granule4K>>(Config::new(48, 48), &memory);
    let page = Segment::new(PhysAddr(0x1234_5000), 0x1000);
    let _ = table.map(range(0, 0x1000), [page], Prot::RW | Prot::CACHED).unwrap();
    // nG, AF, inner shareable, AP[1] (unprivileged), attribute 1, a page; no execution.
    let entry = 0x0060_0000_1234_5f47;
    let tables = machine::contents(&table);
    assert!(tables.values().any(|words| words[0] == entry), "{tables:x?}");
}

/// The engine strings loose tables together through words whose low three bits are zero.
fn words_without_low_bits_are_empty<F: Format>() {
    for level in 0..=3 {
        for high in 0..61 {
            let word = (1u64 << high | 1 << (60 - high)) << 3;
            assert_eq!(F::decode(word, level), iopgtable::format::Entry::Empty);
        }
    }
}

#[test]
fn a_word_with_its_low_three_bits_clear_is_empty() {
    words_without_low_bits_are_empty::<Arm64S1<Granule4K>>();
    words_without_low_bits_are_empty::<Arm64S2<Granule16K>>();
    words_without_low_bits_are_empty::<ArmMali>();
}
