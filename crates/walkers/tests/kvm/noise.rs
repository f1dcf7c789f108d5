//! Random tables, against the model.

use proptest::prelude::RngCore;
use proptest::test_runner::{RngAlgorithm, TestRng};
use walkers::soft::X86_64;
use walkers::{Access, Mmu, Regime, Request, Walker, X86_64Registers};

use crate::tables::{NO_EXECUTE, RAM, REGISTERS, Tables};
use crate::x86::noise::Machine;

/// How many tables there are of each level, from the root on.
const TABLES: [u64; 4] = [1, 3, 5, 7];

/// The physical address of a table.
fn table(level: i8, number: u64) -> u64 {
    let level = usize::try_from(level).expect("four levels begin at 0");
    RAM + 4096 * (TABLES[..level].iter().sum::<u64>() + number % TABLES[level])
}

/// Between 128 GiB and 16 TiB: every machine has that, and it is not RAM.
fn target(random: u64) -> u64 {
    random & 0xfff_ffff_f000 | 1 << 37
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
    let huge = says.largest_leaf >= 1 << 30;
    let machine = Machine { huge, narrow: tables.physical_bits() <= 51, table, target };
    let mut reached = [0; 6];
    let mut refused = std::collections::BTreeMap::new();
    for round in 0..8 {
        let registers = X86_64Registers {
            wp: round & 1 != 0,
            smep: round & 2 != 0,
            nxe: round & 4 == 0 || round == 7,
            ..REGISTERS
        };
        for (level, count) in (0..).zip(TABLES) {
            for number in 0..count {
                for index in 0..512 {
                    let entry = machine.entry(level, &mut rng);
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
        let physical_bits = if machine.narrow { 51 } else { 52 };
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
