//! What every format shows to every machine: each leaf size in each place, each permission, and
//! what lies around.

use iopgtable::{Config, Iova, IovaRange, PhysAddr, Prot, Segment};

use crate::rig::Disagreement;
use crate::{Rig, Walked};

/// A part of the suite that does not hold.
#[derive(Debug)]
pub struct Failure {
    /// What was done before, in words.
    pub after: String,
    /// What went wrong.
    pub what: Box<Disagreement>,
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "after {}: {}", self.after, self.what)
    }
}

impl core::error::Error for Failure {}

/// The outcome of a part of the suite.
pub type Outcome = Result<(), Failure>;

/// Addresses at and next to the ends of a range, and in its middle.
pub(crate) fn around(range: IovaRange) -> Vec<u64> {
    let (first, last) = (range.first().0, range.last().0);
    let mut all = vec![first, first + 8, (first + range.bytes() / 2) & !7, last - 7];
    all.extend(first.checked_sub(8));
    all.extend(last.checked_add(1));
    all
}

/// A physical address in `window` for `bytes` that are aligned to `align` there; where so large a
/// leaf does not fit, the leaf that holds the window.
pub(crate) fn aligned_in(window: (u64, u64), align: u64, offset: u64) -> u64 {
    let (low, high) = window;
    let first = low.checked_next_multiple_of(align).filter(|&first| first < high);
    let first = first.unwrap_or(low & !(align - 1));
    let room = (high - first) / align;
    first + align * if room == 0 { 0 } else { offset % room }
}

/// Leaves of each size at the lowest and the highest address, and at each boundary of larger
/// ones: the leaf leads where it should, what is next to it is not mapped, and nothing is when it
/// is gone.
///
/// # Errors
///
/// The first answer of a machine that is not so.
///
/// # Panics
///
/// Where the table refuses what it must take.
pub fn every_leaf_in_every_place<F: Walked>(rig: &mut Rig<'_, F>) -> Outcome {
    let whole = rig.geometry().whole();
    let sizes = rig.leaf_sizes();
    let largest = *sizes.last().expect("there are leaves");
    for (number, &size) in sizes.iter().enumerate() {
        let window = rig.window_of(size);
        let middle = whole.first().0 + (whole.last().0 - whole.first().0) / 2 + 1;
        let mut places = vec![
            whole.first().0,
            whole.last().0 - (size - 1),
            middle,
            middle - size,
            whole.first().0 + (largest - size),
        ];
        places.extend(whole.first().0.checked_add(largest));
        places.retain(|&place| place & (size - 1) == 0 && whole.contains(Iova(place)));
        places.sort_unstable();
        places.dedup();
        for (which, place) in places.into_iter().enumerate() {
            let Some(range) = IovaRange::inclusive(Iova(place), Iova(place + (size - 1))) else {
                continue;
            };
            if !whole.covers(range) {
                continue;
            }
            let phys = aligned_in(window, size, (3 * which + number) as u64);
            let segment = Segment::new(PhysAddr(phys), size);
            let after = format!("mapping {size:#x} bytes at {range} to {phys:#x}");
            rig.map(range, &[segment], Prot::RW).expect("a leaf fits there");
            // The window may be a part of the leaf only.
            let inside = place + window.0.saturating_sub(phys).min(size - 8);
            let mut addresses = around(range);
            addresses.extend([inside, inside + 8]);
            rig.ask(&addresses).map_err(|what| Failure { after, what })?;
            rig.unmap(range, which % 2 == 0).expect("it is mapped");
            let after = format!("unmapping {range}");
            rig.ask(&addresses).map_err(|what| Failure { after, what })?;
        }
    }
    Ok(())
}

/// Leaves of each size with every set of permissions, side by side: each permits what it was
/// mapped with, and so it does when a protect has exchanged them.
///
/// # Errors
///
/// The first answer of a machine that is not so.
///
/// # Panics
///
/// Where the table refuses what it must take.
pub fn every_permission<F: Walked>(rig: &mut Rig<'_, F>, config: Config) -> Outcome {
    let whole = rig.geometry().whole();
    let prots = rig.prots(config);
    for &size in &rig.leaf_sizes() {
        let window = rig.window_of(size);
        // As many as have room.
        let room = ((whole.last().0 - whole.first().0) / size).saturating_add(1);
        let count = prots.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let ranges: Vec<IovaRange> = (0..count as u64)
            .map(|at| whole.first().0 + at * size)
            .map(|first| IovaRange::between(Iova(first), Iova(first + (size - 1))))
            .collect();
        let mut addresses = Vec::new();
        for (at, (&range, &prot)) in ranges.iter().zip(&prots).enumerate() {
            let phys = aligned_in(window, size, at as u64);
            let segment = Segment::new(PhysAddr(phys), size);
            rig.map(range, &[segment], prot).expect("nothing is mapped there");
            let inside = range.first().0 + window.0.saturating_sub(phys).min(size - 8);
            addresses.extend([range.first().0, inside]);
        }
        let after = format!("mapping leaves of {size:#x} bytes with all permissions");
        rig.ask(&addresses).map_err(|what| Failure { after, what })?;
        for (&range, &prot) in ranges.iter().zip(prots.iter().rev()) {
            rig.protect(range, prot).expect("the format has such permissions");
        }
        let after = format!("protecting leaves of {size:#x} bytes");
        rig.ask(&addresses).map_err(|what| Failure { after, what })?;
        for &range in &ranges {
            rig.unmap(range, true).expect("it is mapped");
        }
    }
    Ok(())
}

/// Every other page of some tables' worth, then the middle of a large leaf: holes are holes.
///
/// # Errors
///
/// The first answer of a machine that is not so.
///
/// # Panics
///
/// Where the table refuses what it must take.
pub fn holes<F: Walked>(rig: &mut Rig<'_, F>) -> Outcome {
    let page = rig.geometry().granule();
    let window = rig.window();
    let first = rig.geometry().first_iova().0;
    let page_at =
        |at: u64| IovaRange::between(Iova(first + at * page), Iova(first + (at + 1) * page - 1));
    let whole = rig.geometry().whole();
    let pages = 96.min(whole.last().0.wrapping_sub(first) / page + 1);
    let mut addresses = Vec::new();
    for at in 0..pages {
        addresses.extend([first + at * page, first + at * page + (page - 8)]);
        let phys = PhysAddr(aligned_in(window, page, 5 * at));
        rig.map(page_at(at), &[Segment::new(phys, page)], Prot::RW).expect("it is free");
    }
    for at in (0..pages).step_by(2) {
        rig.unmap(page_at(at), at % 4 == 0).expect("it is mapped");
    }
    let after = "unmapping every other page".to_owned();
    rig.ask(&addresses).map_err(|what| Failure { after, what })?;
    let all = IovaRange::between(page_at(0).first(), page_at(pages - 1).last());
    rig.unmap(all, true).expect("some of it is mapped");

    let sizes = rig.leaf_sizes();
    for &size in &sizes[1..] {
        if whole.last().0 - first < size - 1 {
            continue;
        }
        let block = IovaRange::between(Iova(first), Iova(first + (size - 1)));
        let phys = aligned_in(window, size, 0);
        let segment = Segment::new(PhysAddr(phys), size);
        rig.map(block, &[segment], Prot::RW).expect("it is free");
        let inside = first + window.0.saturating_sub(phys).min(size - page) / page * page;
        let hole = IovaRange::between(Iova(inside), Iova(inside + (page - 1)));
        rig.unmap(hole, true).expect("it is mapped");
        let mut addresses = around(block);
        addresses.extend(around(hole));
        let after = format!("unmapping {hole} of a leaf of {size:#x} bytes");
        rig.ask(&addresses).map_err(|what| Failure { after, what })?;
        rig.unmap(block, true).expect("it is mapped");
        let after = format!("unmapping {block}");
        rig.ask(&addresses).map_err(|what| Failure { after, what })?;
    }
    Ok(())
}

/// Where a machine remembers what it has walked, a page that leads elsewhere without its having
/// been told still leads to the old place: so the suite would notice a forgotten invalidation.
/// Where all walk anew, there is nothing to see.
///
/// # Errors
///
/// When no machine that remembers has a stale answer, or one that does not has.
///
/// # Panics
///
/// Where the table refuses what it must take.
pub fn a_dropped_invalidation_shows<F: Walked>(rig: &mut Rig<'_, F>) -> Outcome {
    let page = rig.geometry().granule();
    let window = rig.window();
    let first = rig.geometry().first_iova();
    let range = IovaRange::between(first, Iova(first.0 + (page - 1)));
    let leading_to = |at| Segment::new(PhysAddr(aligned_in(window, page, at)), page);
    rig.map(range, &[leading_to(0)], Prot::RW).expect("nothing is mapped");
    let addresses = [first.0];
    let after = || "mapping a page elsewhere, with machines told".to_owned();
    rig.ask(&addresses).map_err(|what| Failure { after: after(), what })?;
    rig.unmap(range, false).expect("it is mapped");
    rig.map(range, &[leading_to(1)], Prot::RW).expect("nothing is mapped");
    rig.ask(&addresses).map_err(|what| Failure { after: after(), what })?;

    rig.tell_nothing();
    rig.unmap(range, false).expect("it is mapped");
    rig.map(range, &[leading_to(2)], Prot::RW).expect("nothing is mapped");
    let (remember, noticed) = (rig.remember(), rig.ask(&addresses));
    assert_eq!(noticed.is_err(), remember, "a stale answer shows: {noticed:?}");
    rig.forget_everything();
    let after = "telling machines to forget everything".to_owned();
    rig.ask(&addresses).map_err(|what| Failure { after, what })
}
