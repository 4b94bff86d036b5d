//! The proof-of-work scan: eight nonces of one header side by side.

super::super::columns::scan!("avx2");
