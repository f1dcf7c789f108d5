//! A plan in the plainest way: a list of pieces, each with the memory that it shows and, when it is
//! evicted, the leaves that it had. Everything is recounted from that list.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gpuvm::{Backing, Op, Space};
use iopgtable::{Geometry, IovaRange, LAST_LEVEL, PhysAddr, Prot, Segment};
use proptest::prelude::*;
use proptest::sample::select;

use crate::ops::{GIB, MIB, PAGE, range};

/// A backing, and what it was made of.
pub(crate) struct Memory {
    pub(crate) backing: Arc<Backing>,
    segments: Vec<Segment>,
    repeats: bool,
    /// The longest mapping of it that the tests make: not gigabytes in pages.
    longest: u64,
}

fn memory(segments: Vec<Segment>, repeats: bool, longest: u64) -> Memory {
    let make = if repeats { Backing::repeating } else { Backing::new };
    Memory { backing: make(segments.clone()).unwrap(), segments, repeats, longest }
}

fn runs(phys: u64, run: u64, gap: u64, count: u64) -> Vec<Segment> {
    (0..count).map(|n| Segment::new(PhysAddr(phys + n * (run + gap)), run)).collect()
}

/// Pairs of backings of equal length that can stand in for each other, with leaves of different
/// sizes.
pub(crate) fn memories() -> Vec<Memory> {
    let once = |segments| memory(segments, false, 3 * GIB);
    let again = |segments| memory(segments, true, 40 * MIB);
    vec![
        once(runs(4 * GIB, 3 * GIB, 0, 1)),
        once(runs(8 * GIB + 2 * MIB, 3 * GIB, 0, 1)),
        once(runs(16 * GIB, 2 * MIB, 2 * MIB, 8)),
        once(runs(20 * GIB, 16 * MIB, 0, 1)),
        once(runs(24 * GIB, 2 * PAGE, PAGE, 1024)),
        once(runs(28 * GIB, 8 * MIB, 0, 1)),
        again(runs(32 * GIB, 2 * MIB, 0, 1)),
        again(runs(36 * GIB, MIB, PAGE, 2)),
        again(runs(40 * GIB, 6 * MIB, 0, 1)),
        again(runs(44 * GIB, 3 * MIB, MIB, 2)),
        again(runs(48 * GIB, 64 << 10, 0, 1)),
        again(runs(52 * GIB, PAGE, PAGE, 16)),
    ]
}

/// A canonical leaf: its first address, where it leads, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Leaf {
    pub(crate) first: u64,
    pub(crate) phys: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) memory: usize,
    /// Modulo nothing: for the address 0.
    base: u64,
    pub(crate) prot: Prot,
    /// The leaves that it had when it was evicted, if it is.
    pub(crate) evicted: Option<Vec<Leaf>>,
}

#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) evicted: BTreeSet<usize>,
}

impl Model {
    /// Splits what lies over `at` there.
    fn cut(&mut self, at: u64) {
        let Some(index) = self.pieces.iter().position(|one| one.first < at && at <= one.last)
        else {
            return;
        };
        let mut above = self.pieces[index].clone();
        self.pieces[index].last = at - 1;
        above.first = at;
        self.pieces.insert(index + 1, above);
    }

    pub(crate) fn apply(&mut self, memories: &[Memory], geometry: &Geometry, op: &Raw) {
        let (first, last) = (op.first, op.first + (op.bytes - 1));
        let inside = |one: &Piece| one.first <= last && first <= one.last;
        match op.kind {
            Kind::Map { memory, offset, prot } => {
                self.cut(first);
                self.cut(last + 1);
                self.pieces.retain(|one| !inside(one));
                let evicted = self.evicted.contains(&memory).then(Vec::new);
                let base = offset.wrapping_sub(first);
                self.pieces.push(Piece { first, last, memory, base, prot, evicted });
                self.pieces.sort_by_key(|one| one.first);
            }
            Kind::Unmap => {
                self.cut(first);
                self.cut(last + 1);
                self.pieces.retain(|one| !inside(one));
            }
            Kind::Protect(prot) => {
                for at in [first, last + 1] {
                    let over = |one: &&Piece| one.first < at && at <= one.last;
                    if self.pieces.iter().find(over).is_some_and(|one| one.prot != prot) {
                        self.cut(at);
                    }
                }
                for one in self.pieces.iter_mut().filter(|one| inside(one)) {
                    one.prot = prot;
                }
            }
            Kind::Split => {
                self.cut(first);
                self.cut(last + 1);
            }
            Kind::Evict(memory) => {
                self.evicted.insert(memory);
                for one in &mut self.pieces {
                    if one.memory == memory && one.evicted.is_none() {
                        one.evicted = Some(leaves(memories, geometry, one));
                    }
                }
            }
            Kind::Restore { memory, with } => {
                self.evicted.remove(&with);
                for one in &mut self.pieces {
                    if [memory, with].contains(&one.memory) && one.evicted.is_some() {
                        one.evicted = None;
                        one.memory = with;
                    }
                }
            }
        }
    }

    /// All leaves that the device should see, with what they allow.
    pub(crate) fn leaves(&self, memories: &[Memory], geometry: &Geometry) -> Vec<(Leaf, Prot)> {
        let present = self.pieces.iter().filter(|one| one.evicted.is_none());
        present
            .flat_map(|one| {
                leaves(memories, geometry, one).into_iter().map(|leaf| (leaf, one.prot))
            })
            .collect()
    }

    /// All tables, by level and number: those that a leaf needs on its way, or that one needed
    /// that was cleared and of which some is left in the plan.
    pub(crate) fn tables(&self, memories: &[Memory], geometry: &Geometry) -> Tables {
        let mut tables = Tables::new();
        for one in &self.pieces {
            let now;
            let had = if let Some(had) = &one.evicted {
                had
            } else {
                now = leaves(memories, geometry, one);
                &now
            };
            let left = had.iter().filter(|leaf| {
                leaf.first <= one.last && one.first <= leaf.first + (leaf.bytes - 1)
            });
            for leaf in left {
                for level in geometry.first_level() + 1..=LAST_LEVEL {
                    if 1 << geometry.table_shift(level) > leaf.bytes {
                        let table = leaf.first >> geometry.table_shift(level);
                        tables.entry(level).or_default().insert(table);
                    }
                }
            }
        }
        tables
    }

    /// The mapping at `address`, if the device should see it: where it leads, and what is allowed.
    pub(crate) fn translate(&self, memories: &[Memory], address: u64) -> Option<(u64, Prot)> {
        let here = |one: &&Piece| one.first <= address && address <= one.last;
        let one = self.pieces.iter().find(here).filter(|one| one.evicted.is_none())?;
        Some((run_at(&memories[one.memory], one.base.wrapping_add(address)).0, one.prot))
    }

    pub(crate) fn check_plan(&self, memories: &[Memory], space: &Space) {
        let found: Vec<_> = space
            .placed()
            .map(|placed| {
                let one = &placed.mapping;
                let is_it = |memory: &Memory| Arc::ptr_eq(&memory.backing, &one.backing);
                let memory = memories.iter().position(is_it).unwrap();
                let ends = (one.range.first().0, one.range.last().0);
                (ends, memory, one.offset, one.prot, placed.is_evicted())
            })
            .collect();
        let expected: Vec<_> = self
            .pieces
            .iter()
            .map(|one| {
                let mut offset = one.base.wrapping_add(one.first);
                if memories[one.memory].repeats {
                    offset %= memories[one.memory].backing.bytes();
                }
                ((one.first, one.last), one.memory, offset, one.prot, one.evicted.is_some())
            })
            .collect();
        assert_eq!(found, expected);
    }
}

pub(crate) type Tables = BTreeMap<i8, BTreeSet<u64>>;

/// Where `offset` lies, and how many bytes follow it in its segment.
fn run_at(memory: &Memory, offset: u64) -> (u64, u64) {
    let total: u64 = memory.segments.iter().map(|segment| segment.bytes).sum();
    let mut offset = if memory.repeats { offset % total } else { offset };
    for segment in &memory.segments {
        if offset < segment.bytes {
            return (segment.phys.0 + offset, segment.bytes - offset);
        }
        offset -= segment.bytes;
    }
    panic!("offset {offset:#x} beyond the end");
}

/// The canonical leaves of a piece, found greedily.
pub(crate) fn leaves(memories: &[Memory], geometry: &Geometry, piece: &Piece) -> Vec<Leaf> {
    let sizes: Vec<u64> = geometry.leaf_sizes().collect();
    let mut leaves = Vec::new();
    let mut first = piece.first;
    while first <= piece.last {
        let (mut phys, run) = run_at(&memories[piece.memory], piece.base.wrapping_add(first));
        let mut left = run.min(piece.last - first + 1);
        while left > 0 {
            let fits = |size: &&u64| (first | phys) % **size == 0 && left >= **size;
            let bytes = *sizes.iter().find(fits).expect("a page always fits");
            leaves.push(Leaf { first, phys, bytes });
            first += bytes;
            phys += bytes;
            left -= bytes;
        }
    }
    leaves
}

/// An operation in numbers.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) first: u64,
    pub(crate) bytes: u64,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Map { memory: usize, offset: u64, prot: Prot },
    Unmap,
    Protect(Prot),
    Split,
    Evict(usize),
    Restore { memory: usize, with: usize },
}

impl Raw {
    pub(crate) fn op(&self, memories: &[Memory]) -> Op {
        let range = range(self.first, self.bytes);
        let of = |memory: usize| Arc::clone(&memories[memory].backing);
        match self.kind {
            Kind::Map { memory, offset, prot } => {
                Op::Map { range, backing: of(memory), offset, prot }
            }
            Kind::Unmap => Op::Unmap { range },
            Kind::Protect(prot) => Op::Protect { range, prot },
            Kind::Split => Op::Split { range },
            Kind::Evict(memory) => Op::Evict { backing: of(memory) },
            Kind::Restore { memory, with } => Op::Restore { backing: of(memory), with: of(with) },
        }
    }

    pub(crate) fn touched(&self) -> IovaRange {
        range(self.first, self.bytes)
    }
}

/// Whole units, or a few pages off, from a border between two tables on, or before and behind one.
fn extent() -> impl Strategy<Value = (u64, u64)> {
    let borders = vec![510 * GIB, 510 * GIB, 511 * GIB - 4 * MIB, 512 * GIB - 4 * MIB];
    (
        select(borders),
        select(vec![PAGE, 64 << 10, MIB, MIB, 2 * MIB, 2 * MIB, GIB]),
        0..6u64,
        1..5u64,
        select(vec![0, 0, 0, PAGE]),
        select(vec![0, 0, 0, PAGE]),
        select(vec![0, 0, MIB]),
    )
        .prop_map(|(border, unit, start, length, before, after, short)| {
            let bytes = length * unit + before + after;
            let bytes = if bytes > 2 * short { bytes - short } else { bytes };
            (border + start * unit - before, bytes)
        })
}

fn prot() -> impl Strategy<Value = Prot> {
    select(vec![Prot::RW, Prot::RW, Prot::READ, Prot::READ | Prot::CACHED])
}

/// Operations on two pairs of backings.
pub(crate) fn raw(
    memories: &'static [Memory],
    pairs: [usize; 2],
) -> impl Strategy<Value = Raw> + use<> {
    let memory = move || (0..4usize).prop_map(move |n| pairs[n / 2] * 2 + n % 2);
    let map = (extent(), memory(), select(vec![0, 0, 0, PAGE, 2 * MIB, 3 * MIB]), prot()).prop_map(
        move |((first, bytes), memory, offset, prot)| {
            let of = &memories[memory];
            let total = of.backing.bytes();
            // No gigabytes in pages.
            let is_coarse = (first ^ offset) % (2 * MIB) == 0;
            let mut bytes = bytes.min(if is_coarse { of.longest } else { 9 * MIB });
            let mut offset = offset;
            if !of.repeats {
                offset = offset.min(total - PAGE);
                bytes = bytes.min(total - offset);
            }
            Raw { first, bytes, kind: Kind::Map { memory, offset, prot } }
        },
    );
    let ranged = prop_oneof![
        3 => Just(Kind::Unmap),
        2 => prot().prop_map(Kind::Protect),
        1 => Just(Kind::Split),
    ];
    let ranged = (extent(), ranged).prop_map(|((first, bytes), kind)| Raw { first, bytes, kind });
    let whole = (memory(), 0..5u32).prop_map(|(memory, what)| {
        let kind = match what {
            0 | 1 => Kind::Evict(memory),
            2 => Kind::Restore { memory, with: memory ^ 1 },
            _ => Kind::Restore { memory, with: memory },
        };
        Raw { first: 510 * GIB, bytes: PAGE, kind }
    });
    prop_oneof![4 => map, 4 => ranged, 5 => whole]
}

/// Jobs of a few operations, and whether the next one is queued before they run.
pub(crate) fn jobs(memories: &'static [Memory]) -> impl Strategy<Value = Vec<(Vec<Raw>, bool)>> {
    let pairs = memories.len() / 2;
    (0..pairs, 0..pairs).prop_flat_map(move |(one, two)| {
        let ops = prop::collection::vec(raw(memories, [one, two]), 1..4);
        prop::collection::vec((ops, prop::bool::weighted(0.2)), 1..24)
    })
}

/// Addresses where something may go wrong: around the ends of all pieces, of leaves, of `touched`.
pub(crate) fn addresses(
    model: &Model,
    leaves: &[(Leaf, Prot)],
    touched: impl IntoIterator<Item = IovaRange>,
) -> BTreeSet<u64> {
    let pieces = model.pieces.iter().map(|one| (one.first, one.last));
    let step = leaves.len() / 200 + 1;
    let leaves = leaves.iter().step_by(step);
    let leaves = leaves.map(|(leaf, _)| (leaf.first, leaf.first + (leaf.bytes - 1)));
    let touched = touched.into_iter().map(|range| (range.first().0, range.last().0));
    pieces
        .chain(leaves)
        .chain(touched)
        .flat_map(|(first, last)| [first - 1, first, first + (last - first) / 2, last, last + 1])
        .collect()
}
