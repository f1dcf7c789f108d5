//! Where QEMU is: several versions may stand beside each other, since each goes wrong somewhere.

use crate::Absent;
use core::fmt;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// The environment variable that names a folder with a QEMU, or with several.
const VARIABLE: &str = "IOPGTABLE_QEMU";

/// Where `scripts/walkers` of the workspace puts its versions.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/walkers");

/// Which QEMU is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Series {
    /// 7.2, before the translation code was rewritten.
    Seven,
    /// 10.0, or a later one.
    Ten,
}

impl Series {
    /// Whether a version that names itself so will do.
    fn takes(self, version: &str) -> bool {
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        match self {
            Self::Seven => version.starts_with("7.2"),
            Self::Ten => major.is_some_and(|major| major >= 10),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seven => "7.2",
            Self::Ten => "10.0 or later",
        })
    }
}

/// A QEMU that runs on this computer.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    /// The tree that it was unpacked into, if it was: libraries and firmware lie there.
    tree: Option<PathBuf>,
    /// As it says: `10.0.2`.
    version: String,
}

impl Program {
    /// The program `name` of `series`: in the folder that [`VARIABLE`] names, among those that
    /// `scripts/walkers` has unpacked, or in `PATH`.
    pub(crate) fn locate(name: &str, series: Series) -> Result<Self, Absent> {
        candidates(name)
            .into_iter()
            .filter_map(|(path, tree)| Self::probe(path, tree))
            .find(|program| series.takes(&program.version))
            .ok_or_else(|| {
                Absent::new(format!(
                    "no {name} {series} in ${VARIABLE}, target/walkers or $PATH (scripts/walkers gets it)"
                ))
            })
    }

    /// Asks the program for its version; none if it does not run.
    fn probe(path: PathBuf, tree: Option<PathBuf>) -> Option<Self> {
        if !path.is_file() {
            return None;
        }
        let program = Self { path, tree, version: String::new() };
        let output = program.command().arg("--version").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_once("version ")?.1.split_whitespace().next()?;
        Some(Self { version: version.to_owned(), ..program })
    }

    /// The tool `name`, of any version: it may lie wherever QEMU may.
    #[cfg(test)]
    pub(crate) fn tool(name: &str) -> Result<Self, Absent> {
        let found = candidates(name).into_iter().find(|(path, _)| path.is_file());
        let (path, tree) = found.ok_or_else(|| {
            Absent::new(format!("no {name} in target/walkers or $PATH (scripts/walkers gets it)"))
        })?;
        Ok(Self { path, tree, version: String::new() })
    }

    /// A command that runs it with the libraries of its tree.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(tree) = &self.tree {
            command.env("LD_LIBRARY_PATH", libraries(tree));
        }
        command
    }

    /// Where its firmware is, if not where it looks itself.
    pub(crate) fn firmware(&self) -> Option<PathBuf> {
        self.tree.as_ref().map(|tree| tree.join("usr/share/qemu"))
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        write!(f, "{name} {}", self.version)
    }
}

/// Where a program may lie: its path, and the tree that it was unpacked into.
fn candidates(name: &str) -> Vec<(PathBuf, Option<PathBuf>)> {
    let folders = env::var_os(VARIABLE).map(PathBuf::from).into_iter();
    let folders = folders.chain([PathBuf::from(UNPACKED)]);
    let path = env::var_os("PATH").unwrap_or_default();
    folders
        .flat_map(|folder| in_folder(&folder, name))
        .chain(env::split_paths(&path).map(|folder| (folder.join(name), None)))
        .collect()
}

/// Where a program may lie in a folder: there, in one of its folders for programs, or in trees of
/// packages that stand in it beside each other.
fn in_folder(folder: &Path, name: &str) -> Vec<(PathBuf, Option<PathBuf>)> {
    let mut found = vec![(folder.join(name), None), (folder.join("bin").join(name), None)];
    let mut trees: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    // Of two that would do, the same one on every computer.
    trees.sort();
    for tree in [folder.to_owned()].into_iter().chain(trees) {
        found.push((tree.join("usr/bin").join(name), Some(tree)));
    }
    found
}

/// The folders of a tree in which Debian's packages have their libraries.
fn libraries(tree: &Path) -> OsString {
    let mut folders = Vec::new();
    for parent in ["usr/lib", "lib"] {
        for entry in fs::read_dir(tree.join(parent)).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().contains("-linux-gnu") {
                folders.extend([entry.path(), entry.path().join("pulseaudio")]);
            }
        }
    }
    env::join_paths(folders).unwrap_or_else(|_| OsStr::new("").to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Program, Series};

    #[test]
    fn each_series_takes_its_versions_only() {
        assert!(Series::Ten.takes("10.0.2"));
        assert!(Series::Ten.takes("11.1.0"));
        assert!(!Series::Ten.takes("7.2.22"));
        assert!(Series::Seven.takes("7.2.22"));
        assert!(!Series::Seven.takes("7.1.0"));
        assert!(!Series::Ten.takes("nonsense"));
    }

    #[test]
    fn what_is_absent_is_said_on_one_line() {
        let Err(absent) = Program::locate("qemu-system-abacus", Series::Ten) else {
            panic!("there is an emulated abacus")
        };
        let text = absent.to_string();
        assert!(text.contains("qemu-system-abacus 10.0") && !text.contains('\n'), "{text}");
    }
}
