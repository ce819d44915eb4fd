//! Bringing lists in: fetching them, reading them in every form, and making listings of what they
//! say.

pub mod catalog;
mod dates;
pub mod failure;
pub mod feed;
pub mod fetch;
pub mod formats;
mod intake;
pub mod portal;
pub mod regtech;
pub mod secudium;

pub use dates::{parse_day, parse_expiry, parse_until};
pub use intake::{Intake, LineError, Terms, read};

/// The lists' server of the tests, which those of the whole program use too.
#[cfg(test)]
#[path = "../../tests/fakes/feed.rs"]
mod fake_feed;
