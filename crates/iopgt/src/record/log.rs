//! The log that strace writes with `-f`: from lines to events in the order of their effects.
//!
//! A call that others interrupt is logged in two lines, `<unfinished ...>` and `resumed`. It takes
//! effect when it completes: the arguments come from the first, the moment from the second. A
//! new task is the exception, since its own lines may come before its parent's call is seen to
//! complete: it is there from the first of them on.

use std::collections::HashMap;

use super::call::Call;

const UNFINISHED: &str = "<unfinished ...>";

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A system call succeeded.
    Call(Call),
    /// The task is gone.
    Exit,
}

/// A log that is being read.
#[derive(Debug, Default)]
pub struct Log {
    lines: usize,
    events: Vec<Timed>,
    /// The calls of tasks that are unfinished.
    pending: HashMap<u32, Pending>,
    /// When each task was first seen; kept when it is gone, until its id is seen anew.
    seen: HashMap<u32, Seen>,
}

#[derive(Debug)]
struct Timed {
    line: usize,
    pid: u32,
    event: Event,
}

#[derive(Debug)]
struct Pending {
    line: usize,
    text: String,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    line: usize,
    gone: bool,
}

impl Log {
    /// Takes the next line. Lines that do not matter, or do not look like strace's, are passed
    /// over.
    pub fn push(&mut self, line: &str) {
        self.lines += 1;
        let Some((pid, text)) = split_pid(line) else {
            return;
        };
        self.see(pid);
        if let Some(notice) = text.strip_prefix("+++ ") {
            self.notice(pid, notice);
        } else if let Some(start) = text.strip_suffix(UNFINISHED) {
            let text = start.trim_end().to_owned();
            self.pending.insert(pid, Pending { line: self.lines, text });
        } else if let Some(resumed) = text.strip_prefix("<... ") {
            let Some((_, end)) = resumed.split_once(" resumed>") else {
                return;
            };
            let Some(Pending { line, mut text }) = self.pending.remove(&pid) else {
                return;
            };
            text.push_str(end);
            self.complete(pid, line, &text);
        } else {
            self.complete(pid, self.lines, text);
        }
    }

    /// The events so far, each with the id of its task, in the order in which they took effect.
    pub fn into_events(mut self) -> impl Iterator<Item = (u32, Event)> {
        let is_spawn = |event: &Event| matches!(event, Event::Call(Call::Spawn { .. }));
        // A task is there before its first line says anything.
        self.events.sort_by_key(|timed| (timed.line, !is_spawn(&timed.event)));
        self.events.into_iter().map(|timed| (timed.pid, timed.event))
    }

    fn see(&mut self, pid: u32) {
        let now = Seen { line: self.lines, gone: false };
        let seen = self.seen.entry(pid).or_insert(now);
        if seen.gone {
            *seen = now;
        }
    }

    fn notice(&mut self, pid: u32, notice: &str) {
        let superseded = "superseded by execve in pid ";
        if let Some(other) = notice.strip_prefix(superseded) {
            // A thread that calls execve goes on with the id of its process.
            let other = other.split(' ').next().and_then(|id| id.parse().ok());
            let pending = other.and_then(|other: u32| self.pending.remove(&other));
            self.pending.remove(&pid);
            self.pending.extend(pending.map(|pending| (pid, pending)));
        } else if notice.starts_with("exited") || notice.starts_with("killed") {
            self.pending.remove(&pid);
            if let Some(seen) = self.seen.get_mut(&pid) {
                seen.gone = true;
            }
            self.events.push(Timed { line: self.lines, pid, event: Event::Exit });
        }
    }

    /// A call that began in line `begin` completes in this one.
    fn complete(&mut self, pid: u32, begin: usize, text: &str) {
        let Some(call) = Call::parse(text) else {
            return;
        };
        let mut line = self.lines;
        if let Call::Spawn { child, .. } = call {
            if let Some(seen) = self.seen.get(&child) {
                if seen.line > begin {
                    line = seen.line;
                }
            }
        }
        self.events.push(Timed { line, pid, event: Event::Call(call) });
    }
}

fn split_pid(line: &str) -> Option<(u32, &str)> {
    let (pid, text) = line.trim().split_once(' ')?;
    Some((pid.parse().ok()?, text.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<(u32, Event)> {
        let mut log = Log::default();
        text.lines().for_each(|line| log.push(line));
        log.into_events().collect()
    }

    fn spawn(child: u32, shares_memory: bool) -> Event {
        Event::Call(Call::Spawn { child, shares_memory, is_thread: false })
    }

    #[test]
    fn an_interrupted_call_takes_effect_when_it_completes() {
        let events = events(
            "\
10 munmap(0x1000, 4096 <unfinished ...>
11 munmap(0x2000, 4096) = 0
10 <... munmap resumed>) = 0
11 munmap(0x3000, 4096 <unfinished ...>
11 <... munmap resumed> ) = -1 EINVAL (Invalid argument)
",
        );
        let unmap = |addr| Event::Call(Call::Unmap { addr, len: 4096 });
        assert_eq!(events, [(11, unmap(0x2000)), (10, unmap(0x1000))]);
    }

    #[test]
    fn a_task_is_there_before_its_own_lines() {
        let events = events(
            "\
2661  vfork( <unfinished ...>
2664  execve(\"/usr/bin/x\", [\"\"...], 0x557773a4ee38 /* 39 vars */ <unfinished ...>
2661  <... vfork resumed>)              = 2664
2664  <... execve resumed>)             = 0
2664  +++ exited with 0 +++
",
        );
        let exec = Event::Call(Call::Exec);
        assert_eq!(events, [(2661, spawn(2664, true)), (2664, exec), (2664, Event::Exit)]);
    }

    #[test]
    fn a_task_may_be_gone_before_its_parents_call_completes() {
        let events = events(
            "\
1 vfork( <unfinished ...>
2 +++ killed by SIGKILL +++
1 <... vfork resumed>) = 2
1 fork() = 2
2 brk(NULL) = 0x5000
",
        );
        let brk = Event::Call(Call::Break { end: 0x5000 });
        assert_eq!(
            events,
            [(1, spawn(2, true)), (2, Event::Exit), (1, spawn(2, false)), (2, brk),],
        );
    }

    #[test]
    fn each_of_two_children_born_at_once_has_its_own_parent() {
        let events = events(
            "\
1 fork( <unfinished ...>
2 vfork( <unfinished ...>
4 brk(NULL) = 0x5000
3 brk(NULL) = 0x6000
1 <... fork resumed>) = 3
2 <... vfork resumed>) = 4
",
        );
        let brk = |end| Event::Call(Call::Break { end });
        assert_eq!(
            events,
            [(2, spawn(4, true)), (4, brk(0x5000)), (1, spawn(3, false)), (3, brk(0x6000))],
        );
    }

    #[test]
    fn a_thread_that_execs_goes_on_as_its_process() {
        let events = events(
            "\
11 execve(\"/bin/x\", [\"\"...], 0x7f /* 1 var */ <unfinished ...>
10 +++ superseded by execve in pid 11 +++
10 <... execve resumed>) = 0
10 +++ exited with 0 +++
",
        );
        assert_eq!(events, [(10, Event::Call(Call::Exec)), (10, Event::Exit)]);
    }

    #[test]
    fn lines_that_are_not_the_logs_are_passed_over() {
        let text = "\n+++\n12\n12 \nstrace: what\n-5 brk(NULL) = 0x1000\n12 <... \n\
                    12 <... brk resumed>) = 0x1000\n12 --- SIGCHLD {si_signo=SIGCHLD} ---\n";
        assert_eq!(events(text), []);
    }
}
