//! How to write a GPU driver on this crate, step by step.
//!
//! The steps are those of `examples/driver.rs`, a driver of fewer than 400 lines, which drives an
//! emulated GPU (`examples/gpu`) as Linux's panthor drives Mali: address spaces share a few slots,
//! each with registers for the root, for commands and for faults. `cargo run --example driver` runs
//! it, and says what it does. Comments there name the steps.
//!
//! 1. **Decide where tables come from** (`Tables`). A [`Pool`] keeps zeroed pages for the device;
//!    [`Accounted`] charges them to the process; below them is whatever memory the MMU reaches.
//!    Pages that other parties must agree to, or memory of the device's own, go there, too.
//! 2. **Note what the hardware knows of each address space** (`Seat`): its registers, whether it has
//!    a slot, and the region that a bind job is changing. The lock of these notes is taken from
//!    within bind jobs, so no VM may be called with it held.
//! 3. **Bound every command** (`Slots::command`, `Slots::lock`). Bind jobs run where fences wait for
//!    them. What the hardware does not do in time is an error, and bans the VM; it is no reason to
//!    wait longer.
//! 4. **Give out slots** (`Slots::enter`, `Slots::leave`). An address space without a slot costs
//!    nothing: its bind jobs write tables that nobody walks. Whoever takes a slot away has the
//!    hardware forget all that was in it. Whoever gives one to an address space with a bind job
//!    under way locks the job's region first.
//! 5. **Hand faults to their owner** (`Slots::interrupt`). They come with a slot's number; the notes
//!    say whose it is. Its slot is taken, and the others go on.
//! 6. **Have a way out** (`Slots::reset`). After a timeout nobody knows what the hardware holds. A
//!    reset makes it hold nothing, so that the banned VM can be torn down and others go on.
//! 7. **Answer the VM** (`Mmu`): [`Device::begin`] locks the footprint of a job, so that the GPU sees
//!    all of it or nothing; [`Invalidate::invalidate`] flushes, and is the promise that everything
//!    rests on; [`Device::end`] unlocks. None of them allocates.
//! 8. **Open and close** (`Driver::open`, `Driver::close`). [`Vm::with_options`] with a limit on what
//!    is in flight and with spare pages for unmaps; [`Worker::attach`]; then
//!    [`Vm::registers`], once. To close, take the slot, tear down what a ban left, and drop the VM:
//!    queued jobs are cancelled with it, and all tables go back.
//! 9. **Let jobs of the GPU wait for binds** (`Driver::execute`). [`Vm::submit`] returns a
//!    [`Point`] of a timeline, which may be waited for, or awaited, or be an in-point of other
//!    jobs. It also takes in-points: fences of whatever the bind must come after.
//!
//! What the example's `main` shows then: least recently used slots go to others; an address that
//! was unbound faults although it was cached; memory is evicted and comes back elsewhere
//! ([`Vm::evict`], [`Vm::restore`]); a bind over the account's limit is refused when it is submitted,
//! with who, how much and why; a GPU that stops answering costs one VM, whose ban has a reason; and
//! in the end every table is in the pool again.
//!
//! [`Accounted`]: iopgtable::memory::Accounted
//! [`Device::begin`]: crate::Device::begin
//! [`Device::end`]: crate::Device::end
//! [`Invalidate::invalidate`]: iopgtable::Invalidate::invalidate
//! [`Point`]: crate::Point
//! [`Pool`]: iopgtable::memory::Pool
//! [`Vm::evict`]: crate::Vm::evict
//! [`Vm::registers`]: crate::Vm::registers
//! [`Vm::restore`]: crate::Vm::restore
//! [`Vm::submit`]: crate::Vm::submit
//! [`Vm::with_options`]: crate::Vm::with_options
//! [`Worker::attach`]: crate::Worker::attach
