//! The journal for people: who changed what, when and why.

use super::super::paging::{Opaque, limit};
use super::super::reply::blocking;
use super::Blacklist;
use crate::disk::hex;
use crate::engine::Snapshot;
use crate::journal;
use crate::model::{Cause, Op, Record, Time};
use crate::web::{Json, Path, Problem, Query};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const LIMIT: usize = 20;
const MOST: usize = 200;
/// Records are read whole to be told of; so many bytes of them at once are enough.
const BYTES: usize = 32 << 20;

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
    added: usize,
    /// Rows that went.
    removed: usize,
    changes: Vec<Changed>,
}

/// What a record did to one source, or to the policy.
#[derive(Serialize)]
struct Changed {
    what: &'static str,
    source: Option<String>,
    removed: usize,
    added: usize,
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
    let sealed = role.engine.sealed(after, BYTES).await?;
    let snapshot = Arc::clone(snapshot);
    blocking(move || {
        let wanted = usize::try_from(before.saturating_sub(after + 1)).unwrap_or(usize::MAX);
        let told = sealed.iter().take(wanted).map(|bytes| {
            let record =
                journal::read(bytes).map_err(|error| Problem::unavailable("disk", 30).inner(error))?;
            Ok(Generation::new(record, &bytes[..32.min(bytes.len())], &snapshot))
        });
        told.collect()
    })
    .await
}

impl Generation {
    fn new(record: Record, digest: &[u8], snapshot: &Snapshot) -> Self {
        let changes: Vec<_> = record.ops.iter().map(|op| Changed::new(op, snapshot)).collect();
        Self {
            added: changes.iter().map(|change| change.added).sum(),
            removed: changes.iter().map(|change| change.removed).sum(),
            generation: record.generation,
            time: record.time,
            actor: record.actor,
            reason: record.reason,
            cause: record.cause,
            batch: record.batch,
            digest: hex(digest),
            changes,
        }
    }
}

impl Changed {
    fn new(op: &Op, snapshot: &Snapshot) -> Self {
        let (what, source, removed, added) = match op {
            Op::Source(source) => ("source", Some(source.name.to_string()), 0, 1),
            Op::Listings { source, difference } => {
                let name = snapshot.sources.get(source).map(|source| source.name.to_string());
                ("listings", name, difference.removed.len(), difference.added.len())
            }
            Op::Allows { removed, added } => ("allowlist", None, removed.len(), added.len()),
            Op::Suppressions { removed, added } => ("suppressions", None, removed.len(), added.len()),
        };
        Self { what, source, removed, added }
    }
}
