//! Stage 2: which `T0SZ`, `SL0`, `SL2`, `TG0`, `DS` and `PS` go together.

use std::cell::Cell;
use std::ops::RangeInclusive;

use walkers::soft::{Stage2, Stage2Registers};
use walkers::{Access, FnMemory, Walker};

use crate::tables::translation_fault;

/// One way to start a walk.
pub(crate) struct Row {
    pub(crate) tg0: u64,
    /// None where it is ignored.
    pub(crate) ds: Option<u64>,
    pub(crate) sl2: Option<u64>,
    pub(crate) sl0: u64,
    pub(crate) level: i8,
    pub(crate) t0sz: RangeInclusive<u64>,
    /// The physical address size that it takes.
    pub(crate) output_bits: u64,
}

impl Row {
    const fn new(
        (tg0, ds, sl2, sl0): (u64, Option<u64>, Option<u64>, u64),
        level: i8,
        t0sz: RangeInclusive<u64>,
        output_bits: u64,
    ) -> Self {
        Self { tg0, ds, sl2, sl0, level, t0sz, output_bits }
    }
}

/// What the manual permits without `FEAT_TTST`: tables D8-21 to D8-24, D8-31 to D8-33, D8-39 to
/// D8-41, and the functions `AArch64.S2InvalidSL` and `AArch64.S2InconsistentSL`.
pub(crate) const PERMITTED: [Row; 17] = [
    Row::new((0b00, Some(0), None, 0b10), 0, 16..=24, 44),
    Row::new((0b00, Some(0), None, 0b01), 1, 21..=33, 0),
    Row::new((0b00, Some(0), None, 0b00), 2, 30..=39, 0),
    Row::new((0b00, Some(1), Some(1), 0b00), -1, 12..=15, 52),
    Row::new((0b00, Some(1), Some(0), 0b10), 0, 12..=24, 44),
    Row::new((0b00, Some(1), Some(0), 0b01), 1, 21..=33, 0),
    Row::new((0b00, Some(1), Some(0), 0b00), 2, 30..=39, 0),
    Row::new((0b10, Some(0), None, 0b10), 1, 16..=27, 42),
    Row::new((0b10, Some(0), None, 0b01), 2, 24..=38, 0),
    Row::new((0b10, Some(0), None, 0b00), 3, 35..=39, 0),
    Row::new((0b10, Some(1), None, 0b11), 0, 12..=16, 52),
    Row::new((0b10, Some(1), None, 0b10), 1, 13..=27, 42),
    Row::new((0b10, Some(1), None, 0b01), 2, 24..=38, 0),
    Row::new((0b10, Some(1), None, 0b00), 3, 35..=39, 0),
    Row::new((0b01, None, None, 0b10), 1, 12..=21, 44),
    Row::new((0b01, None, None, 0b01), 2, 18..=34, 0),
    Row::new((0b01, None, None, 0b00), 3, 31..=39, 0),
];

/// All values of the six fields.
fn fields() -> impl Iterator<Item = [u64; 6]> {
    (0..8 * 3 * 2 * 2 * 4 * 64).map(|mut index| {
        [8, 3, 2, 2, 4, 64].map(|values| {
            let value = index % values;
            index /= values;
            value
        })
    })
}

/// Every combination: with tables full of zeros, a permitted one looks up once and faults at its
/// start level, any other faults at level 0 without a lookup.
#[test]
fn a_walk_starts_exactly_where_the_manual_permits_it() {
    for [ps, tg0, ds, sl2, sl0, t0sz] in fields() {
        let widest = if ds == 1 || tg0 == 0b01 { 52 } else { 48 };
        let output_bits = [32, 36, 40, 42, 44, 48, 52, 56][ps as usize].min(widest);
        let start = PERMITTED
            .iter()
            .filter(|row| (row.tg0, row.sl0) == (tg0, sl0) && row.t0sz.contains(&t0sz))
            .filter(|row| row.ds.is_none_or(|only| only == ds))
            .filter(|row| row.sl2.is_none_or(|only| only == sl2))
            .find(|row| output_bits >= row.output_bits && 64 - t0sz <= output_bits)
            .map(|row| row.level);

        let lookups = Cell::new(0);
        let memory = FnMemory(|_| {
            lookups.set(lookups.get() + 1);
            Some(0)
        });
        let vtcr = sl2 << 33 | ds << 32 | ps << 16 | tg0 << 14 | sl0 << 6 | t0sz;
        let mmu = Stage2::new(memory, Stage2Registers { vtcr, ..Default::default() }).unwrap();
        let found = mmu.translate(0, Access::PRIVILEGED_READ).map(|_| ());

        let case = format!("PS {ps} TG0 {tg0} DS {ds} SL2 {sl2} SL0 {sl0} T0SZ {t0sz}");
        assert_eq!(found, translation_fault(start.unwrap_or(0)), "{case}");
        assert_eq!(lookups.get(), u32::from(start.is_some()), "{case}");
    }
}
