//! What the processor says of a translation: `PAR_EL1` and the `ESR`s.
//!
//! # References
//!
//! Arm DDI 0487, section D24.2: `PAR_EL1`, `ESR_EL1` with the encoding of `DFSC` and `IFSC`.

use crate::{DeviceType, FaultKind, MemoryType, Refusal, Shareability};

/// `EC`, bits 31:26 of a syndrome: what the exception is.
pub(super) const UNDEFINED: u64 = 0b00_0000;
/// `HVC` in `AArch64`.
pub(super) const HYPERVISOR_CALL: u64 = 0b01_0110;
/// Instruction abort, from a lower level and from the same.
pub(super) const INSTRUCTION_ABORTS: [u64; 2] = [0b10_0000, 0b10_0001];

/// A fault status that says that the translation was made: an external abort, not on the walk.
pub(super) const EXTERNAL_ABORT: u64 = 0b01_0000;

/// `ESR_ELx`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syndrome(pub(super) u32);

impl Syndrome {
    /// The exception class.
    pub(super) fn class(self) -> u64 {
        u64::from(self.0 >> 26)
    }

    /// The number in an `HVC`.
    pub(super) const fn immediate(self) -> u16 {
        // CAST: the low sixteen bits are it.
        self.0 as u16
    }

    /// The fault status of an abort.
    pub(super) fn status(self) -> u64 {
        u64::from(self.0 & 0x3f)
    }
}

/// `PAR_EL1`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Par(pub(super) u64);

impl Par {
    /// The page's address, bits 51:12, or why there is none.
    pub(super) fn page(self) -> Result<u64, Refusal> {
        if self.0 & 1 == 0 {
            Ok(self.0 & ((1 << 52) - (1 << 12)))
        } else {
            Err(refusal(self.0 >> 1 & 0x3f))
        }
    }

    /// The memory type, where there is one: `ATTR`, bits 63:56, as in a MAIR.
    pub(super) fn memory(self) -> MemoryType {
        // CAST: the top byte.
        let attribute = (self.0 >> 56) as u8;
        match (attribute >> 4, attribute & 0b1111) {
            (0, 0b0000) => MemoryType::Device(DeviceType::NGnRnE),
            (0, 0b0100) => MemoryType::Device(DeviceType::NGnRE),
            (0, 0b1000) => MemoryType::Device(DeviceType::NGRE),
            (0, 0b1100) => MemoryType::Device(DeviceType::GRE),
            (0b0100, 0b0100) => MemoryType::NonCacheable,
            (0b1100..=0b1111, 0b1100..=0b1111) => MemoryType::WriteBack,
            _ => MemoryType::Other(attribute),
        }
    }

    /// `SH`, bits 8:7: outer for Device and non-cacheable memory, whatever the table says.
    pub(super) fn shareability(self) -> Shareability {
        match self.0 >> 7 & 0b11 {
            0b00 => Shareability::Non,
            0b01 => Shareability::Reserved,
            0b10 => Shareability::Outer,
            _ => Shareability::Inner,
        }
    }
}

/// What a fault status says.
pub(super) fn refusal(status: u64) -> Refusal {
    // CAST: two bits.
    let low = (status & 0b11) as i8;
    let (kind, level) = match status {
        0b00_0000..=0b00_0011 => (FaultKind::AddressSize, low),
        0b00_0100..=0b00_0111 => (FaultKind::Translation, low),
        0b00_1000..=0b00_1011 => (FaultKind::AccessFlag, low),
        0b00_1100..=0b00_1111 => (FaultKind::Permission, low),
        0b01_0100..=0b01_0111 => (FaultKind::ExternalAbort, low),
        0b01_0011 => (FaultKind::ExternalAbort, -1),
        0b10_1001 => (FaultKind::AddressSize, -1),
        0b10_1011 => (FaultKind::Translation, -1),
        0b11_0000 => return Refusal { kind: Some(FaultKind::Conflict), level: None },
        _ => return Refusal::default(),
    };
    Refusal { kind: Some(kind), level: Some(level) }
}

#[cfg(test)]
mod tests {
    use super::{Par, refusal};
    use crate::{FaultKind, MemoryType, Refusal, Shareability};

    #[test]
    fn statuses_have_a_kind_and_a_level() {
        let says = |kind, level| Refusal { kind: Some(kind), level: Some(level) };
        assert_eq!(refusal(0b00_0111), says(FaultKind::Translation, 3));
        assert_eq!(refusal(0b10_1011), says(FaultKind::Translation, -1));
        assert_eq!(refusal(0b00_0001), says(FaultKind::AddressSize, 1));
        assert_eq!(refusal(0b10_0001), Refusal::default(), "an alignment fault is none of these");
    }

    #[test]
    fn the_address_has_52_bits_and_attributes_around_it() {
        let par = Par(0xff << 56 | 1 << 51 | 0x1234_5000 | 0b11 << 7);
        assert_eq!(par.page(), Ok(1 << 51 | 0x1234_5000));
        assert_eq!(
            (par.memory(), par.shareability()),
            (MemoryType::WriteBack, Shareability::Inner)
        );
        let fault = Par(1 | 0b00_1101 << 1).page();
        assert_eq!(fault, Err(Refusal { kind: Some(FaultKind::Permission), level: Some(1) }));
    }
}
