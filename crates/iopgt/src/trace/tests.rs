//! Text to trace and back: faults with their lines, and properties over random traces.

use proptest::prelude::*;

use super::*;

fn fault(text: &str) -> String {
    Trace::parse("x.trace", text).unwrap_err().to_string()
}

/// The error for `line` as the second line of a trace.
fn second(line: &str) -> String {
    let message = fault(&format!("iopgt-trace 1\n{line}\n"));
    message.strip_prefix("x.trace:2: ").unwrap_or_else(|| panic!("{message}")).to_owned()
}

#[test]
fn a_fault_names_file_line_what_was_expected_and_what_is_there() {
    assert_eq!(
        fault("iopgt-trace 1\n\n# comment\nmap 0 zz 0x1000 rw-\n"),
        r#"x.trace:4: expected an address such as 0x7f00, found "zz""#,
    );
}

#[test]
fn the_version_comes_first_and_is_known() {
    assert_eq!(fault(""), "x.trace:1: expected the version line `iopgt-trace 1`, found nothing");
    assert!(fault("map 0 0x0 0x1000 rw-").contains("expected the version line"));
    assert!(fault("iopgt-trace 2").contains(r#"expected the version 1, found "2""#));
    assert!(fault("iopgt-trace").contains("expected the version 1, found nothing"));
    assert!(fault("iopgt-trace 1 2").contains(r#"expected the end of the line, found "2""#));
}

#[test]
fn operations_are_checked_field_by_field() {
    for (line, message) in [
        (
            "mop 0",
            r#"expected an operation (map, run, unmap, protect, remap, fork, clear or exit), found "mop""#,
        ),
        ("map -1 0x0 0x1000 rw-", r#"expected a space such as 0, found "-1""#),
        ("map 4294967296 0x0 0x1000 rw-", r#"expected a space such as 0, found "4294967296""#),
        ("map 0 1000 0x1000 rw-", r#"expected an address such as 0x7f00, found "1000""#),
        ("map 0 0x+1 0x1000 rw-", r#"expected an address such as 0x7f00, found "0x+1""#),
        (
            "map 0 0x10000000000000000 0x1000 rw-",
            r#"expected an address such as 0x7f00, found "0x10000000000000000""#,
        ),
        (
            "map 0 0x1001 0x1000 rw-",
            r#"expected an address that is a multiple of 4096, found "0x1001""#,
        ),
        ("map 0 0x1000", "expected a length such as 0x1000, found nothing"),
        (
            "map 0 0x1000 0x0 rw-",
            r#"expected a length above 0 that is a multiple of 4096, found "0x0""#,
        ),
        (
            "map 0 0x1000 0x10 rw-",
            r#"expected a length above 0 that is a multiple of 4096, found "0x10""#,
        ),
        (
            "unmap 0 0xfffffffffffff000 0x2000",
            r#"expected a range that ends within 2^64, found "0x2000""#,
        ),
        ("map 0 0x1000 0x1000 wr-", r#"expected a protection such as rw-, found "wr-""#),
        ("map 0 0x1000 0x1000 rw- label", r#"expected the end of the line, found "label""#),
        ("remap 0 0x1000 0x1000 0x3000", "expected a length such as 0x1000, found nothing"),
        ("fork 0 0", r#"expected a child space that was not named before, found "0""#),
        ("clear", "expected a space such as 0, found nothing"),
        ("run 0x0 0x1000", r#"expected `run` only after `map` or another `run`, found "run""#),
        ("page 4095", r#"expected a page size, a power of two from 4096 to 65536, found "4095""#),
        (
            "runs 4096:1 100:1",
            r#"expected a run length in bytes (a multiple of the page size) and a count above 0, such as 8192:3, found "100:1""#,
        ),
        (
            "runs 4096:18446744073709551615 4096:1",
            r#"expected counts that sum to less than 2^64, found "4096:1""#,
        ),
    ] {
        assert_eq!(second(line), message, "{line}");
    }
}

#[test]
fn a_range_may_end_exactly_at_2_to_the_64() {
    assert!(Trace::parse("x", "iopgt-trace 1\nmap 0 0xfffffffffffff000 0x1000 rw-").is_ok());
}

#[test]
fn header_records_come_once_and_before_operations() {
    for text in ["page 4096\npage 4096", "command a\ncommand b", "runs 4096:1\npage 4096"] {
        assert!(fault(&format!("iopgt-trace 1\n{text}")).starts_with("x.trace:3:"), "{text}");
    }
    let message = fault("iopgt-trace 1\nexit 0\npage 4096");
    assert!(message.starts_with("x.trace:3: expected an operation, since"), "{message}");
}

#[test]
fn runs_sum_to_their_mapping() {
    let start = "iopgt-trace 1\nmap 0 0x0 0x3000 rw-\nrun 0x8000 0x1000\n";
    let sums = "expected runs that sum to the mapping's 0x3000 bytes, found";
    assert_eq!(fault(start), format!(r#"x.trace:3: {sums} "0x1000""#));
    assert_eq!(fault(&format!("{start}\n\nexit 0\n")), format!(r#"x.trace:3: {sums} "0x1000""#));
    assert_eq!(fault(&format!("{start}run 0x0 0x3000")), format!(r#"x.trace:4: {sums} "0x4000""#));
    let trace = Trace::parse("x", &format!("{start}run 0x1000 0x2000")).unwrap();
    let [Op::Map { runs, .. }] = &*trace.ops else { panic!("{:?}", trace.ops) };
    assert_eq!(runs[..], [Run { addr: 0x8000, len: 0x1000 }, Run { addr: 0x1000, len: 0x2000 }]);
}

#[test]
fn a_space_that_exited_is_not_named_again() {
    let message = fault("iopgt-trace 1\nexit 3\nunmap 3 0x0 0x1000");
    assert_eq!(message, r#"x.trace:3: expected a space that has not exited, found "3""#);
    let message = fault("iopgt-trace 1\nexit 3\nfork 0 3");
    assert!(message.contains("a child space that was not named before"), "{message}");
}

#[test]
fn a_carriage_return_comments_and_blanks_are_tolerated() {
    let plain = "iopgt-trace 1\ncommand a # b\nruns 4096:1 8192:2\nmap 0 0x0 0x1000 rwx\n";
    let loose = "\r\n # c\r\niopgt-trace\t1 # d\r\n command  a # b \r\nruns 4096:1\r\n\
                 runs 8192:2 # e\r\n  map 0  0x0 0x1000 rwx#\r\n";
    assert!(Trace::parse("x", loose).is_err(), "a comment starts a field");
    let loose = loose.replace("rwx#", "rwx #");
    let trace = Trace::parse("x", plain).unwrap();
    assert_eq!(trace.header.command.as_deref(), Some("a # b"));
    assert_eq!(Trace::parse("x", &loose).unwrap(), trace);
}

#[test]
fn a_long_find_is_cut() {
    assert!(second(&"x".repeat(10_000)).len() < 200);
}

fn prot() -> impl Strategy<Value = Prot> {
    any::<(bool, bool, bool)>().prop_map(|(read, write, exec)| Prot { read, write, exec })
}

/// A page-aligned range within 2^64.
fn range(page: u64) -> impl Strategy<Value = (u64, u64)> {
    let pages = u64::MAX / page + 1;
    (0..pages).prop_flat_map(move |start| {
        (1..=pages - start).prop_map(move |count| {
            // Only a length of all 2^64 would overflow.
            (start * page, count.saturating_mul(page) / page * page)
        })
    })
}

fn op(page: u64) -> impl Strategy<Value = Op> {
    let space = || (0_u32..6).prop_map(Space);
    prop_oneof![
        (space(), range(page), prot(), any::<[u64; 3]>(), 0_usize..4).prop_map(
            move |(space, (addr, len), prot, frames, count)| {
                let runs = runs(page, len, &frames[..count.min(3)]);
                Op::Map { space, addr, len, prot, runs }
            }
        ),
        (space(), range(page)).prop_map(|(space, (addr, len))| Op::Unmap { space, addr, len }),
        (space(), range(page), prot()).prop_map(|(space, (addr, len), prot)| Op::Protect {
            space,
            addr,
            len,
            prot
        }),
        (space(), range(page), range(page)).prop_map(|(space, (old, old_len), (new, new_len))| {
            Op::Remap { space, old, old_len, new, new_len }
        }),
        (space(), space()).prop_map(|(space, child)| Op::Fork { space, child }),
        space().prop_map(|space| Op::Clear { space }),
        space().prop_map(|space| Op::Exit { space }),
    ]
}

/// One page for each frame but the last, which takes what is left of `len`.
fn runs(page: u64, len: u64, frames: &[u64]) -> Vec<Run> {
    let frames = &frames[..frames.len().min(usize::try_from(len / page).unwrap_or(usize::MAX))];
    let mut left = len;
    let mut runs = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let len = if index + 1 == frames.len() { left } else { page };
        left -= len;
        runs.push(Run { addr: frame % (u64::MAX - len + 1) / page * page, len });
    }
    runs
}

/// Drops operations that name spaces against the rules.
fn with_spaces_in_order(ops: Vec<Op>) -> Vec<Op> {
    let mut named = std::collections::HashSet::new();
    let mut gone = std::collections::HashSet::new();
    ops.into_iter()
        .filter(|op| {
            let forbidden = gone.contains(&op.space())
                || matches!(op, Op::Fork { space, child } if named.contains(child) || child == space);
            if forbidden {
                return false;
            }
            named.insert(op.space());
            match *op {
                Op::Fork { child, .. } => _ = named.insert(child),
                Op::Exit { space } => _ = gone.insert(space),
                _ => {}
            }
            true
        })
        .collect()
}

fn trace() -> impl Strategy<Value = Trace> {
    (0_u32..5).prop_map(|shift| 4096_u64 << shift).prop_flat_map(|page| {
        let counts = prop::collection::vec((1_u64..1 << 20, 1_u64..1 << 50), 0..30);
        let ops = prop::collection::vec(op(page), 0..40);
        (prop::option::of("[!-~]([ -~é]{0,20}[!-~])?"), counts, ops).prop_map(
            move |(command, counts, ops)| {
                let mut runs = Histogram::default();
                for (pages, count) in counts {
                    runs.add(pages * page, count).unwrap();
                }
                let header = Header { page, command, runs };
                Trace { header, ops: with_spaces_in_order(ops) }
            },
        )
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(trace in trace()) {
        let text = trace.to_string();
        prop_assert_eq!(Trace::parse("x", &text), Ok(trace), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = Trace::parse("x", &text);
    }

    #[test]
    fn no_text_of_the_formats_own_words_makes_the_parser_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "map", "run", "unmap", "protect", "remap", "fork", "clear", "exit", "page", "runs",
                "command", "0", "1", "0x0", "0x1000", "0xfffffffffffff000", "0x8000000000000000",
                "rw-", "4096:1", ":", "65536", "#", "\n", "\n", "\n",
            ]),
            0..60,
        ),
    ) {
        let _ = Trace::parse("x", &format!("iopgt-trace 1\n{}", words.join(" ")));
    }
}
