//! What only shows from the inside: a guest that hangs, and the other way to forget.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Forgets, Kvm};
use crate::{Access, Mmu, MmuError, PhysMemory, Privilege, Ram, Request, require};

fn open() -> Option<Kvm> {
    let ram = Arc::new(Ram::new(0x1000_0000, 1 << 20).unwrap());
    require::machine("kvm", Kvm::open(&ram))
}

#[test]
fn a_guest_that_hangs_is_an_error_in_time_and_can_be_used_again() {
    let Some(mut kvm) = open() else { return };
    let regime = kvm.trial_regime();
    kvm.install(&regime, 0).unwrap();
    for privilege in [Privilege::Privileged, Privilege::Unprivileged] {
        let page = kvm.page(privilege).unwrap();
        // The loop that reads begins with `jmp` to itself.
        let stub = Arc::clone(kvm.image.memory());
        let at = stub.first() + super::stub::Loop::Read.begin();
        let before = stub.read_u64(at).unwrap();
        stub.write_u64(at, before & !0xffff | 0xfeeb);
        kvm.limit = Duration::from_millis(50);
        let begun = Instant::now();
        let access = Access { privilege, ..Access::PRIVILEGED_READ };
        let error = kvm.translate(&[Request { address: 0, access }], &mut Vec::new());
        assert!(matches!(error, Err(MmuError::Broken(_))), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        stub.write_u64(at, before);
        kvm.limit = Duration::from_secs(10);
        kvm.install(&regime, 0).unwrap();
        assert_eq!(kvm.page(privilege), Ok(page));
    }
}

#[test]
fn a_machine_whose_memory_is_plugged_in_again_forgets() {
    let Some(mut kvm) = open() else { return };
    kvm.forgets = Forgets::WithItsMemory;
    let regime = kvm.trial_regime();
    let (_, forgets) = kvm.change_entries(&regime).unwrap();
    assert!(forgets);
}

#[test]
fn what_remembers_keeps_the_entries_of_the_root_that_were_present() {
    let Some(mut kvm) = open() else { return };
    let regime = kvm.trial_regime();
    kvm.install(&regime, 0).unwrap();
    kvm.remembers = true;
    let page = kvm.page(Privilege::Privileged).unwrap();
    let root = kvm.image.trial_table(0) + 8 * 36;
    let entry = kvm.image.memory().read_u64(root).unwrap();
    kvm.image.memory().write_u64(root, 0);
    assert_eq!(kvm.page(Privilege::Privileged), Ok(page));
    kvm.forget_all().unwrap();
    assert!(kvm.page(Privilege::Privileged).is_err());
    // What was not present is looked for again.
    kvm.image.memory().write_u64(root, entry);
    assert_eq!(kvm.page(Privilege::Privileged), Ok(page));
}
