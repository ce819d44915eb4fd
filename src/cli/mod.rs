//! The command line.

pub mod set;
