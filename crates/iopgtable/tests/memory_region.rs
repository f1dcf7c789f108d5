//! A region hands out all of its memory, aligned on both sides, and nothing else.

#![cfg(feature = "alloc")]

use core::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use iopgtable::memory::{
    AllocContext, AllocError, Heap, PageList, Publish, Region, RegionError, TableAllocator,
    TableLayout, TableMemory, TablePage,
};
use iopgtable::{Iova, PhysAddr};

const CONTEXT: AllocContext = AllocContext::table(3, Iova(0));
const PAGE: TableLayout = TableLayout::PAGE_4K;
const BASE: PhysAddr = PhysAddr(0x8000_0000);

fn layout(bytes: usize) -> TableLayout {
    TableLayout::new(bytes).expect("a power of two")
}

fn region(phys: u64, bytes: usize) -> Region {
    Region::with_capacity(PhysAddr(phys), bytes).expect("a good region")
}

/// All that there is of one layout.
fn drain(region: &impl TableAllocator, layout: TableLayout) -> PageList {
    let mut pages = PageList::new();
    while let Ok(page) = region.alloc(layout, CONTEXT) {
        pages.push(page);
    }
    pages
}

fn give_back(region: &impl TableAllocator, pages: PageList) {
    // SAFETY: the tests give back what they got from there; there is no walker.
    unsafe { region.free_bulk(pages) };
}

#[test]
fn every_byte_can_be_handed_out() {
    for bytes in [64, 4096, PAGE.bytes() * 3, 64 << 10] {
        let region = region(BASE.0, bytes);
        let pages = drain(&region, layout(64));
        assert_eq!(pages.len() * 64, bytes);
        assert_eq!((region.in_use(), region.capacity()), (bytes, bytes));
        assert_eq!(
            region.alloc(layout(64), CONTEXT).err(),
            Some(AllocError::OutOfMemory { pages: 1 })
        );
        give_back(&region, pages);
        assert_eq!(region.in_use(), 0);
    }
}

#[test]
fn a_large_table_is_aligned_and_what_it_skipped_is_not_lost() {
    // One page beyond a multiple of 64 KiB.
    let region = region(BASE.0 + 4096, (64 << 10) + (60 << 10));
    let root = region.alloc(layout(64 << 10), CONTEXT).unwrap();
    assert_eq!(root.phys(), PhysAddr(BASE.0 + (64 << 10)));
    let pages = drain(&region, PAGE);
    assert_eq!(pages.len(), 15);
    for page in pages {
        assert!(page.phys() < root.phys());
        // SAFETY: the page is ours, and was zeroed before the region had it.
        let words = unsafe { core::slice::from_raw_parts(page.cpu().as_ptr(), 512) };
        assert!(words.iter().all(|&word| word == 0));
        // SAFETY: the page came from there; there is no walker.
        unsafe { region.free(page) };
    }
    // SAFETY: as above.
    unsafe { region.free(root) };
}

#[test]
fn a_block_is_split_where_nothing_smaller_is_free() {
    let region = region(BASE.0, 64 << 10);
    let root = region.alloc(layout(64 << 10), CONTEXT).unwrap();
    assert!(region.alloc(PAGE, CONTEXT).is_err());
    // SAFETY: the page came from there; there is no walker.
    unsafe { region.free(root) };
    let pages = drain(&region, PAGE);
    assert_eq!(pages.len(), 16);
    give_back(&region, pages);
}

#[test]
fn tables_that_cannot_be_aligned_on_both_sides_are_refused() {
    let backing = region(0, 256 << 10);
    let memory = backing.alloc(layout(128 << 10), CONTEXT).unwrap();
    // SAFETY: the page is ours, and outlives the region.
    let odd = unsafe { Region::new(memory.cpu().cast(), PhysAddr(BASE.0 + 4096), 128 << 10) };
    let odd = odd.unwrap();
    let page = odd.alloc(PAGE, CONTEXT).unwrap();
    for bytes in [8 << 10, 64 << 10] {
        assert_eq!(
            odd.alloc(layout(bytes), CONTEXT).err(),
            Some(AllocError::Layout(layout(bytes)))
        );
    }
    assert!(!page.is_zeroed(), "nobody said that the memory is zeroed");
    // SAFETY: the pages came from there; there is no walker.
    unsafe {
        odd.free(page);
        drop(odd);
        let memory = TablePage::from_raw_parts(memory.cpu(), memory.phys(), memory.layout(), false);
        backing.free(memory);
    }
}

#[test]
fn memory_of_its_own_aligns_every_table_that_fits() {
    for phys in [0, 4096, BASE.0, BASE.0 + (1 << 20), (1 << 40) + 12288] {
        let region = region(phys, 8 << 20);
        for shift in 6..=21 {
            let page = region.alloc(layout(1 << shift), CONTEXT).unwrap();
            assert_eq!(page.phys().0 % (1 << shift), 0);
            assert_eq!(page.cpu().addr().get() % (1 << shift), 0);
            // SAFETY: the page came from there; there is no walker.
            unsafe { region.free(page) };
        }
    }
}

#[test]
fn no_layout_is_too_large_to_be_refused() {
    let region = region(0, 64 << 10);
    for shift in 17..usize::BITS {
        assert!(region.alloc(layout(1 << shift), CONTEXT).is_err());
    }
    assert_eq!(region.in_use(), 0);
}

#[test]
fn numbers_that_make_no_region_are_refused() {
    let refused = |phys, bytes| Region::with_capacity(PhysAddr(phys), bytes).err();
    assert_eq!(refused(2048, 4096), Some(RegionError::Misaligned { address: 2048 }));
    assert_eq!(refused(0, 63), Some(RegionError::TooSmall { bytes: 63 }));
    let (phys, bytes) = (PhysAddr(!0xfff), 4097);
    assert_eq!(refused(phys.0, bytes), Some(RegionError::TooLarge { phys, bytes }));
    let (phys, bytes) = (PhysAddr(0), usize::MAX);
    assert_eq!(refused(phys.0, bytes), Some(RegionError::TooLarge { phys, bytes }));
    let bytes = isize::MAX.unsigned_abs();
    assert_eq!(refused(0, bytes), Some(RegionError::OutOfMemory { bytes }));
    let base = NonNull::new(core::ptr::without_provenance_mut(0x1080)).unwrap();
    // SAFETY: there is no memory, but also no region.
    let region = unsafe { Region::new(base, PhysAddr(0), 4096) };
    assert_eq!(region.err(), Some(RegionError::Misaligned { address: 0x1080 }));
}

#[test]
fn a_region_may_end_where_addresses_end() {
    let region = region(!0xfff, 4096);
    assert_eq!(region.last_phys(), PhysAddr(u64::MAX));
    let page = region.alloc(PAGE, CONTEXT).unwrap();
    assert!(region.alloc(PAGE, CONTEXT).is_err());
    // SAFETY: the page came from there; there is no walker.
    unsafe { region.free(page) };
}

#[test]
fn a_page_that_comes_back_zeroed_is_handed_out_zeroed() {
    let region = region(0, 4096);
    let page = region.alloc(PAGE, CONTEXT).unwrap();
    assert!(page.is_zeroed());
    // SAFETY: the page came from there and was not written to; there is no walker.
    unsafe { region.free(page) };
    let page = region.alloc(PAGE, CONTEXT).unwrap();
    assert!(page.is_zeroed());
    // SAFETY: the same page, but we say that it is not; it came from there.
    unsafe {
        let page = TablePage::from_raw_parts(page.cpu(), page.phys(), page.layout(), false);
        region.free(page);
    }
    let page = region.alloc(PAGE, CONTEXT).unwrap();
    assert!(!page.is_zeroed());
    // SAFETY: the page came from there; there is no walker.
    unsafe { region.free(page) };
}

#[test]
fn a_page_outlives_the_region_that_is_dropped_before_it() {
    let region = region(0, 4096);
    let mut page = region.alloc(layout(64), CONTEXT).unwrap();
    drop(region);
    page.make_zeroed(&Heap::new());
    // SAFETY: the page is ours for ever.
    unsafe {
        page.cpu().write(7);
        assert_eq!(page.cpu().read(), 7);
    }
}

#[derive(Default)]
struct Count {
    published: AtomicUsize,
    commits: AtomicUsize,
}

// SAFETY: the CPU's memory is all that there is.
unsafe impl Publish for Count {
    fn publish(&self, _: NonNull<u8>, _: PhysAddr, bytes: usize) {
        self.published.fetch_add(bytes, Ordering::Relaxed);
    }
    fn commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_is_written_is_published_once() {
    let count = Count::default();
    let region = Region::with_capacity_and_publisher(BASE, 8192, &count).unwrap();
    assert!(!region.is_coherent());
    let mut page = region.alloc(PAGE, CONTEXT).unwrap();
    assert!(!page.is_zeroed(), "the walker has not seen it so");
    page.make_zeroed(&region);
    page.make_zeroed(&region);
    region.commit();
    assert_eq!(count.published.load(Ordering::Relaxed), 4096);
    assert_eq!(count.commits.load(Ordering::Relaxed), 1);
    // SAFETY: the page came from there; there is no walker.
    unsafe { region.free(page) };
}

#[test]
fn memory_that_is_said_to_be_zeroed_is_handed_out_so() {
    let count = Count::default();
    let region = Region::with_capacity_and_publisher(BASE, 8192, &count).unwrap();
    // SAFETY: its own memory is zeroed, and the walker of `Count` would see that.
    let region = unsafe { region.assume_zeroed() };
    let page = region.alloc(PAGE, CONTEXT).unwrap();
    assert!(page.is_zeroed());
    // SAFETY: the page came from there; there is no walker.
    unsafe { region.free(page) };
}
