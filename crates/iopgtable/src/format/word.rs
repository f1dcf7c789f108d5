//! The words that entries are: of four or eight bytes.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::Sealed;

/// What one entry is in memory: `u32` or `u64`. The engine computes with `u64` always; of a
/// narrower entry, the upper bits are zero.
///
/// Sealed: the engine relies on [`Atomic`](Self::Atomic) having the size and the alignment of the
/// word, which is [`BYTES`](Self::BYTES), and on a word of zeroes being an entry of zero.
pub trait Word: Copy + fmt::Debug + Send + Sync + Sealed + 'static {
    /// The bytes of an entry.
    const BYTES: usize;

    /// The same for accesses beside those of walkers and of other threads.
    #[doc(hidden)]
    type Atomic: AtomicWord;

    /// The word of `entry`, whose upper bits are lost if it is narrower.
    #[doc(hidden)]
    fn of(entry: u64) -> Self;

    /// The entry that it is.
    #[doc(hidden)]
    fn entry(self) -> u64;
}

/// An entry that others may access, too. As the atomic types do it, but with entries as `u64`.
#[doc(hidden)]
pub trait AtomicWord: Sync + 'static {
    fn load(&self, order: Ordering) -> u64;

    fn store(&self, entry: u64, order: Ordering);

    fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64>;

    fn fetch_or(&self, bits: u64, order: Ordering);

    fn fetch_update(
        &self,
        success: Ordering,
        failure: Ordering,
        change: impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, u64>;
}

macro_rules! words {
    ($($word:ident $atomic:ident;)*) => {$(
        impl Sealed for $word {}

        impl Word for $word {
            const BYTES: usize = size_of::<$word>();
            type Atomic = $atomic;

            #[inline]
            fn of(entry: u64) -> Self {
                // CAST: a format's entries fit into its word.
                entry as $word
            }

            #[inline]
            fn entry(self) -> u64 {
                u64::from(self)
            }
        }

        impl AtomicWord for $atomic {
            #[inline]
            fn load(&self, order: Ordering) -> u64 {
                $atomic::load(self, order).entry()
            }

            #[inline]
            fn store(&self, entry: u64, order: Ordering) {
                $atomic::store(self, $word::of(entry), order);
            }

            #[inline]
            fn compare_exchange(
                &self,
                old: u64,
                new: u64,
                success: Ordering,
                failure: Ordering,
            ) -> Result<u64, u64> {
                let (old, new) = ($word::of(old), $word::of(new));
                $atomic::compare_exchange(self, old, new, success, failure)
                    .map(Word::entry)
                    .map_err(Word::entry)
            }

            #[inline]
            fn fetch_or(&self, bits: u64, order: Ordering) {
                $atomic::fetch_or(self, $word::of(bits), order);
            }

            #[inline]
            fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                change: impl Fn(u64) -> Option<u64>,
            ) -> Result<u64, u64> {
                $atomic::fetch_update(self, success, failure, |word| {
                    change(word.entry()).map($word::of)
                })
                .map(Word::entry)
                .map_err(Word::entry)
            }
        }
    )*};
}
words! {
    u32 AtomicU32;
    u64 AtomicU64;
}
