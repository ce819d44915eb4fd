//! The roles: what each answers on its port. One file or folder a role; none knows another's
//! insides.

pub mod analytics;
pub mod blacklist;
mod chapters;
mod claim;
pub mod collection;
pub mod decisions;
pub mod dnsbl;
pub mod feeds;
#[cfg(test)]
mod fixture;
pub mod identity;
pub mod journal;
mod paging;
mod pieces;
pub mod publishing;
mod reason;
mod reply;
pub mod taxii;

pub use chapters::{PLACES, chapters};

/// What is kept back, of sources and of feeds.
pub const HOLDS: &str = "/api/v1/holds";
/// Who did what, in both books.
pub const AUDIT: &str = "/api/v1/audit";
