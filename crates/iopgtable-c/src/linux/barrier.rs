//! What an operation ends with, so that a walk that the driver starts next sees its entries.

/// Orders the entries written so far before whatever the driver does next to start a walk.
///
/// On x86 stores to ordinary memory become visible in order, also with respect to a later store to
/// a device register, so only the compiler is held back. (A driver that rings its doorbell through
/// a write-combining mapping fences before it, as its command buffers need anyway.)
#[inline]
pub(super) fn before_walks() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier touches no memory and no register.
    unsafe {
        core::arch::asm!("dsb ishst", options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("fence w, ow", options(nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
    core::sync::atomic::fence(core::sync::atomic::Ordering::Release);
}
