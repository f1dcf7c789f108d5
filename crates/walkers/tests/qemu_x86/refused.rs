//! What it does not do, and says so.

use std::sync::Arc;

use walkers::qemu::X86;
use walkers::soft::MaliRegisters;
use walkers::{Access, FaultKind, Mmu, MmuError, Ram, Regime, Request, X86_64Registers};

use crate::machine::{ALL, BITS, LAST, TABLES, TARGETS, Tables, machine, refused, registers};
use crate::opinion::reached;

#[test]
fn leaves_that_lead_elsewhere_are_errors_and_harmless() {
    let Some(mut tables) = Tables::new() else { return };
    for five in [false, true] {
        tables.clear(five);
        let elsewhere = tables.table();
        // Nothing that a processor would survive: `hlt`.
        tables.write(elsewhere, 0xf4f4_f4f4_f4f4_f4f4);
        tables.put(0x5000, 3, elsewhere | ALL);
        tables.put(0x6000, 3, TARGETS | ALL);
        tables.install(registers(five));
        for access in Access::ALL {
            let request = Request { address: 0x5000, access };
            let error = tables.machine.translate(&[request], &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains("no target"), "{error}");
            assert_eq!(tables.read(elsewhere), 0xf4f4_f4f4_f4f4_f4f4);
        }
        tables.expect_all(0x6000, reached(TARGETS));
    }
}

#[test]
fn other_tables_and_other_physical_addresses_are_not_supported() {
    let Some((_, mut machine)) = machine(BITS) else { return };
    for physical_bits in [BITS - 1, BITS + 1] {
        let regime = Regime::X86_64(X86_64Registers { physical_bits, ..registers(false) });
        assert!(machine.says(&regime).is_err());
    }
    let regime = Regime::Mali(MaliRegisters::default());
    assert!(machine.says(&regime).is_err());
    let error = machine.install(&regime, 0);
    assert!(matches!(error, Err(MmuError::Unsupported(_))), "{error:?}");
}

#[test]
fn a_root_that_is_no_ram_is_not_supported() {
    let Some((_, mut machine)) = machine(BITS) else { return };
    let regime = Regime::X86_64(X86_64Registers { cr3: 1 << 40, ..registers(true) });
    let error = machine.install(&regime, 0);
    assert!(matches!(error, Err(MmuError::Unsupported(_))), "{error:?}");
}

#[test]
fn nothing_is_answered_before_a_root_is_installed() {
    let Some((_, mut machine)) = machine(BITS) else { return };
    let request = Request { address: 0, access: Access::PRIVILEGED_READ };
    assert!(machine.translate(&[request], &mut Vec::new()).is_err());
}

#[test]
fn each_number_of_physical_bits_reserves_what_is_beyond() {
    for bits in [32, 40, 52] {
        let Some((ram, mut machine)) = machine(bits) else { return };
        for five in [false, true] {
            for level in 0..4 {
                // A link to the same table at each level, and a page.
                let links = if five { 5 } else { 4 };
                for at in 0..links {
                    let entry =
                        if at == links - 1 { TARGETS } else { TABLES + ((at + 1) << 12) } | ALL;
                    ram.write_u64(TABLES + (at << 12), entry);
                }
                let place = TABLES + (level << 12);
                let entry = walkers::PhysMemory::read_u64(&*ram, place).unwrap();
                let registers =
                    X86_64Registers { cr3: TABLES, physical_bits: bits, ..registers(five) };
                for bit in [32, 39, 40, 51] {
                    ram.write_u64(place, entry | 1 << bit);
                    machine.install(&Regime::X86_64(registers), 1).unwrap();
                    let request = Request { address: 0, access: Access::UNPRIVILEGED_READ };
                    let mut answers = Vec::new();
                    let outcome = machine.translate(&[request], &mut answers);
                    if bit >= u32::from(bits) {
                        assert_eq!(answers, [refused(FaultKind::Reserved)], "{bit} of {bits}");
                    } else {
                        // There is nothing, or no target: not a reserved bit in any case.
                        assert!(outcome.is_err() || answers[0] != refused(FaultKind::Reserved));
                    }
                }
            }
        }
    }
}

#[test]
fn what_it_cannot_have_is_said_on_one_line() {
    let Some((ram, _)) = machine(BITS) else { return };
    let elsewhere = Arc::new(Ram::new(0x4000_0000, 64 << 20).unwrap());
    for (ram, bits, targets, what) in [
        (&elsewhere, BITS, (TARGETS, LAST), "RAM would have to be"),
        (&ram, 53, (TARGETS, LAST), "53 bits"),
        (&ram, 31, (TARGETS, LAST), "31 bits"),
        (&ram, BITS, (TARGETS + 8, LAST), "pages of the RAM"),
        (&ram, BITS, (TARGETS, LAST + (1 << 30)), "pages of the RAM"),
    ] {
        let absent = X86::open(ram, bits, targets).unwrap_err().to_string();
        assert!(absent.contains(what) && !absent.contains('\n'), "{absent}");
    }
}
