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
pub mod journal;
mod paging;
mod pieces;
pub mod publishing;
mod reason;
mod reply;
pub mod taxii;

use crate::web::routes::Row;
use crate::web::{health, metrics};

/// The routes of all roles, wherever they are.
pub fn rows() -> Vec<Row> {
    let blacklist = [
        blacklist::Blacklist::routes().rows(),
        feeds::Desk::routes().rows(),
        publishing::Publishing::routes().rows(),
        publishing::Pushing::routes().rows(),
        publishing::Hooking::routes().rows(),
        decisions::Decisions::routes().rows(),
        taxii::Taxii::routes().rows(),
        journal::routes().rows(),
    ]
    .concat();
    let others = [collection::Collection::routes().rows(), analytics::Analytics::routes().rows()].concat();
    [health::routes().rows(), metrics::routes().rows(), &blacklist, &others].concat()
}

/// What is kept back, of sources and of feeds.
pub const HOLDS: &str = "/api/v1/holds";
/// Who did what, in both books.
pub const AUDIT: &str = "/api/v1/audit";
