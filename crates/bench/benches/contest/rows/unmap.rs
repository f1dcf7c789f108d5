//! Rows that unmap much.

use iopgtable::{Arm64S1, Granule4K, Invalidate, Invalidation};
use iopgtable_bench::{Bar, Contender, Role, Row};

use super::{Range, Scale, contender};
use crate::contest::ours::{Ours, range};
use crate::contest::peers::{AArch64Paging, PageTableGeneric, PageTableMultiarch, X86_64};
use crate::contest::tables::{Tables, nothing_at};
use crate::contest::{IOVA, limits};

type S1 = Ours<Arm64S1<Granule4K>>;

/// No cost that grows with the pages: so little that it is only that of the tables.
const LOOSE: Bar = Bar::Nanoseconds(0.02);

pub(super) fn rows(scale: Scale) -> Vec<Row> {
    let pages = Range::pages(12, scale.of(1 << 18));
    vec![
        Row::new(
            "unmap 1 GiB of 4 KiB pages, tables come loose, one call",
            "page",
            LOOSE,
            move || {
                vec![
                    limits::unlink(pages),
                    all::<S1>(pages),
                    all::<AArch64Paging>(pages),
                    all::<PageTableGeneric>(pages),
                ]
            },
        ),
        Row::new(
            "unmap 511 of 512 pages of each table, tables stay",
            "page",
            Bar::Nanoseconds(0.3),
            move || {
                vec![
                    limits::clear(pages),
                    all_but_a_page::<S1>(pages),
                    all_but_a_page::<AArch64Paging>(pages),
                    all_but_a_page::<PageTableGeneric>(pages),
                    all_but_a_page::<PageTableMultiarch>(pages),
                    all_but_a_page::<X86_64>(pages),
                ]
            },
        ),
        Row::new(
            "unmap 1 GiB and invalidate it, one range (limit: do not)",
            "page",
            LOOSE,
            move || vec![gather(pages, Role::Limit), gather(pages, Role::Ours)],
        ),
    ]
}

fn all<T: Tables>(range: Range) -> Contender {
    contender::<T>(range.tables(), move |round, table| {
        range.map(table);
        round.time(range.entries, || table.unmap_all(IOVA, range.bytes()));
        round.check(|| unmapped(table, range, |_| true));
    })
}

fn all_but_a_page<T: Tables>(range: Range) -> Contender {
    let page = range.leaf_bytes();
    let (span, part) = (range.per_table() * page, (range.per_table() - 1) * page);
    contender::<T>(range.tables(), move |round, table| {
        range.map(table);
        round.time(range.entries_but_last(), || {
            for offset in (0..range.bytes()).step_by(span as usize) {
                table.unmap_part(IOVA + offset, part);
            }
        });
        round.check(|| {
            let last = |index: u64| index % range.per_table() == range.per_table() - 1;
            unmapped(table, range, |index| !last(index))
                && (0..range.entries)
                    .filter(|&index| last(index))
                    .all(|index| table.leaf(IOVA + index * page).is_some())
        });
    })
}

/// Whether the pages that `gone` names map nothing.
fn unmapped<T: Tables>(table: &T, range: Range, gone: impl Fn(u64) -> bool) -> bool {
    let pages = (0..range.entries).filter(|&index| gone(index));
    nothing_at(table, pages.map(|index| IOVA + index * range.leaf_bytes()))
}

/// A device that counts what it is told to forget.
#[derive(Default)]
struct Counting {
    calls: usize,
    bytes: u64,
}

// SAFETY: nothing walks the tables.
unsafe impl Invalidate for Counting {
    type Error = std::convert::Infallible;

    fn invalidate(&mut self, stale: &Invalidation) -> Result<(), Self::Error> {
        self.calls += 1;
        self.bytes += stale.leaves.map_or(0, iopgtable::IovaRange::bytes);
        Ok(())
    }
}

/// Unmaps, and as `ours` has a device told about it.
fn gather(pages: Range, role: Role) -> Contender {
    let name = if role == Role::Limit { "limit" } else { S1::NAME };
    let memory = S1::memory(pages.tables());
    let whole = range(IOVA, pages.bytes());
    Contender::new(name, role, move |round| {
        let mut table = S1::new(&memory);
        pages.map(&mut table);
        let mut device = Counting::default();
        let page_table = table.table();
        let told = if role == Role::Limit {
            let gather = round
                .time(pages.entries, || page_table.unmap(whole, whole))
                .expect("no leaf is cut");
            let stale = gather.stale().leaves == Some(whole);
            let Ok(invalidated) = gather.invalidate(&mut device);
            page_table.free(invalidated);
            stale
        } else {
            let invalidated = round.time(pages.entries, || {
                let gather = page_table.unmap(whole, whole).expect("no leaf is cut");
                let Ok(invalidated) = gather.invalidate(&mut device);
                invalidated
            });
            page_table.free(invalidated);
            (device.calls, device.bytes) == (1, pages.bytes())
        };
        round.check(|| told && unmapped(&table, pages, |_| true));
    })
}
