//! Whatever fails, no page is used that the party reaches.

use iopgtable::TableCount;
use iopgtable::memory::{PageList, PartyError, TableAllocator, TableLayout, TablePage};
use proptest::prelude::*;

use crate::monitor::{Fail, Monitor};
use crate::pages::{
    BYTES, CONTEXT, Extend, REFUSED, UNKNOWN, check, donated, free, give_back, scribble,
};

#[derive(Clone, Debug)]
enum Step {
    Alloc { count: u64, bulk: bool, may_block: bool, layout: usize },
    Free { first: usize, count: usize, bulk: bool },
    Reclaim,
    Sleeps(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1u64..24, any::<bool>(), any::<bool>(), 0usize..4)
            .prop_map(|(count, bulk, may_block, layout)| Step::Alloc { count, bulk, may_block, layout }),
        6 => (any::<usize>(), 1usize..40, any::<bool>())
            .prop_map(|(first, count, bulk)| Step::Free { first, count, bulk }),
        1 => Just(Step::Reclaim),
        1 => any::<bool>().prop_map(Step::Sleeps),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 8 } else { 60 })
}

fn failures() -> impl Strategy<Value = Fail> {
    let error = prop_oneof![Just(REFUSED), Just(UNKNOWN), Just(PartyError::WouldBlock)];
    prop_oneof![
        1 => Just(Fail::Never),
        3 => (2u64..60, error).prop_map(|(every, error)| Fail::Every(every, error)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 192 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_fails_no_page_is_used_that_the_party_reaches(
        steps in steps(),
        (share, reclaim) in (failures(), failures()),
        takes_lists in any::<bool>(),
    ) {
        let monitor = Monitor::new(BYTES);
        {
            let mut rules = monitor.rules();
            (rules.fail_share, rules.fail_reclaim) = (share, reclaim);
            rules.takes_lists = takes_lists;
        }
        let donated = donated(&monitor);
        let mut out: Vec<TablePage> = Vec::new();
        let mut peak = 0;
        for step in steps {
            match step {
                Step::Alloc { count, bulk, may_block, layout } => {
                    let layout = TableLayout::new([64, 4096, 4096, 8192][layout]).unwrap();
                    let context = if may_block { CONTEXT } else { CONTEXT.non_blocking() };
                    monitor.rules().atomic = !may_block;
                    let before = donated.figures();
                    let pages = if bulk {
                        donated.alloc_bulk(layout, &TableCount::of(3, count), context)
                    } else {
                        donated.alloc(layout, context).map(|page| {
                            let mut pages = PageList::new();
                            pages.push(page);
                            pages
                        })
                    };
                    if let Ok(pages) = pages {
                        prop_assert_eq!(pages.len() as u64, if bulk { count } else { 1 });
                        out.extend(pages.map(scribble));
                    } else {
                        let after = donated.figures();
                        prop_assert_eq!(after.shared - after.pending, before.shared - before.pending);
                    }
                }
                Step::Free { first, count, bulk } => {
                    monitor.rules().atomic = true;
                    let first = first % (out.len() + 1);
                    let freed = out.drain(first..(first + count).min(out.len()));
                    if bulk {
                        let mut pages = PageList::new();
                        pages.extend_with(freed);
                        give_back(&donated, pages);
                    } else {
                        freed.for_each(|page| free(&donated, page));
                    }
                }
                Step::Reclaim => {
                    monitor.rules().atomic = false;
                    donated.reclaim_pending();
                }
                Step::Sleeps(sleeps) => monitor.rules().sleeps = sleeps,
            }
            peak = peak.max(out.len());
            check(&donated);
            let figures = donated.figures();
            prop_assert_eq!(figures.shared, out.len() + figures.pending);
        }
        for page in out {
 free(&donated, page);
 }
        {
            let mut rules = monitor.rules();
            rules.atomic = false;
            (rules.fail_share, rules.fail_reclaim) = (Fail::Never, Fail::Never);
        }
        donated.reclaim_pending();
        prop_assert_eq!(monitor.shared(), 0);
        check(&donated);
    }
}
