//! Whole lists: files from the command line, and bulk bodies from programs.

use super::super::reason::words;
use super::super::reply::aside;
use super::manual::or_manual;
use super::{Blacklist, batch};
use crate::collect::formats::{Format, Limits, Options, ReadError};
use crate::collect::{self, Intake, LineError, Terms, parse_until};
use crate::engine::Plan;
use crate::model::{Cause, Change, Country, Detail, Op, Policy, Rows, Scope, SourceName, Time};
use crate::rights::Right;
use crate::web::extract::Whole;
use crate::web::{Caller, Json, Problem, Query};
use axum::Extension;
use axum::extract::State;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The path under which the command line sends files.
pub const IMPORT_PATH: &str = "/api/v1/blacklist/import";

/// Ranges shown of each side of a difference.
const EXAMPLES: usize = 10;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    source: SourceName,
    /// The file's name, a hint for its format.
    name: Option<String>,
    format: Option<Format>,
    /// Where a JSON document has its values.
    path: Option<String>,
    /// The source's listings become exactly this file's.
    #[serde(default)]
    replace: bool,
    /// `90d`, `12h`, a day, or a moment.
    expires: Option<String>,
    reason: Option<String>,
    country: Option<Country>,
    /// Only say what would change.
    #[serde(default)]
    dry_run: bool,
}

/// What an import came to; the command line reads it again.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Imported {
    pub(crate) generation: u64,
    pub(crate) source: SourceName,
    pub(crate) dry_run: bool,
    pub(crate) read: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) duplicates: u64,
    pub(crate) added: u64,
    pub(crate) changed: u64,
    pub(crate) removed: u64,
    pub(crate) unchanged: u64,
    /// Rows that say of themselves that they are over.
    pub(crate) expired: u64,
    pub(crate) errors: Vec<LineError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) examples: Option<Examples>,
}

/// Some of what a dry run found.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Examples {
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
}

pub(super) async fn import(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Query(parameters): Query<Parameters>,
    Whole(body): Whole,
) -> Result<Json<Imported>, Problem> {
    if parameters.replace && !parameters.dry_run {
        // No gate looks at what goes: a word for a whole source is an administrator's.
        caller.demand(Right::Admin)?;
    }
    let options = Options {
        format: parameters.format.unwrap_or_default(),
        name: parameters.name.clone(),
        path: parameters.path.clone(),
        ..options(&role)
    };
    let policy = role.engine.snapshot().policy(parameters.source.as_str());
    let terms = terms(&parameters, &policy, role.engine.now())?;
    let mut intake = take_in(body, options, terms).await?;
    let scope = intake.scope(parameters.replace).map_err(|error| unreadable(&error))?;
    let rows = std::mem::take(&mut intake.rows);
    let accepted = rows.len() as u64;
    let reason = parameters.reason.or(parameters.name).unwrap_or_default();
    let change = Change::List { source: parameters.source.clone(), rows, scope };
    let (receipt, examples) = if parameters.dry_run {
        let plan = role.engine.preview(batch(&caller, &reason, Cause::Import, change)).await?;
        (plan.receipt, Some(examples(&plan)))
    } else {
        (role.submit(&caller, &reason, Cause::Import, change).await?, None)
    };
    Ok(Json(Imported {
        generation: receipt.generation,
        source: parameters.source,
        dry_run: examples.is_some(),
        read: intake.read + intake.rejected,
        accepted,
        rejected: intake.rejected,
        duplicates: intake.duplicates,
        added: receipt.added,
        changed: receipt.changed,
        removed: receipt.removed,
        unchanged: receipt.unchanged,
        expired: receipt.expired,
        errors: intake.errors,
        examples,
    }))
}

fn options(role: &Blacklist) -> Options {
    let limits = Limits { size: role.import_limit.get(), ..Limits::default() };
    Options { limits, sheet_reader: role.sheets.clone(), ..Options::default() }
}

fn terms(parameters: &Parameters, policy: &Policy, now: Time) -> Result<Terms, Problem> {
    let until = |text: &String| {
        parse_until(text, now, policy.zone).ok_or_else(|| {
            let detail = format!("expires={text:?}: write 90d, 12h, 5m, 2026-11-22 or 2026-11-22T00:00:00Z.");
            Problem::bad_request("bad_expires", detail)
        })
    };
    let expires = parameters.expires.as_ref().map(until).transpose()?;
    let reason = parameters.reason.as_deref().map(|text| words("reason", text)).transpose()?;
    let reason = reason.map(Box::from);
    let detail = Detail { reason, country: parameters.country, expires, ..Detail::default() };
    Ok(Terms::new(detail, policy))
}

async fn take_in(body: Bytes, options: Options, terms: Terms) -> Result<Intake, Problem> {
    aside(move || collect::read(&body, &options, &terms).map_err(|error| unreadable(&error))).await
}

fn unreadable(error: &ReadError) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.code()).detail(format!("{error}."))
}

/// The first ranges that a plan adds and takes away; those that only change are neither.
fn examples(plan: &Plan) -> Examples {
    let mut examples = Examples { added: Vec::new(), removed: Vec::new() };
    for op in &plan.ops {
        if let Op::Listings { difference, .. } = op {
            examples.added.extend(but(&difference.added, &difference.removed));
            examples.removed.extend(but(&difference.removed, &difference.added));
        }
    }
    examples
}

fn but(rows: &Rows, others: &Rows) -> Vec<String> {
    let others: std::collections::HashSet<_> = others.iter().map(|(range, _)| range).collect();
    let only = rows.iter().filter(|(range, _)| !others.contains(range));
    only.take(EXAMPLES).map(|(range, _)| range.to_string()).collect()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkParameters {
    source: Option<SourceName>,
}

/// The answer to a bulk body.
#[derive(Serialize, JsonSchema)]
pub(super) struct Bulk {
    accepted: u64,
    rejected: u64,
    errors: Vec<LineError>,
    generation: u64,
}

pub(super) async fn bulk(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Query(parameters): Query<BulkParameters>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Json<Bulk>, Problem> {
    let source = or_manual(parameters.source)?;
    let options = Options { format: format_of(&headers)?, ..options(&role) };
    let terms = Terms::new(Detail::default(), &role.engine.snapshot().policy(source.as_str()));
    // Rows given twice are accepted twice: whoever counts what was sent must find it again.
    let Intake { rows, read: accepted, rejected, errors, .. } = take_in(body, options, terms).await?;
    let change = Change::List { source, rows, scope: Scope::Part };
    let receipt = role.submit(&caller, "bulk", Cause::Import, change).await?;
    Ok(Json(Bulk { accepted, rejected, errors, generation: receipt.generation }))
}

/// The format that the body's type names.
fn format_of(headers: &HeaderMap) -> Result<Format, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => Ok(Format::Json),
        "application/x-ndjson" | "application/ndjson" => Ok(Format::Ndjson),
        "text/csv" => Ok(Format::Csv),
        "text/tab-separated-values" => Ok(Format::Tsv),
        "text/plain" => Ok(Format::Plain),
        _ => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type").detail(
            "Send application/json, application/x-ndjson, text/csv, text/tab-separated-values or text/plain.",
        )),
    }
}
