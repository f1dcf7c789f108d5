//! `page_table_multiarch`, with the entries of the host's architecture: it has no others.

use iopgtable::Segment;
use memory_addr::{PhysAddr, VirtAddr};
#[cfg(target_arch = "aarch64")]
use page_table_multiarch::aarch64::A64PageTable as HostTable;
#[cfg(target_arch = "x86_64")]
use page_table_multiarch::x86_64::X64PageTable as HostTable;
use page_table_multiarch::{MappingFlags, PagingHandler};

use crate::contest::frames;
use crate::contest::tables::{Leaf, Tables};

const SHIFT: u32 = 12;
const FLAGS: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE).union(MappingFlags::USER);

struct Frames;

impl PagingHandler for Frames {
    fn alloc_frames(count: usize, _: usize) -> Option<PhysAddr> {
        if count != 1 {
            return None;
        }
        let page = frames::take(SHIFT)?;
        Some(PhysAddr::from(page.as_ptr().expose_provenance()))
    }

    fn dealloc_frames(frame: PhysAddr, _: usize) {
        if let Some(page) = std::ptr::NonNull::new(frames::at(frame.as_usize())) {
            // SAFETY: the crate returns what `alloc_frames` handed out, one page at a time, and
            // uses it no more.
            unsafe { frames::give(SHIFT, page) };
        }
    }

    fn phys_to_virt(phys: PhysAddr) -> VirtAddr {
        VirtAddr::from(phys.as_usize())
    }
}

pub(crate) struct PageTableMultiarch(HostTable<Frames>);

// CAST: here and below, addresses have 64 bits.
fn virt(iova: u64) -> VirtAddr {
    VirtAddr::from(iova as usize)
}

fn phys(phys: u64) -> PhysAddr {
    PhysAddr::from(phys as usize)
}

impl PageTableMultiarch {
    fn map_by(&mut self, iova: u64, bytes: u64, leaf: Leaf, target: impl Fn(VirtAddr) -> PhysAddr) {
        let huge = leaf == Leaf::Blocks;
        self.0
            .cursor()
            .map_region(virt(iova), target, bytes as usize, FLAGS, huge)
            .expect("room and pages");
    }
}

impl Tables for PageTableMultiarch {
    const NAME: &'static str = "page_table_multiarch";
    type Memory = ();

    fn memory(tables: usize) {
        frames::reserve(SHIFT, tables + 1);
    }

    fn new((): &()) -> Self {
        Self(HostTable::try_new().expect("a root"))
    }

    fn map(&mut self, iova: u64, start: u64, bytes: u64, leaf: Leaf) {
        self.map_by(iova, bytes, leaf, |at| phys(start + (at.as_usize() as u64 - iova)));
    }

    fn map_list(&mut self, iova: u64, segments: &[Segment]) {
        let piece = segments.first().map_or(1, |first| first.bytes);
        let shift = piece.trailing_zeros();
        let bytes = piece * segments.len() as u64;
        self.map_by(iova, bytes, Leaf::Pages, |at| {
            let offset = at.as_usize() as u64 - iova;
            phys(segments[(offset >> shift) as usize].phys.0 + (offset & (piece - 1)))
        });
    }

    fn unmap_all(&mut self, iova: u64, bytes: u64) {
        self.0.cursor().unmap_region(virt(iova), bytes as usize).expect("all is mapped");
    }

    fn unmap_part(&mut self, iova: u64, bytes: u64) {
        self.unmap_all(iova, bytes);
    }

    fn translate(&self, iova: u64) -> Option<u64> {
        self.0.query(virt(iova)).ok().map(|(phys, ..)| phys.as_usize() as u64)
    }

    fn leaf(&self, iova: u64) -> Option<(u64, u64)> {
        let (phys, _, size) = self.0.query(virt(iova)).ok()?;
        Some((phys.as_usize() as u64, size as usize as u64))
    }
}
