//! What was pushed to firewalls and is pushed no more: it is enforced until somebody empties it there.

use super::super::paging::{Page, Paging};
use super::super::reason::{Removal, reason};
use super::super::reply::aside;
use super::{Publishing, Pushing, Why};
use crate::engine::EngineError;
use crate::model::{OutputName, Time};
use crate::publish::push::{NotCleared, Pusher, Remnant};
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// So long whoever clears a list may wait before trying again, in seconds.
const LATER: u32 = 30;

/// A list that is still on a firewall.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct Row {
    /// What it is cleared by.
    id: String,
    /// Whose it was; there may be no device of that name any more.
    device: OutputName,
    /// The feed that was pushed there last.
    feed: OutputName,
    /// The firewall's name of the list.
    list: String,
    url: String,
    vdom: Option<String>,
    /// What it was proven to have last; none: it was sent something that was never proven.
    entries: Option<u64>,
    /// When it was sent something last, or proven.
    pushed_at: Time,
    /// What is the matter, for a person.
    what: String,
}

impl From<Remnant> for Row {
    fn from(remnant: Remnant) -> Self {
        let what = remnant.what();
        let Remnant { id, device, place } = remnant;
        let (url, vdom) = (place.target.url.to_string(), place.target.vdom);
        let (feed, list, entries, pushed_at) = (place.feed, place.list, place.entries, place.at);
        Self { id, device, feed, list, url, vdom, entries, pushed_at, what }
    }
}

/// Those of a device.
pub(super) fn of(role: &Publishing, device: &OutputName) -> Vec<Row> {
    let all = role.0.remnants().into_iter().filter(|remnant| remnant.device == *device);
    all.map(Row::from).collect()
}

/// What somebody should know who has just changed what a device is pushed.
pub(super) fn warnings(role: &Publishing, device: &OutputName) -> Vec<String> {
    let all = role.0.remnants().into_iter().filter(|remnant| remnant.device == *device);
    all.map(|remnant| format!("{}; {}", remnant.what(), remnant.cure())).collect()
}

pub(super) async fn list(
    State(Pushing(role, _)): State<Pushing>,
    Query(paging): Query<Paging<String>>,
) -> Result<Json<Page<Row, String>>, Problem> {
    let mut rows: Vec<Row> = role.0.remnants().into_iter().map(Row::from).collect();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    paging.page(rows, |row: &Row| row.id.clone(), role.generation()).map(Json)
}

pub(super) async fn clear(
    State(Pushing(role, pusher)): State<Pushing>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, Problem> {
    let reason = reason(Some(&why.reason))?;
    let cleaner = Arc::clone(&pusher);
    // It goes on when whoever asked has left.
    let cleared = tokio::spawn(async move { cleaner.clear(&id).await.map_err(problem) });
    let remnant = cleared.await.map_err(Problem::internal)??;
    forget(&role, pusher, &caller, remnant, ("device.push.clear", &reason)).await
}

pub(super) async fn drop(
    State(Pushing(role, pusher)): State<Pushing>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    removal: Removal,
) -> Result<Json<Value>, Problem> {
    let reason = removal.of_all()?;
    let remnant = pusher.remnant(&id).map_err(problem)?;
    forget(&role, pusher, &caller, remnant, ("device.push.forget", &reason)).await
}

async fn forget(
    role: &Publishing,
    pusher: Arc<Pusher>,
    caller: &Caller,
    remnant: Remnant,
    (action, reason): (&str, &str),
) -> Result<Json<Value>, Problem> {
    let mut audit = role.audit(caller, action, remnant.device.as_str(), reason);
    audit.detail = remnant.what();
    aside(move || pusher.forget(&remnant, &audit).map_err(problem)).await?;
    Ok(Json(json!({"status": "success"})))
}

fn problem(why: NotCleared) -> Problem {
    match why {
        NotCleared::Unknown => Problem::not_found("unknown_remnant", format!("{why}.")),
        NotCleared::Firewall(fault) => Problem::unavailable(fault.code(), LATER)
            .detail(format!("{fault}; {}. If it is no more: DELETE forgets it.", fault.cure())),
        NotCleared::Disk(error) => EngineError::from(error).into(),
    }
}
