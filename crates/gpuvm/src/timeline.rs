//! Timelines: fences that are points on a line of `u64`s.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::num::NonZeroU64;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard};

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
    /// Has room for `promised` more.
    waiting: Vec<Waiting>,
    promised: usize,
    /// The last key that was given out.
    keys: u64,
    /// How often an entry of `waiting` changed its place.
    moves: u64,
}

/// Somebody who waits for a point.
struct Waiting {
    point: u64,
    whose: Whose,
    waker: Waker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// It stays until the point is reached.
    Nobody,
    /// It goes with the future.
    Future(u64),
    /// It goes with the wait, whose place is there again once it has been woken.
    Wait(u64),
}

impl Line {
    fn state(&self, point: u64) -> Option<Result<(), FenceError>> {
        match self.failure {
            Some((from, error)) if from <= point => Some(Err(error)),
            _ if point <= self.value => Some(Ok(())),
            _ => None,
        }
    }

    fn key(&mut self) -> u64 {
        self.keys += 1;
        self.keys
    }

    /// Adds somebody, or changes his waker and returns the old one, whose drop may do anything.
    fn enter(&mut self, point: u64, whose: Whose, waker: &Waker) -> Option<Waker> {
        let mut waiting = self.waiting.iter_mut();
        let is_known = |one: &&mut Waiting| {
            let is_same = || one.point == point && one.waker.will_wake(waker);
            one.whose == whose && (whose != Whose::Nobody || is_same())
        };
        if let Some(known) = waiting.find(is_known) {
            let is_same = known.waker.will_wake(waker);
            return (!is_same).then(|| core::mem::replace(&mut known.waker, waker.clone()));
        }
        self.add(point, whose, waker);
        None
    }

    /// Adds somebody who is not there.
    fn add(&mut self, point: u64, whose: Whose, waker: &Waker) {
        match whose {
            Whose::Wait(_) => self.promised -= 1,
            Whose::Nobody | Whose::Future(_) => self.waiting.reserve(self.promised + 1),
        }
        self.waiting.push(Waiting { point, whose, waker: waker.clone() });
    }

    /// Takes somebody out.
    fn leave(&mut self, index: usize) -> Waker {
        let Waiting { whose, waker, .. } = self.waiting.swap_remove(index);
        self.promised += usize::from(matches!(whose, Whose::Wait(_)));
        self.moves += 1;
        waker
    }

    fn find(&self, whose: Whose) -> Option<usize> {
        self.waiting.iter().position(|one| one.whose == whose)
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
        self.clone().into_point(value)
    }

    /// The same of the only clone that is needed.
    pub(crate) const fn into_point(self, value: u64) -> Point {
        Point { line: self, value, key: None }
    }

    /// Whether `other` is a clone of this line.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Reaches `value` and everything before it, but for what has failed. A line never goes back:
    /// a value that has been reached already changes nothing.
    pub fn signal(&self, value: u64) {
        let mut line = self.0.lock();
        // INVARIANT: it stops before what failed, which is beyond the old value, so not 0.
        let reached = match line.failure {
            Some((from, _)) => value.min(from.saturating_sub(1)),
            None => value,
        };
        line.value = line.value.max(reached);
        self.wake(line);
    }

    /// Fails `value` and everything after it, but for what is reached already. The first failure's
    /// reason stands for the whole line.
    pub fn fail(&self, value: u64, error: FenceError) {
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
        self.wake(line);
    }

    /// Wakes whoever waits for a point that is reached by now. Allocates nothing, and holds no
    /// lock while others run.
    fn wake<'l>(&'l self, mut line: MutexGuard<'l, Line>) {
        let mut from = 0;
        loop {
            let mut rest = line.waiting.iter().skip(from);
            let Some(next) = rest.position(|one| line.state(one.point).is_some()) else { return };
            from += next;
            let waker = line.leave(from);
            let moves = line.moves;
            drop(line);
            waker.wake();
            line = self.0.lock();
            if line.moves != moves {
                // Others have come and gone meanwhile.
                from = 0;
            }
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
pub struct Point {
    line: Timeline,
    value: u64,
    /// Where its future waits.
    key: Option<NonZeroU64>,
}

impl Clone for Point {
    fn clone(&self) -> Self {
        self.line.point(self.value)
    }
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

    /// Has `waker` woken when the point is reached; says how, if it is already. The waker stays
    /// until then; that of the future goes with the future.
    pub fn poll(&self, waker: &Waker) -> Option<Result<(), FenceError>> {
        self.poll_as(Whose::Nobody, waker)
    }

    fn poll_as(&self, whose: Whose, waker: &Waker) -> Option<Result<(), FenceError>> {
        let mut line = self.line.0.lock();
        let state = line.state(self.value);
        let old = if state.is_none() { line.enter(self.value, whose, waker) } else { None };
        drop(line);
        drop(old);
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

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.key.is_none() {
            let key = self.line.0.lock().key();
            self.key = NonZeroU64::new(key);
        }
        let whose = self.key.map_or(Whose::Nobody, |key| Whose::Future(key.get()));
        self.poll_as(whose, context.waker()).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Point {
    /// A future that is dropped waits no more.
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let mut line = self.line.0.lock();
            let waker = line.find(Whose::Future(key.get())).map(|index| line.leave(index));
            drop(line);
            drop(waker);
        }
    }
}

/// A place among those who wait for a point, taken where allocating is allowed: waiting there
/// later allocates nothing.
pub(crate) struct Wait {
    point: Point,
    whose: Whose,
    /// Whether it has taken its place: nobody looks for it before.
    is_entered: bool,
}

impl Wait {
    pub(crate) fn new(point: Point) -> Self {
        let whose = {
            let mut line = point.line.0.lock();
            line.promised += 1;
            let room = line.promised;
            line.waiting.reserve(room);
            Whose::Wait(line.key())
        };
        Self { point, whose, is_entered: false }
    }

    /// Whether the point is reached, however. `waker` is woken when it is, in place of the one
    /// before it.
    pub(crate) fn is_over(&mut self, waker: &Waker) -> bool {
        if self.is_entered {
            return self.point.poll_as(self.whose, waker).is_some();
        }
        let mut line = self.point.line.0.lock();
        let is_over = line.state(self.point.value).is_some();
        if !is_over {
            line.add(self.point.value, self.whose, waker);
            self.is_entered = true;
        }
        is_over
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut line = self.point.line.0.lock();
        let place = if self.is_entered { line.find(self.whose) } else { None };
        let waker = place.map(|index| line.leave(index));
        // INVARIANT: its place is among those promised, as it was before or since it left.
        line.promised -= 1;
        drop(line);
        drop(waker);
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
