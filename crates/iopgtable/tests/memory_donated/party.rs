//! What parties may leave to the trait, and what nonsense they may say.

use iopgtable::memory::{BulkError, Donated, Party, PartyError, Region};
use iopgtable::{PhysAddr, Segment};

use crate::pages::{BYTES, PAGE, REFUSED, UNKNOWN, bulk, give_back};

/// A party that has no bulk forms, and answers by address.
struct Single;

fn answer(page: Segment) -> Result<(), PartyError> {
    match page.phys.0 {
        0x3000 => Err(REFUSED),
        0x5000 => Err(UNKNOWN),
        _ => Ok(()),
    }
}

// SAFETY: nobody walks.
unsafe impl Party for Single {
    fn share(&self, page: Segment, _: bool) -> Result<(), PartyError> {
        answer(page)
    }
    fn reclaim(&self, page: Segment, _: bool) -> Result<(), PartyError> {
        answer(page)
    }
}

#[test]
fn a_party_without_bulk_forms_is_asked_page_by_page_up_to_its_first_error() {
    let pages = [0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000];
    let pages = pages.map(|phys| Segment::new(PhysAddr(phys), 4096));
    let refused = Err(BulkError { done: 2, unknown: 0, error: REFUSED });
    let unknown = Err(BulkError { done: 1, unknown: 1, error: UNKNOWN });
    for party in [&Single as &dyn Party, &&Single] {
        assert_eq!(party.share_bulk(&pages, true), refused);
        assert_eq!(party.share_bulk(&pages[3..], true), unknown);
        assert_eq!(party.reclaim_bulk(&pages, true), refused);
        assert_eq!(party.reclaim_bulk(&pages[3..], true), unknown);
        assert_eq!(party.reclaim_bulk(&pages[..2], true), Ok(()));
        assert_eq!(party.granule(), PAGE);
    }
}

/// A party that says nonsense.
struct Confused;

// SAFETY: nobody walks.
unsafe impl Party for Confused {
    fn share(&self, _: Segment, _: bool) -> Result<(), PartyError> {
        Ok(())
    }
    fn reclaim(&self, _: Segment, _: bool) -> Result<(), PartyError> {
        Ok(())
    }
    fn reclaim_bulk(&self, _: &[Segment], _: bool) -> Result<(), BulkError> {
        let (done, unknown) = (usize::MAX, usize::MAX);
        Err(BulkError { done, unknown, error: UNKNOWN })
    }
}

#[test]
fn numbers_out_of_range_do_no_harm() {
    let region = Region::with_capacity(PhysAddr(0), BYTES).unwrap();
    let donated = Donated::new(&region, Confused);
    give_back(&donated, bulk(&donated, 20).unwrap());
    assert_eq!((region.in_use(), donated.figures().shared), (0, 0));
}
