//! The journal for people: who changed what, when and why; how two generations differ; and the way back.

mod book;
mod diff;
mod rollback;

pub(super) use diff::{Compared, difference};
pub(super) use rollback::rollback;

use super::super::paging::{Opaque, limit};
use super::super::reply::blocking;
use super::Blacklist;
use crate::disk::hex;
use crate::engine::{EngineError, Refusal, Snapshot};
use crate::journal::{Counted, Summary, What};
use crate::model::{Cause, SourceId, SourceName, Time};
use crate::web::{Json, Path, Problem, Query, Response};
use axum::extract::State;
use book::{Asked, Book, Span};
use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const LIMIT: usize = 20;
const MOST: usize = 200;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    limit: Option<usize>,
    /// The last generation of the page before.
    cursor: Option<Opaque<u64>>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Generations {
    status: &'static str,
    /// Newest first.
    data: Vec<Generation>,
    total: u64,
    /// The oldest that is kept: older ones can be neither shown nor gone back to.
    oldest: u64,
    cursor: Option<Opaque<u64>>,
}

/// What one generation is shown as.
pub(super) type Shown = book::Page<One, book::Row<'static>>;

/// A generation that is shown with its rows.
#[derive(Serialize, JsonSchema)]
pub(super) struct One {
    #[serde(flatten)]
    generation: Generation,
    /// Rows in all, each thing that changed once.
    total: u64,
}

/// One record of the journal.
#[derive(Serialize, JsonSchema)]
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
#[derive(Serialize, JsonSchema)]
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
    let limit = limit(parameters.limit, LIMIT, MOST)? as u64;
    blocking(move || {
        let snapshot = Arc::clone(&role.engine.snapshot());
        let end = snapshot.generation + 1;
        let oldest = role.engine.oldest()?;
        let before = parameters.cursor.map_or(end, |Opaque(last)| last.min(end));
        let after = before.saturating_sub(limit + 1).max(oldest);
        let told = role.engine.summaries(after, before)?;
        let data: Vec<_> =
            told.into_iter().rev().map(|summary| Generation::new(summary, &snapshot)).collect();
        let cursor = data.last().map(|last| last.generation).filter(|last| *last > oldest + 1).map(Opaque);
        let (total, oldest) = (snapshot.generation - oldest, oldest.min(snapshot.generation));
        Ok(Json(Generations { status: "success", data, total, oldest, cursor }))
    })
    .await
}

pub(super) async fn one(
    State(role): State<Blacklist>,
    Path(number): Path<u64>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let span = Span { from: number.saturating_sub(1), to: number, source: asked.source.clone() };
    let of = span.source.clone();
    let wish = asked.wish(span, &headers)?;
    let (head, book) = blocking(move || {
        let snapshot = Arc::clone(&role.engine.snapshot());
        let (summary, net) = role.engine.generation(number, number_of(of.as_ref(), &snapshot)?)?;
        let book = Book::new(net, &snapshot);
        Ok((One { generation: Generation::new(summary, &snapshot), total: book.total() }, book))
    })
    .await?;
    wish.answer(head, book).await
}

/// The source's number, if one is named.
fn number_of(source: Option<&SourceName>, snapshot: &Snapshot) -> Result<Option<SourceId>, EngineError> {
    let Some(name) = source else { return Ok(None) };
    let known = snapshot.source(name.as_str()).map(|source| source.id);
    known.map(Some).ok_or_else(|| EngineError::Refused(Refusal::UnknownSource(name.clone())))
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
