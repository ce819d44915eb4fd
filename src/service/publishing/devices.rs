//! Devices: what they read, what they have, and the keys they show.

use super::super::paging::{Page, Paging};
use super::super::reason::{Removal, reason};
use super::super::reply::blocking;
use super::feeds::{PullRow, feed_of, rows};
use super::{Changed, Fields, Publishing, Why, named};
use crate::addr::IpSet;
use crate::model::{Budget, Device, Format, Output, OutputKey, OutputName, Time};
use crate::publish::{Blocked, PRESETS, freed, with_preset};
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A device with the reason for it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    reason: String,
    device: Fields,
}

impl Wish {
    fn read(self, name: Option<&OutputName>) -> Result<(Device, String), Problem> {
        super::read(self.device, &self.reason, name)
    }
}

/// A device and what it has.
#[derive(Serialize, JsonSchema)]
pub(super) struct Row {
    #[serde(flatten)]
    device: Device,
    /// When its keys were made; none: it has none.
    keys_since: Option<Time>,
    /// Its last pull of anything.
    last_pull: Option<Time>,
    /// Feeds of which it has an older list than is offered, or is not proven to enforce what is released.
    behind: Vec<String>,
    /// Whether it has not asked for longer than it should.
    silent: bool,
    /// Addresses from which it asks, and which a feed of it lists: it may block itself.
    listed_itself: Vec<Blocked>,
    /// What it is proven to enforce, where it is pushed to.
    push: Option<super::push::Row>,
    /// What is still on a firewall although nothing is pushed there any more.
    remnants: Vec<super::remnants::Row>,
    pulls: Vec<PullRow>,
}

impl Row {
    fn of(role: &Publishing, device: Device, pulls: &[PullRow]) -> Self {
        let own: Vec<PullRow> =
            pulls.iter().filter(|pull| pull.reader == device.name.as_str()).cloned().collect();
        let last_pull = own.iter().map(|row| row.pull.at).max();
        let mut behind: Vec<String> =
            own.iter().filter(|row| row.behind).map(|row| feed_of(&row.document).to_owned()).collect();
        let push = role.0.pushes().report(role.0.feeds(), &device);
        let lists = push.iter().flat_map(|report| &report.lists);
        let unproven = lists.filter(|list| list.behind_since.is_some()).map(|list| list.feed.to_string());
        behind.extend(unproven);
        behind.sort_unstable();
        behind.dedup();
        Self {
            push: push.map(Into::into),
            remnants: super::remnants::of(role, &device.name),
            keys_since: role.0.keys_since(&device.name),
            silent: role.0.is_silent(&device),
            listed_itself: role.0.blocked().get(&device.name).cloned().unwrap_or_default(),
            device,
            last_pull,
            behind,
            pulls: own,
        }
    }
}

pub(super) async fn list(
    State(role): State<Publishing>,
    Query(paging): Query<Paging<String>>,
) -> Result<Json<Page<Row, String>>, Problem> {
    let snapshot = Arc::clone(&role.engine().snapshot());
    let pulls = rows(&role);
    let rows = snapshot.devices().map(|device| Row::of(&role, device.clone(), &pulls)).collect();
    paging.page(rows, |row: &Row| row.device.name.to_string(), snapshot.generation).map(Json)
}

pub(super) async fn show(State(role): State<Publishing>, name: Path<String>) -> Result<Json<Row>, Problem> {
    let device = role.device(&named(name)?)?;
    Ok(Json(Row::of(&role, device, &rows(&role))))
}

pub(super) async fn add(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    Json(wish): Json<Wish>,
) -> Result<Json<Changed>, Problem> {
    let (device, reason): (Device, String) = wish.read(None)?;
    if role.device(&device.name).is_ok() {
        return Err(Problem::conflict("device_exists", "There is a device of that name; PUT changes it."));
    }
    publish(&role, &caller, reason, with_preset(device)).await
}

pub(super) async fn put(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(wish): Json<Wish>,
) -> Result<Json<Changed>, Problem> {
    let (device, reason) = wish.read(Some(&named(name)?))?;
    publish(&role, &caller, reason, with_preset(device)).await
}

/// A feed that a device reads and its budget cuts.
#[derive(Serialize, JsonSchema)]
pub(super) struct CutFeed {
    feed: OutputName,
    /// Lines that it would have.
    wanted_entries: u64,
    /// Lines that it has.
    entries: u64,
}

/// Publishes a device, and tells what that opens: where it asks from, and what it has no room for.
async fn publish(
    role: &Publishing,
    caller: &Caller,
    reason: String,
    device: Device,
) -> Result<Json<Changed>, Problem> {
    let known: IpSet =
        role.device(&device.name).map(|before| before.networks).unwrap_or_default().into_iter().collect();
    let networks = device.networks.iter().copied().collect::<IpSet>().subtract(&known);
    let (publisher, before) = (Arc::clone(&role.0), Arc::clone(&role.engine().snapshot()));
    let freed = blocking(move || Ok(freed(&before, Some(publisher.feeds()), &networks))).await?;
    let (name, feeds) = (device.name.clone(), device.reads().into_owned());
    let Json(changed) = role.publish(caller, reason, Output::Device(device)).await?;
    let cut = |feed: OutputName| {
        let cut = role.0.feeds().get(feed.as_str())?.status().cut?;
        Some(CutFeed { feed, wanted_entries: cut.wanted.entries, entries: cut.taken.entries })
    };
    let frees = Some(freed.addresses.try_into().unwrap_or(u64::MAX));
    let cuts = feeds.into_iter().filter_map(cut).collect();
    Ok(Json(Changed { frees, cuts, warnings: super::remnants::warnings(role, &name), ..changed }))
}

pub(super) async fn remove(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    removal: Removal,
) -> Result<Json<Changed>, Problem> {
    let (name, reason) = (named(name)?, removal.of_all()?);
    let Json(changed) = role.withdraw(&caller, reason, OutputKey::Device(name.clone())).await?;
    Ok(Json(Changed { warnings: super::remnants::warnings(&role, &name), ..changed }))
}

#[derive(Serialize, JsonSchema)]
pub(super) struct PresetRow {
    name: &'static str,
    about: &'static str,
    format: Format,
    each: Budget,
    budget: Budget,
}

pub(super) async fn presets() -> Json<Vec<PresetRow>> {
    let row = |preset: &crate::publish::Preset| PresetRow {
        name: preset.name,
        about: preset.about,
        format: preset.format,
        each: preset.each,
        budget: preset.budget,
    };
    Json(PRESETS.iter().map(row).collect())
}

/// The keys of a device, shown this once.
#[derive(Serialize, JsonSchema)]
pub(super) struct MadeKeys {
    device: OutputName,
    token: String,
    username: OutputName,
    password: String,
    /// Where it reads each of its feeds with the token.
    paths: Vec<String>,
}

pub(super) async fn make_keys(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(why): Json<Why>,
) -> Result<Json<MadeKeys>, Problem> {
    let device = role.device(&named(name)?)?;
    let audit = role.audit(&caller, "device.keys", device.name.as_str(), &reason(Some(&why.reason))?);
    let (publisher, name) = (Arc::clone(&role.0), device.name.clone());
    let secrets =
        blocking(move || Ok(publisher.make_keys(&name, &audit).map_err(crate::engine::EngineError::from)?));
    let secrets = secrets.await?;
    let paths = device.reads().iter().map(|feed| format!("/f/{}/{feed}.txt", secrets.token)).collect();
    let (token, password) = (secrets.token, secrets.password);
    Ok(Json(MadeKeys { username: device.name.clone(), device: device.name, token, password, paths }))
}

pub(super) async fn drop_keys(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    removal: Removal,
) -> Result<Json<serde_json::Value>, Problem> {
    let name = named(name)?;
    let audit = role.audit(&caller, "device.keys.drop", name.as_str(), &removal.of_all()?);
    let publisher = Arc::clone(&role.0);
    let dropped =
        blocking(move || Ok(publisher.drop_keys(&name, &audit).map_err(crate::engine::EngineError::from)?));
    dropped.await?;
    Ok(Json(serde_json::json!({"status": "success"})))
}

pub(super) async fn pulls(
    State(role): State<Publishing>,
    Query(paging): Query<Paging<(String, String)>>,
) -> Result<Json<Page<PullRow, (String, String)>>, Problem> {
    let generation = role.engine().snapshot().generation;
    paging.page(rows(&role), |row| (row.reader.clone(), row.document.clone()), generation).map(Json)
}
