//! Memory that knows where it is.

use crate::{PhysMemory, Ram};

/// A window of RAM in which each word holds its own physical address, so that what a device
/// reads says where it read, and what it wrote stands out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    first: u64,
    last: u64,
}

/// The bits above an address of 48 bits in a word of the window. No table and no token looks so.
const MARK: u64 = 0x7a47 << 48;

/// The bits above the number of a token.
const TOKEN: u64 = 0xd0c5 << 48;

/// The largest number of words in the smallest page that any IOMMU maps.
pub(super) const PAGE_WORDS: u64 = 512;

/// The word that is written to the word `slot` of a page, wherever the page may be.
pub(super) const fn token(slot: u64) -> u64 {
    TOKEN | slot
}

/// Makes the word at `address` say its address (again); whether it lies in memory.
pub(super) fn repair(ram: &Ram, address: u64) -> bool {
    ram.write_u64(address, MARK | address)
}

impl Targets {
    /// Fills whole pages from `first` to `last`, both included, of `ram`. None if the window is not
    /// made of pages of 4 KiB, or lies outside of the memory, or above 48 bits.
    pub(super) fn new(ram: &Ram, (first, last): (u64, u64)) -> Option<Self> {
        let end = last.checked_add(1)?;
        if first % 4096 != 0 || end % 4096 != 0 || end <= first || end > 1 << 48 {
            return None;
        }
        let targets = Self { first, last };
        (first..=last).step_by(8).all(|address| repair(ram, address)).then_some(targets)
    }

    /// The first and the last address.
    pub(super) const fn range(&self) -> (u64, u64) {
        (self.first, self.last)
    }

    /// Where `word` was read.
    pub(super) fn place(&self, word: u64) -> Option<u64> {
        let address = word & !(0xffff << 48);
        (word ^ address == MARK && (self.first..=self.last).contains(&address)).then_some(address)
    }

    /// Where the token of `slot` was written: only that word of each page is looked at, first in
    /// the page at `hint`.
    pub(super) fn find(&self, ram: &Ram, slot: u64, hint: Option<u64>) -> Option<u64> {
        let holds = |address: &u64| {
            (self.first..=self.last).contains(address)
                && ram.read_u64(*address) == Some(token(slot))
        };
        let hint = hint.map(|page| (page & !0xfff) + slot * 8).filter(holds);
        hint.or_else(|| (self.first + slot * 8..=self.last).step_by(4096).find(holds))
    }
}

#[cfg(test)]
mod tests {
    use super::{Targets, repair, token};
    use crate::{PhysMemory, Ram};

    const WINDOW: (u64, u64) = (0x8000_4000, 0x8000_bfff);

    #[test]
    fn each_word_says_where_it_is() {
        let ram = Ram::new(0x8000_0000, 0x1_0000).unwrap();
        let targets = Targets::new(&ram, WINDOW).unwrap();
        for address in (WINDOW.0..WINDOW.1).step_by(8) {
            assert_eq!(targets.place(ram.read_u64(address).unwrap()), Some(address));
        }
        assert_eq!(targets.place(ram.read_u64(0x8000_3ff8).unwrap()), None);
        assert_eq!(targets.place(0x7a47_0000_8000_c000), None, "marked, and outside");
        assert_eq!(targets.place(0x8000_4000), None, "not marked");
    }

    #[test]
    fn a_token_is_found_with_and_without_a_hint_until_it_is_repaired() {
        let ram = Ram::new(0x8000_0000, 0x1_0000).unwrap();
        let targets = Targets::new(&ram, WINDOW).unwrap();
        let address = 0x8000_6000 + 17 * 8;
        assert!(ram.write_u64(address, token(17)));
        for hint in [None, Some(0x8000_6abc), Some(0x8000_5000), Some(0xf000_0000)] {
            assert_eq!(targets.find(&ram, 17, hint), Some(address));
        }
        assert_eq!(targets.find(&ram, 16, None), None);
        repair(&ram, address);
        assert_eq!(targets.find(&ram, 17, Some(address)), None);
    }

    #[test]
    fn a_window_is_made_of_pages_in_memory() {
        let ram = Ram::new(0x8000_0000, 0x1_0000).unwrap();
        for window in [
            (0x8000_4008, 0x8000_bfff),
            (0x8000_4000, 0x8000_bff0),
            (0x8000_4000, 0x8001_0fff),
            (0x7fff_f000, 0x8000_0fff),
            (0x8000_4000, 0x8000_3fff),
            (0, u64::MAX),
        ] {
            assert!(Targets::new(&ram, window).is_none(), "{window:x?}");
        }
    }
}
