//! Copies that come too early or too late are noticed.

use std::cell::RefCell;
use std::ptr::NonNull;

use iopgtable::memory::{CopyQueue, Publish, Region, TableAllocator};
use iopgtable::{Arm64S1, Config, Granule4K, PageTable, PhysAddr, Prot, Segment};

use crate::machine::{TABLES, finish, range};
use crate::model::Model;
use crate::vram::{CAPACITY, Engine, Vram, Written};

type Table<A> = PageTable<Arm64S1<Granule4K>, A>;

const BLOCK: u64 = 2 << 20;

/// A block is mapped, and cut: the model before and after each of these.
fn block_and_cut<A: TableAllocator>(table: &mut Table<A>) -> Vec<Model> {
    let mut models = vec![Model::new(*table.geometry())];
    let segment = Segment::new(PhysAddr(0), BLOCK);
    let gather = table.map(range(BLOCK, BLOCK), [segment], Prot::RW).expect("nothing is there");
    finish(table, gather);
    models.push(models[0].clone());
    models[1].map(range(BLOCK, BLOCK), &[segment], Prot::RW);
    let hole = range(BLOCK + 0x3000, 0x1000);
    let gather = table.unmap(hole, hole).expect("it is mapped");
    finish(table, gather);
    models.push(models[1].clone());
    models[2].unmap(hole, hole);
    models
}

/// Does the copies in this order; after each, one of the models must hold.
fn replay<A: TableAllocator>(
    table: &Table<A>,
    created: &[Written],
    copies: &[&Written],
    models: &[Model],
) -> Result<(), String> {
    let mut vram = Vram::new();
    for (phys, words) in created {
        vram.write(*phys, words);
    }
    let addresses = [0, BLOCK, BLOCK + 0x2000, BLOCK + 0x3000, 2 * BLOCK - 0x1000, 2 * BLOCK];
    copies.iter().try_for_each(|copy| vram.copy(table, copy, models, &addresses))?;
    vram.look(table, &models[models.len() - 1..], &addresses, false)
}

#[test]
fn copies_out_of_order_are_noticed() {
    let (engine, mut buffer) = (Engine::default(), [0; 2048]);
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    let memory = Region::with_capacity_and_publisher(TABLES, CAPACITY, queue).unwrap();
    let mut table = Table::new(Config::new(48, 48), &memory).unwrap();
    let created = engine.0.take();
    let models = block_and_cut(&mut table);
    let copies = engine.0.take();
    let order: Vec<&Written> = copies.iter().collect();
    assert_eq!(replay(&table, &created, &order, &models), Ok(()));
    // Two tables and the link to them; the table of pages, and its link.
    assert_eq!(order.len(), 5);
    for late in [0, 1, 3] {
        // A table comes behind its link.
        let mut order = order.clone();
        let link = if late < 3 { 2 } else { 4 };
        let table_copy = order.remove(late);
        order.insert(link, table_copy);
        let noticed = replay(&table, &created, &order, &models);
        assert!(noticed.is_err(), "the {late}-th copy behind the {link}-th");
    }
    let backwards: Vec<&Written> = order.iter().rev().copied().collect();
    assert!(replay(&table, &created, &backwards, &models).is_err());
}

/// Remembers addresses, and reads what is there when it is asked to copy: what not to do.
#[derive(Default)]
struct Late(RefCell<Vec<(usize, u64, usize)>>);

// SAFETY: it breaks MEM-ORDER. That leads no soft MMU anywhere but to garbage, which is looked for.
unsafe impl Publish for Late {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        self.0.borrow_mut().push((cpu.as_ptr().expose_provenance(), phys.0, bytes));
    }
}

impl Late {
    fn take(&self) -> Vec<Written> {
        let copy = |(cpu, phys, bytes): (usize, u64, usize)| {
            let cpu: *const u64 = std::ptr::with_exposed_provenance(cpu);
            // SAFETY: the tables are there, and no operation runs.
            (phys, (0..bytes / 8).map(|index| unsafe { cpu.add(index).read() }).collect())
        };
        self.0.take().into_iter().map(copy).collect()
    }
}

#[test]
fn a_queue_of_addresses_would_bring_links_over_ahead_of_their_tables() {
    let memory = Region::with_capacity_and_publisher(TABLES, CAPACITY, Late::default()).unwrap();
    let mut table = Table::new(Config::new(48, 48), &memory).unwrap();
    let mut vram = Vram::new();
    for (phys, words) in memory.publisher().take() {
        vram.write(phys, &words);
    }
    let models = block_and_cut(&mut table);
    let copies = memory.publisher().take();
    let mut copies = copies.iter();
    let noticed = copies.try_for_each(|copy| vram.copy(&table, copy, &models, &[BLOCK]));
    assert!(noticed.is_err());
}
