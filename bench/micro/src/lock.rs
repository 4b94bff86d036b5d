//! Versions of the crates that the suites were built with, from the workspace's lock file.

/// The lock file as it was when this was built.
pub const LOCK: &str = include_str!("../../../Cargo.lock");

/// The package whose dependencies the rivals are.
const USER: &str = "quorumark-micro";

/// The crates whose work is held against ours.
const RIVALS: [&str; 8] = [
    "aws-lc-rs",
    "bitcoin_hashes",
    "ed25519-dalek",
    "ed25519-zebra",
    "merkle-cbt",
    "ring",
    "rs_merkle",
    "sha2",
];

/// A contender's name with the version of the crate that it names: `a loop of sha2` becomes
/// `a loop of sha2 0.11.1`. Names of no rival stay as they are.
pub fn with_version(contender: &str, lock: &str) -> String {
    let words = contender.split(' ').map(|word| match RIVALS.contains(&word) {
        true => format!("{word} {}", version(word, lock).unwrap_or("of an unknown version")),
        false => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The version of a crate that this package depends on. The list of dependencies names it where the
/// lock file holds several; else the crate's own entry does.
fn version<'a>(name: &str, lock: &'a str) -> Option<&'a str> {
    let package = |name: &str| {
        let named = format!("name = \"{name}\"");
        lock.split("[[package]]").find(|entry| entry.lines().any(|line| line == named))
    };
    let dependency = package(USER)?.lines().find_map(|line| {
        let quoted = line.strip_prefix(" \"")?.strip_suffix("\",")?;
        let (used, version) = quoted.split_once(' ').unwrap_or((quoted, ""));
        (used == name).then_some(version)
    })?;
    if !dependency.is_empty() {
        return Some(dependency);
    }
    let line = package(name)?.lines().find_map(|line| line.strip_prefix("version = \""))?;
    line.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"
[[package]]
name = "quorumark-micro"
version = "0.1.0"
dependencies = [
 "ring",
 "sha2 0.11.1",
]

[[package]]
name = "ring"
version = "0.17.14"

[[package]]
name = "sha2"
version = "0.10.9"

[[package]]
name = "sha2"
version = "0.11.1"
"#;

    #[test]
    fn a_rival_is_named_with_the_version_that_is_used_and_others_as_they_are() {
        for (name, expected) in [
            ("ring verify", "ring 0.17.14 verify"),
            ("a loop of sha2", "a loop of sha2 0.11.1"),
            ("ours, a good batch", "ours, a good batch"),
            ("rs_merkle", "rs_merkle of an unknown version"),
        ] {
            assert_eq!(with_version(name, SAMPLE), expected);
        }
    }

    #[test]
    fn every_rival_s_version_is_in_the_lock_file() {
        for name in RIVALS {
            let found = version(name, LOCK).unwrap_or_else(|| panic!("{name} is not used"));
            assert!(found.starts_with(|first: char| first.is_ascii_digit()), "{name} {found}");
        }
    }
}
