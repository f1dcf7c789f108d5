//! Stage 2: start levels, concatenated tables, permissions, kinds of fault.

use walkers::soft::Stage2Registers;
use walkers::{Access, AccessKind, Answer, FaultKind, Mmu, PhysMemory, Privilege, Regime};

use crate::machine::{TABLES, TARGETS, expect, machine, reached, refused};
use crate::tree::{AF, Shape, Tree};

/// `MemAttr` of write-back memory, `S2AP`, and `XN[1:0]` in place.
pub(crate) const WRITE_BACK: u64 = 0b1111 << 2;
const READ: u64 = 1 << 6;
const WRITE: u64 = 1 << 7;
const XN: u32 = 53;

/// `SL0` (and `SL2`) for a start level.
pub(crate) fn start_level(shape: Shape, level: i8) -> u64 {
    let code = match (shape.page_bits, level) {
        (12, -1) => return 1 << 33,
        (12, 2) | (14 | 16, 3) => 0b00,
        (12, 1) | (14 | 16, 2) => 0b01,
        (12, 0) | (14 | 16, 1) => 0b10,
        (14, 0) => 0b11,
        _ => panic!("no walk starts at level {level}"),
    };
    code << 6
}

/// `VTCR_EL2` for a tree, with outputs of `ps`.
pub(crate) fn vtcr(shape: Shape, bits: u32, start: i8, ps: u64) -> u64 {
    u64::from(64 - bits)
        | start_level(shape, start)
        | 0b11 << 12
        | shape.tg0() << 14
        | ps << 16
        | u64::from(shape.wide) << 32
}

pub(crate) fn registers(tree: &Tree<'_>) -> Stage2Registers {
    let ps = if tree.shape.widest() == 52 { 0b110 } else { 0b101 };
    Stage2Registers {
        vttbr: tree.root,
        vtcr: vtcr(tree.shape, tree.bits, tree.start, ps),
        force_write_back: false,
    }
}

/// What `S2AP` and `XN[1:0]` permit, as the manual's tables have it; none where the machine is
/// known to be wrong: it does not fetch from where no data access is allowed.
fn permitted(bits: u64, access: Access) -> Option<bool> {
    let execute = matches!(
        (bits >> XN & 0b11, access.privilege),
        (0b00, _) | (0b01, Privilege::Unprivileged) | (0b11, Privilege::Privileged)
    );
    match access.kind {
        AccessKind::Read => Some(bits & READ != 0),
        AccessKind::Write => Some(bits & WRITE != 0),
        AccessKind::Execute => (bits & (READ | WRITE) != 0 || !execute).then_some(execute),
    }
}

/// Shapes, input bits and start levels: one table, and two to sixteen concatenated ones.
const CONFIGURATIONS: [(usize, u32, i8); 21] = [
    (0, 32, 1),
    (0, 32, 2),
    (0, 34, 2),
    (0, 39, 1),
    (0, 40, 1),
    (0, 42, 1),
    (0, 43, 1),
    (0, 44, 0),
    (0, 48, 0),
    (1, 36, 2),
    (1, 37, 2),
    (1, 40, 2),
    (1, 47, 1),
    (1, 48, 1),
    (2, 33, 3),
    (2, 42, 2),
    (2, 46, 2),
    (2, 48, 1),
    (2, 52, 1),
    (3, 52, 0),
    (4, 51, 1),
];

#[test]
fn every_start_level_leaf_and_permission_is_walked() {
    let Some((ram, mut machine)) = machine() else { return };
    for (shape, bits, start) in CONFIGURATIONS {
        let shape = Shape::ALL[shape];
        let mut tree = Tree::at(&ram, shape, bits, start, TABLES);
        let mut wanted: Vec<(u64, Access, Answer)> = Vec::new();
        let regime = Regime::Stage2(registers(&tree));
        let execute = machine.says(&regime).unwrap().execute;
        assert_eq!(execute, bits < 52, "exceptions have a place beyond the input");
        for level in shape.leaf_levels() {
            let span = shape.span_bits(level);
            if level < start || span + 8 > bits {
                continue;
            }
            let eighth = u64::from((4 - level).unsigned_abs()) << (bits - 3);
            for number in 0..16 {
                let last = number == 15 && level == 3;
                let at = if last { (1 << bits) - (1 << span) } else { eighth + (number << span) };
                let permissions = (number & 0b11) << 6 | (number >> 2) << XN;
                let top = (1u64 << shape.widest()) - ((number + 1) << span);
                let to =
                    if number % 2 == 0 || level != 3 { top } else { TARGETS + (number << span) };
                tree.map(at, level, to, AF | WRITE_BACK | permissions);
                let inside = 0x1234_5678_9abc & ((1 << span) - 1);
                for access in Access::ALL {
                    if access.kind == AccessKind::Execute && !execute {
                        continue;
                    }
                    let answer = match permitted(permissions, access) {
                        Some(true) => reached(to + inside),
                        Some(false) => refused(FaultKind::Permission, level),
                        None => continue,
                    };
                    wanted.push((at + inside, access, answer));
                }
            }
        }
        for access in Access::ALL {
            if access.kind == AccessKind::Execute && !execute {
                continue;
            }
            if bits < 52 {
                wanted.push((1 << bits, access, refused(FaultKind::Translation, 0)));
            }
        }
        machine.install(&regime, 3).unwrap();
        expect(&mut machine, &wanted);
    }
}

#[test]
fn every_concatenated_table_is_walked() {
    let Some((ram, mut machine)) = machine() else { return };
    for (shape, bits, start) in CONFIGURATIONS {
        let shape = Shape::ALL[shape];
        let table_bits = shape.span_bits(start) + shape.stride();
        if bits <= table_bits {
            continue;
        }
        let mut tree = Tree::at(&ram, shape, bits, start, TABLES);
        let mut wanted = Vec::new();
        for table in 0..1u64 << (bits - table_bits) {
            let at = table << table_bits | 5 << shape.page_bits;
            tree.map(at, 3, TARGETS + (table << shape.page_bits), AF | READ);
            let answer = reached(TARGETS + (table << shape.page_bits) + 8);
            wanted.push((at + 8, Access::UNPRIVILEGED_READ, answer));
        }
        assert!(wanted.len() > 1);
        machine.install(&Regime::Stage2(registers(&tree)), 3).unwrap();
        expect(&mut machine, &wanted);
    }
}

#[test]
fn stage2_faults_have_their_kind() {
    let Some((ram, mut machine)) = machine() else { return };
    for (shape, bits) in [(Shape::ALL[0], 40), (Shape::ALL[1], 40), (Shape::ALL[2], 40)] {
        let start = if shape.page_bits == 12 { 1 } else { 2 };
        let mut tree = Tree::at(&ram, shape, bits, start, TABLES);
        let page = 1u64 << shape.page_bits;
        tree.map(0, 3, 1 << 40, AF | READ | WRITE);
        let unaccessed = tree.map(page, 3, TARGETS, READ | WRITE);
        tree.map(2 * page, 3, TARGETS, AF | READ | 1 << 51);
        let mut registers = registers(&tree);
        // 40 bits out.
        registers.vtcr = registers.vtcr & !(0b111 << 16) | 0b010 << 16;
        machine.install(&Regime::Stage2(registers), 3).unwrap();
        for access in Access::ALL {
            expect(
                &mut machine,
                &[
                    (0, access, refused(FaultKind::AddressSize, 3)),
                    (page, access, refused(FaultKind::AccessFlag, 3)),
                    (3 * page, access, refused(FaultKind::Translation, 3)),
                ],
            );
        }
        expect(
            &mut machine,
            &[(2 * page, Access::PRIVILEGED_WRITE, refused(FaultKind::Permission, 3))],
        );
        // HA and HD.
        registers.vtcr |= 0b11 << 21;
        machine.install(&Regime::Stage2(registers), 3).unwrap();
        expect(
            &mut machine,
            &[
                (page, Access::PRIVILEGED_WRITE, reached(TARGETS)),
                (2 * page, Access::PRIVILEGED_WRITE, reached(TARGETS)),
            ],
        );
        assert!(ram.read_u64(unaccessed).is_some_and(|leaf| leaf & AF != 0));
    }
}

#[test]
fn what_the_machine_is_known_to_lack_is_refused() {
    let Some((ram, mut machine)) = machine() else { return };
    for (shape, bits, start, lack) in [
        (Shape::ALL[4], 52, 0, "level 0 with 16 KiB"),
        (Shape::ALL[3], 51, -1, "level -1 with less than 52 bits"),
    ] {
        let tree = Tree::at(&ram, shape, bits, start, TABLES);
        let why = machine.install(&Regime::Stage2(registers(&tree)), 3).unwrap_err();
        assert!(why.to_string().contains(lack), "{why}");
    }
}
