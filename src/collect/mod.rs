//! Bringing lists in: fetching them, reading them in every form, judging them, and making listings of
//! what they say.

pub mod catalog;
pub mod collector;
mod dates;
pub mod definition;
pub mod feed;
pub mod formats;
pub mod gate;
mod intake;
pub mod ledger;
pub mod portal;
pub mod raw;
pub mod regtech;
pub mod run;
pub mod schedule;
pub mod secudium;
pub mod span;
mod told;

pub use dates::{parse_day, parse_expiry, parse_until};
pub use intake::{Intake, LineError, Terms, read};
