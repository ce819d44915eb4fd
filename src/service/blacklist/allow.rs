//! The allowlist: what is never published, whoever lists it.

use super::super::paging::{Page, Paging};
use super::super::reason::{Removal, reason, words};
use super::super::reply::{blocking, range};
use super::Blacklist;
use crate::addr::{IpRange, IpSet};
use crate::engine::Snapshot;
use crate::model::{Allow, Cause, Change, Time};
use crate::publish::Feeds;
use crate::rights::Right;
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(super) async fn list(
    State(role): State<Blacklist>,
    Query(paging): Query<Paging<IpRange>>,
) -> Result<Json<Page<Allow, IpRange>>, Problem> {
    let snapshot = role.engine.snapshot();
    paging.page(snapshot.allows.to_vec(), |allow| allow.range, snapshot.generation).map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// An address, prefix or range.
    range: String,
    reason: String,
    owner: Option<String>,
    expires: Option<Time>,
}

/// What an allow changes.
#[derive(Serialize, JsonSchema)]
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
    let freed = blocking(move || Ok(freed(&before, feeds.as_deref(), range))).await?;
    if freed.is_broad {
        caller.demand(Right::Admin)?;
    }
    let receipt = role.submit(&caller, &reason, Cause::Manual, Change::Allow(allow)).await?;
    let frees = freed.addresses.try_into().unwrap_or(u64::MAX);
    Ok(Json(Allowed { range, generation: receipt.generation, frees, broad: freed.is_broad }))
}

/// An allow that frees more addresses, or a larger share of a feed in percent, is an administrator's.
const BROAD: (u128, u128) = (1 << 16, 1);

/// What an allow frees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Freed {
    addresses: u128,
    is_broad: bool,
}

/// What is blocked of a range: by what is listed, and by the feeds as they are handed out, since one that is held may
/// hold what nobody lists any more. Unpacks every feed.
fn freed(snapshot: &Snapshot, feeds: Option<&Feeds>, range: IpRange) -> Freed {
    let asked: IpSet = [range].into_iter().collect();
    let (mut all, mut is_broad) = (listed(snapshot, range), false);
    let offered = feeds.map(Feeds::all).unwrap_or_default();
    for released in offered.values().filter_map(|feed| feed.released()) {
        let part = released.release.set.unpack().intersect(&asked);
        is_broad |= part.size().saturating_mul(100) > released.release.addresses.saturating_mul(BROAD.1);
        all = all.union(&part);
    }
    let addresses = all.size();
    Freed { addresses, is_broad: is_broad || addresses > BROAD.0 }
}

/// What of a range is listed, and exempted by nothing.
fn listed(snapshot: &Snapshot, range: IpRange) -> IpSet {
    let is_listed = |class| snapshot.standing(class).is_listed();
    match range {
        IpRange::V4(range) => {
            let runs = snapshot.table.v4.runs_in(range).filter(|(_, class)| is_listed(*class));
            runs.map(|(run, _)| IpRange::V4(run)).collect()
        }
        IpRange::V6(range) => {
            let runs = snapshot.table.v6.runs_in(range).filter(|(_, class)| is_listed(*class));
            runs.map(|(run, _)| IpRange::V6(run)).collect()
        }
    }
}

#[derive(Serialize, JsonSchema)]
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
