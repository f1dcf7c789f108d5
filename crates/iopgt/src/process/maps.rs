//! `/proc/PID/maps`: the mappings of a process.

use std::ops::Range;

use crate::trace::Prot;

/// A mapping of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vma {
    /// The addresses.
    pub range: Range<u64>,
    /// Accesses that are allowed.
    pub prot: Prot,
}

/// Reads the text of `/proc/PID/maps`; lines that do not look like it are left out.
///
/// # References
///
/// `proc_pid_maps(5)`
pub fn parse_maps(text: &str) -> Vec<Vma> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Vma> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
    let [read, write, exec, ..] = *fields.next()?.as_bytes() else {
        return None;
    };
    let prot = Prot { read: read == b'r', write: write == b'w', exec: exec == b'x' };
    (range.start < range.end).then_some(Vma { range, prot })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_permissions_are_read() {
        let text = "\
5638772db000-5638772dd000 r--p 00000000 fe:00 247282                     /usr/bin/head
7ffc0b5e7000-7ffc0b608000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
not a mapping
";
        let vmas = parse_maps(text);
        assert_eq!(vmas.len(), 3);
        let readable = Prot { read: true, ..Prot::default() };
        assert_eq!(vmas[0], Vma { range: 0x5638_772d_b000..0x5638_772d_d000, prot: readable });
        assert_eq!(vmas[1].prot, Prot::READ_WRITE);
        assert_eq!(vmas[2].range.start, 0xffff_ffff_ff60_0000);
        assert!(vmas[2].prot.exec && !vmas[2].prot.read);
    }
}
