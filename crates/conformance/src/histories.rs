//! Random histories: maps, unmaps, clears, protects, cuts; after each step, every machine is asked
//! around what has changed and at random.

use iopgtable::{Config, Iova, IovaRange, PhysAddr, Prot, Segment};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::cases::{Failure, Outcome, aligned_in, around};
use crate::{Rig, Walked};

/// How long a history is, and how much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Operations.
    pub steps: usize,
    /// Random addresses after each, besides those at the ends of what has changed.
    pub probes: usize,
}

/// A history from `seed`, as long as `length` says.
///
/// # Errors
///
/// The first answer of a machine that is not what the model says, with the seed and the step.
///
/// # Panics
///
/// Where the table refuses what it must take.
pub fn random<F: Walked>(
    rig: &mut Rig<'_, F>,
    config: Config,
    seed: u64,
    length: Length,
) -> Outcome {
    let mut rng = SmallRng::seed_from_u64(seed);
    let prots = rig.prots(config);
    for step in 0..length.steps {
        let range = place(rig, &mut rng);
        let did = operate(rig, range, &prots, &mut rng);
        let mut addresses = around(range);
        addresses.extend((0..length.probes).map(|_| somewhere(rig, range, &mut rng)));
        addresses.retain(|&address| rig.geometry().whole().contains(Iova(address)));
        rig.ask(&addresses).map_err(|what| {
            let after = format!("step {step} of seed {seed:#x}: {did} {range}");
            Failure { after, what }
        })?;
    }
    Ok(())
}

/// Where something is done: near one of a few corners, so that operations meet.
fn place<F: Walked>(rig: &Rig<'_, F>, rng: &mut SmallRng) -> IovaRange {
    let whole = rig.geometry().whole();
    let (first, last) = (whole.first().0, whole.last().0);
    let sizes = rig.leaf_sizes();
    let page = sizes[0];
    // Pages mostly, then larger leaves.
    let scale = sizes[rng.random_range(0..sizes.len()).min(rng.random_range(0..sizes.len()))];
    let room = (last - first) / page;
    let pages = scale / page;
    let count = (rng.random_range(1..=4) * pages + rng.random_range(0..=2)).clamp(1, room + 1);
    let off = rng.random_range(0..4) * pages + rng.random_range(0..2);
    let off = off.min(room + 1 - count);
    let start = match rng.random_range(0..3) {
        0 => off,
        1 => room + 1 - count - off.min(room + 1 - count),
        // Across the middle, where the root's entries change.
        _ => (room / 2).saturating_sub(off).min(room + 1 - count),
    };
    let start = first + start * page;
    IovaRange::between(Iova(start), Iova(start + (count * page - 1)))
}

fn operate<F: Walked>(
    rig: &mut Rig<'_, F>,
    range: IovaRange,
    prots: &[Prot],
    rng: &mut SmallRng,
) -> &'static str {
    let prot = *prots.choose(rng).expect("a format expresses something");
    let exact = rng.random_bool(0.7);
    let is_free = rig.model().in_range(range).is_empty();
    match rng.random_range(0..8) {
        0..4 if is_free => {
            let segments = segments(rig, range, rng);
            rig.map(range, &segments, prot).expect("the range is free");
            "mapping"
        }
        4 => {
            rig.protect(range, prot).expect("protecting takes whatever there is");
            "protecting"
        }
        5 => {
            rig.clear(range).expect("clearing takes whatever there is");
            "clearing"
        }
        _ => {
            rig.unmap(range, exact).expect("unmapping takes whatever there is");
            "unmapping"
        }
    }
}

/// One to three segments, aligned like the range or off by the next smaller leaf.
fn segments<F: Walked>(rig: &Rig<'_, F>, range: IovaRange, rng: &mut SmallRng) -> Vec<Segment> {
    let page = rig.geometry().granule();
    let (window, sizes) = (rig.window(), rig.leaf_sizes());
    let fits = sizes.iter().rposition(|&size| size <= range.bytes()).unwrap_or(0);
    let (align, smaller) = (sizes[fits], sizes[fits.saturating_sub(1)]);
    let mut left = range.bytes() / page;
    let mut iova = range.first().0;
    let mut all = Vec::new();
    while left > 0 {
        let pages = if all.len() == 2 || rng.random_bool(0.6) { left } else { left.div_ceil(2) };
        let base = aligned_in(window, align, rng.random()) + (iova & (align - 1));
        let off = if rng.random_bool(0.75) { 0 } else { smaller };
        // Where that is too high, a multiple of the largest leaf lower.
        let too_high =
            (base + off + (pages * page - 1)).saturating_sub(rig.geometry().last_narrow_phys().0);
        let phys = base + off - too_high.next_multiple_of(align).min((base + off) & !(align - 1));
        all.push(Segment::new(PhysAddr(phys), pages * page));
        iova = iova.wrapping_add(pages * page);
        left -= pages;
    }
    all
}

/// An address that is worth a question: near the range, in a mapping, or anywhere.
fn somewhere<F: Walked>(rig: &Rig<'_, F>, range: IovaRange, rng: &mut SmallRng) -> u64 {
    let whole = rig.geometry().whole();
    let within = |range: IovaRange, rng: &mut SmallRng| {
        (range.first().0 + rng.random_range(0..=range.last().0 - range.first().0)) & !7
    };
    let mapped: Vec<IovaRange> = rig.model().iter().map(|mapped| mapped.range).collect();
    match (rng.random_range(0..4), mapped.choose(rng)) {
        (0, _) | (1, None) => within(range, rng),
        (1 | 2, Some(&mapped)) => within(mapped, rng),
        _ => within(whole, rng),
    }
}
