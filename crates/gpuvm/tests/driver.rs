//! The driver to copy from works, and is what the guide says it is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod deadline;
#[path = "../examples/driver.rs"]
mod driver;

use std::path::Path;

use deadline::bounded;

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_driver_does_what_it_says() {
    bounded(|| driver::main().unwrap());
}

#[test]
fn the_guide_names_the_steps_and_items_that_there_are() {
    let (guide, driver) = (text("src/guide.rs"), text("examples/driver.rs"));
    assert!(driver.lines().count() < 400);
    let mut steps = 0;
    for step in guide.split("\n//! ").filter(|part| part.contains(". **")) {
        let (number, rest) = step.split_once(". **").unwrap();
        steps += 1;
        assert_eq!(number, steps.to_string());
        // From its comment to the next step's.
        let marks = [steps, steps + 1].map(|step| driver.find(&format!("// Step {step}: ")));
        let place = &driver[marks[0].unwrap()..marks[1].unwrap_or(driver.len())];
        let (_, items) = rest.split_once("** (").or_else(|| rest.split_once("(`")).unwrap();
        let (items, _) = items.split_once(')').unwrap();
        for item in items.split(", ").map(|item| item.trim_matches('`')) {
            let name = item.rsplit("::").next().unwrap();
            let kinds = ["fn", "struct", "type"].map(|kind| format!("{kind} {name}"));
            assert!(kinds.iter().any(|kind| place.contains(kind)), "step {steps}: {item}");
        }
    }
    assert_eq!(steps, 9);
    assert_eq!(driver.matches("// Step ").count(), steps);
}
