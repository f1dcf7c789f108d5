//! Threads publish through one queue.

use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use iopgtable::PhysAddr;
use iopgtable::memory::{Copies, CopyEngine, CopyQueue, Publish};

/// Device memory that asserts that words only ever count up.
struct Counting(Mutex<Vec<u64>>);

// SAFETY: each word is written before this returns.
unsafe impl CopyEngine for Counting {
    fn submit(&self, copies: Copies<'_>) {
        let mut words = self.0.lock().expect("not poisoned");
        for copy in copies {
            let index = usize::try_from(copy.phys.0 / 8).expect("small");
            for (at, &word) in words[index..].iter_mut().zip(copy.words) {
                assert_eq!(word, *at + 1);
                *at = word;
            }
        }
    }
}

#[test]
fn many_threads_publish_each_in_its_order() {
    const ROUNDS: u64 = if cfg!(miri) { 20 } else { 5000 };
    let (engine, mut buffer) = (Counting(Mutex::new(vec![0; 4])), [0; 16]);
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let queue = &queue;
            scope.spawn(move || {
                let word = AtomicU64::new(0);
                for round in 1..=ROUNDS {
                    word.store(round, Ordering::Relaxed);
                    queue.publish(NonNull::from(&word).cast(), PhysAddr(8 * thread), 8);
                    if round % 7 == 0 {
                        queue.commit();
                    }
                }
            });
        }
    });
    queue.commit();
    assert_eq!(engine.0.into_inner().unwrap(), [ROUNDS; 4]);
}

/// Device memory that asserts that the halves of a word only ever count up.
struct CountingHalves(Mutex<[u32; 2]>);

// SAFETY: each word is written before this returns.
unsafe impl CopyEngine for CountingHalves {
    fn submit(&self, copies: Copies<'_>) {
        let mut halves = self.0.lock().expect("not poisoned");
        for copy in copies {
            assert_eq!((copy.phys.0, copy.words.len()), (0x1000, 1), "the word that both are in");
            let bytes = copy.words[0].to_ne_bytes();
            for (half, bytes) in halves.iter_mut().zip(bytes.chunks_exact(4)) {
                let now = u32::from_ne_bytes(bytes.try_into().expect("four bytes"));
                assert!(now >= *half, "{now} after {half}");
                *half = now;
            }
        }
    }
}

/// Each writes an entry of four bytes and publishes it, and the one beside it comes along.
#[test]
fn two_threads_publish_the_halves_of_a_word() {
    const ROUNDS: u32 = if cfg!(miri) { 20 } else { 5000 };
    #[repr(align(8))]
    struct Word([AtomicU32; 2]);
    let (engine, mut buffer) = (CountingHalves(Mutex::new([0; 2])), [0; 16]);
    let queue = CopyQueue::new(&mut buffer, &engine).unwrap().with_short_entries();
    let word = Word([AtomicU32::new(0), AtomicU32::new(0)]);
    let base: NonNull<u8> = NonNull::from(&word).cast();
    let base = base.as_ptr().expose_provenance();
    std::thread::scope(|scope| {
        for (half, place) in word.0.iter().zip([0, 4]) {
            let queue = &queue;
            scope.spawn(move || {
                let cpu = std::ptr::with_exposed_provenance_mut::<u8>(base + place);
                let cpu = NonNull::new(cpu).expect("it is somewhere");
                for round in 1..=ROUNDS {
                    half.store(round, Ordering::Relaxed);
                    queue.publish(cpu, PhysAddr(0x1000 + place as u64), 4);
                    if round % 7 == 0 {
                        queue.commit();
                    }
                }
            });
        }
    });
    queue.commit();
    assert_eq!(engine.0.into_inner().unwrap(), [ROUNDS; 2]);
}
