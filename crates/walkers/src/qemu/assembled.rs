//! That the bytes which processors run are what their sources say.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use super::locate::Program;
use crate::require;

/// Set to `renew`, the bytes are written anew.
const VARIABLE: &str = "STUBS";

/// Assembles `source` for `target` and compares the bytes with those beside it.
fn check(target: &str, flags: &[&str], source: &str) {
    let tool =
        |name: &str| require::machine("binutils", Program::tool(&format!("{target}-{name}")));
    let tools = (tool("as"), tool("ld"), tool("objcopy"));
    let (Some(assembler), Some(linker), Some(copy)) = tools else { return };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/qemu").join(source);
    let temporary = |ending: &str| -> PathBuf {
        env::temp_dir().join(format!("stub-{target}-{}.{ending}", process::id()))
    };
    let (object, linked, binary) = (temporary("o"), temporary("elf"), temporary("bin"));
    let run = |program: &Program, flags: &[&str], paths: &[&Path]| {
        let output = program.command().args(flags).args(paths).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&assembler, flags, &["-o".as_ref(), &object, &source]);
    run(&linker, &["-Ttext=0", "--entry=0", "--no-relax"], &["-o".as_ref(), &linked, &object]);
    run(&copy, &["-O", "binary", "-j", ".text"], &[&linked, &binary]);
    let assembled = fs::read(&binary).unwrap();
    fs::remove_file(object).unwrap();
    fs::remove_file(linked).unwrap();
    fs::remove_file(binary).unwrap();

    let kept = source.with_extension("bin");
    if env::var_os(VARIABLE).is_some_and(|value| value == "renew") {
        fs::write(&kept, &assembled).unwrap();
    }
    assert!(
        fs::read(&kept).unwrap() == assembled,
        "{} is not what its source says; {VARIABLE}=renew renews it",
        kept.display()
    );
}

#[test]
fn what_the_arm_processor_runs_is_what_its_source_says() {
    check("aarch64-linux-gnu", &[], "aarch64/stub.s");
}

#[test]
fn what_the_riscv_processor_runs_is_what_its_source_says() {
    let flags = ["-march=rv64i_zicsr_zifencei_h", "-mabi=lp64"];
    check("riscv64-linux-gnu", &flags, "riscv/stub.s");
}

#[test]
fn what_the_x86_processor_runs_is_what_its_source_says() {
    check("x86_64-linux-gnu", &["--64"], "x86/stub.s");
}
