//! Memory that a test shares with the machines that walk it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use crate::PhysMemory;

/// The RAM of a machine: zeroed memory in a file that has no name, which other processes and
/// virtual machines map as well.
///
/// Page tables lie in it (hand [`as_ptr`](Self::as_ptr) to an allocator), and so do the mailboxes
/// of the machines. Who uses which part is the test's business.
#[derive(Debug)]
pub struct Ram {
    file: File,
    map: MmapRaw,
    first: u64,
}

impl Ram {
    /// `bytes` bytes, which machines find at the physical address `first`.
    ///
    /// # Errors
    ///
    /// The operating system's, when there is not that much memory.
    pub fn new(first: u64, bytes: usize) -> io::Result<Self> {
        let file = File::from(memfd_create("ram", MemfdFlags::empty())?);
        // CAST: a size in memory.
        ftruncate(&file, bytes as u64)?;
        let map = MmapOptions::new().len(bytes).map_raw(&file)?;
        Ok(Self { file, map, first })
    }

    /// The physical address of its first byte.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.map.len()
    }

    /// Where this process finds it. Valid for reads and writes as long as the RAM lives; machines
    /// read and write it at the same time.
    pub fn as_ptr(&self) -> NonNull<u8> {
        // A mapping is never at address zero.
        NonNull::new(self.map.as_mut_ptr()).unwrap_or(NonNull::dangling())
    }

    /// The file, for other processes to map: children inherit the descriptor.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The path under which this process, and a child that inherits the descriptor, opens it.
    pub fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }

    /// Writes a word, little-endian as machines read it. Outside, and where `address` is not a
    /// multiple of eight, nothing is written; says whether it was.
    pub fn write_u64(&self, address: u64, value: u64) -> bool {
        let word = self.word(address);
        if let Some(word) = word {
            word.store(value.to_le(), Ordering::SeqCst);
        }
        word.is_some()
    }

    #[expect(unsafe_code, reason = "the memory is shared with machines")]
    fn word(&self, address: u64) -> Option<&AtomicU64> {
        let offset = usize::try_from(address.checked_sub(self.first)?).ok()?;
        if offset % 8 != 0 || offset.checked_add(8)? > self.bytes() {
            return None;
        }
        // SAFETY: the eight bytes lie in the mapping, which lives as long as the borrow of `self`
        // and is aligned to a page; whoever shares it writes whole words atomically, or other
        // processes and virtual machines do.
        Some(unsafe { self.as_ptr().add(offset).cast::<AtomicU64>().as_ref() })
    }
}

impl PhysMemory for Ram {
    fn read_u64(&self, address: u64) -> Option<u64> {
        self.word(address).map(|word| u64::from_le(word.load(Ordering::SeqCst)))
    }
}
