//! From the events of tasks to the operations on address spaces.
//!
//! Threads, and children that `vfork` made, have the address space of their parent; `execve` gives
//! the latter a fresh one, and empties that of a task which has it for itself. An address space is
//! gone with its last task.

use std::collections::{BTreeMap, HashMap};

use super::{call::Call, log::Event};
use crate::trace::{Op, Prot, Space};

/// The address spaces of a program and its children.
#[derive(Debug)]
pub struct History {
    page: u64,
    ops: Vec<Op>,
    tasks: HashMap<u32, Task>,
    spaces: BTreeMap<Space, AddressSpace>,
    /// The index of the next address space.
    next: u32,
    /// Lengths of System V shared memory segments.
    segments: HashMap<u64, u64>,
    started: bool,
}

#[derive(Debug, Clone, Copy)]
struct Task {
    /// Id of the process: that of its first thread.
    process: u32,
    space: Space,
}

#[derive(Debug, Clone, Default)]
struct AddressSpace {
    /// Tasks that have it.
    tasks: u32,
    /// The end of the heap.
    heap_end: Option<u64>,
    /// Addresses and lengths of System V shared memory.
    attached: BTreeMap<u64, u64>,
    /// An operation named it since it was empty.
    used: bool,
}

impl History {
    /// No address space yet; pages have `page` bytes.
    pub fn new(page: u64) -> Self {
        Self {
            page,
            ops: Vec::new(),
            tasks: HashMap::new(),
            spaces: BTreeMap::new(),
            next: 0,
            segments: HashMap::new(),
            started: false,
        }
    }

    /// Takes what happened next to the task `pid`. A task that was not heard of before starts with
    /// an empty address space: it is the first one, or its birth is not in the log.
    pub fn apply(&mut self, pid: u32, event: Event) {
        match event {
            Event::Exit => self.leave(pid),
            Event::Call(Call::Spawn { child, shares_memory, is_thread }) => {
                self.spawn(pid, child, shares_memory, is_thread);
            }
            Event::Call(Call::Exec) => self.exec(pid),
            Event::Call(Call::SharedGet { id, len }) => {
                self.segments.insert(id, len);
            }
            Event::Call(call) => {
                let space = self.space_of(pid);
                self.change(space, call);
            }
        }
    }

    /// Whether a program was started.
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// The operations, in order.
    pub fn into_ops(self) -> Vec<Op> {
        self.ops
    }

    fn space_of(&mut self, pid: u32) -> Space {
        if let Some(task) = self.tasks.get(&pid) {
            return task.space;
        }
        let space = self.add_space(AddressSpace::default());
        self.enter(pid, Task { process: pid, space });
        space
    }

    fn add_space(&mut self, space: AddressSpace) -> Space {
        let index = Space(self.next);
        self.next += 1;
        self.spaces.insert(index, space);
        index
    }

    fn enter(&mut self, pid: u32, task: Task) {
        if let Some(space) = self.spaces.get_mut(&task.space) {
            space.tasks += 1;
        }
        self.leave(pid);
        self.tasks.insert(pid, task);
    }

    fn leave(&mut self, pid: u32) {
        let Some(Task { space, .. }) = self.tasks.remove(&pid) else {
            return;
        };
        let Some(state) = self.spaces.get_mut(&space) else {
            return;
        };
        state.tasks -= 1;
        if state.tasks == 0 {
            if state.used {
                self.ops.push(Op::Exit { space });
            }
            self.spaces.remove(&space);
        }
    }

    fn spawn(&mut self, parent: u32, child: u32, shares_memory: bool, is_thread: bool) {
        let mut space = self.space_of(parent);
        let process = match self.tasks.get(&parent) {
            Some(task) if is_thread => task.process,
            _ => child,
        };
        if !shares_memory {
            let state = self.spaces.entry(space).or_default();
            state.used = true;
            let copy = AddressSpace { tasks: 0, ..state.clone() };
            let copied = self.add_space(copy);
            self.ops.push(Op::Fork { space, child: copied });
            space = copied;
        }
        self.enter(child, Task { process, space });
    }

    fn exec(&mut self, pid: u32) {
        self.started = true;
        let space = self.space_of(pid);
        let process = self.tasks.get(&pid).map_or(pid, |task| task.process);
        let threads =
            self.tasks.iter().filter(|&(&other, task)| other != pid && task.process == process);
        for thread in threads.map(|(&other, _)| other).collect::<Vec<_>>() {
            self.leave(thread);
        }
        let Some(state) = self.spaces.get_mut(&space) else {
            return;
        };
        if state.tasks > 1 {
            let space = self.add_space(AddressSpace::default());
            self.enter(pid, Task { process: pid, space });
            return;
        }
        if state.used {
            self.ops.push(Op::Clear { space });
        }
        *state = AddressSpace { tasks: state.tasks, ..AddressSpace::default() };
        self.tasks.insert(pid, Task { process: pid, space });
    }

    fn change(&mut self, space: Space, call: Call) {
        match call {
            Call::Map { addr, len, prot } => self.map(space, addr, len, prot),
            Call::Unmap { addr, len } => self.unmap(space, addr, len),
            Call::Protect { addr, len, prot } => {
                if let Some((addr, len)) = self.pages(addr, len) {
                    self.push(Op::Protect { space, addr, len, prot });
                }
            }
            Call::Remap { old, old_len, new, new_len, keeps_old } => {
                // The protection of the old range is the new one's: not in the log, and so taken
                // for what memory that is moved about has.
                let prot = Prot::READ_WRITE;
                match (self.pages(old, old_len), self.pages(new, new_len)) {
                    (Some(from), Some(to)) if from != to => {
                        let ((old, old_len), (new, new_len)) = (from, to);
                        self.push(Op::Remap { space, old, old_len, new, new_len });
                        if keeps_old {
                            self.map(space, old, old_len, prot);
                        }
                    }
                    (None, Some((new, new_len))) => self.map(space, new, new_len, prot),
                    _ => {}
                }
            }
            Call::Break { end } => self.set_heap_end(space, end),
            Call::SharedAttach { id, addr, prot } => {
                // A segment from before the recording has no known length.
                let Some(&len) = self.segments.get(&id) else {
                    return;
                };
                self.map(space, addr, len, prot);
                self.spaces.entry(space).or_default().attached.insert(addr, len);
            }
            Call::SharedDetach { addr } => {
                let attached = &mut self.spaces.entry(space).or_default().attached;
                if let Some(len) = attached.remove(&addr) {
                    self.unmap(space, addr, len);
                }
            }
            Call::Spawn { .. } | Call::Exec | Call::SharedGet { .. } => {}
        }
    }

    fn map(&mut self, space: Space, addr: u64, len: u64, prot: Prot) {
        if let Some((addr, len)) = self.pages(addr, len) {
            self.push(Op::Map { space, addr, len, prot, runs: Vec::new() });
        }
    }

    fn unmap(&mut self, space: Space, addr: u64, len: u64) {
        if let Some((addr, len)) = self.pages(addr, len) {
            self.push(Op::Unmap { space, addr, len });
        }
    }

    fn set_heap_end(&mut self, space: Space, end: u64) {
        let state = self.spaces.entry(space).or_default();
        let Some(old) = state.heap_end.replace(end) else {
            return;
        };
        let ends =
            old.checked_next_multiple_of(self.page).zip(end.checked_next_multiple_of(self.page));
        let Some((old, end)) = ends else { return };
        if old < end {
            self.map(space, old, end - old, Prot::READ_WRITE);
        } else {
            self.unmap(space, end, old - end);
        }
    }

    /// The whole pages of a range; `None` when there are none.
    fn pages(&self, addr: u64, len: u64) -> Option<(u64, u64)> {
        let start = addr - addr % self.page;
        let end = addr.checked_add(len)?.checked_next_multiple_of(self.page)?;
        (len > 0).then_some((start, end - start))
    }

    fn push(&mut self, op: Op) {
        if let Some(state) = self.spaces.get_mut(&op.space()) {
            state.used = true;
        }
        self.ops.push(op);
    }
}
