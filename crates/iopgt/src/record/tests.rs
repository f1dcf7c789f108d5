//! From literal logs to traces.

use std::ffi::OsString;

use super::{command_line, history::History, log::Log};
use crate::trace::{Header, Trace};

/// The operations of a log, as text.
fn recorded(log: &str) -> String {
    let mut events = Log::default();
    log.lines().for_each(|line| events.push(line));
    let mut history = History::new(4096);
    for (pid, event) in events.into_events() {
        history.apply(pid, event);
    }
    let trace = Trace { header: Header::default(), ops: history.into_ops() };
    let text = trace.to_string();
    assert_eq!(Trace::parse("recorded", &text), Ok(trace), "a recording is a valid trace");
    text.strip_prefix("iopgt-trace 1\npage 4096\n").unwrap().to_owned()
}

#[test]
fn lengths_are_rounded_to_pages_and_failures_skipped() {
    let ops = recorded(
        "\
7  execve(\"/bin/x\", [\"\"...], 0x7ff /* 3 vars */) = 0
7  mmap(NULL, 33699, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7f0000000000
7  mmap(NULL, 99999999999999, PROT_READ, MAP_PRIVATE, 3, 0) = -1 ENOMEM (Cannot allocate memory)
7  mprotect(0x7f0000000000, 1, PROT_NONE) = 0
7  mprotect(0x7f0000000000, 0, PROT_NONE) = 0
7  munmap(0x7f0000000000, 33699) = 0
7  +++ exited with 0 +++
",
    );
    assert_eq!(
        ops,
        "\
map 0 0x7f0000000000 0x9000 r--
protect 0 0x7f0000000000 0x1000 ---
unmap 0 0x7f0000000000 0x9000
exit 0
",
    );
}

#[test]
fn the_heap_grows_and_shrinks_from_its_first_end() {
    let ops = recorded(
        "\
7  brk(NULL) = 0x5000800
7  brk(0x5002000) = 0x5002000
7  brk(0x5002800) = 0x5002800
7  brk(0x5002900) = 0x5002900
7  brk(0x9999999000) = 0x5002900
7  brk(0x5001000) = 0x5001000
",
    );
    assert_eq!(
        ops,
        "\
map 0 0x5001000 0x1000 rw-
map 0 0x5002000 0x1000 rw-
unmap 0 0x5001000 0x2000
",
    );
}

#[test]
fn mremap_moves_resizes_and_copies() {
    let ops = recorded(
        "\
7  mremap(0x10000, 4096, 8192, MREMAP_MAYMOVE) = 0x20000
7  mremap(0x20000, 8192, 12288, 0) = 0x20000
7  mremap(0x20000, 8192, 8191, 0) = 0x20000
7  mremap(0x20000, 4096, 4096, MREMAP_MAYMOVE|MREMAP_DONTUNMAP) = 0x30000
7  mremap(0x20000, 0, 4096, MREMAP_MAYMOVE) = 0x40000
7  mremap(0x20000, 4096, 8192, 0) = -1 ENOMEM (Cannot allocate memory)
",
    );
    assert_eq!(
        ops,
        "\
remap 0 0x10000 0x1000 0x20000 0x2000
remap 0 0x20000 0x2000 0x20000 0x3000
remap 0 0x20000 0x1000 0x30000 0x1000
map 0 0x20000 0x1000 rw-
map 0 0x40000 0x1000 rw-
",
    );
}

#[test]
fn threads_share_a_space_until_the_last_is_gone() {
    let ops = recorded(
        "\
7  mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x10000
7  clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM, \
child_tid=0x7f6, parent_tid=0x7f6, exit_signal=0, stack=0x7f5, stack_size=0x7fff80, \
tls=0x7f7} <unfinished ...>
8  munmap(0x10000, 4096 <unfinished ...>
7  <... clone3 resumed> => {parent_tid=[8]}, 88) = 8
7  +++ exited with 0 +++
8  <... munmap resumed>) = 0
8  +++ exited with 0 +++
",
    );
    assert_eq!(ops, "map 0 0x10000 0x1000 rw-\nunmap 0 0x10000 0x1000\nexit 0\n");
}

#[test]
fn a_fork_is_a_copy_that_execve_empties() {
    let ops = recorded(
        "\
7  brk(NULL) = 0x5000000
7  clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD \
<unfinished ...>
9  brk(0x5001000) = 0x5001000
7  <... clone resumed>, child_tidptr=0x7f8ecf11ea10) = 9
9  execve(\"/bin/y\", [\"\"...], 0x7ff /* 3 vars */) = -1 ENOENT (No such file or directory)
9  execve(\"/usr/bin/y\", [\"\"...], 0x7ff /* 3 vars */) = 0
9  brk(NULL) = 0x6000000
9  brk(0x6001000) = 0x6001000
9  +++ killed by SIGSEGV (core dumped) +++
7  +++ exited with 1 +++
",
    );
    assert_eq!(
        ops,
        "\
fork 0 1
map 1 0x5000000 0x1000 rw-
clear 1
map 1 0x6000000 0x1000 rw-
exit 1
exit 0
",
    );
}

#[test]
fn a_vfork_child_has_the_parents_space_until_execve() {
    let ops = recorded(
        "\
7  vfork( <unfinished ...>
9  mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x10000
9  execve(\"/bin/y\", [\"\"...], 0x7ff /* 3 vars */ <unfinished ...>
7  <... vfork resumed>) = 9
9  <... execve resumed>) = 0
9  mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x20000
7  munmap(0x10000, 4096) = 0
9  +++ exited with 0 +++
7  vfork() = 10
10 +++ exited with 127 +++
7  +++ exited with 0 +++
",
    );
    assert_eq!(
        ops,
        "\
map 0 0x10000 0x1000 ---
map 1 0x20000 0x1000 r--
unmap 0 0x10000 0x1000
exit 1
exit 0
",
    );
}

#[test]
fn execve_by_a_thread_ends_the_others() {
    let ops = recorded(
        "\
7  mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x10000
7  clone(child_stack=0x7f0, flags=CLONE_VM|CLONE_THREAD) = 8
7  clone(child_stack=0x7f0, flags=CLONE_VM|CLONE_THREAD) = 9
8  execve(\"/bin/y\", [\"\"...], 0x7ff /* 3 vars */ <unfinished ...>
9  +++ exited with 0 +++
7  +++ superseded by execve in pid 8 +++
7  <... execve resumed>) = 0
7  mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x20000
7  +++ exited with 0 +++
",
    );
    let expected = "map 0 0x10000 0x1000 r--\nclear 0\nmap 0 0x20000 0x1000 r--\nexit 0\n";
    assert_eq!(ops, expected);
}

#[test]
fn shared_memory_is_mapped_at_its_segments_length_and_inherited() {
    let ops = recorded(
        "\
7  shmget(IPC_PRIVATE, 56, IPC_CREAT|IPC_EXCL|0600) = 3
7  shmat(3, NULL, 0) = 0x10000
7  shmat(4, NULL, 0) = 0x20000
7  fork() = 8
8  shmdt(0x10000) = 0
8  shmdt(0x10000) = -1 EINVAL (Invalid argument)
",
    );
    assert_eq!(ops, "map 0 0x10000 0x1000 rw-\nfork 0 1\nunmap 1 0x10000 0x1000\n");
}

#[test]
fn a_process_id_may_come_again() {
    let ops = recorded(
        "\
7  fork() = 8
8  +++ exited with 0 +++
7  fork() = 8
8  +++ exited with 0 +++
",
    );
    assert_eq!(ops, "fork 0 1\nexit 1\nfork 0 2\nexit 2\n");
}

proptest::proptest! {
    #[test]
    fn no_log_makes_the_conversion_panic(
        lines in proptest::collection::vec(
            proptest::sample::select(vec![
                "7 brk(NULL) = 0x1000", "7 brk(0x9) = 0xffffffffffffffff", "7 fork( <unfinished ...>",
                "8 fork( <unfinished ...>", "7 <... fork resumed>) = 8", "8 <... fork resumed>) = 7",
                "7 vfork() = 7", "7 vfork() = 8", "8 vfork() = 8", "8 fork() = 8", "7 +++ exited with 0 +++", "8 +++ killed by X +++",
                "7 execve() = 0", "8 execve() = 0", "8 execve( <unfinished ...>",
                "7 +++ superseded by execve in pid 8 +++", "7 <... execve resumed>) = 0",
                "9 clone(flags=CLONE_VM|CLONE_THREAD) = 7", "8 clone(flags=CLONE_THREAD) = 9",
                "9 munmap(0xffffffffffffffff, 18446744073709551615) = 0", "9 mprotect(0x9, 9, X) = 0",
                "8 mremap(0x1000, 4096, 4096, MREMAP_DONTUNMAP, 0x5000) = 0x5000",
            ]),
            0..40,
        ),
    ) {
        recorded(&lines.join("\n"));
    }
}

#[test]
fn the_command_is_quoted_where_a_shell_needs_it() {
    let command = ["sh", "-c", "echo 'a b'", "", "x=1"].map(OsString::from);
    assert_eq!(command_line(&command), r"sh -c 'echo '\''a b'\''' '' x=1");
}
