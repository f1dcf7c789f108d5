//! What an SMMU is told of an address space: stream table entries and context descriptors.
//!
//! # References
//!
//! Arm IHI 0070: 5.2 (stream table entry), 5.4 (context descriptor). Arm DDI 0487: `TCR_EL1`,
//! `VTCR_EL2`, whose fields both take over in groups.

use crate::soft::{Stage1Registers, Stage2Registers};
use crate::{Ram, Regime, Unsupported};

/// The size of an entry of the stream table.
pub(super) const STREAM_TABLE_ENTRY_BYTES: u64 = 64;

/// The words of a structure that has 64 bytes.
type Words = [u64; 8];

/// Writes a structure, its first word last: that one says whether the others count.
fn write(ram: &Ram, first: u64, words: &Words) {
    for (index, word) in (0..).zip(words).skip(1) {
        ram.write_u64(first + 8 * index, *word);
    }
    ram.write_u64(first, words[0]);
}

/// Whether `bit` of `word` is set.
const fn has(word: u64, bit: u32) -> bool {
    word >> bit & 1 == 1
}

/// What belongs to stage 1 of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContextDescriptor(Words);

impl ContextDescriptor {
    pub(super) const BYTES: u64 = 64;

    /// `T0SZ`, `TG0`, `IR0`, `OR0`, `SH0`, which `TCR_EL1` has with another bit between; `T1SZ`
    /// to `TG1` are where they are there, but for `EPD1` and `A1`.
    fn half(size: u64, granule: u64, cacheability: u64) -> u64 {
        size & 0x3f | (granule & 3) << 6 | (cacheability & 0x3f) << 8
    }

    /// What leads to the tables of `registers`, for the address space `asid`.
    pub(super) fn new(registers: &Stage1Registers, asid: u16) -> Self {
        const EPD: u64 = 1 << 14;
        const VALID: u64 = 1 << 31;
        const AARCH64: u64 = 1 << 41;
        /// `R` and `A`: faults are recorded, and aborted.
        const RECORD: u64 = 1 << 45;
        const ABORT: u64 = 1 << 46;
        /// `ASET`: the address space is not shared with processors.
        const NOT_SHARED: u64 = 1 << 47;

        let Stage1Registers { ttbr0, ttbr1, tcr, mair } = *registers;
        let disabled = |off: bool, base: Option<u64>| if off || base.is_none() { EPD } else { 0 };
        let lower = Self::half(tcr, tcr >> 14, tcr >> 8) | disabled(has(tcr, 7), ttbr0);
        let upper = Self::half(tcr >> 16, tcr >> 30, tcr >> 24) | disabled(has(tcr, 23), ttbr1);
        let sizes = (tcr >> 32 & 7) << 32;
        let tags = (tcr >> 37 & 3) << 38;
        let word =
            lower | upper << 16 | sizes | tags | VALID | AARCH64 | RECORD | ABORT | NOT_SHARED;

        // Bits 47:4 of a base; and `HPD` of each half as `HAD`.
        let base = |base: Option<u64>, hpd: u32| {
            base.unwrap_or(0) & 0xffff_ffff_fff0 | u64::from(has(tcr, hpd)) << 1
        };
        let words = [word | u64::from(asid) << 48, base(ttbr0, 41), base(ttbr1, 42), mair];
        Self(core::array::from_fn(|index| words.get(index).copied().unwrap_or(0)))
    }

    pub(super) fn write(&self, ram: &Ram, first: u64) {
        write(ram, first, &self.0);
    }
}

/// What belongs to a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamTableEntry(Words);

impl StreamTableEntry {
    /// A stream with the context descriptor at `stage1` and the tables of `stage2`, as far as it
    /// has these stages.
    pub(super) fn new(stage1: Option<u64>, stage2: Option<&Stage2Registers>, vmid: u16) -> Self {
        const VALID: u64 = 1;
        const TRANSLATES: u64 = 0b100 << 1;
        const STAGE1: u64 = 0b001 << 1;
        const STAGE2: u64 = 0b010 << 1;
        const S2AA64: u64 = 1 << 51;
        /// `S2R`: faults are recorded.
        const S2_RECORD: u64 = 1 << 58;

        let mut words = [0; 8];
        words[0] = VALID | TRANSLATES;
        if let Some(descriptor) = stage1 {
            words[0] |= STAGE1 | descriptor;
        }
        words[2] = u64::from(vmid);
        if let Some(registers) = stage2 {
            words[0] |= STAGE2;
            // `T0SZ` to `PS` of `VTCR_EL2`, bits 18:0, in their order.
            words[2] |= (registers.vtcr & 0x7_ffff) << 32 | S2AA64 | S2_RECORD;
            words[3] = registers.vttbr & 0xffff_ffff_fff0;
        }
        Self(words)
    }

    pub(super) fn write(&self, ram: &Ram, first: u64) {
        write(ram, first, &self.0);
    }
}

/// The largest leaf that QEMU's SMMU walks in `regime`, if it walks it at all.
pub(super) fn supported(regime: &Regime) -> Result<u64, Unsupported> {
    match regime {
        Regime::Stage1(one) => stage1(one),
        Regime::Stage2(two) => stage2(two),
        Regime::Nested(one, two) => Ok(stage1(one)?.min(stage2(two)?)),
        _ => Err(Unsupported::new("other tables than VMSAv8-64")),
    }
}

/// The output size that QEMU implements.
const OUTPUT_BITS: u64 = 44;

fn stage1(registers: &Stage1Registers) -> Result<u64, Unsupported> {
    let tcr = registers.tcr;
    if has(tcr, 39) || has(tcr, 40) {
        return Err(Unsupported::new("hardware updates of stage 1 (HA, HD)"));
    }
    if has(tcr, 59) {
        return Err(Unsupported::new("52-bit addresses (DS)"));
    }
    let output_bits = output_bits(tcr >> 32);
    let halves = [
        (registers.ttbr0, tcr, [12, 16, 14, 0][(tcr >> 14 & 3) as usize], has(tcr, 7)),
        (registers.ttbr1, tcr >> 16, [0, 14, 12, 16][(tcr >> 30 & 3) as usize], has(tcr, 23)),
    ];
    let mut largest = 4096;
    for (base, size, granule, off) in halves {
        let Some(base) = base.filter(|_| !off) else { continue };
        if granule == 0 {
            return Err(Unsupported::new("the reserved granule"));
        }
        if !(16..=39).contains(&(size & 0x3f)) {
            return Err(Unsupported::new("input sizes of other than 25 to 48 bits"));
        }
        if (base & 0xffff_ffff_fff0) >> output_bits != 0 {
            return Err(Unsupported::new("a root beyond the output size, or beyond 44 bits"));
        }
        largest = largest.max(leaf(granule));
    }
    let both = registers.ttbr0.is_some() && registers.ttbr1.is_some();
    if has(tcr, 37) != has(tcr, 38) && (both || has(tcr, 38)) {
        return Err(Unsupported::new("TBI1 other than TBI0, which QEMU 10.0 takes for both"));
    }
    Ok(largest)
}

fn stage2(registers: &Stage2Registers) -> Result<u64, Unsupported> {
    let vtcr = registers.vtcr;
    if has(vtcr, 21) || has(vtcr, 22) {
        return Err(Unsupported::new("hardware updates of stage 2 (HA, HD)"));
    }
    if has(vtcr, 32) || has(vtcr, 33) {
        return Err(Unsupported::new("52-bit addresses (DS)"));
    }
    let (granule, highest) = match vtcr >> 14 & 3 {
        0b00 => (12, 2),
        0b01 => (16, 3),
        0b10 => (14, 3),
        _ => return Err(Unsupported::new("the reserved granule")),
    };
    let start = vtcr >> 6 & 3;
    if start == 3 {
        return Err(Unsupported::new("the reserved start level"));
    }
    let size = vtcr & 0x3f;
    let output_bits = output_bits(vtcr >> 16);
    if size > 39 || 64 - size > output_bits {
        return Err(Unsupported::new(
            "input sizes below 25 bits, above the output size, or above 44 bits",
        ));
    }
    if (registers.vttbr & 0xffff_ffff_fff0) >> output_bits != 0 {
        return Err(Unsupported::new("a root beyond the output size, or beyond 44 bits"));
    }
    // What a root of one table covers, and what tables of the next level cover.
    let stride = granule - 3;
    let below = granule + stride * (3 - (highest - start));
    if 64 - size > below + stride {
        return Err(Unsupported::new(
            "concatenated roots of stage 2, of which QEMU 10.0 walks the first for every address",
        ));
    }
    if 64 - size <= below {
        return Err(Unsupported::new("a start level for which no input bit is left"));
    }
    Ok(leaf(granule))
}

/// `IPS` or `PS`, as far as QEMU has it.
fn output_bits(field: u64) -> u64 {
    [32, 36, 40, 42, 44, 48, 48, 48][(field & 7) as usize].min(OUTPUT_BITS)
}

/// The largest leaf of a granule: a block of level 1 with 4 KiB, of level 2 else.
const fn leaf(granule: u64) -> u64 {
    match granule {
        12 => 1 << 30,
        14 => 32 << 20,
        _ => 512 << 20,
    }
}

#[cfg(test)]
mod tests {
    use super::supported;
    use crate::Regime;
    use crate::soft::{Stage1Registers, Stage2Registers};

    fn stage1(tcr: u64) -> Result<u64, String> {
        let registers = Stage1Registers { ttbr0: Some(0), ttbr1: None, tcr, mair: 0 };
        supported(&Regime::Stage1(registers)).map_err(|why| why.what)
    }

    fn stage2(t0sz: u64, sl0: u64, tg0: u64) -> Result<u64, String> {
        let vtcr = t0sz | sl0 << 6 | tg0 << 14 | 0b101 << 16;
        let registers = Stage2Registers { vttbr: 0, vtcr, force_write_back: false };
        supported(&Regime::Stage2(registers)).map_err(|why| why.what)
    }

    #[test]
    fn granules_have_their_largest_leaves() {
        assert_eq!(stage1(16), Ok(1 << 30));
        assert_eq!(stage1(16 | 0b01 << 14), Ok(512 << 20));
        assert_eq!(stage1(16 | 0b10 << 14), Ok(32 << 20));
    }

    #[test]
    fn what_qemu_does_not_have_is_refused() {
        assert!(stage1(16 | 1 << 39).unwrap_err().contains("HA"));
        assert!(stage1(16 | 1 << 59).unwrap_err().contains("DS"));
        assert!(stage1(15).unwrap_err().contains("25 to 48"));
        assert!(stage1(16 | 1 << 38).unwrap_err().contains("TBI1"));
        assert!(stage1(16 | 0b11 << 14).unwrap_err().contains("granule"));
    }

    #[test]
    fn concatenated_roots_are_refused_and_others_are_not() {
        // 4 KiB: level 1 covers 39 bits with one table, level 0 48.
        assert!(stage2(25, 1, 0).is_ok());
        assert!(stage2(24, 1, 0).unwrap_err().contains("concatenated"));
        assert!(stage2(24, 2, 0).is_ok());
        assert!(stage2(25, 2, 0).unwrap_err().contains("no input bit"));
        // 16 KiB: level 2 covers 36 bits, level 1 47.
        assert!(stage2(28, 1, 2).is_ok());
        assert!(stage2(27, 1, 2).unwrap_err().contains("concatenated"));
        assert!(stage2(27, 2, 2).is_ok());
        // 64 KiB: level 2 covers 42 bits.
        assert!(stage2(22, 1, 1).is_ok());
        assert!(stage2(21, 1, 1).unwrap_err().contains("concatenated"));
        assert!(stage2(21, 2, 1).is_ok());
    }
}
