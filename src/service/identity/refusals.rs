//! Who was refused what, and why, as administrators see it.

use super::super::paging::{Newest, NumberedPage};
use super::super::reply::aside;
use super::People;
use crate::identity::Refusals;
use crate::web::{Json, Problem, Query};
use axum::extract::State;
use std::sync::Arc;

/// Rows of a page unless told otherwise.
const LIMIT: usize = 100;

pub(super) async fn list(
    State(role): State<People>,
    Query(asked): Query<Newest>,
) -> Result<Json<NumberedPage<Refusals>>, Problem> {
    let keeper = Arc::clone(role.keeper()?);
    let read = move || asked.page(LIMIT, |before, limit| Ok(keeper.refusals(before, limit)?));
    aside(read).await.map(Json)
}
