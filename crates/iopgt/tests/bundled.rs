//! The traces that come with the project.

use std::{fs, path::Path};

use iopgt::trace::Trace;

#[test]
fn bundled_traces_are_well_formed_and_as_the_tool_writes_them() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces");
    for name in ["compiler", "python", "database"] {
        let path = directory.join(name).with_extension("trace");
        let text = fs::read_to_string(&path).unwrap();
        let trace = Trace::parse(name, &text).unwrap();
        assert!(trace.ops.len() > 1000 && !trace.header.runs.is_empty(), "{name}");
        assert_eq!(trace.to_string(), text, "{name}");
    }
}
