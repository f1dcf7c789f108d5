//! What a process has mapped, as the trace tells it, and the binds that follow from it.
//!
//! An address space of the trace becomes a GPU VM that mirrors it: what the process may access is
//! mapped there, with the same memory. The shadow is the process's side: it also knows what is
//! set aside without any access, and it is what translations are checked against.

use std::sync::Arc;

use anyhow::Context as _;
use gpuvm::space::Transition;
use gpuvm::{Backing, Mapping};
use iopgtable::{Iova, IovaRange, PhysAddr, Prot, Segment};

use crate::trace::{self, Frames, Run};

/// The last address that a process has: more is the kernel's.
const LAST_OF_PROCESS: u64 = (1 << 47) - 1;

/// More runs than this are not drawn for one mapping; its rest is one run.
const MOST_RUNS: usize = 1 << 20;

/// One change of a process's mappings.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A mapping, in place of whatever was there. Without permissions, it only sets the range
    /// aside.
    Map(Mapping),
    /// Nothing is mapped there any more.
    Unmap(IovaRange),
}

impl Change {
    /// What the GPU's VM is told.
    pub(super) fn to_op(&self) -> gpuvm::Op {
        match self {
            Self::Map(mapping) if mapping.prot != Prot::NONE => gpuvm::Op::Map {
                range: mapping.range,
                backing: Arc::clone(&mapping.backing),
                offset: mapping.offset,
                prot: mapping.prot,
            },
            Self::Map(Mapping { range, .. }) | Self::Unmap(range) => {
                gpuvm::Op::Unmap { range: *range }
            }
        }
    }
}

/// The mappings of one process.
#[derive(Clone, Debug)]
pub(super) struct Shadow {
    space: gpuvm::Space,
    /// The backing of ranges that are set aside: they have no memory yet.
    unbacked: Arc<Backing>,
}

/// Where the memory of mappings comes from, and how their ranges are rounded.
#[derive(Debug)]
pub(super) struct Memory {
    /// Draws physical runs.
    pub(super) frames: Frames,
    /// The granule in bytes: ranges are widened to it.
    pub(super) granule: u64,
    /// The last address that can be mapped, of a range that begins at 0.
    pub(super) last: u64,
    /// Whether the runs in the trace are used: they are, unless the granule is larger than the
    /// pages that they are made of.
    pub(super) real_runs: bool,
    /// Whether the format has a right to fetch.
    pub(super) fetches: bool,
}

impl Memory {
    /// The range of an operation, widened to the granule; nothing where it lies beyond what can
    /// be mapped. Where that is less than a process has, addresses are taken modulo that.
    fn range(&self, addr: u64, len: u64) -> Option<IovaRange> {
        let addr = if addr <= LAST_OF_PROCESS { addr & self.last } else { addr };
        let first = addr & !(self.granule - 1);
        let last = addr.checked_add(len - 1)? | (self.granule - 1);
        IovaRange::inclusive(Iova(first), Iova(last)).filter(|_| last <= self.last)
    }

    /// Memory for `range`: the runs of the trace, or some that are made up.
    fn back(&mut self, range: IovaRange, runs: &[Run]) -> anyhow::Result<Arc<Backing>> {
        let segment = |run: &Run| Segment::new(PhysAddr(run.addr), run.len);
        let sum: u64 = runs.iter().map(|run| run.len).sum();
        let backing = if self.real_runs && sum == range.bytes() {
            Backing::new(runs.iter().map(segment))
        } else {
            let mut runs: Vec<Run> =
                self.frames.draw(range.first().0, range.bytes()).take(MOST_RUNS).collect();
            let drawn: u64 = runs.iter().map(|run| run.len).sum();
            if let Some(last) = runs.last_mut() {
                last.len += range.bytes() - drawn;
            }
            Backing::new(runs.iter().map(segment))
        };
        backing.context("no memory can be made up for a mapping")
    }
}

/// A trace's protection for a GPU: memory that is cached, and readable if it is anything, as x86
/// has it; with the right to fetch where the format `fetches` by one of its own.
fn protection(prot: trace::Prot, fetches: bool) -> Prot {
    if prot.is_none() {
        return Prot::NONE;
    }
    let mut bits = Prot::READ | Prot::CACHED;
    if prot.write {
        bits |= Prot::WRITE;
    }
    if prot.exec && fetches {
        bits |= Prot::EXECUTE;
    }
    bits
}

impl Shadow {
    /// A process without mappings.
    ///
    /// # Errors
    ///
    /// None that happens: there is always a placeholder for memory that is set aside.
    pub(super) fn new() -> anyhow::Result<Self> {
        let everything = Segment::new(PhysAddr(0), 1 << 52);
        Ok(Self { space: gpuvm::Space::new(), unbacked: Backing::new([everything])? })
    }

    /// The mapping at `address`.
    pub(super) fn get(&self, address: Iova) -> Option<&Mapping> {
        self.space.get(address)
    }

    /// What `op` changes here; nothing where it lies beyond what can be mapped, or finds nothing.
    ///
    /// # Errors
    ///
    /// When no memory can be made up.
    pub(super) fn changes(
        &self,
        op: &trace::Op,
        memory: &mut Memory,
    ) -> anyhow::Result<Vec<Change>> {
        let everything = IovaRange::inclusive(Iova(0), Iova(memory.last));
        Ok(match *op {
            trace::Op::Map { addr, len, prot, ref runs, .. } => {
                let Some(range) = memory.range(addr, len) else {
                    return Ok(Vec::new());
                };
                vec![Change::Map(self.fresh(
                    range,
                    protection(prot, memory.fetches),
                    runs,
                    memory,
                )?)]
            }
            trace::Op::Unmap { addr, len, .. } => {
                memory.range(addr, len).map(Change::Unmap).into_iter().collect()
            }
            trace::Op::Protect { addr, len, prot, .. } => {
                let Some(range) = memory.range(addr, len) else {
                    return Ok(Vec::new());
                };
                self.protect(range, protection(prot, memory.fetches), memory)?
            }
            trace::Op::Remap { old, old_len, new, new_len, .. } => {
                let (Some(from), Some(to)) =
                    (memory.range(old, old_len), memory.range(new, new_len))
                else {
                    return Ok(Vec::new());
                };
                self.remap(from, to, memory)?
            }
            trace::Op::Clear { .. } | trace::Op::Exit { .. } => everything
                .filter(|_| !self.space.is_empty())
                .map(Change::Unmap)
                .into_iter()
                .collect(),
            // The parent does not change; the child is told everything.
            trace::Op::Fork { .. } => Vec::new(),
        })
    }

    /// All mappings: what a child is told.
    pub(super) fn all(&self) -> Vec<Change> {
        self.space.iter().cloned().map(Change::Map).collect()
    }

    /// Makes a change.
    pub(super) fn apply(&mut self, change: Change) -> Transition {
        match change {
            Change::Map(mapping) => self.space.map(mapping),
            Change::Unmap(range) => self.space.unmap(range),
        }
    }

    fn fresh(
        &self,
        range: IovaRange,
        prot: Prot,
        runs: &[Run],
        memory: &mut Memory,
    ) -> anyhow::Result<Mapping> {
        let backing = match prot {
            Prot::NONE => Arc::clone(&self.unbacked),
            _ => memory.back(range, runs)?,
        };
        Ok(Mapping { range, backing, offset: 0, prot })
    }

    fn protect(
        &self,
        range: IovaRange,
        prot: Prot,
        memory: &mut Memory,
    ) -> anyhow::Result<Vec<Change>> {
        let parts = self.space.overlapping(range).filter_map(|mapping| mapping.part(range));
        parts
            .map(|part| {
                // What was only set aside gets its memory now.
                if prot != Prot::NONE && Arc::ptr_eq(&part.backing, &self.unbacked) {
                    return self.fresh(part.range, prot, &[], memory).map(Change::Map);
                }
                Ok(Change::Map(Mapping { prot, ..part }))
            })
            .collect()
    }

    fn remap(
        &self,
        from: IovaRange,
        to: IovaRange,
        memory: &mut Memory,
    ) -> anyhow::Result<Vec<Change>> {
        let kept = from.bytes().min(to.bytes());
        let Ok(kept_from) = IovaRange::new(from.first(), kept) else {
            return Ok(Vec::new());
        };
        let mut changes = vec![];
        if from.first() != to.first() {
            changes.push(Change::Unmap(from));
            changes.push(Change::Unmap(to));
        } else if let Ok(tail) = IovaRange::new(Iova(from.first().0 + kept), from.bytes() - kept) {
            changes.push(Change::Unmap(tail));
        }
        let mut prot = None;
        for part in self.space.overlapping(kept_from).filter_map(|old| old.part(kept_from)) {
            prot = Some(part.prot);
            if from.first() != to.first() {
                let offset = part.range.first().0 - from.first().0;
                let range = IovaRange::new(Iova(to.first().0 + offset), part.range.bytes())?;
                changes.push(Change::Map(Mapping { range, ..part }));
            }
        }
        if let (Some(prot), Ok(tail)) =
            (prot, IovaRange::new(Iova(to.first().0 + kept), to.bytes() - kept))
        {
            changes.push(Change::Map(self.fresh(tail, prot, &[], memory)?));
        }
        Ok(changes)
    }
}
