//! What the guest runs is what its source says.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

#[test]
fn the_bytes_of_the_stub_are_those_of_its_source() {
    let kvm = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kvm");
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kvm-stub");
    let (object, binary) = (made.with_extension("o"), made.with_extension("bin"));
    let mut assemble = Command::new("as");
    assemble.arg("--64").arg(kvm.join("stub.S")).arg("-o").arg(&object);
    let mut extract = Command::new("objcopy");
    extract.args(["-O", "binary", "-j", ".text"]).args([&object, &binary]);
    for command in [&mut assemble, &mut extract] {
        match command.status() {
            Ok(status) => assert!(status.success(), "{command:?}"),
            Err(missing) => {
                let program = command.get_program().display();
                let line = format!("skipped, without {program}: the stub's bytes: {missing}\n");
                std::io::stderr().write_all(line.as_bytes()).unwrap();
                return;
            }
        }
    }
    let bytes = fs::read(binary).unwrap();
    assert!(!bytes.is_empty());
    assert_eq!(bytes, fs::read(kvm.join("stub.bin")).unwrap(), "assemble `stub.S` again");
}
