//! What the roles serve, wherever they run: for the door, for documents and for whoever checks them.

use super::analytics::Analytics;
use super::blacklist::Blacklist;
use super::collection::Collection;
use super::decisions::Decisions;
use super::feeds::Desk;
use super::identity::People;
use super::journal;
use super::publishing::{Hooking, Publishing, Pushing};
use super::taxii::Taxii;
use crate::web::openapi::{Chapter, Place};
use crate::web::{Role, health, metrics};

/// What stands between braces in the paths of roles.
pub const PLACES: &[Place] = &[
    (
        "ip",
        "An address; where it is listed or ended, a prefix or a range, too, its slash as %2F.",
        "string",
        "192.0.2.1",
    ),
    ("range", "An address, a prefix or a range, its slash as %2F.", "string", "192.0.2.0/24"),
    ("number", "A generation.", "integer", "1"),
    ("to", "Another generation.", "integer", "2"),
    ("name", "The name of a source, a feed, a device or a webhook.", "string", "fortigate"),
    ("id", "The id of a run, a hold, a remnant or a collection.", "string", "fortigate"),
    ("token", "A device's token.", "string", "TOKEN"),
    ("object", "The id of an object.", "string", "indicator--0"),
];

/// The routes of every role but the gateway.
pub fn chapters() -> Vec<Chapter> {
    let common = [health::routes().into_rows(), metrics::routes().into_rows()].concat();
    let blacklist = [
        Blacklist::routes().into_rows(),
        Desk::routes().into_rows(),
        Publishing::routes().into_rows(),
        Pushing::routes().into_rows(),
        Hooking::routes().into_rows(),
        Decisions::routes().into_rows(),
        Taxii::routes().into_rows(),
        journal::routes().into_rows(),
        People::routes().into_rows(),
    ];
    let chapter = |role, rows: Vec<_>| Chapter { role, rows: [common.clone(), rows].concat() };
    vec![
        chapter(Role::Blacklist, blacklist.concat()),
        chapter(Role::Collection, Collection::routes().into_rows()),
        chapter(Role::Analytics, Analytics::routes().into_rows()),
    ]
}
