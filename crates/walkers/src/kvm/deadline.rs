//! A time limit for a guest that does not come back.
//!
//! A timer sends a signal to the thread that runs the guest. The thread has the signal blocked, and
//! so does everybody; only while the guest runs, it is not (`KVM_SET_SIGNAL_MASK`), and ends the
//! run. So no handler is needed, none is called, and a timer that fires between two runs is seen by
//! the next one.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::time::Duration;

use kvm_ioctls::VcpuFd;

/// `_IOW(KVMIO, 0x8b, struct kvm_signal_mask)`.
const KVM_SET_SIGNAL_MASK: libc::c_ulong = 0x4004_ae8b;

/// The kernel's `struct kvm_signal_mask`, with a set of the kernel's size.
#[repr(C)]
struct SignalMask {
    len: u32,
    set: [u32; 2],
}

/// The signal. Those before it are more likely to be used by somebody.
fn signal() -> libc::c_int {
    libc::SIGRTMIN() + 7
}

/// The set of that signal alone.
#[expect(unsafe_code, reason = "a call of the C library")]
fn only_signal() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call initialises the set, the second adds a signal that exists to it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal());
        set.assume_init()
    }
}

/// Has the signal, and no other, end runs of `vcpu`.
#[expect(unsafe_code, reason = "an ioctl that kvm-ioctls lacks")]
pub(super) fn interruptible(vcpu: &VcpuFd) -> io::Result<()> {
    // The kernel counts signals from 1. Everything else stays blocked: it waits for the next exit.
    let all_others = !(1u64 << (signal() - 1));
    // CAST: the two halves.
    let set = [all_others as u32, (all_others >> 32) as u32];
    let mask = SignalMask { len: 8, set };
    // SAFETY: the descriptor is that of a virtual processor, and the kernel reads `len` bytes
    // after the first word of `mask`, which are there.
    let result = unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_SET_SIGNAL_MASK, &raw const mask) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A timer for runs of this thread. The signal is blocked as long as it lives.
pub(super) struct Deadline {
    timer: libc::timer_t,
    /// The signal alone.
    signal: libc::sigset_t,
    /// What was blocked before.
    before: libc::sigset_t,
}

impl Deadline {
    #[expect(unsafe_code, reason = "calls of the C library")]
    pub(super) fn new() -> io::Result<Self> {
        let mut timer = MaybeUninit::uninit();
        // SAFETY: an event is plain data, for which zeros are valid.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal();
        // SAFETY: it has no requirement.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        // SAFETY: both point to what they should, and the timer is initialised if the call
        // succeeds.
        let timer = unsafe {
            if libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            timer.assume_init()
        };
        let signal = only_signal();
        let mut before = MaybeUninit::uninit();
        // SAFETY: both sets are what they should be; the call fails only for a wrong first
        // argument, and initialises `before`.
        let before = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signal, before.as_mut_ptr());
            before.assume_init()
        };
        Ok(Self { timer, signal, before })
    }

    /// From now on, it is over after `limit`.
    #[expect(unsafe_code, reason = "a call of the C library")]
    pub(super) fn set(&self, limit: Duration) {
        // SAFETY: it is plain data, for which zeros are valid.
        let mut when: libc::itimerspec = unsafe { std::mem::zeroed() };
        when.it_value.tv_sec = libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX);
        when.it_value.tv_nsec = libc::c_long::from(limit.subsec_nanos().max(1));
        // SAFETY: the timer exists as long as `self`, the value is valid, and the old one is not
        // asked for. With these, the call cannot fail.
        unsafe { libc::timer_settime(self.timer, 0, &raw const when, std::ptr::null_mut()) };
    }

    /// Whether the time was over since [`set`](Self::set). Says so once.
    #[expect(unsafe_code, reason = "a call of the C library")]
    pub(super) fn is_over(&self) -> bool {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the set and the time are valid, and what came with the signal is not asked for.
        // The signal is blocked in this thread, so that no handler takes it away.
        unsafe {
            libc::sigtimedwait(&raw const self.signal, std::ptr::null_mut(), &raw const now) > 0
        }
    }
}

impl Drop for Deadline {
    #[expect(unsafe_code, reason = "calls of the C library")]
    fn drop(&mut self) {
        // SAFETY: the timer exists, and nobody uses it after this.
        unsafe { libc::timer_delete(self.timer) };
        // A signal that it has sent must not be delivered when it is no longer blocked.
        self.is_over();
        // SAFETY: the set is the one that the thread had; the old one is not asked for.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::Deadline;
    use std::time::Duration;

    #[test]
    fn a_limit_is_over_once_and_does_no_harm_afterwards() {
        let deadline = Deadline::new().unwrap();
        deadline.set(Duration::from_millis(1));
        std::thread::sleep(Duration::from_millis(20));
        assert!(deadline.is_over());
        assert!(!deadline.is_over());
        deadline.set(Duration::from_millis(1));
        std::thread::sleep(Duration::from_millis(20));
        drop(deadline); // The default action of the signal would end the process.
    }

    #[test]
    fn a_limit_in_the_future_is_not_over() {
        let deadline = Deadline::new().unwrap();
        deadline.set(Duration::from_secs(3600));
        assert!(!deadline.is_over());
    }
}
