//! VMs that note what the device is told.

use std::sync::Arc;

use gpuvm::Vm;
use iopgtable::{Config, Iova};

use crate::machine::{Faulty, Memory};
use crate::ops::{CONFIG, S1};

pub(crate) type RecordingVm = Vm<S1, Memory, Faulty>;

pub(crate) fn vm(memory: &Memory) -> RecordingVm {
    configured(CONFIG, memory)
}

pub(crate) fn configured(config: Config, memory: &Memory) -> RecordingVm {
    Vm::new(config, Arc::clone(memory), Faulty::default()).unwrap()
}

pub(crate) fn is_mapped(vm: &RecordingVm, address: u64) -> bool {
    vm.translate(Iova(address)).is_some()
}
