//! Shows what is mapped, for people.

use core::fmt::{self, Display};

use super::visit::Visit;
use super::{PageTable, Tree};
use crate::addr::{IovaRange, PhysAddr};
use crate::format::Format;
use crate::memory::TableAllocator;
use crate::prot::Prot;

/// What a range maps, as text: see [`PageTable::dump`].
pub struct Dump<'t, F: Format, A: TableAllocator> {
    table: &'t PageTable<F, A>,
    range: IovaRange,
}

impl<'t, F: Format, A: TableAllocator> Dump<'t, F, A> {
    pub(super) const fn new(table: &'t PageTable<F, A>, range: IovaRange) -> Self {
        Self { table, range }
    }
}

/// Leaves that follow each other, alike.
#[derive(Clone, Copy)]
struct Run {
    span: IovaRange,
    level: i8,
    /// Of one leaf.
    bytes: u64,
    phys: PhysAddr,
    prot: Prot,
    contiguous: bool,
    leaves: u64,
}

impl Run {
    /// Takes the leaf in, if it goes on where this ends.
    fn take(&mut self, next: &Self) -> bool {
        let alike = (self.level, self.bytes, self.prot, self.contiguous)
            == (next.level, next.bytes, next.prot, next.contiguous);
        let follows = self.span.last().0.wrapping_add(1) == next.span.first().0
            && self.phys.0.wrapping_add(self.span.bytes()) == next.phys.0;
        if alike && follows {
            self.span = self.span.hull(next.span);
            self.leaves += 1;
        }
        alike && follows
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, first_level: i8) -> fmt::Result {
        let Self { span, level, bytes, phys, prot, contiguous, leaves } = *self;
        indent(f, level - first_level)?;
        let size = Size(bytes);
        let hint = if contiguous { ", contiguous" } else { "" };
        writeln!(f, "{span} -> {phys} {prot:?} {leaves} x {size}{hint}")
    }
}

impl<F: Format, A: TableAllocator> Display for Dump<'_, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tree { geometry, options, .. } = &self.table.tree;
        let (input, output) = (geometry.input_bits(), geometry.output_bits());
        let root = self.table.tree.root_phys();
        write!(f, "{} {}, {input} bits to {output}, root at {root}", F::NAME, F::GRANULE)?;
        if options.is_empty() {
            writeln!(f)?;
        } else {
            writeln!(f, ", {options:?}")?;
        }
        let first_level = geometry.first_level();
        let mut result = Ok(());
        let mut run: Option<Run> = None;
        self.table.visit(self.range, |seen| {
            if result.is_err() {
                return;
            }
            let leaf = match seen {
                Visit::Leaf { span, level, phys, prot, contiguous } => {
                    let bytes = span.bytes();
                    Some(Run { span, level, bytes, phys, prot, contiguous, leaves: 1 })
                }
                Visit::Table { .. } => None,
            };
            if let (Some(run), Some(leaf)) = (&mut run, &leaf) {
                if run.take(leaf) {
                    return;
                }
            }
            if let Some(run) = run.take() {
                result = run.write(f, first_level);
            }
            run = leaf;
            if let (Ok(()), Visit::Table { span, level, phys }) = (result, seen) {
                result = indent(f, level - 1 - first_level)
                    .and_then(|()| writeln!(f, "{span} level {level} table at {phys}"));
            }
        });
        result?;
        run.map_or(Ok(()), |run| run.write(f, first_level))
    }
}

impl<F: Format, A: TableAllocator> fmt::Debug for Dump<'_, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

fn indent(f: &mut fmt::Formatter<'_>, levels: i8) -> fmt::Result {
    for _ in 0..levels {
        f.write_str("  ")?;
    }
    Ok(())
}

/// Bytes, a power of two.
struct Size(u64);

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, unit) = match self.0.trailing_zeros() {
            0..=19 => (10, 'K'),
            20..=29 => (20, 'M'),
            30..=39 => (30, 'G'),
            _ => (40, 'T'),
        };
        write!(f, "{}{unit}", self.0 >> shift)
    }
}
