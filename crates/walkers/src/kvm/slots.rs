//! The copy of the root, and which of its entries is whose.

use super::Kvm;
use super::image::ROOM;
use super::machine::broken;
use crate::{MmuError, PhysMemory, Request, Unsupported, slot};

impl Kvm {
    /// Copies the root, all of it or the entries that were not present.
    pub(super) fn copy_root(&self, all: bool) -> Result<(), MmuError> {
        let Some((registers, _)) = self.installed else {
            return Err(MmuError::Broken("no root is installed".into()));
        };
        let root = registers.cr3;
        self.image
            .copy_root(all, |index| self.root_entry(index))
            .ok_or_else(|| Unsupported::new(format!("a root at {root:#x}: no RAM")).into())
    }

    /// An entry of the root under test.
    fn root_entry(&self, index: u64) -> Option<u64> {
        let (registers, _) = self.installed?;
        let entry = (registers.cr3 & 0x000f_ffff_ffff_f000) + 8 * index;
        self.ram.read_u64(entry).or_else(|| self.image.memory().read_u64(entry))
    }

    /// Whether the host keeps the entry of the root to itself that `request` needs.
    pub(super) fn is_kept(&self, Request { address, access }: Request, five: bool) -> bool {
        let own = slot::of(address, five);
        let kept = self.kept.contains(&(own, access.privilege));
        kept && !five && slot::canonical(address, five) == address
    }

    /// Has the guest's own things in a slot that none of `requests` needs. Says how many of these
    /// there are, which is all unless they need too many slots, and which entry of the copy takes
    /// the place of one that the host keeps, if they need such.
    pub(super) fn make_way(
        &mut self,
        requests: &[Request],
    ) -> Result<(usize, Option<u64>), MmuError> {
        let five = self.installed.is_some_and(|(registers, _)| registers.la57);
        let mut needed = [false; 512];
        let (mut left, mut count, mut kept) = (510 - self.kept.len(), 0, None);
        for request in requests.iter().take(ROOM) {
            let slot = slot::of(request.address, five);
            // CAST: below 512.
            let needed = &mut needed[slot as usize];
            if self.is_kept(*request, five) {
                if kept.is_some_and(|other| other != slot) {
                    break;
                }
                kept = Some(slot);
            } else if !*needed {
                if left == 0 {
                    break;
                }
                left -= 1;
                *needed = true;
            }
            count += 1;
        }
        // From the end, since most tests begin at the other one. There are always two.
        let free =
            |slot: &u64| !needed[*slot as usize] && self.kept.iter().all(|(kept, _)| kept != slot);
        let own = Some(self.image.slot()).filter(free).or_else(|| (0..512).rev().find(free));
        let alias = kept.and((0..512).rev().find(|slot| free(slot) && Some(*slot) != own));
        if let Some(own) = own.filter(|own| *own != self.image.slot()) {
            self.place(own, five)?;
        }
        if let (Some(alias), Some(kept)) = (alias, kept) {
            self.image.alias(alias, kept, |index| self.root_entry(index));
            self.flush()?;
        }
        Ok((count, alias))
    }

    /// Has the guest's own things in `slot`. What was known of the old place goes with the memory:
    /// paravirtual hosts have been seen to keep the pages that users had used there.
    pub(super) fn place(&mut self, slot: u64, five: bool) -> Result<(), MmuError> {
        self.image.place(slot, five);
        self.privilege = None;
        self.copy_root(true)?;
        self.machine.replug().map_err(|why| broken("its memory cannot be put in again", why))
    }
}
