//! The memory of a live process: its mappings, the pages that are there, and their frames.

mod maps;
mod pagemap;

pub use maps::{Vma, parse_maps};
pub use pagemap::{Page, Pagemap};

use std::{fs, io, ops::Range, path::PathBuf};

use crate::trace::Run;

/// A process whose memory is looked at, through `/proc`.
///
/// # References
///
/// proc(5); Linux, `Documentation/admin-guide/mm/pagemap.rst`.
#[derive(Debug)]
pub struct Process {
    directory: PathBuf,
    page: u64,
}

/// What a range of a process's memory is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Populated {
    /// The pieces that are in memory, ascending.
    pub pieces: Vec<Piece>,
    /// Pages that are swapped out.
    pub swapped: u64,
    /// Pages that are in memory without a frame number to see.
    pub frameless: u64,
}

/// Pages that are in memory, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Virtual address of the first page.
    pub addr: u64,
    /// Length in bytes.
    pub len: u64,
    /// The physical runs, in order; empty when frames were not asked for.
    pub runs: Vec<Run>,
}

/// Which pages count as populated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Those whose frame number can be seen, for the runs that they form.
    Frames,
    /// All that are in memory, without runs.
    Presence,
}

/// The page size of this machine in bytes.
pub fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

impl Process {
    /// The process with this id.
    pub fn new(pid: u32) -> Self {
        Self { directory: PathBuf::from(format!("/proc/{pid}")), page: page_size() }
    }

    /// The mappings, ascending.
    ///
    /// # Errors
    ///
    /// When the process is gone or may not be looked at.
    pub fn mappings(&self) -> io::Result<Vec<Vma>> {
        Ok(parse_maps(&String::from_utf8_lossy(&fs::read(self.directory.join("maps"))?)))
    }

    /// The name of the program, as the kernel keeps it (15 bytes at most).
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn name(&self) -> io::Result<String> {
        let name = fs::read(self.directory.join("comm"))?;
        Ok(String::from_utf8_lossy(&name).trim().to_owned())
    }

    /// What each page is.
    ///
    /// # Errors
    ///
    /// When the process is gone or may not be looked at.
    pub fn pagemap(&self) -> io::Result<Pagemap> {
        Pagemap::open(&self.directory.join("pagemap"), self.page)
    }
}

/// Finds what of `range` is in memory.
///
/// # Errors
///
/// When the page map cannot be read.
pub fn populated(pagemap: &Pagemap, range: Range<u64>, want: Want) -> io::Result<Populated> {
    let page = pagemap.page_size();
    let mut found = Populated::default();
    pagemap.visit(range, |addr, what| match what {
        Page::Absent => {}
        Page::Swapped => found.swapped += 1,
        Page::Present(frame) => {
            found.frameless += u64::from(frame.is_none());
            match (want, frame) {
                (Want::Presence, _) => found.extend(addr, page),
                (Want::Frames, Some(frame)) => {
                    found.extend(addr, page);
                    found.extend_runs(frame, page);
                }
                (Want::Frames, None) => {}
            }
        }
    })?;
    Ok(found)
}

impl Populated {
    /// Adds the page at `addr` to the last piece, or as a piece of its own.
    fn extend(&mut self, addr: u64, page: u64) {
        match self.pieces.last_mut() {
            Some(last) if last.addr + last.len == addr => last.len += page,
            _ => self.pieces.push(Piece { addr, len: page, runs: Vec::new() }),
        }
    }

    /// Adds a frame to the last run of the last piece, or as a run of its own.
    fn extend_runs(&mut self, frame: u64, page: u64) {
        let Some(piece) = self.pieces.last_mut() else {
            return;
        };
        match piece.runs.last_mut() {
            Some(last) if last.addr + last.len == frame => last.len += page,
            _ => piece.runs.push(Run { addr: frame, len: page }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_form_pieces_and_frames_form_runs() {
        let mut found = Populated::default();
        for (addr, frame) in [(1_u64, 7_u64), (2, 8), (3, 5), (5, 6), (6, 7)] {
            found.extend(addr * 4096, 4096);
            found.extend_runs(frame * 4096, 4096);
        }
        let run = |frame: u64, pages: u64| Run { addr: frame * 4096, len: pages * 4096 };
        assert_eq!(
            found.pieces,
            [
                Piece { addr: 4096, len: 3 * 4096, runs: vec![run(7, 2), run(5, 1)] },
                Piece { addr: 5 * 4096, len: 2 * 4096, runs: vec![run(6, 2)] },
            ],
        );
    }

    #[test]
    fn a_page_just_written_is_present() {
        let memory = vec![1_u8; 1 << 20];
        let addr = (memory.as_ptr() as u64).next_multiple_of(page_size());
        let pagemap = Process::new(std::process::id()).pagemap().unwrap();
        let end = addr + 8 * page_size();
        let found = populated(&pagemap, addr..end, Want::Presence).unwrap();
        assert_eq!(found.pieces, [Piece { addr, len: 8 * page_size(), runs: vec![] }]);
        assert!(memory.iter().all(|&byte| byte == 1));
    }
}
