//! Notes which sources, compiler and flags are being built, for the provenance of every record.
//!
//! Nothing here fails: what cannot be found out is left out, and the record says `null`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let root = Path::new("../..");
    note("QUORUMARK_COMMIT", git(root, &["rev-parse", "HEAD"]));
    let status = ["status", "--porcelain", "--untracked-files=no"];
    note("QUORUMARK_DIRTY", git(root, &status).map(|files| (!files.is_empty()).to_string()));
    note("QUORUMARK_RUSTC", env::var("RUSTC").ok().and_then(|rustc| output(&rustc, &["-V"])));
    note("QUORUMARK_FLAGS", flags());
    note("QUORUMARK_TARGET", env::var("TARGET").ok());
    note("QUORUMARK_PROFILE", profile());
    // In a linked working tree these lie elsewhere, so git is asked where.
    let of_git = ["HEAD", "index"].map(|file| {
        let path = git(root, &["rev-parse", "--path-format=absolute", "--git-path", file]);
        path.map(PathBuf::from)
    });
    // The dirty flag is about sources, so a change of any of them asks for it again.
    let sources = ["Cargo.lock", "core", "bench", "reports/src"].map(|path| Some(root.join(path)));
    for path in of_git.into_iter().chain(sources).flatten().filter(|path| path.exists()) {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

fn note(name: &str, value: Option<String>) {
    if let Some(value) = value {
        println!("cargo:rustc-env={name}={value}");
    }
}

/// What `git` says, without taking its lock: a build beside a commit disturbs neither.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let directory = root.to_str()?;
    output("git", &[&["--no-optional-locks", "-C", directory], arguments].concat())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().replace('\n', " "))
}

/// The compiler flags beyond the profile's.
fn flags() -> Option<String> {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").ok()?;
    Some(flags.replace('\u{1f}', " ")).filter(|flags| !flags.is_empty())
}

/// The profile's own name: the directory above `build` in the output path. `PROFILE` knows only
/// `debug` and `release`.
fn profile() -> Option<String> {
    let out = env::var("OUT_DIR").ok()?;
    let parts: Vec<&str> = out.split(['/', '\\']).collect();
    let build = parts.iter().rposition(|part| *part == "build")?;
    parts.get(build.checked_sub(1)?).map(|name| (*name).to_owned())
}
