//! An entry as the earlier system showed it, and its search for some.

use super::super::reply::view;
use super::Blacklist;
use crate::addr::parse_address;
use crate::model::{Detail, Source, Time};
use crate::web::{Json, Problem};
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// A listing in the earlier system's words.
#[derive(Serialize)]
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

/// The listings around an address; what the earlier system called its entry comes first.
pub(super) async fn entries(role: &Blacklist, address: IpAddr) -> Result<Vec<Entry>, Problem> {
    let snapshot = Arc::clone(&role.engine.snapshot());
    let is_active = snapshot.check(address).is_listed();
    view(&role.engine, move |view| {
        let mut entries = Vec::new();
        for source in snapshot.sources.values() {
            for found in view.covering(source.id, address)? {
                entries.push(Entry::new(found.range.to_string(), source, found.detail, is_active));
            }
        }
        Ok(entries)
    })
    .await
}

/// One answer to the earlier system's search.
#[derive(Serialize)]
pub(super) struct Found {
    ip: String,
    found: bool,
    details: Option<Entry>,
}

/// Answers the earlier system's `{"ips":[…]}`: an address that nobody lists is not found.
pub(super) async fn found(role: &Blacklist, ips: Vec<String>) -> Result<Json<Vec<Found>>, Problem> {
    let mut answers = Vec::with_capacity(ips.len());
    for ip in ips {
        let details = match parse_address(ip.as_bytes()) {
            Ok(address) => entries(role, address).await?.into_iter().next(),
            Err(_) => None,
        };
        let found = details.as_ref().is_some_and(|entry| entry.is_active);
        answers.push(Found { ip, found, details });
    }
    Ok(Json(answers))
}
