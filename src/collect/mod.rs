//! Bringing lists in: reading them in every form, and making listings of what they say.

pub mod failure;
pub mod feed;
pub mod fetch;
pub mod formats;
mod intake;

pub use intake::{Intake, LineError, Terms, parse_day, parse_expiry, read};
