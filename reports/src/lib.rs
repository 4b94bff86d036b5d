//! The record schema, its rendering and its statistics.
