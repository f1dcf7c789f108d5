//! What may cross threads does.

#![cfg(feature = "alloc")]

use std::sync::Arc;
use std::thread;

use iopgtable::memory::{Heap, Region};
use iopgtable::{
    Arm64S1, Config, Gather, Granule4K, Invalidated, Iova, IovaRange, PageTable, PhysAddr, Prot,
    Reservation, Reserver, Segment, TableCount, Unwalked,
};

type S1 = Arm64S1<Granule4K>;

const fn send<T: Send>() {}
const fn send_and_sync<T: Send + Sync>() {}

const _: () = {
    send_and_sync::<PageTable<S1, Heap>>();
    send_and_sync::<PageTable<S1, Arc<Region>>>();
    send_and_sync::<Reserver<Arc<Region>>>();
    send::<Gather>();
    send::<Invalidated>();
    send::<Reservation<Heap>>();
    send::<Reservation<Arc<Region>>>();
};

#[test]
fn a_table_is_read_by_many_threads_and_its_gather_finished_by_another() {
    let region = Arc::new(Region::with_capacity(PhysAddr(0x8000_0000), 1 << 20).unwrap());
    let mut table = PageTable::<S1, _>::new(Config::new(48, 48), Arc::clone(&region)).unwrap();
    let range = IovaRange::new(Iova(0x1000), 0x4000).unwrap();
    let gather = table.map(range, [Segment::new(PhysAddr(0), 0x4000)], Prot::RW).unwrap();
    table.finish(gather, &mut Unwalked).unwrap();
    thread::scope(|scope| {
        for page in 0..4 {
            let table = &table;
            scope.spawn(move || {
                let found = table.translate(Iova(0x1000 + page * 0x1000));
                assert_eq!(found.map(|found| found.phys), Some(PhysAddr(page * 0x1000)));
            });
        }
    });
    let hole = IovaRange::inclusive(Iova(0), table.geometry().last_iova()).unwrap();
    let gather = table.unmap(range, hole).unwrap();
    let freed = thread::scope(|scope| {
        let table = &table;
        scope.spawn(move || table.finish(gather, &mut Unwalked).unwrap()).join().unwrap()
    });
    assert_eq!(freed, 3);
    drop(table);
    assert_eq!(region.in_use(), 0);
}

#[test]
fn a_reservation_is_made_on_one_thread_while_the_table_is_used_on_another() {
    let region = Arc::new(Region::with_capacity(PhysAddr(0x8000_0000), 1 << 20).unwrap());
    let mut table = PageTable::<S1, _>::new(Config::new(48, 48), Arc::clone(&region)).unwrap();
    let reserver = table.reserver();
    let range = IovaRange::new(Iova(0), 0x1000).unwrap();
    let page = Segment::new(PhysAddr(0), 0x1000);
    let mut reservation: Reservation<Arc<Region>> = thread::scope(|scope| {
        let reserving = scope.spawn(move || {
            let mut count = TableCount::ZERO;
            count.increase(3, 1);
            reserver.reserve(&count, Iova(0x20_0000), true).unwrap()
        });
        let _ = table.map(range, [page], Prot::RW).unwrap();
        reserving.join().unwrap()
    });
    let range = IovaRange::new(Iova(0x20_0000), 0x1000).unwrap();
    let mut reserved = table.reserved(&mut reservation).unwrap();
    let _ = reserved.map(range, [page], Prot::RW).unwrap();
    assert_eq!(reserved.remaining(), 0);
}
