//! Bringing lists in: reading them in every form, and making listings of what they say.

pub mod collector;
pub mod definition;
pub mod failure;
pub mod feed;
pub mod fetch;
pub mod formats;
pub mod gate;
mod intake;
pub mod ledger;
pub mod portal;
pub mod raw;
pub mod regtech;
pub mod run;
pub mod schedule;
pub mod span;
pub mod vault;

pub use intake::{Intake, LineError, Terms, parse_day, parse_expiry, read};
