//! I/O page tables whose memory the caller controls.
//!
//! An IOMMU or a GPU's MMU translates device addresses through tables in memory. This crate
//! builds those tables, in the formats that the hardware walks, out of memory that *you* supply:
//! from a pool, a carve-out, a donated page, an account with a limit, or a reservation that a job
//! took when it was created.
//!
//! `no_std`, no dependencies, and no `alloc` unless you ask for [`memory::Heap`].
//!
//! # The shortest example
//!
//! ```
//! # #[cfg(feature = "alloc")] {
//! use iopgtable::{memory::Heap, Arm64S1, Config, Granule4K, Iova, IovaRange, PageTable};
//! use iopgtable::{PhysAddr, Prot, Segment, Unwalked};
//!
//! let mut table = PageTable::<Arm64S1<Granule4K>, _>::new(Config::new(48, 48), Heap::new())?;
//! let range = IovaRange::new(Iova(0x20_0000), 0x20_0000)?;
//! let memory = Segment::new(PhysAddr(0x8000_0000), 0x20_0000);
//! let gather = table.map(range, [memory], Prot::RW)?;
//! // No device walks this table, so there is nobody to forget anything.
//! table.finish(gather, &mut Unwalked)?;
//! assert_eq!(table.translate(Iova(0x20_1234)).unwrap().leaf_bytes, 2 << 20);
//! # }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # The rooms
//!
//! | module | what it holds |
//! |---|---|
//! | [`memory`] | table pages, the allocator traits with their contract, the allocators |
//! | [`mod@format`] | one file per format: geometry, entry encoding, registers |
//! | `table` | the engine: [`PageTable`] and its faces [`Reserved`], which cannot allocate, and [`SharedPageTable`], for many threads |
//! | `any` | [`AnyPageTable`]: one type for drivers that learn the format when they boot |
//! | `gather` | [`Gather`]: what the device must forget, and the tables that came loose |
//! | `segments`, `segment_list`, `packed` | [`Segments`]: what mappings are made of; [`SegmentList`]: looked at once; [`PackedSegment`]: in eight bytes |
//! | `geometry` | [`Geometry`]: levels, spans, leaf sizes, table counts |
//! | `addr`, `prot`, `error` | the vocabulary |

#![no_std]
#![warn(missing_debug_implementations)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod addr;
mod any;
mod error;
pub mod format;
mod gather;
mod geometry;
pub mod memory;
mod packed;
mod prot;
mod segment_list;
mod segments;
mod table;

pub use addr::{Iova, IovaRange, PhysAddr, RangeError, Segment};
pub use any::{AnyDump, AnyFormat, AnyPageTable, AnyRegisters, AnyReserved, ParseFormatError};
pub use error::{CreateError, ReservedError, TableError};
pub use format::{
    AmdV1, Arm32S1, Arm32S2, Arm64S1, Arm64S2, ArmMali, ArmV7s, Config, ConfigError, Dart, Format,
    Granule, Granule4K, Granule16K, Granule64K, Lpa2, MediaTek, Options, RiscV, Splits, Unextended,
    VtdS2, X86_64,
};
pub use gather::{
    BreakBeforeMake, Gather, Invalidate, InvalidateError, Invalidated, Invalidation, Unwalked,
};
pub use geometry::{FIRST_LEVEL, Geometry, LAST_LEVEL, MAX_LEVELS, TableCount};
pub use memory::{
    AllocContext, AllocError, Reservation, Reserver, TableAllocator, TableLayout, TableMemory,
};
pub use packed::{Listed, PackedSegment};
pub use prot::{Prot, ProtError};
pub use segment_list::{SegmentList, SegmentsError, SegmentsIter, SegmentsPart};
pub use segments::{SegmentSlice, Segments};
pub use table::{Cursor, Dump, PageTable, Reserved, SharedPageTable, Translation, Visit};
