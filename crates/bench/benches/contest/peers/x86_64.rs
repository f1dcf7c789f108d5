//! `x86_64`, whose mapper takes a page a call.

use std::ptr::NonNull;

use iopgtable::Segment;
use x86_64::structures::paging::mapper::{MappedFrame, TranslateResult};
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame,
    Size2MiB, Size4KiB, Translate,
};
use x86_64::{PhysAddr, VirtAddr};

use crate::contest::PAGE;
use crate::contest::frames;
use crate::contest::tables::{Leaf, Tables};

const SHIFT: u32 = 12;
const FLAGS: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);

/// Remembers what it handed out: the crate gives nothing back by itself.
struct Frames(Vec<NonNull<u64>>);

// SAFETY: each frame is a page that was taken off the stack, and is in use until the end.
unsafe impl FrameAllocator<Size4KiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let page = frames::take(SHIFT)?;
        self.0.push(page);
        // CAST: 64 bits.
        let phys = PhysAddr::new(page.as_ptr().expose_provenance() as u64);
        Some(PhysFrame::containing_address(phys))
    }
}

pub(crate) struct X86_64 {
    mapper: OffsetPageTable<'static>,
    frames: Frames,
}

impl X86_64 {
    fn map_sized<S: PageSize + std::fmt::Debug>(&mut self, iova: u64, phys: u64, bytes: u64)
    where
        OffsetPageTable<'static>: Mapper<S>,
    {
        for offset in (0..bytes).step_by(S::SIZE as usize) {
            let page = Page::<S>::containing_address(VirtAddr::new(iova + offset));
            let frame = PhysFrame::containing_address(PhysAddr::new(phys + offset));
            // SAFETY: no processor walks these tables.
            let flush = unsafe { self.mapper.map_to(page, frame, FLAGS, &mut self.frames) };
            flush.expect("room and pages").ignore();
        }
    }
}

impl Tables for X86_64 {
    const NAME: &'static str = "x86_64";
    type Memory = ();

    fn memory(tables: usize) {
        frames::reserve(SHIFT, tables + 1);
    }

    fn new((): &()) -> Self {
        let root = frames::take(SHIFT).expect("enough pages were reserved");
        let mut taken = Vec::with_capacity(4096);
        taken.push(root);
        // SAFETY: the page is zeroed, which is an empty table, and in use until the end.
        let table = unsafe { root.cast::<PageTable>().as_mut() };
        // SAFETY: physical addresses are virtual ones.
        let mapper = unsafe { OffsetPageTable::new(table, VirtAddr::zero()) };
        Self { mapper, frames: Frames(taken) }
    }

    fn map(&mut self, iova: u64, phys: u64, bytes: u64, leaf: Leaf) {
        match leaf {
            Leaf::Pages => self.map_sized::<Size4KiB>(iova, phys, bytes),
            Leaf::Blocks => self.map_sized::<Size2MiB>(iova, phys, bytes),
        }
    }

    fn map_list(&mut self, iova: u64, segments: &[Segment]) {
        let mut iova = iova;
        for segment in segments {
            self.map_sized::<Size4KiB>(iova, segment.phys.0, segment.bytes);
            iova += segment.bytes;
        }
    }

    fn unmap_all(&mut self, iova: u64, bytes: u64) {
        for offset in (0..bytes).step_by(PAGE as usize) {
            let page = Page::<Size4KiB>::containing_address(VirtAddr::new(iova + offset));
            self.mapper.unmap(page).expect("all is mapped").1.ignore();
        }
    }

    fn unmap_part(&mut self, iova: u64, bytes: u64) {
        self.unmap_all(iova, bytes);
    }

    fn translate(&self, iova: u64) -> Option<u64> {
        self.mapper.translate_addr(VirtAddr::new(iova)).map(PhysAddr::as_u64)
    }

    fn leaf(&self, iova: u64) -> Option<(u64, u64)> {
        match self.mapper.translate(VirtAddr::new(iova)) {
            TranslateResult::Mapped { frame, offset, .. } => {
                let bytes = MappedFrame::size(&frame);
                Some((frame.start_address().as_u64() + offset, bytes))
            }
            _ => None,
        }
    }
}

impl Drop for X86_64 {
    fn drop(&mut self) {
        for page in self.frames.0.drain(..) {
            // SAFETY: the page came from the stack, and the tables end here.
            unsafe { frames::give(SHIFT, page) };
        }
    }
}
