//! Random tables, against the model.

use proptest::prelude::RngCore;
use proptest::test_runner::{RngAlgorithm, TestRng};
use walkers::soft::X86_64;
use walkers::{Access, Mmu, Regime, Request, Walker, X86_64Registers};

use crate::tables::{LARGE, NO_EXECUTE, RAM, REGISTERS, Tables};

/// How many tables there are of each level, from the root on.
const TABLES: [u64; 4] = [1, 3, 5, 7];

/// The physical address of a table.
fn table(level: usize, number: u64) -> u64 {
    RAM + 4096 * (TABLES[..level].iter().sum::<u64>() + number % TABLES[level])
}

/// An entry of `level`: mostly good, mostly permissive, and in each other way now and then.
fn entry(level: usize, (huge, narrow): (bool, bool), rng: &mut TestRng) -> u64 {
    let mut one_in = |n: u32| rng.next_u32() % n == 0;
    let mut entry = 7;
    for bit in [0, 1, 2] {
        entry ^= u64::from(one_in(8)) << bit;
    }
    // What is ignored, and what the processor sets. Not bit 8 of links, which Intel's processors
    // ignore, and which AMD's reserve above the last two levels.
    for bit in [3, 4, 5, 6, 9, 11, 52, 58, 62] {
        entry |= u64::from(one_in(2)) << bit;
    }
    if one_in(8) {
        entry |= NO_EXECUTE;
    }
    if narrow && one_in(40) {
        entry |= 1 << 51;
    }
    let large = match level {
        0 => one_in(40),
        1 => huge && one_in(8),
        2 => one_in(3),
        _ => false,
    };
    let stray = one_in(20);
    if level == 3 && one_in(4) {
        entry |= LARGE; // PAT.
    }
    let random = rng.next_u64();
    // Targets between 128 GiB and 16 TiB: every machine has them, and they are not RAM.
    let target = (random >> 20 & 0xfff_ffff_f000) | 1 << 37;
    match level {
        3 => entry | target,
        1 | 2 if large => {
            let size = 1u64 << if level == 1 { 30 } else { 21 };
            let low = if stray { random & (size - 1) & !0xfff } else { random & 1 << 12 };
            entry | LARGE | target & !(size - 1) | low
        }
        _ => entry | table(level + 1, random) | if large { LARGE } else { 0 },
    }
}

/// An address that any entries map, or now and then anything.
fn address(rng: &mut TestRng) -> u64 {
    let random = rng.next_u64();
    if rng.next_u32() % 50 == 0 {
        return random;
    }
    // The sign of bit 47 in those above.
    ((random & 0xffff_ffff_ffff) ^ (1 << 47)).wrapping_sub(1 << 47)
}

#[test]
fn random_tables_are_walked_as_the_model_walks_them() {
    let Some(mut tables) = Tables::new() else { return };
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"real processors and their models");
    let says = tables.kvm.says(&Regime::X86_64(REGISTERS)).unwrap();
    // Whether it has leaves of 1 GiB, and lacks bit 51 of physical addresses.
    let machine = (says.largest_leaf >= 1 << 30, tables.physical_bits() <= 51);
    let mut reached = [0; 6];
    let mut refused = std::collections::BTreeMap::new();
    for round in 0..8 {
        let registers = X86_64Registers {
            wp: round & 1 != 0,
            smep: round & 2 != 0,
            nxe: round & 4 == 0 || round == 7,
            ..REGISTERS
        };
        for (level, count) in TABLES.into_iter().enumerate() {
            for number in 0..count {
                for index in 0..512 {
                    let entry = entry(level, machine, &mut rng);
                    // Without NXE, no walk would get far.
                    let keep =
                        if registers.nxe || rng.next_u32() % 8 == 0 { !0 } else { !NO_EXECUTE };
                    tables.write(table(level, number) + 8 * index, entry & keep);
                }
            }
        }
        tables.install(registers);
        let requests: Vec<Request> = (0..13_000)
            .map(|_| Request {
                address: address(&mut rng),
                access: Access::ALL[rng.next_u32() as usize % 6],
            })
            .collect();
        let answers = tables.ask_all(&requests).unwrap();
        // Of the bits that may be reserved, only bit 51 is tried.
        let physical_bits = if machine.1 { 51 } else { 52 };
        let model = X86_64::new(&*tables.ram, X86_64Registers { physical_bits, ..registers });
        for (request, answer) in requests.iter().zip(answers) {
            let said = match answer {
                Ok(found) => Ok(found.address),
                Err(refusal) => Err(refusal.kind.unwrap()),
            };
            let expected = match model.translate(request.address, request.access) {
                Ok(found) => Ok(found.address),
                Err(fault) => Err(fault.kind),
            };
            assert_eq!(said, expected, "{request:x?} with {registers:x?}");
            match said {
                Ok(_) => {
                    let which = Access::ALL.iter().position(|access| *access == request.access);
                    reached[which.unwrap()] += 1;
                }
                Err(kind) => *refused.entry(kind.to_string()).or_insert(0) += 1,
            }
        }
    }
    // There was enough of everything.
    assert!(reached.iter().all(|&count| count > 1000), "{reached:?}");
    assert!(refused.len() == 3 && refused.values().all(|&count| count > 1000), "{refused:?}");
}
