//! The table of rules names tests that there are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;

/// A file of tests, or all files of its folder.
fn text_of(tests: &Path, name: &str) -> String {
    let file = tests.join(name).with_extension("rs");
    if file.exists() {
        return std::fs::read_to_string(file).unwrap();
    }
    let folder = std::fs::read_dir(tests.join(name));
    let folder = folder.unwrap_or_else(|error| panic!("{name}: {error}"));
    folder.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_test_that_the_table_of_rules_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("src/rules.rs")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("//! | "));
    let mut named = 0;
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let Some(test) = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) else {
            assert_eq!(cell, "test", "in {row:?}");
            continue;
        };
        let (file, function) = test.split_once("::").unwrap();
        let (krate, file) = file.split_once('/').unwrap_or(("gpuvm", file));
        let tests = root.join("..").join(krate).join("tests");
        let text = text_of(&tests, file);
        // Histories are made by a macro, from names.
        let place = [format!("fn {function}("), format!("    {function}: ")]
            .iter()
            .find_map(|name| text.find(name))
            .unwrap_or_else(|| panic!("no test {function} in {file}"));
        // A function is a test if it says so right before; one that a macro makes lies in a list.
        let before = text[..place].trim_end();
        let is_test = before.ends_with("#[test]") || text[place..].starts_with("    ");
        assert!(is_test, "{function} in {file} is no test");
        named += 1;
    }
    assert!(named > 50, "{named} rows with tests");
}
