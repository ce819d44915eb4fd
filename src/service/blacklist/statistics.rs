//! `GET …/statistics`: totals; and expiry on a person's word.

use super::super::reply::view;
use super::Blacklist;
use crate::engine::Snapshot;
use crate::model::Time;
use crate::store::{Dimension, View};
use crate::web::{Json, Problem};
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const WEEK: i64 = 7 * 86_400;
/// So many of the commonest are told.
const TOP: usize = 20;

/// The earlier system's shape, and more.
#[derive(Serialize, JsonSchema)]
pub(super) struct Statistics {
    status: &'static str,
    data: Totals,
}

#[derive(Serialize, JsonSchema)]
struct Totals {
    /// Listings of all sources, those that a person has ended included.
    total_ips: u64,
    /// Entries: ranges that at least one source lists and nobody has ended.
    active_ips: u64,
    sources: BTreeMap<String, u64>,
    /// The commonest.
    top_countries: BTreeMap<String, u64>,
    /// The commonest.
    threat_types: BTreeMap<String, u64>,
    /// Listings that end within seven days unless their source is seen again.
    expiring_soon: u64,
    /// Listings whose end has come, and which wait for a person's word because the clock is doubted.
    held: u64,
    allowlist: usize,
    suppressions: usize,
    generation: u64,
}

pub(super) async fn statistics(State(role): State<Blacklist>) -> Result<Json<Statistics>, Problem> {
    let snapshot = Arc::clone(&role.engine.snapshot());
    let (now, doubted) = (role.engine.now(), role.engine.expiry_is_held());
    let data = view(&role.engine, move |view| totals(&snapshot, view, now, doubted)).await?;
    Ok(Json(Statistics { status: "success", data }))
}

fn totals(snapshot: &Snapshot, view: &View, now: Time, doubted: bool) -> Result<Totals, redb::Error> {
    let listed = |id| snapshot.coverage.get(id).map_or(0, |coverage| coverage.len());
    let sources = snapshot.sources.iter().map(|(id, source)| (source.name.to_string(), listed(id)));
    Ok(Totals {
        total_ips: view.standing(Dimension::All)?.iter().map(|(_, count)| count).sum(),
        active_ips: snapshot.entries(),
        sources: sources.collect(),
        top_countries: top(view.standing(Dimension::Country)?),
        threat_types: top(view.standing(Dimension::Threat)?),
        expiring_soon: snapshot.expiring(view, now.plus(WEEK))?,
        held: if doubted { snapshot.expiring(view, now)? } else { 0 },
        allowlist: snapshot.allows.len(),
        suppressions: snapshot.suppressions.len(),
        generation: snapshot.generation,
    })
}

/// The commonest keys; none is the key of what says nothing.
fn top(mut counts: Vec<(String, u64)>) -> BTreeMap<String, u64> {
    counts.retain(|(key, _)| !key.is_empty());
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().take(TOP).collect()
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Expired {
    pub(super) status: &'static str,
    pub(super) cleaned_count: u64,
}

/// Ends what is due, for scripts that ask every night: they know nothing of the clock.
pub(super) async fn clean_up(State(role): State<Blacklist>) -> Result<Json<Expired>, Problem> {
    let receipt = role.engine.clean_up().await?;
    Ok(Json(Expired { status: "success", cleaned_count: receipt.removed }))
}

/// Ends what is due at once, on the caller's word that the clock is right.
pub(super) async fn expire(State(role): State<Blacklist>) -> Result<Json<Expired>, Problem> {
    let receipt = role.engine.expire().await?;
    Ok(Json(Expired { status: "success", cleaned_count: receipt.removed }))
}
