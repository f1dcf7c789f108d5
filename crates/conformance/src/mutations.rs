//! Flips each bit of the entries in turn, as a mistake in an encoder would, and finds out which
//! machine notices.
//!
//! An encoder puts the same bits into all entries of a kind: a bit that it sets or clears wrongly
//! is wrong in all of them. So the bit is flipped in all entries of that kind which lead to a set
//! of mappings, where they lie in memory. A machine notices if any of its answers is another one.

use std::cell::RefCell;
use std::collections::BTreeSet;

use iopgtable::{Config, Iova, IovaRange, LAST_LEVEL, PhysAddr, Segment};
use walkers::{Access, Mmu as _, PhysMemory, Ram, Request, soft::SoftMmu};

use crate::cases::aligned_in;
use crate::rig::ASID;
use crate::{Rig, SharedRegion, Walked};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A link to a table.
    Table,
    /// A leaf above the last level.
    Block,
    /// A leaf of the last level.
    Page,
}

/// A bit that was flipped in all entries of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// In which entries.
    pub kind: Kind,
    /// Which bit.
    pub bit: u32,
    /// The machines that answered something else then.
    pub noticed_by: Vec<&'static str>,
}

/// Reads of tables, in order.
struct Recorder<'a> {
    ram: &'a Ram,
    reads: RefCell<Vec<u64>>,
}

impl PhysMemory for Recorder<'_> {
    fn read_u64(&self, address: u64) -> Option<u64> {
        self.reads.borrow_mut().push(address);
        self.ram.read_u64(address)
    }
}

/// Maps leaves of each size with every set of permissions, then flips every bit of every kind of
/// entry on the way to them, one after the other. Machines are only asked for `accesses`: one
/// that writes where a broken entry leads might break the test itself.
///
/// # Panics
///
/// Where the table refuses what it must take, or a machine does not answer.
pub fn flip_each_bit<F: Walked>(
    rig: &mut Rig<'_, F>,
    memory: &SharedRegion,
    config: Config,
    accesses: &[Access],
) -> Vec<Mutation> {
    let addresses = populate(rig, config);
    let requests: Vec<Request> = addresses
        .iter()
        .flat_map(|&address| accesses.iter().map(move |&access| Request { address, access }))
        .collect();
    let slots = slots(rig, memory, &addresses);
    let before = rig.answers(&requests);
    let mut mutations = Vec::new();
    for kind in [Kind::Table, Kind::Block, Kind::Page] {
        let of_kind: Vec<u64> =
            slots.iter().filter(|(its, _)| *its == kind).map(|&(_, slot)| slot).collect();
        if of_kind.is_empty() {
            continue;
        }
        for bit in 0..u64::BITS {
            flip(memory.ram(), &of_kind, bit);
            rig.forget_everything();
            let after = rig.answers(&requests);
            flip(memory.ram(), &of_kind, bit);
            let differs = before.iter().zip(&after).filter(|(before, after)| before != after);
            let noticed_by = differs.map(|((name, _), _)| *name).collect();
            mutations.push(Mutation { kind, bit, noticed_by });
        }
    }
    rig.forget_everything();
    assert!(rig.answers(&requests) == before, "every bit is back");
    mutations
}

/// Leaves of each size with all permissions, and one address in each. The largest size has one
/// leaf, so that there is room.
fn populate<F: Walked>(rig: &mut Rig<'_, F>, config: Config) -> Vec<u64> {
    let window = rig.window();
    let prots = rig.prots(config);
    let mut addresses = Vec::new();
    let mut at = rig.geometry().first_iova().0;
    for (number, &size) in rig.leaf_sizes().iter().rev().enumerate() {
        at = at.next_multiple_of(size);
        let count = if number == 0 { 1 } else { prots.len() };
        for (which, &prot) in prots.iter().take(count).enumerate() {
            let range = IovaRange::between(Iova(at), Iova(at + (size - 1)));
            let phys = aligned_in(window, size, (which + number) as u64);
            let segment = Segment::new(PhysAddr(phys), size);
            rig.map(range, &[segment], prot).expect("nothing is mapped there");
            addresses.push(at + window.0.saturating_sub(phys).min(size - 8));
            at += size;
        }
    }
    addresses
}

/// Where the entries lie that lead to `addresses`, each once.
fn slots<F: Walked>(
    rig: &Rig<'_, F>,
    memory: &SharedRegion,
    addresses: &[u64],
) -> BTreeSet<(Kind, u64)> {
    let first_level = rig.geometry().first_level();
    let recorder = Recorder { ram: memory.ram(), reads: RefCell::default() };
    let mut soft = SoftMmu::new(&recorder);
    soft.install(rig.regime(), ASID).expect("the model walks every format");
    let mut all = BTreeSet::new();
    for &address in addresses {
        recorder.reads.borrow_mut().clear();
        let request = Request { address, access: Access::UNPRIVILEGED_READ };
        soft.translate(&[request], &mut Vec::new()).expect("a model always answers");
        let level = leaf_level(rig, address);
        let kind = if level == LAST_LEVEL { Kind::Page } else { Kind::Block };
        let reads = recorder.reads.borrow();
        for (depth, &slot) in (first_level..).zip(reads.iter()) {
            all.insert((if depth < level { Kind::Table } else { kind }, slot));
        }
    }
    all
}

/// The level of the leaf that translates `address`.
fn leaf_level<F: Walked>(rig: &Rig<'_, F>, address: u64) -> i8 {
    let mut level = LAST_LEVEL;
    let at = IovaRange::between(Iova(address), Iova(address));
    rig.table().visit(at, |visit| {
        if let iopgtable::Visit::Leaf { level: its, .. } = visit {
            level = its;
        }
    });
    level
}

fn flip(ram: &Ram, slots: &[u64], bit: u32) {
    for &slot in slots {
        let entry = ram.read_u64(slot).expect("tables lie in the RAM");
        assert!(ram.write_u64(slot, entry ^ 1 << bit), "tables lie in the RAM");
    }
}
