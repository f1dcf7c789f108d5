//! `page-table-generic`, with an entry format of ours: it brings none.

use iopgtable::Segment;
use page_table_generic::{
    FrameAllocator, MapConfig, PageTable, PageTableEntry, PhysAddr, TableMeta, UnmapConfig,
    VirtAddr,
};

use crate::contest::frames;
use crate::contest::tables::{Leaf, Tables};

const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const TABLE_OR_PAGE: u64 = 0b11;
const BLOCK: u64 = 0b01;
/// Access flag, inner shareable.
const ATTRIBUTES: u64 = 0x700;

/// An entry of Arm's stage 1, 4 KiB granule and coarser.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry(u64);

impl PageTableEntry for Entry {
    type PteConfig = u64;

    fn new_page(phys: PhysAddr, attributes: u64, is_huge: bool) -> Self {
        let kind = if is_huge { BLOCK } else { TABLE_OR_PAGE };
        Self(phys.as_usize() as u64 | attributes | kind)
    }

    fn new_table(phys: PhysAddr) -> Self {
        Self(phys.as_usize() as u64 | TABLE_OR_PAGE)
    }

    fn paddr(&self, _: bool) -> PhysAddr {
        // CAST: 64 bits.
        PhysAddr::from_usize((self.0 & ADDRESS) as usize)
    }

    fn config(&self, _: bool) -> u64 {
        self.0 & !ADDRESS & !TABLE_OR_PAGE
    }

    fn present(&self) -> bool {
        self.0 & 1 != 0
    }

    fn huge(&self, is_dir: bool) -> bool {
        is_dir && self.0 & TABLE_OR_PAGE == BLOCK
    }

    fn unused(&self) -> bool {
        self.0 == 0
    }

    fn clear(&mut self) {
        self.0 = 0;
    }
}

/// 48 bits with a granule of `1 << SHIFT` bytes.
#[derive(Clone, Copy)]
pub(crate) struct Meta<const SHIFT: u32>;

impl<const SHIFT: u32> TableMeta for Meta<SHIFT> {
    type P = Entry;
    const PAGE_SIZE: usize = 1 << SHIFT;
    const LEVEL_BITS: &[usize] = match SHIFT {
        12 => &[9, 9, 9, 9],
        14 => &[1, 11, 11, 11],
        _ => &[6, 13, 13],
    };
    const MAX_BLOCK_LEVEL: usize = 2;

    fn flush(_: Option<VirtAddr>) {}
}

#[derive(Clone)]
pub(crate) struct Frames<const SHIFT: u32>;

impl<const SHIFT: u32> FrameAllocator for Frames<SHIFT> {
    fn alloc_frame(&self) -> Option<PhysAddr> {
        let page = frames::take(SHIFT)?;
        Some(PhysAddr::from_usize(page.as_ptr().expose_provenance()))
    }

    fn dealloc_frame(&self, frame: PhysAddr) {
        let page = frames::at(frame.as_usize());
        if let Some(page) = std::ptr::NonNull::new(page) {
            // SAFETY: the crate returns what `alloc_frame` handed out, and uses it no more.
            unsafe { frames::give(SHIFT, page) };
        }
    }

    fn phys_to_virt(&self, phys: PhysAddr) -> *mut u8 {
        frames::at(phys.as_usize()).cast()
    }
}

pub(crate) struct PageTableGeneric<const SHIFT: u32 = 12>(PageTable<Meta<SHIFT>, Frames<SHIFT>>);

// CAST: here and below, addresses have 64 bits.
const fn virt(iova: u64) -> VirtAddr {
    VirtAddr::from_usize(iova as usize)
}

impl<const SHIFT: u32> Tables for PageTableGeneric<SHIFT> {
    const NAME: &'static str = "page-table-generic";
    type Memory = ();

    fn memory(tables: usize) {
        frames::reserve(SHIFT, tables + 1);
    }

    fn new((): &()) -> Self {
        Self(PageTable::new(Frames).expect("a root"))
    }

    fn map(&mut self, iova: u64, phys: u64, bytes: u64, leaf: Leaf) {
        let config = MapConfig {
            vaddr: virt(iova),
            paddr: PhysAddr::from_usize(phys as usize),
            size: bytes as usize,
            pte: ATTRIBUTES,
            allow_huge: leaf == Leaf::Blocks,
            flush: false,
        };
        self.0.map(&config).expect("room and pages");
    }

    fn map_list(&mut self, iova: u64, segments: &[Segment]) {
        let piece = segments.first().map_or(1, |first| first.bytes);
        let shift = piece.trailing_zeros();
        let phys = |at: VirtAddr| {
            let offset = at.as_usize() as u64 - iova;
            let segment = segments[(offset >> shift) as usize];
            PhysAddr::from_usize((segment.phys.0 + (offset & (piece - 1))) as usize)
        };
        let bytes = piece as usize * segments.len();
        self.0.map_region(virt(iova), phys, bytes, ATTRIBUTES).expect("room and pages");
    }

    fn unmap_all(&mut self, iova: u64, bytes: u64) {
        let config = UnmapConfig { start_vaddr: virt(iova), size: bytes as usize, flush: false };
        self.0.unmap_with_config(&config).expect("aligned");
    }

    fn unmap_part(&mut self, iova: u64, bytes: u64) {
        self.unmap_all(iova, bytes);
    }

    fn translate(&self, iova: u64) -> Option<u64> {
        self.0.translate_phys(virt(iova)).ok().map(|phys| phys.as_usize() as u64)
    }

    fn leaf(&self, iova: u64) -> Option<(u64, u64)> {
        let (phys, _, level) = self.0.translate_with_level(virt(iova)).ok()?;
        // Level 1 holds pages.
        let bytes = 1 << (SHIFT as usize + (SHIFT as usize - 3) * (level - 1));
        Some((phys.as_usize() as u64, bytes))
    }
}
