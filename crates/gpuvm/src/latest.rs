//! The latest queued job at each address.
//!
//! Whoever was there before has gone, or the latest one waits for him; so it is enough to wait for
//! the latest. Finding him takes logarithmic time, whatever is queued elsewhere.

use alloc::collections::BTreeMap;

#[cfg(test)]
use iopgtable::Iova;
use iopgtable::IovaRange;

/// Pieces of the address space, apart, each with whom it belongs to.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    /// By first address.
    pieces: BTreeMap<u64, Piece<T>>,
}

#[derive(Clone, Copy, Debug)]
struct Piece<T> {
    last: u64,
    whose: T,
}

impl<T: Copy> Latest<T> {
    pub(crate) const fn new() -> Self {
        Self { pieces: BTreeMap::new() }
    }

    /// Gives `range` to `whose`; `met` is told who had parts of it before.
    pub(crate) fn give(&mut self, range: IovaRange, whose: T, mut met: impl FnMut(T)) {
        let (first, last) = (range.first().0, range.last().0);
        while let Some((&at, &piece)) = self.pieces.range(..=last).next_back() {
            if piece.last < first {
                break;
            }
            met(piece.whose);
            self.pieces.remove(&at);
            if piece.last > last {
                // OVERFLOW: below another address.
                self.pieces.insert(last + 1, piece);
            }
            if at < first {
                self.pieces.insert(at, Piece { last: first - 1, ..piece });
                break;
            }
        }
        self.pieces.insert(first, Piece { last, whose });
    }

    /// How many pieces there are.
    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Takes from all who are not `there` any more.
    pub(crate) fn retain(&mut self, mut there: impl FnMut(T) -> bool) {
        self.pieces.retain(|_, piece| there(piece.whose));
    }

    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
    }

    /// Whose `address` is.
    #[cfg(test)]
    fn at(&self, address: Iova) -> Option<T> {
        let (_, piece) = self.pieces.range(..=address.0).next_back()?;
        (piece.last >= address.0).then_some(piece.whose)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use std::collections::BTreeSet;
    use std::vec::Vec;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_address_belongs_to_the_last_who_was_given_it(
            gifts in prop::collection::vec((0u64..60, 1u64..12, 0u8..6), 1..40),
            gone in 0u8..6,
        ) {
            let mut latest = Latest::new();
            let mut plain = [None; 72];
            for (first, bytes, whose) in gifts {
                let mut met = BTreeSet::new();
                let range = IovaRange::new(Iova(first), bytes).unwrap();
                latest.give(range, whose, |one| { met.insert(one); });
                let part = &mut plain[first as usize..(first + bytes) as usize];
                prop_assert_eq!(met, part.iter().flatten().copied().collect());
                part.fill(Some(whose));
            }
            let look = |latest: &Latest<u8>| -> Vec<Option<u8>> {
                (0..72).map(|address| latest.at(Iova(address))).collect()
            };
            prop_assert_eq!(look(&latest), plain);
            latest.retain(|whose| whose != gone);
            prop_assert_eq!(look(&latest), plain.map(|one| one.filter(|&whose| whose != gone)));
        }
    }
}
