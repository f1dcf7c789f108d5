//! Leaves of every size allow what was asked for.

use iopgtable::{
    Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, Granule4K, Granule16K, Granule64K, Lpa2, Options,
    Prot,
};
use walkers::{Access, DirtyState, Fault, FaultKind};

use crate::machine::{finish, walk};
use crate::meaning::{Meaning, all, all_options, granted, highest};

fn leaves_mean_with<F: Meaning>(options: Options) {
    let memory = crate::machine::memory();
    let mut table = crate::machine::table::<F>(F::CONFIG.with(options), &memory);
    let geometry = *table.geometry();
    for prot in all() {
        assert_eq!(F::attributes(options, prot).err(), F::refusal(options, prot), "{prot:?}");
        if F::refusal(options, prot).is_some() {
            continue;
        }
        let granted = granted(options, prot);
        let permissions = F::permissions(granted);
        let dirty = options.contains(Options::HARDWARE_DIRTY) && granted.contains(Prot::WRITE);
        for level in geometry.leaf_levels() {
            let (at, segment) = highest(&table, level);
            let size = 1u64 << geometry.entry_shift(level);
            let mapped = table.map(at, [segment], prot);
            finish(&table, mapped.expect("it is legal, and nothing is there"));
            let contiguous = at.bytes() == 1 << geometry.group_shift(level) && at.bytes() > size;
            // The first byte and the last word.
            for into in [0, at.bytes() - 8] {
                let (address, leads) = (at.first().0 + into, segment.phys.0 + into);
                let own = table.translate(iopgtable::Iova(address)).expect("it is mapped");
                assert_eq!((own.prot, own.leaf_bytes), (granted, size), "read back");
                for access in Access::ALL {
                    let expected = permissions.allow(access);
                    match walk(&table, address, access) {
                        Ok(found) => {
                            assert!(expected, "{prot:?} allows {access:?}");
                            assert_eq!(found.permissions, permissions, "{prot:?}");
                            let memory = (found.memory, found.shareability);
                            assert_eq!(memory, F::memory(options, prot), "{prot:?}");
                            assert_eq!((found.address, found.leaf_size), (leads, size));
                            assert_eq!(found.contiguous, contiguous, "{options:?} {size:#x}");
                            assert_eq!(
                                found.dirty_state,
                                dirty.then_some(DirtyState::WritableDirty),
                                "{prot:?} with {options:?}"
                            );
                            assert_eq!(found.non_secure, options.contains(Options::NON_SECURE));
                        }
                        Err(fault) => {
                            assert_eq!(fault, Fault::new(FaultKind::Permission, level));
                            assert!(!expected, "{prot:?} with {options:?} forbids {access:?}");
                        }
                    }
                }
            }
            let whole = geometry.whole();
            let gather = table.unmap(whole, whole).expect("all can be unmapped");
            finish(&table, gather);
        }
    }
}

fn leaves_mean<F: Meaning>() {
    for options in all_options::<F>() {
        leaves_mean_with::<F>(options);
    }
}

#[test]
fn stage_1_leaves_allow_what_was_asked_for() {
    leaves_mean::<Arm64S1<Granule4K>>();
    leaves_mean::<Arm64S1<Granule16K>>();
    leaves_mean::<Arm64S1<Granule64K>>();
    leaves_mean::<Arm64S1<Lpa2<Granule4K>>>();
    leaves_mean::<Arm64S1<Lpa2<Granule16K>>>();
}

#[test]
fn stage_2_leaves_allow_what_was_asked_for() {
    leaves_mean::<Arm64S2<Granule4K>>();
    leaves_mean::<Arm64S2<Granule16K>>();
    leaves_mean::<Arm64S2<Granule64K>>();
    leaves_mean::<Arm64S2<Lpa2<Granule4K>>>();
    leaves_mean::<Arm64S2<Lpa2<Granule16K>>>();
}

#[test]
fn leaves_of_32_bits_allow_what_was_asked_for() {
    leaves_mean::<Arm32S1>();
    leaves_mean::<Arm32S2>();
}

#[test]
fn mali_leaves_allow_what_was_asked_for() {
    leaves_mean::<ArmMali>();
}
