//! `quorumark merkle`, on real blocks.

use crate::program::{Program, block, text};

const ROOT_413567: &str = "64a50c649fc816baaa2effda230c39cacf1504e4e616a2863685b72aaa7dce05";

#[test]
fn the_roots_of_three_real_blocks_equal_their_headers_raw_and_as_hex() {
    let roots = [
        ("block413567.raw", ROOT_413567),
        ("block169482.dat", "75bba35e9336ca26dfcc6ccb084a1d43d6c1e15e35928052de979091bc947912"),
        ("block_13b8a.hex", "2fda58e5959b0ee53c5253da9b9f3c0c739422ae04946966991cf55895287552"),
    ];
    for (name, root) in roots {
        let path = block(name);
        let ended = Program::new().run(&["merkle", "root", "--block", text(&path)]).done();
        assert_eq!(ended.value("root"), format!("{root}, equals the header's"));
        assert_eq!(ended.stderr, "");
        let ended = Program::new().run(&["merkle", "root", "--block", text(&path), "--json"]);
        assert_eq!(ended.json()["equals_header"], true);
    }
}

#[test]
fn a_proof_of_eleven_hashes_verifies_and_with_one_bit_changed_does_not() {
    let path = block("block413567.raw");
    let program = Program::new();
    let proof = ["merkle", "proof", "--block", text(&path), "--index", "700", "--out", "p.json"];
    let ended = program.run(&proof).done();
    assert_eq!(ended.value("path"), "11 hashes, from the leaf's sibling up");
    assert_eq!(ended.value("verdict"), "the proof verifies");
    let leaf = ended.value("transaction").to_owned();

    let by_id = ["merkle", "proof", "--block", text(&path), "--tx", &leaf, "--json"];
    let document = program.run(&by_id).done().json();
    assert_eq!(
        (document["index"].as_u64(), document["path"].as_array().unwrap().len()),
        (Some(700), 11)
    );

    let verify = |file: &str, root: &str, leaf: &str| {
        program.run(&["merkle", "verify", "--proof", file, "--root", root, "--leaf", leaf])
    };
    assert_eq!(verify("p.json", ROOT_413567, &leaf).done().value("verdict"), "the proof verifies");

    let mut cases = vec![("p.json".to_owned(), flipped(ROOT_413567), leaf.clone())];
    cases.push(("p.json".to_owned(), ROOT_413567.to_owned(), flipped(&leaf)));
    for at in 0..11 {
        let mut changed = document.clone();
        let sibling = &mut changed["path"][at];
        *sibling = flipped(sibling.as_str().unwrap()).into();
        let name = format!("changed-{at}.json");
        std::fs::write(program.path(&name), changed.to_string()).unwrap();
        cases.push((name, ROOT_413567.to_owned(), leaf.clone()));
    }
    for (file, root, leaf) in cases {
        let ended = verify(&file, &root, &leaf);
        assert_eq!(ended.code, Some(13), "{ended:?}");
        assert!(ended.value("verdict").starts_with("the proof does not verify: "), "{ended:?}");
    }
}

/// The digest with its last bit changed.
fn flipped(digest: &str) -> String {
    let (start, last) = digest.split_at(digest.len() - 1);
    let last = u8::from_str_radix(last, 16).unwrap() ^ 1;
    format!("{start}{last:x}")
}

#[test]
fn a_changed_proof_is_one_json_document_too() {
    let path = block("block_13b8a.hex");
    let program = Program::new();
    let proof = ["merkle", "proof", "--block", text(&path), "--index", "0", "--json", "--out", "p"];
    let document = program.run(&proof).done().json();
    assert_eq!(document["leaf_count"], 9);
    let root = ROOT_413567;
    let ended = program.run(&["merkle", "verify", "--proof", "p", "--root", root, "--json"]);
    assert_eq!((ended.code, &ended.json()["verifies"]), (Some(13), &false.into()));
}

#[test]
fn a_list_of_txids_has_the_block_s_root_from_a_file_and_from_standard_input() {
    let path = block("block_13b8a.hex");
    let program = Program::new();
    let txid = |index: usize| {
        let index = index.to_string();
        let proof = ["merkle", "proof", "--block", text(&path), "--index", &index];
        program.run(&proof).done().value("transaction").to_owned()
    };
    let list: Vec<String> = (0..9).map(txid).collect();
    let list = list.join("\n");
    let ended = program.run_with_input(&["merkle", "root", "--leaves", "-"], &list).done();
    let root = "2fda58e5959b0ee53c5253da9b9f3c0c739422ae04946966991cf55895287552";
    assert_eq!((ended.value("root"), ended.value("leaves")), (root, "9"));

    let program = program.file("list", format!("{list}\n{}\n", list.lines().last().unwrap()));
    let ended = program.run(&["merkle", "root", "--leaves", "list"]).done();
    assert_eq!(ended.value("root"), root);
    assert!(ended.stderr.contains("CVE-2012-2459"), "{ended:?}");
}

#[test]
fn the_rules_differ_and_a_leaf_alone_is_its_own_root() {
    let leaf = "00000000000000000000000000000000000000000000000000000000000000ff";
    let program = Program::new().file("one", leaf).file("two", format!("{leaf}\n{ROOT_413567}"));
    let root = |file: &str, rule: &str| {
        let ended = program.run(&["merkle", "root", "--leaves", file, "--rule", rule]).done();
        ended.value("root").to_owned()
    };
    assert_eq!((root("one", "bitcoin"), root("one", "rfc6962")), (leaf.into(), leaf.into()));
    let rules = ["bitcoin", "rfc6962", "blake3"].map(|rule| root("two", rule));
    assert!(rules[0] != rules[1] && rules[1] != rules[2], "{rules:?}");
}
