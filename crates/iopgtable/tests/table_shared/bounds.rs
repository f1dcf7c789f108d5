//! A table can be shared if its memory can.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;

use iopgtable::memory::{Heap, Pool, Publish, Region};
use iopgtable::{ArmMali, PhysAddr, SharedPageTable};

use crate::machine::Memory;
use crate::tables::S1;

const fn send_and_sync<T: Send + Sync>() {}

const _: () = {
    send_and_sync::<SharedPageTable<S1, Heap>>();
    send_and_sync::<SharedPageTable<S1, Arc<Pool<Region>>>>();
    send_and_sync::<SharedPageTable<ArmMali, &Memory>>();
};

/// Two answers for a type that is `Sync`, which is one too many; one for a type that is not.
trait NotSync<Answer> {
    const FOUND: bool = true;
}

impl<T: ?Sized> NotSync<()> for T {}

impl<T: ?Sized + Sync> NotSync<u8> for T {}

struct Here(Cell<()>);

// SAFETY: nothing walks a table.
unsafe impl Publish for Here {
    fn publish(&self, _: NonNull<u8>, _: PhysAddr, _: usize) {}
}

/// An allocator that stays on its thread makes a table that does.
const _: () = assert!(<SharedPageTable<S1, Region<Here>> as NotSync<_>>::FOUND);
