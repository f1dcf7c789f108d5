//! How much queued jobs may hold.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;

use crate::sync::Mutex;

/// A limit on the bytes of table pages that queued jobs hold, for all VMs that it is given to
/// ([`VmOptions::in_flight`](crate::VmOptions::in_flight)): those of a device, or of an account.
///
/// What has run is not in flight any more, whatever it installed; limits on that are an
/// [`Account`](iopgtable::memory::Account)'s. A submission that would exceed the limit is refused
/// with [`SubmitReason::InFlight`](crate::SubmitReason::InFlight), or waits its turn where it has a
/// deadline ([`Vm::submit_until`](crate::Vm::submit_until)). Those who wait are admitted in the
/// order in which they came, and nobody overtakes them; so a flood of small jobs of one VM starves
/// no other. A submission that is larger than the limit is admitted when nothing else is in
/// flight.
///
/// ```
/// use gpuvm::InFlight;
/// let in_flight = InFlight::new(16 << 20);
/// assert_eq!((in_flight.limit(), in_flight.used()), (16 << 20, 0));
/// ```
pub struct InFlight {
    state: Mutex<State>,
    #[cfg(feature = "std")]
    changed: std::sync::Condvar,
    /// Who waits for memory of any of the VMs.
    #[cfg(feature = "std")]
    pub(crate) relief: Arc<crate::relief::Relief>,
}

#[derive(Debug)]
struct State {
    limit: u64,
    used: u64,
    peak: u64,
    refused: u64,
    /// Who waits, by number, in the order of their arrival.
    waiting: VecDeque<u64>,
    #[cfg(feature = "std")]
    arrivals: u64,
}

impl State {
    fn has_room(&self, bytes: u64) -> bool {
        self.used == 0 || self.used.checked_add(bytes).is_some_and(|sum| sum <= self.limit)
    }

    fn take(&mut self, bytes: u64) {
        self.used += bytes;
        self.peak = self.peak.max(self.used);
    }
}

/// What a submission found in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full {
    pub(crate) limit: u64,
    pub(crate) used: u64,
}

impl InFlight {
    /// Nothing is in flight, and at most `limit` bytes may be.
    pub fn new(limit: u64) -> Arc<Self> {
        let state = State {
            limit,
            used: 0,
            peak: 0,
            refused: 0,
            waiting: VecDeque::new(),
            #[cfg(feature = "std")]
            arrivals: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            #[cfg(feature = "std")]
            changed: std::sync::Condvar::new(),
            #[cfg(feature = "std")]
            relief: Arc::default(),
        })
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.state.lock().limit
    }

    /// Changes the limit for submissions from now on.
    pub fn set_limit(&self, limit: u64) {
        self.state.lock().limit = limit;
        self.notify();
    }

    /// How many bytes queued jobs hold.
    pub fn used(&self) -> u64 {
        self.state.lock().used
    }

    /// How many they held at most.
    pub fn peak(&self) -> u64 {
        self.state.lock().peak
    }

    /// How many submissions were refused or had to wait.
    pub fn refused(&self) -> u64 {
        self.state.lock().refused
    }

    /// `bytes` bytes for a submission, if nobody waits for some.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: u64) -> Result<Flight, Full> {
        let mut state = self.state.lock();
        if bytes > 0 {
            if !state.waiting.is_empty() || !state.has_room(bytes) {
                state.refused += 1;
                return Err(Full { limit: state.limit, used: state.used });
            }
            state.take(bytes);
        }
        Ok(Flight { of: Arc::clone(self), bytes })
    }

    /// Waits until it is this submission's turn and there is room for `bytes` bytes. Nothing if
    /// the deadline passes first.
    #[cfg(feature = "std")]
    pub(crate) fn take_until(
        self: &Arc<Self>,
        bytes: u64,
        deadline: std::time::Instant,
    ) -> Option<Flight> {
        let mut state = self.state.lock();
        state.arrivals += 1;
        let me = state.arrivals;
        state.waiting.push_back(me);
        let granted = loop {
            if state.waiting.front() == Some(&me) && state.has_room(bytes) {
                state.take(bytes);
                break true;
            }
            let patience = deadline.saturating_duration_since(std::time::Instant::now());
            if patience.is_zero() {
                break false;
            }
            let waited = self.changed.wait_timeout(state, patience);
            (state, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        };
        state.waiting.retain(|&one| one != me);
        drop(state);
        // It is another one's turn.
        self.notify();
        granted.then(|| Flight { of: Arc::clone(self), bytes })
    }

    fn give_back(&self, bytes: u64) {
        if bytes > 0 {
            self.state.lock().used -= bytes;
            self.notify();
        }
    }

    #[cfg(feature = "std")]
    fn notify(&self) {
        self.changed.notify_all();
    }

    /// Nobody sleeps.
    #[cfg(not(feature = "std"))]
    #[expect(clippy::unused_self, reason = "as where somebody does")]
    const fn notify(&self) {}
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        write!(f, "InFlight({} of {} bytes)", state.used, state.limit)
    }
}

/// Bytes in flight, until it is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    of: Arc<InFlight>,
    bytes: u64,
}

impl Flight {
    /// Keeps `bytes` of what it has, if it has so many.
    #[cfg(feature = "std")]
    pub(crate) fn shrink(&mut self, bytes: u64) -> bool {
        let surplus = self.bytes.checked_sub(bytes);
        if let Some(surplus) = surplus {
            self.bytes = bytes;
            self.of.give_back(surplus);
        }
        surplus.is_some()
    }

    /// Gives a part of what it has to a flight of its own.
    pub(crate) fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { of: Arc::clone(&self.of), bytes }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.of.give_back(self.bytes);
    }
}
