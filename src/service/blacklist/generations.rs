//! The journal for people: who changed what, when and why.

use super::super::paging::{Opaque, limit};
use super::super::reply::blocking;
use super::Blacklist;
use crate::disk::hex;
use crate::engine::Snapshot;
use crate::journal::{Counted, Summary, What};
use crate::model::{Cause, Time};
use crate::web::{Json, Path, Problem, Query};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const LIMIT: usize = 20;
const MOST: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    limit: Option<usize>,
    /// The last generation of the page before.
    cursor: Option<Opaque<u64>>,
}

#[derive(Serialize)]
pub(super) struct Generations {
    status: &'static str,
    /// Newest first.
    data: Vec<Generation>,
    total: u64,
    cursor: Option<Opaque<u64>>,
}

/// One record of the journal.
#[derive(Serialize)]
pub(super) struct Generation {
    generation: u64,
    time: Time,
    actor: String,
    reason: String,
    cause: Cause,
    batch: uuid::Uuid,
    /// The digest over this record and all before it.
    digest: String,
    /// Rows that came, in all changes together; one that changed went and came.
    added: u64,
    /// Rows that went.
    removed: u64,
    changes: Vec<Changed>,
}

/// What a record did to one source, or to the policy.
#[derive(Serialize)]
struct Changed {
    what: &'static str,
    source: Option<String>,
    removed: u64,
    added: u64,
}

pub(super) async fn list(
    State(role): State<Blacklist>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Generations>, Problem> {
    let snapshot = Arc::clone(&role.engine.snapshot());
    let end = snapshot.generation + 1;
    let before = parameters.cursor.map_or(end, |Opaque(last)| last.min(end));
    let limit = limit(parameters.limit, LIMIT, MOST)? as u64;
    let mut data = read(&role, &snapshot, before.saturating_sub(limit + 1), before).await?;
    data.reverse();
    let cursor = data.last().map(|last| last.generation).filter(|last| *last > 1).map(Opaque);
    Ok(Json(Generations { status: "success", data, total: snapshot.generation, cursor }))
}

pub(super) async fn one(
    State(role): State<Blacklist>,
    Path(number): Path<u64>,
) -> Result<Json<Generation>, Problem> {
    let snapshot = Arc::clone(&role.engine.snapshot());
    let found = match number.checked_sub(1) {
        Some(after) if number <= snapshot.generation => {
            read(&role, &snapshot, after, number + 1).await?.pop()
        }
        _ => None,
    };
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found("unknown_generation", format!("There is no generation {number}.")))
}

/// The generations after `after` and before `before`, oldest first.
async fn read(
    role: &Blacklist,
    snapshot: &Arc<Snapshot>,
    after: u64,
    before: u64,
) -> Result<Vec<Generation>, Problem> {
    let (engine, snapshot) = (role.engine.clone(), Arc::clone(snapshot));
    blocking(move || {
        let summaries = engine.summaries(after, before)?;
        Ok(summaries.into_iter().map(|summary| Generation::new(summary, &snapshot)).collect())
    })
    .await
}

impl Generation {
    fn new(summary: Summary, snapshot: &Snapshot) -> Self {
        let changes = summary.changes.iter().map(|counted| Changed::new(counted, snapshot)).collect();
        Self {
            added: summary.changes.iter().map(|counted| counted.added).sum(),
            removed: summary.changes.iter().map(|counted| counted.removed).sum(),
            generation: summary.generation,
            time: summary.time,
            actor: summary.actor,
            reason: summary.reason,
            cause: summary.cause,
            batch: summary.batch,
            digest: hex(&summary.digest),
            changes,
        }
    }
}

impl Changed {
    fn new(counted: &Counted, snapshot: &Snapshot) -> Self {
        let what = match counted.what {
            What::Source => "source",
            What::Listings => "listings",
            What::Allows => "allowlist",
            What::Suppressions => "suppressions",
            What::Outputs => "outputs",
        };
        let source = counted.source.and_then(|id| snapshot.sources.get(&id));
        let source = source.map(|source| source.name.to_string());
        Self { what, source, removed: counted.removed, added: counted.added }
    }
}
