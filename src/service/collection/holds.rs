//! What the gate keeps back, and the word of an administrator about it; the audit.

use super::{Collection, List};
use crate::collect::ledger::{Audit, Hold};
use crate::model::Receipt;
use crate::service::paging::{Opaque, limit};
use crate::service::reply::actor;
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const LIMIT: usize = 50;
const MOST: usize = 1_000;

/// A hold with its grounds in words.
#[derive(Serialize)]
pub(super) struct HoldRow {
    #[serde(flatten)]
    hold: Hold,
    /// The grounds for a person.
    why: Vec<String>,
    /// Listings that consent would change.
    difference: u64,
}

pub(super) async fn list(State(role): State<Collection>) -> Result<Json<List<HoldRow>>, Problem> {
    let row = |hold: Hold| {
        let told = |held: &crate::collect::ledger::Held| {
            held.grounds.iter().map(|ground| format!("{}: {ground}", held.label)).collect::<Vec<_>>()
        };
        let why = hold.documents.iter().flat_map(told).collect();
        HoldRow { difference: hold.shown(), hold, why }
    };
    let holds = role.collector()?.holds().await?;
    Ok(Json(List::whole(holds.into_iter().map(row).collect())))
}

/// Why an administrator decides so.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    reason: String,
}

#[derive(Serialize)]
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
    let receipt = role.collector()?.consent(id, &actor(caller), &decision.reason).await?;
    Ok(Json(Consented { status: "success", receipt }))
}

#[derive(Serialize)]
pub(super) struct Rejected {
    status: &'static str,
}

pub(super) async fn reject(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Json(decision): Json<Decision>,
) -> Result<Json<Rejected>, Problem> {
    role.collector()?.reject(id, &actor(caller), &decision.reason).await?;
    Ok(Json(Rejected { status: "success" }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    cursor: Option<Opaque<u64>>,
}

#[derive(Serialize)]
pub(super) struct AuditRow {
    number: u64,
    #[serde(flatten)]
    entry: Audit,
}

pub(super) async fn audit(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Query(page): Query<Page>,
) -> Result<Json<List<AuditRow>>, Problem> {
    caller.demand_admin()?;
    let limit = limit(page.limit, LIMIT, MOST)?;
    let collector = role.collector()?;
    let entries = collector.audit(page.cursor.map(|cursor| cursor.0), limit).await?;
    let total = collector.audit(None, 1).await?.first().map_or(0, |(number, _)| *number);
    let cursor = entries.last().filter(|_| entries.len() == limit).map(|(number, _)| Opaque(*number).text());
    let data = entries.into_iter().map(|(number, entry)| AuditRow { number, entry }).collect();
    Ok(Json(List { status: "success", data, total, cursor }))
}
