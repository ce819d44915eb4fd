//! Bringing lists in: fetching them, reading them in every form, and making listings of what they
//! say.

mod dates;
pub mod failure;
pub mod feed;
pub mod fetch;
pub mod formats;
mod intake;
pub mod portal;
pub mod regtech;
pub mod secudium;

pub use dates::{parse_day, parse_expiry};
pub use intake::{Intake, LineError, Terms, read};
