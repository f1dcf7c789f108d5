//! Entries of an x86-64 root. One that no address in question needs, the *slot*, maps what a
//! machine needs for itself while tables are walked.

/// How many entries a root has.
pub(crate) const COUNT: u64 = 512;

/// How many bytes an entry of the root spans, as a power of two.
const fn span_bits(five: bool) -> u8 {
    if five { 48 } else { 39 }
}

/// The canonical address with the low bits of `address`: as many as five levels translate, or four.
pub(crate) const fn canonical(address: u64, five: bool) -> u64 {
    let sign = 1 << if five { 56 } else { 47 };
    ((address & (2 * sign - 1)) ^ sign).wrapping_sub(sign)
}

/// Which entry of the root maps `address`.
pub(crate) const fn of(address: u64, five: bool) -> u64 {
    address >> span_bits(five) & (COUNT - 1)
}

/// What lies in `slot` where `address` lies in its own.
pub(crate) const fn within(slot: u64, address: u64, five: bool) -> u64 {
    let bits = span_bits(five);
    canonical(slot << bits | address & ((1 << bits) - 1), five)
}

#[cfg(test)]
mod tests {
    use super::{canonical, of, within};

    #[test]
    fn slots_of_the_upper_half_are_sign_extended() {
        assert_eq!(within(511, 0x1234, false), 0xffff_ff80_0000_1234);
        assert_eq!(within(511, 0x1234, true), 0xffff_0000_0000_1234);
        assert_eq!(within(255, 0xffff_8000_0000_0010, false), 0x0000_7f80_0000_0010);
        for five in [false, true] {
            for slot in [0, 1, 255, 256, 511] {
                let address = within(slot, 0xabc, five);
                assert_eq!((of(address, five), canonical(address, five)), (slot, address));
            }
        }
    }
}
