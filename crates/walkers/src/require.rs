//! Machines that a test cannot go without.
//!
//! Not every computer has `/dev/kvm` or QEMU. A test that asks for a machine which is not there
//! says so on one line, and passes; unless the environment variable [`VARIABLE`] demands that
//! machine: then it fails.

use core::fmt::Display;
use std::io::Write;

/// The environment variable that lists the machines which must be there, with commas between:
/// `kvm,qemu`.
pub const VARIABLE: &str = "IOPGTABLE_REQUIRE";

/// The machine `name`, if there is one. If not, says what is missing on one line of the standard
/// error, past the test harness, which would swallow it.
///
/// ```no_run
/// # fn open() -> Result<(), std::io::Error> { Ok(()) }
/// let Some(machine) = walkers::require::machine("kvm", open()) else { return };
/// ```
///
/// # Panics
///
/// There is none, and [`VARIABLE`] demands it.
pub fn machine<T, E: Display>(name: &str, found: Result<T, E>) -> Option<T> {
    let missing = match found {
        Ok(machine) => return Some(machine),
        Err(missing) => missing,
    };
    let list = std::env::var_os(VARIABLE).unwrap_or_default();
    assert!(
        !demands(&list.to_string_lossy(), name),
        "{VARIABLE} demands {name}, and it is not there: {missing}"
    );
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("skipped, without {name}: {test}: {missing}\n");
    // One write, so that lines of other tests do not mix with it. Where it fails, nobody reads.
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}

/// Whether `list` demands the machine `name`: by its name, or by what stands before a hyphen of it.
///
/// ```
/// use walkers::require::demands;
///
/// assert!(demands("kvm, qemu", "qemu-aarch64"));
/// assert!(demands("qemu-aarch64", "qemu-aarch64"));
/// assert!(!demands("qemu-riscv", "qemu-aarch64"));
/// assert!(!demands("qem", "qemu"));
/// assert!(!demands("", "kvm"));
/// ```
pub fn demands(list: &str, name: &str) -> bool {
    list.split(',').map(str::trim).any(|word| {
        let rest = name.strip_prefix(word);
        !word.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::machine;

    #[test]
    fn a_machine_that_is_there_is_handed_on() {
        assert_eq!(machine("nothing-like-this", Ok::<_, &str>(7)), Some(7));
    }

    #[test]
    fn a_machine_that_nobody_demands_is_skipped() {
        assert_eq!(machine("nothing-like-this", Err::<u8, _>("no such machine")), None);
    }
}
