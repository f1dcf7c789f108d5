//! VT-d's first stage: x86-64's tables.

use walkers::qemu::Vtd;
use walkers::{FaultKind, Forget, Mmu, Regime, VtdSecondStageRegisters, X86_64Registers};

use crate::bed::{ask, place, start};
use crate::noise::Noise;
use crate::radix::{Entries, Tree};
use crate::remembered::{Page, spaces_are_kept_apart};
use crate::stage::{ACCESSES, Stage, WRITE};

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
    fn any_leaf(&self, noise: &mut Noise, output: u64, level: u32) -> u64 {
        let rights = if noise.one_in(12) { W | U | RESERVED } else { noise.bits() & (W | U) };
        self.leaf(output, level, rights | noise.bits() & IGNORED)
    }

    fn nothing(&self, noise: &mut Noise) -> u64 {
        noise.bits() & !P
    }
}

impl Stage for First {
    const RIGHTS: [u64; 4] = [0, U, W, U | W];

    fn permits(rights: u64) -> (bool, bool) {
        (rights & U != 0, rights & (U | W) == U | W)
    }

    fn leaf(&self, output: u64, level: u32, rights: u64) -> u64 {
        output | P | rights | if level > 1 { LARGE } else { 0 }
    }

    fn regime(&self, tree: &Tree) -> Regime {
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

    /// With the sign of its bit 47.
    fn said(&self, _: &Tree, address: u64) -> u64 {
        (address ^ 1 << 47).wrapping_sub(1 << 47)
    }
}

fn second(tree: &Tree) -> Regime {
    Regime::VtdSecondStage(VtdSecondStageRegisters {
        pointer: tree.root,
        address_width: 2,
        host_bits: 48,
        access_dirty: false,
    })
}

#[test]
fn every_leaf_leads_to_its_bytes_as_far_as_it_permits() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    First.check_leaves(&mut bed, &mut mmu, 4..=4);
}

#[test]
fn random_trees_are_walked_alike() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    First.check_random_trees(&mut bed, &mut mmu, 4..=4);
}

#[test]
fn each_fault_has_its_class() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    let tree = First.tree(&mut bed, 4);
    let to = bed.target(0);
    tree.map(&mut bed, &First, 0, 1, to | P | W | U | RESERVED);
    tree.map(&mut bed, &First, 0x1000, 1, to | P | W);
    tree.map(&mut bed, &First, 0x20_0000, 2, (to + 0x2000) | P | W | U | LARGE);
    tree.map(&mut bed, &First, 0x40_0000, 2, 0x70_0000_0000 | P | W | U);
    mmu.install(&First.regime(&tree), 4).unwrap();
    for (address, kind) in [
        (0, FaultKind::Reserved),
        (0x1000, FaultKind::Permission),
        (0x2000, FaultKind::Translation),
        (0x20_0000, FaultKind::Reserved),
        (0x40_0000, FaultKind::ExternalAbort),
        (1 << 47, FaultKind::Translation),
        (1 << 63, FaultKind::Translation),
    ] {
        for access in ACCESSES {
            let refusal = ask(&mut mmu, address, access).unwrap_err();
            assert_eq!(refusal.kind, Some(kind), "{address:x}");
        }
    }
    assert_eq!(place(&mut mmu, 0xfee0_0000, WRITE), Err(None), "an interrupt");
}

#[test]
fn a_leaf_is_remembered_until_it_is_forgotten() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    let tree = First.tree(&mut bed, 4);
    let address = First.said(&tree, 0xffff_1234_5000);
    let leaf = Page {
        regime: &First.regime(&tree),
        asid: 2,
        address,
        old: bed.target(0x1000),
        new: bed.target(0x8000),
        accesses: ACCESSES,
        map: &|bed, to| tree.map(bed, &First, address, 1, First.whole(to, 1)),
    };
    let forgets = [
        Forget::Range { asid: 2, first: address, last: address + 7, leaves_only: true },
        Forget::Page { asid: 2, address, level: None, leaves_only: false },
        Forget::Space { asid: 2 },
        Forget::Everything,
    ];
    leaf.is_remembered_until(&mut bed, &mut mmu, &forgets, &[Forget::Space { asid: 3 }]);
}

/// The IOMMU goes from scalable to legacy mode and back.
#[test]
fn the_stages_take_turns() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    let [first, other] = [0, 1].map(|index| {
        let (tree, to) = (First.tree(&mut bed, 4), bed.target(index * 0x1000));
        // Both stages take this entry for a page that permits all.
        tree.map(&mut bed, &First, 0x7000, 1, First.whole(to, 1));
        (tree, to)
    });
    let turns = [0, 2, 4].map(|asid| {
        [(First.regime(&first.0), asid, first.1), (second(&other.0), asid + 1, other.1)]
    });
    spaces_are_kept_apart(&mut mmu, 0x7000, ACCESSES, turns.as_flattened());
}

#[test]
fn five_levels_and_far_roots_are_refused() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    let five = First.tree(&mut bed, 5);
    let far = Tree { root: 1 << 48, levels: 4, wider: 0 };
    for tree in [five, far] {
        assert!(mmu.install(&First.regime(&tree), 0).is_err());
    }
}
