//! Memory that answers with what is remembered, and writes down what is read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::{EntryRead, EntryRole, PhysMemory};

/// One entry that was read, and its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) read: EntryRead,
    pub(super) value: u64,
    /// It came from memory, not from what is remembered.
    pub(super) fresh: bool,
}

impl Step {
    /// Whether it is the entry that `read` asks for. A table that is used at two levels is two.
    fn answers(&self, read: &EntryRead) -> bool {
        let stage2 = |read: &EntryRead| read.role == EntryRole::Stage2;
        self.read.address == read.address
            && self.read.level == read.level
            && stage2(&self.read) == stage2(read)
    }
}

/// What a walker reads from.
pub(super) struct Replay<'a, M> {
    memory: &'a M,
    /// What is remembered of the way.
    known: RefCell<Rc<[Step]>>,
    /// What was read so far.
    steps: Cell<Vec<Step>>,
}

impl<'a, M> Replay<'a, M> {
    pub(super) fn new(memory: &'a M) -> Self {
        Self { memory, known: RefCell::default(), steps: Cell::default() }
    }

    /// Begins a walk of which the steps `known` are remembered.
    pub(super) fn start(&self, known: Option<Rc<[Step]>>) {
        *self.known.borrow_mut() = known.unwrap_or_default();
        self.steps.take();
    }

    /// All steps of the walk.
    pub(super) fn finish(&self) -> Vec<Step> {
        self.steps.take()
    }
}

impl<M: PhysMemory> PhysMemory for Replay<'_, M> {
    fn read_u64(&self, address: u64) -> Option<u64> {
        self.memory.read_u64(address)
    }

    fn read_entry(&self, read: &EntryRead) -> Option<u64> {
        let known = self.known.borrow().iter().find(|step| step.answers(read)).copied();
        let step = match known {
            Some(known) => Step { read: *read, fresh: false, ..known },
            None => Step { read: *read, value: self.memory.read_entry(read)?, fresh: true },
        };
        let mut steps = self.steps.take();
        steps.push(step);
        self.steps.set(steps);
        Some(step.value)
    }
}
