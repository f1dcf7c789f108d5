//! What the `log` crate hears.

#![cfg(feature = "log")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod machine;
mod ops;

use std::sync::Mutex;

use gpuvm::Vm;
use machine::{Faulty, memory};
use ops::{CONFIG, PAGE, S1, map};

struct Collect(Mutex<Vec<String>>);

impl log::Log for Collect {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(format!("{}: {}", record.level(), record.args()));
    }
    fn flush(&self) {}
}

static COLLECT: Collect = Collect(Mutex::new(Vec::new()));

#[test]
fn submissions_runs_and_bans_are_said() {
    log::set_logger(&COLLECT).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let vm = Vm::<S1, _, _>::new(CONFIG, memory(), Faulty::default()).unwrap();
    let queue = vm.state().queues[0].id;
    vm.bind([map(0, PAGE, 0)]).unwrap();
    vm.with_device(|device| device.broken = Some(|_| true));
    vm.bind([map(PAGE, PAGE, 0)]).unwrap_err();
    let said = COLLECT.0.lock().unwrap();
    assert_eq!(
        *said,
        [
            "DEBUG: submitted 1 jobs, which reserve 3 tables".to_owned(),
            format!("DEBUG: ran job 1 of queue {queue}: 1 operations, 3 tables installed, 0 freed"),
            "DEBUG: submitted 1 jobs, which reserve 0 tables".to_owned(),
            "ERROR: banned by job 2: the device does not answer".to_owned(),
        ]
    );
}
