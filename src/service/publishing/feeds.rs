//! Feeds as people set them up, and how each fares.

use super::super::paging::{Page, Paging};
use super::super::reason::Removal;
use super::super::reply::blocking;
use super::holds::{HeldBack, HoldRow};
use super::{Changed, Fields, Publishing, named};
use crate::model::{Document, Output, OutputKey, OutputName, Profile, Time};
use crate::publish::{
    ALL_PARTS, Coding, Cut, Feed, Foreseen, LeftOut, Offer, Pull, Released, Scene, SelectError, left_out,
};
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A feed with the reason for it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    reason: String,
    feed: Fields,
}

impl Wish {
    fn read(self, name: Option<&OutputName>) -> Result<(Profile, String), Problem> {
        super::read(self.feed, &self.reason, name)
    }
}

/// A feed and how it fares.
#[derive(Serialize, JsonSchema)]
pub(super) struct Row {
    #[serde(flatten)]
    profile: Profile,
    /// Where it is read.
    path: String,
    /// `list`, `empty` (readers get 503 and keep what they have), or `nothing` yet.
    offers: &'static str,
    /// The newest generation that was looked at.
    generation: Option<u64>,
    released: Option<ReleasedRow>,
    held: Option<HoldRow>,
    cut: Option<CutRow>,
    fault: Option<FaultRow>,
}

/// What is listed, and since which generation.
#[derive(Serialize, JsonSchema)]
struct ReleasedRow {
    generation: u64,
    /// What `?release=` pins a reader of its parts to, where it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    modified: Time,
    addresses: u128,
    /// Of the documents that were written so far.
    entries: u64,
    bytes: u64,
    compressed: u64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CutRow {
    budget: crate::model::Budget,
    wanted_entries: u64,
    wanted_bytes: u64,
    addresses_left_out: u128,
}

impl From<Cut> for CutRow {
    fn from(Cut { budget, wanted, addresses, .. }: Cut) -> Self {
        let (wanted_entries, wanted_bytes) = (wanted.entries, wanted.bytes);
        Self { budget, wanted_entries, wanted_bytes, addresses_left_out: addresses }
    }
}

#[derive(Serialize, JsonSchema)]
struct FaultRow {
    what: String,
    since: Time,
}

impl Row {
    fn of(feed: &Feed) -> Self {
        let (profile, status) = (Profile::clone(&feed.profile()), feed.status());
        let (offers, released) = match &**feed.offer() {
            Offer::List(released) => ("list", Some(ReleasedRow::of(released))),
            Offer::Empty(released) => ("empty", Some(ReleasedRow::of(released))),
            Offer::Nothing => ("nothing", None),
        };
        Self {
            path: format!("/feeds/{}", profile.name),
            profile,
            offers,
            generation: status.generation,
            released,
            held: status.hold.map(HoldRow::from),
            cut: status.cut.map(CutRow::from),
            fault: status.fault.map(|fault| FaultRow { what: fault.what, since: fault.since }),
        }
    }
}

impl ReleasedRow {
    fn of(released: &Released) -> Self {
        let release = &released.release;
        let size = |coding| released.made().filter_map(|made| Some(made.bytes(coding)?.len() as u64)).sum();
        let list = Document::List(released.profile.format);
        let entries = |part| released.get(part, list).map(|made| made.counts.entries);
        let parts: u64 = (1..=released.profile.parts).filter_map(entries).sum();
        Self {
            generation: release.generation,
            release: (released.profile.parts > 1).then(|| released.name().to_owned()),
            modified: release.modified,
            addresses: release.addresses,
            entries: parts.max(entries(ALL_PARTS).unwrap_or(0)),
            bytes: size(Coding::Identity),
            compressed: size(Coding::Gzip),
        }
    }
}

pub(super) async fn list(
    State(role): State<Publishing>,
    Query(paging): Query<Paging<String>>,
) -> Result<Json<Page<Row, String>>, Problem> {
    let generation = role.engine().snapshot().generation;
    let rows = role.0.feeds().all().values().map(|feed| Row::of(feed)).collect();
    paging.page(rows, |row: &Row| row.profile.name.to_string(), generation).map(Json)
}

pub(super) async fn show(State(role): State<Publishing>, name: Path<String>) -> Result<Json<Row>, Problem> {
    Ok(Json(Row::of(&*role.feed(&named(name)?)?)))
}

pub(super) async fn add(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    Json(wish): Json<Wish>,
) -> Result<Json<Changed>, Problem> {
    let (profile, reason): (Profile, String) = wish.read(None)?;
    if role.engine().snapshot().profiles().any(|other| other.name == profile.name) {
        return Err(Problem::conflict("feed_exists", "There is a feed of that name; PUT changes it."));
    }
    let warnings = warnings(&role, &profile);
    let Json(changed) = role.publish(&caller, reason, Output::Feed(profile)).await?;
    Ok(Json(Changed { warnings, ..changed }))
}

pub(super) async fn put(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(wish): Json<Wish>,
) -> Result<Json<Changed>, Problem> {
    let (profile, reason): (Profile, String) = wish.read(Some(&named(name)?))?;
    let warnings = warnings(&role, &profile);
    let Json(changed) = role.publish(&caller, reason, Output::Feed(profile)).await?;
    Ok(Json(Changed { warnings, ..changed }))
}

pub(super) async fn remove(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    removal: Removal,
) -> Result<Json<Changed>, Problem> {
    role.withdraw(&caller, removal.of_all()?, OutputKey::Feed(named(name)?)).await
}

/// What a profile would list, before anybody reads it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Preview {
    generation: u64,
    /// What its readers would get once nobody has to be asked.
    addresses: u128,
    prefixes: u64,
    /// What a budget would cut.
    cut: Option<CutRow>,
    /// Whether somebody would have to be asked first, and why.
    held: Option<HeldBack>,
    left_out: LeftOut,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

pub(super) async fn preview(
    State(role): State<Publishing>,
    name: Path<String>,
    Json(wish): Json<Wish>,
) -> Result<Json<Preview>, Problem> {
    let (profile, _): (Profile, String) = wish.read(Some(&named(name)?))?;
    let warnings = warnings(&role, &profile);
    let (publisher, wanted) = (Arc::clone(&role.0), profile.clone());
    let seen = blocking(move || {
        let foreseen = publisher.feeds().foresee(publisher.engine(), Some(&wanted));
        foreseen.map_err(unreadable)
    });
    let Foreseen { generation, listed, cut, held } = seen.await?;
    let left_out = scene(&role, move |scene| left_out(scene, &profile)).await?;
    let (cut, held) = (cut.map(CutRow::from), held.map(HeldBack::from));
    let (addresses, prefixes) = (listed.size(), listed.prefixes());
    Ok(Json(Preview { generation, addresses, prefixes, cut, held, left_out, warnings }))
}

/// What is odd about a profile and no fault: a source may come at any time.
fn warnings(role: &Publishing, profile: &Profile) -> Vec<String> {
    let snapshot = role.engine().snapshot();
    let named = profile.filter.sources.iter().chain(&profile.filter.not_sources);
    let unknown = named.filter(|name| snapshot.source(name.as_str()).is_none());
    unknown.map(|name| format!("there is no source {name} yet")).collect()
}

/// What a feed leaves out and why, and who fetched which generation.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report {
    feed: Row,
    left_out: LeftOut,
    pulls: Vec<PullRow>,
}

/// Who has what.
#[derive(Clone, Serialize, JsonSchema)]
pub(super) struct PullRow {
    pub(super) reader: String,
    pub(super) document: String,
    #[serde(flatten)]
    pub(super) pull: Pull,
    /// Whether something newer is offered.
    pub(super) behind: bool,
}

pub(super) async fn report(
    State(role): State<Publishing>,
    name: Path<String>,
) -> Result<Json<Report>, Problem> {
    let name = named(name)?;
    let feed = role.feed(&name)?;
    let profile = Profile::clone(&feed.profile());
    let left_out = scene(&role, move |scene| left_out(scene, &profile)).await?;
    let pulls = rows(&role).into_iter().filter(|row| feed_of(&row.document) == name.as_str()).collect();
    Ok(Json(Report { feed: Row::of(&feed), left_out, pulls }))
}

/// Every reader's last pull of every document.
pub(super) fn rows(role: &Publishing) -> Vec<PullRow> {
    let row = |((reader, document), pull): ((String, String), Pull)| PullRow {
        behind: role.0.newest(&document).is_some_and(|newest| pull.is_before(&newest.release)),
        reader,
        document,
        pull,
    };
    role.0.pulls().all().into_iter().map(row).collect()
}

/// The feed of a document that was pulled: `NAME`, or `NAME/PART`.
pub(super) fn feed_of(document: &str) -> &str {
    document.split('/').next().unwrap_or(document)
}

async fn scene<T: Send + 'static>(
    role: &Publishing,
    read: impl Fn(Scene<'_>) -> Result<T, SelectError> + Send + 'static,
) -> Result<T, Problem> {
    let publisher = Arc::clone(&role.0);
    blocking(move || {
        let seen = publisher.engine().together(|snapshot, view| read(Scene { snapshot, view }));
        seen?.map_err(unreadable)
    })
    .await
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> Problem {
    Problem::unavailable("store_unreadable", 10).inner(error)
}
