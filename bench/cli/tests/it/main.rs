//! The command line as a user meets it, and the shape of the workspace.

mod arrows;
