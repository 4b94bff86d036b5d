//! Which build is running: commit, compiler, flags, and the path that each kernel takes.

use indexmap::IndexMap;
use quorumark_primitives::{ed25519, sha256};
use quorumark_report::Provenance;

/// Whether debug assertions are on: figures of such a build are no measurement.
pub const DEBUG_BUILD: bool = cfg!(debug_assertions);

/// The provenance of this build. `allocator` and `tool_version` are the program's, which alone
/// knows them.
pub fn capture(allocator: &str, tool_version: &str) -> Provenance {
    Provenance {
        tool_version: tool_version.to_owned(),
        commit: option_env!("QUORUMARK_COMMIT").map(str::to_owned),
        dirty: option_env!("QUORUMARK_DIRTY").map(|dirty| dirty == "true"),
        profile: option_env!("QUORUMARK_PROFILE").unwrap_or("unknown").to_owned(),
        debug_build: DEBUG_BUILD,
        rustc: option_env!("QUORUMARK_RUSTC").map(str::to_owned),
        flags: option_env!("QUORUMARK_FLAGS").map(str::to_owned),
        target: option_env!("QUORUMARK_TARGET").unwrap_or("unknown").to_owned(),
        simd: simd(),
        allocator: allocator.to_owned(),
    }
}

/// The path that each kernel takes on this machine unless told otherwise.
pub fn simd() -> IndexMap<String, String> {
    let paths = [
        ("sha256", sha256::path().name()),
        ("sha256_each", sha256::side_by_side().name()),
        ("blake3", blake3_path()),
        ("ed25519", ed25519::backend().name()),
    ];
    paths.map(|(kernel, path)| (kernel.to_owned(), path.to_owned())).into_iter().collect()
}

/// What the `blake3` crate picks for itself; it does not tell.
fn blake3_path() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as detected;
        if detected!("avx512f") && detected!("avx512vl") {
            return "avx512";
        }
        if detected!("avx2") {
            return "avx2";
        }
        if detected!("sse4.1") {
            return "sse4.1";
        }
    }
    "portable"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_knows_where_it_comes_from() {
        let provenance = capture("system", "0.0.0");
        assert!(provenance.rustc.is_some_and(|version| version.starts_with("rustc ")));
        assert_ne!(provenance.target, "unknown");
        assert_ne!(provenance.profile, "unknown");
        assert!(provenance.simd.keys().eq(["sha256", "sha256_each", "blake3", "ed25519"]));
        assert!(provenance.commit.is_none_or(|commit| commit.len() >= 40));
    }
}
