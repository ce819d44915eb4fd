//! The packed form of listings: what the journal, the store and the snapshot write.
//!
//! Numbers are LEB128 varints, neighbours are written as differences, details are written once.
//! A plain list takes 1 to 4 bytes a row. Reading trusts nothing: every length is checked against
//! what is left, so that damaged bytes end in [`Damaged`] and not in a panic or a huge allocation.

mod batch;
mod detail;
mod rows;
mod set;
mod wire;

pub use batch::{get_batch, put_batch};
pub use rows::{Group, get_rows, put_group, put_rows};
pub use set::{get_set, put_set};
pub use wire::{Damaged, Reader, Writer};
