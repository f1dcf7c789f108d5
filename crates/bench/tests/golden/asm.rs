//! Just enough of assembly: functions, loops, and how many entries of eight bytes a loop gets done.

use std::collections::BTreeMap;

/// Functions by name, as the lines that are instructions and labels.
pub(crate) struct Assembly(BTreeMap<String, Vec<String>>);

/// What a function costs: a loop's instructions for so many entries, or all of its instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) instructions: usize,
    pub(crate) entries: usize,
}

impl Cost {
    /// Whether this is more per entry than the other one.
    pub(crate) const fn exceeds(self, other: Self) -> bool {
        self.instructions * other.entries > other.instructions * self.entries
    }
}

impl Assembly {
    pub(crate) fn parse(text: &str) -> Self {
        let mut functions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut current = None;
        for line in text.lines() {
            let line = line.split("//").next().unwrap_or(line).trim_end();
            if let Some(label) = line.strip_suffix(':') {
                if label.starts_with(".Lfunc_end") {
                    current = None;
                } else if !label.starts_with('.') {
                    current = Some(functions.entry(label.to_owned()).or_default());
                } else if let Some(function) = &mut current {
                    function.push(line.to_owned());
                }
            } else if let (Some(function), Some(code)) = (&mut current, line.strip_prefix('\t')) {
                if !code.starts_with('.') {
                    function.push(code.replace('\t', " "));
                }
            }
        }
        Self(functions)
    }

    /// The function whose symbol contains `name`; the exact one, if there is one.
    pub(crate) fn function(&self, name: &str) -> Option<&[String]> {
        let exact = self.0.get(name);
        let any = || self.0.iter().find(|(symbol, _)| symbol.contains(name)).map(|(_, code)| code);
        exact.or_else(any).map(Vec::as_slice)
    }

    /// The function's instructions.
    pub(crate) fn straight(&self, name: &str) -> Option<Cost> {
        let code = self.function(name)?;
        let instructions = code.iter().filter(|line| !line.ends_with(':')).count();
        Some(Cost { instructions, entries: 1 })
    }

    /// The cost of the loop in the function, or in one that it calls, that gets most entries done
    /// in one turn.
    pub(crate) fn hottest_loop(&self, name: &str) -> Option<Cost> {
        let code = self.function(name)?;
        let called = code.iter().filter_map(|line| self.0.get(callee(line)?)).map(Vec::as_slice);
        let loops = std::iter::once(code).chain(called).flat_map(loops);
        loops.max_by_key(|cost| (cost.entries, usize::MAX - cost.instructions))
    }
}

/// The symbol that an instruction calls or jumps to.
fn callee(line: &str) -> Option<&str> {
    let (mnemonic, target) = line.split_once(' ')?;
    ["call", "callq", "jmp", "bl", "b"].contains(&mnemonic).then_some(target)
}

/// The innermost loops of a function that go through entries.
fn loops(code: &[String]) -> Vec<Cost> {
    let place = |label: &str| code.iter().position(|line| line.strip_suffix(':') == Some(label));
    let jumps = code.iter().enumerate().filter_map(|(end, line)| {
        let target = line.rsplit([' ', ',']).next()?;
        let start = place(target).filter(|&start| target.starts_with(".L") && start < end)?;
        Some((start, end))
    });
    let jumps: Vec<(usize, usize)> = jumps.collect();
    let innermost = |&&(start, end): &&(usize, usize)| {
        !jumps.iter().any(|&(s, e)| (s, e) != (start, end) && start <= s && e <= end)
    };
    let cost = |&(start, end): &(usize, usize)| {
        let body = || code[start..=end].iter().filter(|line| !line.ends_with(':'));
        let (mut loads, mut stores) = (0, 0);
        for line in body() {
            match access(line) {
                Some((true, bytes)) => stores += bytes,
                Some((false, bytes)) => loads += bytes,
                None => {}
            }
        }
        let bytes = if stores > 0 { stores } else { loads };
        Cost { instructions: body().count(), entries: bytes / 8 }
    };
    jumps.iter().filter(innermost).map(cost).filter(|cost| cost.entries > 0).collect()
}

/// Whether an instruction stores to a table, and how many bytes it loads or stores.
fn access(line: &str) -> Option<(bool, usize)> {
    let (mnemonic, operands) = line.split_once(' ')?;
    if operands.contains('[') {
        // Arm. The stack is no table.
        let bytes = |register: &str| match register.trim().chars().next() {
            Some('q') => 16,
            Some('x' | 'd') => 8,
            _ => 0,
        };
        let registers = operands.split('[').next().unwrap_or_default().split(',');
        let bytes = registers.map(bytes).sum();
        let stores = mnemonic.starts_with("st");
        return (!operands.contains("[sp") && (stores || mnemonic.starts_with("ld")))
            .then_some((stores, bytes));
    }
    if !operands.contains('(') || operands.contains("(%rip)") || operands.contains("(%rsp") {
        return None;
    }
    if mnemonic.starts_with("lea") || mnemonic.starts_with("nop") {
        return None;
    }
    let bytes = [("zmm", 64), ("ymm", 32), ("xmm", 16)];
    let bytes = bytes.into_iter().find(|(name, _)| operands.contains(name)).map_or(8, |it| it.1);
    // `movq` and the like move eight bytes of a vector register.
    let bytes = if bytes == 16 && mnemonic == "movq" { 8 } else { bytes };
    Some((operands.ends_with(')') && !mnemonic.starts_with("cmp"), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_that_gets_most_done_counts() {
        let text = "f:\n\t.cfi_startproc\n\tmovq\t%rdi, %rax\n.LBB0_1:\n\tmovdqu\t%xmm0, (%rdi)\n\
                    \tmovdqu\t%xmm0, 16(%rdi)\n\taddq\t$32, %rdi\n\tcmpq\t%rsi, %rdi\n\
                    \tjne\t.LBB0_1\n.LBB0_2:\n\tmovq\t$0, (%rdi)\n\tjne\t.LBB0_2\n\tretq\n\
                    .Lfunc_end0:\ng:\n\tcallq\tf\n\tretq\n.Lfunc_end1:\n\
                    a:\n.LBB2_1:\n\tstp\tq0, q1, [x8]\n\tstr\tq0, [sp, #16]\n\tb.ne\t.LBB2_1\n\
                    .Lfunc_end2:\n";
        let assembly = Assembly::parse(text);
        let expected = Some(Cost { instructions: 5, entries: 4 });
        assert_eq!(assembly.hottest_loop("f"), expected);
        assert_eq!(assembly.hottest_loop("g"), expected, "what it calls");
        let arm = Some(Cost { instructions: 3, entries: 4 });
        assert_eq!(assembly.hottest_loop("a"), arm, "spills are no entries");
        assert_eq!(assembly.straight("g"), Some(Cost { instructions: 2, entries: 1 }));
        assert!(Cost { instructions: 6, entries: 4 }.exceeds(Cost { instructions: 5, entries: 4 }));
        assert!(
            !Cost { instructions: 5, entries: 4 }.exceeds(Cost { instructions: 5, entries: 4 })
        );
        assert!(
            !Cost { instructions: 9, entries: 8 }.exceeds(Cost { instructions: 5, entries: 4 })
        );
    }
}
