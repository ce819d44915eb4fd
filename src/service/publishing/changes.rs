//! `GET /api/v1/changes`: what differs between a generation that somebody knows and what a feed lists now, as JSON, as
//! a line each, or live.

use super::super::feeds::offered;
use super::super::reply::blocking;
use super::Publishing;
use crate::addr::{IpRange, IpSet};
use crate::disk::hex;
use crate::engine::{Engine, EngineError};
use crate::model::OutputName;
use crate::publish::{Difference, Feed, Unknown};
use crate::web::{Body, Problem, Query, Response};
use axum::extract::State;
use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Without news for so long a comment is sent, or proxies close the connection.
const ALIVE: Duration = Duration::from_secs(15);

/// What a reader whose connection broke says that it has: the name of its last event.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    since: u64,
    epoch: Option<String>,
    feed: Option<OutputName>,
}

impl Asked {
    /// Takes the place from the name of the last event, `EPOCH-GENERATION` or `GENERATION`, where a reader names one.
    fn resumed(mut self, headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(id) = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) else { return Ok(self) };
        let id = id.to_str().unwrap_or_default();
        let (epoch, generation) = id.split_once('-').map_or((None, id), |(epoch, rest)| (Some(epoch), rest));
        let wrong = |_| Problem::unprocessable("event_id", "Last-Event-ID is none that this feed has given.");
        self.since = generation.parse().map_err(wrong)?;
        self.epoch = epoch.map(str::to_owned);
        Ok(self)
    }
}

/// What changed, up to what a feed lists now.
struct News {
    /// What to ask for next.
    generation: u64,
    /// Which of all histories led there; none where the journal cannot be read.
    epoch: Option<String>,
    difference: Difference,
}

/// A difference, in the shortest exact ranges.
#[derive(Serialize, JsonSchema)]
pub(super) struct Told<'a> {
    feed: &'a str,
    since: u64,
    generation: u64,
    epoch: Option<&'a str>,
    added: Vec<IpRange>,
    removed: Vec<IpRange>,
}

pub(super) async fn since(
    State(role): State<Publishing>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Asked { since, epoch, feed: name } = asked.resumed(&headers)?;
    let name = name.unwrap_or_else(OutputName::fortigate);
    let feed = role.feed(&name)?;
    let wants = |kind: &str| {
        headers.get(ACCEPT).is_some_and(|accept| accept.to_str().is_ok_and(|a| a.contains(kind)))
    };
    // Whoever asks too late is told so before a stream begins.
    let news = news(&role, &feed, since, epoch).await?;
    Ok(if wants("text/event-stream") {
        live(role, feed, news, since)
    } else if wants("application/x-ndjson") {
        of_type(lines(&news), "application/x-ndjson")
    } else {
        of_type(json(&name, since, &news), "application/json")
    })
}

async fn news(
    role: &Publishing,
    feed: &Arc<Feed>,
    since: u64,
    epoch: Option<String>,
) -> Result<News, Problem> {
    let (engine, feed) = (role.engine().clone(), Arc::clone(feed));
    blocking(move || {
        // Who follows must not take away what readers of the list keep.
        offered(&feed)?;
        let (generation, difference) = feed.changes(since).map_err(unknown)?;
        if let Some(epoch) = epoch {
            same_history(&engine, since, &epoch)?;
        }
        Ok(News { generation, epoch: epoch_of(&engine, generation).ok(), difference })
    })
    .await
}

fn unknown(unknown: Unknown) -> Problem {
    match unknown {
        Unknown::NotYet(newest) => {
            Problem::unprocessable("generation_ahead", format!("{unknown}.")).member("generation", &newest)
        }
        Unknown::Forgotten(oldest) => gone(&unknown).member("oldest", &oldest),
    }
}

fn gone(why: &dyn std::fmt::Display) -> Problem {
    Problem::new(StatusCode::GONE, "generation_gone")
        .detail(format!("{why}; read the whole feed, then go on from its X-Generation."))
}

/// Numbers of generations are given again when a blacklist goes back to a copy of itself; what led to them differs.
fn epoch_of(engine: &Engine, generation: u64) -> Result<String, EngineError> {
    engine.digest_at(generation).map(|digest| hex(&digest[..8]))
}

/// # Errors
/// 410 when the reader's generation is of another history, or its history is no longer known.
fn same_history(engine: &Engine, since: u64, epoch: &str) -> Result<(), Problem> {
    match epoch_of(engine, since) {
        Ok(own) if own == epoch => Ok(()),
        Ok(_) => Err(gone(&format!("generation {since} is another one here: a copy of before was restored"))),
        Err(EngineError::Gone { .. }) => Err(gone(&format!("the history of generation {since} is not kept"))),
        Err(error) => Err(error.into()),
    }
}

fn ranges(set: &IpSet) -> impl Iterator<Item = IpRange> + '_ {
    set.iter()
}

fn json(name: &OutputName, since: u64, news: &News) -> Vec<u8> {
    let News { generation, epoch, difference } = news;
    let (added, removed) = (ranges(&difference.added).collect(), ranges(&difference.removed).collect());
    let (feed, generation, epoch) = (name.as_str(), *generation, epoch.as_deref());
    // Plain data: there is nothing in it that could fail to serialise.
    serde_json::to_vec(&Told { feed, since, generation, epoch, added, removed }).unwrap_or_default()
}

/// What went before what came: whoever takes line by line never has too much.
fn lines(news: &News) -> Vec<u8> {
    use std::io::Write as _;
    let News { generation, epoch, difference } = news;
    let mut out = Vec::new();
    for (op, set) in [("remove", &difference.removed), ("add", &difference.added)] {
        for range in ranges(set) {
            // Writing to memory does not fail.
            let _ = writeln!(out, r#"{{"op":"{op}","range":"{range}"}}"#);
        }
    }
    let epoch = serde_json::json!(epoch);
    let _ = writeln!(out, r#"{{"op":"end","generation":{generation},"epoch":{epoch}}}"#);
    out
}

fn of_type(bytes: Vec<u8>, kind: &'static str) -> Response {
    let mut response = Response::new(Body::full(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Follows a feed: an event for each release, named by the place to go on from.
fn live(role: Publishing, feed: Arc<Feed>, first: News, since: u64) -> Response {
    let state = Live { releases: role.0.feeds().releases(), role, feed, told: since, next: Some(first) };
    let frames = stream::unfold(Some(state), |state| async {
        let (text, state) = event(state?).await;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(text))), state))
    });
    let mut response = Response::new(Body::stream(StreamBody::new(Box::pin(frames))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

struct Live {
    releases: tokio::sync::watch::Receiver<u64>,
    role: Publishing,
    feed: Arc<Feed>,
    /// The generation that the reader has.
    told: u64,
    next: Option<News>,
}

impl Live {
    /// Whether the feed was withdrawn; another of its name may be there by now.
    fn is_withdrawn(&self) -> bool {
        let now = self.role.0.feeds().get(self.feed.profile().name.as_str());
        !now.is_some_and(|now| Arc::ptr_eq(&now, &self.feed))
    }

    /// The event of what is next, unless nothing has changed.
    fn tell(&mut self) -> Option<String> {
        let news = self.next.take()?;
        let since = std::mem::replace(&mut self.told, news.generation);
        if news.difference == Difference::default() && since != news.generation {
            return None;
        }
        let data = json(&self.feed.profile().name, since, &news);
        let data = String::from_utf8(data).unwrap_or_default();
        let epoch = news.epoch.map(|epoch| format!("{epoch}-")).unwrap_or_default();
        Some(format!("id: {epoch}{}\nevent: changes\ndata: {data}\n\n", news.generation))
    }
}

/// The reader is to begin anew.
const GONE: &str = "event: gone\ndata: {}\n\n";

async fn event(mut state: Live) -> (String, Option<Live>) {
    loop {
        if let Some(text) = state.tell() {
            return (text, Some(state));
        }
        match tokio::time::timeout(ALIVE, state.releases.changed()).await {
            // The service stops.
            Ok(Err(_)) => return (":\n\n".to_owned(), None),
            _ if state.is_withdrawn() => return (GONE.to_owned(), None),
            Err(_) => return (":\n\n".to_owned(), Some(state)),
            Ok(Ok(())) => match news(&state.role, &state.feed, state.told, None).await {
                Ok(news) => state.next = Some(news),
                // It is not offered now, and all that changes meanwhile is told once it is.
                Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {}
                // The feed has forgotten.
                Err(_) => return (GONE.to_owned(), None),
            },
        }
    }
}
