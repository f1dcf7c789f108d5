//! VT-d's first stage: x86-64's tables.

use walkers::qemu::Vtd;
use walkers::{
    Access, FaultKind, Forget, Mmu, Regime, Request, VtdSecondStageRegisters, X86_64Registers,
};

use crate::bed::{Bed, agree, ask, machine, place, places, strict};
use crate::noise::Noise;
use crate::radix::{Entries, Tree};

const READ: Access = Access::UNPRIVILEGED_READ;
const WRITE: Access = Access::UNPRIVILEGED_WRITE;

const P: u64 = 1;
const W: u64 = 1 << 1;
const U: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
/// Reserved beyond an address of 48 bits.
const RESERVED: u64 = 1 << 50;
/// `PWT`, `PCD`, `A`, and what is software's.
const IGNORED: u64 = 0x7ff0_0000_0000_0e38;

struct First;

impl Entries for First {
    fn link(&self, table: u64, _: u32) -> u64 {
        table | P | W | U
    }

    fn table(&self, entry: u64) -> Option<u64> {
        (entry & (P | LARGE) == P).then_some(entry & 0xf_ffff_ffff_f000)
    }

    /// Where a reserved bit is set, everything is permitted: QEMU looks at rights first.
    fn leaf(&self, noise: &mut Noise, output: u64, level: u32) -> u64 {
        let large = if level > 1 { LARGE } else { 0 };
        let rights = if noise.one_in(12) { W | U | RESERVED } else { noise.bits() & (W | U) };
        output | large | P | rights | noise.bits() & IGNORED
    }

    fn nothing(&self, noise: &mut Noise) -> u64 {
        noise.bits() & !P
    }
}

fn regime(tree: &Tree) -> Regime {
    Regime::X86_64(X86_64Registers {
        cr3: tree.root,
        la57: tree.levels == 5,
        nxe: true,
        wp: true,
        smep: false,
        pat: 0,
        physical_bits: 48,
    })
}

fn second(tree: &Tree) -> Regime {
    Regime::VtdSecondStage(VtdSecondStageRegisters {
        pointer: tree.root,
        address_width: 2,
        host_bits: 48,
        access_dirty: false,
    })
}

/// With the sign of its bit 47.
fn canonical(address: u64) -> u64 {
    (address ^ 1 << 47).wrapping_sub(1 << 47)
}

fn both(addresses: impl IntoIterator<Item = u64>) -> Vec<Request> {
    let accesses = |address| [READ, WRITE].map(|access| Request { address, access });
    addresses.into_iter().flat_map(accesses).collect()
}

#[test]
fn every_leaf_leads_to_its_bytes_as_far_as_it_permits() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let tree = Tree::new(&mut bed, 4, 0);
    let to = bed.target(0x20_0000);
    let regime = regime(&tree);
    for (level, large) in [(1, 0), (2, LARGE), (3, LARGE)] {
        let below: u64 = (1 << (3 + 9 * level)) - 1;
        for from in [0, (1 << 33) + (0x1234_5678 & !below), canonical((1 << 48) - (1 << 30))] {
            let address = from & !below | to & below;
            for rights in [0, U, W, U | W] {
                let entry = to & !below | large | rights | P;
                tree.map(&mut bed, &First, address, level, entry);
                mmu.install(&regime, 4).unwrap();
                let requests = both([address + 0x123, address + 0xff8]);
                for (request, found) in requests.iter().zip(places(&mut mmu, &requests)) {
                    let right = if request.access == WRITE { U | W } else { U };
                    let target = request.address - address + to;
                    assert_eq!(found, (rights & right == right).then_some(target));
                }
                let asked = both([address, address + 8, address ^ 0x1000]);
                agree(&bed, &mut mmu, &regime, &asked, &strict);
            }
            // Not there for the sizes that come.
            for above in level..4 {
                tree.map(&mut bed, &First, address, above, 0);
            }
        }
    }
}

#[test]
fn each_fault_has_its_class() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let tree = Tree::new(&mut bed, 4, 0);
    let to = bed.target(0);
    tree.map(&mut bed, &First, 0, 1, to | P | W | U | RESERVED);
    tree.map(&mut bed, &First, 0x1000, 1, to | P | W);
    tree.map(&mut bed, &First, 0x20_0000, 2, (to + 0x2000) | P | W | U | LARGE);
    tree.map(&mut bed, &First, 0x40_0000, 2, 0x70_0000_0000 | P | W | U);
    mmu.install(&regime(&tree), 4).unwrap();
    for (address, kind) in [
        (0, FaultKind::Reserved),
        (0x1000, FaultKind::Permission),
        (0x2000, FaultKind::Translation),
        (0x20_0000, FaultKind::Reserved),
        (0x40_0000, FaultKind::ExternalAbort),
        (1 << 47, FaultKind::Translation),
        (1 << 63, FaultKind::Translation),
    ] {
        for access in [READ, WRITE] {
            let refusal = ask(&mut mmu, address, access).unwrap_err();
            assert_eq!(refusal.kind, Some(kind), "{address:x}");
        }
    }
    assert_eq!(place(&mut mmu, 0xfee0_0000, WRITE), Err(None), "an interrupt");
}

#[test]
fn random_trees_are_walked_alike() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let mut noise = Noise(57);
    let tree = Tree::new(&mut bed, 4, 0);
    let grown = tree.grow(&mut bed, &mut noise, &First, 3);
    let mut addresses = Vec::new();
    for address in grown.into_iter().map(canonical) {
        let near = address ^ noise.below(0x1000);
        addresses.extend([address, near, address ^ 1 << noise.below(50)]);
    }
    addresses.retain(|address| !(0xfee0_0000..0xfef0_0000).contains(address));
    let regime = regime(&tree);
    mmu.install(&regime, 3).unwrap();
    let tally = agree(&bed, &mut mmu, &regime, &both(addresses), &strict);
    println!("{tally:?}");
    assert!(tally.reached >= 300 && tally.refused >= 300, "{tally:?}");
}

#[test]
fn a_leaf_is_remembered_until_it_is_forgotten() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let tree = Tree::new(&mut bed, 4, 0);
    let regime = regime(&tree);
    let (old, new) = (bed.target(0x1000), bed.target(0x8000));
    let address = canonical(0xffff_1234_5000);
    for forget in [
        Forget::Range { asid: 2, first: address, last: address + 7, leaves_only: true },
        Forget::Page { asid: 2, address, level: None, leaves_only: false },
        Forget::Space { asid: 2 },
        Forget::Everything,
    ] {
        tree.map(&mut bed, &First, address, 1, old | P | W | U);
        mmu.install(&regime, 2).unwrap();
        let found = |mmu: &mut Vtd| [READ, WRITE].map(|access| place(mmu, address, access));
        assert_eq!(found(&mut mmu), [Ok(old); 2]);
        tree.map(&mut bed, &First, address, 1, new | P | W | U);
        mmu.forget(Forget::Space { asid: 3 }).unwrap();
        assert_eq!(found(&mut mmu), [Ok(old); 2], "nothing was forgotten");
        mmu.forget(forget).unwrap();
        assert_eq!(found(&mut mmu), [Ok(new); 2], "{forget:?}");
    }
}

/// The IOMMU goes from scalable to legacy mode and back.
#[test]
fn the_stages_take_turns() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let trees = [0, 1].map(|_| Tree::new(&mut bed, 4, 0));
    let to = [0, 1].map(|index| bed.target(index * 0x1000));
    for (tree, to) in trees.iter().zip(to) {
        // Both stages take these entries for a page that permits all.
        tree.map(&mut bed, &First, 0x7000, 1, to | P | W | U);
    }
    for turn in 0..6 {
        let regime = if turn % 2 == 0 { regime(&trees[0]) } else { second(&trees[1]) };
        mmu.install(&regime, turn).unwrap();
        for access in [READ, WRITE] {
            let expected = Ok(to[usize::from(turn % 2)]);
            assert_eq!(place(&mut mmu, 0x7000, access), expected, "turn {turn}");
        }
    }
}

#[test]
fn five_levels_and_far_roots_are_refused() {
    let mut bed = Bed::new(Vtd::RAM);
    let Some(mut mmu) = machine(Vtd::locate(), &bed, Vtd::start) else { return };
    let five = Tree::new(&mut bed, 5, 0);
    let far = Tree { root: 1 << 48, levels: 4, wider: 0 };
    for tree in [five, far] {
        assert!(mmu.install(&regime(&tree), 0).is_err());
    }
}
