//! Random tables, walked by the machine and by the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::RngCore;
use proptest::test_runner::{RngAlgorithm, TestRng};
use walkers::{Access, AccessKind, Answer, Mmu, Ram, Refusal, Regime, Request, X86_64Registers};

use crate::machine::{LAST, NO_EXECUTE, TABLES, TARGETS, canonical, machine, registers};
use crate::opinion::{compare, of_model};
use crate::x86::noise::Machine;

/// How many tables there are of each level, from that of five levels' root on.
const COUNTS: [u64; 5] = [1, 2, 3, 5, 7];

/// The physical address of a table.
fn table(level: i8, number: u64) -> u64 {
    let level = usize::try_from(level + 1).expect("five levels begin at -1");
    TABLES + 4096 * (COUNTS[..level].iter().sum::<u64>() + number % COUNTS[level])
}

fn target(random: u64) -> u64 {
    TARGETS + random % (LAST - TARGETS)
}

/// An address that any entries map, or now and then anything.
fn address(five: bool, rng: &mut TestRng) -> u64 {
    let mut random = rng.next_u64();
    if rng.next_u32() % 50 == 0 {
        return random;
    }
    if rng.next_u32() % 2 == 0 {
        // Where a gibibyte has the targets.
        random = random & !((1 << 30) - 1) | target(random);
    }
    canonical(random, five)
}

/// The requests with what the model says. Only what leads to the targets is asked, or nowhere: what
/// is refused may not be readable elsewhere, either.
fn asked(ram: &Arc<Ram>, regime: &Regime, requests: Vec<Request>) -> Vec<(Request, Answer)> {
    let reads = requests.iter().map(|request| {
        let access = Access { kind: AccessKind::Read, ..request.access };
        Request { access, ..*request }
    });
    let reads = of_model(ram, regime, &reads.collect::<Vec<_>>());
    let answers = of_model(ram, regime, &requests);
    let leads_there =
        |answer: &Answer| answer.is_ok_and(|to| (TARGETS..=LAST).contains(&to.address));
    let all = requests.into_iter().zip(answers).zip(reads);
    let all = all.filter(|(_, read)| read.is_err() || leads_there(read));
    all.map(|(asked, _)| asked).collect()
}

#[test]
fn random_tables_are_walked_as_the_model_walks_them() {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"four levels and five, before TCG");
    let (mut compared, mut reached, mut refused) = (0, [0; 6], BTreeMap::new());
    for bits in [46, 52] {
        let Some((ram, mut machine)) = machine(bits) else { return };
        let noise = Machine { huge: true, narrow: bits < 52, table, target };
        for round in 0..16 {
            let five = round & 8 != 0;
            let registers = X86_64Registers {
                cr3: table(if five { -1 } else { 0 }, 0),
                wp: round & 1 != 0,
                smep: round & 2 != 0,
                nxe: round & 4 == 0,
                physical_bits: bits,
                ..registers(five)
            };
            for level in -1..=3 {
                for number in 0..COUNTS[usize::try_from(level + 1).unwrap()] {
                    for index in 0..512 {
                        let entry = noise.entry(level, &mut rng);
                        // Without NXE, no walk would get far.
                        let keep = registers.nxe || rng.next_u32() % 8 == 0;
                        let entry = if keep { entry } else { entry & !NO_EXECUTE };
                        ram.write_u64(table(level, number) + 8 * index, entry);
                    }
                }
            }
            let requests = (0..6000).map(|_| {
                let access = Access::ALL[rng.next_u32() as usize % 6];
                Request { address: address(five, &mut rng), access }
            });
            let regime = Regime::X86_64(registers);
            let asked = asked(&ram, &regime, requests.collect());
            machine.install(&regime, 1).unwrap();
            let alike = |_: &Request, wanted: Refusal, got: Refusal| wanted.kind == got.kind;
            compared += compare(&mut machine, &regime, &asked, alike).compared;
            for (request, answer) in asked {
                match answer {
                    Ok(_) => {
                        let which = Access::ALL.iter().position(|access| *access == request.access);
                        reached[which.unwrap()] += 1;
                    }
                    Err(refusal) => {
                        *refused.entry(refusal.kind.unwrap().to_string()).or_insert(0) += 1;
                    }
                }
            }
        }
    }
    // There was enough of everything.
    assert!(compared > 100_000, "{compared}");
    assert!(reached.iter().all(|&count| count > 1000), "{reached:?}");
    assert!(refused.len() == 3 && refused.values().all(|&count| count > 1000), "{refused:?}");
    eprintln!("{compared} answers compared: {reached:?} reached, {refused:?} refused");
}
