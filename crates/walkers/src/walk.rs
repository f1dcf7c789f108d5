//! The one question that every walker answers.

use crate::{Access, Fault, Translation};

/// Something that translates addresses the way a device's MMU does.
///
/// Each call walks afresh, unless the walker is documented to cache.
pub trait Walker {
    /// Translates `va`, a device virtual address (an IPA for a stage 2 walker), for `access`.
    ///
    /// # Errors
    ///
    /// The fault that the device would report. Of several possible faults it is the one with the
    /// highest priority: the first that the walk meets.
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault>;
}

impl<W: Walker + ?Sized> Walker for &W {
    fn translate(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        (**self).translate(va, access)
    }
}
