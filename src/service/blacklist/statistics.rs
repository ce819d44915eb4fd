//! `GET …/statistics`: totals; and expiry on a person's word.

use super::super::reply::{blocking, view};
use super::Blacklist;
use crate::engine::Snapshot;
use crate::store::Dimension;
use crate::web::{Json, Problem};
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const WEEK: i64 = 7 * 86_400;

/// The earlier system's shape, and more.
#[derive(Serialize)]
pub(super) struct Statistics {
    status: &'static str,
    data: Totals,
}

#[derive(Serialize)]
struct Totals {
    /// Listings of all sources, those that a person has ended included.
    total_ips: u64,
    /// Entries: ranges that at least one source lists and nobody has ended.
    active_ips: u64,
    sources: BTreeMap<String, u64>,
    top_countries: BTreeMap<String, u64>,
    threat_types: BTreeMap<String, u64>,
    /// Listings that end within seven days unless their source is seen again.
    expiring_soon: u64,
    allowlist: usize,
    suppressions: usize,
    generation: u64,
}

pub(super) async fn statistics(State(role): State<Blacklist>) -> Result<Json<Statistics>, Problem> {
    let soon = role.engine.now().plus(WEEK);
    let snapshot = Arc::clone(&role.engine.snapshot());
    let then = Arc::clone(&snapshot);
    let (all, countries, threats, expiring) = view(&role.engine, move |view| {
        let due = then.expiring(view, soon)?;
        let all = view.standing(Dimension::All)?.iter().map(|(_, count)| count).sum();
        Ok((all, view.standing(Dimension::Country)?, view.standing(Dimension::Threat)?, due))
    })
    .await?;
    let data = blocking(move || Ok(totals(&snapshot, all, countries, threats, expiring))).await?;
    Ok(Json(Statistics { status: "success", data }))
}

fn totals(
    snapshot: &Snapshot,
    total_ips: u64,
    countries: Vec<(String, u64)>,
    threats: Vec<(String, u64)>,
    expiring_soon: u64,
) -> Totals {
    let listed = |id| snapshot.coverage.get(id).map_or(0, |coverage| coverage.len());
    let sources = snapshot.sources.iter().map(|(id, source)| (source.name.to_string(), listed(id)));
    let known = |(key, count): (String, u64)| (!key.is_empty()).then_some((key, count));
    Totals {
        total_ips,
        active_ips: snapshot.entries(),
        sources: sources.collect(),
        top_countries: countries.into_iter().filter_map(known).collect(),
        threat_types: threats.into_iter().filter_map(known).collect(),
        expiring_soon,
        allowlist: snapshot.allows.len(),
        suppressions: snapshot.suppressions.len(),
        generation: snapshot.generation,
    }
}

#[derive(Serialize)]
pub(super) struct Expired {
    pub(super) status: &'static str,
    pub(super) cleaned_count: u64,
}

/// Ends what is due at once, on the caller's word that the clock is right.
pub(super) async fn expire(State(role): State<Blacklist>) -> Result<Json<Expired>, Problem> {
    let receipt = role.engine.expire().await?;
    Ok(Json(Expired { status: "success", cleaned_count: receipt.removed }))
}
