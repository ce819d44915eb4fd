//! `GET …/active`: what is blocked, entry by entry, without what is exempt.

use super::super::reply::blocking;
use super::Blacklist;
use crate::addr::{IpRange, Range, Run, Word};
use crate::engine::{Engine, EngineError, Snapshot, Standing};
use crate::model::{Country, SourceName};
use crate::store::Entry;
use crate::web::{Body, Json, Problem, Query, Response};
use axum::extract::State;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::sync::mpsc;

const LIMIT: usize = 1_000;
const MOST: usize = 50_000;
/// Bytes of text sent at once.
const CHUNK: usize = 64 << 10;

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    format: Option<Form>,
    source: Option<SourceName>,
    country: Option<Country>,
    limit: Option<usize>,
    cursor: Option<Cursor>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Form {
    Text,
    Json,
}

/// Where the page before ended, and what it counted: later pages need not count again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Cursor {
    pub(super) after: IpRange,
    pub(super) total: u64,
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        crate::disk::hex(format!("{} {}", cursor.total, cursor.after).as_bytes())
    }
}

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = "this is no cursor of ours";
        let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        let bytes: Option<Vec<u8>> = digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
        let plain = String::from_utf8(bytes.ok_or(wrong)?).map_err(|_| wrong)?;
        let (total, after) = plain.split_once(' ').ok_or(wrong)?;
        Ok(Self { total: total.parse().map_err(|_| wrong)?, after: after.parse().map_err(|_| wrong)? })
    }
}

/// A page of lines.
#[derive(Serialize)]
struct Page {
    status: &'static str,
    data: Vec<String>,
    count: usize,
    /// Entries in all.
    total: u64,
    cursor: Option<Cursor>,
    generation: u64,
}

pub(super) async fn active(
    State(role): State<Blacklist>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(source) = &parameters.source
        && role.engine.snapshot().source(source.as_str()).is_none()
    {
        return Err(Problem::not_found("unknown_source", format!("There is no source {source}.")));
    }
    let accepts_text = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    match parameters.format {
        Some(Form::Text) => Ok(text(role.engine, parameters)),
        None if accepts_text => Ok(text(role.engine, parameters)),
        _ => {
            let page = blocking(move || Ok(page(&role.engine, &parameters)?)).await?;
            Ok(Json(page).into_response().map(Body::from))
        }
    }
}

fn page(engine: &Engine, parameters: &Parameters) -> Result<Page, EngineError> {
    let snapshot = Arc::clone(&engine.snapshot());
    let limit = parameters.limit.unwrap_or(LIMIT).clamp(1, MOST);
    let counted = parameters.cursor.map(|cursor| cursor.total);
    let (mut data, mut total, mut last, mut more) = (Vec::new(), 0, None, false);
    engine.view(|view| {
        view.each_entry(parameters.cursor.map(|cursor| cursor.after), |entry| {
            let pieces = blocked(&snapshot, &entry, parameters);
            if pieces.is_empty() {
                return true;
            }
            total += 1;
            more = data.len() >= limit;
            if !more {
                data.extend(pieces.iter().map(ToString::to_string));
                last = Some(entry.range);
            }
            !(more && counted.is_some())
        })
    })?;
    let total = counted.unwrap_or(total);
    let cursor = last.filter(|_| more).map(|after| Cursor { after, total });
    Ok(Page { status: "success", count: data.len(), data, total, cursor, generation: snapshot.generation })
}

/// The parts of an entry that are blocked, if the entry is asked for.
fn blocked(snapshot: &Snapshot, entry: &Entry, parameters: &Parameters) -> Vec<IpRange> {
    let of_country = |country| entry.listings.iter().any(|(_, detail)| detail.country == Some(country));
    if parameters.country.is_some_and(|country| !of_country(country)) {
        return Vec::new();
    }
    let wanted = |standing: &Standing| {
        let by = |source| standing.sources.contains(source);
        standing.is_listed() && parameters.source.as_ref().is_none_or(by)
    };
    let named = |name: &SourceName| {
        entry
            .listings
            .iter()
            .any(|(id, _)| snapshot.sources.get(id).is_some_and(|source| source.name == *name))
    };
    if parameters.source.as_ref().is_some_and(|name| !named(name)) {
        return Vec::new();
    }
    match entry.range {
        IpRange::V4(range) => joined(snapshot.table.v4.runs_in(range), snapshot, wanted),
        IpRange::V6(range) => joined(snapshot.table.v6.runs_in(range), snapshot, wanted),
    }
}

/// The runs that are wanted, with those that touch joined.
fn joined<W: Word>(
    runs: impl Iterator<Item = Run<W>>,
    snapshot: &Snapshot,
    wanted: impl Fn(&Standing) -> bool,
) -> Vec<IpRange> {
    let mut pieces: Vec<Range<W>> = Vec::new();
    for (run, _) in runs.filter(|(_, class)| wanted(snapshot.standing(*class))) {
        match pieces.last_mut() {
            Some(piece) if piece.last().next() == Some(run.first()) => {
                // The run begins after the piece, so it ends after it too.
                *piece = Range::new(piece.first(), run.last()).unwrap_or(*piece);
            }
            _ => pieces.push(run),
        }
    }
    pieces.into_iter().map(IpRange::from).collect()
}

/// Streams all lines; a list of millions is never in memory.
fn text(engine: Engine, parameters: Parameters) -> Response {
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send_lines(&engine, &parameters, &sender) {
            // The receiver is gone if the reader went away; then there is nobody to tell.
            let _ = sender.blocking_send(Err(error.to_string()));
        }
    });
    let frames =
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let mut response = Response::new(Body::stream(StreamBody::new(frames)));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

type Sent = Result<Frame<Bytes>, String>;

fn send_lines(
    engine: &Engine,
    parameters: &Parameters,
    sender: &mpsc::Sender<Sent>,
) -> Result<(), EngineError> {
    let snapshot = Arc::clone(&engine.snapshot());
    let mut left = parameters.limit.unwrap_or(usize::MAX);
    let mut chunk = String::with_capacity(CHUNK + 64);
    engine.view(|view| {
        view.each_entry(parameters.cursor.map(|cursor| cursor.after), |entry| {
            for piece in blocked(&snapshot, &entry, parameters).into_iter().take(left) {
                left -= 1;
                // Writing to a String does not fail.
                let _ = writeln!(chunk, "{piece}");
            }
            let flush = chunk.len() >= CHUNK;
            let reading = !flush || sender.blocking_send(Ok(frame(&mut chunk))).is_ok();
            reading && left > 0
        })
    })?;
    // As above: a reader that went away needs no rest.
    let _ = sender.blocking_send(Ok(frame(&mut chunk)));
    Ok(())
}

fn frame(chunk: &mut String) -> Frame<Bytes> {
    Frame::data(std::mem::take(chunk).into())
}
