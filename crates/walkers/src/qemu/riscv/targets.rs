//! What lies where leaves lead to: words that say where they are, and can be run.

use crate::{PhysMemory, Ram};

/// `ecall`: whoever fetches it comes back to M-mode.
const ECALL: u64 = 0x73;

/// Above it: where the word is, in units of eight bytes, or which store has put it there.
const ABOVE: u32 = 32;
const IS_MARKER: u64 = 1 << 63;

/// The pages that leaves may lead to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The word that a store number `number` writes.
pub(super) fn marker(number: usize) -> u64 {
    // CAST: a list has less than 2^31 requests.
    IS_MARKER | (number as u64) << ABOVE | ECALL
}

impl Targets {
    /// Fills whole pages of `ram`, from the first address to the last.
    pub(super) fn new(ram: &Ram, (first, last): (u64, u64)) -> Option<Self> {
        let whole = first % 4096 == 0 && last % 4096 == 4095 && first < last;
        // So that a place and a marker differ.
        let known =
            last < 1 << 34 && ram.read_u64(first).is_some() && ram.read_u64(last & !7).is_some();
        let targets = Self { first, last };
        if !whole || !known {
            return None;
        }
        for place in (first..last).step_by(8) {
            restore(ram, place);
        }
        Some(targets)
    }

    /// Where the word at `address` was loaded from, if it is one of these.
    pub(super) fn place(&self, word: u64, address: u64) -> Option<u64> {
        let place = word >> ABOVE << 3;
        let ours = (self.first..=self.last).contains(&place) && word & 0xffff_ffff == ECALL;
        (ours && (place ^ address) & 0xff8 == 0).then_some(place)
    }

    /// Where stores have written to: each has a number and the place that a load at its address had
    /// led to, which may be another one where something is remembered. What they overwrote comes
    /// back. None if one is nowhere.
    pub(super) fn written(&self, ram: &Ram, stores: &[(usize, u64)]) -> Option<Vec<u64>> {
        let mut places = Vec::with_capacity(stores.len());
        for (at, &(number, expected)) in stores.iter().enumerate() {
            // A later store to the same place has overwritten the marker of this one.
            let word = ram.read_u64(expected)?;
            let is_here = word == marker(number)
                || stores[at..]
                    .iter()
                    .any(|&(later, place)| place == expected && word == marker(later));
            places.push(if is_here { expected } else { self.search(ram, number)? });
        }
        for &place in &places {
            restore(ram, place);
        }
        Some(places)
    }

    fn search(&self, ram: &Ram, number: usize) -> Option<u64> {
        let mut places = (self.first..self.last).step_by(8);
        places.find(|&place| ram.read_u64(place) == Some(marker(number)))
    }
}

/// Puts the word there that says where it is.
fn restore(ram: &Ram, place: u64) {
    ram.write_u64(place, place >> 3 << ABOVE | ECALL);
}

#[cfg(test)]
mod tests {
    use super::{Targets, marker};
    use crate::{PhysMemory, Ram};

    const FIRST: u64 = 0x8000_0000;

    #[test]
    fn words_say_where_they_are() {
        let ram = Ram::new(FIRST, 1 << 16).unwrap();
        let targets = Targets::new(&ram, (FIRST + 0x1000, FIRST + 0x2fff)).unwrap();
        assert_eq!(ram.read_u64(FIRST + 0xff8), Some(0));
        let word = ram.read_u64(FIRST + 0x2ff8).unwrap();
        assert_eq!(targets.place(word, 0x7ff8), Some(FIRST + 0x2ff8));
        assert_eq!(targets.place(word, 0x7ff0), None, "another offset in the page");
        assert_eq!(targets.place(marker(3), 0x7ff8), None);
        assert!(Targets::new(&ram, (FIRST, FIRST + (1 << 16) + 4095)).is_none());
    }

    #[test]
    fn stores_are_found_wherever_they_went() {
        let ram = Ram::new(FIRST, 1 << 16).unwrap();
        let targets = Targets::new(&ram, (FIRST, FIRST + 0xffff)).unwrap();
        let before: Vec<_> =
            (FIRST..FIRST + 0x1_0000).step_by(8).map(|at| ram.read_u64(at)).collect();
        // Two to one place, one to another place than its load.
        ram.write_u64(FIRST + 8, marker(5));
        ram.write_u64(FIRST + 0x4010, marker(6));
        let stores = [(4, FIRST + 8), (5, FIRST + 8), (6, FIRST + 0x2010)];
        let places = targets.written(&ram, &stores);
        assert_eq!(places, Some(vec![FIRST + 8, FIRST + 8, FIRST + 0x4010]));
        let after: Vec<_> =
            (FIRST..FIRST + 0x1_0000).step_by(8).map(|at| ram.read_u64(at)).collect();
        assert!(before == after);
        assert_eq!(targets.written(&ram, &[(7, FIRST)]), None);
    }
}
