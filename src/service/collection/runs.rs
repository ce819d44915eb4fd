//! Runs: begun, watched, ended, told a code, and read again.

use super::{Collection, List, events};
use crate::collect::run::{Run, Wish};
use crate::model::{Day, SourceName};
use crate::service::paging::{Opaque, limit};
use crate::service::reply::actor;
use crate::web::multipart::File;
use crate::web::{Body, Caller, Json, Path, Problem, Query, Response};
use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const LIMIT: usize = 20;
const MOST: usize = 200;

/// What is to be collected.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trigger {
    pub(super) source: SourceName,
    pub(super) start_date: Option<Day>,
    pub(super) end_date: Option<Day>,
    #[serde(default)]
    pub(super) force: bool,
}

/// A run has been begun.
#[derive(Serialize, JsonSchema)]
pub(super) struct Begun {
    pub(super) status: &'static str,
    pub(super) run: Uuid,
}

pub(super) async fn trigger(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Json(trigger): Json<Trigger>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let run = begin(&role, &caller, trigger).await?;
    Ok((StatusCode::ACCEPTED, Json(Begun { status: "accepted", run })))
}

pub(super) async fn begin(role: &Collection, caller: &Caller, trigger: Trigger) -> Result<Uuid, Problem> {
    let Trigger { source, start_date, end_date, force } = trigger;
    let wish = Wish { first: start_date, last: end_date, force, again: None };
    Ok(role.collector()?.trigger(source, &actor(caller), wish).await?)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    source: SourceName,
    /// The file's name, a hint for its format; a form says it itself.
    name: Option<String>,
}

pub(super) async fn upload(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Query(upload): Query<Upload>,
    file: File,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let name = upload.name.or(file.name);
    let run = role.collector()?.upload(upload.source, &actor(&caller), name, file.bytes).await?;
    Ok((StatusCode::ACCEPTED, Json(Begun { status: "accepted", run })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    source: Option<SourceName>,
    limit: Option<usize>,
    cursor: Option<Opaque<Uuid>>,
}

pub(super) async fn list(
    State(role): State<Collection>,
    Query(page): Query<Page>,
) -> Result<Json<List<Run, Uuid>>, Problem> {
    let limit = limit(page.limit, LIMIT, MOST)?;
    let before = page.cursor.map(|cursor| cursor.0);
    let (runs, total) = role.collector()?.runs(page.source, before, limit + 1).await?;
    Ok(Json(List::page(runs, limit, total, |run| run.id)))
}

/// One run; with `Accept: text/event-stream` what it is at, until it is over.
pub(super) async fn one(
    State(role): State<Collection>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<axum::response::Response, Problem> {
    let collector = role.collector()?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        let run = collector.run(id).await?;
        return Ok(events::stream(collector.progress(id), run).map(axum::body::Body::from));
    }
    Ok(Json(collector.run(id).await?).into_response())
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    status: &'static str,
}

const DONE: Done = Done { status: "success" };

pub(super) async fn cancel(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<Done>), Problem> {
    role.collector()?.cancel(id, &actor(&caller)).await?;
    Ok((StatusCode::ACCEPTED, Json(DONE)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Otp {
    code: String,
}

pub(super) async fn otp(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Json(otp): Json<Otp>,
) -> Result<Json<Done>, Problem> {
    role.collector()?.otp(id, &otp.code, &actor(&caller)).await?;
    Ok(Json(DONE))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// Which of the run's documents, from 0.
    #[serde(default)]
    index: usize,
}

/// The bytes as fetched: paid-for intelligence, so not for everybody who may read.
pub(super) async fn raw(
    State(role): State<Collection>,
    Path(id): Path<Uuid>,
    Query(document): Query<Document>,
) -> Result<axum::response::Response, Problem> {
    let bytes = role.collector()?.raw(id, document.index).await?;
    let mut response = Response::new(Body::full(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response.map(axum::body::Body::from))
}

pub(super) async fn again(
    State(role): State<Collection>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let run = role.collector()?.again(id, &actor(&caller)).await?;
    Ok((StatusCode::ACCEPTED, Json(Begun { status: "accepted", run })))
}
