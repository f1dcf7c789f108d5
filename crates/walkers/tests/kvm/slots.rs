//! The guest's own entry of the root is in nobody's way.

use walkers::{Access, FaultKind, Forget, Mmu, Request};

use crate::tables::{ALL, Tables, reached, refused};

/// The first address that entry `slot` of the root maps.
fn first_of(slot: u64) -> u64 {
    let upper = if slot < 256 { 0 } else { 0xffff << 48 };
    upper | slot << 39
}

#[test]
fn every_entry_of_the_root_can_be_asked_for_in_one_batch() {
    let Some(mut tables) = Tables::new() else { return };
    // One table of each level serves all slots.
    let [one, two, three] = [(); 3].map(|()| tables.table());
    tables.write(one, two | ALL);
    tables.write(two, three | ALL);
    tables.write(three, 0x15_c000_0000 | ALL);
    for slot in (0..512).filter(|slot| slot % 3 != 0) {
        tables.put(first_of(slot), 0, one | ALL);
    }
    for access in [Access::PRIVILEGED_READ, Access::UNPRIVILEGED_WRITE] {
        let all: Vec<Request> = (0..512)
            .chain(0..512)
            .map(|slot| Request { address: first_of(slot) + slot, access })
            .collect();
        let answers = tables.ask_all(&all).unwrap();
        for (slot, answer) in (0..512).chain(0..512).zip(answers) {
            let expected = if slot % 3 == 0 {
                refused(FaultKind::Translation)
            } else {
                reached(0x15_c000_0000 + slot)
            };
            assert_eq!(answer, expected, "slot {slot}, {access:?}");
        }
    }
}

#[test]
fn more_requests_than_the_mailbox_holds_are_all_answered() {
    let Some(mut tables) = Tables::new() else { return };
    tables.put(0, 3, 0x15_c000_0000 | ALL);
    for count in [0, 1, 4095, 4096, 4097, 9000] {
        let requests: Vec<Request> = (0..count)
            .map(|number| Request { address: number & 0x1fff, access: Access::PRIVILEGED_READ })
            .collect();
        let answers = tables.ask_all(&requests).unwrap();
        for (request, answer) in requests.into_iter().zip(answers) {
            let expected = match request.address {
                offset @ ..0x1000 => reached(0x15_c000_0000 + offset),
                _ => refused(FaultKind::Translation),
            };
            assert_eq!(answer, expected);
        }
    }
}

#[test]
fn users_reach_both_ends_of_the_upper_half_and_all_tables_there() {
    let Some(mut tables) = Tables::new() else { return };
    // Some hosts keep the first entry of the upper half to themselves.
    for address in [0xffff_8000_0000_0000, 0xffff_807f_ffff_f000, 0xffff_ffff_ffff_f000] {
        tables.put(address, 3, 0x15_c000_0000 | ALL);
        assert_eq!(tables.ask_each(address + 0x18), vec![reached(0x15_c000_0018); 6]);
        tables.put(address, 3, 0);
        tables.kvm.forget(Forget::Everything).unwrap();
        assert_eq!(tables.ask_each(address), vec![refused(FaultKind::Translation); 6]);
        tables.put(address, 3, 0x15_d000_0000 | 1);
        assert_eq!(tables.ask(address, Access::PRIVILEGED_READ), reached(0x15_d000_0000));
        let access = Access::UNPRIVILEGED_READ;
        assert_eq!(tables.ask(address, access), refused(FaultKind::Permission));
    }
}

#[test]
fn nothing_is_remembered_of_where_the_guest_was_before() {
    let Some(mut tables) = Tables::new() else { return };
    // When it starts, it is in the slot of the lowest addresses, its mailbox among them.
    for page in 0..0x40 {
        let target = 0x15_c000_0000 + (page << 12);
        tables.put(page << 12, 3, target | ALL);
        assert_eq!(tables.ask(page << 12, Access::UNPRIVILEGED_READ), reached(target), "{page}");
    }
}
