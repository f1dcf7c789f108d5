//! Jobs of different queues overtake each other where they do not meet.

use gpuvm::{Op, Timeline};

use crate::machine::memory;
use crate::ops::{GIB, MIB, PAGE, map, unmap};
use crate::vms::{is_mapped, vm};

#[test]
fn jobs_that_do_not_meet_overtake_each_other() {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    let waiting = vm.submit([map(GIB, PAGE, 0)], [gate.point(1)], []).unwrap();
    let behind = vm.submit([map(8 * GIB, PAGE, 0)], [], []).unwrap();
    // In the same table of pages, which the first one has reserved.
    let overtaking = queue.submit([map(GIB + PAGE, PAGE, PAGE)], [], []).unwrap();
    assert_eq!(vm.run_ready(), 2);
    assert_eq!((waiting.state(), behind.state()), (None, None), "in order within a queue");
    assert_eq!(overtaking.state(), Some(Ok(())));
    assert!(is_mapped(&vm, GIB + PAGE) && !is_mapped(&vm, GIB));
    let figures = vm.figures();
    assert_eq!((figures.tables_installed, figures.tables_reserved), (3, 5));
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    let figures = vm.figures();
    assert_eq!((figures.tables_installed, figures.tables_returned), (5, 0));
}

/// What a job of another queue may not overtake: `first` waits, `second` comes after it.
fn is_overtaken(before: Vec<Op>, first: Op, second: Op) -> bool {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    vm.submit(before, [], []).unwrap();
    vm.submit([first], [gate.point(1)], []).unwrap();
    vm.run_ready();
    let second = queue.submit([second], [], []).unwrap();
    vm.run_ready();
    let overtaken = second.state().is_some();
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!(second.state(), Some(Ok(())));
    assert_eq!(vm.figures().tables_returned, 0);
    overtaken
}

#[test]
fn ranges_that_overlap_keep_their_order() {
    assert!(is_overtaken(vec![], map(0, PAGE, 0), map(PAGE, PAGE, 0)));
    assert!(!is_overtaken(vec![], map(0, 2 * PAGE, 0), map(PAGE, PAGE, 0)));
    assert!(!is_overtaken(vec![], map(0, 2 * PAGE, 0), unmap(PAGE, PAGE)));
}

#[test]
fn an_unmap_of_what_an_earlier_job_unmaps_waits_for_it() {
    let mapped = vec![map(0, PAGE, 0)];
    assert!(!is_overtaken(mapped.clone(), unmap(0, PAGE), unmap(0, PAGE)));
    assert!(!is_overtaken(mapped, unmap(0, PAGE), unmap(0, GIB)));
    assert!(is_overtaken(vec![], map(0, PAGE, 0), Op::SyncOnly));
}

#[test]
fn what_lies_in_a_table_that_comes_loose_keeps_its_order() {
    let mapped = vec![map(0, PAGE, 0)];
    assert!(!is_overtaken(mapped.clone(), unmap(0, PAGE), map(8 * PAGE, PAGE, 0)));
    // Where another mapping keeps the table, nothing is in the way.
    let kept = vec![map(0, PAGE, 0), map(16 * PAGE, PAGE, 0)];
    assert!(is_overtaken(kept, unmap(0, PAGE), map(8 * PAGE, PAGE, 0)));
    // The table stands or falls with the map that comes first.
    assert!(!is_overtaken(mapped, map(8 * PAGE, PAGE, 0), unmap(0, 9 * PAGE)));
}

#[test]
fn what_lies_in_a_block_that_is_cut_keeps_its_order() {
    let block = vec![map(0, 4 * MIB, 0)];
    assert!(!is_overtaken(block.clone(), unmap(PAGE, PAGE), unmap(MIB, PAGE)));
    assert!(is_overtaken(block, unmap(PAGE, PAGE), unmap(3 * MIB, PAGE)));
}

/// An unmap whose hole reaches over a table that a later job has made meanwhile.
#[test]
fn an_unmap_lets_no_table_go_that_a_job_has_made_that_overtook_it() {
    let vm = vm(&memory());
    let (queue, gate) = (vm.queue(), Timeline::new());
    vm.submit([map(0, PAGE, 0)], [], []).unwrap();
    vm.run_ready();
    let waiting = vm.submit([unmap(0, 3 * MIB)], [gate.point(1)], []).unwrap();
    let keeps = queue.submit([map(600 * GIB, PAGE, 0)], [], []).unwrap();
    let overtaking = queue.submit([map(GIB + 3 * MIB, PAGE, 0)], [], []).unwrap();
    vm.run_ready();
    assert_eq!(keeps.state(), Some(Ok(())));
    // It meets the tables that the unmap lets go, here.
    assert_eq!(overtaking.state(), None);
    gate.signal(1);
    assert_eq!(vm.run_ready(), 0);
    assert_eq!((waiting.state(), overtaking.state()), (Some(Ok(())), Some(Ok(()))));

    // Here another mapping keeps those above, and the unmap reaches into a span without a table.
    vm.submit([unmap(0, 1 << 48), map(64 * MIB, PAGE, 0), map(0, PAGE, 0)], [], []).unwrap();
    vm.run_ready();
    let waiting = vm.submit([unmap(0, 3 * MIB)], [gate.point(2)], []).unwrap();
    let overtaking = queue.submit([map(3 * MIB, PAGE, 0)], [], []).unwrap();
    assert_eq!(vm.run_ready(), 1);
    assert_eq!((waiting.state(), overtaking.state()), (None, Some(Ok(()))));
    gate.signal(2);
    assert_eq!(vm.run_ready(), 0);
    assert!(is_mapped(&vm, 3 * MIB) && !is_mapped(&vm, 0));
}
