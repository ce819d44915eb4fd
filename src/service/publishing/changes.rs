//! `GET /api/v1/changes`: what differs between a generation that somebody knows and what a feed lists now, as JSON, as
//! a line each, or live.

use super::super::reply::blocking;
use super::Publishing;
use crate::addr::{IpRange, IpSet};
use crate::model::OutputName;
use crate::publish::{Difference, Feed, Unknown};
use crate::web::{Body, Problem, Query, Response};
use axum::extract::State;
use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Without news for so long a comment is sent, or proxies close the connection.
const ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    since: u64,
    feed: Option<OutputName>,
}

/// A difference, in the shortest exact ranges.
#[derive(Serialize)]
struct Told<'a> {
    feed: &'a str,
    since: u64,
    /// What to ask for next.
    generation: u64,
    added: Vec<IpRange>,
    removed: Vec<IpRange>,
}

pub(super) async fn since(
    State(role): State<Publishing>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = asked.feed.unwrap_or_else(OutputName::fortigate);
    let feed = role.feed(&name)?;
    let wants = |kind: &str| {
        headers.get(ACCEPT).is_some_and(|accept| accept.to_str().is_ok_and(|a| a.contains(kind)))
    };
    if wants("text/event-stream") {
        // Whoever asks too late is told so before the stream begins.
        let first = difference(&feed, asked.since).await?;
        return Ok(live(role, feed, first, asked.since));
    }
    let (generation, difference) = difference(&feed, asked.since).await?;
    Ok(if wants("application/x-ndjson") {
        of_type(lines(generation, &difference), "application/x-ndjson")
    } else {
        of_type(json(&name, asked.since, generation, &difference), "application/json")
    })
}

async fn difference(feed: &Arc<Feed>, since: u64) -> Result<(u64, Difference), Problem> {
    let feed = Arc::clone(feed);
    blocking(move || {
        feed.changes(since).map_err(|unknown| match unknown {
            Unknown::NotYet(newest) => Problem::unprocessable("generation_ahead", format!("{unknown}."))
                .member("generation", &newest),
            Unknown::Forgotten(oldest) => Problem::new(StatusCode::GONE, "generation_gone")
                .detail(format!("{unknown}; read the whole feed, then go on from its X-Generation."))
                .member("oldest", &oldest),
        })
    })
    .await
}

fn ranges(set: &IpSet) -> impl Iterator<Item = IpRange> + '_ {
    set.iter()
}

fn json(name: &OutputName, since: u64, generation: u64, difference: &Difference) -> Vec<u8> {
    let (added, removed) = (ranges(&difference.added).collect(), ranges(&difference.removed).collect());
    // Plain data: there is nothing in it that could fail to serialise.
    serde_json::to_vec(&Told { feed: name.as_str(), since, generation, added, removed }).unwrap_or_default()
}

/// What went before what came: whoever takes line by line never has too much.
fn lines(generation: u64, difference: &Difference) -> Vec<u8> {
    use std::io::Write as _;
    let mut out = Vec::new();
    for (op, set) in [("remove", &difference.removed), ("add", &difference.added)] {
        for range in ranges(set) {
            // Writing to memory does not fail.
            let _ = writeln!(out, r#"{{"op":"{op}","range":"{range}"}}"#);
        }
    }
    let _ = writeln!(out, r#"{{"op":"end","generation":{generation}}}"#);
    out
}

fn of_type(bytes: Vec<u8>, kind: &'static str) -> Response {
    let mut response = Response::new(Body::full(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Follows a feed: an event for each release, named by the generation to go on from.
fn live(role: Publishing, feed: Arc<Feed>, first: (u64, Difference), since: u64) -> Response {
    let state = Live { releases: role.0.feeds().releases(), feed, told: since, next: Some(first) };
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
    feed: Arc<Feed>,
    /// The generation that the reader has.
    told: u64,
    next: Option<(u64, Difference)>,
}

async fn event(mut state: Live) -> (String, Option<Live>) {
    loop {
        if let Some((generation, difference)) = state.next.take() {
            let since = std::mem::replace(&mut state.told, generation);
            if difference != Difference::default() || since == generation {
                let data = json(&state.feed.profile().name, since, generation, &difference);
                let data = String::from_utf8(data).unwrap_or_default();
                return (format!("id: {generation}\nevent: changes\ndata: {data}\n\n"), Some(state));
            }
        }
        match tokio::time::timeout(ALIVE, state.releases.changed()).await {
            Err(_) => return (":\n\n".to_owned(), Some(state)),
            // The service stops.
            Ok(Err(_)) => return (":\n\n".to_owned(), None),
            Ok(Ok(())) => match difference(&state.feed, state.told).await {
                Ok(news) => state.next = Some(news),
                // The feed is withdrawn, or has forgotten: the reader begins anew, and is told so.
                Err(_) => return ("event: gone\ndata: {}\n\n".to_owned(), None),
            },
        }
    }
}
