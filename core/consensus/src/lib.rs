//! Sans-IO consensus engines.
