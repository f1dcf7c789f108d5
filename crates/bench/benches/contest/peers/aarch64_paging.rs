//! `aarch64-paging`: a tree that is not live, so without TLB maintenance or barriers.

use std::ptr::NonNull;

use aarch64_paging::descriptor::{
    El1Attributes, PagingAttributes, PhysicalAddress, Stage2Attributes,
};
use aarch64_paging::paging::{
    Constraints, El1And0, MemoryRegion, PageTable, RootTable, Stage2, Translation,
    TranslationRegime, VaRange,
};
use iopgtable::Segment;

use crate::contest::PAGE;
use crate::contest::frames;
use crate::contest::tables::{Leaf, Tables};

const SHIFT: u32 = 12;

pub(crate) struct Frames;

impl<A: PagingAttributes> Translation<A> for Frames {
    fn allocate_table(&mut self) -> (NonNull<PageTable<A>>, PhysicalAddress) {
        let page = frames::take(SHIFT).expect("enough pages were reserved");
        (page.cast(), PhysicalAddress(page.as_ptr().expose_provenance()))
    }

    unsafe fn deallocate_table(&mut self, page: NonNull<PageTable<A>>) {
        // SAFETY: the crate returns what `allocate_table` handed out, and uses it no more.
        unsafe { frames::give(SHIFT, page.cast()) };
    }

    fn physical_to_virtual(&self, phys: PhysicalAddress) -> NonNull<PageTable<A>> {
        NonNull::new(frames::at(phys.0).cast()).expect("tables do not lie at 0")
    }
}

/// A stage of translation with 4 KiB granule.
pub(crate) trait Stage: TranslationRegime {
    const LEAF: Self::Attributes;
    const NONE: Self::Attributes;
    fn root() -> RootTable<Self, Frames>;
}

impl Stage for El1And0 {
    const LEAF: El1Attributes = El1Attributes::VALID
        .union(El1Attributes::ACCESSED)
        .union(El1Attributes::NON_GLOBAL)
        .union(El1Attributes::USER);
    const NONE: El1Attributes = El1Attributes::empty();

    fn root() -> RootTable<Self, Frames> {
        RootTable::with_va_range(Frames, 0, Self, VaRange::Lower)
    }
}

impl Stage for Stage2 {
    const LEAF: Stage2Attributes = Stage2Attributes::VALID
        .union(Stage2Attributes::ACCESS_FLAG)
        .union(Stage2Attributes::S2AP_ACCESS_RW);
    const NONE: Stage2Attributes = Stage2Attributes::empty();

    fn root() -> RootTable<Self, Frames> {
        RootTable::new(Frames, 0, Self)
    }
}

pub(crate) struct AArch64Paging<S: Stage = El1And0>(RootTable<S, Frames>);

impl<S: Stage> AArch64Paging<S> {
    fn set(&mut self, iova: u64, bytes: u64, phys: u64, flags: S::Attributes, leaf: Leaf) {
        let constraints = match leaf {
            Leaf::Pages => Constraints::NO_BLOCK_MAPPINGS,
            Leaf::Blocks => Constraints::empty(),
        };
        // CAST: the crate, like this benchmark, is for 64 bits.
        let region = MemoryRegion::new(iova as usize, (iova + bytes) as usize);
        let phys = PhysicalAddress(phys as usize);
        self.0.map_range(&region, phys, flags, constraints).expect("within the address space");
    }
}

impl<S: Stage> Tables for AArch64Paging<S> {
    const NAME: &'static str = "aarch64-paging";
    type Memory = ();

    fn memory(tables: usize) {
        frames::reserve(SHIFT, tables + 1);
    }

    fn new((): &()) -> Self {
        Self(S::root())
    }

    fn map(&mut self, iova: u64, phys: u64, bytes: u64, leaf: Leaf) {
        self.set(iova, bytes, phys, S::LEAF, leaf);
    }

    fn map_list(&mut self, iova: u64, segments: &[Segment]) {
        let mut iova = iova;
        for segment in segments {
            self.set(iova, segment.bytes, segment.phys.0, S::LEAF, Leaf::Pages);
            iova += segment.bytes;
        }
    }

    fn unmap_all(&mut self, iova: u64, bytes: u64) {
        self.set(iova, bytes, 0, S::NONE, Leaf::Blocks);
    }

    fn unmap_part(&mut self, iova: u64, bytes: u64) {
        self.unmap_all(iova, bytes);
    }

    fn translate(&self, iova: u64) -> Option<u64> {
        self.leaf(iova).map(|(phys, _)| phys)
    }

    fn leaf(&self, iova: u64) -> Option<(u64, u64)> {
        let page = iova & !(PAGE - 1);
        // CAST: as above.
        let region = MemoryRegion::new(page as usize, (page + PAGE) as usize);
        let mut found = None;
        self.0
            .walk_range(&region, &mut |_, descriptor, level| {
                if descriptor.is_valid() {
                    let bytes = PAGE << (9 * (3 - level));
                    let phys = descriptor.output_address().0 as u64;
                    found = Some((phys + (iova & (bytes - 1)), bytes));
                }
                Ok(())
            })
            .expect("the visit has no errors");
        found
    }
}
