//! The table of rules names tests that there are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;

#[test]
fn every_test_that_the_table_of_rules_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("src/rules.rs")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("//! | "));
    let mut named = 0;
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let Some(test) = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) else {
            assert!(["test", "(none)"].contains(&cell), "{cell:?} in {row:?}");
            continue;
        };
        let (file, function) = test.split_once("::").unwrap();
        let text = std::fs::read_to_string(root.join("tests").join(file).with_extension("rs"));
        let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
        // Histories are made by a macro, from names.
        let found = [format!("fn {function}("), format!("    {function}: ")]
            .iter()
            .any(|name| text.contains(name));
        assert!(found, "no test {function} in {file}");
        named += 1;
    }
    assert!(named > 30, "{named} rows with tests");
}
