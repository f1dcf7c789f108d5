//! Rows that make many calls, for a page each.

use iopgtable::{Arm64S1, Granule4K, Iova, PhysAddr, Prot};
use iopgtable_bench::{Bar, Contender, Row};

use super::{Scale, contender};
use crate::contest::order::{ascending, shuffled};
use crate::contest::ours::{Ours, range};
use crate::contest::peers::{AArch64Paging, PageTableGeneric, PageTableMultiarch, X86_64};
use crate::contest::tables::{Leaf, Tables, leads, nothing_at};
use crate::contest::{GIB, IOVA, PAGE, PHYS, limits};

type S1 = Ours<Arm64S1<Granule4K>>;

/// One contender for each who takes part in all of these rows.
macro_rules! everybody {
    ($limit:expr, $contender:ident($($argument:expr),*)) => {
        vec![
            $limit,
            $contender::<S1>($($argument),*),
            $contender::<AArch64Paging>($($argument),*),
            $contender::<PageTableGeneric>($($argument),*),
            $contender::<PageTableMultiarch>($($argument),*),
            $contender::<X86_64>($($argument),*),
        ]
    };
}

pub(super) fn rows(scale: Scale) -> Vec<Row> {
    const IN_ORDER: Bar = Bar::Nanoseconds(4.0);
    const RANDOM: Bar = Bar::Nanoseconds(6.0);
    const SPARSE: Bar = Bar::Nanoseconds(40.0);
    /// With a place kept from page to page.
    const CURSOR: Bar = Bar::Nanoseconds(2.0);
    let pages = scale.of(1 << 18);
    let far = scale.of(192);
    let near = scale.of(512);
    vec![
        Row::new("map 1 GiB, a 4 KiB page a call, in order", "page", IN_ORDER, move || {
            everybody!(limits::walk_map(ascending(pages)), map(&ascending(pages)))
        }),
        Row::new("map 1 GiB, a 4 KiB page a call, random", "page", RANDOM, move || {
            everybody!(limits::walk_map(shuffled(pages)), map(&shuffled(pages)))
        }),
        Row::new("unmap 1 GiB, a 4 KiB page a call, in order", "page", IN_ORDER, move || {
            everybody!(limits::walk_unmap(ascending(pages)), unmap(&ascending(pages)))
        }),
        Row::new("unmap 1 GiB, a 4 KiB page a call, random", "page", RANDOM, move || {
            everybody!(limits::walk_unmap(shuffled(pages)), unmap(&shuffled(pages)))
        }),
        Row::new("map 1 GiB through a cursor, page by page, in order", "page", CURSOR, move || {
            vec![limits::walk_map(ascending(pages)), cursor_map(&ascending(pages))]
        }),
        Row::new("map 1 GiB through a cursor, page by page, random", "page", RANDOM, move || {
            vec![limits::walk_map(shuffled(pages)), cursor_map(&shuffled(pages))]
        }),
        Row::new(
            "unmap 1 GiB through a cursor, page by page, in order",
            "page",
            CURSOR,
            move || vec![limits::walk_unmap(ascending(pages)), cursor_unmap(&ascending(pages))],
        ),
        Row::new("unmap 1 GiB through a cursor, page by page, random", "page", RANDOM, move || {
            vec![limits::walk_unmap(shuffled(pages)), cursor_unmap(&shuffled(pages))]
        }),
        Row::new("translate, random over 1 GiB", "page", Bar::TimesLimit(1.3), move || {
            everybody!(limits::walk_translate(shuffled(pages)), translate(&shuffled(pages)))
        }),
        Row::new("map a page in each 512 GiB, 3 new tables each", "page", SPARSE, move || {
            everybody!(limits::pop_path(far, 3), sparse(far, 512 * GIB, 3))
        }),
        Row::new("map a page in each GiB, 2 new tables each", "page", SPARSE, move || {
            everybody!(limits::pop_path(near, 2), sparse(near, GIB, 2))
        }),
    ]
}

fn tables(order: &[u32]) -> usize {
    order.len().div_ceil(512) + 8
}

fn map<T: Tables>(order: &[u32]) -> Contender {
    let order = order.to_vec();
    let count = order.len() as u64;
    contender::<T>(tables(&order), move |round, table| {
        round.time(count, || {
            for &page in &order {
                let offset = u64::from(page) * PAGE;
                table.map(IOVA + offset, PHYS + offset, PAGE, Leaf::Pages);
            }
        });
        round.check(|| leads(table, IOVA, count, PAGE, |page| PHYS + page * PAGE));
    })
}

fn cursor_map(order: &[u32]) -> Contender {
    let order = order.to_vec();
    let count = order.len() as u64;
    contender::<S1>(tables(&order), move |round, table| {
        let page_table = table.table();
        let gather = round.time(count, || {
            let mut cursor = page_table.cursor();
            for &page in &order {
                let offset = u64::from(page) * PAGE;
                let mapped =
                    cursor.map_page(Iova(IOVA + offset), PhysAddr(PHYS + offset), Prot::RW);
                mapped.expect("room and pages");
            }
            cursor.finish()
        });
        round.check(|| gather.is_empty());
        table.finish(gather);
        round.check(|| leads(table, IOVA, count, PAGE, |page| PHYS + page * PAGE));
    })
}

fn cursor_unmap(order: &[u32]) -> Contender {
    let order = order.to_vec();
    let count = order.len() as u64;
    contender::<S1>(tables(&order), move |round, table| {
        table.map(IOVA, PHYS, count * PAGE, Leaf::Pages);
        let page_table = table.table();
        let gather = round.time(count, || {
            let mut cursor = page_table.cursor();
            for &page in &order {
                let unmapped = cursor.unmap_page(Iova(IOVA + u64::from(page) * PAGE));
                unmapped.expect("no leaf is cut");
            }
            cursor.finish()
        });
        round.check(|| gather.stale().leaves == Some(range(IOVA, count * PAGE)));
        table.finish(gather);
        round.check(|| nothing_at(table, (0..count).map(|page| IOVA + page * PAGE)));
    })
}

fn unmap<T: Tables>(order: &[u32]) -> Contender {
    let order = order.to_vec();
    let count = order.len() as u64;
    contender::<T>(tables(&order), move |round, table| {
        table.map(IOVA, PHYS, count * PAGE, Leaf::Pages);
        round.time(count, || {
            for &page in &order {
                table.unmap_part(IOVA + u64::from(page) * PAGE, PAGE);
            }
        });
        round.check(|| nothing_at(table, (0..count).map(|page| IOVA + page * PAGE)));
    })
}

fn translate<T: Tables>(order: &[u32]) -> Contender {
    let order = order.to_vec();
    let count = order.len() as u64;
    contender::<T>(tables(&order), move |round, table| {
        table.map(IOVA, PHYS, count * PAGE, Leaf::Pages);
        let table = &*table;
        let sum = round.time(count, || {
            let leads = |&page: &u32| table.translate(IOVA + u64::from(page) * PAGE);
            order.iter().filter_map(leads).fold(0, u64::wrapping_add)
        });
        round.check(|| sum == limits::sum_of_addresses(count));
    })
}

fn sparse<T: Tables>(count: u64, stride: u64, new_tables: usize) -> Contender {
    // CAST: a few hundred.
    contender::<T>(count as usize * new_tables + 8, move |round, table| {
        round.time(count, || {
            for page in 0..count {
                table.map(IOVA + page * stride, PHYS + page * PAGE, PAGE, Leaf::Pages);
            }
        });
        round.check(|| {
            (0..count).all(|page| {
                let (iova, phys) = (IOVA + page * stride, PHYS + page * PAGE);
                table.leaf(iova) == Some((phys, PAGE)) && nothing_at(table, [iova + PAGE])
            })
        });
    })
}
