//! What CrowdSec's bouncers ask its local API: decisions, as a stream of changes or one by one, from one feed's released
//! list. A key, of a file or a device's token, is right or the answer is 403, as they expect; where there is no list it is
//! 503, and they keep what they have. It must not know how a decision is written.
//!
//! Nothing is remembered of a bouncer. Whoever does not begin is told what changed over the last while, again and again,
//! so that two bouncers with one key both get everything.

use super::claim;
use super::pieces::pieces;
use super::reply::blocking;
use crate::addr::IpRange;
use crate::model::{OutputName, Time};
use crate::publish::crowdsec::{Stream, Wanted, about};
use crate::publish::{Feed, Publisher, Reader, Recent, Released, Roll, Rolls, recent};
use crate::web::auth::{Keys, X_API_KEY};
use crate::web::{Body, Caller, Json, Problem, Query, Response};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};

/// The paths here begin so; their keys are their own.
pub const PREFIX: &str = "/v1/";

/// So long a bouncer should wait for what is not there yet, in seconds.
const SOON: u32 = 10;

/// What bouncers are told from.
pub struct Decisions {
    /// Where the feed is, and who may read it.
    pub publisher: Arc<Publisher>,
    /// What the feed lists, as lines.
    pub rolls: Arc<Rolls>,
    /// The feed.
    pub feed: OutputName,
    /// Who may ask, beside the administrator and the devices that read the feed.
    pub keys: Keys,
    /// How long a change is told, in seconds.
    pub window: i64,
    /// What was told last, of which release, and with the step of which moment it begins: ten thousand bouncers
    /// ask for the same.
    last: Mutex<Option<Told>>,
}

struct Told {
    roll: Arc<Roll>,
    since: Option<Time>,
    recent: Arc<Recent>,
}

type Shared = State<Arc<Decisions>>;

impl Decisions {
    /// Decisions from the feed of that name.
    pub fn new(
        publisher: Arc<Publisher>,
        rolls: Arc<Rolls>,
        feed: OutputName,
        keys: Keys,
        window: i64,
    ) -> Self {
        Self { publisher, rolls, feed, keys, window, last: Mutex::default() }
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/v1/decisions", get(some))
            .route("/v1/decisions/stream", get(flow))
            .route("/v1/heartbeat", get(heartbeat))
            .route("/v1/usage-metrics", post(usage))
            .with_state(Arc::new(self))
    }

    /// Who asks; none is somebody whose key has no name.
    fn admit(&self, caller: Caller, headers: &HeaderMap) -> Result<Option<Reader>, Problem> {
        let mut keys = headers.get_all(X_API_KEY).iter();
        match (keys.next(), keys.next()) {
            _ if caller.admin => return Ok(None),
            (Some(key), None) if self.keys.has(key.as_bytes()) => return Ok(None),
            (Some(_), None) => {}
            _ => return Err(wrong()),
        }
        let reader = claim::reader(&self.publisher, headers, None, caller, &self.feed);
        let refused = |problem: Problem| match problem.status() {
            StatusCode::UNAUTHORIZED => wrong(),
            _ => problem,
        };
        reader.map(Some).map_err(refused)
    }

    fn now(&self) -> Time {
        self.publisher.engine().now()
    }

    fn released(&self) -> Result<(Arc<Feed>, Arc<Released>), Problem> {
        let missing = || {
            Problem::unavailable("feed_missing", SOON).detail(format!(
                "There is no feed {}; crowdsec.feed names the one that bouncers get.",
                self.feed
            ))
        };
        let feed = self.publisher.feeds().get(self.feed.as_str()).ok_or_else(missing)?;
        let empty = || {
            Problem::unavailable("feed_empty", SOON)
                .detail("The feed lists nothing now; a bouncer keeps what it has. /health says why.")
        };
        let released = feed.released().ok_or_else(empty)?;
        Ok((feed, released))
    }

    async fn roll(self: &Arc<Self>) -> Result<(Arc<Feed>, Arc<Roll>), Problem> {
        let (feed, released) = self.released()?;
        let decisions = Arc::clone(self);
        let roll = blocking(move || Ok(decisions.rolls.of(&released))).await?;
        let long = |error| Problem::unavailable("feed_too_long", SOON).detail(format!("{error}."));
        Ok((feed, roll.map_err(long)?))
    }

    /// The list for whoever asks, if they may read it; a device is noted.
    async fn hand_out(
        self: &Arc<Self>,
        caller: Caller,
        headers: &HeaderMap,
    ) -> Result<(Arc<Feed>, Arc<Roll>), Problem> {
        let reader = self.admit(caller, headers)?;
        let (feed, roll) = self.roll().await?;
        if let Some(reader) = reader {
            let document = format!("{}/decisions", self.feed);
            claim::note(&self.publisher, &reader, caller, &document, &roll.released().release);
        }
        Ok((feed, roll))
    }

    /// What changed within the window.
    fn recent(&self, feed: &Feed, roll: &Arc<Roll>, now: Time) -> Arc<Recent> {
        let mut steps = feed.steps();
        let begin = now.plus(-self.window);
        steps.retain(|step| step.time > begin);
        let since = steps.first().map(|step| step.time);
        // What is kept is replaced in one step, so that a panic elsewhere leaves nothing half done.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = &*last
            && Arc::ptr_eq(&told.roll, roll)
            && told.since == since
        {
            return Arc::clone(&told.recent);
        }
        let recent = Arc::new(recent(roll, &steps));
        *last = Some(Told { roll: Arc::clone(roll), since, recent: Arc::clone(&recent) });
        recent
    }
}

fn wrong() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "key_wrong")
        .detail("The key is missing or wrong; crowdsec.keys_file names those of bouncers, and a device's token is one, too.")
}

/// What a bouncer may ask for. What it says beyond that is for the local API's own workings.
#[derive(Deserialize)]
struct Asked {
    startup: Option<String>,
    ip: Option<String>,
    range: Option<String>,
    contains: Option<String>,
    scope: Option<String>,
    value: Option<String>,
    scopes: Option<String>,
    origins: Option<String>,
    r#type: Option<String>,
    scenarios_containing: Option<String>,
    scenarios_not_containing: Option<String>,
}

impl Asked {
    fn wanted(&self) -> Wanted {
        let list = |text: &Option<String>| {
            let parts = text.as_deref().unwrap_or_default().split(',').map(str::trim);
            let parts: Vec<String> = parts.filter(|part| !part.is_empty()).map(str::to_owned).collect();
            (!parts.is_empty()).then_some(parts)
        };
        Wanted {
            scopes: list(&self.scopes).or_else(|| list(&self.scope)),
            origins: list(&self.origins),
            kind: self.r#type.clone().filter(|kind| !kind.is_empty()),
            containing: list(&self.scenarios_containing),
            not_containing: list(&self.scenarios_not_containing),
            inside: None,
        }
    }

    /// The address or range that is asked about; none: all of them.
    fn range(&self) -> Result<Option<IpRange>, Problem> {
        let text = self.ip.as_ref().or(self.range.as_ref()).or(self.value.as_ref());
        text.filter(|text| !text.is_empty()).map(|text| super::reply::range(text)).transpose()
    }
}

async fn some(
    State(decisions): Shared,
    Extension(caller): Extension<Caller>,
    method: Method,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    if method == Method::HEAD {
        // So a bouncer tries its key.
        return decisions.admit(caller, &headers).map(|_| Response::default());
    }
    let (mut wanted, range) = (asked.wanted(), asked.range()?);
    let (_, roll) = decisions.hand_out(caller, &headers).await?;
    match range {
        Some(range) if asked.contains.as_deref() != Some("false") => {
            let told = about(&roll, range, &wanted, decisions.now());
            Ok(json(Body::full(told)))
        }
        inside => {
            wanted.inside = inside;
            Ok(answer(Stream::array(roll, wanted), &headers))
        }
    }
}

async fn flow(
    State(decisions): Shared,
    Extension(caller): Extension<Caller>,
    method: Method,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let (feed, roll) = decisions.hand_out(caller, &headers).await?;
    if method == Method::HEAD {
        return Ok(json(Body::empty()));
    }
    let wanted = asked.wanted();
    if asked.startup.is_some_and(|startup| startup.eq_ignore_ascii_case("true")) {
        return Ok(answer(Stream::everything(roll, wanted), &headers));
    }
    blocking(move || {
        let recent = decisions.recent(&feed, &roll, decisions.now());
        Ok(answer(Stream::changes(roll, recent, wanted), &headers))
    })
    .await
}

/// Whether the key is right and the program there.
async fn heartbeat(
    State(decisions): Shared,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    decisions.admit(caller, &headers)?;
    Ok(StatusCode::OK)
}

/// Bouncers count what they have blocked; there is nothing here yet that shows it.
async fn usage(
    State(decisions): Shared,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(_): Json<serde::de::IgnoredAny>,
) -> Result<StatusCode, Problem> {
    decisions.admit(caller, &headers)?;
    Ok(StatusCode::CREATED)
}

fn json(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Sends decisions while they are written.
fn answer(stream: Stream, headers: &HeaderMap) -> Response {
    let mut response = pieces(stream, headers);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests;
