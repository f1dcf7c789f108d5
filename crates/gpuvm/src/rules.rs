//! Rules and pains of drivers with asynchronous binds, what this crate does about each, and the
//! test that shows it.
//!
//! The rules are those of Linux's `Documentation/gpu/drm-vm-bind-async.rst`,
//! `drm-vm-bind-locking.rst`, and of the comments in `drivers/dma-buf/dma-fence.c`; the pains are
//! those of its drivers and of their mailing lists. Tests are named by file (or folder) and function;
//! those of `iopgtable`, by crate, file and function.
//!
//! # Rules of asynchronous binds
//!
//! | rule | what we do | test |
//! |---|---|---|
//! | A synchronous bind takes no fences and is done when it returns. | [`Vm::bind`] | `queue::a_bind_is_done_when_it_returns` |
//! | An asynchronous bind waits for all in-points before its first operation. | a job runs when all are reached | `queue::a_job_waits_for_all_its_in_points_and_run_ready_counts_what_is_left` |
//! | It signals its out-points after its last one. | after the device has forgotten and ended | `queue::out_points_signal_after_the_device_has_forgotten_and_ended` |
//! | Operations of a list complete in order. | steps of a job run in order, later ones see earlier ones | `submit::an_unmap_inside_the_same_list_sees_what_the_list_has_mapped` |
//! | Jobs keep their order within a bind context ... | within a queue | `queue::jobs_run_in_submission_order_even_where_later_ones_are_ready_first` |
//! | ... and not across contexts. | queues overtake where jobs do not meet | `queues::jobs_that_do_not_meet_overtake_each_other` |
//! | What they touch in common stays in order. | ranges, cut leaves and loose tables keep it | `queues::random_jobs_that_share_tables_but_no_addresses_are_exact` |
//! | Errors are reported at submission. | all checks are there | `submit::a_list_with_a_bad_operation_changes_nothing_and_names_it` |
//! | Low memory may make a submission block. | [`Vm::submit_until`] waits | `spare::an_unmap_with_a_deadline_waits_for_memory_and_not_longer` |
//! | Fences of the memory itself are waited for before the call returns. | they are in-points, or the caller waits before a [`Vm::bind`]: a [`Backing`] is memory that is pinned | `modes::memory_that_is_on_its_way_is_mapped_when_its_fence_says_so` |
//! | Long-running VMs have no fences to signal. | points are given by the caller, or not at all | `submit::jobs_without_changes_only_synchronise` |
//! | The same operations are there in both modes. | `bind` is `submit` and a wait | `modes::every_operation_does_the_same_in_both_modes` |
//! | No operations: synchronisation only. | a job without steps | `submit::jobs_without_changes_only_synchronise` |
//! | A failed call leaves the VM unchanged: a job ... | the draft is undone | `submit::a_failed_allocation_at_any_place_changes_nothing_and_leaks_nothing` |
//! | ... and a list of jobs. | one draft for the list | `list::a_bad_operation_anywhere_in_a_list_changes_nothing_and_names_job_and_operation` |
//! | Too much is refused as such, and may be tried again. | [`SubmitReason`] has the amounts | `submit::an_account_that_is_full_refuses_until_its_limit_is_raised` |
//! | Unbinding never fails for want of resources. | spare pages, which come back | `spare::unmaps_keep_succeeding_on_spare_pages_that_come_back` |
//! | An unexpected failure bans the VM; later use fails as such. | [`Ban`], [`SubmitReason::Banned`] | `ban::a_device_that_fails_bans_the_vm_and_the_ban_says_which_job_and_why` |
//! | What is mapped can be unbound even then. | [`Vm::teardown`] | `teardown::a_banned_vm_refuses_jobs_but_can_be_torn_down` |
//!
//! # Rules of locking
//!
//! | rule | what we do | test |
//! |---|---|---|
//! | One lock order. | written at `vm::Inner`; callbacks run under no lock, or the live table's alone | `submit::operations_may_be_made_by_asking_the_vm` |
//! | What the signalling section touches has a lock of its own. | plan and live table are apart | `state::the_state_can_be_read_in_the_middle_of_a_job` |
//! | Mappings go when the VM is closed, not with their memory. | the VM holds references to backings | `teardown::a_teardown_of_a_whole_gib_frees_its_tables_and_lets_backings_go` |
//! | Memory stays while the device may reach it. | jobs hold what they unmap until they have run | `held::a_backing_is_held_until_what_takes_its_place_has_run` |
//! | ... also when a job fails. | stopped jobs hold it until it is torn down | `held::what_a_device_did_not_forget_is_held_until_it_has` |
//! | No page goes back to the allocator while the device may use it. | loose tables are freed with the proof alone | `ban::tables_that_the_device_may_still_walk_are_not_handed_out_again` |
//! | Tables are freed at the unbind; a zap clears entries only. | [`Vm::evict`] clears leaves and keeps tables | `evict::an_eviction_keeps_the_tables_and_a_restoration_needs_none` |
//!
//! # Rules of fences
//!
//! | rule | what we do | test |
//! |---|---|---|
//! | Bounded time. | a job runs when it is ready, and waits for nothing in the middle | `worker::any_graph_of_jobs_without_a_cycle_comes_to_its_end` |
//! | What must not be in the section is noticed. | by type, and a counting allocator | `no_alloc::an_allocation_on_the_way_is_noticed` |
//! | The section begins when the fence is there. | nothing can fail between queueing and running | `submit::a_failed_allocation_at_any_place_changes_nothing_and_leaks_nothing` |
//! | No lock is taken that an allocation may be made under. | tables are allocated under the plan's lock, which running takes never; lists grow under locks that running takes for a moment, from the global allocator, which must not wait for jobs | `sleeping::an_allocation_may_wait_for_a_job_that_is_queued` |
//! | No allocation. | by type: [`iopgtable::Reserved`]; counted | `no_alloc::jobs_of_many_queues_run_without_an_allocation_whatever_overtakes_what` |
//!
//! # Pains
//!
//! | pain | what we do | test |
//! |---|---|---|
//! | 1. Reservations for the worst case: 514 tables for a GiB that takes 2. | exact ones | `exact::an_aligned_gib_of_2_mib_blocks_takes_two_tables` |
//! | 2. Queued jobs cannot share what they reserve. | the plan knows what earlier ones will make; one pool for all | `queues::random_jobs_of_many_queues_leave_exactly_what_the_plan_says` |
//! | 3. Unaccounted memory ... | tables, reserved, spare and linked, are charged | `pooled::charges_are_what_is_linked_and_all_pages_come_back` |
//! | ... and arbitrary limits on what is in flight. | [`InFlight`], in bytes, shared | `in_flight::a_flood_of_small_binds_of_one_vm_neither_holds_all_memory_nor_starves_another` |
//! | 4. Zeroing and mapping for DMA in the signalling path. | pages come zeroed and published from a pool | `no_alloc::each_kind_of_job_runs_without_an_allocation` |
//! | 5. Freed pages are used again before the flush. | loose tables wait for the proof | `stale::everything_that_a_job_makes_stale_is_forgotten` |
//! | 6. Freed tables do not serve the next job. | through the pool, or as spare pages | `pooled::a_page_that_came_loose_serves_the_next_job_from_the_pool` |
//! | 7. Empty tables stay for ever. | an unmap lets them go | `exact::random_histories_are_exact_s1_4k` |
//! | 8. No splits, so no large pages. | blocks are cut exactly | `exact::an_unmap_in_the_middle_of_a_block_takes_the_tables_that_cut_it` |
//! | 9. The allocator does not know what a page is for. | it is told level, root or not, address | `iopgtable/memory_hooks::the_callbacks_get_the_cookie_and_what_the_page_is_for` |
//! | 10. Nothing says that allocating is forbidden. | the type does | `no_alloc::an_allocation_on_the_way_is_noticed` |
//! | 11. Partial results, loops in drivers, warnings on user input. | ranges whole or not at all, errors with data | `submit::a_list_with_a_bad_operation_changes_nothing_and_names_it` |
//! | 12. Hand-written counts. | one formula, checked against two others | `exact::random_histories_are_exact_mali` |
//! | 13. Unmap fails for want of memory; a failed job has no name. | spare pages or patience; the ban names job, operation, reason | `teardown::a_ban_names_the_operation_that_the_device_did_not_forget` |
//! | 14. Lists are not atomic. | they are | `list::a_failed_allocation_at_any_place_of_a_list_changes_nothing` |
//! | 15. Restoring needs a reservation under a dropped lock. | none for leaves of the same sizes; otherwise the exact tables, at submission | `evict::a_restoration_with_other_leaf_sizes_takes_and_frees_tables_exactly` |
//! | 16. Pages shared with another party: sharing sleeps and fails, and so does the way back. | [`Donated`]: refused where it must not sleep; quarantined, counted, never used again | `iopgtable/memory_donated::a_page_that_is_not_reclaimed_is_never_used_again` |
//! | 17. One big array for a reservation. | pages form a list through themselves | `no_alloc::thousands_of_random_jobs_run_without_an_allocation` |
//! | 18. No tests. | all of these | `queues::many_threads_on_many_queues_come_to_their_end` |
//!
//! # Protect, split, sparse mappings, dry run
//!
//! | rule | what we do | test |
//! |---|---|---|
//! | Protections change without remapping. | [`Op::Protect`]: leaves change in place, and are cut at the ends alone | `protect::a_protect_splits_mappings_and_leaves_at_its_ends` |
//! | A split changes nothing of what is mapped. | [`Op::Split`]: leaves are cut where they reach over its ends | `protect::a_split_cuts_what_reaches_over_its_ends_and_changes_nothing` |
//! | A sparse mapping is one mapping, whatever its size. | [`Backing::repeating`] | `sparse::a_tib_of_a_2_mib_block_takes_tables_of_blocks_alone` |
//! | What a bind will cost can be asked before. | [`Vm::dry_run`] | `dry_run::a_dry_run_says_what_the_submission_then_does` |
//! | Evicted memory is free when the eviction has run. | it waits for what unmaps it elsewhere, too | `evict_queues::memory_is_free_when_its_eviction_has_run_whatever_overtakes_what` |
//! | What queues evict, restore and protect keeps the order of what it meets. | the ranges of the backing's mappings keep it | `evict_queues::whatever_overtakes_what_evictions_and_restorations_are_exact` |
//!
//! [`Vm::bind`]: crate::Vm::bind
//! [`Vm::dry_run`]: crate::Vm::dry_run
//! [`Vm::evict`]: crate::Vm::evict
//! [`Vm::submit_until`]: crate::Vm::submit_until
//! [`Vm::teardown`]: crate::Vm::teardown
//! [`Ban`]: crate::Ban
//! [`Backing`]: crate::Backing
//! [`Donated`]: iopgtable::memory::Donated
//! [`Backing::repeating`]: crate::Backing::repeating
//! [`InFlight`]: crate::InFlight
//! [`Op::Protect`]: crate::Op::Protect
//! [`Op::Split`]: crate::Op::Split
//! [`SubmitReason`]: crate::SubmitReason
//! [`SubmitReason::Banned`]: crate::SubmitReason::Banned
