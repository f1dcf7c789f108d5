//! What a walker reads tables from.

/// Physical memory, as the table walker of a device sees it.
pub trait PhysMemory {
    /// Reads the eight bytes at the physical address `address` as a little-endian number.
    ///
    /// Walkers only ask for multiples of eight. `None` is a bus error; a walker turns it into
    /// [`FaultKind::ExternalAbort`](crate::FaultKind::ExternalAbort).
    fn read_u64(&self, address: u64) -> Option<u64>;

    /// Reads a table's entry, of which the walk says what it takes it for. Entries of four bytes
    /// come back in the lower half.
    ///
    /// This is how walkers read. It is [`read_u64`](Self::read_u64) unless the memory wants to
    /// know more than the address, as what remembers walks does.
    fn read_entry(&self, entry: &EntryRead) -> Option<u64> {
        let word = self.read_u64(entry.address & !7)?;
        Some(match entry.width {
            EntryWidth::Eight => word,
            EntryWidth::Four => word >> (8 * (entry.address & 4)) & 0xffff_ffff,
        })
    }
}

/// One read of a table's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryRead {
    /// The entry's physical address, a multiple of its width.
    pub address: u64,
    /// How wide it is.
    pub width: EntryWidth,
    /// The level of the lookup, as Arm counts.
    pub level: i8,
    /// The first input address that the entry is for.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// Why it is read.
    pub role: EntryRole,
}

/// How wide a table's entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryWidth {
    /// Four bytes.
    Four,
    /// Eight bytes.
    Eight,
}

/// Why an entry is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryRole {
    /// It is on the way to the address that was asked for.
    Walk,
    /// It is one of a group of leaves that stand for one, and must agree with the others. The
    /// group is read after the member on the way.
    Group,
    /// It is on a way through stage 2 which a walk of two stages has to go: to an entry of stage 1,
    /// or to where stage 1 leads. Its input addresses are intermediate ones.
    Stage2,
}

impl EntryRead {
    /// The entry at `address` of eight bytes, which is on the way to `input` and for an aligned
    /// range of 2^`span_bits` bytes.
    pub(crate) const fn on_way(address: u64, level: i8, input: u64, span_bits: u8) -> Self {
        let within = if span_bits < 64 { (1 << span_bits) - 1 } else { u64::MAX };
        Self {
            address,
            width: EntryWidth::Eight,
            level,
            first: input & !within,
            last: input | within,
            role: EntryRole::Walk,
        }
    }

    /// The same as one of a group.
    pub(crate) const fn of_group(self) -> Self {
        Self { role: EntryRole::Group, ..self }
    }
}

impl<T: PhysMemory + ?Sized> PhysMemory for &T {
    fn read_u64(&self, address: u64) -> Option<u64> {
        (**self).read_u64(address)
    }

    fn read_entry(&self, entry: &EntryRead) -> Option<u64> {
        (**self).read_entry(entry)
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
