//! What is mapped, as naively as possible: ranges by their first address.

use std::collections::BTreeMap;

use iopgtable::{Iova, IovaRange, Prot};

/// A mapped range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The addresses.
    pub range: IovaRange,
    /// Where the first of them leads; the others follow.
    pub phys: u64,
    /// What is allowed.
    pub prot: Prot,
}

impl Mapped {
    fn part(self, range: IovaRange) -> Self {
        Self { range, phys: self.phys + (range.first().0 - self.range.first().0), ..self }
    }
}

/// What a page table should map.
#[derive(Clone, Debug, Default)]
pub struct Model(BTreeMap<u64, Mapped>);

impl Model {
    /// What translates `address`, and where exactly it leads.
    pub fn translate(&self, address: u64) -> Option<(u64, Prot)> {
        let (_, mapped) = self.0.range(..=address).next_back()?;
        let inside = mapped.range.contains(Iova(address));
        inside.then(|| (mapped.phys + (address - mapped.range.first().0), mapped.prot))
    }

    /// All that lies in `range` at least in part.
    pub fn in_range(&self, range: IovaRange) -> Vec<Mapped> {
        let below = self.0.range(..range.first().0).next_back();
        let inside = self.0.range(range.first().0..=range.last().0);
        let all = below.into_iter().chain(inside).map(|(_, mapped)| *mapped);
        all.filter(|mapped| mapped.range.intersection(range).is_some()).collect()
    }

    /// Adds a mapping where there is none.
    pub fn map(&mut self, mapped: Mapped) {
        self.0.insert(mapped.range.first().0, mapped);
    }

    /// Removes what `range` maps.
    pub fn unmap(&mut self, range: IovaRange) {
        for old in self.in_range(range) {
            self.0.remove(&old.range.first().0);
            if old.range.first() < range.first() {
                let last = Iova(range.first().0 - 1);
                self.map(old.part(IovaRange::between(old.range.first(), last)));
            }
            if old.range.last() > range.last() {
                let first = Iova(range.last().0 + 1);
                self.map(old.part(IovaRange::between(first, old.range.last())));
            }
        }
    }

    /// Changes what `range` allows.
    pub fn protect(&mut self, range: IovaRange, prot: Prot) {
        let old = self.in_range(range);
        self.unmap(range);
        for old in old {
            if let Some(inside) = old.range.intersection(range) {
                self.map(Mapped { prot, ..old.part(inside) });
            }
        }
    }

    /// The free space around `range`, which is free, within `whole`.
    pub fn hole(&self, range: IovaRange, whole: IovaRange) -> IovaRange {
        let below = self.0.range(..range.first().0).next_back();
        let above = self.0.range(range.last().0..).next();
        let first = below.map_or(whole.first(), |(_, mapped)| Iova(mapped.range.last().0 + 1));
        let last = above.map_or(whole.last(), |(first, _)| Iova(first - 1));
        IovaRange::between(first, last)
    }

    /// All mappings, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Mapped> {
        self.0.values()
    }
}
