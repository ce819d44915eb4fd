//! The collection role: the sources and how they stand, in today's paths and in the earlier
//! system's.
//!
//! It must not know how a source is fetched.

use super::reply::view;
use crate::addr::IpRange;
use crate::engine::{Engine, Snapshot};
use crate::model::{Country, Day, Detail, Policy, Source, SourceId, SourceName, Time};
use crate::store::{Dimension, Entry, View};
use crate::web::{Json, Path, Problem, Query};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `collected-data` answers so many rows unless told otherwise, and at most [`MOST`].
const LIMIT: usize = 100;
const MOST: usize = 10_000;

/// What this role needs.
#[derive(Clone)]
pub struct Collection {
    /// The blacklist itself, or one that follows it.
    pub engine: Engine,
}

impl Collection {
    /// The role's routes, those of the earlier system included.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/v1/collection/status", get(status))
            .route("/api/v1/collection/sources", get(sources))
            .route("/api/v1/collection/sources/{name}", get(source))
            .route("/api/v1/status", get(status))
            .route("/api/v1/collected-data", get(collected_data))
            .with_state(self)
    }
}

/// One source, as it stands.
#[derive(Serialize)]
struct SourceRow {
    name: SourceName,
    /// What holds for all its listings.
    #[serde(flatten)]
    policy: Policy,
    /// Active listings.
    listings: u64,
    /// Its last complete run.
    last_seen: Option<Time>,
    /// When it first appeared.
    since: Time,
}

impl SourceRow {
    fn new(snapshot: &Snapshot, source: &Source) -> Self {
        Self {
            name: source.name.clone(),
            policy: source.policy.clone(),
            listings: snapshot.coverage.get(&source.id).map_or(0, |coverage| coverage.len()),
            last_seen: source.last_seen,
            since: source.since,
        }
    }
}

#[derive(Serialize)]
struct SourceList {
    status: &'static str,
    data: Vec<SourceRow>,
    total: usize,
}

async fn sources(State(role): State<Collection>) -> Json<SourceList> {
    let snapshot = role.engine.snapshot();
    let data: Vec<_> = snapshot.sources.values().map(|source| SourceRow::new(&snapshot, source)).collect();
    Json(SourceList { status: "success", total: data.len(), data })
}

async fn source(
    State(role): State<Collection>,
    Path(name): Path<SourceName>,
) -> Result<Json<SourceRow>, Problem> {
    let snapshot = role.engine.snapshot();
    let source = snapshot.source(name.as_str());
    let row = source.map(|source| Json(SourceRow::new(&snapshot, source)));
    row.ok_or_else(|| Problem::not_found("unknown_source", format!("There is no source {name}.")))
}

/// The earlier system's view of all sources; the gateway shows it too.
#[derive(Serialize)]
struct Status {
    status: &'static str,
    data: BTreeMap<SourceName, SourceStatus>,
    /// Active listings of all sources.
    total_collected: u64,
}

#[derive(Serialize)]
struct SourceStatus {
    /// Whether it is fetched on a schedule; a list that only people import is not.
    enabled: bool,
    /// Its last complete run.
    last_run: Option<Time>,
    /// `completed` once a complete run succeeded, else `idle`.
    status: &'static str,
}

async fn status(State(role): State<Collection>) -> Json<Status> {
    let snapshot = role.engine.snapshot();
    let stand = |source: &Source| SourceStatus {
        enabled: false,
        last_run: source.last_seen,
        status: if source.last_seen.is_some() { "completed" } else { "idle" },
    };
    let data = snapshot.sources.values().map(|source| (source.name.clone(), stand(source))).collect();
    Json(Status { status: "success", data, total_collected: snapshot.listings() })
}

#[derive(Deserialize)]
struct Page {
    limit: Option<usize>,
}

/// One listing, in the earlier system's words.
#[derive(Serialize)]
struct Collected {
    ip: IpRange,
    source: SourceName,
    /// The day of the attack, by the source.
    detection_date: Option<Day>,
    threat_type: Option<Box<str>>,
    country: Option<Country>,
}

#[derive(Serialize)]
struct CollectedData {
    status: &'static str,
    data: Vec<Collected>,
    /// Listings in all, suppressed ones included, as in `data`.
    total: u64,
}

/// The first listings in the order of addresses, IPv4 first: the store keeps no order of arrival.
async fn collected_data(
    State(role): State<Collection>,
    Query(page): Query<Page>,
) -> Result<Json<CollectedData>, Problem> {
    let limit = page.limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_request("query", format!("limit must be 1 to {MOST}.")));
    }
    view(&role.engine, move |view| collected(view, limit)).await.map(Json)
}

fn collected(view: &View, limit: usize) -> Result<CollectedData, redb::Error> {
    let sources = view.sources()?;
    let names: BTreeMap<SourceId, SourceName> = sources.into_iter().map(|s| (s.id, s.name)).collect();
    let mut data = Vec::new();
    view.each_entry(None, |entry| {
        data.extend(rows(entry, &names));
        data.len() < limit
    })?;
    data.truncate(limit);
    let total = view.standing(Dimension::All)?.iter().map(|(_, count)| count).sum();
    Ok(CollectedData { status: "success", data, total })
}

fn rows(entry: Entry, names: &BTreeMap<SourceId, SourceName>) -> impl Iterator<Item = Collected> {
    entry.listings.into_iter().filter_map(move |(source, detail)| {
        let Detail { detected, threat, country, .. } = detail;
        let source = names.get(&source)?.clone();
        Some(Collected { ip: entry.range, source, detection_date: detected, threat_type: threat, country })
    })
}

#[cfg(test)]
mod tests;
