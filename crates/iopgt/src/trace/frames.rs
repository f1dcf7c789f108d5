//! Made-up physical memory for mappings whose frames the trace does not know.

use std::{error::Error, fmt, ops::RangeInclusive};

use super::{Header, Run};

/// Long runs are aligned to at most this: larger pieces are rarely contiguous by design.
const LARGEST_ALIGNMENT: u64 = 2 << 20;

/// Deals out physical memory that is as fragmented as the header of a trace says.
///
/// Each mapping is given runs whose lengths are drawn from the header's histogram, weighted by
/// their counts; the last one is cut to fit. The same header and the same sequence of mappings
/// give the same frames, and what one mapping draws does not depend on how much was drawn for
/// those before it.
///
/// Addresses come from a counter that goes up through the physical space and starts over at its
/// end, so runs overlap only when more than the whole space was dealt out. There is a gap of at
/// least a page between runs: two of them never make a longer one.
///
/// As with the large folios of an operating system, virtual and physical address of a run agree
/// modulo the largest power of two that is no longer than the run (2 MiB at most), so a long run
/// can be mapped by blocks.
///
/// ```
/// use iopgt::trace::{Frames, Header};
///
/// let mut header = Header::default();
/// header.runs.add(8192, 1).unwrap();
/// let mut frames = Frames::new(&header, 0x8000_0000..=(1 << 40) - 1)?;
/// let runs: Vec<_> = frames.draw(0x7000_0000, 3 * 4096).collect();
/// assert_eq!(runs.iter().map(|run| run.len).collect::<Vec<_>>(), [8192, 4096]);
/// # Ok::<(), iopgt::trace::NoRoom>(())
/// ```
#[derive(Debug, Clone)]
pub struct Frames {
    page: u64,
    base: u64,
    end: u64,
    /// Where the next run may start.
    next: u64,
    /// Mappings that frames were drawn for.
    mappings: u64,
    /// Run lengths, each with the sum of the counts up to and including its own.
    lengths: Vec<(u64, u64)>,
}

/// The physical space has no room for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the physical space ends before it has room for a page")
    }
}

impl Error for NoRoom {}

impl Frames {
    /// Frames from whole pages of the physical addresses `space`, in runs of the header's lengths;
    /// of one page each when the header has none.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] when there is not one page in that space.
    pub fn new(header: &Header, space: RangeInclusive<u64>) -> Result<Self, NoRoom> {
        let page = header.page;
        // With all 64 bits, the last page stays unused.
        let end = space.end().saturating_add(1) / page * page;
        let base = space.start().checked_next_multiple_of(page).ok_or(NoRoom)?;
        if base >= end {
            return Err(NoRoom);
        }
        let mut sum = 0;
        let mut lengths: Vec<_> = header
            .runs
            .iter()
            .map(|(len, count)| {
                // OVERFLOW: The histogram's total fits in 64 bits.
                sum += count;
                (len, sum)
            })
            .collect();
        if lengths.is_empty() {
            lengths.push((page, 1));
        }
        Ok(Self { page, base, end, next: base, mappings: 0, lengths })
    }

    /// The runs of the next mapping, which starts at the virtual address `va` and has `len`
    /// bytes, both multiples of the page. They sum to `len`.
    ///
    /// Runs are drawn as they are asked for; those not asked for take no memory.
    pub fn draw(&mut self, va: u64, len: u64) -> Draw<'_> {
        let random = SplitMix64::of(self.mappings);
        self.mappings = self.mappings.wrapping_add(1);
        Draw { frames: self, random, va, left: len }
    }

    /// Takes up to `len` bytes of physical memory for `va`.
    fn take(&mut self, va: u64, len: u64) -> Run {
        let len = len.min(self.end - self.base);
        let align = (1 << len.max(1).ilog2()).clamp(self.page, LARGEST_ALIGNMENT.max(self.page));
        let addr = self
            .place(self.next, va, len, align)
            .or_else(|| self.place(self.base, va, len, align))
            // The space is too small to agree with the virtual address.
            .unwrap_or(self.base);
        self.next = (addr + len).saturating_add(self.page);
        Run { addr, len }
    }

    /// The first address from `from` on that agrees with `va` modulo `align` and has `len` bytes.
    fn place(&self, from: u64, va: u64, len: u64, align: u64) -> Option<u64> {
        let addr = from.checked_add(va.wrapping_sub(from) % align)?;
        addr.checked_add(len).filter(|&end| end <= self.end)?;
        Some(addr)
    }
}

/// Iterator over the runs of one mapping.
#[derive(Debug)]
pub struct Draw<'a> {
    frames: &'a mut Frames,
    random: SplitMix64,
    va: u64,
    left: u64,
}

impl Iterator for Draw<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        if self.left == 0 {
            return None;
        }
        let lengths = &self.frames.lengths;
        let (_, total) = *lengths.last()?;
        let ticket = self.random.next() % total;
        let at = lengths.partition_point(|&(_, sum)| sum <= ticket);
        let (len, _) = *lengths.get(at)?;
        let run = self.frames.take(self.va, len.min(self.left));
        self.va = self.va.wrapping_add(run.len);
        self.left -= run.len;
        Some(run)
    }
}

/// # References
///
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014, figure 17.
#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The generator of a mapping: the seed is mixed, so that neighbours share no values.
    fn of(ordinal: u64) -> Self {
        Self(Self(ordinal).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::GAMMA);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: u64 = 4096;

    fn header(runs: &[(u64, u64)]) -> Header {
        let mut header = Header::default();
        for &(pages, count) in runs {
            header.runs.add(pages * PAGE, count).unwrap();
        }
        header
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn without_a_histogram_all_runs_are_one_page() {
        let mut frames = Frames::new(&Header::default(), 0..=(1 << 40) - 1).unwrap();
        assert!(frames.draw(0x1000, 100 * PAGE).all(|run| run.len == PAGE));
    }

    #[test]
    fn lengths_are_drawn_by_weight() {
        let mut frames = Frames::new(&header(&[(1, 900), (8, 100)]), 0..=(1 << 44) - 1).unwrap();
        let (mut long, mut all) = (0, 0);
        for run in frames.draw(0, 100_000 * PAGE) {
            all += 1;
            long += u32::from(run.len == 8 * PAGE);
        }
        let share = f64::from(long) / f64::from(all);
        assert!((0.09..0.11).contains(&share), "{share}");
    }

    #[test]
    fn the_counter_starts_over_at_the_end_of_a_small_space() {
        let mut frames = Frames::new(&header(&[(512, 1)]), 3 * PAGE..=(1 << 16) - 1).unwrap();
        for run in frames.draw(0x7000, 1000 * PAGE) {
            assert!(run.len > 0 && run.addr >= 3 * PAGE && run.addr + run.len <= 1 << 16);
        }
        assert_eq!(frames.draw(0, 1000 * PAGE).map(|run| run.len).sum::<u64>(), 1000 * PAGE);
    }

    #[test]
    fn a_space_without_a_page_is_refused_and_64_bits_are_not() {
        let nothing = RangeInclusive::new(1 << 40, (1 << 40) - 1);
        assert_eq!(Frames::new(&Header::default(), nothing).unwrap_err(), NoRoom);
        assert_eq!(Frames::new(&Header::default(), u64::MAX..=u64::MAX).unwrap_err(), NoRoom);
        assert!(Frames::new(&Header::default(), 0..=u64::MAX).is_ok());
    }

    proptest! {
        #[test]
        fn runs_are_deterministic_disjoint_aligned_and_sum_up(
            runs in prop::collection::vec((1_u64..1200, 1_u64..50), 0..6),
            mappings in prop::collection::vec((0_u64..1 << 36, 1_u64..3000), 1..20),
        ) {
            let header = header(&runs);
            let mut frames = Frames::new(&header, 0x4000_0000..=(1 << 48) - 1).unwrap();
            let mut again = Frames::new(&header, 0x4000_0000..=(1 << 48) - 1).unwrap();
            let mut last_end = 0;
            for (vpn, pages) in mappings {
                let mut va = vpn * PAGE;
                let mut sum = 0;
                let drawn: Vec<_> = frames.draw(va, pages * PAGE).collect();
                prop_assert_eq!(&drawn, &again.draw(va, pages * PAGE).collect::<Vec<_>>());
                for run in drawn {
                    prop_assert!(run.addr >= 0x4000_0000 && run.addr > last_end);
                    let align = (1 << run.len.ilog2()).min(2 << 20);
                    prop_assert_eq!(run.addr % align, va % align);
                    prop_assert_eq!(run.len % PAGE, 0);
                    last_end = run.addr + run.len;
                    va += run.len;
                    sum += run.len;
                }
                prop_assert_eq!(sum, pages * PAGE);
            }
        }

        #[test]
        fn lengths_do_not_depend_on_how_much_was_drawn_before(taken in 0_usize..50) {
            let header = header(&[(1, 5), (3, 2), (64, 1)]);
            let mut frames = Frames::new(&header, 0..=(1 << 48) - 1).unwrap();
            let mut other = Frames::new(&header, 0..=(1 << 48) - 1).unwrap();
            let _ = frames.draw(0, 1 << 24).take(taken).count();
            let _ = other.draw(0, PAGE).count();
            let lengths = |frames: &mut Frames| -> Vec<u64> {
                frames.draw(0, 1 << 22).map(|run| run.len).collect()
            };
            prop_assert_eq!(lengths(&mut frames), lengths(&mut other));
        }
    }
}
