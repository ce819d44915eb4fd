//! The earlier system's paths on 8001, so that no script has to change. Their success bodies are
//! kept; errors are problems.

use super::super::reply::bad_address;
use super::entry::{Entry, entries};
use super::import::add_all;
use super::manual::{Statement, state};
use super::{Blacklist, active, search, statistics};
use crate::addr::parse_address;
use crate::collect::formats::{Format, Options};
use crate::model::SourceName;
use crate::web::extract::Whole;
use crate::web::{Caller, Json, Path, Problem};
use axum::extract::State;
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

pub(super) fn routes() -> Router<Blacklist> {
    Router::new()
        .route("/api/v1/ips", post(add))
        .route("/api/v1/bulk-insert", post(insert))
        .route("/api/v1/ips/{ip}", get(entry))
        .route("/api/v1/search", post(search::search))
        .route("/api/v1/blacklist/search/{ip}", get(entry))
        .route("/api/v1/active-ips", get(active::earlier))
        .route("/api/v1/statistics", get(statistics::statistics))
        .route("/api/v1/cleanup", delete(statistics::expire))
}

async fn add(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Json(statement): Json<Statement>,
) -> Result<Json<Entry>, Problem> {
    let ip = statement.ip.clone().unwrap_or_default();
    let stated = state(&role, caller, &ip, statement).await?;
    let address = match stated.range {
        crate::addr::IpRange::V4(range) => IpAddr::from(std::net::Ipv4Addr::from_bits(range.first())),
        crate::addr::IpRange::V6(range) => IpAddr::from(std::net::Ipv6Addr::from_bits(range.first())),
    };
    let entries = entries(&role, address).await?;
    let made =
        entries.into_iter().find(|e| e.source == stated.source.as_str() && e.ip == stated.range.to_string());
    made.map(Json).ok_or_else(|| Problem::conflict("gone", "The entry was removed meanwhile."))
}

async fn entry(State(role): State<Blacklist>, Path(ip): Path<String>) -> Result<Json<Entry>, Problem> {
    let address = parse_address(ip.as_bytes()).map_err(|fault| bad_address(&ip, fault))?;
    let first = entries(&role, address).await?.into_iter().next();
    first.map(Json).ok_or_else(|| Problem::not_found("not_listed", format!("Nobody lists {address}.")))
}

#[derive(Deserialize)]
struct WithSource {
    source: Option<SourceName>,
}

#[derive(Serialize)]
struct Inserted {
    status: &'static str,
    data: Counts,
}

#[derive(Serialize)]
struct Counts {
    success_count: u64,
    error_count: u64,
    errors: Vec<String>,
}

/// An array of entries, each naming its source: one batch a source.
async fn insert(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Whole(body): Whole,
) -> Result<Json<Inserted>, Problem> {
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&body)
        .map_err(|error| Problem::unprocessable("body_shape", format!("Send an array: {error}.")))?;
    let mut by_source: std::collections::BTreeMap<SourceName, Vec<serde_json::Value>> = Default::default();
    let mut counts = Counts { success_count: 0, error_count: 0, errors: Vec::new() };
    for row in rows {
        match WithSource::deserialize(&row) {
            Ok(WithSource { source }) => {
                let manual = || super::manual::MANUAL.parse().map_err(Problem::internal);
                by_source.entry(source.map_or_else(manual, Ok)?).or_default().push(row);
            }
            Err(error) => counts.refuse(error.to_string()),
        }
    }
    for (source, rows) in by_source {
        let body = serde_json::to_vec(&rows).map_err(Problem::internal)?;
        let options = Options { format: Format::Json, ..Options::default() };
        let bulk = add_all(&role, caller, source, body.into(), options).await?;
        counts.success_count += bulk.accepted;
        bulk.errors.into_iter().for_each(|e| counts.refuse(format!("{}: {}", e.value, e.detail)));
    }
    Ok(Json(Inserted { status: "success", data: counts }))
}

impl Counts {
    fn refuse(&mut self, error: String) {
        self.error_count += 1;
        if self.errors.len() < 10 {
            self.errors.push(error);
        }
    }
}
