//! The header that is checked in is the one that the sources make.

use std::path::Path;

#[test]
fn the_header_fits_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_crate(root)
        .with_config(config)
        .generate()
        .unwrap()
        .write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let checked_in = std::fs::read_to_string(root.join("include/iopgtable.h")).unwrap();
    assert!(
        made == checked_in,
        "run `cbindgen --config cbindgen.toml --output include/iopgtable.h` in the crate",
    );
}
