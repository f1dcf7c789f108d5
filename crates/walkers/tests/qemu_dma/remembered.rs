//! What an IOMMU remembers, and how it forgets it: the same for all of them.

use walkers::{Access, Forget, Mmu, Regime};

use crate::bed::{Bed, place};

/// A page that leads to `old`, then to `new`, then nowhere.
pub(crate) struct Page<'p> {
    pub(crate) regime: &'p Regime,
    pub(crate) asid: u16,
    pub(crate) address: u64,
    pub(crate) old: u64,
    pub(crate) new: u64,
    /// What it permits.
    pub(crate) accesses: [Access; 2],
    /// Has it lead to a target, and says where its entry is.
    pub(crate) map: &'p dyn Fn(&mut Bed, u64) -> u64,
}

impl Page<'_> {
    /// Fails unless it is remembered until each of `forgets` is forgotten, and while `others` are.
    pub(crate) fn is_remembered_until(
        &self,
        bed: &mut Bed,
        mmu: &mut dyn Mmu,
        forgets: &[Forget],
        others: &[Forget],
    ) {
        assert!(mmu.says(self.regime).unwrap().remembers);
        let found =
            |mmu: &mut dyn Mmu| self.accesses.map(|access| place(mmu, self.address, access));
        let (old, new) = ([Ok(self.old); 2], [Ok(self.new); 2]);
        for &forget in forgets {
            (self.map)(bed, self.old);
            mmu.install(self.regime, self.asid).unwrap();
            assert_eq!(found(mmu), old);
            let entry = (self.map)(bed, self.new);
            for &other in others {
                mmu.forget(other).unwrap();
            }
            assert_eq!(found(mmu), old, "nothing was forgotten");
            mmu.forget(forget).unwrap();
            assert_eq!(found(mmu), new, "{forget:?}");
            bed.write(entry, 0);
            assert_eq!(found(mmu), new, "stale");
            mmu.forget(forget).unwrap();
            assert!(found(mmu).iter().all(Result::is_err), "{forget:?}");
        }
    }
}

/// Installs each of `spaces`, twice, and fails where `address` does not lead to its target.
pub(crate) fn spaces_are_kept_apart(
    mmu: &mut dyn Mmu,
    address: u64,
    accesses: [Access; 2],
    spaces: &[(Regime, u16, u64)],
) {
    for (regime, asid, to) in [spaces, spaces].concat() {
        mmu.install(&regime, asid).unwrap();
        for access in accesses {
            assert_eq!(place(mmu, address, access), Ok(to), "{regime:x?} as {asid}");
        }
    }
}
