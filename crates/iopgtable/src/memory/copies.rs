//! Tables that a copy engine brings to memory which only the device reaches.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::Publish;
use super::lock::SpinLock;
use crate::addr::PhysAddr;

/// Words for one run of addresses: what a [`CopyEngine`] writes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyCommand<'q> {
    /// Where the first word goes, a multiple of 8.
    pub phys: PhysAddr,
    /// The words, as the CPU has them in memory.
    pub words: &'q [u64],
}

/// What writes to the memory that only the device reaches: a DMA engine's command that carries
/// its data, a copy from a staging buffer, a window that is moved.
///
/// # Safety
///
/// The words of a copy reach memory whole, and after those of all copies before it, in this
/// submission and in earlier ones; within a copy their order is free. All are there in bounded
/// time. An invalidation that the driver issues after a submission reaches the walker after the
/// copies.
pub unsafe trait CopyEngine {
    /// Takes `copies` over: when it returns, their words may be overwritten, so the engine has
    /// them in its own commands, or in the memory that they were for. Must not block, and must not
    /// publish anything itself.
    fn submit(&self, copies: Copies<'_>);
}

// SAFETY: every call goes to the same engine, whose contract is its own.
unsafe impl<E: CopyEngine + ?Sized> CopyEngine for &E {
    fn submit(&self, copies: Copies<'_>) {
        (**self).submit(copies);
    }
}

/// The copies of one submission, in their order.
#[derive(Clone, Debug)]
pub struct Copies<'q> {
    /// Per copy its address, its number of words, and the words.
    stream: &'q [u64],
}

/// How many words of the stream go before those of each copy.
const HEADER: usize = 2;

impl<'q> Iterator for Copies<'q> {
    type Item = CopyCommand<'q>;

    fn next(&mut self) -> Option<CopyCommand<'q>> {
        let (&[phys, count], rest) = self.stream.split_first_chunk::<HEADER>()?;
        // CAST: it was a length.
        let (words, rest) = rest.split_at_checked(count as usize)?;
        self.stream = rest;
        Some(CopyCommand { phys: PhysAddr(phys), words })
    }
}

/// Publishes by copying: for a [`Region`](super::Region) whose CPU side is a mirror in system
/// memory of tables that lie in memory which only the device reaches.
///
/// A publication takes the words as they are then into a buffer, and a commit submits what is
/// there to the [`CopyEngine`]. The buffer is the caller's, and nothing is allocated: where a
/// publication finds it full, it submits what is there first, and one that is larger than the
/// buffer goes in several pieces. So the buffer's size decides how many submissions an operation
/// takes, and nothing else; a few pages' worth is plenty.
///
/// (A queue of addresses, whose words are read from the mirror when the engine gets to them, would
/// be wrong, however well the order is kept: of an entry that was published and has since become a
/// link, it brings over the link, ahead of the table.)
///
/// Publications of several threads take turns, submissions included. What shares a word of eight bytes
/// with what is published is copied, too: for tables with entries of four bytes, say so
/// ([`with_short_entries`](Self::with_short_entries)).
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use std::{collections::BTreeMap, sync::Mutex};
/// use iopgtable::memory::{Copies, CopyEngine, CopyQueue, Region};
/// use iopgtable::{
///     Arm64S1, Config, Granule4K, Iova, IovaRange, PageTable, PhysAddr, Prot, Segment,
/// };
///
/// /// Device memory, by address.
/// #[derive(Default)]
/// struct Vram(Mutex<BTreeMap<u64, u64>>);
///
/// // SAFETY: each word is written before this returns, one after the other.
/// unsafe impl CopyEngine for Vram {
///     fn submit(&self, copies: Copies<'_>) {
///         let mut memory = self.0.lock().unwrap();
///         for copy in copies {
///             memory.extend((copy.phys.0..).step_by(8).zip(copy.words.iter().copied()));
///         }
///     }
/// }
///
/// let vram = Vram::default();
/// let mut buffer = [0; 1024];
/// let queue = CopyQueue::new(&mut buffer, &vram).expect("room for a copy");
/// // The mirror; walkers find its tables at 0x4000_0000.
/// let mirror = Region::with_capacity_and_publisher(PhysAddr(0x4000_0000), 1 << 20, queue)?;
/// let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), &mirror)?;
/// let page = Segment::new(PhysAddr(0x8000_0000), 0x1000);
/// let _ = table.map(IovaRange::new(Iova(0x3000), 0x1000)?, [page], Prot::RW)?;
/// // The root's first entry has arrived in device memory, and so has all that it leads to.
/// assert_eq!(vram.0.lock().unwrap()[&0x4000_0000] & 0b11, 0b11);
/// # }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Invariants
///
/// The first `used` words of the buffer are whole copies, each behind its header; the buffer has
/// room for [`MIN_WORDS`](CopyQueue::MIN_WORDS).
pub struct CopyQueue<'m, E> {
    engine: E,
    /// Whether entries have four bytes.
    short_entries: bool,
    state: SpinLock<State<'m>>,
}

struct State<'m> {
    buffer: &'m mut [u64],
    used: usize,
    figures: CopyFigures,
}

/// What a [`CopyQueue`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyFigures {
    /// Words in the buffer now, with two for each copy's header.
    pub queued: usize,
    /// Publications.
    pub publications: u64,
    /// Words published.
    pub words: u64,
    /// How many times the engine was called.
    pub submissions: u64,
    /// How many of these came before the commit, because the buffer was full.
    pub overflows: u64,
}

impl<'m, E: CopyEngine> CopyQueue<'m, E> {
    /// The smallest buffer, in words: room for one copy of one word.
    pub const MIN_WORDS: usize = HEADER + 1;

    /// An empty queue in `buffer` for `engine`; `None` where the buffer is smaller than
    /// [`MIN_WORDS`](Self::MIN_WORDS).
    pub fn new(buffer: &'m mut [u64], engine: E) -> Option<Self> {
        let enough = buffer.len() >= Self::MIN_WORDS;
        let state = State { buffer, used: 0, figures: CopyFigures::default() };
        enough.then(|| Self { engine, short_entries: false, state: SpinLock::new(state) })
    }

    /// The same for tables whose entries have four bytes (Arm's short descriptors), two of them in a
    /// word that is copied. Each is read by itself, as it is written, since threads that share a table
    /// may write the one while the other is published.
    #[must_use]
    pub fn with_short_entries(self) -> Self {
        Self { short_entries: true, ..self }
    }

    /// The engine.
    pub const fn engine(&self) -> &E {
        &self.engine
    }

    /// What it did until now.
    pub fn figures(&self) -> CopyFigures {
        let state = self.state.lock();
        CopyFigures { queued: state.used, ..state.figures }
    }

    /// Submits what is queued, if anything.
    fn submit(&self, state: &mut State<'m>) {
        if state.used > 0 {
            self.engine.submit(Copies { stream: &state.buffer[..state.used] });
            state.used = 0;
            state.figures.submissions += 1;
        }
    }
}

impl State<'_> {
    /// Takes in as many words of a copy as there is room for, and says how many that is.
    fn push(&mut self, phys: PhysAddr, words: impl ExactSizeIterator<Item = u64>) -> usize {
        let free = &mut self.buffer[self.used..];
        let Some((header, room)) = free.split_first_chunk_mut::<HEADER>() else { return 0 };
        let count = room.len().min(words.len());
        if count > 0 {
            *header = [phys.0, count as u64];
            room.iter_mut().zip(words).for_each(|(slot, word)| *slot = word);
            // INVARIANT: one more copy, behind its header.
            self.used += HEADER + count;
        }
        count
    }
}

// SAFETY: the words of a publication are queued behind those of all earlier ones, or submitted
// after them, and the engine keeps that order (`CopyEngine`). They are those of that moment, so
// none comes ahead of what was published before it was written (`MEM-ORDER`).
unsafe impl<E: CopyEngine> Publish for CopyQueue<'_, E> {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        // Whole words: what shares one with the table's bytes is the table's, too.
        // CAST: less than a word.
        let before = (phys.0 % 8) as usize;
        let (start, count) = (phys.0 - before as u64, (before + bytes).div_ceil(8));
        let read = |index: usize| {
            let word = cpu.as_ptr().wrapping_sub(before).wrapping_add(8 * index);
            if self.short_entries {
                return read_halves(word);
            }
            // SAFETY: the word lies in the table that the caller publishes a part of, which is
            // aligned alike in both address spaces; who else may touch it, does so atomically, by
            // entries of this size.
            unsafe { AtomicU64::from_ptr(word.cast()) }.load(Ordering::Relaxed)
        };
        let mut state = self.state.lock();
        state.figures.publications += 1;
        state.figures.words += count as u64;
        let mut done = 0;
        while done < count {
            let pushed = state.push(PhysAddr(start + 8 * done as u64), (done..count).map(read));
            if pushed == 0 {
                // An empty buffer has room for a word, so this comes to an end.
                self.submit(&mut state);
                state.figures.overflows += 1;
            }
            done += pushed;
        }
    }

    fn commit(&self) {
        self.submit(&mut self.state.lock());
    }
}

/// Two entries of four bytes as they lie in memory, one read after the other. `word` points to them,
/// in a table that a part is published of.
fn read_halves(word: *mut u8) -> u64 {
    let half = |offset: usize| {
        let entry = word.wrapping_add(offset).cast();
        // SAFETY: the entry lies in that table, which is aligned alike in both address spaces; who else
        // may touch it, does so atomically, by entries of this size.
        u64::from(unsafe { AtomicU32::from_ptr(entry) }.load(Ordering::Relaxed))
    };
    let (first, second) = (half(0), half(4));
    if cfg!(target_endian = "little") { first | second << 32 } else { first << 32 | second }
}

impl<E> fmt::Debug for CopyQueue<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        write!(f, "CopyQueue({} words queued, {:?})", state.used, state.figures)
    }
}
