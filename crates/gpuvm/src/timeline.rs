//! Timelines: fences that are points on a line of `u64`s.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::sync::Mutex;

/// A line of points that are reached in ascending order. Clones are the same line.
///
/// A point is reached when it or a later one is signalled. A line that has failed at a point has
/// reached that point and every later one, in error. How a point was reached never changes.
///
/// ```
/// use gpuvm::Timeline;
/// let frames = Timeline::new();
/// let third = frames.point(3);
/// assert_eq!(third.state(), None);
/// frames.signal(3);
/// assert_eq!(third.state(), Some(Ok(())));
/// assert_eq!(frames.value(), 3);
/// ```
#[derive(Clone, Default)]
pub struct Timeline(Arc<Mutex<Line>>);

/// # Invariants
///
/// What failed lies beyond `value`.
#[derive(Default)]
struct Line {
    value: u64,
    /// From which point on it has failed, and why.
    failure: Option<(u64, FenceError)>,
    waiting: Vec<(u64, Waker)>,
}

impl Line {
    fn state(&self, point: u64) -> Option<Result<(), FenceError>> {
        match self.failure {
            Some((from, error)) if from <= point => Some(Err(error)),
            _ if point <= self.value => Some(Ok(())),
            _ => None,
        }
    }
}

impl Timeline {
    /// A line at 0, which is therefore reached.
    pub fn new() -> Self {
        Self::default()
    }

    /// The last point reached without error.
    pub fn value(&self) -> u64 {
        self.0.lock().value
    }

    /// A point of this line.
    pub fn point(&self, value: u64) -> Point {
        Point { line: self.clone(), value }
    }

    /// Whether `other` is a clone of this line.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Reaches `value` and everything before it, but for what has failed. A line never goes back:
    /// a value that has been reached already changes nothing.
    pub fn signal(&self, value: u64) {
        {
            let mut line = self.0.lock();
            // INVARIANT: it stops before what failed, which is beyond the old value, so not 0.
            let reached = match line.failure {
                Some((from, _)) => value.min(from.saturating_sub(1)),
                None => value,
            };
            line.value = line.value.max(reached);
        }
        self.wake();
    }

    /// Fails `value` and everything after it, but for what is reached already. The first failure's
    /// reason stands for the whole line.
    pub fn fail(&self, value: u64, error: FenceError) {
        {
            let mut line = self.0.lock();
            let Some(next) = line.value.checked_add(1) else {
                return;
            };
            // INVARIANT: `next` is beyond `line.value`, and so was an earlier failure.
            let from = value.max(next);
            line.failure = Some(match line.failure {
                Some((before, first)) => (before.min(from), first),
                None => (from, error),
            });
        }
        self.wake();
    }

    /// Wakes whoever waits for a point that is reached by now. Allocates nothing, and holds no
    /// lock while others run.
    fn wake(&self) {
        loop {
            let mut line = self.0.lock();
            let reached = (0..line.waiting.len()).find(|&index| {
                line.waiting.get(index).is_some_and(|&(point, _)| line.state(point).is_some())
            });
            let Some(index) = reached else { return };
            let (_, waker) = line.waiting.swap_remove(index);
            drop(line);
            waker.wake();
        }
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0.lock();
        f.debug_struct("Timeline")
            .field("value", &line.value)
            .field("failure", &line.failure)
            .finish_non_exhaustive()
    }
}

/// A point of a [`Timeline`]: something to wait for, or to signal. Also a future.
#[derive(Clone)]
pub struct Point {
    line: Timeline,
    value: u64,
}

impl Point {
    /// The line that it is on.
    pub const fn timeline(&self) -> &Timeline {
        &self.line
    }

    /// Where on the line.
    pub const fn value(&self) -> u64 {
        self.value
    }

    /// Whether it is reached, and how.
    pub fn state(&self) -> Option<Result<(), FenceError>> {
        self.line.0.lock().state(self.value)
    }

    /// Reaches it and everything before it.
    pub fn signal(&self) {
        self.line.signal(self.value);
    }

    /// Fails it and everything after it.
    pub fn fail(&self, error: FenceError) {
        self.line.fail(self.value, error);
    }

    /// Has `waker` woken when the point is reached; says how, if it is already.
    pub fn poll(&self, waker: &Waker) -> Option<Result<(), FenceError>> {
        let mut line = self.line.0.lock();
        let state = line.state(self.value);
        if state.is_none() {
            let known =
                |(point, known): &&mut (u64, Waker)| *point == self.value && known.will_wake(waker);
            if line.waiting.iter_mut().find(known).is_none() {
                line.waiting.push((self.value, waker.clone()));
            }
        }
        state
    }

    /// Sleeps until the point is reached.
    ///
    /// # Errors
    ///
    /// Why the line failed.
    #[cfg(feature = "std")]
    pub fn wait(&self) -> Result<(), FenceError> {
        crate::wait::block_on(self.clone())
    }
}

impl Future for Point {
    type Output = Result<(), FenceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Self::poll(&self, context.waker()).map_or(Poll::Pending, Poll::Ready)
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Point({}: {:?})", self.value, self.state())
    }
}

/// Why a point was reached in error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FenceError {
    /// The job that would have signalled it was dropped with its VM.
    Cancelled,
    /// The VM of the job that would have signalled it was banned.
    VmBanned,
    /// Its owner says that it failed, with a number of its own.
    Failed(i32),
}

impl fmt::Display for FenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the job was cancelled"),
            Self::VmBanned => f.write_str("the VM was banned"),
            Self::Failed(code) => write!(f, "the fence failed with {code}"),
        }
    }
}

impl core::error::Error for FenceError {}
