//! The allowlist: what is never published, whoever lists it.

use super::super::paging::{Page, Paging};
use super::super::reason::{Removal, reason, words};
use super::super::reply::{blocking, range};
use super::Blacklist;
use crate::addr::IpRange;
use crate::model::{Allow, Cause, Change, Time};
use crate::publish::freed;
use crate::rights::Right;
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(super) async fn list(
    State(role): State<Blacklist>,
    Query(paging): Query<Paging<IpRange>>,
) -> Result<Json<Page<Allow, IpRange>>, Problem> {
    let snapshot = role.engine.snapshot();
    paging.page(snapshot.allows.to_vec(), |allow| allow.range, snapshot.generation).map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// An address, prefix or range.
    range: String,
    reason: String,
    owner: Option<String>,
    expires: Option<Time>,
}

/// What an allow changes.
#[derive(Serialize)]
pub(super) struct Allowed {
    range: IpRange,
    generation: u64,
    /// Addresses that were blocked, by a list or by what a feed still hands out, and are so no more.
    frees: u64,
    /// Whether that is so much that only an administrator may do it.
    broad: bool,
}

pub(super) async fn add(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<New>,
) -> Result<Json<Allowed>, Problem> {
    let range = range(&new.range)?;
    let reason = reason(Some(&new.reason))?;
    let owner = new.owner.as_deref().map(|owner| words("owner", owner)).transpose()?;
    let before = Arc::clone(&role.engine.snapshot());
    let allow = Allow {
        range,
        reason: reason.clone(),
        owner: owner.unwrap_or_else(|| super::actor(&caller)),
        expires: new.expires,
        since: role.engine.now(),
    };
    let feeds = role.feeds.clone();
    let freed =
        blocking(move || Ok(freed(&before, feeds.as_deref(), &[range].into_iter().collect()))).await?;
    if freed.is_broad {
        caller.demand(Right::Admin)?;
    }
    let receipt = role.submit(&caller, &reason, Cause::Manual, Change::Allow(allow)).await?;
    let frees = freed.addresses.try_into().unwrap_or(u64::MAX);
    Ok(Json(Allowed { range, generation: receipt.generation, frees, broad: freed.is_broad }))
}

#[derive(Serialize)]
pub(super) struct Removed {
    range: IpRange,
    generation: u64,
}

pub(super) async fn remove(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    removal: Removal,
) -> Result<Json<Removed>, Problem> {
    let range = range(&text)?;
    let receipt = role.submit(&caller, &removal.of_all()?, Cause::Manual, Change::Disallow(range)).await?;
    Ok(Json(Removed { range, generation: receipt.generation }))
}
