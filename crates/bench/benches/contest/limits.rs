//! The limits: the stores that a row needs, and nothing else.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use iopgtable::Segment;
use iopgtable_bench::{Contender, Role};

use super::bare::{Leaves, Tree};
use super::rows::Range;
use super::{IOVA, LEAF, PAGE, PHYS, frames};

fn limit(turn: impl FnMut(&mut iopgtable_bench::Round) + 'static) -> Contender {
    Contender::new("limit", Role::Limit, turn)
}

/// Writes one run of leaves with plain stores.
#[inline]
pub(crate) fn fill(slots: &mut [u64], first: u64, step: u64) {
    let mut leaf = first;
    for slot in slots {
        *slot = leaf;
        leaf += step;
    }
}

/// Fills a table. Not inlined: one loop for all rows, which does not get faster or slower by what
/// happens to surround it.
#[inline(never)]
fn fill_table(slots: &mut [u64], first: u64, step: u64) {
    fill(slots, first, step);
}

/// Writes a leaf a segment with plain stores.
#[inline(never)]
fn scatter(slots: &mut [u64], segments: &[Segment]) {
    for (slot, segment) in slots.iter_mut().zip(segments) {
        *slot = segment.phys.0 | LEAF;
    }
}

/// For each table: pop a page, fill it with plain stores, publish it with a release store.
pub(crate) fn pop_fill_publish(range: Range) -> Contender {
    let leaves = Leaves::new(range.shift, range.leaf_tables());
    let (first, step) = (range.phys() | LEAF, range.leaf_bytes());
    let span = (step * range.per_table()) as usize;
    limit(move |round| {
        let mut stack = leaves.stack();
        round.time(range.entries, || {
            let mut leaf = first;
            for link in leaves.links() {
                let page = stack.pop().expect("a page for each table");
                // SAFETY: the page is off the stack, and not linked yet.
                fill_table(unsafe { Leaves::fresh(range.shift, page) }, leaf, step);
                leaf += span as u64;
                Leaves::publish(link, page);
            }
        });
        round.check(|| leaves.hold(range.entries, |index| first + index * step));
        leaves.reset();
    })
}

/// The same from a list of segments that each make a whole number of leaves.
pub(crate) fn pop_list_publish(range: Range, segments: Rc<[Segment]>) -> Contender {
    let leaves = Leaves::new(range.shift, range.leaf_tables());
    let step = range.leaf_bytes();
    let piece = segments.first().map_or(step, |first| first.bytes);
    let per_segment = (piece / step) as usize;
    limit(move |round| {
        let mut stack = leaves.stack();
        round.time(range.entries, || {
            let per_table = range.per_table() as usize / per_segment;
            for (link, segments) in leaves.links().iter().zip(segments.chunks(per_table)) {
                let page = stack.pop().expect("a page for each table");
                // SAFETY: the page is off the stack, and not linked yet.
                let slots = unsafe { Leaves::fresh(range.shift, page) };
                if per_segment == 1 {
                    scatter(slots, segments);
                } else {
                    for (slots, segment) in slots.chunks_exact_mut(per_segment).zip(segments) {
                        fill(slots, segment.phys.0 | LEAF, step);
                    }
                }
                Leaves::publish(link, page);
            }
        });
        round.check(|| {
            leaves.hold(range.entries, |index| {
                let segment = segments[(index * step / piece) as usize];
                (segment.phys.0 + index * step % piece) | LEAF
            })
        });
        leaves.reset();
    })
}

/// How many entries a loop over atomic ones looks at in one go: a cache line's. The compiler does
/// not unroll such loops by itself.
const LINE: usize = 8;

/// Looks at every entry of linked tables, and writes it: atomically, as a walker reads along.
pub(crate) fn check_store(range: Range) -> Contender {
    let leaves = Leaves::new(range.shift, range.leaf_tables());
    let (first, step) = (range.phys() | LEAF, range.leaf_bytes());
    limit(move |round| {
        leaves.link_all();
        let empty = round.time(range.entries, || {
            let mut leaf = first;
            for link in leaves.links() {
                for line in leaves.linked(link).chunks_exact(LINE) {
                    if line.iter().fold(0, |any, entry| any | entry.load(Ordering::Relaxed)) != 0 {
                        return false;
                    }
                    for entry in line {
                        entry.store(leaf, Ordering::Relaxed);
                        leaf += step;
                    }
                }
            }
            true
        });
        round.check(|| empty && leaves.hold(range.entries, |index| first + index * step));
        leaves.reset();
    })
}

/// Writes zeroes to all entries but the last of each linked table, atomically.
pub(crate) fn clear(range: Range) -> Contender {
    let leaves = Leaves::new(range.shift, range.leaf_tables());
    let per_table = range.per_table();
    limit(move |round| {
        leaves.link_all();
        set_all(&leaves, LEAF);
        round.time(range.entries_but_last(), || {
            for link in leaves.links() {
                let Some((_last, entries)) = leaves.linked(link).split_last() else { continue };
                let lines = entries.chunks_exact(LINE);
                let rest = lines.remainder();
                for line in lines {
                    for entry in line {
                        entry.store(0, Ordering::Relaxed);
                    }
                }
                for entry in rest {
                    entry.store(0, Ordering::Relaxed);
                }
            }
        });
        let last = |index| if index % per_table == per_table - 1 { LEAF } else { 0 };
        round.check(|| leaves.hold(range.entries, last));
        leaves.reset();
    })
}

/// Writes zeroes to the links of the leaf tables.
pub(crate) fn unlink(range: Range) -> Contender {
    let links: Vec<AtomicU64> = (0..range.leaf_tables()).map(|_| AtomicU64::new(0)).collect();
    limit(move |round| {
        for link in &links {
            link.store(LEAF, Ordering::Relaxed);
        }
        round.time(range.entries, || {
            for link in black_box(&links) {
                link.store(0, Ordering::Relaxed);
            }
        });
        round.check(|| links.iter().all(|link| link.load(Ordering::Relaxed) == 0));
    })
}

/// Walks to each page in that order, looks whether its entry is empty, and writes it.
pub(crate) fn walk_map(order: Vec<u32>) -> Contender {
    let count = order.len() as u64;
    let tree = Tree::new(order.len().div_ceil(512));
    limit(move |round| {
        round.time(count, || {
            for &page in &order {
                let offset = u64::from(page) * PAGE;
                let entry = tree.walk(IOVA + offset).expect("its tables are there");
                assert_eq!(entry.load(Ordering::Relaxed), 0);
                entry.store((PHYS + offset) | LEAF, Ordering::Relaxed);
            }
        });
        round.check(|| tree.leaves.hold(count, |index| (PHYS + index * PAGE) | LEAF));
        set_all(&tree.leaves, 0);
    })
}

/// Walks to each page in that order, and clears its entry.
pub(crate) fn walk_unmap(order: Vec<u32>) -> Contender {
    let count = order.len() as u64;
    let tree = Tree::new(order.len().div_ceil(512));
    limit(move |round| {
        set_all(&tree.leaves, LEAF);
        round.time(count, || {
            for &page in &order {
                let entry = tree.walk(IOVA + u64::from(page) * PAGE).expect("its tables are there");
                entry.store(0, Ordering::Relaxed);
            }
        });
        round.check(|| tree.leaves.hold(count, |_| 0));
    })
}

/// Walks to each page in that order, and adds up where they lead.
pub(crate) fn walk_translate(order: Vec<u32>) -> Contender {
    let count = order.len() as u64;
    let tree = Tree::new(order.len().div_ceil(512));
    for page in 0..count {
        let entry = tree.walk(IOVA + page * PAGE).expect("its tables are there");
        entry.store((PHYS + page * PAGE) | LEAF, Ordering::Relaxed);
    }
    limit(move |round| {
        let sum = round.time(count, || {
            let leads = |&page: &u32| tree.translate(IOVA + u64::from(page) * PAGE);
            order.iter().filter_map(leads).fold(0, u64::wrapping_add)
        });
        round.check(|| sum == sum_of_addresses(count));
    })
}

/// What the physical addresses of `count` pages come to.
pub(crate) fn sum_of_addresses(count: u64) -> u64 {
    (0..count).map(|page| PHYS + page * PAGE).fold(0, u64::wrapping_add)
}

/// For each page: pop the tables that it needs, and link them, the topmost last.
pub(crate) fn pop_path(count: u64, new_tables: usize) -> Contender {
    let pages = usize::try_from(count).expect("fits in memory");
    let paths = Leaves::new(12, pages * new_tables);
    limit(move |round| {
        let mut stack = paths.stack();
        let links = &paths.links()[..pages];
        round.time(count, || {
            let mut phys = PHYS;
            for link in links {
                let mut entry = phys | LEAF;
                phys += PAGE;
                let mut top = None;
                for _ in 0..new_tables {
                    let page = stack.pop().expect("a page for each table");
                    // SAFETY: the page is off the stack, and not linked yet.
                    unsafe { Leaves::fresh(12, page)[0] = entry };
                    entry = page.as_ptr().expose_provenance() as u64 | 3;
                    top = Some(page);
                }
                Leaves::publish(link, top.expect("at least one"));
            }
        });
        round.check(|| {
            links.iter().zip(0..).all(|(link, index)| {
                let mut entry = link.load(Ordering::Relaxed);
                for _ in 0..new_tables {
                    // SAFETY: links lead to pages, whose first words were written above.
                    entry = unsafe { frames::at((entry & !0xfff) as usize).read() };
                }
                entry == (PHYS + index * PAGE) | LEAF
            })
        });
        paths.reset();
    })
}

/// Writes the same to every entry of linked tables.
fn set_all(leaves: &Leaves, value: u64) {
    for entry in leaves.links().iter().flat_map(|link| leaves.linked(link)) {
        entry.store(value, Ordering::Relaxed);
    }
}
