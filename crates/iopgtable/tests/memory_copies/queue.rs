//! A queue submits all that was published, in order, in whole words.

use std::ptr::NonNull;

use iopgtable::PhysAddr;
use iopgtable::memory::{CopyQueue, Publish};

use crate::vram::Engine;

/// Eight tables' worth of numbers from 0 on.
fn numbers() -> Vec<u64> {
    (0..4096).collect()
}

fn publish(queue: &impl Publish, words: &[u64], phys: u64) {
    queue.publish(NonNull::from(words).cast(), PhysAddr(phys), 8 * words.len());
}

#[test]
fn a_commit_submits_all_that_was_published_in_order() {
    let (engine, mut buffer, numbers) = (Engine::default(), [0; 64], numbers());
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    queue.commit();
    publish(&queue, &numbers[3..5], 0x1000);
    publish(&queue, &numbers[7..8], 0x1008);
    assert!(engine.0.borrow().is_empty());
    assert_eq!(queue.figures().queued, 7);
    queue.commit();
    assert_eq!(engine.0.take(), [(0x1000, vec![3, 4]), (0x1008, vec![7])]);
    queue.commit();
    let figures = queue.figures();
    assert_eq!((figures.publications, figures.words, figures.queued), (2, 3, 0));
    assert_eq!((figures.submissions, figures.overflows), (1, 0), "nothing is not submitted");
    assert!(!queue.is_coherent());
}

#[test]
fn what_does_not_fit_is_submitted_at_once_and_what_never_would_in_pieces() {
    let numbers = numbers();
    for words in [3, 4, 10, 514, 515] {
        let (engine, mut buffer) = (Engine::default(), vec![0; words]);
        let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
        let mut expected = Vec::new();
        for (start, count) in [(0, 1), (8, 512), (600, 4), (700, 1), (1000, 600)] {
            publish(&queue, &numbers[start..start + count], 8 * start as u64);
            expected
                .extend((start..start + count).map(|number| (8 * number as u64, number as u64)));
        }
        queue.commit();
        let figures = queue.figures();
        assert_eq!((figures.publications, figures.words), (5, expected.len() as u64));
        assert_eq!(figures.submissions, figures.overflows + 1);
        let copies = engine.0.take();
        assert!(copies.iter().all(|(_, copied)| copied.len() <= words - 2));
        let written: Vec<(u64, u64)> = copies
            .into_iter()
            .flat_map(|(phys, words)| (phys..).step_by(8).zip(words).collect::<Vec<_>>())
            .collect();
        assert_eq!(written, expected);
    }
}

#[test]
fn a_buffer_has_room_for_a_word() {
    let engine = Engine::default();
    assert!(CopyQueue::new(&mut [], &engine).is_none());
    assert!(CopyQueue::new(&mut [0; 2], &engine).is_none());
    assert!(CopyQueue::new(&mut [0; 3], &engine).is_some());
}

#[test]
fn parts_of_words_bring_the_whole_words() {
    let (engine, mut buffer, numbers) = (Engine::default(), [0; 64], numbers());
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    let bytes: NonNull<u8> = NonNull::from(&numbers[..]).cast();
    // SAFETY: it lies in the numbers.
    queue.publish(unsafe { bytes.add(12) }, PhysAddr(0x100c), 5);
    queue.publish(bytes, PhysAddr(0x1000), 0);
    queue.commit();
    assert_eq!(engine.0.take(), [(0x1008, vec![1, 2])]);
}
