//! The sources: what they are, how they stand, and what an administrator makes of them.

use super::Collection;
use crate::collect::collector::{CollectError, SourceView, Tested};
use crate::collect::definition::{Definition, Kind};
use crate::engine::Snapshot;
use crate::model::{Held, Policy, SourceName, Time};
use crate::rights::Right;
use crate::service::paging::{Page, Paging};
use crate::service::reply::actor;
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One source, as it stands: what the blacklist knows of it, and what the collector does.
#[derive(Serialize, JsonSchema)]
pub(super) struct SourceRow {
    name: SourceName,
    /// What holds for its listings.
    #[serde(flatten)]
    policy: Policy,
    /// Active listings.
    listings: u64,
    /// Its last complete run, exact to the day.
    last_seen: Option<Time>,
    /// When it first appeared.
    since: Option<Time>,
    /// That it was taken back and is not collected until somebody switches it on.
    held: Option<Held>,
    /// The craft that fetches it; none: only people import it.
    kind: Option<Kind>,
    /// Whether it is fetched by itself.
    enabled: bool,
    /// How it is collected.
    #[serde(flatten)]
    collected: Option<Collected>,
}

#[derive(Serialize, JsonSchema)]
struct Collected {
    state: Option<crate::collect::run::State>,
    next_run: Option<Time>,
    last_success: Option<Time>,
    last_run: Option<uuid::Uuid>,
    credentials: bool,
    stopped: Option<crate::collect::ledger::Stopped>,
    retry: Option<crate::collect::ledger::Retrying>,
    hindered: Option<crate::collect::ledger::Hindrance>,
    /// The date of its last list.
    dated: Option<Time>,
    /// In a word, why it needs somebody: it is stopped, held, hindered, or was taken back.
    trouble: Option<&'static str>,
    origin: crate::collect::collector::Origin,
    /// For administrators: a URL may hold a key, in its path as well as in its query.
    definition: Option<Definition>,
}

impl SourceRow {
    fn of_blacklist(snapshot: &Snapshot, name: &SourceName) -> Self {
        let source = snapshot.source(name.as_str());
        let coverage = source.and_then(|source| snapshot.coverage.get(&source.id));
        Self {
            name: name.clone(),
            policy: snapshot.policy(name.as_str()),
            listings: coverage.map_or(0, |coverage| coverage.len()),
            last_seen: source.and_then(|source| source.last_seen),
            since: source.map(|source| source.since),
            held: source.and_then(|source| source.held.clone()),
            kind: None,
            enabled: false,
            collected: None,
        }
    }

    fn collected(self, view: SourceView, is_held: bool, caller: &Caller) -> Self {
        let trouble = match (&view.stopped, &self.held, is_held, &view.hindered) {
            (Some(_), ..) => Some("stopped"),
            (None, Some(_), ..) => Some("taken_back"),
            (None, None, true, _) => Some("held"),
            (None, None, false, Some(_)) => Some("hindered"),
            (None, None, false, None) => None,
        };
        let policy = if self.since.is_none() { view.definition.policy.clone() } else { self.policy };
        let (kind, enabled) = (Some(view.definition.kind), view.enabled);
        let collected = Collected {
            state: view.state,
            next_run: view.next_run,
            last_success: view.last_success,
            last_run: view.last_run,
            credentials: view.credentials,
            stopped: view.stopped,
            retry: view.retry,
            hindered: view.hindered,
            dated: view.dated,
            trouble,
            origin: view.origin,
            definition: caller.rights.has(Right::Admin).then_some(view.definition),
        };
        Self { kind, enabled, policy, collected: Some(collected), ..self }
    }
}

pub(super) async fn list(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Query(paging): Query<Paging<SourceName>>,
) -> Result<Json<Page<SourceRow, SourceName>>, Problem> {
    let snapshot = std::sync::Arc::clone(&role.engine.snapshot());
    let row = |name: &SourceName| (name.clone(), SourceRow::of_blacklist(&snapshot, name));
    let mut rows: BTreeMap<_, _> = snapshot.sources.values().map(|source| row(&source.name)).collect();
    if let Some(collector) = &role.collector {
        let holds = collector.holds().await?;
        for view in collector.sources().await? {
            let (name, plain) = row(&view.name);
            let is_held = holds.iter().any(|hold| hold.source == name);
            rows.insert(name, plain.collected(view, is_held, &caller));
        }
    }
    let rows = rows.into_values().collect();
    paging.page(rows, |row| row.name.clone(), snapshot.generation).map(Json)
}

pub(super) async fn one(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<SourceName>,
) -> Result<Json<SourceRow>, Problem> {
    let row = SourceRow::of_blacklist(&role.engine.snapshot(), &name);
    let known = row.since.is_some();
    match role.collector.as_ref() {
        Some(collector) => match collector.source(&name).await {
            Ok(view) => {
                let is_held = collector.holds().await?.iter().any(|hold| hold.source == name);
                Ok(Json(row.collected(view, is_held, &caller)))
            }
            Err(_) if known => Ok(Json(row)),
            Err(error) => Err(error.into()),
        },
        None if known => Ok(Json(row)),
        None => Err(Problem::not_found("unknown_source", format!("There is no source {name}."))),
    }
}

/// A new source: its name beside its definition.
#[derive(Deserialize, JsonSchema)]
pub(super) struct New {
    name: SourceName,
    #[serde(flatten)]
    definition: Value,
}

pub(super) async fn add(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<New>,
) -> Result<(StatusCode, Json<SourceView>), Problem> {
    // In two steps: what is flattened cannot refuse unknown fields itself.
    let definition: Definition = serde_json::from_value(new.definition)
        .map_err(|error| Problem::unprocessable("body_shape", format!("{error}.")))?;
    let defined = role.collector()?.define(new.name, definition, &actor(&caller), true).await?;
    Ok((StatusCode::CREATED, Json(defined)))
}

pub(super) async fn put(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<SourceName>,
    Json(definition): Json<Definition>,
) -> Result<Json<SourceView>, Problem> {
    Ok(Json(role.collector()?.define(name, definition, &actor(&caller), false).await?))
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Removed {
    status: &'static str,
    removed: SourceName,
}

pub(super) async fn remove(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<SourceName>,
) -> Result<Json<Removed>, Problem> {
    role.collector()?.remove(&name, &actor(&caller)).await?;
    Ok(Json(Removed { status: "success", removed: name }))
}

/// What the earlier system said, too.
#[derive(Serialize, JsonSchema)]
pub(super) struct Switched {
    status: &'static str,
    message: String,
    enabled: bool,
}

pub(super) async fn enable(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<SourceName>,
) -> Result<Json<Switched>, Problem> {
    switch(&role, &caller, &name, true).await
}

pub(super) async fn disable(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<SourceName>,
) -> Result<Json<Switched>, Problem> {
    switch(&role, &caller, &name, false).await
}

async fn switch(
    role: &Collection,
    caller: &Caller,
    name: &SourceName,
    on: bool,
) -> Result<Json<Switched>, Problem> {
    let collector = role.collector()?;
    if on && !caller.rights.has(Right::Admin) {
        // What people have stopped or taken back is no matter of the earlier system's callers, who show no key.
        let view = collector.switch_on(name, &actor(caller)).await?;
        return Ok(Json(switched(name, on, &view)));
    }
    let released = on && collector.release(name, &actor(caller)).await?;
    let view = match collector.enable(name, on, &actor(caller)).await {
        // What only people bring has nothing to be switched.
        Err(CollectError::UnknownSource(_)) if released => {
            let message = format!("{name} is held no more");
            return Ok(Json(Switched { status: "success", message, enabled: false }));
        }
        switched => switched?,
    };
    Ok(Json(switched(name, on, &view)))
}

fn switched(name: &SourceName, on: bool, view: &SourceView) -> Switched {
    let message = match (on, view.enabled) {
        (true, true) if view.stopped.is_some() => {
            format!("{name} is switched on, and stands still until its credentials are set anew")
        }
        (true, true) => format!("{name} is collected from now on"),
        (true, false) => format!("{name} is collected as soon as it has credentials"),
        (false, _) => format!("{name} is not collected any more"),
    };
    Switched { status: "success", message, enabled: view.enabled }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Kept {
    status: &'static str,
    message: &'static str,
}

/// The document is taken as it is: what a shape's refusal says of it could quote a password.
pub(super) async fn set_credentials(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<SourceName>,
    Json(document): Json<Value>,
) -> Result<Json<Kept>, Problem> {
    role.collector()?.set_credentials(&name, document, &actor(&caller)).await?;
    Ok(Json(Kept { status: "success", message: "kept, sealed; they cannot be read back" }))
}

pub(super) async fn test(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<SourceName>,
) -> Result<Json<Tested>, Problem> {
    Ok(Json(role.collector()?.test_credentials(&name, &actor(&caller)).await?))
}
