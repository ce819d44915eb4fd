//! What CrowdSec's bouncers ask its local API: decisions, as a stream of changes or one by one, from one feed's released
//! list. A key, of a file or a device's (its certificate is one), is right or the answer is 401, which is a fault to them as any other; where
//! there is no list it is 503, and they keep what they have. It must not know how a decision is written.
//!
//! Nothing is remembered of a bouncer. Whoever does not begin is told again and again what came over the last while, and
//! for as long as anybody may hold it what went, so that two bouncers with one key both get everything, and one that was
//! away lets go what was allowed meanwhile.

use super::claim::{self, Showing};
use super::pieces::pieces;
use super::reply::blocking;
use crate::addr::{IpRange, IpSet};
use crate::engine::Engine;
use crate::model::{OutputName, Time};
use crate::publish::crowdsec::{Bygone, Stream, Terms, Wanted, about};
use crate::publish::{Feed, Offer, Publisher, Reader, Recent, Released, Roll, Rolls, recent, remains};
use crate::rights::Right;
use crate::web::Demand::Own;
use crate::web::claim::{Credentials, Key, Keys, credentials};
use crate::web::sketch::{Takes, shape};
use crate::web::{Body, Caller, Problem, Query, Response, Routes};
use axum::extract::{FromRequestParts, State};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// How long what came is told, in seconds: longer than any bouncer waits between two questions.
    pub window: i64,
    /// How long a bouncer holds what it is told, in seconds.
    pub hold: i64,
    /// What was told last: ten thousand bouncers ask for the same.
    last: Mutex<Option<Told>>,
}

struct Told {
    feed: Arc<Feed>,
    roll: Arc<Roll>,
    /// In which minute, and with which step it ends.
    at: (i64, Option<Time>),
    bygone: Bygone,
    recent: Arc<Recent>,
    /// What of that was meant, at which generation, where nothing is listed any more.
    meant: Option<(u64, Arc<Recent>)>,
}

type Shared = State<Arc<Decisions>>;

impl Decisions {
    /// Decisions from the feed of that name.
    pub fn new(
        publisher: Arc<Publisher>,
        rolls: Arc<Rolls>,
        feed: OutputName,
        keys: Keys,
        (window, hold): (i64, i64),
    ) -> Self {
        Self { publisher, rolls, feed, keys, window, hold, last: Mutex::default() }
    }

    /// The routes.
    pub fn routes() -> Routes<Arc<Self>> {
        Routes::new()
            .get("/v1/decisions", Own, some, "Says what CrowdSec's bouncers ask of an address.")
            .shows(shape::<Vec<Value>>)
            .get("/v1/decisions/stream", Own, flow, "Tells CrowdSec's bouncers what came and went.")
            .shows(shape::<BTreeMap<String, Value>>)
            .get("/v1/heartbeat", Own, heartbeat, "Says that bouncers are heard.")
            .post("/v1/usage-metrics", Own, usage, "Takes what bouncers count, and keeps nothing of it.")
            .reads(&["application/json"])
            .succeeds(&[201])
    }

    /// Who asks; none is somebody whose key has no name.
    fn admit(&self, Asking { caller, headers, certificate }: &Asking) -> Result<Option<Reader>, Problem> {
        let certificate = certificate.as_ref().filter(|shown| self.publisher.knows(shown));
        match credentials(headers) {
            _ if caller.is_somebody_with(Right::Feeds) => return Ok(None),
            Ok(Credentials::Token(key)) if self.keys.has(Key::of(key)) => return Ok(None),
            // A bouncer shows a key or a certificate wherever it is.
            Ok(Credentials::Nothing) if certificate.is_none() => return Err(claim::missing()),
            _ => {}
        }
        let showing = Showing { caller, headers, token: None, certificate };
        claim::reader(&self.publisher, &showing, &self.feed).map(Some)
    }

    fn terms(&self) -> Terms {
        Terms { now: self.publisher.engine().now(), hold: self.hold, window: self.window }
    }

    /// The feed and its release, which may list nothing.
    fn released(&self) -> Result<(Arc<Feed>, Arc<Released>), Problem> {
        let missing = || {
            Problem::unavailable("feed_missing", SOON).detail(format!(
                "There is no feed {}; crowdsec.feed names the one that bouncers get.",
                self.feed
            ))
        };
        let feed = self.publisher.feeds().get(self.feed.as_str()).ok_or_else(missing)?;
        let released = match &**feed.offer() {
            Offer::List(released) | Offer::Empty(released) => Some(Arc::clone(released)),
            Offer::Nothing => None,
        };
        Ok((feed, released.ok_or_else(empty)?))
    }

    async fn roll(self: &Arc<Self>) -> Result<(Arc<Feed>, Arc<Roll>), Problem> {
        let (feed, released) = self.released()?;
        let decisions = Arc::clone(self);
        let roll = blocking(move || Ok(decisions.rolls.of(&released))).await?;
        let long = |error| Problem::unavailable("feed_too_long", SOON).detail(format!("{error}."));
        Ok((feed, roll.map_err(long)?))
    }

    /// The list for whoever asks, if they may read it; a device is noted. What lists nothing is no list for whoever
    /// wants `all` of it.
    async fn hand_out(
        self: &Arc<Self>,
        asking: &Asking,
        all: bool,
    ) -> Result<(Arc<Feed>, Arc<Roll>), Problem> {
        let reader = self.admit(asking)?;
        let (feed, roll) = self.roll().await?;
        if all && matches!(**feed.offer(), Offer::Empty(_)) {
            return Err(empty());
        }
        if let Some(reader) = reader {
            let document = format!("{}/decisions", self.feed);
            claim::note(
                &self.publisher,
                (&reader, &asking.caller),
                &document,
                &roll.released().release,
                true,
            );
        }
        Ok((feed, roll))
    }

    /// What a bouncer that goes on is told.
    fn recent(&self, feed: &Arc<Feed>, roll: &Arc<Roll>, terms: Terms) -> Arc<Recent> {
        let at = (terms.now.unix() / 60, feed.newest_step());
        // What is kept is replaced in one step, so that a panic elsewhere leaves nothing half done.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = &*last
            && Arc::ptr_eq(&told.roll, roll)
            && told.at == at
        {
            return Arc::clone(&told.recent);
        }
        let before = last.take().filter(|told| Arc::ptr_eq(&told.feed, feed) && told.bygone.leads_to(at.1));
        let mut bygone = before.map(|told| told.bygone).unwrap_or_default();
        let mut steps = feed.steps();
        bygone.go_on(roll, &steps, terms.oldest());
        let begin = terms.now.plus(-self.window);
        steps.retain(|step| step.time > begin);
        let new = recent(roll, &steps).new.union(&terms.due(roll));
        let recent = Arc::new(Recent { gone: bygone.lines().collect(), new });
        let (feed, roll) = (Arc::clone(feed), Arc::clone(roll));
        *last = Some(Told { feed, roll, at, bygone, recent: Arc::clone(&recent), meant: None });
        recent
    }

    /// What a bouncer that goes on is told of a feed that lists nothing: to let go what people or time took out of it,
    /// and nothing that an accident may have.
    ///
    /// # Errors
    /// 503 where there is nothing of the kind, and it keeps what it has.
    fn meant(&self, feed: &Feed, roll: &Roll, recent: &Arc<Recent>) -> Result<Arc<Recent>, Problem> {
        let engine = self.publisher.engine();
        let generation = engine.snapshot().generation;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let told = last.as_mut().filter(|told| Arc::ptr_eq(&told.recent, recent));
        let known = told.as_ref().and_then(|told| told.meant.clone()).filter(|(at, _)| *at == generation);
        let meant = match known {
            Some((_, meant)) => meant,
            None => Arc::new(meant(engine, (feed, roll), recent)?),
        };
        if let Some(told) = told {
            told.meant = Some((generation, Arc::clone(&meant)));
        }
        if meant.gone.is_empty() { Err(empty()) } else { Ok(meant) }
    }
}

/// What says who asks, and what they can read.
struct Asking {
    caller: Caller,
    headers: HeaderMap,
    /// The digest of the certificate that the connection showed.
    certificate: Option<[u8; 32]>,
}

impl Takes for Asking {}

impl<S: Sync> FromRequestParts<S> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Problem::internal("nobody asks"))?;
        let certificate = claim::certificate(&parts.extensions).copied();
        Ok(Self { caller, headers: parts.headers.clone(), certificate })
    }
}

fn empty() -> Problem {
    Problem::unavailable("feed_empty", SOON)
        .detail("The feed lists nothing now; a bouncer keeps what it has. /health says why.")
}

/// What of `recent` was meant. What went before the last release was told while something was listed.
fn meant(engine: &Engine, (feed, roll): (&Feed, &Roll), recent: &Recent) -> Result<Recent, Problem> {
    let steps = feed.steps();
    let before = steps.iter().rev().nth(1).map(|step| step.generation);
    let since = before.or_else(|| steps.last().map(|step| step.generation.saturating_sub(1)));
    let all: IpSet = recent.gone.iter().copied().collect();
    let profile = &roll.released().profile;
    let kept = remains(engine, profile, (&all, since.unwrap_or_default()));
    let kept = kept.map_err(|why| Problem::unavailable("feed_empty", SOON).inner(why))?;
    let meant = all.subtract(&kept);
    let meets = |line: &IpRange| match *line {
        IpRange::V4(line) => meant.v4.meets(line),
        IpRange::V6(line) => meant.v6.meets(line),
    };
    Ok(Recent { gone: recent.gone.iter().copied().filter(meets).collect(), new: IpSet::default() })
}

/// What a bouncer may ask for. What it says beyond that is for the local API's own workings.
#[derive(Deserialize, JsonSchema)]
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
    asking: Asking,
    method: Method,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    if method == Method::HEAD {
        // So a bouncer tries its key.
        return decisions.admit(&asking).map(|_| Response::default());
    }
    let (mut wanted, range, terms) = (asked.wanted(), asked.range()?, decisions.terms());
    let (_, roll) = decisions.hand_out(&asking, true).await?;
    match range {
        Some(range) if asked.contains.as_deref() != Some("false") => {
            let told = about(&roll, range, &wanted, terms);
            Ok(json(Body::full(told)))
        }
        inside => {
            wanted.inside = inside;
            Ok(answer(Stream::array(roll, terms, wanted), &asking.headers))
        }
    }
}

async fn flow(
    State(decisions): Shared,
    asking: Asking,
    method: Method,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let is_startup = asked.startup.as_ref().is_some_and(|startup| startup.eq_ignore_ascii_case("true"));
    let (wanted, terms) = (asked.wanted(), decisions.terms());
    let (feed, roll) = decisions.hand_out(&asking, is_startup || method == Method::HEAD).await?;
    if method == Method::HEAD {
        return Ok(json(Body::empty()));
    }
    if is_startup {
        return Ok(answer(Stream::everything(roll, terms, wanted), &asking.headers));
    }
    blocking(move || {
        let mut recent = decisions.recent(&feed, &roll, terms);
        if matches!(**feed.offer(), Offer::Empty(_)) {
            recent = decisions.meant(&feed, &roll, &recent)?;
        }
        Ok(answer(Stream::changes(roll, terms, recent, wanted), &asking.headers))
    })
    .await
}

/// Whether the key is right and the program there.
async fn heartbeat(State(decisions): Shared, asking: Asking) -> Result<StatusCode, Problem> {
    decisions.admit(&asking)?;
    Ok(StatusCode::OK)
}

/// Bouncers count what they have blocked; there is nothing here yet that shows it.
async fn usage(State(decisions): Shared, asking: Asking) -> Result<StatusCode, Problem> {
    decisions.admit(&asking)?;
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
