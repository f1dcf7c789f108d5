//! One access for each address of a list.

use super::deadline::Deadline;
use super::image::{Image, ROOM};
use super::machine::{Exit, Machine, broken};
use super::stub::{Fault, Loop};
use crate::{MmuError, Privilege};

/// What became of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was made, and the machine did not notice where: it reached memory.
    Silent,
    /// It reached this physical address, at which there is no memory.
    Reached(u64),
    /// The instruction at the address was let through, and could not be fetched from where it is.
    Unfetchable,
    /// A page fault, with its error code and the address that it reports.
    Page(u32, u64),
    /// A general protection fault, at an instruction.
    Protection(u64),
}

/// Does `what` for each of `addresses`, of which there are at most [`ROOM`], with the rights that
/// the processor is set up for, and puts what became of it into `outcomes`.
pub(super) fn run(
    machine: &mut Machine,
    image: &Image,
    deadline: &Deadline,
    (what, privilege): (Loop, Privilege),
    addresses: &[u64],
    outcomes: &mut Vec<Outcome>,
) -> Result<(), MmuError> {
    outcomes.clear();
    outcomes.resize(addresses.len(), Outcome::Silent);
    if addresses.is_empty() {
        return Ok(());
    }
    image.post(addresses);
    let entry = image.entry(what, privilege);
    machine.enter(entry, addresses.len()).map_err(|why| broken("it takes no registers", why))?;
    // What has been read for a write that has not come yet.
    let mut pending = None;
    loop {
        let exit = machine.run(deadline)?;
        let registers = machine.registers();
        let through = registers.rsi.wrapping_sub(entry.addresses) / 8;
        // The access that the exit belongs to is the last one that was taken from the list.
        let index = usize::try_from(through).ok().and_then(|through| through.checked_sub(1));
        let current = index.filter(|index| *index < addresses.len());
        let strange = || {
            let why = format!("{exit:x?} while it does {what:?} number {index:?}");
            Err(MmuError::Broken(why))
        };
        let Some(index) = current else { return strange() };
        match (exit, what) {
            (Exit::Done, _) if index + 1 == addresses.len() && registers.rcx == 0 => break,
            (Exit::Read(address), Loop::Read) => outcomes[index] = Outcome::Reached(address),
            (Exit::Read(address), Loop::Write) => pending = Some((index, address)),
            (Exit::Write(address), Loop::Write) if pending == Some((index, address)) => {
                outcomes[index] = Outcome::Reached(address);
            }
            (Exit::Unfetchable, Loop::Fetch) if registers.rip == addresses[index] => {
                outcomes[index] = Outcome::Unfetchable;
                machine.skip().map_err(|why| broken("it takes no registers", why))?;
            }
            _ => return strange(),
        }
    }
    if matches!(what, Loop::ForgetPage | Loop::ForgetAll) {
        return Ok(());
    }
    for (index, outcome) in outcomes.iter_mut().enumerate().take(ROOM) {
        let Some((fault, at)) = image.fault(index) else { continue };
        *outcome = match (fault, *outcome, what) {
            (Fault::Page(code), Outcome::Silent, _) => Outcome::Page(code, at),
            (Fault::Protection, Outcome::Silent, _) => Outcome::Protection(at),
            (Fault::Undefined, Outcome::Silent, Loop::Fetch) if at == addresses[index] => {
                Outcome::Unfetchable
            }
            (fault, outcome, what) => {
                let address = addresses[index];
                let why = format!("{fault:x?} and {outcome:x?} when it does {what:?} {address:#x}");
                return Err(MmuError::Broken(why));
            }
        };
    }
    Ok(())
}
