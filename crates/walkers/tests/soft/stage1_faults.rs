//! Stage 1: every kind of fault with its level, and which of two is reported.

use walkers::soft::{ConfigError, Stage1, Stage1Registers};
use walkers::{Access, FnMemory, Walker};

use crate::tables::{
    IPS_48, Path, Tables, access_flag_fault, address_size_fault, external_abort, lower,
    permission_fault, place, replaced, translation_fault,
};

const READ: Access = Access::PRIVILEGED_READ;
/// `IPS` 0b000.
const IPS_32: u64 = 0;
/// `TG1` 0b00.
const TG1_RESERVED: u64 = 0;
const TCR_4K: u64 = IPS_48 | 16;

/// The four entries on the way to the page at virtual address 0, with 4 KiB and 48 bits.
const PATH: Path = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003), (0x4000, 0x8703)];

fn path_with(level: usize, descriptor: u64) -> Path {
    replaced(PATH, level, descriptor)
}

#[test]
fn an_invalid_descriptor_is_a_translation_fault_at_its_level() {
    for level in 0..4 {
        // All bits but bit 0: nothing else counts.
        let mmu = lower(TCR_4K, 0x1000, &path_with(level, !1));
        assert_eq!(place(mmu.translate(0, READ)), translation_fault(level as i8));
    }
}

#[test]
fn type_01_at_level_3_is_invalid() {
    let mmu = lower(TCR_4K, 0x1000, &path_with(3, 0x8701));
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(3));
}

#[test]
fn an_unreadable_entry_is_an_external_abort_at_its_level() {
    for level in 0..4 {
        let mmu = lower(TCR_4K, 0x1000, &PATH[..level]);
        assert_eq!(place(mmu.translate(0, READ)), external_abort(level as i8));
    }
}

#[test]
fn an_address_beyond_the_output_size_is_an_address_size_fault_at_its_level() {
    // IPS 0b001: 36 bits. Bit 36 is one too many.
    let tcr = 0b001 << 32 | 16;
    for (level, &(_, good)) in PATH.iter().enumerate() {
        let mmu = lower(tcr, 0x1000, &path_with(level, good | 1 << 36));
        assert_eq!(place(mmu.translate(0, READ)), address_size_fault(level as i8));
    }
    assert!(lower(tcr, 0x1000, &PATH).translate(0, READ).is_ok());
}

#[test]
fn a_base_beyond_the_output_size_is_an_address_size_fault_at_level_0() {
    // T0SZ 25: the walk would start at level 1, and the root could be read.
    let mmu = lower(IPS_32 | 25, 0x1_0000_1000, &[(0x1_0000_1000, 0x701)]);
    assert_eq!(place(mmu.translate(0, READ)), address_size_fault(0));
}

#[test]
fn each_output_size_admits_its_last_page_and_no_more() {
    for (ips, bits) in [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48), (6, 48), (7, 48)] {
        let tcr = ips << 32 | 16;
        let last = (1 << bits) - 0x1000;
        let mmu = lower(tcr, 0x1000, &path_with(3, last | 0x703));
        assert_eq!(place(mmu.translate(0xfff, READ)), Ok(((1 << bits) - 1, 0x1000, 3)));
        if bits < 48 {
            let mmu = lower(tcr, 0x1000, &path_with(3, 1 << bits | 0x703));
            assert_eq!(place(mmu.translate(0, READ)), address_size_fault(3));
        }
    }
}

#[test]
fn address_bits_51_48_of_a_64k_descriptor_are_an_address_size_fault() {
    // Bits 15:12 hold them.
    let tcr = IPS_48 | 0b01 << 14 | 22;
    for bit in 12..16 {
        let table = lower(tcr, 0x1_0000, &[(0x1_0000, 0x2_0003 | 1 << bit)]);
        assert_eq!(place(table.translate(0, READ)), address_size_fault(2));
        let block = lower(tcr, 0x1_0000, &[(0x1_0000, 0x701 | 1 << bit)]);
        assert_eq!(place(block.translate(0, READ)), address_size_fault(2));
        let page = [(0x1_0000, 0x2_0003), (0x2_0000, 0x703 | 1 << bit)];
        assert_eq!(place(lower(tcr, 0x1_0000, &page).translate(0, READ)), address_size_fault(3));
    }
}

#[test]
fn a_clear_access_flag_faults_at_the_leaf() {
    let page = lower(TCR_4K, 0x1000, &path_with(3, 0x8303));
    assert_eq!(place(page.translate(0, READ)), access_flag_fault(3));
    let block = lower(TCR_4K, 0x1000, &path_with(2, 0x301));
    assert_eq!(place(block.translate(0, READ)), access_flag_fault(2));
    let block = lower(TCR_4K, 0x1000, &path_with(1, 0x301));
    assert_eq!(place(block.translate(0, READ)), access_flag_fault(1));
}

#[test]
fn a_refused_access_faults_at_the_leaf() {
    for (level, leaf) in [(1, 0x701), (2, 0x701), (3, 0x703)] {
        let mmu = lower(TCR_4K, 0x1000, &path_with(level, leaf));
        let found = mmu.translate(0, Access::UNPRIVILEGED_READ);
        assert_eq!(place(found), permission_fault(level as i8));
    }
}

#[test]
fn address_size_goes_before_access_flag_before_permission() {
    let tcr = IPS_32 | 16;
    let access = Access::UNPRIVILEGED_WRITE;
    // Beyond 32 bits, no AF, privileged only.
    let mmu = lower(tcr, 0x1000, &path_with(3, 0x1_0000_0003));
    assert_eq!(place(mmu.translate(0, access)), address_size_fault(3));
    // No AF, privileged only.
    let mmu = lower(tcr, 0x1000, &path_with(3, 0x8003));
    assert_eq!(place(mmu.translate(0, access)), access_flag_fault(3));
    // Privileged only.
    let mmu = lower(tcr, 0x1000, &path_with(3, 0x8403));
    assert_eq!(place(mmu.translate(0, access)), permission_fault(3));
}

#[test]
fn an_address_above_the_input_size_is_a_translation_fault_at_level_0() {
    // T0SZ 25: 39 bits. Any bit above that, up to 54, and with bit 55 clear any above.
    let mmu = lower(IPS_48 | 25, 0x1000, &[(0x1000, 0x701)]);
    assert!(mmu.translate(0, READ).is_ok());
    for bit in (39..55).chain(56..64) {
        assert_eq!(place(mmu.translate(1 << bit, READ)), translation_fault(0), "bit {bit}");
    }
}

#[test]
fn an_input_size_out_of_range_faults_for_every_address() {
    for t0sz in (0..16).chain(40..64) {
        let mmu = lower(IPS_48 | t0sz, 0x1000, &PATH);
        assert_eq!(place(mmu.translate(0, READ)), translation_fault(0), "T0SZ {t0sz}");
    }
}

#[test]
fn disabled_walks_fault_at_level_0_without_a_lookup() {
    // EPD0, bit 7. TG0 is reserved here, and nobody looks at it.
    let registers = Stage1Registers {
        ttbr0: Some(0x1000),
        tcr: IPS_48 | 0b11 << 14 | 1 << 7 | 25,
        ..Stage1Registers::default()
    };
    let mmu = Stage1::new(FnMemory(|_| unreachable!()), registers).unwrap();
    assert_eq!(place(mmu.translate(0, READ)), translation_fault(0));
}

#[test]
fn a_reserved_granule_is_refused() {
    for (tcr, field) in
        [(IPS_48 | 0b11 << 14 | 25, "TG0"), (IPS_48 | TG1_RESERVED | 25 << 16, "TG1")]
    {
        let registers = Stage1Registers {
            ttbr0: Some(0x1000).filter(|_| field == "TG0"),
            ttbr1: Some(0x1000).filter(|_| field == "TG1"),
            tcr,
            mair: 0,
        };
        let refused = Stage1::new(Tables::new(&[]), registers).map(|_| ());
        assert_eq!(refused, Err(ConfigError::ReservedGranule { field }));
    }
}
