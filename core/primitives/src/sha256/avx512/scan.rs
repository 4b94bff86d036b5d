//! The proof-of-work scan: sixteen nonces of one header side by side.

super::super::columns::scan!("avx512f,avx512bw");
