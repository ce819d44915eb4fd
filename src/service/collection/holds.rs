//! What the gate keeps back, and the word of an administrator about it; the audit.

use super::{Collection, List};
use crate::collect::ledger::{Audit, Held, Hold};
use crate::model::Receipt;
use crate::service::paging::{Page, Paging, limit};
use crate::service::reply::actor;
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const LIMIT: usize = 50;
const MOST: usize = 1_000;

/// A hold with its grounds in words.
#[derive(Serialize, JsonSchema)]
pub(super) struct HoldRow {
    #[serde(flatten)]
    hold: Hold,
    /// The grounds for a person.
    why: Vec<String>,
    /// Listings that consent would change.
    difference: u64,
}

impl From<Hold> for HoldRow {
    fn from(hold: Hold) -> Self {
        let told = |held: &Held| {
            held.grounds.iter().map(|ground| format!("{}: {ground}", held.label)).collect::<Vec<_>>()
        };
        let why = hold.documents.iter().flat_map(told).collect();
        Self { difference: hold.shown(), hold, why }
    }
}

/// What waits for a decision, oldest first: ids grow with time.
pub(super) async fn list(
    State(role): State<Collection>,
    Query(paging): Query<Paging<Uuid>>,
) -> Result<Json<Page<HoldRow, Uuid>>, Problem> {
    let holds = role.collector()?.holds().await?;
    let rows = holds.into_iter().map(HoldRow::from).collect();
    paging.page(rows, |row| row.hold.id, role.engine.snapshot().generation).map(Json)
}

/// Why an administrator decides so.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    reason: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Consented {
    status: &'static str,
    #[serde(flatten)]
    receipt: Receipt,
}

pub(super) async fn consent(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Json(decision): Json<Decision>,
) -> Result<Json<Consented>, Problem> {
    let receipt = role.collector()?.consent(id, &actor(&caller), &decision.reason).await?;
    Ok(Json(Consented { status: "success", receipt }))
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Rejected {
    status: &'static str,
}

pub(super) async fn reject(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Json(decision): Json<Decision>,
) -> Result<Json<Rejected>, Problem> {
    role.collector()?.reject(id, &actor(&caller), &decision.reason).await?;
    Ok(Json(Rejected { status: "success" }))
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AuditRow {
    number: u64,
    #[serde(flatten)]
    entry: Audit,
}

pub(super) async fn audit(
    State(role): State<Collection>,
    Query(Paging { limit: asked, cursor }): Query<Paging<u64>>,
) -> Result<Json<List<AuditRow, u64>>, Problem> {
    let limit = limit(asked, LIMIT, MOST)?;
    let (entries, total) = role.collector()?.audit(cursor.map(|cursor| cursor.0), limit + 1).await?;
    let rows = entries.into_iter().map(|(number, entry)| AuditRow { number, entry }).collect();
    Ok(Json(List::page(rows, limit, total, |row| row.number)))
}
