//! Listings that a person makes, under the source `manual` unless another is named.

use super::super::reply::range;
use super::Blacklist;
use crate::addr::IpRange;
use crate::collect::parse_day;
use crate::model::{
    Cause, Change, Country, Detail, RowsBuilder, Scope, Severity, Source, SourceName, Time, TooBroad,
};
use crate::web::{Caller, Json, Path, Problem};
use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};

/// The source of listings that people make.
pub(super) const MANUAL: &str = "manual";

/// A person's statement.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Statement {
    /// Needed where the path does not say it: an address, prefix or range.
    pub(super) ip: Option<String>,
    pub(super) source: Option<SourceName>,
    pub(super) reason: Option<String>,
    pub(super) detection_date: Option<String>,
    pub(super) threat_type: Option<String>,
    pub(super) severity: Option<Severity>,
    pub(super) country: Option<Country>,
    pub(super) confidence: Option<u8>,
    pub(super) expires: Option<Time>,
}

/// What a statement came to.
#[derive(Serialize)]
pub(super) struct Stated {
    pub(super) range: IpRange,
    pub(super) source: SourceName,
    /// Whether it is new, as against said before.
    pub(super) new: bool,
    pub(super) generation: u64,
}

pub(super) async fn add(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Json(statement): Json<Statement>,
) -> Result<Json<Stated>, Problem> {
    let Some(ip) = statement.ip.clone() else {
        return Err(Problem::unprocessable("ip_missing", "Say which address: {\"ip\":…}."));
    };
    state(&role, caller, &ip, statement).await.map(Json)
}

pub(super) async fn put(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    Json(statement): Json<Statement>,
) -> Result<Json<Stated>, Problem> {
    state(&role, caller, &text, statement).await.map(Json)
}

/// A person's slip is no better than a list's.
fn refuse_broad(range: IpRange, source: Option<&Source>) -> Result<(), Problem> {
    let most = source.map_or_else(TooBroad::default, |source| source.policy.too_broad);
    if !most.excludes(range) {
        return Ok(());
    }
    let detail = format!(
        "{range} is wider than /{}, or /{} for IPv6; list its parts if you mean it.",
        most.v4, most.v6
    );
    Err(Problem::unprocessable("too_broad", detail))
}

/// Makes or changes one listing.
pub(super) async fn state(
    role: &Blacklist,
    caller: Caller,
    text: &str,
    statement: Statement,
) -> Result<Stated, Problem> {
    let range = range(text)?;
    let source = match statement.source.clone() {
        Some(source) => source,
        None => MANUAL.parse().map_err(Problem::internal)?,
    };
    refuse_broad(range, role.engine.snapshot().source(source.as_str()))?;
    let reason = statement.reason.clone().unwrap_or_default();
    let mut rows = RowsBuilder::default();
    rows.push(range, &detail(statement)?);
    let change = Change::List { source: source.clone(), rows: rows.finish().0, scope: Scope::Part };
    let receipt = role.submit(caller, &reason, Cause::Manual, change).await?;
    Ok(Stated { range, source, new: receipt.added > 0, generation: receipt.generation })
}

fn detail(statement: Statement) -> Result<Detail, Problem> {
    let detected = match statement.detection_date.as_deref() {
        None => None,
        Some(text) => Some(parse_day(text).ok_or_else(|| {
            Problem::unprocessable(
                "bad_date",
                format!("detection_date {text:?} is no date; write 2026-11-22."),
            )
        })?),
    };
    if statement.confidence.is_some_and(|confidence| confidence > 100) {
        return Err(Problem::unprocessable("bad_confidence", "confidence is 0 to 100."));
    }
    Ok(Detail {
        reason: statement.reason.map(Into::into),
        threat: statement.threat_type.map(Into::into),
        severity: statement.severity,
        country: statement.country,
        confidence: statement.confidence,
        detected,
        expires: statement.expires,
        ..Detail::default()
    })
}

pub(super) async fn remove(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
) -> Result<Json<Stated>, Problem> {
    let range = range(&text)?;
    let source: SourceName = MANUAL.parse().map_err(Problem::internal)?;
    let change = Change::Unlist { source: source.clone(), ranges: vec![range] };
    let receipt = role.submit(caller, "", Cause::Manual, change).await?;
    Ok(Json(Stated { range, source, new: false, generation: receipt.generation }))
}
