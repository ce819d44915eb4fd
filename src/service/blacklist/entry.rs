//! An entry as the earlier system showed it, and its search for some.

use super::super::reply::view;
use super::Blacklist;
use crate::addr::parse_address;
use crate::engine::Snapshot;
use crate::model::{Detail, Source, Time};
use crate::store::View;
use crate::web::{Json, Problem};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses in one question; each that is listed costs a seek for every source and level.
const MOST: usize = 1_000;

/// A listing in the earlier system's words.
#[derive(Serialize, JsonSchema)]
pub(super) struct Entry {
    id: String,
    pub(super) ip: String,
    pub(super) source: String,
    detection_date: Option<String>,
    threat_type: Option<Box<str>>,
    country: Option<String>,
    is_active: bool,
    expires_date: Option<Time>,
    created_at: Time,
}

impl Entry {
    fn new(ip: String, source: &Source, detail: Detail, is_active: bool) -> Self {
        Self {
            id: format!("{}:{ip}", source.name),
            ip,
            source: source.name.to_string(),
            detection_date: detail.detected.or(detail.listed).map(|day| day.to_string()),
            expires_date: source.expiry_of(&detail),
            threat_type: detail.threat,
            country: detail.country.map(String::from),
            is_active,
            created_at: detail.first_seen,
        }
    }
}

/// The listings around an address, active ones first; the first is what the earlier system called its entry.
pub(super) async fn entries(role: &Blacklist, address: IpAddr) -> Result<Vec<Entry>, Problem> {
    let snapshot = Arc::clone(&role.engine.snapshot());
    view(&role.engine, move |view| around(&snapshot, view, address)).await
}

fn around(snapshot: &Snapshot, view: &View, address: IpAddr) -> Result<Vec<Entry>, redb::Error> {
    let exempt = snapshot.check(address).exempt().is_some();
    let mut entries = Vec::new();
    for source in snapshot.sources.values() {
        for found in view.covering(source.id, address)? {
            let ended = snapshot.suppressions.iter().any(|s| s.ends(&source.name, found.range));
            let is_active = !exempt && !ended;
            entries.push(Entry::new(found.range.to_string(), source, found.detail, is_active));
        }
    }
    entries.sort_by_key(|entry| !entry.is_active);
    Ok(entries)
}

/// One answer to the earlier system's search.
#[derive(Serialize, JsonSchema)]
pub(super) struct Found {
    ip: String,
    found: bool,
    details: Option<Entry>,
}

/// Answers the earlier system's `{"ips":[…]}`: an address that nobody lists is not found.
///
/// # Errors
/// 413 for more than [`MOST`]; the bulk check takes as many as anybody has.
pub(super) async fn found(role: &Blacklist, ips: Vec<String>) -> Result<Json<Vec<Found>>, Problem> {
    if ips.len() > MOST {
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many")
            .detail(format!("At most {MOST} addresses at once; POST /api/v1/blacklist/check takes more.")));
    }
    let snapshot = Arc::clone(&role.engine.snapshot());
    view(&role.engine, move |view| {
        let find = |ip: String| {
            let details = details(&snapshot, view, &ip)?;
            let found = details.as_ref().is_some_and(|entry| entry.is_active);
            Ok(Found { ip, found, details })
        };
        ips.into_iter().map(find).collect::<Result<_, _>>().map(Json)
    })
    .await
}

/// The entry of an address. Most that is asked for is not listed: for that no page is read.
fn details(snapshot: &Snapshot, view: &View, ip: &str) -> Result<Option<Entry>, redb::Error> {
    match parse_address(ip.as_bytes()) {
        Ok(address) if !snapshot.check(address).sources.is_empty() => {
            Ok(around(snapshot, view, address)?.into_iter().next())
        }
        _ => Ok(None),
    }
}
