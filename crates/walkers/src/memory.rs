//! What a walker reads tables from.

/// Physical memory, as the table walker of a device sees it.
pub trait PhysMemory {
    /// Reads the eight bytes at the physical address `address` as a little-endian number.
    ///
    /// Walkers only ask for multiples of eight. `None` is a bus error; a walker turns it into
    /// [`FaultKind::ExternalAbort`](crate::FaultKind::ExternalAbort).
    fn read_u64(&self, address: u64) -> Option<u64>;
}

impl<T: PhysMemory + ?Sized> PhysMemory for &T {
    fn read_u64(&self, address: u64) -> Option<u64> {
        (**self).read_u64(address)
    }
}

impl<T: PhysMemory + ?Sized> PhysMemory for std::sync::Arc<T> {
    fn read_u64(&self, address: u64) -> Option<u64> {
        (**self).read_u64(address)
    }
}

/// A closure as physical memory.
///
/// ```
/// use walkers::{FnMemory, PhysMemory};
///
/// let memory = FnMemory(|address| (address < 0x1000).then_some(address + 1));
/// assert_eq!(memory.read_u64(8), Some(9));
/// assert_eq!(memory.read_u64(0x1000), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FnMemory<F>(
    /// Called with the physical address, a multiple of eight.
    pub F,
);

impl<F: Fn(u64) -> Option<u64>> PhysMemory for FnMemory<F> {
    fn read_u64(&self, address: u64) -> Option<u64> {
        (self.0)(address)
    }
}
