//! How long the physical runs are that memory is made of.

use std::collections::BTreeMap;

/// Longest length that [`Histogram::sample`] tells apart.
const LONGEST: u64 = 1 << 30;

/// Up to this many pages, [`Histogram::sample`] keeps each length.
const EXACT_PAGES: u64 = 16;

/// How often physical runs of each length (in bytes) were seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Histogram {
    /// Adds `count` runs of `len` bytes; `None` when the total would pass 2^64, and then nothing
    /// is added.
    pub fn add(&mut self, len: u64, count: u64) -> Option<()> {
        self.total = self.total.checked_add(count)?;
        if count > 0 {
            // OVERFLOW: No count is above the total.
            *self.counts.entry(len).or_default() += count;
        }
        Some(())
    }

    /// Counts one run of `len` bytes that was seen in a live process, in pages of `page` bytes.
    ///
    /// Lengths above 16 pages are rounded down to a power of two pages, lengths above 1 GiB count
    /// as 1 GiB: this keeps the header to some 30 lengths, and no run is made longer than it was.
    ///
    /// ```
    /// use iopgt::trace::Histogram;
    ///
    /// let mut runs = Histogram::default();
    /// runs.sample(3 * 4096, 4096);
    /// runs.sample(700 * 4096, 4096);
    /// assert_eq!(runs.iter().collect::<Vec<_>>(), [(3 * 4096, 1), (512 * 4096, 1)]);
    /// ```
    pub fn sample(&mut self, len: u64, page: u64) {
        let pages = len / page.max(1);
        if pages == 0 {
            return;
        }
        let kept = if pages <= EXACT_PAGES { pages } else { 1 << pages.ilog2() };
        // A total beyond 2^64 is out of reach of counting one by one.
        let _ = self.add((kept * page).min(LONGEST.max(page)), 1);
    }

    /// The lengths in bytes, ascending, each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter().map(|(&len, &count)| (len, count))
    }

    /// Whether no run was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many runs were counted.
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_take_few_buckets_and_never_grow() {
        let mut runs = Histogram::default();
        for pages in (1..70_000).chain([1 << 18, (1 << 18) + 7, 1 << 30]) {
            let mut one = Histogram::default();
            one.sample(pages * 4096, 4096);
            assert!(one.iter().all(|(len, _)| len <= pages * 4096), "{pages}");
            runs.sample(pages * 4096, 4096);
        }
        assert!(runs.iter().count() <= 40);
        assert_eq!(runs.total(), 69_999 + 3);
    }

    #[test]
    fn a_total_beyond_64_bits_is_refused_and_changes_nothing() {
        let mut runs = Histogram::default();
        assert!(runs.add(4096, u64::MAX).is_some());
        let before = runs.clone();
        assert!(runs.add(8192, 1).is_none());
        assert_eq!(runs, before);
    }
}
