//! A stage of an IOMMU whose tables have 4 KiB, and what holds for each of them.

use core::ops::RangeInclusive;

use walkers::{Access, AccessKind, Mmu, Regime, Request};

use crate::bed::{Bed, agree, around, asked, places, strict};
use crate::noise::Noise;
use crate::radix::{Entries, Tree, shift};

/// A device's accesses, which are a user's where a stage tells them apart.
pub(crate) const READ: Access = Access::UNPRIVILEGED_READ;
pub(crate) const WRITE: Access = Access::UNPRIVILEGED_WRITE;
pub(crate) const ACCESSES: [Access; 2] = [READ, WRITE];

/// Both at each address.
pub(crate) fn both(addresses: impl IntoIterator<Item = u64>) -> Vec<Request> {
    asked(ACCESSES, addresses)
}

pub(crate) trait Stage: Entries {
    /// Sets of rights that a leaf may have; the last one permits all.
    const RIGHTS: [u64; 4];

    /// What leaves with these rights permit: reads, and writes.
    fn permits(rights: u64) -> (bool, bool);

    /// A leaf of `level` to `output`.
    fn leaf(&self, output: u64, level: u32, rights: u64) -> u64;

    fn regime(&self, tree: &Tree) -> Regime;

    /// An empty tree.
    fn tree(&self, bed: &mut Bed, levels: u32) -> Tree {
        Tree::new(bed, levels, 0)
    }

    /// How a device says an address of the tree: with its sign, where there is one.
    fn said(&self, _: &Tree, address: u64) -> u64 {
        address
    }

    /// How many of its bits may be changed.
    fn changeable(&self, _: &Tree) -> u64 {
        55
    }

    /// A leaf that permits all.
    fn whole(&self, output: u64, level: u32) -> u64 {
        self.leaf(output, level, Self::RIGHTS[3])
    }

    /// Fails unless a leaf with `rights` leads from `address` to `to`.
    fn check_leaf(mmu: &mut dyn Mmu, address: u64, to: u64, rights: u64) {
        let requests = both([address + 0x123, address + 0xff8]);
        let (read, write) = Self::permits(rights);
        for (request, found) in requests.iter().zip(places(mmu, &requests)) {
            let permitted = if request.access.kind == AccessKind::Write { write } else { read };
            let target = request.address - address + to;
            assert_eq!(found, permitted.then_some(target), "{request:x?} with {rights:x}");
        }
    }

    /// Leaves of all levels and rights lead to their bytes, in trees of so many levels.
    fn check_leaves(&self, bed: &mut Bed, mmu: &mut dyn Mmu, levels: RangeInclusive<u32>) {
        for levels in levels {
            bed.clear();
            let tree = self.tree(bed, levels);
            let to = bed.target(0x20_0000);
            let top = self.said(&tree, (1 << tree.input_bits()) - (1 << 30));
            let regime = self.regime(&tree);
            for level in 1..=3 {
                let below = (1 << shift(level)) - 1;
                for from in [0, 0x12_3456_7000, top] {
                    let address = from & !below | to & below;
                    for rights in Self::RIGHTS {
                        let entry = self.leaf(to & !below, level, rights);
                        tree.map(bed, self, address, level, entry);
                        mmu.install(&regime, 4).unwrap();
                        Self::check_leaf(mmu, address, to, rights);
                        let near = both([address, address + 8, address ^ 0x1000]);
                        agree(bed, mmu, &regime, &near, &strict);
                    }
                    // Not there for the sizes that come.
                    for above in level..=levels {
                        tree.map(bed, self, address, above, 0);
                    }
                }
            }
        }
    }

    /// Random trees of so many levels are walked as in software.
    fn check_random_trees(&self, bed: &mut Bed, mmu: &mut dyn Mmu, levels: RangeInclusive<u32>) {
        for levels in levels {
            bed.clear();
            let tree = self.tree(bed, levels);
            let mut noise = Noise(u64::from(tree.input_bits()));
            let grown = tree.grow(bed, &mut noise, self, 3);
            let grown: Vec<_> = grown.iter().map(|&address| self.said(&tree, address)).collect();
            let mut addresses = around(&mut noise, &grown, self.changeable(&tree));
            // A PC's interrupts, of which the walker in software does not know.
            addresses.retain(|address| !(0xfee0_0000..0xfef0_0000).contains(address));
            let regime = self.regime(&tree);
            mmu.install(&regime, levels as u16).unwrap();
            agree(bed, mmu, &regime, &both(addresses), &strict).check(2000);
        }
    }
}
