//! The earlier system's paths on 8001, so that no script has to change. Their success bodies are
//! kept; errors are problems. Fields that they do not know are passed over, as they always were.

use super::super::reply::{aside, bad_address, range};
use super::entry::{self, Entry, entries};
use super::manual::{Statement, detail, or_manual, refuse_broad, state};
use super::{Blacklist, active, statistics};
use crate::addr::parse_address;
use crate::engine::Snapshot;
use crate::model::{Cause, Change, Country, Rows, RowsBuilder, Scope, SourceName};
use crate::rights::Right;
use crate::web::Demand::Earlier;
use crate::web::extract::Whole;
use crate::web::{Caller, Json, Path, Problem, Routes};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Errors that are told; all are counted.
const ERRORS: usize = 10;

pub(super) fn routes() -> Routes<Blacklist> {
    let (checks, reads, writes) = (Earlier(Right::Check), Earlier(Right::Read), Earlier(Right::Write));
    Routes::new()
        .post("/api/v1/ips", writes, add, "Lists an address, as the earlier system took it.")
        .post("/api/v1/bulk-insert", writes, insert, "Lists many, as the earlier system took them.")
        .reads(&["application/json"])
        .get(
            "/api/v1/ips/{ip}",
            checks,
            entry,
            "Shows an address's first listing, as the earlier system did.",
        )
        .post("/api/v1/search", checks, search, "Looks many addresses up, as the earlier system did.")
        .get(
            "/api/v1/blacklist/search/{ip}",
            checks,
            entry,
            "Shows an address's first listing, as the earlier door did.",
        )
        .get("/api/v1/active-ips", reads, active::earlier, "Lists what is active, as the earlier system did.")
        .get(
            "/api/v1/statistics",
            reads,
            statistics::statistics,
            "Counts what is listed, where the earlier system did.",
        )
        .delete(
            "/api/v1/cleanup",
            writes,
            statistics::clean_up,
            "Ends what is due, for scripts that ask every night.",
        )
}

/// An entry as the earlier system took it: sources in capitals, countries by any name.
#[derive(Deserialize, JsonSchema)]
struct Row {
    ip: String,
    source: Option<String>,
    detection_date: Option<String>,
    threat_type: Option<String>,
    country: Option<String>,
}

impl TryFrom<Row> for Statement {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        let source = row.source.map(|name| name.trim().to_lowercase().parse::<SourceName>()).transpose();
        let given = |text: &String| !text.trim().is_empty();
        Ok(Self {
            source: source.map_err(|error| Problem::unprocessable("bad_source", format!("{error}.")))?,
            detection_date: row.detection_date.filter(given),
            threat_type: row.threat_type,
            // A word that is no country of ours says nothing, and does not cost the listing.
            country: row.country.and_then(|country| Country::new(country.trim())),
            ..Self::default()
        })
    }
}

async fn add(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Json(row): Json<Row>,
) -> Result<Json<Entry>, Problem> {
    let stated = state(&role, &caller, range(&row.ip)?, row.try_into()?).await?;
    let entries = entries(&role, stated.range.first()).await?;
    let made =
        entries.into_iter().find(|e| e.source == stated.source.as_str() && e.ip == stated.range.to_string());
    made.map(Json).ok_or_else(|| Problem::conflict("gone", "The entry was removed meanwhile."))
}

async fn entry(State(role): State<Blacklist>, Path(ip): Path<String>) -> Result<Json<Entry>, Problem> {
    let address = parse_address(ip.as_bytes()).map_err(|fault| bad_address(&ip, fault))?;
    let first = entries(&role, address).await?.into_iter().next();
    first.map(Json).ok_or_else(|| Problem::not_found("not_listed", format!("Nobody lists {address}.")))
}

#[derive(Deserialize, JsonSchema)]
struct Question {
    ips: Vec<String>,
}

async fn search(
    State(role): State<Blacklist>,
    Json(question): Json<Question>,
) -> Result<Json<Vec<entry::Found>>, Problem> {
    entry::found(&role, question.ips).await
}

#[derive(Serialize, JsonSchema)]
struct Inserted {
    status: &'static str,
    data: Counts,
}

#[derive(Serialize, Default, JsonSchema)]
struct Counts {
    /// Rows that are listed now, each as often as it came.
    success_count: u64,
    error_count: u64,
    errors: Vec<String>,
}

/// An array of entries, each naming its source. A row that is wrong costs nobody else anything: what is right is
/// listed, one batch a source.
async fn insert(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Whole(body): Whole,
) -> Result<Json<Inserted>, Problem> {
    let snapshot = Arc::clone(&role.engine.snapshot());
    let (lists, counts) = aside(move || sorted(&snapshot, &body)).await?;
    for (source, rows) in lists {
        let change = Change::List { source, rows, scope: Scope::Part };
        role.submit(&caller, "bulk-insert", Cause::Import, change).await?;
    }
    Ok(Json(Inserted { status: "success", data: counts }))
}

/// The rows of a body by their sources.
fn sorted(snapshot: &Snapshot, body: &[u8]) -> Result<(Vec<(SourceName, Rows)>, Counts), Problem> {
    let rows: Vec<serde_json::Value> = serde_json::from_slice(body)
        .map_err(|error| Problem::unprocessable("body_shape", format!("Send an array: {error}.")))?;
    let (mut lists, mut counts) = (BTreeMap::<_, RowsBuilder>::new(), Counts::default());
    for row in rows {
        match insert_one(snapshot, row, &mut lists) {
            Ok(()) => counts.success_count += 1,
            Err(why) => counts.refuse(why),
        }
    }
    Ok((lists.into_iter().map(|(source, rows)| (source, rows.finish().0)).collect(), counts))
}

fn insert_one(
    snapshot: &Snapshot,
    row: serde_json::Value,
    lists: &mut BTreeMap<SourceName, RowsBuilder>,
) -> Result<(), String> {
    let row = Row::deserialize(row).map_err(|error| error.to_string())?;
    let say = |problem: Problem| problem.told().to_owned();
    let range = range(&row.ip).map_err(say)?;
    let statement = Statement::try_from(row).map_err(say)?;
    let source = or_manual(statement.source.clone()).map_err(say)?;
    refuse_broad(range, snapshot.policy(source.as_str()).too_broad).map_err(say)?;
    lists.entry(source).or_default().push(range, &detail(statement).map_err(say)?);
    Ok(())
}

impl Counts {
    fn refuse(&mut self, error: String) {
        self.error_count += 1;
        if self.errors.len() < ERRORS {
            self.errors.push(error);
        }
    }
}
