//! A waker that counts.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// How often a waker was woken.
pub(crate) struct Wakes(Arc<Count>);

impl Wakes {
    pub(crate) fn new() -> (Self, Waker) {
        let count = Arc::new(Count::default());
        (Self(Arc::clone(&count)), Waker::from(count))
    }

    /// Since the start.
    pub(crate) fn count(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }
}
