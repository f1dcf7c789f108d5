//! A naive allocator beside the one that is asked, and what its walker sees.

use core::ptr::NonNull;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::{iter, slice};

use iopgtable::memory::{
    AllocContext, AllocError, Copies, CopyEngine, PageList, Publish, TableAllocator, TableLayout,
    TablePage,
};
use iopgtable::{Iova, PhysAddr, TableCount};
use proptest::prelude::*;

pub(crate) const CONTEXT: AllocContext = AllocContext::table(3, Iova(0));

/// What a walker that cannot see the CPU's memory sees: a copy, brought up to date by publishing.
pub(crate) struct Mirror {
    pub(crate) base: PhysAddr,
    pub(crate) bytes: Mutex<Vec<u8>>,
}

impl Mirror {
    /// Full of garbage.
    pub(crate) fn new(base: PhysAddr, bytes: usize) -> Self {
        Self { base, bytes: Mutex::new(vec![0xa5; bytes]) }
    }

    pub(crate) fn read(&self, phys: PhysAddr, bytes: usize) -> Vec<u8> {
        let start = usize::try_from(phys.0 - self.base.0).expect("below the mirror");
        self.bytes.lock().expect("poisoned")[start..start + bytes].to_vec()
    }
}

// SAFETY: a copy takes effect when it is made.
unsafe impl Publish for Mirror {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        let start = usize::try_from(phys.0 - self.base.0).expect("below the mirror");
        // SAFETY: whoever publishes has written those bytes and holds them.
        let written = unsafe { slice::from_raw_parts(cpu.as_ptr(), bytes) };
        self.bytes.lock().expect("poisoned")[start..start + bytes].copy_from_slice(written);
    }
}

// SAFETY: as above.
unsafe impl CopyEngine for Mirror {
    fn submit(&self, copies: Copies<'_>) {
        for copy in copies {
            self.publish(NonNull::from(copy.words).cast(), copy.phys, 8 * copy.words.len());
        }
    }
}

/// What the walker sees of so many bytes, if not what the CPU sees.
pub(crate) type Walker<'a> = &'a dyn Fn(PhysAddr, usize) -> Option<Vec<u8>>;

/// The pages that are out, by physical address, with the byte that fills each.
pub(crate) struct Model<'a, A> {
    pub(crate) allocator: &'a A,
    pub(crate) walker: Walker<'a>,
    pub(crate) out: BTreeMap<u64, (TablePage, u8)>,
    pub(crate) next_fill: u8,
}

impl<A: TableAllocator> Model<'_, A> {
    pub(crate) fn take_in(&mut self, page: TablePage, layout: TableLayout) {
        let (bytes, phys) = (layout.bytes(), page.phys().0);
        assert_eq!(page.layout(), layout);
        assert_eq!(page.cpu().addr().get() % bytes, 0, "CPU address of {page:?}");
        assert_eq!(phys % bytes as u64, 0, "physical address of {page:?}");
        assert!(phys + (bytes as u64 - 1) <= self.allocator.last_phys().0, "MEM-LIMIT: {page:?}");
        assert_eq!(self.allocator.cpu_address(page.phys()), page.cpu(), "MEM-REACH: {page:?}");
        let below = self.out.range(..=phys).next_back();
        let above = self.out.range(phys..).next();
        assert!(
            below.is_none_or(|(&start, (page, _))| start + page.layout().bytes() as u64 <= phys)
                && above.is_none_or(|(&start, _)| phys + bytes as u64 <= start),
            "MEM-OWN: {page:?} is part of a page that is out"
        );
        if page.is_zeroed() {
            // SAFETY: the page is ours and zeroed, hence initialized.
            let seen = unsafe { slice::from_raw_parts(page.cpu().as_ptr().cast::<u8>(), bytes) };
            assert!(seen.iter().all(|&byte| byte == 0), "{page:?} is not, for the CPU");
            if let Some(seen) = (self.walker)(page.phys(), bytes) {
                assert!(seen.iter().all(|&byte| byte == 0), "{page:?} is not, for walkers");
            }
        }
        self.next_fill = self.next_fill.checked_add(1).unwrap_or(1);
        // SAFETY: the page is ours.
        unsafe { page.cpu().cast::<u8>().write_bytes(self.next_fill, bytes) };
        self.allocator.publish(page.cpu().cast(), page.phys(), bytes);
        self.out.insert(phys, (page, self.next_fill));
    }

    /// Takes the `index`-th page that is out, modulo their number, and what its holder wrote.
    pub(crate) fn take_out(&mut self, index: usize) -> Option<TablePage> {
        let &phys = self.out.keys().nth(index.checked_rem(self.out.len())?)?;
        let (page, fill) = self.out.remove(&phys)?;
        // SAFETY: the page is ours, and we have written all of it.
        let seen = unsafe {
            slice::from_raw_parts(page.cpu().as_ptr().cast::<u8>(), page.layout().bytes())
        };
        assert!(seen.iter().all(|&byte| byte == fill), "MEM-OWN: {page:?} was written to");
        // SAFETY: the same page, which is not zeroed any more.
        Some(unsafe { TablePage::from_raw_parts(page.cpu(), page.phys(), page.layout(), false) })
    }

    pub(crate) fn free(&mut self, index: usize) {
        if let Some(page) = self.take_out(index) {
            // SAFETY: the page came from the allocator; there is no walker.
            unsafe { self.allocator.free(page) };
        }
    }

    pub(crate) fn free_bulk(&mut self, count: usize) {
        let mut pages = PageList::new();
        for page in iter::repeat_with(|| self.take_out(0)).take(count).flatten() {
            pages.push(page);
        }
        // SAFETY: the pages came from the allocator; there is no walker.
        unsafe { self.allocator.free_bulk(pages) };
    }

    pub(crate) fn alloc(&mut self, layout: TableLayout) {
        match self.allocator.alloc(layout, CONTEXT) {
            Ok(page) => self.take_in(page, layout),
            Err(error) => assert!(expected(error), "{error:?}"),
        }
    }

    pub(crate) fn alloc_bulk(&mut self, layout: TableLayout, count: usize) {
        match self.allocator.alloc_bulk(layout, &TableCount::of(3, count as u64), CONTEXT) {
            Ok(pages) => {
                assert_eq!(pages.len(), count);
                for page in pages {
                    self.take_in(page, layout);
                }
            }
            Err(error) => assert!(expected(error), "{error:?}"),
        }
    }
}

pub(crate) fn expected(error: AllocError) -> bool {
    matches!(
        error,
        AllocError::OutOfMemory { .. } | AllocError::Limit(_) | AllocError::NotShared { .. }
    )
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Alloc(usize),
    AllocBulk(usize, usize),
    Free(usize),
    FreeBulk(usize),
}

pub(crate) const LAYOUTS: [TableLayout; 3] = [
    TableLayout::PAGE_4K,
    TableLayout::new(16 << 10).expect("a power of two"),
    TableLayout::new(64).expect("the smallest"),
];

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let layout = prop_oneof![4 => Just(0usize), 1 => Just(1), 1 => Just(2)];
    let step = prop_oneof![
        4 => layout.clone().prop_map(Step::Alloc),
        2 => (layout, 0usize..12).prop_map(|(layout, count)| Step::AllocBulk(layout, count)),
        4 => any::<usize>().prop_map(Step::Free),
        1 => (0usize..16).prop_map(Step::FreeBulk),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 12 } else { 80 })
}

/// Runs `steps` against `allocator` with a model of who owns what; at the end all is back.
pub(crate) fn conforms<A: TableAllocator>(allocator: &A, steps: &[Step], walker: Walker<'_>) {
    let mut model = Model { allocator, walker, out: BTreeMap::new(), next_fill: 0 };
    for step in steps {
        match *step {
            Step::Alloc(layout) => model.alloc(LAYOUTS[layout]),
            Step::AllocBulk(layout, count) => model.alloc_bulk(LAYOUTS[layout], count),
            Step::Free(index) => model.free(index),
            Step::FreeBulk(count) => model.free_bulk(count),
        }
        allocator.commit();
    }
    model.free_bulk(model.out.len());
    assert!(model.out.is_empty());
}

/// For walkers that see what the CPU sees.
pub(crate) fn snoops(_: PhysAddr, _: usize) -> Option<Vec<u8>> {
    None
}
