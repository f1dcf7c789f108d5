//! A secure monitor that minds who reaches which page, and the memory that it watches over.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::collections::{BTreeMap, HashSet};
use std::ptr::NonNull;
use std::slice;
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use iopgtable::memory::{
    AllocContext, AllocError, BulkError, Party, PartyError, Publish, Region, TableAllocator,
    TableLayout, TableMemory, TablePage,
};
use iopgtable::{PhysAddr, Segment};

/// Within the smallest output size.
pub(crate) const BASE: PhysAddr = PhysAddr(0xc000_0000 + 4096);

/// Memory and the monitor over it, in one: an upstream allocator that hands out no page which the
/// party may reach, and takes none back; the party; and what the party's device reads. Panics
/// where the rules are broken.
#[derive(Debug)]
pub(crate) struct Monitor {
    region: Region<Seen>,
    rules: Mutex<Rules>,
}

/// When something fails.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Fail {
    #[default]
    Never,
    /// The `n`-th time from now.
    Nth(u64, PartyError),
    /// Every `n`-th time.
    Every(u64, PartyError),
}

impl Fail {
    fn next(&mut self) -> Result<(), PartyError> {
        match self {
            Self::Never => Ok(()),
            Self::Nth(0, error) => {
                let error = *error;
                *self = Self::Never;
                Err(error)
            }
            Self::Nth(n, _) => {
                *n -= 1;
                Ok(())
            }
            Self::Every(n, error) => {
                // Counted in the upper half.
                *n += 1 << 32;
                let (count, every) = (*n >> 32, *n & 0xffff_ffff);
                if count % every == 0 { Err(*error) } else { Ok(()) }
            }
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Pages that the device may read, with their size.
    shared: BTreeMap<u64, u64>,
    /// Pages of which the party will not, or cannot, say that it has given them up.
    lost: BTreeMap<u64, u64>,
    /// Calls sleep: they refuse where they may not.
    pub(crate) sleeps: bool,
    /// Whoever calls now must not have it sleep.
    pub(crate) atomic: bool,
    /// Takes a list as one call, which it does whole or not at all.
    pub(crate) takes_lists: bool,
    pub(crate) fail_share: Fail,
    pub(crate) fail_reclaim: Fail,
    /// Pages named to the party.
    pub(crate) asked: u64,
    /// Calls of the party.
    pub(crate) calls: u64,
}

/// What the party leaves in a page that it gives back, and in one that it keeps.
const LEFT: u64 = 0x7777_7777_7777_7777;
const LOST: u64 = 0xeeee_eeee_eeee_eeee;

fn fill(page: Segment, memory: &Region<Seen>, word: u64) {
    let cpu = memory.cpu_address(page.phys);
    for index in 0..usize::try_from(page.bytes / 8).expect("it is in memory") {
        // SAFETY: the page was named by its owner, who has to wait for the answer.
        unsafe { cpu.add(index).write(word) };
    }
}

fn overlapping(pages: &BTreeMap<u64, u64>, phys: u64, bytes: u64) -> bool {
    pages.range(..phys + bytes).next_back().is_some_and(|(&start, &size)| start + size > phys)
}

impl Rules {
    /// Asserts that nobody but the CPU reaches the page.
    fn check_private(&self, page: Segment) {
        let Segment { phys: PhysAddr(phys), bytes } = page;
        assert!(!overlapping(&self.shared, phys, bytes), "{phys:#x} is still shared");
        assert!(!overlapping(&self.lost, phys, bytes), "{phys:#x} is lost");
    }

    fn check_may_ask(&mut self, pages: &[Segment], may_block: bool) -> Result<(), PartyError> {
        assert!(!(self.atomic && may_block), "this would sleep where nobody may");
        self.asked += pages.len() as u64;
        self.calls += 1;
        if self.sleeps && !may_block { Err(PartyError::WouldBlock) } else { Ok(()) }
    }

    fn lose(&mut self, page: Segment, memory: &Region<Seen>) {
        self.shared.remove(&page.phys.0);
        fill(page, memory, LOST);
        self.lost.insert(page.phys.0, page.bytes);
    }

    fn share(&mut self, page: Segment, memory: &Region<Seen>) -> Result<(), PartyError> {
        self.check_private(page);
        assert_eq!(page.phys.0 % page.bytes, 0);
        assert!(page.bytes >= 4096, "no less than a page can be shared");
        memory.publisher().check_zeroed(page);
        // SAFETY: the page is named by its owner, and was zeroed before.
        let words = (0..page.bytes).step_by(8).map(|at| unsafe {
            memory.read(PhysAddr(page.phys.0 + at)).expect("it lies in the region")
        });
        assert!(words.into_iter().all(|word| word == 0), "{page:?} gives something away");
        match self.fail_share.next() {
            Ok(()) => assert_eq!(self.shared.insert(page.phys.0, page.bytes), None),
            Err(error) => {
                if matches!(error, PartyError::Unknown { .. }) {
                    self.lose(page, memory);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn reclaim(&mut self, page: Segment, memory: &Region<Seen>) -> Result<(), PartyError> {
        assert_eq!(self.shared.get(&page.phys.0), Some(&page.bytes), "{page:?} is not shared");
        if let Err(error) = self.fail_reclaim.next() {
            if error != PartyError::WouldBlock {
                self.lose(page, memory);
            }
            return Err(error);
        }
        self.shared.remove(&page.phys.0);
        // The party leaves something in it.
        fill(page, memory, LEFT);
        Ok(())
    }
}

impl Monitor {
    pub(crate) fn new(bytes: usize) -> Self {
        let seen = Seen(Mutex::new(Words {
            words: vec![GARBAGE; bytes / 8],
            uncommitted: HashSet::new(),
        }));
        let region = Region::with_capacity_and_publisher(BASE, bytes, seen);
        Self { region: region.expect("a good region"), rules: Mutex::default() }
    }

    pub(crate) fn sleeping(bytes: usize) -> Self {
        let monitor = Self::new(bytes);
        monitor.rules().sleeps = true;
        monitor
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How many pages the device may read.
    pub(crate) fn shared(&self) -> usize {
        self.rules().shared.len()
    }

    /// How many pages nobody may touch any more, and nobody has.
    pub(crate) fn lost(&self) -> usize {
        let rules = self.rules();
        for (&phys, bytes) in &rules.lost {
            for phys in (phys..phys + bytes).step_by(8) {
                // SAFETY: the page was filled, and whoever writes to it breaks the rules.
                let word = unsafe { self.region.read(PhysAddr(phys)) };
                assert_eq!(word, Some(LOST), "somebody wrote to {phys:#x}");
            }
        }
        rules.lost.len()
    }

    pub(crate) fn lost_bytes(&self) -> usize {
        usize::try_from(self.rules().lost.values().sum::<u64>()).expect("they are in memory")
    }

    pub(crate) fn in_use(&self) -> usize {
        self.region.in_use()
    }

    /// What the party's device reads.
    pub(crate) fn read(&self, phys: u64) -> Option<u64> {
        assert!(overlapping(&self.rules().shared, phys, 8), "the device reads {phys:#x}");
        self.region.publisher().read(phys)
    }

    pub(crate) fn read_bytes(&self, phys: PhysAddr, bytes: usize) -> Vec<u8> {
        let words = (phys.0..phys.0 + bytes as u64).step_by(8);
        words.flat_map(|phys| self.read(phys).expect("in the region").to_ne_bytes()).collect()
    }

    fn check_lists(&self, pages: &[Segment]) -> bool {
        let rules = self.rules();
        assert!(!pages.is_empty() && pages.len() <= 16, "{} pages at once", pages.len());
        rules.takes_lists
    }
}

// SAFETY: it keeps account, and there is no device but `read`, which looks at that.
unsafe impl Party for Monitor {
    fn share(&self, page: Segment, may_block: bool) -> Result<(), PartyError> {
        let mut rules = self.rules();
        rules.check_may_ask(&[page], may_block)?;
        rules.share(page, &self.region)
    }

    fn reclaim(&self, page: Segment, may_block: bool) -> Result<(), PartyError> {
        let mut rules = self.rules();
        rules.check_may_ask(&[page], may_block)?;
        rules.reclaim(page, &self.region)
    }

    fn share_bulk(&self, pages: &[Segment], may_block: bool) -> Result<(), BulkError> {
        if !self.check_lists(pages) {
            for (done, &page) in pages.iter().enumerate() {
                self.share(page, may_block).map_err(|error| at(done, error))?;
            }
            return Ok(());
        }
        let mut rules = self.rules();
        rules.check_may_ask(pages, may_block).map_err(|error| at(0, error))?;
        for (done, &page) in pages.iter().enumerate() {
            let Err(error) = rules.share(page, &self.region) else { continue };
            if matches!(error, PartyError::Unknown { .. }) {
                for &page in pages {
                    rules.lose(page, &self.region);
                }
                return Err(BulkError { done: 0, unknown: pages.len(), error });
            }
            for page in &pages[..done] {
                assert!(rules.shared.remove(&page.phys.0).is_some());
            }
            return Err(at(0, error));
        }
        Ok(())
    }

    fn reclaim_bulk(&self, pages: &[Segment], may_block: bool) -> Result<(), BulkError> {
        if !self.check_lists(pages) {
            for (done, &page) in pages.iter().enumerate() {
                self.reclaim(page, may_block).map_err(|error| at(done, error))?;
            }
            return Ok(());
        }
        let mut rules = self.rules();
        rules.check_may_ask(pages, may_block).map_err(|error| at(0, error))?;
        for (done, &page) in pages.iter().enumerate() {
            let Err(error) = rules.reclaim(page, &self.region) else { continue };
            let mut unknown = 0;
            if matches!(error, PartyError::Unknown { .. }) {
                for &page in &pages[done..] {
                    rules.lose(page, &self.region);
                }
                unknown = pages.len() - done;
            }
            return Err(BulkError { done, unknown, error });
        }
        Ok(())
    }
}

fn at(done: usize, error: PartyError) -> BulkError {
    BulkError { done, unknown: 0, error }
}

fn segment(page: &TablePage) -> Segment {
    Segment::new(page.phys(), page.layout().bytes() as u64)
}

// SAFETY: all is the region's.
unsafe impl TableMemory for Monitor {
    fn cpu_address(&self, table: PhysAddr) -> NonNull<u64> {
        self.region.cpu_address(table)
    }
    fn last_phys(&self) -> PhysAddr {
        self.region.last_phys()
    }
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        self.region.publish(cpu, phys, bytes);
    }
    fn commit(&self) {
        self.region.commit();
    }
    fn is_coherent(&self) -> bool {
        self.region.is_coherent()
    }
}

// SAFETY: all is the region's.
unsafe impl TableAllocator for Monitor {
    fn alloc(&self, layout: TableLayout, context: AllocContext) -> Result<TablePage, AllocError> {
        let page = self.region.alloc(layout, context)?;
        self.rules().check_private(segment(&page));
        Ok(page)
    }
    unsafe fn free(&self, page: TablePage) {
        self.rules().check_private(segment(&page));
        // SAFETY: the caller's promise is passed on.
        unsafe { self.region.free(page) };
    }
}

/// What walkers see of the memory: what was published.
#[derive(Debug)]
struct Seen(Mutex<Words>);

#[derive(Debug)]
struct Words {
    words: Vec<u64>,
    /// The threads that have published since their last commit: each commits what it publishes.
    uncommitted: HashSet<ThreadId>,
}

const GARBAGE: u64 = 0x0000_dead_bee0_0003;

impl Seen {
    fn index(phys: u64) -> usize {
        usize::try_from((phys - BASE.0) / 8).expect("in the region")
    }

    fn read(&self, phys: u64) -> Option<u64> {
        self.0.lock().expect("not poisoned").words.get(Self::index(phys)).copied()
    }

    /// Asserts that a walker finds nothing but zeroes in the page.
    fn check_zeroed(&self, page: Segment) {
        let seen = self.0.lock().expect("not poisoned");
        let mine = thread::current().id();
        assert!(!seen.uncommitted.contains(&mine), "zeroes are on their way");
        let first = Self::index(page.phys.0);
        let last = Self::index(page.phys.0 + page.bytes - 8);
        assert!(seen.words[first..=last].iter().all(|&word| word == 0), "{page:?} gives away");
    }
}

// SAFETY: a publication takes effect at once.
unsafe impl Publish for Seen {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        assert_eq!((phys.0 % 8, bytes % 8), (0, 0), "whole entries");
        // SAFETY: whoever publishes has written those bytes and holds them.
        let written = unsafe { slice::from_raw_parts(cpu.cast::<u64>().as_ptr(), bytes / 8) };
        let mut seen = self.0.lock().expect("not poisoned");
        let first = Self::index(phys.0);
        seen.words[first..first + written.len()].copy_from_slice(written);
        seen.uncommitted.insert(thread::current().id());
    }

    fn commit(&self) {
        self.0.lock().expect("not poisoned").uncommitted.remove(&thread::current().id());
    }
}
