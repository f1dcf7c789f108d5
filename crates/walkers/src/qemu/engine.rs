//! Processors that are asked about tables: started when they are needed, and loaded with the
//! registers that lead to these.

use core::fmt::Debug;
use std::sync::Arc;

use super::batch::{Operation, Processor, SETUP};
use crate::{Absent, MmuError, Ram};

/// A machine around a processor: what is loaded, and how it is started.
pub(super) trait Board {
    /// What the registers hold for a regime.
    type Setup: Copy + Debug + PartialEq;

    /// What of a setup a processor has from its start on, since it cannot be changed later.
    type Build: Copy + Debug + PartialEq;

    /// The physical address at which the machine has its RAM.
    const RAM: u64;

    /// What a processor for `setup` is started with.
    fn build(setup: &Self::Setup) -> Self::Build;

    /// Starts a processor.
    fn start(&self, build: Self::Build, ram: &Arc<Ram>) -> Result<Processor, MmuError>;

    /// What its program loads the registers from. One that reads them back must find the same.
    fn words(setup: &Self::Setup) -> impl AsRef<[u64]>;
}

/// The processors of a board. They take the same part of the RAM for themselves, one at a time.
#[derive(Debug)]
pub(super) struct Engine<B: Board> {
    pub(super) board: B,
    pub(super) ram: Arc<Ram>,
    running: Vec<Running<B>>,
}

/// A processor, and what its registers hold.
#[derive(Debug)]
struct Running<B: Board> {
    build: B::Build,
    processor: Processor,
    loaded: Option<B::Setup>,
}

impl<B: Board> Engine<B> {
    /// Starts the processor that most regimes need.
    ///
    /// # Errors
    ///
    /// [`Absent`], where the RAM is elsewhere, or it does not start.
    pub(super) fn open(board: B, ram: &Arc<Ram>, build: B::Build) -> Result<Self, Absent> {
        if ram.first() != B::RAM {
            return Err(Absent::new(format!("its RAM would have to be at {:#x}", B::RAM)));
        }
        let mut engine = Self { board, ram: Arc::clone(ram), running: Vec::new() };
        engine.started(build).map_err(|why| Absent::new(why.to_string()))?;
        Ok(engine)
    }

    /// Has operations done with these registers.
    pub(super) fn run(
        &mut self,
        setup: B::Setup,
        operations: &mut [Operation],
    ) -> Result<(), MmuError> {
        let at = self.started(B::build(&setup))?;
        let running = &mut self.running[at];
        if running.loaded != Some(setup) {
            running.loaded = None;
            let words = B::words(&setup);
            Processor::set(&self.ram, words.as_ref());
            running.processor.run(&mut [[0, SETUP, 0, 0]])?;
            if !running.processor.holds(words.as_ref()) {
                let words = words.as_ref();
                return Err(MmuError::Broken(format!("its registers do not take {words:x?}")));
            }
            running.loaded = Some(setup);
        }
        running.processor.run(operations)
    }

    /// Which processor is that of `build`; it is started if it does not run.
    fn started(&mut self, build: B::Build) -> Result<usize, MmuError> {
        if let Some(at) = self.running.iter().position(|running| running.build == build) {
            return Ok(at);
        }
        let processor = self.board.start(build, &self.ram)?;
        self.running.push(Running { build, processor, loaded: None });
        Ok(self.running.len() - 1)
    }
}
