//! Memory that a test shares with the machines that walk it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use crate::PhysMemory;

/// The RAM of a machine: zeroed memory in a file that has no name, which other processes and
/// virtual machines map as well.
///
/// Page tables lie in it (hand [`as_ptr`](Self::as_ptr) to an allocator), and so do the mailboxes
/// of the machines. Who uses which part is the test's business.
///
/// # Invariants
///
/// `space` bytes of address space from `start` on are this one's, and in them lies a mapping of the
/// file, `bytes` bytes from `base` on.
#[derive(Debug)]
pub struct Ram {
    file: File,
    start: NonNull<u8>,
    space: usize,
    base: NonNull<u8>,
    bytes: usize,
    first: u64,
}

/// Addresses and physical addresses agree modulo this.
const ALIGN: usize = 2 << 20;

#[expect(unsafe_code, reason = "the memory is shared with machines")]
impl Ram {
    /// `bytes` bytes, which machines find at the physical address `first`. Addresses in this
    /// process and physical ones agree modulo 2 MiB.
    ///
    /// # Errors
    ///
    /// The operating system's, when there is not that much memory or address space.
    pub fn new(first: u64, bytes: usize) -> io::Result<Self> {
        let file = File::from(memfd_create("ram", MemfdFlags::empty())?);
        // CAST: a size in memory.
        ftruncate(&file, bytes as u64)?;
        let space = bytes.checked_add(ALIGN).ok_or(io::ErrorKind::OutOfMemory)?;
        let nothing = ProtFlags::empty();
        // SAFETY: the system chooses an address where nothing is.
        let start =
            unsafe { mmap_anonymous(std::ptr::null_mut(), space, nothing, MapFlags::PRIVATE)? };
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // CAST: what is cut off is a multiple of `ALIGN`.
        let offset = (first as usize).wrapping_sub(start.addr().get()) & (ALIGN - 1);
        // SAFETY: `offset` is below `ALIGN`, by which the space is larger than the RAM.
        let base = unsafe { start.add(offset) };
        // INVARIANT: from here on, dropping gives the space back, with what is mapped there.
        let ram = Self { file, start, space, base, bytes, first };
        let (prot, flags) =
            (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::FIXED);
        // SAFETY: the mapping lies in the space that is this one's, so it replaces nothing else.
        unsafe { mmap(base.as_ptr().cast(), bytes, prot, flags, &ram.file, 0)? };
        Ok(ram)
    }

    /// The physical address of its first byte.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Its size.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where this process finds it. Valid for reads and writes as long as the RAM lives; machines
    /// read and write it at the same time.
    pub const fn as_ptr(&self) -> NonNull<u8> {
        self.base
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

    fn word(&self, address: u64) -> Option<&AtomicU64> {
        let offset = usize::try_from(address.checked_sub(self.first)?).ok()?;
        if offset % 8 != 0 || offset.checked_add(8)? > self.bytes {
            return None;
        }
        // SAFETY: the eight bytes lie in the mapping, which lives as long as the borrow of `self`
        // and is aligned to a page; whoever shares it writes whole words atomically, or other
        // processes and virtual machines do.
        Some(unsafe { self.as_ptr().add(offset).cast::<AtomicU64>().as_ref() })
    }
}

#[expect(unsafe_code, reason = "the memory is shared with machines")]
impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: the invariant says that the space is this one's. What was lent has been given
        // back, and machines have mappings of their own. There is nothing to do on an error.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.space) };
    }
}

#[expect(unsafe_code, reason = "the memory is shared with machines")]
// SAFETY: it is memory that processes share anyway; the words are read and written atomically.
unsafe impl Send for Ram {}
#[expect(unsafe_code, reason = "the memory is shared with machines")]
// SAFETY: as above.
unsafe impl Sync for Ram {}

impl PhysMemory for Ram {
    fn read_u64(&self, address: u64) -> Option<u64> {
        self.word(address).map(|word| u64::from_le(word.load(Ordering::SeqCst)))
    }
}
