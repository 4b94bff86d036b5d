//! The arrows of `core/ARCHITECTURE.md`, held over `cargo metadata`: which crate may look into
//! which, what the default build leaves out, and that it makes exactly one binary.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId, TargetKind};

/// Each of our crates and those of ours that it may use; everything else is forbidden.
const ARROWS: &[(&str, &[&str])] = &[
    ("quorumark-primitives", &[]),
    ("quorumark-consensus", &["primitives"]),
    ("quorumark-chain", &["primitives"]),
    ("quorumark-application", &["primitives", "consensus", "chain"]),
    ("quorumark-pipeline", &["primitives", "consensus", "chain", "application"]),
    ("quorumark-sim", &["primitives", "consensus", "chain", "application"]),
    ("quorumark-report", &[]),
    (
        "quorumark-harness",
        &["primitives", "consensus", "chain", "application", "pipeline", "sim", "report"],
    ),
    (
        "quorumark",
        &[
            "primitives",
            "consensus",
            "chain",
            "application",
            "pipeline",
            "sim",
            "report",
            "harness",
        ],
    ),
    (
        "quorumark-micro",
        &[
            "primitives",
            "consensus",
            "chain",
            "application",
            "pipeline",
            "sim",
            "report",
            "harness",
        ],
    ),
    ("quorumark-counts", &["primitives"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .expect("cargo metadata reads the workspace")
}

fn is_ours(name: &str) -> bool {
    name == "quorumark" || name.starts_with("quorumark-")
}

#[test]
fn no_crate_looks_to_its_right() {
    let metadata = metadata();
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for package in metadata.workspace_packages() {
        let allowed = arrows.get(package.name.as_str());
        let allowed = allowed.unwrap_or_else(|| panic!("{} has no row in ARROWS", package.name));
        for dependency in package.dependencies.iter().filter(|used| is_ours(&used.name)) {
            let short = dependency.name.trim_start_matches("quorumark-");
            assert!(allowed.contains(&short), "{} must not use {short}", package.name);
        }
    }
    assert_eq!(metadata.workspace_packages().len(), ARROWS.len());
}

/// The crates that our kernels are held against and that nothing else needs. Not among them are
/// sha2 and ed25519-dalek: kernels and scenarios use these too.
const RIVALS: [&str; 6] =
    ["aws-lc-rs", "bitcoin_hashes", "ed25519-zebra", "merkle-cbt", "ring", "rs_merkle"];

/// Every package that a build of the default members compiles.
fn default_build(metadata: &Metadata) -> BTreeSet<&PackageId> {
    let resolve = metadata.resolve.as_ref().expect("a resolved dependency graph");
    let nodes: BTreeMap<&PackageId, _> =
        resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
    let defaults = metadata.workspace_default_packages();
    let mut queue: Vec<&PackageId> = defaults.iter().map(|package| &package.id).collect();
    while let Some(id) = queue.pop() {
        if seen.insert(id) {
            let built = nodes[id].deps.iter().filter(|dependency| {
                let kinds = &dependency.dep_kinds;
                kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
            });
            queue.extend(built.map(|dependency| &dependency.pkg));
        }
    }
    seen
}

/// The names of [`default_build`]'s packages.
fn default_names(metadata: &Metadata) -> BTreeSet<String> {
    let built = default_build(metadata);
    let named = metadata.packages.iter().filter(|package| built.contains(&package.id));
    named.map(|package| package.name.to_string()).collect()
}

#[test]
fn the_default_build_compiles_neither_criterion_nor_libp2p() {
    let built = default_names(&metadata());
    assert!(built.contains("curve25519-dalek"), "the walk follows dependencies");
    for name in ["criterion", "libp2p", "pprof", "proptest"] {
        assert!(!built.contains(name), "{name} is in the default build");
    }
}

#[test]
fn the_default_build_compiles_no_rival() {
    let metadata = metadata();
    let built = default_build(&metadata);
    let micro = metadata.workspace_packages().into_iter().find(|p| p.name == "quorumark-micro");
    let micro = micro.expect("the rivals' package is a member");
    let nodes = &metadata.resolve.as_ref().expect("a resolved dependency graph").nodes;
    let node = nodes.iter().find(|node| node.id == micro.id).expect("a member is resolved");
    for name in RIVALS {
        let declared = micro.dependencies.iter().find(|used| used.name == name);
        let declared = declared.unwrap_or_else(|| panic!("{name} is no rival any more"));
        // By its identity: the `bitcoin` crate brings a bitcoin_hashes of another version.
        let resolved = node.deps.iter().find(|used| used.name == name.replace('-', "_"));
        match resolved {
            Some(rival) => {
                assert!(!built.contains(&rival.pkg), "{name} is in the default build");
            }
            None => assert!(declared.optional, "{name} is resolved, or asked for by a feature"),
        }
    }
}

#[test]
fn rivals_belong_to_micro_alone() {
    for package in metadata().workspace_packages() {
        if package.name != "quorumark-micro" {
            let used = package.dependencies.iter().find(|used| RIVALS.contains(&&*used.name));
            assert!(used.is_none(), "{} uses {used:?}", package.name);
        }
    }
}

#[test]
fn the_default_build_needs_a_c_compiler_for_mimalloc_and_secp256k1_alone() {
    let metadata = metadata();
    let built = default_names(&metadata);
    let compiles_c = |name: &&String| {
        name.ends_with("-sys") && !["libmimalloc-sys", "secp256k1-sys"].contains(&name.as_str())
    };
    let system: Vec<_> = built.iter().filter(compiles_c).collect();
    let bindings = |name: &&&String| {
        ["windows-sys", "linux-raw-sys", "js-sys", "web-sys", "core-foundation-sys"]
            .contains(&name.as_str())
    };
    assert!(system.iter().all(|name| bindings(&name)), "C is compiled for {system:?}");
}

#[test]
fn the_default_members_hold_exactly_one_binary() {
    let metadata = metadata();
    let defaults = metadata.workspace_default_packages();
    let targets = defaults.iter().flat_map(|package| &package.targets);
    let binaries: Vec<_> =
        targets.filter(|target| target.kind.contains(&TargetKind::Bin)).collect();
    let names: Vec<_> = binaries.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["quorumark"]);
}

#[test]
fn criterion_belongs_to_micro_alone() {
    for package in metadata().workspace_packages() {
        let uses = package.dependencies.iter().any(|used| used.name == "criterion");
        assert_eq!(uses, package.name == "quorumark-micro", "{}", package.name);
    }
}

/// Opens and closes of code blocks in documentation, and what a block must be called for rustdoc to
/// leave it alone.
const FENCES: [&str; 2] = ["//! ```", "/// ```"];
const NOT_CODE: [&str; 3] = ["text", "toml", "sh"];

#[test]
fn a_crate_whose_examples_are_not_run_has_none() {
    for package in metadata().packages.iter().filter(|package| is_ours(&package.name)) {
        for target in package.targets.iter().filter(|t| t.is_lib() && !t.doctest) {
            let root = target.src_path.parent().expect("a crate's root is in a folder");
            let examples = examples_below(root.as_std_path());
            assert!(examples.is_empty(), "set doctest = true in {}: {examples:?}", package.name);
        }
    }
}

/// The files below `folder` whose documentation has code that rustdoc would run.
fn examples_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(examples_below(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs")
            && has_example(&fs::read_to_string(&path).unwrap())
        {
            found.push(path);
        }
    }
    found
}

fn has_example(source: &str) -> bool {
    let fence = |line: &str| {
        FENCES.iter().find_map(|f| line.trim_start().strip_prefix(f).map(str::to_owned))
    };
    // Every second fence opens a block.
    source.lines().filter_map(fence).step_by(2).any(|name| !NOT_CODE.contains(&name.as_str()))
}

#[test]
fn an_example_is_code_that_no_name_excuses() {
    assert!(has_example("/// ```\n/// run();\n/// ```\n"));
    assert!(has_example("//! ```text\n//! a\n//! ```\n/// ```compile_fail\n/// ```\n"));
    assert!(!has_example("//! ```text\n//! a <- b\n//! ```\nfn f() {}\n"));
}
