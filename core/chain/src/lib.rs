//! Headers, targets, proof of work, blocks.
