//! Replicated state machines: a key-value store and a ledger.
