//! Webhooks as administrators set them up and see them. Reading needs the key, too: a URL may hold what only its receiver
//! is to know.

use super::super::paging::{Page, Paging};
use super::super::reason::{Removal, reason};
use super::super::reply::aside;
use super::{Fields, Publishing, Why, name_in, named};
use crate::engine::EngineError;
use crate::fetch::Url;
use crate::model::{OutputName, Time};
use crate::publish::webhook::{
    Courier, Delivery, Hook, KeptHook, Kind, NotKept, Off, Shown, State as Fate, Wish as Hooked,
};
use crate::publish::{Trouble, Verify};
use crate::rights::Right;
use crate::web::Demand::Of;
use crate::web::{Caller, Json, Path, Problem, Query, Routes};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the handlers share.
#[derive(Clone)]
pub struct Hooking(pub Publishing, pub Arc<Courier>);

impl Hooking {
    /// The routes.
    pub fn routes() -> Routes<Self> {
        let admin = Of(Right::Admin);
        Routes::new()
            .get("/api/v1/webhooks", admin, list, "Lists the webhooks and how they fare.")
            .post("/api/v1/webhooks", admin, add, "Sets a webhook up; its secret is shown this once.")
            .get("/api/v1/webhooks/{name}", admin, show, "Shows a webhook and how it fares.")
            .put("/api/v1/webhooks/{name}", admin, set, "Sets a webhook up, or changes it.")
            .delete("/api/v1/webhooks/{name}", admin, remove, "Takes a webhook away.")
            .post(
                "/api/v1/webhooks/{name}/secret",
                admin,
                rotate,
                "Makes a new secret; the old one signs for a day beside it.",
            )
            .post("/api/v1/webhooks/{name}/test", admin, test, "Tells a webhook something of no consequence.")
            .get("/api/v1/webhooks/{name}/log", admin, log, "Lists a webhook's last deliveries.")
    }

    fn known(&self, name: &OutputName) -> Result<KeptHook, Problem> {
        self.0.0.hooks().get(name).ok_or_else(|| not_kept(NotKept::Unknown))
    }
}

/// A hook and how it fares. The secret is not shown.
#[derive(Serialize, JsonSchema)]
struct Row {
    name: OutputName,
    #[schemars(with = "String")]
    url: Url,
    /// None is all.
    events: Vec<Kind>,
    /// None is all.
    feeds: Vec<OutputName>,
    verify: Option<Verify>,
    enabled: bool,
    /// Why nothing is sent.
    off: Option<Off>,
    by_file: bool,
    since: Time,
    secret_since: Time,
    /// Deliveries that wait.
    waiting: usize,
    /// When the oldest event that waits was noticed.
    behind_since: Option<Time>,
    /// When the last delivery arrived.
    delivered_at: Option<Time>,
    trouble: Option<Trouble>,
}

impl Row {
    fn of(name: OutputName, kept: &KeptHook) -> Self {
        let Hook { url, events, feeds, verify, off, since, secret_since, by_file, .. } = kept.hook.clone();
        Self {
            name,
            url,
            events,
            feeds,
            verify,
            enabled: off.is_none(),
            off,
            by_file,
            since,
            secret_since,
            waiting: kept.waiting(),
            behind_since: kept.behind_since(),
            delivered_at: kept.delivered_at(),
            trouble: kept.trouble(),
        }
    }
}

async fn list(
    State(Hooking(role, _)): State<Hooking>,
    Query(paging): Query<Paging<String>>,
) -> Result<Json<Page<Row, String>>, Problem> {
    let rows = role.0.hooks().all().into_iter().map(|(name, kept)| Row::of(name, &kept)).collect();
    let generation = role.engine().snapshot().generation;
    paging.page(rows, |row: &Row| row.name.to_string(), generation).map(Json)
}

async fn show(State(desk): State<Hooking>, name: Path<String>) -> Result<Json<Row>, Problem> {
    let name = named(name)?;
    let kept = desk.known(&name)?;
    Ok(Json(Row::of(name, &kept)))
}

async fn add(
    State(Hooking(role, courier)): State<Hooking>,
    Extension(caller): Extension<Caller>,
    Json(wish): Json<Wish>,
) -> Result<Json<Value>, Problem> {
    let (hooked, name, why) = read(wish, None)?;
    let audit = role.audit(&caller, "webhook.add", name.as_str(), &why);
    let of = name.clone();
    let shown = aside(move || courier.add(&of, hooked, &audit).map_err(not_kept)).await?;
    Ok(Json(told(&name, shown)))
}

async fn set(
    State(Hooking(role, courier)): State<Hooking>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(wish): Json<Wish>,
) -> Result<Json<Value>, Problem> {
    let (hooked, name, why) = read(wish, Some(named(name)?))?;
    let audit = role.audit(&caller, "webhook.set", name.as_str(), &why);
    aside(move || courier.set(&name, hooked, &audit).map_err(not_kept)).await?;
    Ok(Json(json!({"status": "success"})))
}

async fn remove(
    State(Hooking(role, courier)): State<Hooking>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    removal: Removal,
) -> Result<Json<Value>, Problem> {
    let name = named(name)?;
    let audit = role.audit(&caller, "webhook.remove", name.as_str(), &removal.of_all()?);
    aside(move || courier.remove(&name, &audit).map_err(not_kept)).await?;
    Ok(Json(json!({"status": "success"})))
}

async fn rotate(
    State(Hooking(role, courier)): State<Hooking>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(why): Json<Why>,
) -> Result<Json<Value>, Problem> {
    let name = named(name)?;
    let audit = role.audit(&caller, "webhook.secret", name.as_str(), &reason(Some(&why.reason))?);
    let of = name.clone();
    let secret = aside(move || courier.rotate(&of, &audit).map_err(not_kept)).await?;
    Ok(Json(told(&name, Some(secret))))
}

/// The only answer that ever shows a secret, and only one that was made just now.
fn told(name: &OutputName, shown: Shown) -> Value {
    match shown {
        Some(secret) => json!({"status": "success", "webhook": name, "secret": *secret}),
        None => json!({"status": "success", "webhook": name}),
    }
}

/// What came of a test.
#[derive(Serialize, JsonSchema)]
struct Tested {
    /// Whether the receiver has said 2xx.
    delivered: bool,
    #[serde(flatten)]
    delivery: LogRow,
}

async fn test(State(desk): State<Hooking>, name: Path<String>) -> Result<Json<Tested>, Problem> {
    let delivery = desk.1.test(&named(name)?).await.map_err(not_kept)?;
    Ok(Json(Tested { delivered: delivery.state == Fate::Delivered, delivery: delivery.into() }))
}

/// A delivery, and how it went.
#[derive(Serialize, JsonSchema)]
struct LogRow {
    number: u64,
    id: uuid::Uuid,
    event: Kind,
    /// Of which feed, device or source.
    subject: String,
    /// The generation of a release.
    generation: Option<u64>,
    /// When the event was noticed.
    time: Time,
    stands_for: u32,
    state: Fate,
    attempts: u32,
    failing_since: Option<Time>,
    /// When the last attempt began, and how long it took.
    at: Option<Time>,
    millis: Option<u64>,
    /// The answer's status.
    status: Option<u16>,
    /// How the answer began.
    answer: String,
    code: Option<String>,
    error: Option<String>,
    cure: Option<String>,
}

impl From<Delivery> for LogRow {
    fn from(delivery: Delivery) -> Self {
        let Delivery { number, id, event, stands_for, state, attempts, failing_since, last } = delivery;
        let (at, millis) = last.as_ref().map(|last| (last.at, last.millis)).unzip();
        Self {
            number,
            id,
            event: event.kind,
            subject: event.subject,
            generation: event.news.release.map(|release| release.generation),
            time: event.at,
            stands_for,
            state,
            attempts,
            failing_since,
            at,
            millis,
            status: last.as_ref().and_then(|last| last.status),
            answer: last.as_ref().map(|last| last.answer.clone()).unwrap_or_default(),
            code: last.as_ref().and_then(|last| last.code.clone()),
            error: last.as_ref().and_then(|last| last.error.clone()),
            cure: last.and_then(|last| last.cure),
        }
    }
}

async fn log(
    State(desk): State<Hooking>,
    name: Path<String>,
    Query(paging): Query<Paging<i64>>,
) -> Result<Json<Page<LogRow, i64>>, Problem> {
    let kept = desk.known(&named(name)?)?;
    let generation = desk.0.engine().snapshot().generation;
    // The newest first.
    let backwards = |row: &LogRow| -i64::try_from(row.number).unwrap_or(i64::MAX);
    let rows = kept.deliveries.into_values().map(LogRow::from).collect();
    paging.page(rows, backwards, generation).map(Json)
}

/// A webhook with the reason for it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    reason: String,
    webhook: Fields,
}

/// The hook, its name and the reason.
fn read(wish: Wish, path: Option<OutputName>) -> Result<(Hooked, OutputName, String), Problem> {
    let (mut said, why) = (name_in(wish.webhook, path.as_ref())?, reason(Some(&wish.reason))?);
    let name = said.remove("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    let name =
        name.parse().map_err(|error| Problem::unprocessable("body_shape", format!("name: {error}.")))?;
    let hooked = Hooked::read(said).map_err(|why| Problem::unprocessable("body_shape", why))?;
    Ok((hooked, name, why))
}

fn not_kept(error: NotKept) -> Problem {
    let detail = format!("{error}.");
    match error {
        NotKept::Bad(_) => Problem::unprocessable("bad_webhook", detail),
        NotKept::Exists => {
            Problem::conflict("webhook_exists", "There is a webhook of that name; PUT changes it.")
        }
        NotKept::Unknown => Problem::not_found("unknown_webhook", "There is no webhook of that name."),
        NotKept::Vault(_) => Problem::unavailable("vault", 60).detail(detail),
        NotKept::Disk(error) => EngineError::from(error).into(),
    }
}
