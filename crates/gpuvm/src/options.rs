//! What a VM may have besides its tables.

use alloc::sync::Arc;
use core::fmt;

use crate::flight::InFlight;

/// Who says what is charged for a VM, in bytes.
pub(crate) type Charged = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a [`Vm`](crate::Vm) may have besides its tables.
///
/// ```
/// use std::sync::Arc;
/// use gpuvm::{InFlight, Vm, VmOptions};
/// use iopgtable::memory::{Account, Accounted, Heap};
/// use iopgtable::{Arm64S1, Config, Granule4K, Unwalked};
///
/// let account = Arc::new(Account::new("process 7", 1 << 20));
/// let charged = Arc::clone(&account);
/// let options = VmOptions::new()
///     .in_flight(InFlight::new(256 << 10))
///     .spare_pages(true)
///     .charged(move || charged.charged());
/// let allocator = Accounted::new(Heap::new(), Arc::clone(&account));
/// let vm = Vm::<Arm64S1<Granule4K>, _, _>::with_options(
///     Config::new(48, 48), allocator, Unwalked, options,
/// )?;
/// assert_eq!(vm.state().charged, Some(account.charged()));
/// # Ok::<(), iopgtable::CreateError>(())
/// ```
#[derive(Clone)]
pub struct VmOptions {
    pub(crate) in_flight: Option<Arc<InFlight>>,
    pub(crate) spare: bool,
    pub(crate) record: usize,
    pub(crate) charged: Option<Charged>,
}

impl VmOptions {
    /// How many operations a VM remembers if nothing else is said.
    pub const RECORD: usize = 32;

    /// No limit, no spare pages, a short memory.
    pub const fn new() -> Self {
        Self { in_flight: None, spare: false, record: Self::RECORD, charged: None }
    }

    /// The limit on what queued jobs hold, which VMs of a device or of an account share.
    #[must_use]
    pub fn in_flight(mut self, in_flight: Arc<InFlight>) -> Self {
        self.in_flight = Some(in_flight);
        self
    }

    /// Whether the VM holds as many pages as one unmap can need (four with granules of 4 KiB),
    /// for unmaps that cut a block when its allocator has none. They are taken, and charged, when
    /// the VM is made; they come again from the allocator, or from tables that come loose, before
    /// the next such unmap is admitted.
    #[must_use]
    pub const fn spare_pages(mut self, spare: bool) -> Self {
        self.spare = spare;
        self
    }

    /// How many operations that have run the VM remembers.
    #[must_use]
    pub const fn record(mut self, operations: usize) -> Self {
        self.record = operations;
        self
    }

    /// Who says what is charged for the VM, for its [`State`](crate::State).
    #[must_use]
    pub fn charged(mut self, charged: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.charged = Some(Arc::new(charged));
        self
    }
}

impl Default for VmOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VmOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmOptions")
            .field("in_flight", &self.in_flight)
            .field("spare_pages", &self.spare)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}
