//! What a PC's processor finds when it starts.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

/// The size: it ends at 4 GiB.
const BYTES: u64 = 64 << 10;

/// How far from its end the processor starts.
pub(super) const START: usize = 16;

/// A ROM, as a file for `-bios`.
#[derive(Debug)]
pub(super) struct Rom(File);

impl Rom {
    /// One that ends with `end`, which is at least [`START`] bytes; the rest is zero.
    ///
    /// # Errors
    ///
    /// The operating system's, when there is no memory.
    pub(super) fn new(end: &[u8]) -> io::Result<Self> {
        let file = File::from(memfd_create("rom", MemfdFlags::empty())?);
        file.set_len(BYTES)?;
        // CAST: a size in memory.
        file.write_all_at(end, BYTES - end.len() as u64)?;
        Ok(Self(file))
    }

    /// The path under which a child that inherits the descriptor opens it.
    pub(super) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }
}
