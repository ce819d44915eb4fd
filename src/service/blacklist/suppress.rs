//! Suppressions: a person ends a source's listings, whatever the source repeats.

use super::super::paging::{Page, Paging};
use super::super::reason::{Removal, reason};
use super::super::reply::{blocking, range};
use super::Blacklist;
use crate::addr::{IpRange, IpSet};
use crate::model::{Cause, Change, SourceName, Suppression, Time};
use crate::publish::freed;
use crate::rights::Right;
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What tells one suppression from another.
type Key = (IpRange, Option<SourceName>);

pub(super) async fn list(
    State(role): State<Blacklist>,
    Query(paging): Query<Paging<Key>>,
) -> Result<Json<Page<Suppression, Key>>, Problem> {
    let snapshot = role.engine.snapshot();
    let key = |suppression: &Suppression| (suppression.range, suppression.source.clone());
    paging.page(snapshot.suppressions.to_vec(), key, snapshot.generation).map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// Listings whose range lies inside this one are meant.
    range: String,
    /// Of which source; absent: of all.
    source: Option<SourceName>,
    reason: String,
    expires: Option<Time>,
}

/// What a suppression changes.
#[derive(Serialize)]
pub(super) struct Suppressed {
    range: IpRange,
    generation: u64,
    /// Addresses that were blocked, by a list or by what a feed still hands out, and are so no more.
    frees: u64,
    /// Whether that is so much that only an administrator may do it.
    broad: bool,
}

#[derive(Serialize)]
pub(super) struct Done {
    range: IpRange,
    generation: u64,
}

pub(super) async fn add(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<New>,
) -> Result<Json<Suppressed>, Problem> {
    let range = range(&new.range)?;
    let reason = reason(Some(&new.reason))?;
    if let Some(source) = &new.source
        && role.engine.snapshot().source(source.as_str()).is_none()
    {
        return Err(Problem::not_found("unknown_source", format!("There is no source {source}.")));
    }
    let suppression = Suppression {
        range,
        source: new.source,
        reason: reason.clone(),
        owner: super::actor(&caller),
        expires: new.expires,
        since: role.engine.now(),
    };
    let (before, feeds, wanted) =
        (Arc::clone(&role.engine.snapshot()), role.feeds.clone(), suppression.clone());
    let freed = blocking(move || {
        let hidden = [range].into_iter().collect::<IpSet>().subtract(&before.despite(&wanted));
        Ok(freed(&before, feeds.as_deref(), &hidden))
    });
    let freed = freed.await?;
    if freed.is_broad {
        caller.demand(Right::Admin)?;
    }
    let receipt = role.submit(&caller, &reason, Cause::Manual, Change::Suppress(suppression)).await?;
    let frees = freed.addresses.try_into().unwrap_or(u64::MAX);
    Ok(Json(Suppressed { range, generation: receipt.generation, frees, broad: freed.is_broad }))
}

pub(super) async fn remove(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    removal: Removal,
) -> Result<Json<Done>, Problem> {
    let range = range(&text)?;
    let change = Change::Unsuppress { range, source: removal.source };
    let receipt = role.submit(&caller, &removal.reason, Cause::Manual, change).await?;
    Ok(Json(Done { range, generation: receipt.generation }))
}
