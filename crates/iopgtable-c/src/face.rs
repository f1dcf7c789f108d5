//! One face for tables of all formats: what a C handle holds.

use iopgtable::format::{MaliRegisters, Stage1Registers, Stage2Registers};
use iopgtable::memory::Reserver;
use iopgtable::{
    Arm64S1, Arm64S2, ArmMali, Config, Format, Gather, Geometry, Granule, Granule4K, Granule16K,
    Granule64K, Invalidated, Iova, IovaRange, PageTable, Prot, Reservation, ReservedError,
    TableError, Translation, Visit,
};

use crate::allocator::Source;
use crate::arguments::engine_segment;
use crate::status::Status;
use crate::types::{self, Registers, Segment};

/// A page table of some format. Each method is [`PageTable`]'s of the same name.
pub(crate) trait Face {
    fn geometry(&self) -> &Geometry;
    /// # Safety
    ///
    /// As for [`PageTable::registers`].
    unsafe fn registers(&self) -> Registers;
    fn map(
        &mut self,
        range: IovaRange,
        segments: &[Segment],
        prot: Prot,
    ) -> Result<Gather, TableError>;
    fn unmap(&mut self, range: IovaRange, hole: IovaRange) -> Result<Gather, TableError>;
    fn translate(&self, iova: Iova) -> Option<Translation>;
    fn visit(&self, range: IovaRange, visitor: &mut dyn FnMut(Visit));
    fn free(&self, invalidated: Invalidated) -> usize;
    fn quarantine(&mut self, gather: Gather);
    fn reserver(&self) -> Reserver<Source>;
    /// Nothing where the reservation is another table's.
    fn reserved(
        &mut self,
        reservation: &mut Reservation<Source>,
        operation: Operation<'_>,
    ) -> Option<Result<Gather, ReservedError>>;
}

/// What runs on a reservation.
#[derive(Clone, Copy)]
pub(crate) enum Operation<'a> {
    Map(IovaRange, &'a [Segment], Prot),
    Replace(IovaRange, &'a [Segment], Prot),
    Unmap(IovaRange, IovaRange),
}

/// A format whose registers C knows.
trait CRegisters: Format {
    fn pack(registers: Self::Registers) -> Registers;
}

impl<G: Granule> CRegisters for Arm64S1<G> {
    fn pack(Stage1Registers { ttbr, tcr, mair, .. }: Stage1Registers) -> Registers {
        Registers { root: ttbr, control: tcr, attributes: mair }
    }
}

impl<G: Granule> CRegisters for Arm64S2<G> {
    fn pack(Stage2Registers { vttbr, vtcr, .. }: Stage2Registers) -> Registers {
        Registers { root: vttbr, control: vtcr, attributes: 0 }
    }
}

impl CRegisters for ArmMali {
    fn pack(MaliRegisters { transtab, memattr, .. }: MaliRegisters) -> Registers {
        Registers { root: transtab, control: 0, attributes: memattr }
    }
}

impl<F: CRegisters> Face for PageTable<F, Source> {
    fn geometry(&self) -> &Geometry {
        self.geometry()
    }

    unsafe fn registers(&self) -> Registers {
        // SAFETY: the caller's promise is passed on.
        F::pack(unsafe { self.registers() })
    }

    fn map(
        &mut self,
        range: IovaRange,
        segments: &[Segment],
        prot: Prot,
    ) -> Result<Gather, TableError> {
        self.map(range, segments.iter().map(engine_segment), prot)
    }

    fn unmap(&mut self, range: IovaRange, hole: IovaRange) -> Result<Gather, TableError> {
        self.unmap(range, hole)
    }

    fn translate(&self, iova: Iova) -> Option<Translation> {
        self.translate(iova)
    }

    fn visit(&self, range: IovaRange, visitor: &mut dyn FnMut(Visit)) {
        self.visit(range, visitor);
    }

    fn free(&self, invalidated: Invalidated) -> usize {
        self.free(invalidated)
    }

    fn quarantine(&mut self, gather: Gather) {
        self.quarantine(gather);
    }

    fn reserver(&self) -> Reserver<Source> {
        self.reserver()
    }

    fn reserved(
        &mut self,
        reservation: &mut Reservation<Source>,
        operation: Operation<'_>,
    ) -> Option<Result<Gather, ReservedError>> {
        let mut reserved = self.reserved(reservation)?;
        Some(match operation {
            Operation::Map(range, segments, prot) => {
                reserved.map(range, segments.iter().map(engine_segment), prot)
            }
            Operation::Replace(range, segments, prot) => {
                reserved.replace(range, segments.iter().map(engine_segment), prot)
            }
            Operation::Unmap(range, hole) => reserved.unmap(range, hole),
        })
    }
}

/// An empty table as `config` says.
pub(crate) fn create(config: &types::Config, source: Source) -> Result<Box<dyn Face>, Status> {
    match (config.format, config.granule) {
        (types::IOPGTABLE_ARM64_S1, 0x1000) => table::<Arm64S1<Granule4K>>(config, source),
        (types::IOPGTABLE_ARM64_S1, 0x4000) => table::<Arm64S1<Granule16K>>(config, source),
        (types::IOPGTABLE_ARM64_S1, 0x1_0000) => table::<Arm64S1<Granule64K>>(config, source),
        (types::IOPGTABLE_ARM64_S2, 0x1000) => table::<Arm64S2<Granule4K>>(config, source),
        (types::IOPGTABLE_ARM64_S2, 0x4000) => table::<Arm64S2<Granule16K>>(config, source),
        (types::IOPGTABLE_ARM64_S2, 0x1_0000) => table::<Arm64S2<Granule64K>>(config, source),
        (types::IOPGTABLE_ARM_MALI, 0x1000) => table::<ArmMali>(config, source),
        _ => Err(Status::Format),
    }
}

fn table<F: CRegisters>(config: &types::Config, source: Source) -> Result<Box<dyn Face>, Status> {
    let bits = |bits| u8::try_from(bits).map_err(|_| Status::AddressSize);
    let sizes = Config::new(bits(config.input_bits)?, bits(config.output_bits)?);
    Ok(Box::new(PageTable::<F, Source>::new(sizes, source)?))
}
