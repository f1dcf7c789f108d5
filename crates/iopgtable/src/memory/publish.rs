//! How what the CPU wrote reaches walkers, for allocators that leave the choice to their user.

use core::ptr::NonNull;

use crate::addr::PhysAddr;

/// How what the CPU wrote to a [`Region`](super::Region) reaches walkers: the publishing half of
/// [`TableMemory`](super::TableMemory), for memory that a region hands out.
///
/// # Safety
///
/// The implementation keeps `MEM-ORDER` of the [contract](super#the-contract).
pub unsafe trait Publish {
    /// See [`TableMemory::publish`](super::TableMemory::publish).
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize);

    /// See [`TableMemory::commit`](super::TableMemory::commit).
    fn commit(&self) {}

    /// See [`TableMemory::is_coherent`](super::TableMemory::is_coherent).
    fn is_coherent(&self) -> bool {
        false
    }
}

// SAFETY: every call goes to the same publisher, whose contract is its own.
unsafe impl<P: Publish + ?Sized> Publish for &P {
    fn publish(&self, cpu: NonNull<u8>, phys: PhysAddr, bytes: usize) {
        (**self).publish(cpu, phys, bytes);
    }
    fn commit(&self) {
        (**self).commit();
    }
    fn is_coherent(&self) -> bool {
        (**self).is_coherent()
    }
}

/// Walkers snoop the CPU's caches: there is nothing to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coherent;

// SAFETY: what the CPU writes is published at once, in order.
unsafe impl Publish for Coherent {
    fn publish(&self, _: NonNull<u8>, _: PhysAddr, _: usize) {}
    fn is_coherent(&self) -> bool {
        true
    }
}
