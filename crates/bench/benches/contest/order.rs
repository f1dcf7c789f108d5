//! Permutations and scatter lists, the same in every run.

use std::rc::Rc;

use iopgtable::{PhysAddr, Segment};

use super::PHYS;

/// Marsaglia's xorshift64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The numbers below `count`, ascending.
pub(crate) fn ascending(count: u64) -> Vec<u32> {
    (0..).take(usize::try_from(count).expect("fits in memory")).collect()
}

/// The numbers below `count`, shuffled.
pub(crate) fn shuffled(count: u64) -> Vec<u32> {
    let mut numbers = ascending(count);
    let mut random = Random::new(88_172_645_463_325_252);
    for last in (1..numbers.len()).rev() {
        // CAST: at most `last`.
        let other = random.below(last as u64 + 1) as usize;
        numbers.swap(last, other);
    }
    numbers
}

/// `count` segments of `bytes` bytes, none of which follows physically on the one before.
pub(crate) fn scattered(count: u64, bytes: u64) -> Rc<[Segment]> {
    // Every other place is left out.
    let place = |&number: &u32| Segment::new(PhysAddr(PHYS + u64::from(number) * 2 * bytes), bytes);
    shuffled(count).iter().map(place).collect()
}
