//! Tables: create, map, unmap, protect, destroy.

use iopgtable::memory::Heap;
use iopgtable::{AnyPageTable, AnyRegisters, Gather, IovaRange, TableError};

use crate::allocator::Source;
use crate::arguments::{
    engine_segments, prot, range, range_of, read, segments, write, write_optional,
};
use crate::config;
use crate::gather::GatherHandle;
use crate::guard::{guard, guard_table};
use crate::status::{Status, detail};
use crate::types::{Allocator, Config, Detail, Range, Registers, Segment, Shape};

/// A page table.
pub struct Table {
    pub(crate) inner: AnyPageTable<Source>,
    /// Which table this is, for gathers; never used again.
    pub(crate) number: u64,
    /// Whether a panic has left the table in an unknown state.
    pub(crate) interrupted: bool,
}

impl Table {
    /// Runs `operation` and adds what it returns to `gather`.
    pub(crate) fn run(
        &mut self,
        gather: &mut GatherHandle,
        error: Option<&mut Detail>,
        operation: impl FnOnce(&mut AnyPageTable<Source>) -> Result<Gather, TableError>,
    ) -> Result<(), Status> {
        gather.prepare(self)?;
        let inner = &mut self.inner;
        let outcome = guard_table(&mut self.interrupted, || Ok(operation(inner)))?;
        gather.add(outcome.map_err(|refused| refuse(&refused, error))?);
        Ok(())
    }
}

/// Stores the values of a refusal; returns its status.
pub(crate) fn refuse(refused: &TableError, error: Option<&mut Detail>) -> Status {
    if let Some(error) = error {
        *error = detail(refused);
    }
    Status::from(refused)
}

/// Makes an empty table and stores it in `*table`. Without an `allocator` (null) its tables come
/// from the C library's heap, physical addresses being pointers: for walkers in the same process.
///
/// Fails with `NULL_ARGUMENT` (also for an allocator that lacks `alloc` or `free`, or has only one
/// of `virt_to_phys` and `phys_to_virt`), `UNALIGNED_ARGUMENT`, `FORMAT`, `ADDRESS_SIZE`, `OPTIONS`
/// or `NO_MEMORY`; `*table` is then unchanged.
///
/// # Safety
///
/// The pointers are null or valid. The allocator's callbacks keep what is written about them, for
/// as long as the table or a reservation for it exists, from any thread that uses one of these,
/// and do not unwind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_create(
    config: *const Config,
    allocator: *const Allocator,
    table: *mut *mut Table,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (config, out) = unsafe { (read(config)?, write(table)?) };
        let source = if allocator.is_null() {
            Source::Heap(Heap::new())
        } else {
            // SAFETY: null or valid, and the callbacks keep their word.
            unsafe { Source::new(read(allocator)?)? }
        };
        let inner = config::create(config, source)?;
        let number = crate::gather::next_number();
        *out = Box::into_raw(Box::new(Table { inner, number, interrupted: false }));
        Ok(())
    })
}

/// Destroys a table and frees everything that it holds, tables that were abandoned included. Null
/// is `NULL_ARGUMENT`. Tables in a gather that was not finished are lost.
///
/// A table that a fault has interrupted is left in memory as it is (`INTERNAL`).
///
/// # Safety
///
/// `table` is null or came from `iopgtable_create`, is not used any more, and no device walks it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_destroy(table: *mut Table) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        if unsafe { write(table)? }.interrupted {
            return Err(Status::Internal);
        }
        // SAFETY: `iopgtable_create` made it of a box; nobody uses it any more.
        drop(unsafe { Box::from_raw(table) });
        Ok(())
    })
}

/// Stores the shape of a table. Fails with `NULL_ARGUMENT` or `UNALIGNED_ARGUMENT`.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_shape(table: *const Table, shape: *mut Shape) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, shape) = unsafe { (read(table)?, write(shape)?) };
        let geometry = table.inner.geometry();
        *shape = Shape {
            granule: geometry.granule(),
            table_bytes: geometry.table_bytes(),
            root_bytes: geometry.root_bytes(),
            leaf_sizes: geometry.leaf_sizes().sum(),
            first_iova: geometry.first_iova().0,
            last_iova: geometry.last_iova().0,
            last_phys: geometry.last_phys().0,
            first_level: geometry.first_level().into(),
            levels: geometry.levels().into(),
        };
        Ok(())
    })
}

/// Stores what to program so that a device walks the table. Fails with `NULL_ARGUMENT` or
/// `UNALIGNED_ARGUMENT`.
///
/// # Safety
///
/// The pointers are null or valid. From the moment that a device is given these values, until it
/// has been made to forget them: it may do with the mapped memory what the mappings allow, the
/// table must not be destroyed, and a gather may be finished only after this device, too, has
/// forgotten what the gather names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_registers(
    table: *const Table,
    registers: *mut Registers,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, registers) = unsafe { (read(table)?, write(registers)?) };
        // SAFETY: the caller takes this function's contract on, which is the same.
        *registers = pack(unsafe { table.inner.registers() })?;
        Ok(())
    })
}

/// The registers of any format as C gets them.
fn pack(registers: AnyRegisters) -> Result<Registers, Status> {
    let (root, control, attributes) = match registers {
        AnyRegisters::Arm64S1(values) => (values.ttbr, values.tcr, values.mair),
        AnyRegisters::Arm64S2(values) => (values.vttbr, values.vtcr, 0),
        AnyRegisters::Arm32S1(values) => {
            let [low, high] = values.mair.map(u64::from);
            (values.ttbr, values.ttbcr.into(), low | high << 32)
        }
        AnyRegisters::Arm32S2(values) => (values.vttbr, values.vtcr.into(), 0),
        AnyRegisters::ArmMali(values) => (values.transtab, 0, values.memattr),
        AnyRegisters::Dart(values) => {
            let [first, second, third, fourth] = values.ttbr.map(u64::from);
            (first | second << 32, third | fourth << 32, 0)
        }
        AnyRegisters::RiscV(values) => {
            let bits = [values.hardware_updates, values.memory_types, values.napot];
            let control =
                bits.iter().zip(0..).fold(0, |all, (&on, bit)| all | u64::from(on) << bit);
            (values.atp, control, 0)
        }
        AnyRegisters::VtdS2(values) => (values.pasid_entry[0], values.pasid_entry[1], 0),
        AnyRegisters::X86_64(values) => (values.cr3, values.cr4, values.pat),
        AnyRegisters::ArmV7s(values) => {
            let remap = u64::from(values.prrr) | u64::from(values.nmrr) << 32;
            (values.ttbr.into(), values.ttbcr.into(), remap)
        }
        AnyRegisters::AmdV1(values) => (values.dte, values.coherent.into(), 0),
        _ => return Err(Status::Internal),
    };
    Ok(Registers { root, control, attributes })
}

/// Maps a scatter list: `count` segments, one after the other, from `iova` on, with permissions
/// `prot` (`IOPGTABLE_READ` and so on). Leaves are as large as alignment in both address spaces
/// and the segments' lengths allow. What the device must forget, which for a map is almost always
/// nothing, is added to `gather`.
///
/// All or nothing: after a failure everything is mapped as before. Fails with `NULL_ARGUMENT`,
/// `UNALIGNED_ARGUMENT`, `RANGE` (no segments, or a length beyond 2^64), `UNALIGNED`,
/// `INPUT_RANGE`, `UNALIGNED_SEGMENT`, `OUTPUT_RANGE`, `PROT`, `OVERLAP`, `NO_MEMORY`,
/// `WRONG_TABLE` or `INTERNAL`, with values in `*error` unless that is null.
///
/// # Safety
///
/// The pointers are null or valid; `segments` points to `count` segments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_map(
    table: *mut Table,
    iova: u64,
    segments: *const Segment,
    count: usize,
    prot: u32,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, gather, error) =
            unsafe { (write(table)?, write(gather)?, write_optional(error)?) };
        // SAFETY: null or valid, and as many as `count` says.
        let segments = unsafe { self::segments(segments, count)? };
        let (range, prot) = (range_of(iova, segments)?, self::prot(prot)?);
        table.run(gather, error, |table| table.map(range, engine_segments(segments), prot))
    })
}

/// Unmaps `bytes` bytes from `iova` on, and adds what the device must forget, and the tables that
/// came loose, to `gather`. Parts that map nothing are no failure. A leaf that sticks out of the
/// range is cut into smaller ones, which takes tables.
///
/// `hole` says where nothing is mapped around the range, as far as the caller knows; null where
/// nothing is known. Tables whose whole span lies in the hole come loose. What is mapped in the
/// hole but not in the range is lost with them, without being named in the gather.
///
/// All or nothing. Fails with `NULL_ARGUMENT`, `UNALIGNED_ARGUMENT`, `RANGE`, `UNALIGNED`,
/// `INPUT_RANGE`, `HOLE`, `SPLIT`, `NO_MEMORY`, `WRONG_TABLE` or `INTERNAL`, with values in
/// `*error` unless that is null.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_unmap(
    table: *mut Table,
    iova: u64,
    bytes: u64,
    hole: *const Range,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, gather, error) =
            unsafe { (write(table)?, write(gather)?, write_optional(error)?) };
        let range = self::range(iova, bytes)?;
        // SAFETY: null or valid.
        let hole = unsafe { hole_or(hole, range)? };
        table.run(gather, error, |table| table.unmap(range, hole))
    })
}

/// Removes what the `bytes` bytes from `iova` on map but keeps all tables, so that mapping them
/// again soon, as after an eviction, takes none. A leaf that sticks out of the range is cut.
///
/// All or nothing. Fails as `iopgtable_unmap` does, but never with `HOLE`.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_clear(
    table: *mut Table,
    iova: u64,
    bytes: u64,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, gather, error) =
            unsafe { (write(table)?, write(gather)?, write_optional(error)?) };
        let range = self::range(iova, bytes)?;
        table.run(gather, error, |table| table.clear(range))
    })
}

/// Changes what the `bytes` bytes from `iova` on allow, and their memory type, to `prot`, where
/// they map anything. A leaf that sticks out of the range is cut. What hardware has noted in the
/// leaves is lost.
///
/// All or nothing. Fails as `iopgtable_unmap` does, but never with `HOLE`; and with `PROT`.
///
/// # Safety
///
/// The pointers are null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iopgtable_protect(
    table: *mut Table,
    iova: u64,
    bytes: u64,
    prot: u32,
    gather: *mut GatherHandle,
    error: *mut Detail,
) -> Status {
    guard(|| {
        // SAFETY: null or valid.
        let (table, gather, error) =
            unsafe { (write(table)?, write(gather)?, write_optional(error)?) };
        let (range, prot) = (self::range(iova, bytes)?, self::prot(prot)?);
        table.run(gather, error, |table| table.protect(range, prot))
    })
}

/// What `hole` says, or `range`.
///
/// # Safety
///
/// `hole` is null or valid.
pub(crate) unsafe fn hole_or(hole: *const Range, range: IovaRange) -> Result<IovaRange, Status> {
    if hole.is_null() {
        return Ok(range);
    }
    // SAFETY: valid.
    let hole = unsafe { read(hole)? };
    self::range(hole.iova, hole.bytes)
}
