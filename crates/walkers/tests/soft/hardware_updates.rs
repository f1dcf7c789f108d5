//! `HA` and `HD`: the access flag and the dirty state, kept by hardware.

use walkers::{Access, DirtyState, Fault, FaultKind, Translation, Walker};

use crate::tables::{IPS_48, access_flag_fault, lower, permission_fault, stage2};

const WRITE: Access = Access::PRIVILEGED_WRITE;
const DBM: u64 = 1 << 51;

/// `TCR_EL1.HA` and `HD`.
const HA: u64 = 1 << 39;
const HD: u64 = 1 << 40;
/// `VTCR_EL2.HA` and `HD`.
const S2_HA: u64 = 1 << 21;
const S2_HD: u64 = 1 << 22;

/// A walk of stage 1 to the block of 1 GiB `leaf`, below a level 0 table with the bits of `table`.
fn stage1(tcr: u64, table: u64, leaf: u64, access: Access) -> Result<Translation, Fault> {
    let entries = [(0x1000, 0x2003 | table), (0x2000, 0x301 | leaf)];
    lower(tcr | IPS_48 | 16, 0x1000, &entries).translate(0, access)
}

/// A walk of stage 2 to the block of 1 GiB `leaf`.
fn s2(vtcr: u64, leaf: u64, access: Access) -> Result<Translation, Fault> {
    let vtcr = vtcr | 0b101 << 16 | 0b01 << 6 | 25;
    stage2(vtcr, 0x1000, &[(0x1000, 0x33d | leaf)]).translate(0, access)
}

/// What these tests look at: whether writes are permitted, and the dirty state.
fn writes(found: Result<Translation, Fault>) -> Result<(bool, Option<DirtyState>), Fault> {
    found.map(|found| (found.permissions.privileged.write, found.dirty_state))
}

const AF: u64 = 1 << 10;
/// `AP[2]`.
const READ_ONLY: u64 = 1 << 7;
/// `S2AP`.
const S2_READ: u64 = 1 << 6;
const S2_WRITE: u64 = 1 << 7;

#[test]
fn with_ha_a_clear_access_flag_is_no_fault() {
    for hd in [0, HD] {
        assert!(stage1(HA | hd, 0, 0, WRITE).is_ok());
        assert_eq!(stage1(hd, 0, 0, WRITE), access_flag_fault(1), "HD alone does nothing");
    }
    for hd in [0, S2_HD] {
        assert!(s2(S2_HA | hd, S2_READ | S2_WRITE, WRITE).is_ok());
        assert_eq!(s2(hd, S2_READ | S2_WRITE, WRITE), access_flag_fault(1));
    }
    // The permissions are looked at all the same.
    assert_eq!(stage1(HA, 0, READ_ONLY, WRITE), permission_fault(1));
}

#[test]
fn with_hd_a_read_only_leaf_with_dbm_is_writable_clean() {
    let clean = Ok((true, Some(DirtyState::WritableClean)));
    let dirty = Ok((true, Some(DirtyState::WritableDirty)));
    assert_eq!(writes(stage1(HA | HD, 0, AF | DBM | READ_ONLY, WRITE)), clean);
    assert_eq!(writes(stage1(HA | HD, 0, AF | DBM, WRITE)), dirty);
    assert_eq!(writes(s2(S2_HA | S2_HD, AF | DBM | S2_READ, WRITE)), clean);
    assert_eq!(writes(s2(S2_HA | S2_HD, AF | DBM | S2_READ | S2_WRITE, WRITE)), dirty);
}

#[test]
fn dbm_says_nothing_unless_ha_and_hd_are_set() {
    for tcr in [0, HA, HD] {
        let refused = stage1(tcr, 0, AF | DBM | READ_ONLY, WRITE);
        assert_eq!(refused, Err(Fault::new(FaultKind::Permission, 1)));
        assert_eq!(writes(stage1(tcr, 0, AF | DBM, WRITE)), Ok((true, None)));
    }
    for vtcr in [0, S2_HA, S2_HD] {
        assert_eq!(s2(vtcr, AF | DBM | S2_READ, WRITE), permission_fault(1));
        assert_eq!(writes(s2(vtcr, AF | DBM | S2_READ | S2_WRITE, WRITE)), Ok((true, None)));
    }
}

#[test]
fn without_dbm_hd_changes_nothing() {
    assert_eq!(stage1(HA | HD, 0, AF | READ_ONLY, WRITE), permission_fault(1));
    assert_eq!(writes(stage1(HA | HD, 0, AF, WRITE)), Ok((true, None)));
    assert_eq!(s2(S2_HA | S2_HD, AF | S2_READ, WRITE), permission_fault(1));
}

#[test]
fn a_table_may_forbid_what_dbm_permits() {
    // APTable[1].
    let leaf = AF | DBM | READ_ONLY;
    assert_eq!(stage1(HA | HD, 1 << 62, leaf, WRITE), permission_fault(1));
    let found = stage1(HA | HD, 1 << 62, leaf, Access::PRIVILEGED_READ);
    assert_eq!(writes(found), Ok((false, Some(DirtyState::WritableClean))));
}

/// Rule `RVWLLR` looks at the permission with `AP[2]` taken as clear.
#[test]
fn writable_clean_at_el0_is_not_executable_at_el1() {
    let leaf = AF | DBM | READ_ONLY | 1 << 6;
    let found = stage1(HA | HD, 0, leaf, Access::UNPRIVILEGED_WRITE).unwrap();
    assert!(!found.permissions.privileged.execute);
    let found = stage1(HA, 0, leaf, Access::UNPRIVILEGED_READ).unwrap();
    assert!(found.permissions.privileged.execute);
}

#[test]
fn writable_clean_at_stage_2_is_not_readable_for_that() {
    let found = s2(S2_HA | S2_HD, AF | DBM, WRITE).unwrap();
    assert!(!found.permissions.privileged.read);
}
