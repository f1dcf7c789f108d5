//! `/proc/PID/pagemap`: what each page of a process is.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::Path};

/// Bits of an entry.
///
/// # References
///
/// Linux, `Documentation/admin-guide/mm/pagemap.rst`.
mod entry {
    /// Bits 0 to 54: the frame number, when present; zero without `CAP_SYS_ADMIN`.
    pub(super) const FRAME: u64 = (1 << 55) - 1;
    pub(super) const SWAPPED: u64 = 1 << 62;
    pub(super) const PRESENT: u64 = 1 << 63;
    pub(super) const BYTES: usize = 8;
}

/// Bytes that one read asks for.
const CHUNK: usize = 64 << 10;

/// A page of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Nothing is there (yet).
    Absent,
    /// It is swapped out.
    Swapped,
    /// It is in memory, at this physical address when that may be seen.
    Present(Option<u64>),
}

impl Page {
    fn from_entry(entry: u64, page_size: u64) -> Self {
        if entry & entry::PRESENT != 0 {
            let frame = (entry & entry::FRAME).checked_mul(page_size);
            Self::Present(frame.filter(|&addr| addr != 0))
        } else if entry & entry::SWAPPED != 0 {
            Self::Swapped
        } else {
            Self::Absent
        }
    }
}

/// The page map of a process.
#[derive(Debug)]
pub struct Pagemap {
    file: File,
    page: u64,
}

impl Pagemap {
    pub(super) fn open(path: &Path, page: u64) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, page })
    }

    /// The page size in bytes.
    pub fn page_size(&self) -> u64 {
        self.page
    }

    /// Calls `each` with every page of `range` and its address, ascending. Ends early where the
    /// page map does: at the end of the process's address space, or when the process is gone.
    ///
    /// # Errors
    ///
    /// When the page map cannot be read.
    pub fn visit(&self, range: Range<u64>, mut each: impl FnMut(u64, Page)) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut number = range.start / self.page;
        let end = range.end.div_ceil(self.page);
        while number < end {
            let wanted = usize::try_from(end - number).unwrap_or(usize::MAX);
            let bytes = wanted.saturating_mul(entry::BYTES).min(CHUNK);
            let offset = number * entry::BYTES as u64;
            let read = match self.file.read_at(&mut buffer[..bytes], offset) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if read < entry::BYTES {
                break;
            }
            for entry in buffer[..read].chunks_exact(entry::BYTES) {
                let mut bytes = [0; entry::BYTES];
                bytes.copy_from_slice(entry);
                each(number * self.page, Page::from_entry(u64::from_ne_bytes(bytes), self.page));
                number += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_say_where_a_page_is() {
        assert_eq!(Page::from_entry(0, 4096), Page::Absent);
        assert_eq!(Page::from_entry(1 << 55, 4096), Page::Absent);
        assert_eq!(Page::from_entry(1 << 62 | 0x123, 4096), Page::Swapped);
        assert_eq!(Page::from_entry(1 << 63, 4096), Page::Present(None));
        let present = Page::from_entry(0x8100_0000_0011_0f60, 4096);
        assert_eq!(present, Page::Present(Some(0x1_10f6_0000)));
    }
}
