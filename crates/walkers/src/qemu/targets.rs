//! What lies where leaves lead to: words that say where they are, and can be run.

use std::sync::Arc;

use crate::{Absent, PhysMemory, Ram};

/// Above the instruction: where the word is, in units of eight bytes, or which store has put it
/// there.
const ABOVE: u32 = 32;
const IS_MARKER: u64 = 1 << 63;

/// The pages that leaves may lead to.
#[derive(Debug)]
pub(super) struct Targets {
    ram: Arc<Ram>,
    pub(super) first: u64,
    pub(super) last: u64,
    /// In the lower half of each word.
    instruction: u32,
}

impl Targets {
    /// Fills whole pages of `ram`, from the first address to the last. Whoever fetches
    /// `instruction` comes back to the program.
    pub(super) fn new(
        ram: &Arc<Ram>,
        (first, last): (u64, u64),
        instruction: u32,
    ) -> Result<Self, Absent> {
        let whole = first % 4096 == 0 && last % 4096 == 4095 && first < last;
        // So that a place and a marker differ.
        let known =
            last < 1 << 34 && ram.read_u64(first).is_some() && ram.read_u64(last & !7).is_some();
        if !whole || !known {
            return Err(Absent::new("its targets would have to be pages of the RAM"));
        }
        let targets = Self { ram: Arc::clone(ram), first, last, instruction };
        for place in (first..last).step_by(8) {
            targets.restore(place);
        }
        Ok(targets)
    }

    /// The word that a store number `number` writes.
    pub(super) fn marker(&self, number: usize) -> u64 {
        // CAST: a list has less than 2^31 requests.
        IS_MARKER | (number as u64) << ABOVE | u64::from(self.instruction)
    }

    /// Where the word at `address` was loaded from, if it is one of these.
    pub(super) fn place(&self, word: u64, address: u64) -> Option<u64> {
        let place = word >> ABOVE << 3;
        let ours = (self.first..=self.last).contains(&place)
            && word & 0xffff_ffff == u64::from(self.instruction);
        (ours && (place ^ address) & 0xff8 == 0).then_some(place)
    }

    /// Where stores have written to: each has a number and the place that a load at its address had
    /// led to, which may be another one where something is remembered. No two of these places are
    /// the same. What they overwrote comes back. None if one is nowhere.
    pub(super) fn written(&self, stores: &[(usize, u64)]) -> Option<Vec<u64>> {
        let place = |&(number, expected): &(usize, u64)| {
            let is_here = self.ram.read_u64(expected)? == self.marker(number);
            if is_here { Some(expected) } else { self.search(number) }
        };
        let places: Vec<u64> = stores.iter().map(place).collect::<Option<_>>()?;
        for &place in &places {
            self.restore(place);
        }
        Some(places)
    }

    fn search(&self, number: usize) -> Option<u64> {
        let mut places = (self.first..self.last).step_by(8);
        places.find(|&place| self.ram.read_u64(place) == Some(self.marker(number)))
    }

    /// Puts the word there that says where it is.
    fn restore(&self, place: u64) {
        self.ram.write_u64(place, place >> 3 << ABOVE | u64::from(self.instruction));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Targets;
    use crate::{PhysMemory, Ram};

    const FIRST: u64 = 0x8000_0000;

    fn ram() -> Arc<Ram> {
        Arc::new(Ram::new(FIRST, 1 << 16).unwrap())
    }

    #[test]
    fn words_say_where_they_are() {
        let ram = ram();
        let targets = Targets::new(&ram, (FIRST + 0x1000, FIRST + 0x2fff), 0x73).unwrap();
        assert_eq!(ram.read_u64(FIRST + 0xff8), Some(0));
        let word = ram.read_u64(FIRST + 0x2ff8).unwrap();
        assert_eq!(word & 0xffff_ffff, 0x73);
        assert_eq!(targets.place(word, 0x7ff8), Some(FIRST + 0x2ff8));
        assert_eq!(targets.place(word, 0x7ff0), None, "another offset in the page");
        assert_eq!(targets.place(word ^ 1, 0x7ff8), None, "another instruction");
        assert_eq!(targets.place(targets.marker(3), 0x7ff8), None);
        assert!(Targets::new(&ram, (FIRST, FIRST + (1 << 16) + 4095), 0x73).is_err());
    }

    #[test]
    fn stores_are_found_wherever_they_went() {
        let ram = ram();
        let targets = Targets::new(&ram, (FIRST, FIRST + 0xffff), 0x73).unwrap();
        let before: Vec<_> =
            (FIRST..FIRST + 0x1_0000).step_by(8).map(|at| ram.read_u64(at)).collect();
        // One to the place of its load, one to another place.
        ram.write_u64(FIRST + 8, targets.marker(5));
        ram.write_u64(FIRST + 0x4010, targets.marker(6));
        let places = targets.written(&[(5, FIRST + 8), (6, FIRST + 0x2010)]);
        assert_eq!(places, Some(vec![FIRST + 8, FIRST + 0x4010]));
        let after: Vec<_> =
            (FIRST..FIRST + 0x1_0000).step_by(8).map(|at| ram.read_u64(at)).collect();
        assert!(before == after);
        assert_eq!(targets.written(&[(7, FIRST)]), None);
    }
}
