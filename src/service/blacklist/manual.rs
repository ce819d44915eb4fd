//! Listings that a person makes, under the source `manual` unless another is named.

use super::super::reason::{Removal, reason, same_range, words};
use super::super::reply::range;
use super::Blacklist;
use crate::addr::IpRange;
use crate::collect::parse_day;
use crate::engine::{EngineError, Refusal};
use crate::model::{
    Cause, Change, Country, Detail, RowsBuilder, Scope, Severity, SourceName, Time, TooBroad,
};
use crate::web::{Caller, Json, Path, Problem};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A person's statement.
#[derive(Deserialize, Default, JsonSchema)]
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
#[derive(Serialize, JsonSchema)]
pub(super) struct Stated {
    pub(super) range: IpRange,
    pub(super) source: SourceName,
    /// Whether it is new, as against said before.
    pub(super) new: bool,
    pub(super) generation: u64,
    /// The feeds that are held, and do not follow before an administrator's word.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) held: Vec<String>,
}

pub(super) async fn add(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Json(statement): Json<Statement>,
) -> Result<Json<Stated>, Problem> {
    let Some(ip) = statement.ip.clone() else {
        return Err(Problem::unprocessable("ip_missing", "Say which address: {\"ip\":…}."));
    };
    reason(statement.reason.as_deref())?;
    state(&role, &caller, range(&ip)?, statement).await.map(Json)
}

pub(super) async fn put(
    State(role): State<Blacklist>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    Json(statement): Json<Statement>,
) -> Result<Json<Stated>, Problem> {
    let said = range(&text)?;
    if let Some(ip) = &statement.ip {
        same_range(said, range(ip)?)?;
    }
    reason(statement.reason.as_deref())?;
    state(&role, &caller, said, statement).await.map(Json)
}

/// The source that is named, or people's own.
pub(super) fn or_manual(source: Option<SourceName>) -> Result<SourceName, Problem> {
    source.map_or_else(|| SourceName::MANUAL.parse().map_err(Problem::internal), Ok)
}

/// A person's slip is no better than a list's.
///
/// # Errors
/// 422 for a range that is wider than `most`.
pub(super) fn refuse_broad(range: IpRange, most: TooBroad) -> Result<(), Problem> {
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
    caller: &Caller,
    range: IpRange,
    statement: Statement,
) -> Result<Stated, Problem> {
    if let Some(at) = statement.expires.filter(|at| *at <= role.engine.now()) {
        return Err(EngineError::Refused(Refusal::Over(at)).into());
    }
    let source = or_manual(statement.source.clone())?;
    refuse_broad(range, role.engine.snapshot().policy(source.as_str()).too_broad)?;
    let detail = detail(statement)?;
    let reason = detail.reason.as_deref().unwrap_or_default().to_owned();
    let mut rows = RowsBuilder::default();
    rows.push(range, &detail);
    let change = Change::List { source: source.clone(), rows: rows.finish().0, scope: Scope::Part };
    let receipt = role.submit(caller, &reason, Cause::Manual, change).await?;
    Ok(Stated { range, source, new: receipt.added > 0, generation: receipt.generation, held: held(role) })
}

/// The feeds that do not follow what people say, so that nobody takes it for enforced.
fn held(role: &Blacklist) -> Vec<String> {
    let Some(feeds) = &role.feeds else { return Vec::new() };
    let all_are = feeds.whole().status().hold.is_some();
    let all = feeds.all();
    let held = all.iter().filter(|(_, feed)| all_are || feed.status().hold.is_some());
    held.map(|(name, _)| name.to_string()).collect()
}

/// What a statement says of its range.
///
/// # Errors
/// 422 for a field that cannot be what it says.
pub(super) fn detail(statement: Statement) -> Result<Detail, Problem> {
    let said = |name, text: Option<String>| match text.map(|text| words(name, &text)).transpose()? {
        Some(text) if !text.is_empty() => Ok::<_, Problem>(Some(Box::from(text))),
        _ => Ok(None),
    };
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
        reason: said("reason", statement.reason)?,
        threat: said("threat_type", statement.threat_type)?,
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
    removal: Removal,
) -> Result<Json<Stated>, Problem> {
    let range = range(&text)?;
    let source = or_manual(removal.source)?;
    let change = Change::Unlist { source: source.clone(), ranges: vec![range] };
    let receipt = role.submit(&caller, &removal.reason, Cause::Manual, change).await?;
    let held = held(&role);
    Ok(Json(Stated { range, source, new: false, generation: receipt.generation, held }))
}
