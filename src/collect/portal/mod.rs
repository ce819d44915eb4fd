//! What the clients of portals share: paced requests within one session, bounded answers, and the
//! putting together of a list that comes in pages.
//!
//! Architecture invariant: knows no portal. A session ends with its client and is written nowhere.

mod gather;
mod jar;
mod scalar;
mod web;

pub use gather::{GatherFault, Gathering};
pub use scalar::Scalar;
pub use web::{Answer, LARGEST_PAGE, Size, Web, WebError};
