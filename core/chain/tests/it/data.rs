//! The data files under `core/testdata/bitcoin`.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;

use quorumark_chain::Header;
use serde::de::DeserializeOwned;

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/bitcoin").join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

pub(crate) fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap()
}

pub(crate) fn json<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&bytes(name)).unwrap()
}

/// The 10,237 mainnet headers from height 0.
pub(crate) fn mainnet_headers() -> &'static [Header] {
    static HEADERS: OnceLock<Vec<Header>> = OnceLock::new();
    HEADERS.get_or_init(|| {
        let file = File::open(path("headers.zst")).unwrap();
        let mut raw = Vec::new();
        ruzstd::decoding::StreamingDecoder::new(file).unwrap().read_to_end(&mut raw).unwrap();
        Header::parse_many(&raw).unwrap()
    })
}

/// Bytes of hex with `0x` before it, as the SPV vectors write them.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    quorumark_chain::hex::decode(text.trim_start_matches("0x").as_bytes()).unwrap()
}
