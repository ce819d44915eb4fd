//! The earlier system's paths and shapes, with the truth in them.

use super::{Collection, runs, sources};
use crate::addr::IpRange;
use crate::collect::collector::SourceView;
use crate::collect::run::State as RunState;
use crate::model::{Country, Day, Detail, SourceId, SourceName, Time};
use crate::rights::Right;
use crate::service::reply::view;
use crate::store::{Dimension, Entry, View};
use crate::web::Demand::{Earlier, Of};
use crate::web::{Caller, Json, Problem, Query, Routes};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `collected-data` answers so many rows unless told otherwise, and at most [`MOST`].
const LIMIT: usize = 100;
const MOST: usize = 10_000;

pub(super) fn routes() -> Routes<Collection> {
    let (writes, admin) = (Earlier(Right::Write), Earlier(Right::Admin));
    Routes::new()
        .get("/api/v1/collection/status", Of(Right::Read), status, "Shows in short how all sources stand.")
        .get(
            "/api/v1/status",
            Earlier(Right::Read),
            status,
            "Shows how all sources stand, where the earlier system did.",
        )
        .post("/api/v1/collect", writes, collect, "Begins a run, as the earlier system did.")
        .put(
            "/api/v1/sources/{name}/enable",
            admin,
            sources::enable,
            "Lets a source be fetched, where the earlier system did.",
        )
        .put(
            "/api/v1/sources/{name}/disable",
            admin,
            sources::disable,
            "Has a source fetched no more, where the earlier system did.",
        )
        .get(
            "/api/v1/collected-data",
            Earlier(Right::Read),
            collected_data,
            "Lists what sources list, as the earlier system did.",
        )
}

/// The earlier system's view of all sources; the gateway shows it too.
#[derive(Serialize, JsonSchema)]
struct Status {
    status: &'static str,
    data: BTreeMap<SourceName, SourceStatus>,
    /// Active listings of all sources.
    total_collected: u64,
}

#[derive(Serialize, JsonSchema)]
struct SourceStatus {
    /// Whether it is fetched on a schedule; a list that only people import is not.
    enabled: bool,
    /// Its last complete run.
    last_run: Option<Time>,
    /// `idle`, `running`, `completed` or `error`.
    status: &'static str,
}

async fn status(State(role): State<Collection>) -> Result<Json<Status>, Problem> {
    let snapshot = std::sync::Arc::clone(&role.engine.snapshot());
    let imported = snapshot.sources.values().map(|source| {
        let status = if source.last_seen.is_some() { "completed" } else { "idle" };
        (source.name.clone(), SourceStatus { enabled: false, last_run: source.last_seen, status })
    });
    let mut data: BTreeMap<_, _> = imported.collect();
    if let Some(collector) = &role.collector {
        for view in collector.sources().await? {
            let seen = data.get(&view.name).and_then(|known| known.last_run);
            // A list of the catalogue that nobody has switched on is no news.
            if view.enabled || view.last_run.is_some() || view.definition.kind.is_portal() || seen.is_some() {
                data.insert(view.name.clone(), stand(&view, seen));
            }
        }
    }
    Ok(Json(Status { status: "success", data, total_collected: snapshot.listings() }))
}

fn stand(view: &SourceView, seen: Option<Time>) -> SourceStatus {
    let status = match view.state {
        Some(RunState::Queued | RunState::Running | RunState::AwaitingOtp) => "running",
        Some(RunState::Failed | RunState::Held | RunState::Rejected) => "error",
        Some(RunState::Done) => "completed",
        Some(RunState::Cancelled) | None => {
            if seen.is_some() {
                "completed"
            } else {
                "idle"
            }
        }
    };
    SourceStatus { enabled: view.enabled, last_run: view.last_success.max(seen), status }
}

/// What the earlier system's callers send; what else they send is ignored, as it was.
#[derive(Deserialize, JsonSchema)]
struct Collect {
    source: SourceName,
    start_date: Option<Day>,
    end_date: Option<Day>,
    #[serde(default)]
    force: bool,
}

#[derive(Serialize, JsonSchema)]
struct Collecting {
    status: &'static str,
    message: String,
    timestamp: Time,
    /// The run's id.
    run: uuid::Uuid,
}

async fn collect(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Json(wish): Json<Collect>,
) -> Result<Json<Collecting>, Problem> {
    let Collect { source, start_date, end_date, force } = wish;
    let message = format!("collection of {source} has begun");
    let run = runs::begin(&role, &caller, runs::Trigger { source, start_date, end_date, force }).await?;
    Ok(Json(Collecting { status: "success", message, timestamp: role.engine.now(), run }))
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    limit: Option<usize>,
}

/// One listing, in the earlier system's words.
#[derive(Serialize, JsonSchema)]
struct Collected {
    ip: IpRange,
    source: SourceName,
    /// The day of the attack, by the source.
    detection_date: Option<Day>,
    threat_type: Option<Box<str>>,
    country: Option<Country>,
}

#[derive(Serialize, JsonSchema)]
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
