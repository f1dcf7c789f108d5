//! Random operations in numbers that suit every geometry.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use iopgtable::{
    Format, Gather, Geometry, Iova, IovaRange, PageTable, PhysAddr, Prot, Segment, TableAllocator,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::model::Model;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Map,
    Replace,
    Unmap(Hole),
    Clear,
    Protect,
}

/// How much an unmap tells about what is not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    /// The range and no more.
    Range,
    /// All that is free around it.
    Exact,
    /// All that is free on one side.
    Above,
}

#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) kind: Kind,
    /// At the top of the addresses rather than at the bottom.
    high: bool,
    /// Where it starts, in units of a scale, and by how many pages it is off.
    start: (u64, i64),
    length: (u64, i64),
    /// 0: pages, 1: small blocks, 2: large ones.
    scale: usize,
    /// Which blocks these are, where there are more than two sizes.
    huge: bool,
    /// The segments: their length, and to which scale they keep the alignment.
    run: (usize, u64),
    aligned: usize,
    phys: u64,
    prot: Prot,
}

#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) range: IovaRange,
    pub(crate) segments: Vec<Segment>,
    pub(crate) prot: Prot,
}

fn raw(kinds: &[Kind], scales: &[usize]) -> impl Strategy<Value = Raw> + use<> {
    let prots = [Prot::RW, Prot::READ | Prot::CACHED, Prot::RW | Prot::EXECUTE | Prot::DEVICE];
    (
        (select(kinds.to_vec()), prop::bool::weighted(0.2), any::<bool>()),
        (0u64..8, select(vec![0i64, 0, 0, 1, -1, 3])),
        (1u64..4, select(vec![0i64, 0, 0, 1, -1, 7])),
        select(scales.to_vec()),
        (select(vec![0usize, 1, 1, 2, 2]), 1u64..4),
        select(vec![0usize, 1, 2, 2, 2]),
        any::<u64>(),
        select(prots.to_vec()),
    )
        .prop_map(|((kind, high, huge), start, length, scale, run, aligned, phys, prot)| Raw {
            kind,
            high,
            start,
            length,
            scale,
            huge,
            run,
            aligned,
            phys,
            prot,
        })
}

const UNMAPS: [Kind; 3] =
    [Kind::Unmap(Hole::Range), Kind::Unmap(Hole::Exact), Kind::Unmap(Hole::Above)];

/// Maps and unmaps, of all sizes.
pub(crate) fn maps_and_unmaps() -> impl Strategy<Value = Raw> {
    raw(&[&[Kind::Map; 5], &UNMAPS[..]].concat(), &[0, 0, 1, 1, 1, 2])
}

/// Everything but replacing maps, of all sizes.
pub(crate) fn plain() -> impl Strategy<Value = Raw> {
    let kinds = [&[Kind::Map; 6], &UNMAPS[..], &[Kind::Clear, Kind::Protect, Kind::Protect]];
    raw(&kinds.concat(), &[0, 0, 1, 1, 1, 2])
}

/// Everything, of all sizes.
pub(crate) fn all() -> impl Strategy<Value = Raw> {
    let maps = [Kind::Map, Kind::Map, Kind::Replace, Kind::Replace];
    let kinds = [&maps[..], &UNMAPS[..], &[Kind::Clear, Kind::Protect]];
    raw(&kinds.concat(), &[0, 0, 1, 1, 1, 2])
}

/// Maps and unmaps of pages and small blocks.
pub(crate) fn small() -> impl Strategy<Value = Raw> {
    raw(&[&[Kind::Map; 3], &[Kind::Replace][..], &UNMAPS[..]].concat(), &[0, 1, 1])
}

impl Raw {
    pub(crate) fn range(&self, geometry: &Geometry) -> IovaRange {
        let scales = self.scales(geometry);
        let (page, unit) = (scales[0], scales[self.scale]);
        let near = |(count, off): (u64, i64)| {
            let off = off * i64::try_from(page).expect("pages are small");
            (count * unit).saturating_add_signed(off)
        };
        let (lowest, last) = (geometry.first_iova().0, geometry.last_iova().0);
        let start = near(self.start) & (last - lowest) & !(page - 1);
        let first = if self.high { last - start - (page - 1) } else { lowest + start };
        let bytes = near(self.length).max(page).min((last - first).saturating_add(1));
        IovaRange::new(Iova(first), bytes).expect("there is room for a page")
    }

    pub(crate) fn mapping(&self, geometry: &Geometry) -> Mapping {
        let range = self.range(geometry);
        let scales = self.scales(geometry);
        let [page, small, large] = scales;
        let memory = geometry.last_phys().0 + 1;
        let (scale, count) = self.run;
        // Not too many leaves, and not more memory than there is.
        let many_pages = range.bytes() / page > 8192;
        let least = (range.bytes() / 256 / small).max(u64::from(many_pages)) * small;
        let run = (scales[scale] * count).max(least).min(memory / 4);
        let most = |size: u64| if size == page { 8192 } else { 2048 };
        let mut aligns = scales[self.aligned..].iter().copied();
        let align = aligns.find(|&size| range.bytes() / size <= most(size)).unwrap_or(large);
        let mut segments = Vec::new();
        let (mut first, mut left, mut seed) = (range.first().0, range.bytes(), self.phys);
        while left > 0 {
            let bytes = run.min(left);
            let slots = (memory - bytes) / large;
            let offset = first % align + if align == page { page } else { 0 };
            let phys = (seed % slots) * large + offset % large;
            segments.push(Segment::new(PhysAddr(phys), bytes));
            first = first.wrapping_add(bytes);
            left -= bytes;
            seed = seed.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        Mapping { range, segments, prot: self.prot }
    }

    pub(crate) fn hole(&self, model: &Model, range: IovaRange) -> IovaRange {
        let exact = model.hole(range);
        match self.kind {
            Kind::Unmap(Hole::Exact) => exact,
            Kind::Unmap(Hole::Above) => {
                IovaRange::inclusive(range.first(), exact.last()).expect("it holds the range")
            }
            _ => range,
        }
    }

    /// Does it: by the table itself, or with a reservation. Nothing where a map would be refused.
    pub(crate) fn operate<F: Format, A: TableAllocator + Clone>(
        &self,
        table: &mut PageTable<F, A>,
        model: &mut Model,
        reserve: bool,
    ) -> Option<(Gather, IovaRange)> {
        let mapping = self.mapping(model.geometry());
        let range = mapping.range;
        if self.kind == Kind::Map && model.first_mapped(range).is_some() {
            return None;
        }
        let hole = self.hole(model, range);
        let change = match self.kind {
            Kind::Unmap(_) => model.unmap(range, hole),
            Kind::Clear => model.zap(range),
            Kind::Protect => model.protect(range, mapping.prot),
            Kind::Map | Kind::Replace => model.replace(range, &mapping.segments, mapping.prot),
        };
        let gather = if reserve || self.kind == Kind::Replace {
            let reserver = table.reserver();
            let mut pages =
                reserver.reserve(&change.made, range.first(), true).expect("there is room");
            let mut reserved = table.reserved(&mut pages).expect("it is this table's");
            let done = match self.kind {
                Kind::Map => reserved.map(range, mapping.segments, mapping.prot),
                Kind::Replace => reserved.replace(range, mapping.segments, mapping.prot),
                Kind::Unmap(_) => reserved.unmap(range, hole),
                Kind::Clear => reserved.clear(range),
                Kind::Protect => reserved.protect(range, mapping.prot),
            };
            assert_eq!(reserved.remaining(), 0);
            done.expect("nothing is wrong with it")
        } else {
            let done = match self.kind {
                Kind::Map | Kind::Replace => match mapping.segments[..] {
                    [one] => table.map(range, one, mapping.prot),
                    _ => table.map(range, mapping.segments, mapping.prot),
                },
                Kind::Unmap(_) => table.unmap(range, hole),
                Kind::Clear => table.clear(range),
                Kind::Protect => table.protect(range, mapping.prot),
            };
            done.expect("nothing is wrong with it")
        };
        Some((gather, range))
    }

    /// A page, a small block, a large one.
    fn scales(&self, geometry: &Geometry) -> [u64; 3] {
        let sizes: Vec<u64> =
            geometry.leaf_levels().map(|level| 1 << geometry.entry_shift(level)).collect();
        match sizes[..] {
            [huge, large, _, page] if self.huge => [page, large, huge],
            [.., large, small, page] => [page, small, large],
            [large, page] => [page, large, large],
            // Pages of several entries, where there are no blocks.
            [page] => [page, page << 4, page << 7],
            _ => panic!("a format with {sizes:?}"),
        }
    }
}
