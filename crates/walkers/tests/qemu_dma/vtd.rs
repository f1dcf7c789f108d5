//! VT-d's second stage.

use std::sync::Arc;

use walkers::qemu::Vtd;
use walkers::{FaultKind, Forget, Mmu, Regime, VtdSecondStageRegisters};

use crate::bed::{ask, place, start};
use crate::noise::Noise;
use crate::radix::{Entries, Tree};
use crate::remembered::{Page, spaces_are_kept_apart};
use crate::stage::{ACCESSES, Stage};

const R: u64 = 1;
const W: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;
const SNOOP: u64 = 1 << 11;
/// Bits that are software's: 63, 61:52, 10:8 (A and D among them, where they are not set), 6:2.
const IGNORED: u64 = 0xbff0_0000_0000_077c;

struct Second;

impl Entries for Second {
    fn link(&self, table: u64, _: u32) -> u64 {
        table | R | W
    }

    fn table(&self, entry: u64) -> Option<u64> {
        (entry & (R | W) != 0 && entry & LARGE == 0).then_some(entry & 0xf_ffff_ffff_f000)
    }

    fn any_link(&self, noise: &mut Noise, table: u64, level: u32) -> u64 {
        let taken = if noise.one_in(5) { noise.bits() & W } else { 0 };
        self.link(table, level) & !taken | noise.bits() & IGNORED
    }

    fn any_leaf(&self, noise: &mut Noise, output: u64, level: u32) -> u64 {
        let reserved = if noise.one_in(12) { 1 << 62 } else { 0 };
        self.leaf(output, level, reserved | noise.bits() & (IGNORED | SNOOP | R | W))
    }

    fn nothing(&self, noise: &mut Noise) -> u64 {
        noise.bits() & !(R | W)
    }
}

impl Stage for Second {
    const RIGHTS: [u64; 4] = [0, R, W | SNOOP, R | W];

    fn permits(rights: u64) -> (bool, bool) {
        (rights & R != 0, rights & W != 0)
    }

    fn leaf(&self, output: u64, level: u32, rights: u64) -> u64 {
        output | rights | if level > 1 { LARGE } else { 0 }
    }

    fn regime(&self, tree: &Tree) -> Regime {
        Regime::VtdSecondStage(VtdSecondStageRegisters {
            pointer: tree.root,
            address_width: tree.levels as u8 - 2,
            host_bits: 48,
            access_dirty: false,
        })
    }
}

#[test]
fn every_leaf_leads_to_its_bytes_as_far_as_it_permits() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    Second.check_leaves(&mut bed, &mut mmu, 3..=4);
}

#[test]
fn random_trees_are_walked_alike() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    Second.check_random_trees(&mut bed, &mut mmu, 3..=4);
}

#[test]
fn reserved_bits_widths_and_lost_tables_have_their_class() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    let tree = Second.tree(&mut bed, 3);
    let to = bed.target(0);
    tree.map(&mut bed, &Second, 0, 1, to | R | W | 1 << 62);
    tree.map(&mut bed, &Second, 0x1000, 1, to | R | W | 1 << 50);
    tree.map(&mut bed, &Second, 0x20_0000, 2, (to + 0x1000) | R | W | LARGE);
    tree.map(&mut bed, &Second, 0x40_0000, 2, to | R | W | SNOOP);
    tree.map(&mut bed, &Second, 0x60_0000, 2, 0x70_0000_0000 | R | W);
    mmu.install(&Second.regime(&tree), 4).unwrap();
    for access in ACCESSES {
        for address in [0, 0x1000, 0x20_0000, 0x40_0000] {
            let refusal = ask(&mut mmu, address, access).unwrap_err();
            assert_eq!(refusal.kind, Some(FaultKind::Reserved), "{address:x}");
        }
        assert_eq!(place(&mut mmu, 1 << 39, access), Err(Some(FaultKind::Translation)));
        assert_eq!(place(&mut mmu, 0x60_0000, access), Err(Some(FaultKind::ExternalAbort)));
        assert_eq!(place(&mut mmu, 0x80_0000, access), Err(None));
        assert_eq!(place(&mut mmu, 0xfee0_0000, access), Err(None), "an interrupt");
    }
}

#[test]
fn a_leaf_is_remembered_until_it_is_forgotten() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    let tree = Second.tree(&mut bed, 4);
    let regime = Second.regime(&tree);
    for (level, span) in [(1, 0x1000), (2, 0x20_0000)] {
        let address = 0x1234_5640_0000;
        let range = |first, last| Forget::Range { asid: 2, first, last, leaves_only: true };
        let page = |address| Forget::Page { asid: 2, address, level: None, leaves_only: false };
        let leaf = Page {
            regime: &regime,
            asid: 2,
            address,
            old: bed.target(0x20_0000),
            new: bed.target(0),
            accesses: ACCESSES,
            map: &|bed, to| tree.map(bed, &Second, address, level, Second.whole(to, level)),
        };
        let forgets = [
            range(address, address + span - 1),
            range(address + span - 1, address + span - 1),
            range(address - 0x7000, address + 3 * span),
            range(0, u64::MAX >> 16),
            page(address + 0x123),
            Forget::Space { asid: 2 },
            Forget::Everything,
        ];
        let others = [
            range(address + span, address + 9 * span),
            range(address - 0x9000, address - 1),
            page(address - 1),
            Forget::Space { asid: 3 },
        ];
        leaf.is_remembered_until(&mut bed, &mut mmu, &forgets, &others);
    }
}

#[test]
fn what_is_installed_makes_other_spaces_forgotten() {
    let Some((mut bed, mut mmu)) = start::<Vtd>() else { return };
    let spaces = [0, 1].map(|index| {
        let (tree, to) = (Second.tree(&mut bed, 3), bed.target(index * 0x1000));
        tree.map(&mut bed, &Second, 0x7000, 1, Second.whole(to, 1));
        (Second.regime(&tree), to)
    });
    let spaces = [0, 1, 2, 3].map(|asid| {
        let (regime, to) = spaces[usize::from(asid) % 2];
        (regime, asid, to)
    });
    spaces_are_kept_apart(&mut mmu, 0x7000, ACCESSES, &spaces);
}

#[test]
fn five_levels_and_far_roots_are_refused() {
    let Some((bed, mut mmu)) = start::<Vtd>() else { return };
    assert_eq!(Arc::strong_count(&bed.ram), 2);
    for (pointer, address_width) in [(0, 3), (0, 0), (1 << 48, 2)] {
        let registers =
            VtdSecondStageRegisters { pointer, address_width, host_bits: 48, access_dirty: false };
        assert!(mmu.install(&Regime::VtdSecondStage(registers), 0).is_err());
    }
}
