//! System calls that change address spaces, read from what strace writes about them.

use crate::trace::Prot;

/// A system call that succeeded, as far as address spaces go. Numbers are as the program gave
/// them: lengths are not rounded to pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `mmap`.
    Map {
        /// Where the mapping came to be.
        addr: u64,
        /// Its length.
        len: u64,
        /// Accesses that are allowed.
        prot: Prot,
    },
    /// `munmap`.
    Unmap {
        /// Start of the range.
        addr: u64,
        /// Length of the range.
        len: u64,
    },
    /// `mprotect`, `pkey_mprotect`.
    Protect {
        /// Start of the range.
        addr: u64,
        /// Length of the range.
        len: u64,
        /// Accesses that are allowed.
        prot: Prot,
    },
    /// `mremap`.
    Remap {
        /// Start of the old range.
        old: u64,
        /// Length of the old range; zero to map shared memory a second time.
        old_len: u64,
        /// Start of the new range.
        new: u64,
        /// Length of the new range.
        new_len: u64,
        /// The old range stays mapped, to fresh memory (`MREMAP_DONTUNMAP`).
        keeps_old: bool,
    },
    /// `brk`.
    Break {
        /// Where the heap ends now.
        end: u64,
    },
    /// `shmget`.
    SharedGet {
        /// Id of the segment.
        id: u64,
        /// Length of the segment.
        len: u64,
    },
    /// `shmat`.
    SharedAttach {
        /// Id of the segment.
        id: u64,
        /// Where it is now.
        addr: u64,
        /// Accesses that are allowed.
        prot: Prot,
    },
    /// `shmdt`.
    SharedDetach {
        /// Where it was.
        addr: u64,
    },
    /// `clone`, `clone3`, `fork`, `vfork`.
    Spawn {
        /// Id of the new task.
        child: u32,
        /// It has the caller's address space, not a copy.
        shares_memory: bool,
        /// It is a thread of the caller's process.
        is_thread: bool,
    },
    /// `execve`, `execveat`.
    Exec,
}

impl Call {
    /// Reads `name(arguments) = result`. `None` for a call that failed, that does not matter, or
    /// that does not look like this.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        let (arguments, result) = rest.rsplit_once(" = ")?;
        let arguments = arguments.trim_end().strip_suffix(')')?;
        // `-1 ENOENT (No such file)`, `? ERESTARTSYS (...)`: no number.
        let result = number(result.split_whitespace().next()?)?;
        let argument = |index| arguments.split(',').nth(index).map(str::trim);
        let value = |index| number(argument(index)?);
        Some(match name {
            "mmap" | "mmap2" => {
                Self::Map { addr: result, len: value(1)?, prot: prot(argument(2)?) }
            }
            "munmap" => Self::Unmap { addr: value(0)?, len: value(1)? },
            "mprotect" | "pkey_mprotect" => {
                Self::Protect { addr: value(0)?, len: value(1)?, prot: prot(argument(2)?) }
            }
            "mremap" => Self::Remap {
                old: value(0)?,
                old_len: value(1)?,
                new: result,
                new_len: value(2)?,
                keeps_old: flags(argument(3)?).any(|flag| flag == "MREMAP_DONTUNMAP"),
            },
            "brk" => Self::Break { end: result },
            "shmget" => Self::SharedGet { id: result, len: value(1)? },
            "shmat" => {
                let has = |wanted| flags(argument(2).unwrap_or("")).any(|flag| flag == wanted);
                let prot = Prot { read: true, write: !has("SHM_RDONLY"), exec: has("SHM_EXEC") };
                Self::SharedAttach { id: value(0)?, addr: result, prot }
            }
            "shmdt" => Self::SharedDetach { addr: value(0)? },
            "fork" => Self::spawn(result, "")?,
            "vfork" => Self::spawn(result, "CLONE_VM|CLONE_VFORK")?,
            "clone" | "clone3" => {
                let (_, flags) = arguments.split_once("flags=")?;
                Self::spawn(result, flags.split([',', '}', ' ']).next()?)?
            }
            "execve" | "execveat" => Self::Exec,
            _ => return None,
        })
    }

    fn spawn(child: u64, names: &str) -> Option<Self> {
        let has = |wanted| flags(names).any(|flag| flag == wanted);
        Some(Self::Spawn {
            child: u32::try_from(child).ok()?,
            shares_memory: has("CLONE_VM"),
            is_thread: has("CLONE_THREAD"),
        })
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if text == "NULL" => Some(0),
        None => text.parse().ok(),
    }
}

fn flags(text: &str) -> impl Iterator<Item = &str> {
    text.split('|').map(str::trim)
}

fn prot(text: &str) -> Prot {
    let has = |wanted| flags(text).any(|flag| flag == wanted);
    Prot { read: has("PROT_READ"), write: has("PROT_WRITE"), exec: has("PROT_EXEC") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_each_call_on_memory_is_understood() {
        let read_exec = Prot { read: true, write: false, exec: true };
        for (text, call) in [
            (
                "mmap(0x7f8ecf147000, 1400832, PROT_READ|PROT_EXEC, \
                 MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE, 3, 0x26000) = 0x7f8ecf147000",
                Call::Map { addr: 0x7f8e_cf14_7000, len: 1_400_832, prot: read_exec },
            ),
            (
                "mmap(NULL, 33699, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x1000",
                Call::Map { addr: 0x1000, len: 33_699, prot: Prot::default() },
            ),
            ("munmap(0x1000, 33699)     = 0", Call::Unmap { addr: 0x1000, len: 33_699 }),
            (
                "pkey_mprotect(0x1000, 4096, PROT_READ|PROT_WRITE, 1) = 0",
                Call::Protect { addr: 0x1000, len: 4096, prot: Prot::READ_WRITE },
            ),
            (
                "mremap(0x1000, 4096, 8192, MREMAP_MAYMOVE) = 0x9000",
                Call::Remap {
                    old: 0x1000,
                    old_len: 4096,
                    new: 0x9000,
                    new_len: 8192,
                    keeps_old: false,
                },
            ),
            (
                "mremap(0x1000, 4096, 4096, MREMAP_MAYMOVE|MREMAP_DONTUNMAP, 0x5000) = 0x5000",
                Call::Remap {
                    old: 0x1000,
                    old_len: 4096,
                    new: 0x5000,
                    new_len: 4096,
                    keeps_old: true,
                },
            ),
            ("brk(NULL) = 0x557773a4e000", Call::Break { end: 0x5577_73a4_e000 }),
            (
                "shmget(IPC_PRIVATE, 56, IPC_CREAT|IPC_EXCL|0600) = 3",
                Call::SharedGet { id: 3, len: 56 },
            ),
            (
                "shmat(3, NULL, SHM_RDONLY) = 0x7000",
                Call::SharedAttach {
                    id: 3,
                    addr: 0x7000,
                    prot: Prot { read: true, ..Prot::default() },
                },
            ),
            ("shmdt(0x7000) = 0", Call::SharedDetach { addr: 0x7000 }),
        ] {
            assert_eq!(Call::parse(text), Some(call), "{text}");
        }
    }

    #[test]
    fn flags_say_what_a_new_task_shares() {
        for (text, call) in [
            (
                "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, \
                 child_tidptr=0x7f8ecf11ea10) = 2662",
                Call::Spawn { child: 2662, shares_memory: false, is_thread: false },
            ),
            (
                "clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD|CLONE_SETTLS, child_tid=0x7f00, \
                 exit_signal=0, stack=0x7e00, stack_size=0x7fff80, tls=0x7f} => \
                 {parent_tid=[12]}, 88) = 12",
                Call::Spawn { child: 12, shares_memory: true, is_thread: true },
            ),
            (
                "clone3({flags=CLONE_VM|CLONE_VFORK}, 88) = 12",
                Call::Spawn { child: 12, shares_memory: true, is_thread: false },
            ),
            ("vfork() = 7", Call::Spawn { child: 7, shares_memory: true, is_thread: false }),
            ("fork() = 7", Call::Spawn { child: 7, shares_memory: false, is_thread: false }),
            (r#"execve("/bin/a = b, (", [""...], 0x7ffc /* 39 vars */) = 0"#, Call::Exec),
        ] {
            assert_eq!(Call::parse(text), Some(call), "{text}");
        }
    }

    #[test]
    fn calls_that_failed_or_do_not_look_right_are_none() {
        for text in [
            r#"execve("/bin/x", ["x"], 0x7ff /* 3 vars */) = -1 ENOENT (No such file or directory)"#,
            "mmap(NULL, 99999, PROT_READ, MAP_PRIVATE, 3, 0) = -1 ENOMEM (Cannot allocate memory)",
            "mmap(NULL) = 0x1000",
            "clone(flags=SIGCHLD) = ? ERESTARTNOINTR (To be restarted)",
            "vfork(",
            "exit_group(0) = ?",
            "",
            "é = é",
        ] {
            assert_eq!(Call::parse(text), None, "{text}");
        }
    }
}
