//! Stage 1: every granule, level, half, permission and kind of fault.

use walkers::soft::Stage1Registers;
use walkers::{
    Access, AccessKind, Answer, DeviceType, FaultKind, MemoryType, Mmu, PhysMemory, Privilege,
    Regime, Shareability,
};

use crate::machine::{TARGETS, expect, machine, reached, refused};
use crate::tree::{AF, CONTIGUOUS, DBM, PXN, READ_ONLY, Shape, Tree, USER, UXN};

pub(crate) const MAIR: u64 = 0xff_44_04;
/// `AttrIndx` of write-back memory in it.
pub(crate) const WRITE_BACK: u64 = 2 << 2;

/// A half of the address space.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Half {
    Lower,
    Upper,
}

/// `TCR_EL1` for trees of `shape` and `bits` in both halves, and the widest outputs.
pub(crate) fn tcr(shape: Shape, bits: u32) -> u64 {
    let size = u64::from(64 - bits);
    let ips = if shape.widest() == 52 { 0b110 } else { 0b101 };
    size | size << 16
        | shape.tg0() << 14
        | shape.tg1() << 30
        | 0b11 << 12
        | 0b11 << 28
        | ips << 32
        | u64::from(shape.wide) << 59
}

pub(crate) fn registers(tree: &Tree<'_>, half: Half) -> Stage1Registers {
    let root = Some(tree.root);
    let (ttbr0, ttbr1) = match half {
        Half::Lower => (root, None),
        Half::Upper => (None, root),
    };
    Stage1Registers { ttbr0, ttbr1, tcr: tcr(tree.shape, tree.bits), mair: MAIR }
}

/// What `AP`, `UXN` and `PXN` permit, as the manual's table has it.
fn permitted(bits: u64, access: Access) -> bool {
    let (user, writable) = (bits & USER != 0, bits & READ_ONLY == 0);
    match (access.privilege, access.kind) {
        (Privilege::Privileged, AccessKind::Read) => true,
        (Privilege::Privileged, AccessKind::Write) => writable,
        (Privilege::Unprivileged, AccessKind::Read) => user,
        (Privilege::Unprivileged, AccessKind::Write) => user && writable,
        (Privilege::Unprivileged, AccessKind::Execute) => bits & UXN == 0,
        (Privilege::Privileged, AccessKind::Execute) => bits & PXN == 0 && !(user && writable),
    }
}

/// An address in the half whose other bits are `low`.
fn address(half: Half, bits: u32, low: u64) -> u64 {
    match half {
        Half::Lower => low,
        Half::Upper => low | u64::MAX << bits,
    }
}

#[test]
fn every_level_and_permission_is_walked_in_both_halves() {
    let Some((ram, mut machine)) = machine() else { return };
    for shape in Shape::ALL {
        for bits in [25, 31, 39, 42, 48, 52] {
            if bits > shape.widest() || bits <= shape.page_bits + 1 {
                continue;
            }
            for half in [Half::Lower, Half::Upper] {
                every_leaf(&ram, &mut machine, shape, bits, half);
            }
        }
    }
}

fn every_leaf(ram: &walkers::Ram, machine: &mut dyn Mmu, shape: Shape, bits: u32, half: Half) {
    let mut tree = Tree::new(ram, shape, bits);
    let mut wanted: Vec<(u64, Access, Answer)> = Vec::new();
    let places = 16u64;
    for level in shape.leaf_levels() {
        let span = shape.span_bits(level);
        // Each level has an eighth of the input for its leaves.
        if level < tree.start || span + 7 > bits {
            continue;
        }
        let eighth = u64::from((4 - level).unsigned_abs()) << (bits - 3);
        for number in 0..places {
            let last = number == places - 1 && level == 3;
            let low = if last { (1 << bits) - (1 << span) } else { eighth + (number << span) };
            let flags = [USER, READ_ONLY, PXN, UXN];
            let permissions: u64 =
                (0..4).filter(|bit| number >> bit & 1 == 1).map(|bit: usize| flags[bit]).sum();
            // The targets: at the end of what addresses reach, and in the RAM.
            let top = (1u64 << shape.widest()) - ((number + 1) << span);
            let to = if number % 2 == 0 || level != 3 { top } else { TARGETS + (number << span) };
            tree.map(low, level, to, AF | permissions | WRITE_BACK);
            let inside = 0x1234_5678_9abc & ((1 << span) - 1);
            for access in Access::ALL {
                for inside in [0, inside, (1 << span) - 4] {
                    let answer = if permitted(permissions, access) {
                        reached(to + inside)
                    } else {
                        refused(FaultKind::Permission, level)
                    };
                    wanted.push((address(half, bits, low + inside), access, answer));
                }
            }
        }
    }
    // Beside the range, in the other half, and between the halves.
    for outside in [
        address(half, bits, 1 << bits) & !(1 << 63),
        !address(half, bits, 1 << (bits - 1)),
        1 << 54,
    ] {
        for access in Access::ALL {
            wanted.push((outside, access, refused(FaultKind::Translation, 0)));
        }
    }
    machine.install(&Regime::Stage1(registers(&tree, half)), 3).expect("it walks such tables");
    expect(machine, &wanted);
}

#[test]
fn holes_are_faults_of_their_level() {
    let Some((ram, mut machine)) = machine() else { return };
    for shape in Shape::ALL {
        let bits = shape.widest();
        let mut tree = Tree::new(&ram, shape, bits);
        let mut wanted = Vec::new();
        // The way to address zero ends one level further down for each hole.
        tree.map(0, 3, TARGETS, AF);
        for level in tree.start..=3 {
            // Past the entry on the way, at this level.
            let hole = 1u64 << shape.span_bits(level);
            if hole >> bits == 0 {
                for access in Access::ALL {
                    wanted.push((hole, access, refused(FaultKind::Translation, level)));
                }
            }
        }
        machine.install(&Regime::Stage1(registers(&tree, Half::Lower)), 3).unwrap();
        expect(&mut machine, &wanted);
    }
}

#[test]
fn reserved_leaves_are_translation_faults() {
    let Some((ram, mut machine)) = machine() else { return };
    for shape in Shape::ALL {
        let bits = shape.widest();
        let mut tree = Tree::new(&ram, shape, bits);
        let mut wanted = Vec::new();
        for level in tree.start..=3 {
            let leaf = shape.leaf_levels().contains(&level) && level != 3;
            if leaf || shape.span_bits(level) >= bits {
                continue;
            }
            // A block where none may stand: at the root side, and in place of a page.
            let at = 1u64 << shape.span_bits(level);
            let entry = tree.entry(at, level, 0);
            ram.write_u64(entry, AF | 0b01);
            for access in Access::ALL {
                wanted.push((at, access, refused(FaultKind::Translation, level)));
            }
        }
        machine.install(&Regime::Stage1(registers(&tree, Half::Lower)), 3).unwrap();
        expect(&mut machine, &wanted);
    }
}

#[test]
fn addresses_beyond_the_output_size_are_faults() {
    let Some((ram, mut machine)) = machine() else { return };
    for shape in Shape::ALL {
        let bits = shape.widest();
        for (ips, output_bits) in [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48)] {
            let mut tree = Tree::new(&ram, shape, bits);
            let mut wanted = Vec::new();
            let page = 1u64 << shape.page_bits;
            let below = (1u64 << output_bits) - page;
            tree.map(0, 3, below, AF);
            wanted.push((8, Access::PRIVILEGED_READ, reached(below + 8)));
            wanted.push((8, Access::PRIVILEGED_EXECUTE, reached(below + 8)));
            // Bits that stand apart from the others are ignored: see what is not enforced.
            let apart = if shape.page_bits == 16 { 48 } else { 50 };
            if output_bits < shape.widest().min(apart) {
                tree.map(page, 3, 1 << output_bits, AF);
                let block = 1 << shape.span_bits(2);
                let entry = tree.entry(block, 2, 0);
                // A table beyond.
                ram.write_u64(entry, shape.descriptor(1 << output_bits) | 0b11);
                for access in Access::ALL {
                    wanted.push((page, access, refused(FaultKind::AddressSize, 3)));
                    wanted.push((block, access, refused(FaultKind::AddressSize, 2)));
                }
            }
            let mut registers = registers(&tree, Half::Lower);
            registers.tcr = registers.tcr & !(0b111 << 32) | ips << 32;
            machine.install(&Regime::Stage1(registers), 3).unwrap();
            expect(&mut machine, &wanted);
        }
    }
}

#[test]
fn tables_restrict_what_is_below_them_unless_that_is_disabled() {
    let Some((ram, mut machine)) = machine() else { return };
    let shape = Shape::ALL[0];
    let names = [(59, PXN), (60, UXN), (61, 0), (62, READ_ONLY)];
    for hierarchy_disabled in [false, true] {
        let mut tree = Tree::new(&ram, shape, 48);
        let mut wanted = Vec::new();
        for (number, (bit, means)) in (0..).zip(names) {
            let at = number << shape.span_bits(0);
            tree.entry(at, 1, 1 << bit);
            for (page, leaf) in [(0, USER), (1, USER | READ_ONLY), (2, 0)] {
                let at = at + (page << 12);
                tree.map(at, 3, TARGETS, AF | leaf);
                let mut effective = leaf;
                if !hierarchy_disabled {
                    effective |= means;
                    if bit == 61 {
                        effective &= !USER;
                    }
                }
                for access in Access::ALL {
                    let answer = if permitted(effective, access) {
                        reached(TARGETS)
                    } else {
                        refused(FaultKind::Permission, 3)
                    };
                    wanted.push((at, access, answer));
                }
            }
        }
        let mut registers = registers(&tree, Half::Lower);
        registers.tcr |= u64::from(hierarchy_disabled) << 41;
        machine.install(&Regime::Stage1(registers), 3).unwrap();
        expect(&mut machine, &wanted);
    }
}

#[test]
fn a_clear_access_flag_is_a_fault_unless_hardware_sets_it() {
    let Some((ram, mut machine)) = machine() else { return };
    for shape in Shape::ALL {
        let mut tree = Tree::new(&ram, shape, 39);
        let page = tree.map(0, 3, TARGETS, USER);
        let block_at = 1u64 << 38;
        let block = tree.map(block_at, 2, 1 << 40, USER);
        let mut registers = registers(&tree, Half::Lower);
        machine.install(&Regime::Stage1(registers), 3).unwrap();
        let faults = |at, level| {
            Access::ALL.map(|access| (at, access, refused(FaultKind::AccessFlag, level)))
        };
        expect(&mut machine, &faults(0, 3));
        expect(&mut machine, &faults(block_at, 2));

        registers.tcr |= 1 << 39;
        machine.install(&Regime::Stage1(registers), 3).unwrap();
        expect(
            &mut machine,
            &[
                (0, Access::UNPRIVILEGED_WRITE, reached(TARGETS)),
                (block_at, Access::UNPRIVILEGED_EXECUTE, reached(1 << 40)),
            ],
        );
        assert!(ram.read_u64(page).is_some_and(|page| page & AF != 0));
        assert!(ram.read_u64(block).is_some_and(|block| block & AF != 0));
    }
}

#[test]
fn a_clean_leaf_is_writable_where_hardware_keeps_the_dirty_state() {
    let Some((ram, mut machine)) = machine() else { return };
    for shape in Shape::ALL {
        let mut tree = Tree::new(&ram, shape, 39);
        tree.map(0, 3, TARGETS, AF | USER | READ_ONLY | DBM);
        let mut registers = registers(&tree, Half::Lower);
        let write = |answer| [(0, Access::UNPRIVILEGED_WRITE, answer)];
        for (bits, answer) in [
            (0, refused(FaultKind::Permission, 3)),
            // HD without HA is nothing.
            (1 << 40, refused(FaultKind::Permission, 3)),
            (0b11 << 39, reached(TARGETS)),
        ] {
            registers.tcr = registers.tcr & !(0b11 << 39) | bits;
            machine.install(&Regime::Stage1(registers), 3).unwrap();
            expect(&mut machine, &write(answer));
        }
    }
}

#[test]
fn memory_types_and_shareability_are_those_of_the_leaf() {
    let Some((ram, mut machine)) = machine() else { return };
    let shape = Shape::ALL[0];
    let mut tree = Tree::new(&ram, shape, 39);
    let mut wanted = Vec::new();
    let types =
        [MemoryType::Device(DeviceType::NGnRE), MemoryType::NonCacheable, MemoryType::WriteBack];
    let shares =
        [Shareability::Non, Shareability::Reserved, Shareability::Outer, Shareability::Inner];
    for (index, memory) in (0..).zip(types) {
        for (sh, shareability) in (0..).zip(shares) {
            if sh == 1 {
                continue;
            }
            let at = (index * 4 + sh) << 12;
            tree.map(at, 3, TARGETS + at, AF | index << 2 | sh << 8);
            let outer = memory != MemoryType::WriteBack;
            let shareability = if outer { Shareability::Outer } else { shareability };
            wanted.push((at, Some((memory, shareability))));
        }
    }
    wanted.push((1 << 30, None));
    machine.install(&Regime::Stage1(registers(&tree, Half::Lower)), 3).unwrap();
    let addresses: Vec<_> = wanted.iter().map(|&(at, _)| at).collect();
    let types = machine.memory_types(&addresses).unwrap();
    assert_eq!(types, wanted.iter().map(|&(_, wanted)| wanted).collect::<Vec<_>>());
}

#[test]
fn the_contiguous_hint_is_ignored() {
    let Some((ram, mut machine)) = machine() else { return };
    let mut tree = Tree::new(&ram, Shape::ALL[0], 39);
    tree.map(0x1000, 3, TARGETS, AF | CONTIGUOUS);
    machine.install(&Regime::Stage1(registers(&tree, Half::Lower)), 3).unwrap();
    expect(
        &mut machine,
        &[
            (0x1008, Access::PRIVILEGED_READ, reached(TARGETS + 8)),
            (0x2008, Access::PRIVILEGED_READ, refused(FaultKind::Translation, 3)),
        ],
    );
}

#[test]
fn what_is_fetched_from_is_as_it_was_afterwards() {
    let Some((ram, mut machine)) = machine() else { return };
    let mut tree = Tree::new(&ram, Shape::ALL[0], 39);
    tree.map(0, 3, TARGETS, AF);
    ram.write_u64(TARGETS + 8, 0x1122_3344_5566_7788);
    machine.install(&Regime::Stage1(registers(&tree, Half::Lower)), 3).unwrap();
    expect(
        &mut machine,
        &[
            (0x8, Access::PRIVILEGED_EXECUTE, reached(TARGETS + 8)),
            (0xc, Access::UNPRIVILEGED_EXECUTE, reached(TARGETS + 12)),
            (0xe, Access::PRIVILEGED_EXECUTE, reached(TARGETS + 14)),
        ],
    );
    assert_eq!(ram.read_u64(TARGETS + 8), Some(0x1122_3344_5566_7788));
    // Where the machine has its own code, nothing is fetched.
    tree.map(0x1000, 3, walkers::qemu::Aarch64::RAM, AF);
    let request = walkers::Request { address: 0x1000, access: Access::PRIVILEGED_EXECUTE };
    let error = machine.translate(&[request], &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("fetches from 0x40000000"), "{error}");
}
