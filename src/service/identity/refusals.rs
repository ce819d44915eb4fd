//! Who was refused what, and why, as administrators see it.

use super::super::paging::{Opaque, limit};
use super::super::reply::aside;
use super::People;
use crate::identity::Refusals;
use crate::web::{Json, Problem, Query};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Rows of a page unless told otherwise, and at most.
const LIMIT: usize = 100;
const MOST: usize = 1_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    limit: Option<usize>,
    cursor: Option<Opaque<u64>>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Row {
    number: u64,
    #[serde(flatten)]
    refusals: Refusals,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Page {
    status: &'static str,
    data: Vec<Row>,
    total: u64,
    cursor: Option<Opaque<u64>>,
}

pub(super) async fn list(
    State(role): State<People>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page>, Problem> {
    let limit = limit(asked.limit, LIMIT, MOST)?;
    let (keeper, before) = (Arc::clone(role.keeper()?), asked.cursor.map(|Opaque(number)| number));
    let (mut rows, total) = aside(move || Ok(keeper.refusals(before, limit + 1)?)).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let cursor = rows.last().filter(|_| more).map(|(number, _)| Opaque(*number));
    let data = rows.into_iter().map(|(number, refusals)| Row { number, refusals }).collect();
    Ok(Json(Page { status: "success", data, total, cursor }))
}
