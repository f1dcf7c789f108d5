//! The RISC-V IOMMU: the first stage, and the second one alone.

use walkers::qemu::RiscVIommu;
use walkers::{FaultKind, Forget, Mmu, Regime, RiscVGuestRegisters, RiscVRegisters};

use crate::bed::{Bed, place, start};
use crate::noise::Noise;
use crate::radix::{Entries, Tree};
use crate::remembered::{Page, spaces_are_kept_apart};
use crate::stage::{ACCESSES, READ, Stage, WRITE};

const V: u64 = 1;
const R: u64 = 1 << 1;
const W: u64 = 1 << 2;
const X: u64 = 1 << 3;
const U: u64 = 1 << 4;
const A: u64 = 1 << 6;
const D: u64 = 1 << 7;
/// `G`, and what is software's.
const IGNORED: u64 = 1 << 5 | 3 << 8;

/// Entries with `U`, which QEMU does not look at, and without bits that it reads as others do not:
/// 63:54, and a clear `A` of a leaf that may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum One {
    First,
    Second,
}

const STAGES: [One; 2] = [One::First, One::Second];

impl Entries for One {
    fn link(&self, table: u64, _: u32) -> u64 {
        table >> 2 | V
    }

    fn table(&self, entry: u64) -> Option<u64> {
        (entry & (V | R | W | X) == V).then_some(entry >> 10 << 12)
    }

    fn any_leaf(&self, noise: &mut Noise, output: u64, level: u32) -> u64 {
        let rights = loop {
            // W without R is reserved, and stays in as well.
            let rights = noise.bits() & (R | W | X);
            if level == 1 || rights != 0 {
                break rights;
            }
        };
        let accessed = if rights & W == 0 && noise.one_in(8) { 0 } else { A };
        let dirty = if noise.one_in(4) { 0 } else { D };
        // One in twenty of the large ones is not aligned.
        let askew = if level > 1 && noise.one_in(20) { 1 << 10 } else { 0 };
        output >> 2 | askew | V | U | rights | accessed | dirty | noise.bits() & IGNORED
    }

    fn nothing(&self, noise: &mut Noise) -> u64 {
        noise.bits() & !V
    }
}

impl Stage for One {
    const RIGHTS: [u64; 4] = [R, R | X, X, R | W];

    fn permits(rights: u64) -> (bool, bool) {
        (rights & R != 0, rights & W != 0)
    }

    fn leaf(&self, output: u64, _: u32, rights: u64) -> u64 {
        output >> 2 | rights | V | U | A | D
    }

    fn regime(&self, tree: &Tree) -> Regime {
        let mode = u64::from(tree.levels) + 5;
        let register = mode << 60 | tree.root >> 12;
        match self {
            Self::First => {
                Regime::RiscV(RiscVRegisters { satp: register, ..RiscVRegisters::default() })
            }
            Self::Second => Regime::RiscVGuest(RiscVGuestRegisters {
                hgatp: register,
                ..RiscVGuestRegisters::default()
            }),
        }
    }

    fn tree(&self, bed: &mut Bed, levels: u32) -> Tree {
        Tree::new(bed, levels, if *self == Self::First { 0 } else { 2 })
    }

    /// In the first stage, with the sign of its last bit.
    fn said(&self, tree: &Tree, address: u64) -> u64 {
        let sign = if *self == Self::First { 1 << (tree.input_bits() - 1) } else { 0 };
        (address ^ sign).wrapping_sub(sign)
    }
}

#[test]
fn every_leaf_leads_to_its_bytes_as_far_as_it_permits() {
    let Some((mut bed, mut mmu)) = start::<RiscVIommu>() else { return };
    for stage in STAGES {
        stage.check_leaves(&mut bed, &mut mmu, 3..=5);
    }
}

#[test]
fn random_trees_are_walked_alike() {
    let Some((mut bed, mut mmu)) = start::<RiscVIommu>() else { return };
    for stage in STAGES {
        stage.check_random_trees(&mut bed, &mut mmu, 3..=5);
    }
}

#[test]
fn a_leaf_is_remembered_until_it_is_forgotten() {
    let Some((mut bed, mut mmu)) = start::<RiscVIommu>() else { return };
    let address = 0x1234_5678_9000;
    let range = |first, last| Forget::Range { asid: 6, first, last, leaves_only: true };
    let page = |address, level| Forget::Page { asid: 6, address, level, leaves_only: false };
    let forgets = [
        range(address, address),
        range(address - 0x7000, address + 0x5fff),
        // As many commands as there are for a range; those for the first page must not be lost.
        range(address, address + 0x1f_efff),
        range(0, u64::MAX >> 16),
        page(address + 0x123, Some(3)),
        page(address, None),
        Forget::Space { asid: 6 },
        Forget::Everything,
    ];
    let others = [
        range(address + 0x1000, address + 0x9000),
        range(address - 0x9000, address - 1),
        page(address - 1, Some(3)),
        Forget::Space { asid: 7 },
    ];
    for stage in STAGES {
        bed.clear();
        let tree = stage.tree(&mut bed, 4);
        let leaf = Page {
            regime: &stage.regime(&tree),
            asid: 6,
            address,
            old: bed.target(0x1000),
            new: bed.target(0x8000),
            accesses: ACCESSES,
            map: &|bed, to| tree.map(bed, &stage, address, 1, stage.whole(to, 1)),
        };
        leaf.is_remembered_until(&mut bed, &mut mmu, &forgets, &others);
    }
}

#[test]
fn address_spaces_are_kept_apart() {
    let Some((mut bed, mut mmu)) = start::<RiscVIommu>() else { return };
    let spaces = [(0, 0), (1, 1), (2, 0x7ffe)].map(|(index, asid)| {
        let to = bed.target(index * 0x1000);
        STAGES.map(|stage| {
            let tree = stage.tree(&mut bed, 3);
            tree.map(&mut bed, &stage, 0x7000, 1, stage.whole(to, 1));
            (stage.regime(&tree), asid, to)
        })
    });
    spaces_are_kept_apart(&mut mmu, 0x7000, ACCESSES, spaces.as_flattened());
}

/// Why Svnapot is refused: `N`, bit 63, is not looked at, nor is what `PPN` then says of the size.
#[test]
fn every_entry_of_a_page_of_64k_leads_to_the_same_page() {
    let Some((mut bed, mut mmu)) = start::<RiscVIommu>() else { return };
    let to = bed.target(0);
    assert_eq!(to % 0x1_0000, 0);
    for stage in STAGES {
        let tree = stage.tree(&mut bed, 3);
        let leaf = stage.whole(to | 0x8000, 1) | 1 << 63;
        for page in 0..16 {
            tree.map(&mut bed, &stage, page << 12, 1, leaf);
        }
        mmu.install(&stage.regime(&tree), 1).unwrap();
        for address in [0, 0x8000, 0xf000] {
            assert_eq!(place(&mut mmu, address, READ), Ok(to | 0x8000));
            assert_eq!(place(&mut mmu, address, WRITE), Ok(to | 0x8000));
        }
    }
}

#[test]
fn accessed_and_dirty_bits_are_asked_for_unless_hardware_sets_them() {
    let Some((mut bed, mut mmu)) = start::<RiscVIommu>() else { return };
    let tree = One::First.tree(&mut bed, 3);
    let to = bed.target(0);
    tree.map(&mut bed, &One::First, 0, 1, to >> 2 | V | R | W | U);
    tree.map(&mut bed, &One::First, 0x1000, 1, to >> 2 | V | R | W | U | A);
    let beyond = tree.entry(&mut bed, &One::First, 1 << 30, 2);
    bed.write(beyond, 0x70_0000_0000 >> 2 | V);
    mmu.install(&One::First.regime(&tree), 1).unwrap();
    let answers = |mmu: &mut RiscVIommu| {
        [(0, READ), (0, WRITE), (0x1000, READ), (0x1000, WRITE)]
            .map(|(address, access)| place(mmu, address, access).is_ok())
    };
    assert_eq!(answers(&mut mmu), [false, false, true, false]);
    assert_eq!(place(&mut mmu, 1 << 30, READ), Err(Some(FaultKind::ExternalAbort)));
    let Regime::RiscV(registers) = One::First.regime(&tree) else { unreachable!() };
    let managed = RiscVRegisters { adue: true, ..registers };
    mmu.install(&Regime::RiscV(managed), 1).unwrap();
    assert_eq!(answers(&mut mmu), [true; 4]);
    for refused in [
        RiscVRegisters { napot: true, ..registers },
        RiscVRegisters { pbmt: true, ..registers },
        RiscVRegisters { mxr: true, ..registers },
        RiscVRegisters { satp: 0, ..registers },
    ] {
        assert!(mmu.install(&Regime::RiscV(refused), 1).is_err());
    }
}
