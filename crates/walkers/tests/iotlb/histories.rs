//! Histories of edits, in each format: with the right invalidations nothing stale is seen, and
//! without them everything that was seen before is seen again.

use proptest::prelude::*;
use walkers::iotlb::{Invalidations, Iotlb};
use walkers::soft::{SoftMmu, Stage1Registers};
use walkers::{
    Access, AmdV1Registers, Answer, DartRegisters, DartVariant, Mmu, Regime, Request,
    RiscVRegisters, ShortDescriptorRegisters, VtdSecondStageRegisters,
};

use crate::memory::{ASID, Memory, forget_page, forget_range, x86_64};

/// How a format writes entries, from the first level that changes to the last.
struct Format {
    regime: Regime,
    /// What is needed above the first level that changes; its table is at [`TOP`].
    above: &'static [(u64, u64)],
    /// log2 of what an entry spans, level by level; the last one is level 3.
    spans: &'static [u8],
    width: u64,
    /// An entry that leads to a table at an address, by level.
    pointer: fn(i8, u64) -> u64,
    /// A leaf at an address, by level, if there are some.
    leaf: fn(i8, u64) -> Option<u64>,
}

/// The table of the first level that changes.
const TOP: u64 = 0x10_0000;
/// Each table changes this many entries, and each but the last level's has as many children.
const ENTRIES: u64 = 2;

const RW: u64 = 0b11 << 61 | 1;

fn formats() -> Vec<Format> {
    let stage1 =
        Stage1Registers { ttbr0: Some(TOP), ttbr1: None, tcr: 25 | 0b101 << 32, mair: 0xff };
    vec![
        Format {
            regime: x86_64(0x1000),
            above: &[(0x1000, TOP | 7)],
            spans: &[30, 21, 12],
            width: 8,
            pointer: |_, table| table | 7,
            leaf: |level, address| Some(address | if level == 3 { 7 } else { 0x87 }),
        },
        Format {
            regime: Regime::Stage1(stage1),
            above: &[],
            spans: &[30, 21, 12],
            width: 8,
            pointer: |_, table| table | 3,
            leaf: |level, address| Some(address | if level == 3 { 0x743 } else { 0x741 }),
        },
        Format {
            regime: Regime::RiscV(RiscVRegisters {
                satp: 8 << 60 | TOP >> 12,
                ..Default::default()
            }),
            above: &[],
            spans: &[30, 21, 12],
            width: 8,
            pointer: |_, table| table >> 2 | 1,
            leaf: |_, address| Some(address >> 2 | 0xdf),
        },
        Format {
            regime: Regime::VtdSecondStage(VtdSecondStageRegisters {
                pointer: TOP,
                address_width: 1,
                host_bits: 46,
                access_dirty: false,
            }),
            above: &[],
            spans: &[30, 21, 12],
            width: 8,
            pointer: |_, table| table | 3,
            leaf: |level, address| Some(address | if level == 3 { 3 } else { 0x83 }),
        },
        Format {
            regime: Regime::AmdV1(AmdV1Registers {
                device_table_entry: [RW | 1 << 1 | 3 << 9 | TOP, 0, 0, 0],
            }),
            above: &[],
            spans: &[30, 21, 12],
            width: 8,
            // The manual's level below, which is 4 less Arm's, less one.
            pointer: |level, table| RW | (3 - u64::from(level.unsigned_abs())) << 9 | table,
            leaf: |_, address| Some(RW | address),
        },
        Format {
            regime: Regime::ShortDescriptors(ShortDescriptorRegisters {
                ttbr0: TOP as u32,
                ..Default::default()
            }),
            above: &[],
            spans: &[20, 12],
            width: 4,
            pointer: |_, table| table | 1,
            leaf: |level, address| Some(address | if level == 3 { 0x32 } else { 0xc02 }),
        },
        Format {
            regime: Regime::Dart(DartRegisters {
                ttbr: [1 << 31 | (TOP >> 12) as u32, 0, 0, 0],
                variant: DartVariant::T8020,
            }),
            above: &[],
            spans: &[25, 14],
            width: 8,
            pointer: |_, table| table | 1,
            leaf: |level, address| (level == 3).then_some(0xfff << 40 | address | 1),
        },
    ]
}

/// An entry that changes: its place in the tree, index by index.
#[derive(Clone, Copy, Debug)]
struct Place {
    depth: usize,
    indices: [u64; 3],
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
enum Becomes {
    Absent,
    Leaf(u64),
    Table,
}

impl Format {
    fn level(&self, depth: usize) -> i8 {
        4 + depth as i8 - self.spans.len() as i8
    }

    /// Where the table that the first `depth` indices lead to is. All tables are 64 KiB apart, as
    /// far as a format's needs.
    fn table(place: Place, depth: usize) -> u64 {
        let number = (0..depth).fold(1, |number, depth| number * ENTRIES + place.indices[depth]);
        if depth == 0 { TOP } else { TOP + number * 0x1_0000 }
    }

    fn address(&self, place: Place, depth: usize) -> u64 {
        (0..=depth).map(|depth| place.indices[depth] << self.spans[depth]).sum()
    }

    /// Does it in memory, and says the range and whether tables come loose.
    fn apply(&self, memory: &Memory, place: Place, becomes: Becomes) -> (u64, u64, bool) {
        let depth = place.depth.min(self.spans.len() - 1);
        let level = self.level(depth);
        let span = 1u64 << self.spans[depth];
        let value = match becomes {
            Becomes::Table if depth + 1 < self.spans.len() => {
                (self.pointer)(level, Self::table(place, depth + 1))
            }
            Becomes::Absent | Becomes::Table => 0,
            Becomes::Leaf(number) => {
                (self.leaf)(level, number % 8 * span.max(1 << 16)).unwrap_or(0)
            }
        };
        let entry = Self::table(place, depth) + place.indices[depth] * self.width;
        // What is there: a table?
        let word = walkers::PhysMemory::read_u64(memory, entry & !7).unwrap_or(0);
        let shift = (entry & 7) * 8;
        let mask = if self.width == 4 { 0xffff_ffff } else { u64::MAX };
        let was_table = depth + 1 < self.spans.len()
            && word >> shift & mask == (self.pointer)(level, Self::table(place, depth + 1));
        memory.write(entry & !7, word & !(mask << shift) | value << shift);
        let first = self.address(place, depth);
        (first, first + (span - 1), was_table)
    }

    /// All that the tree can map, at its leaves' first and last byte.
    fn probes(&self) -> Vec<Request> {
        let depth = self.spans.len() - 1;
        let leaves = ENTRIES.pow(self.spans.len() as u32);
        let addresses = (0..leaves).flat_map(|leaf| {
            let indices = [0, 1, 2].map(|at| leaf >> at & 1);
            let first = self.address(Place { depth, indices }, depth);
            [first, first + (1 << self.spans[depth]) - 1]
        });
        addresses.map(|address| Request { address, access: Access::UNPRIVILEGED_READ }).collect()
    }
}

fn place() -> impl Strategy<Value = Place> {
    (0..3usize, prop::array::uniform3(0..ENTRIES))
        .prop_map(|(depth, indices)| Place { depth, indices })
}

fn becomes() -> impl Strategy<Value = Becomes> {
    prop_oneof![
        1 => Just(Becomes::Absent),
        3 => any::<u64>().prop_map(Becomes::Leaf),
        3 => Just(Becomes::Table),
    ]
}

fn answers(mmu: &mut impl Mmu, probes: &[Request]) -> Vec<Answer> {
    let mut answers = Vec::new();
    mmu.translate(probes, &mut answers).expect("tables are installed");
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn with_the_right_invalidations_nothing_stale_is_seen_and_without_them_everything(
        edits in prop::collection::vec((place(), becomes(), any::<bool>()), 1..40),
    ) {
        for format in formats() {
            let memory = Memory::new(format.above);
            let probes = format.probes();
            let mut fresh = SoftMmu::new(memory.clone());
            fresh.install(&format.regime, ASID).unwrap();
            let mut told = Iotlb::new(memory.clone(), Invalidations::Ranges);
            told.install(&format.regime, ASID).unwrap();
            let mut untold = Iotlb::new(memory.clone(), Invalidations::Ranges);
            untold.install(&format.regime, ASID).unwrap();
            let mut seen = answers(&mut untold, &probes);

            for &(place, becomes, by_page) in &edits {
                let (first, last, was_table) = format.apply(&memory, place, becomes);
                if by_page && !was_table {
                    // One leaf at most was there: any address in it, without the tables.
                    forget_page(&mut told, first, None, true);
                } else {
                    forget_range(&mut told, first, last, !was_table);
                }
                let expected = answers(&mut fresh, &probes);
                prop_assert_eq!(answers(&mut told, &probes), expected, "{:?}", format.regime);

                let stale = answers(&mut untold, &probes);
                for (then, now) in seen.iter().zip(&stale) {
                    prop_assert!(then.is_err() || then == now, "{:?}", format.regime);
                }
                seen = stale;
            }
        }
    }

    #[test]
    fn one_invalidation_that_is_missing_is_seen(
        edits in prop::collection::vec((place(), becomes()), 4..40),
        missing: prop::sample::Index,
    ) {
        for format in formats() {
            let memory = Memory::new(format.above);
            let probes = format.probes();
            let mut fresh = SoftMmu::new(memory.clone());
            fresh.install(&format.regime, ASID).unwrap();
            let mut told = Iotlb::new(memory.clone(), Invalidations::Ranges);
            told.install(&format.regime, ASID).unwrap();
            let missing = missing.index(edits.len());
            for (at, &(place, becomes)) in edits.iter().enumerate().take(missing + 1) {
                let before = answers(&mut told, &probes);
                let (first, last, was_table) = format.apply(&memory, place, becomes);
                if at < missing {
                    forget_range(&mut told, first, last, !was_table);
                    continue;
                }
                // What was mapped and has changed is seen as it was.
                let now = answers(&mut fresh, &probes);
                let stale = answers(&mut told, &probes);
                for ((before, now), stale) in before.iter().zip(&now).zip(&stale) {
                    if before.is_ok() && before != now {
                        prop_assert_eq!(stale, before);
                        prop_assert_ne!(stale, now);
                    }
                }
            }
        }
    }
}
