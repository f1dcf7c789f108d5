//! Stage 2: which `T0SZ`, `SL0`, `TG0` and `PS` go together.

use std::cell::Cell;
use std::ops::RangeInclusive;

use walkers::soft::{Stage2, Stage2Registers};
use walkers::{Access, FnMemory, Walker};

use crate::tables::translation_fault;

/// What the manual permits: `TG0`, `SL0`, the level, `T0SZ` without extensions (tables D8-21 to
/// D8-24, D8-31 to D8-33, D8-39 to D8-41), and the physical address size that it takes
/// (`AArch64.S2InvalidSL`).
pub(crate) const PERMITTED: [(u64, u64, i8, RangeInclusive<u64>, u64); 9] = [
    (0b00, 0b10, 0, 16..=24, 44),
    (0b00, 0b01, 1, 21..=33, 0),
    (0b00, 0b00, 2, 30..=39, 0),
    (0b10, 0b10, 1, 16..=27, 42),
    (0b10, 0b01, 2, 24..=38, 0),
    (0b10, 0b00, 3, 35..=39, 0),
    (0b01, 0b10, 1, 16..=21, 44),
    (0b01, 0b01, 2, 18..=34, 0),
    (0b01, 0b00, 3, 31..=39, 0),
];

/// Every combination: with tables full of zeros, a permitted one looks up once and faults at its
/// start level, any other faults at level 0 without a lookup.
#[test]
fn a_walk_starts_exactly_where_the_manual_permits_it() {
    for (ps, output_bits) in
        [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48), (6, 48), (7, 48)]
    {
        for tg0 in 0..3 {
            for sl0 in 0..4 {
                for t0sz in 0..64 {
                    let start = PERMITTED
                        .iter()
                        .find(|row| (row.0, row.1) == (tg0, sl0) && row.3.contains(&t0sz))
                        .filter(|row| output_bits >= row.4 && 64 - t0sz <= output_bits)
                        .map(|row| row.2);

                    let lookups = Cell::new(0);
                    let memory = FnMemory(|_| {
                        lookups.set(lookups.get() + 1);
                        Some(0)
                    });
                    let vtcr = ps << 16 | tg0 << 14 | sl0 << 6 | t0sz;
                    let mmu = Stage2::new(memory, Stage2Registers { vttbr: 0, vtcr }).unwrap();
                    let found = mmu.translate(0, Access::PRIVILEGED_READ).map(|_| ());

                    let case = format!("PS {ps} TG0 {tg0} SL0 {sl0} T0SZ {t0sz}");
                    assert_eq!(found, translation_fault(start.unwrap_or(0)), "{case}");
                    assert_eq!(lookups.get(), u32::from(start.is_some()), "{case}");
                }
            }
        }
    }
}
