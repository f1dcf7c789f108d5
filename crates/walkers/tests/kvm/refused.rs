//! What it does not do, and says so.

use std::sync::Arc;

use walkers::kvm::Kvm;
use walkers::soft::MaliRegisters;
use walkers::{Access, Mmu, MmuError, Ram, Regime, Request, X86_64Registers, require};

use crate::tables::{ALL, RAM, REGISTERS, Tables, reached};

#[test]
fn an_access_that_ends_in_memory_is_an_error_and_harmless() {
    let Some(mut tables) = Tables::new() else { return };
    tables.put(0x1000, 3, 0x15_c000_0000 | ALL);
    let page = tables.table();
    tables.put(0, 3, page | ALL);
    // Nothing that a processor would survive: `hlt`.
    tables.write(page, 0xf4f4_f4f4_f4f4_f4f4);
    for access in Access::ALL {
        let requests = [Request { address: 0, access }, Request { address: 0x1000, access }];
        let error = tables.ask_all(&requests);
        assert!(matches!(error, Err(MmuError::Broken(_))), "{access:?}: {error:?}");
        assert_eq!(tables.read(page), 0xf4f4_f4f4_f4f4_f4f4);
        assert_eq!(tables.ask(0x1234, access), reached(0x15_c000_0234));
    }
}

#[test]
fn other_tables_and_narrower_addresses_are_not_supported() {
    let Some(mut tables) = Tables::new() else { return };
    let few = X86_64Registers { physical_bits: 32, ..REGISTERS };
    for regime in [Regime::Mali(MaliRegisters::default()), Regime::X86_64(few)] {
        assert!(tables.kvm.says(&regime).is_err());
        let error = tables.kvm.install(&regime, 0);
        assert!(matches!(error, Err(MmuError::Unsupported(_))), "{error:?}");
    }
}

#[test]
fn five_levels_are_walked_or_not_supported() {
    let Some(mut tables) = Tables::new() else { return };
    let regime = Regime::X86_64(X86_64Registers { la57: true, ..REGISTERS });
    if tables.kvm.says(&regime).is_err() {
        let error = tables.kvm.install(&regime, 0);
        assert!(matches!(error, Err(MmuError::Unsupported(_))), "{error:?}");
        return;
    }
    // The root of four levels is the next table of five.
    tables.put(0x1234_5678_9000, 3, 0x15_c000_0000 | ALL);
    let root = tables.table();
    tables.write(root + 8 * 0x1aa, RAM | ALL);
    tables.install(X86_64Registers { la57: true, cr3: root, ..REGISTERS });
    let address = 0xffaa_1234_5678_9abc;
    assert_eq!(tables.ask_each(address), vec![reached(0x15_c000_0abc); 6]);
}

#[test]
fn a_root_that_is_no_ram_is_not_supported() {
    let Some(mut tables) = Tables::new() else { return };
    let regime = Regime::X86_64(X86_64Registers { cr3: 0x15_c000_0000, ..REGISTERS });
    let error = tables.kvm.install(&regime, 0);
    assert!(matches!(error, Err(MmuError::Unsupported(_))), "{error:?}");
}

#[test]
fn nothing_is_answered_before_a_root_is_installed() {
    let ram = Arc::new(Ram::new(RAM, 1 << 20).unwrap());
    let Some(mut kvm) = require::machine("kvm", Kvm::open(&ram)) else { return };
    let request = Request { address: 0, access: Access::PRIVILEGED_READ };
    assert!(kvm.translate(&[request], &mut Vec::new()).is_err());
}

#[test]
fn ram_that_it_cannot_have_is_said_on_one_line() {
    let good = Arc::new(Ram::new(RAM, 1 << 20).unwrap());
    let Some(_) = require::machine("kvm", Kvm::open(&good)) else { return };
    // Half a page at the end, and beyond all physical addresses.
    for (first, bytes) in [(RAM, 4096 + 2048), (1 << 52, 4096)] {
        let ram = Arc::new(Ram::new(first, bytes).unwrap());
        let absent = Kvm::open(&ram).unwrap_err().to_string();
        assert!(absent.starts_with("room for RAM") && !absent.contains('\n'), "{absent}");
    }
}

#[test]
fn it_can_go_to_another_thread() {
    let Some(mut tables) = Tables::new() else { return };
    tables.put(0, 3, 0x15_c000_0000 | ALL);
    let answers = std::thread::spawn(move || tables.ask_each(0x42)).join().unwrap();
    assert_eq!(answers, vec![reached(0x15_c000_0042); 6]);
}
