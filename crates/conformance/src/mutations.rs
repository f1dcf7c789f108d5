//! Flips each bit of the entries in turn, as a mistake in an encoder would, and finds out which
//! machine notices.
//!
//! An encoder puts the same bits into all entries of a kind: a bit that it sets or clears wrongly
//! is wrong in all of them. So the bit is flipped in all entries of that kind which lead to a set
//! of mappings, where they lie in memory. A machine notices if any of its answers is another one.

use std::cell::RefCell;
use std::collections::BTreeSet;

use iopgtable::{Config, Iova, IovaRange, LAST_LEVEL, PhysAddr, Segment};
use walkers::soft::SoftMmu;
use walkers::{Access, EntryRead, EntryRole, EntryWidth, Mmu as _, PhysMemory, Ram, Request};

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
    /// One of the entries that stand for one leaf together, above the last level.
    BlockGroup,
    /// A leaf of the last level.
    Page,
    /// One of the entries that stand for one leaf together, at the last level.
    PageGroup,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Table, Self::Block, Self::BlockGroup, Self::Page, Self::PageGroup];

    const fn of_leaf(level: i8, grouped: bool) -> Self {
        match (level == LAST_LEVEL, grouped) {
            (false, false) => Self::Block,
            (false, true) => Self::BlockGroup,
            (true, false) => Self::Page,
            (true, true) => Self::PageGroup,
        }
    }
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

/// What models are asked for: everything.
const OF_MODELS: &[Access] = &Access::ALL;

/// What machines are asked for. They only read: what writes or runs where a broken entry leads
/// might break the test itself.
const OF_MACHINES: &[Access] = &[Access::PRIVILEGED_READ, Access::UNPRIVILEGED_READ];

/// Whether a machine may hang on it: QEMU's model of AMD's IOMMU follows `NextLevel` wherever it
/// leads, so a link back to a table above would have it go round.
fn may_hang(machine: &str, kind: Kind, bit: u32) -> bool {
    machine == "amdvi" && kind == Kind::Table && (9..52).contains(&bit)
}

/// Where an entry lies, and how wide it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    address: u64,
    bits: u32,
}

/// Reads of tables, in order.
struct Recorder<'a> {
    ram: &'a Ram,
    reads: RefCell<Vec<EntryRead>>,
}

impl PhysMemory for Recorder<'_> {
    fn read_u64(&self, address: u64) -> Option<u64> {
        self.ram.read_u64(address)
    }

    fn read_entry(&self, entry: &EntryRead) -> Option<u64> {
        self.reads.borrow_mut().push(*entry);
        self.ram.read_entry(entry)
    }
}

/// Maps leaves of each size with every set of permissions, then flips every bit of every kind of
/// entry on the way to them, one after the other, and asks what the machines of `rig` answer.
/// Models are asked for every access, other machines for reads of whole words; that one of these
/// can no longer answer is another answer, too.
///
/// # Panics
///
/// Where the table refuses what it must take, or a machine does not answer while all is well.
pub fn flip_each_bit<F: Walked>(
    rig: &mut Rig<'_, F>,
    memory: &SharedRegion,
    config: Config,
) -> Vec<Mutation> {
    let addresses = populate(rig, config);
    let requests = |accesses: &[Access]| -> Vec<Request> {
        let all = addresses
            .iter()
            .flat_map(|&address| accesses.iter().map(move |&access| Request { address, access }));
        all.collect()
    };
    let (of_models, mut of_machines) = (requests(OF_MODELS), requests(OF_MACHINES));
    of_machines.retain(|request| request.address % 8 == 0);
    let ask = |machine: &str| match machine {
        "soft" | "iotlb" => of_models.as_slice(),
        _ => of_machines.as_slice(),
    };
    let slots = slots(rig, memory, &addresses);
    let before = rig.answers(ask);
    for (name, answers) in &before {
        assert!(answers.is_ok(), "{name}: {answers:?}");
    }
    let mut mutations = Vec::new();
    for kind in Kind::ALL {
        let of_kind: Vec<Slot> =
            slots.iter().filter(|(its, _)| *its == kind).map(|&(_, slot)| slot).collect();
        // Entries of a format are all of one width.
        let bits = of_kind.first().map_or(0, |slot| slot.bits);
        for bit in 0..bits {
            flip(memory.ram(), &of_kind, bit);
            rig.forget_everything();
            let asked =
                |machine: &str| if may_hang(machine, kind, bit) { &[] } else { ask(machine) };
            let after = rig.answers(asked);
            flip(memory.ram(), &of_kind, bit);
            let differs = before
                .iter()
                .zip(&after)
                .filter(|((name, before), (_, after))| !asked(name).is_empty() && before != after);
            let noticed_by = differs.map(|((name, _), _)| *name).collect();
            mutations.push(Mutation { kind, bit, noticed_by });
        }
    }
    rig.forget_everything();
    assert!(rig.answers(ask) == before, "every bit is back");
    mutations
}

/// Leaves of each size with all permissions, or as many as there is room for, and two addresses in
/// each: at its first byte, or where all machines reach it, and at its last four.
fn populate<F: Walked>(rig: &mut Rig<'_, F>, config: Config) -> Vec<u64> {
    let window = rig.window();
    let prots = rig.prots(config);
    let sizes = rig.leaf_sizes();
    let mut addresses = Vec::new();
    let whole = rig.geometry().whole();
    let mut at = whole.first().0;
    for (number, &size) in sizes.iter().rev().enumerate() {
        at = at.next_multiple_of(size);
        // What is left is enough for smaller ones.
        let room = ((whole.last().0 - at) / size).div_ceil(2);
        let count = usize::try_from(room.max(1)).unwrap_or(usize::MAX);
        for (which, &prot) in prots.iter().take(count).enumerate() {
            let range = IovaRange::between(Iova(at), Iova(at + (size - 1)));
            let phys = aligned_in(window, size, (which + number) as u64);
            let segment = Segment::new(PhysAddr(phys), size);
            rig.map(range, &[segment], prot).expect("nothing is mapped there");
            let inside = window.0.saturating_sub(phys).min(size - 8);
            addresses.extend([at + inside, at + (size - 4)]);
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
) -> BTreeSet<(Kind, Slot)> {
    let recorder = Recorder { ram: memory.ram(), reads: RefCell::default() };
    let mut soft = SoftMmu::new(&recorder);
    soft.install(rig.regime(), ASID).expect("the model walks every format");
    let mut all = BTreeSet::new();
    for &address in addresses {
        recorder.reads.borrow_mut().clear();
        let request = Request { address, access: Access::UNPRIVILEGED_READ };
        soft.translate(&[request], &mut Vec::new()).expect("a model always answers");
        let reads = recorder.reads.borrow();
        let leaf = reads.last().expect("the root has an entry");
        let kind = Kind::of_leaf(leaf.level, leaf.role == EntryRole::Group);
        for read in reads.iter() {
            let kind = if read.level == leaf.level { kind } else { Kind::Table };
            let bits = match read.width {
                EntryWidth::Four => u32::BITS,
                EntryWidth::Eight => u64::BITS,
            };
            all.insert((kind, Slot { address: read.address, bits }));
        }
    }
    all
}

fn flip(ram: &Ram, slots: &[Slot], bit: u32) {
    for &Slot { address, .. } in slots {
        // Two narrow entries share a word.
        let (word, shift) = (address & !7, 8 * (address & 7));
        let entry = ram.read_u64(word).expect("tables lie in the RAM");
        assert!(ram.write_u64(word, entry ^ 1 << bit << shift), "tables lie in the RAM");
    }
}
