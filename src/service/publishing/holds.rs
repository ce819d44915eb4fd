//! What the gate for feeds keeps back, and the word of an administrator about it.

use super::super::paging::{Newest, NumberedPage};
use super::super::reason::reason;
use super::super::reply::{actor, blocking};
use super::Publishing;
use crate::addr::{IpRange, IpSet};
use crate::model::{OutputName, Time};
use crate::publish::{
    ALL_FEEDS, Audit, Distance, Feed, Ground, Hold, KeptBack, NoConsent, Publisher, Share, Word,
};
use crate::rights::Right;
use crate::web::{Caller, Json, Path, Problem, Query};
use axum::Extension;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Rows of a page of the audit unless told otherwise.
const LIMIT: usize = 50;
/// So many ranges stand for all that would change.
const EXAMPLES: usize = 5;

/// A hold of a feed.
#[derive(Serialize, JsonSchema)]
pub(super) struct Row {
    /// The feed's name, or `_all` for the hold over all of them.
    id: String,
    kind: &'static str,
    /// The grounds for a person.
    why: Vec<String>,
    /// Lines that consent would change.
    difference: u64,
    #[serde(flatten)]
    hold: HoldRow,
    /// What that comes to, by example, for an administrator; none where it cannot be read now.
    would: Option<Would>,
    /// Since when, in seconds, for whoever watches its age.
    age_seconds: i64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct HoldRow {
    since: Time,
    generation: u64,
    grounds: Vec<Ground>,
    distance: Distance,
    rejected: bool,
}

impl From<Hold> for HoldRow {
    fn from(hold: Hold) -> Self {
        let Hold { since, generation, grounds, distance, rejected, .. } = hold;
        Self { since, generation, grounds, distance, rejected: rejected.is_some() }
    }
}

/// What consent would come to, by example.
#[derive(Serialize, JsonSchema)]
struct Would {
    /// Some of what would go.
    gone: Vec<IpRange>,
    /// The sources that make most of that, as far as is known.
    gone_by: Vec<Share>,
    /// Some of what would come.
    new: Vec<IpRange>,
    /// The sources that make most of that.
    new_by: Vec<Share>,
}

/// What a feed would wait for.
#[derive(Serialize, JsonSchema)]
pub(super) struct HeldBack {
    grounds: Vec<Ground>,
    why: Vec<String>,
    distance: Distance,
    would: Would,
}

impl From<KeptBack> for HeldBack {
    fn from(kept: KeptBack) -> Self {
        let Hold { grounds, distance, .. } = &kept.hold;
        Self { grounds: grounds.clone(), why: why(grounds), distance: *distance, would: Would::from(kept) }
    }
}

impl From<KeptBack> for Would {
    fn from(KeptBack { gone, new, gone_by, new_by, .. }: KeptBack) -> Self {
        Self { gone: some(&gone), gone_by, new: some(&new), new_by }
    }
}

/// A few ranges from all over a set.
fn some(set: &IpSet) -> Vec<IpRange> {
    let count = set.v4.ranges().len() + set.v6.ranges().len();
    set.iter().step_by(count.div_ceil(EXAMPLES).max(1)).collect()
}

fn why(grounds: &[Ground]) -> Vec<String> {
    grounds.iter().map(ToString::to_string).collect()
}

#[derive(Serialize, JsonSchema)]
pub(super) struct List {
    status: &'static str,
    data: Vec<Row>,
    total: usize,
}

pub(super) async fn list(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<List>, Problem> {
    // Dear: a feed is worked out for it, which is not for whoever asks.
    let with_examples = caller.rights.has(Right::Admin);
    let publisher = Arc::clone(&role.0);
    let data = blocking(move || {
        let feeds = publisher.feeds();
        let whole = feeds.whole().status().hold.map(|hold| row(&publisher, None, hold, with_examples));
        let all = feeds.all();
        let each = all
            .values()
            .filter_map(|feed| Some(row(&publisher, Some(feed), feed.status().hold?, with_examples)));
        Ok(whole.into_iter().chain(each).collect::<Vec<_>>())
    });
    let data = data.await?;
    Ok(Json(List { status: "success", total: data.len(), data }))
}

/// The hold of a feed, or of all of them.
fn row(publisher: &Publisher, feed: Option<&Arc<Feed>>, hold: Hold, with_examples: bool) -> Row {
    let profile = feed.map(|feed| feed.profile());
    let foreseen = with_examples
        .then(|| publisher.feeds().foresee(publisher.engine(), profile.as_deref()).ok())
        .flatten();
    Row {
        id: profile.map_or_else(|| ALL_FEEDS.to_owned(), |profile| profile.name.to_string()),
        kind: "feed",
        why: why(&hold.grounds),
        difference: hold.distance.gone + hold.distance.new,
        age_seconds: age(publisher.engine().now(), hold.since),
        hold: hold.into(),
        would: foreseen.and_then(|foreseen| foreseen.held).map(Would::from),
    }
}

fn age(now: Time, since: Time) -> i64 {
    (now.unix() - since.unix()).max(0)
}

/// Why an administrator decides so, and what they have seen.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    reason: String,
    /// The generation at which the hold was shown: consent is for that, and for no more. A hold that is there needs it.
    generation: Option<u64>,
}

pub(super) async fn consent(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(decision): Json<Decision>,
) -> Result<Json<serde_json::Value>, Problem> {
    let feed = subject(&id)?;
    let generation = decision.generation.ok_or_else(|| unseen(&role, feed.as_ref()))?;
    let audit = role.audit(&caller, "feed.consent", &id, &reason(Some(&decision.reason))?);
    let publisher = Arc::clone(&role.0);
    let consented = blocking(move || {
        let (feeds, engine) = (publisher.feeds(), publisher.engine());
        feeds.consent(feed.as_ref(), generation, engine).map_err(refused)?;
        note(&publisher, &audit)
    });
    consented.await?;
    Ok(Json(serde_json::json!({"status": "success"})))
}

/// Why an administrator wants it to stay held.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejection {
    reason: String,
}

pub(super) async fn reject(
    State(role): State<Publishing>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(rejection): Json<Rejection>,
) -> Result<Json<serde_json::Value>, Problem> {
    let name = subject(&id)?;
    let reason = reason(Some(&rejection.reason))?;
    let audit = role.audit(&caller, "feed.reject", &id, &reason);
    let word = Word { actor: actor(&caller), reason, time: role.engine().now() };
    let publisher = Arc::clone(&role.0);
    let rejected = blocking(move || {
        publisher.feeds().reject(name.as_ref(), word, publisher.engine()).map_err(refused)?;
        note(&publisher, &audit)
    });
    rejected.await?;
    Ok(Json(serde_json::json!({"status": "success"})))
}

/// What was decided holds whether or not the audit could be written; that it could not is told.
pub(in crate::service) fn note(publisher: &Publisher, audit: &Audit) -> Result<(), Problem> {
    let Some(book) = publisher.book() else {
        return Err(Problem::unavailable("audit_unwritten", 60)
            .detail("It is done, but the audit cannot be written."));
    };
    Ok(book.audit(audit).map_err(crate::engine::EngineError::from)?)
}

fn subject(id: &str) -> Result<Option<OutputName>, Problem> {
    if id == ALL_FEEDS {
        return Ok(None);
    }
    id.parse().map(Some).map_err(|_| Problem::not_found("unknown_hold", "There is no such hold."))
}

/// What is said to who names no generation.
fn unseen(role: &Publishing, name: Option<&OutputName>) -> Problem {
    let feeds = role.0.feeds();
    let hold = match name {
        Some(name) => feeds.get(name.as_str()).and_then(|feed| feed.status().hold),
        None => feeds.whole().status().hold,
    };
    match hold {
        None => refused(NoConsent::NotHeld),
        Some(_) => Problem::unprocessable(
            "generation_missing",
            "Say at which generation the hold was shown: consent is for that, and for no more.",
        ),
    }
}

fn refused(refused: NoConsent) -> Problem {
    match refused {
        NoConsent::NotHeld => Problem::not_found("unknown_hold", "There is no such hold."),
        NoConsent::Grown(generation) => {
            Problem::conflict("hold_grown", format!("{refused}.")).member("generation", &generation)
        }
        NoConsent::Failed(why) => Problem::unavailable("consent_failed", 10)
            .detail("The feed could not be taken on, so that the consent counts no more; /health says why.")
            .inner(why),
        NoConsent::WholeIsHeld => Problem::conflict("all_held", format!("{refused}.")),
    }
}

pub(super) async fn audit(
    State(role): State<Publishing>,
    Query(asked): Query<Newest>,
) -> Result<Json<NumberedPage<Audit>>, Problem> {
    let publisher = Arc::clone(&role.0);
    let read = move |before, limit| match publisher.book() {
        Some(book) => Ok(book.audits(before, limit).map_err(crate::engine::EngineError::from)?),
        None => {
            Err(Problem::unavailable("audit_unreadable", 60).detail("The audit cannot be read; see the log."))
        }
    };
    blocking(move || asked.page(LIMIT, read)).await.map(Json)
}
