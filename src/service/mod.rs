//! The roles: what each answers on its port. One file or folder a role; none knows another's
//! insides.

pub mod analytics;
pub mod blacklist;
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
