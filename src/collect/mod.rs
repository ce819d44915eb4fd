//! Bringing lists in: reading them in every form, fetching them from portals, and making listings of
//! what they say.

pub mod failure;
pub mod formats;
mod intake;
pub mod portal;
pub mod regtech;

pub use intake::{Intake, LineError, Terms, parse_day, parse_expiry, read};
