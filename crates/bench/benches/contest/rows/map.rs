//! Rows that map much in one call.

use std::rc::Rc;

use iopgtable::{
    Arm64S1, Arm64S2, Format, Granule4K, Granule16K, Granule64K, Lpa2, Segment, SegmentList,
};
use iopgtable_bench::{Bar, Contender, Row};

use super::{Range, Scale, contender};
use crate::contest::order::scattered;
use crate::contest::ours::Ours;
use crate::contest::peers::{AArch64Paging, PageTableGeneric, PageTableMultiarch, X86_64};
use crate::contest::tables::{Tables, leads};
use crate::contest::{IOVA, limits};

type S1 = Ours<Arm64S1<Granule4K>>;

/// Pages in 1 GiB, 2 MiB blocks in 64 GiB.
const PAGES: u64 = 1 << 18;
const BLOCKS: u64 = 1 << 15;

/// The bars of the rows that other formats have, too.
const EMPTY: Bar = Bar::TimesLimit(1.5);
const LIST: Bar = Bar::TimesLimit(1.3);
const BLOCK: Bar = Bar::Nanoseconds(0.6);

pub(super) fn rows(scale: Scale) -> Vec<Row> {
    let pages = Range::pages(12, scale.of(PAGES));
    let blocks = Range::blocks(12, scale.of(BLOCKS));
    vec![
        Row::new("map 1 GiB of 4 KiB pages, one segment, one call", "page", EMPTY, move || {
            vec![
                limits::pop_fill_publish(pages),
                range::<S1>(pages),
                range::<AArch64Paging>(pages),
                range::<PageTableGeneric>(pages),
                range::<PageTableMultiarch>(pages),
                range::<X86_64>(pages),
            ]
        }),
        Row::new(
            "map 1 GiB of 4 KiB pages over empty tables, one call",
            "page",
            Bar::TimesLimit(1.5),
            move || {
                vec![
                    limits::check_store(pages),
                    over_empty_tables::<S1>(pages),
                    over_empty_tables::<AArch64Paging>(pages),
                    over_empty_tables::<PageTableMultiarch>(pages),
                    over_empty_tables::<X86_64>(pages),
                ]
            },
        ),
        Row::new("map 1 GiB from a list of 4 KiB segments, one call", "page", LIST, move || {
            lists(pages, 1)
        }),
        Row::new("the same list, looked at before the call", "page", LIST, move || {
            known_lists(pages, 1)
        }),
        Row::new(
            "map 1 GiB from a list of 64 KiB segments, one call",
            "page",
            Bar::Nanoseconds(0.5),
            move || lists(pages, 16),
        ),
        Row::new(
            "the same list of 64 KiB segments, with the contiguous hint",
            "page",
            Bar::Nanoseconds(0.5),
            move || {
                let segments = scattered(pages.entries / 16, 16 * pages.leaf_bytes());
                vec![
                    limits::pop_list_publish(pages, Rc::clone(&segments)),
                    list::<Ours<Arm64S1<Granule4K>, true>>(pages, &segments),
                ]
            },
        ),
        Row::new("map 64 GiB as 2 MiB blocks, one segment, one call", "block", BLOCK, move || {
            vec![
                limits::pop_fill_publish(blocks),
                range::<S1>(blocks),
                range::<AArch64Paging>(blocks),
                range::<PageTableGeneric>(blocks),
                range::<PageTableMultiarch>(blocks),
                range::<X86_64>(blocks),
            ]
        }),
    ]
}

/// The first, the third and the fifth row per entry, for the other granules and for stage 2.
pub(super) fn rows_of_other_formats(scale: Scale) -> Vec<Row> {
    let mut rows =
        rows_of::<Arm64S1<Granule16K>>(scale, "16 KiB granule", |range| vec![generic::<14>(range)]);
    rows.extend(rows_of::<Arm64S1<Granule64K>>(scale, "64 KiB granule", |range| {
        vec![generic::<16>(range)]
    }));
    rows.extend(rows_of::<Arm64S1<Lpa2<Granule4K>>>(scale, "4 KiB granule, LPA2", |_| Vec::new()));
    rows.extend(rows_of::<Arm64S2<Granule4K>>(scale, "stage 2", |range| {
        vec![self::range::<AArch64Paging<aarch64_paging::paging::Stage2>>(range)]
    }));
    rows.extend(rows_of::<Arm64S2<Granule16K>>(scale, "stage 2, 16 KiB granule", |_| Vec::new()));
    rows.extend(rows_of::<Arm64S2<Granule64K>>(scale, "stage 2, 64 KiB granule", |_| Vec::new()));
    rows
}

fn generic<const SHIFT: u32>(range: Range) -> Contender {
    self::range::<PageTableGeneric<SHIFT>>(range)
}

fn rows_of<F: Format>(
    scale: Scale,
    label: &str,
    peers: impl Fn(Range) -> Vec<Contender> + Copy + 'static,
) -> Vec<Row> {
    let shift = u32::from(F::PAGE_SHIFT);
    let pages = Range::pages(shift, scale.of(PAGES));
    let blocks = Range::blocks(shift, scale.of(BLOCKS));
    let of_range = move |range: Range| {
        let mut contenders = vec![limits::pop_fill_publish(range), self::range::<Ours<F>>(range)];
        contenders.extend(peers(range));
        contenders
    };
    vec![
        Row::new(format!("{label}: map 2^18 pages, one segment"), "page", EMPTY, move || {
            of_range(pages)
        }),
        Row::new(
            format!("{label}: map 2^18 pages from a list of pages"),
            "page",
            LIST,
            move || {
                let segments = scattered(pages.entries, pages.leaf_bytes());
                vec![list::<Ours<F>>(pages, &segments), limits::pop_list_publish(pages, segments)]
            },
        ),
        Row::new(format!("{label}: map 2^15 blocks, one segment"), "block", BLOCK, move || {
            of_range(blocks)
        }),
    ]
}

/// Everybody who has 4 KiB pages, with segments of so many of them.
fn lists(range: Range, pages_per_segment: u64) -> Vec<Contender> {
    let bytes = range.leaf_bytes() * pages_per_segment;
    let segments = scattered(range.entries / pages_per_segment, bytes);
    vec![
        limits::pop_list_publish(range, Rc::clone(&segments)),
        list::<S1>(range, &segments),
        list::<AArch64Paging>(range, &segments),
        list::<PageTableGeneric>(range, &segments),
        list::<PageTableMultiarch>(range, &segments),
        list::<X86_64>(range, &segments),
    ]
}

/// Ours with a list that is kept, as buffers keep theirs.
fn known_lists(range: Range, pages_per_segment: u64) -> Vec<Contender> {
    let bytes = range.leaf_bytes() * pages_per_segment;
    let segments = scattered(range.entries / pages_per_segment, bytes);
    let list = SegmentList::new(Rc::clone(&segments)).expect("segments of memory");
    vec![
        limits::pop_list_publish(range, Rc::clone(&segments)),
        list_by::<S1>(range, segments, move |table| table.map_known(IOVA, &list)),
    ]
}

fn range<T: Tables>(range: Range) -> Contender {
    contender::<T>(range.tables(), move |round, table| {
        round.time(range.entries, || range.map(table));
        round.check(|| range.leads(table));
    })
}

fn over_empty_tables<T: Tables>(range: Range) -> Contender {
    contender::<T>(range.tables(), move |round, table| {
        range.map(table);
        // Half a table at a time: none of them lies in the hole.
        let half = range.leaf_bytes() * range.per_table() / 2;
        for offset in (0..range.bytes()).step_by(half as usize) {
            table.unmap_part(IOVA + offset, half);
        }
        round.check(|| table.translate(IOVA).is_none());
        round.time(range.entries, || range.map(table));
        round.check(|| range.leads(table));
    })
}

fn list<T: Tables>(range: Range, segments: &Rc<[Segment]>) -> Contender {
    // Everybody reads the same list: copies would push each other out of the caches.
    let mine = Rc::clone(segments);
    list_by(range, Rc::clone(segments), move |table: &mut T| table.map_list(IOVA, &mine))
}

/// `map` maps a list of segments.
fn list_by<T: Tables>(
    range: Range,
    segments: Rc<[Segment]>,
    map: impl Fn(&mut T) + 'static,
) -> Contender {
    let page = range.leaf_bytes();
    let pages_per_segment = range.entries / segments.len() as u64;
    contender::<T>(range.tables(), move |round, table| {
        round.time(range.entries, || map(table));
        round.check(|| {
            leads(table, IOVA, range.entries, page, |index| {
                let segment = segments[(index / pages_per_segment) as usize];
                segment.phys.0 + index % pages_per_segment * page
            })
        });
    })
}
