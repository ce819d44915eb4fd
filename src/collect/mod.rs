//! Bringing lists in: fetching them, reading them in every form, and making listings of what they
//! say.

pub mod failure;
pub mod fetch;
pub mod formats;
mod intake;
pub mod portal;
pub mod regtech;

pub use intake::{Intake, LineError, Terms, parse_day, parse_expiry, read};
