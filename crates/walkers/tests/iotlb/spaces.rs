//! Address spaces: tagged, and forgotten one by one.

use walkers::iotlb::{Invalidations, Iotlb};
use walkers::{Forget, Mmu};

use crate::memory::{Memory, PATH, read, x86_64};

/// Two address spaces, 1 and 2, with roots of their own and the same tables below; both walked.
fn two() -> (Memory, Iotlb<Memory>) {
    let memory = Memory::new(&PATH);
    memory.write(0x7000, 0x2007);
    let mut mmu = Iotlb::new(memory.clone(), Invalidations::Ranges);
    for (asid, root) in [(1, 0x1000), (2, 0x7000)] {
        mmu.install(&x86_64(root), asid).expect("x86-64 is walked");
        assert_eq!(read(&mut mmu, 0), Some(0x5000));
    }
    memory.write(0x4000, 0x9007);
    (memory, mmu)
}

fn both(mmu: &mut Iotlb<Memory>) -> [Option<u64>; 2] {
    [1, 2].map(|asid| {
        mmu.switch_to(asid).expect("it was installed");
        read(mmu, 0)
    })
}

const STALE: Option<u64> = Some(0x5000);
const FRESH: Option<u64> = Some(0x9000);

#[test]
fn switching_keeps_what_is_known_of_all() {
    let (_, mut mmu) = two();
    assert_eq!(both(&mut mmu), [STALE, STALE]);
}

#[test]
fn each_is_forgotten_on_its_own() {
    let (_, mut mmu) = two();
    mmu.forget(Forget::Space { asid: 1 }).unwrap();
    assert_eq!(both(&mut mmu), [FRESH, STALE]);
    let (_, mut mmu) = two();
    mmu.forget(Forget::Range { asid: 2, first: 0, last: 0, leaves_only: true }).unwrap();
    assert_eq!(both(&mut mmu), [STALE, FRESH]);
    mmu.forget(Forget::Page { asid: 1, address: 0, level: Some(3), leaves_only: true }).unwrap();
    assert_eq!(both(&mut mmu), [FRESH, FRESH]);
    let (_, mut mmu) = two();
    mmu.forget(Forget::Everything).unwrap();
    assert_eq!(both(&mut mmu), [FRESH, FRESH]);
    assert_ne!(mmu.remembered(), 0);
}

#[test]
fn installing_forgets_the_one_that_is_installed() {
    let (_, mut mmu) = two();
    mmu.install(&x86_64(0x1000), 1).unwrap();
    assert_eq!(both(&mut mmu), [FRESH, STALE]);
}

#[test]
fn there_is_no_switching_to_what_was_not_installed() {
    let (_, mut mmu) = two();
    assert!(mmu.switch_to(3).is_err());
}
