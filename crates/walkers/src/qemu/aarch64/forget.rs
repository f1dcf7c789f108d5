//! Which TLB invalidations a [`Forget`] is.
//!
//! # References
//!
//! Arm DDI 0487, D8.17 (TLB maintenance, `FEAT_TLBIRANGE`), C5.5: the operands.

use super::setup::{Half, Setup};
use super::stub::{
    FORGET_ADDRESS, FORGET_ALL, FORGET_ASID, FORGET_IPA, FORGET_IPA_RANGE, FORGET_RANGE,
    FORGET_VMID, LEAVES_ONLY,
};
use crate::Forget;
use crate::qemu::batch::Operation;

/// Page sizes, as `TG` of range operands and `TTL` of others name them, and their address bits.
#[derive(Clone, Copy)]
struct Granule {
    name: u64,
    bits: u32,
}

const SIZE_4K: Granule = Granule { name: 0b01, bits: 12 };
const SIZE_16K: Granule = Granule { name: 0b10, bits: 14 };
const SIZE_64K: Granule = Granule { name: 0b11, bits: 16 };

/// What stands for a list of operations on one stage.
#[derive(Clone, Copy)]
struct Scope {
    granule: Granule,
    /// Operations for one address and for a range.
    address: u64,
    range: u64,
    /// The ASID, where it stands in operands.
    tag: u64,
    /// 52-bit addresses: bases of ranges are in units of 64 KiB.
    wide: bool,
}

impl Scope {
    /// For `address` in the address space `asid`.
    fn new(setup: Setup, address: u64, asid: u16, leaves_only: bool) -> Self {
        let only = if leaves_only { LEAVES_ONLY } else { 0 };
        if !setup.has_stage1() {
            let granule = match setup.vtcr >> 14 & 0b11 {
                0b01 => SIZE_64K,
                0b10 => SIZE_16K,
                _ => SIZE_4K,
            };
            return Self {
                granule,
                address: FORGET_IPA + only,
                range: FORGET_IPA_RANGE + only,
                tag: 0,
                wide: setup.vtcr >> 32 & 1 == 1,
            };
        }
        let granule = match (Half::of(address), setup.tcr >> 14 & 0b11, setup.tcr >> 30 & 0b11) {
            (Half::Lower, 0b01, _) | (Half::Upper, _, 0b11) => SIZE_64K,
            (Half::Lower, 0b10, _) | (Half::Upper, _, 0b01) => SIZE_16K,
            _ => SIZE_4K,
        };
        Self {
            granule,
            address: FORGET_ADDRESS + only,
            range: FORGET_RANGE + only,
            tag: u64::from(asid) << 48,
            wide: setup.tcr >> 59 & 1 == 1,
        }
    }

    /// One address, and perhaps at which level its leaf is: `TTL`.
    fn one(self, address: u64, level: Option<i8>) -> Operation {
        let hint = match level {
            // Level -1 has no hint.
            Some(level @ 0..=3) => self.granule.name << 2 | u64::from(level.unsigned_abs()),
            _ => 0,
        };
        [self.tag | hint << 44 | address >> 12 & ((1 << 44) - 1), self.address, 0, 0]
    }

    /// Addresses from `first` to `last`.
    fn all(self, first: u64, last: u64, list: &mut Vec<Operation>) {
        let bits = self.granule.bits;
        let mut page = first >> bits;
        let end = (last >> bits) + 1;
        // A range operation takes an even number of pages, 32 times as many for each scale.
        let base_bits = if self.wide { 16 } else { bits };
        while page < end {
            let left = end - page;
            let aligned = (page << bits) % (1 << base_bits) == 0;
            let scale = (0..4u64).rev().find(|scale| left >> (5 * scale + 1) != 0);
            let Some(scale) = scale.filter(|_| aligned) else {
                list.push(self.one(page << bits, None));
                page += 1;
                continue;
            };
            let count = (left >> (5 * scale + 1)).min(32);
            let base = page << bits >> base_bits & ((1 << 37) - 1);
            let operand =
                self.tag | self.granule.name << 46 | scale << 44 | (count - 1) << 39 | base;
            list.push([operand, self.range, 0, 0]);
            page += count << (5 * scale + 1);
        }
    }
}

/// The space that a [`Forget`] is about, if it is about one.
pub(super) fn space(what: Forget) -> Option<u16> {
    match what {
        Forget::Everything => None,
        Forget::Space { asid } | Forget::Range { asid, .. } | Forget::Page { asid, .. } => {
            Some(asid)
        }
    }
}

/// The operations; `setup` has the space's VMID.
pub(super) fn operations(setup: Setup, what: Forget) -> Vec<Operation> {
    let mut list = Vec::new();
    match what {
        Forget::Everything => list.push([0, FORGET_ALL, 0, 0]),
        Forget::Space { .. } if setup.has_stage2() => list.push([0, FORGET_VMID, 0, 0]),
        Forget::Space { asid } => list.push([u64::from(asid) << 48, FORGET_ASID, 0, 0]),
        Forget::Range { asid, first, last, leaves_only } => {
            Scope::new(setup, first, asid, leaves_only).all(first, last, &mut list);
        }
        Forget::Page { asid, address, level, leaves_only } => {
            list.push(Scope::new(setup, address, asid, leaves_only).one(address, level));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::operations;
    use crate::Forget;
    use crate::Regime;
    use crate::qemu::aarch64::setup::Setup;
    use crate::qemu::aarch64::stub::{FORGET_ADDRESS, FORGET_RANGE};
    use crate::soft::Stage1Registers;

    /// The pages that a list covers, as (page, count).
    fn pages(list: &[[u64; 4]]) -> Vec<(u64, u64)> {
        list.iter()
            .map(|&[operand, operation, ..]| match operation {
                FORGET_ADDRESS => (operand & ((1 << 44) - 1), 1),
                FORGET_RANGE => {
                    let (scale, count) = (operand >> 44 & 3, operand >> 39 & 31);
                    (operand & ((1 << 37) - 1), (count + 1) << (5 * scale + 1))
                }
                other => panic!("operation {other}"),
            })
            .collect()
    }

    #[test]
    fn ranges_are_covered_without_gaps_and_nothing_beside_them_is_forgotten() {
        let registers = Stage1Registers { ttbr0: Some(0), ttbr1: None, tcr: 16, mair: 0 };
        let setup = Setup::new(&Regime::Stage1(registers), 7).unwrap();
        for (first, count) in [(0, 1), (5, 2), (3, 63), (1 << 20, 12345), (0, 1 << 36)] {
            let what = Forget::Range {
                asid: 7,
                first: first << 12,
                last: ((first + count) << 12) - 1,
                leaves_only: false,
            };
            let list = operations(setup, what);
            assert!(list.iter().all(|operation| operation[0] >> 48 == 7));
            let mut next = first;
            for (page, count) in pages(&list) {
                assert_eq!(page, next);
                next += count;
            }
            assert_eq!(next, first + count);
        }
    }
}
