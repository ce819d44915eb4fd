//! `GET …/active`: what is blocked, entry by entry, without what is exempt.

use super::super::paging::limit;
use super::Blacklist;
use super::pages::{Cursor, Page, Pager};
use crate::addr::{IpRange, Range, Run, Word};
use crate::engine::{Snapshot, Standing};
use crate::model::{Country, SourceName};
use crate::store::{Entry, View};
use crate::web::{Body, Json, Problem, Query, Response};
use axum::extract::State;
use axum::response::IntoResponse as _;
use futures_util::{StreamExt as _, future, stream};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use http_body_util::StreamBody;
use hyper::body::Frame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const LIMIT: usize = 1_000;
const MOST: usize = 50_000;
/// What the earlier system answered at once.
const EARLIER_LIMIT: usize = 10_000;
/// Lines of text that are read at once.
const STREAMED: usize = 10_000;

/// Where a text that was cut goes on; a JSON page says it in its body.
const X_NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    format: Option<Form>,
    source: Option<SourceName>,
    country: Option<Country>,
    limit: Option<usize>,
    cursor: Option<Cursor>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Form {
    Text,
    Json,
}

/// Which entries are meant.
#[derive(Clone, Default)]
struct Filter {
    source: Option<SourceName>,
    country: Option<Country>,
}

pub(super) async fn active(
    State(role): State<Blacklist>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Parameters { format, source, country, limit: asked, cursor } = parameters;
    if let Some(source) = &source
        && role.engine.snapshot().source(source.as_str()).is_none()
    {
        return Err(Problem::not_found("unknown_source", format!("There is no source {source}.")));
    }
    let accepts_text = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    let filter = Filter { source, country };
    let text = format.map_or(accepts_text, |format| format == Form::Text);
    if text && asked.is_none() {
        return all_lines(role, filter, cursor).await;
    }
    let limit = limit(asked, LIMIT, MOST)?;
    let page = read(&role, filter, Pager { cursor, limit, count: true, ..Pager::default() }).await?;
    Ok(if text { some_lines(&page) } else { Json(page).into_response().map(Body::from) })
}

/// What the earlier system's path takes; it passed over what it did not know.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Earlier {
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EarlierPage {
    status: &'static str,
    count: usize,
    data: Vec<String>,
}

pub(super) async fn earlier(
    State(role): State<Blacklist>,
    Query(Earlier { limit: asked, offset }): Query<Earlier>,
) -> Result<Json<EarlierPage>, Problem> {
    let limit = limit(asked, EARLIER_LIMIT, MOST)?;
    let page = read(&role, Filter::default(), Pager { offset, limit, ..Pager::default() }).await?;
    Ok(Json(EarlierPage { status: "success", count: page.data.len(), data: page.data }))
}

async fn read(role: &Blacklist, filter: Filter, pager: Pager) -> Result<Page<String>, Problem> {
    let cut = move |pager: &Pager, snapshot: &Snapshot, view: &View| {
        pager.cut(snapshot, view, |entry| blocked(snapshot, entry, &filter), |_, piece| piece.to_string())
    };
    pager.read(&role.engine, cut).await
}

/// The parts of an entry that are blocked, if the entry is asked for.
fn blocked(snapshot: &Snapshot, entry: &Entry, filter: &Filter) -> Vec<IpRange> {
    let of_country = |country| entry.listings.iter().any(|(_, detail)| detail.country == Some(country));
    if filter.country.is_some_and(|country| !of_country(country)) {
        return Vec::new();
    }
    let wanted = |standing: &Standing| {
        let by = |source| standing.sources.contains(source);
        standing.is_listed() && filter.source.as_ref().is_none_or(by)
    };
    let named = |name: &SourceName| {
        entry
            .listings
            .iter()
            .any(|(id, _)| snapshot.sources.get(id).is_some_and(|source| source.name == *name))
    };
    if filter.source.as_ref().is_some_and(|name| !named(name)) {
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

/// Streams all lines from `cursor` on: a list of millions is never in memory, and while its reader reads,
/// neither a thread nor a transaction waits for it: the store could not be opened again after a fault while one does. So each
/// piece is of its own moment, and these are no pages: an entry that comes or goes meanwhile may be missing or there,
/// every other one is there once.
async fn all_lines(role: Blacklist, filter: Filter, cursor: Option<Cursor>) -> Result<Response, Problem> {
    let at = |cursor| Pager { cursor, limit: STREAMED, goes_on: true, ..Pager::default() };
    // Read before the answer begins: a fault is a problem then, and not a list that breaks off.
    let first = read(&role, filter.clone(), Pager { goes_on: false, ..at(cursor) }).await?;
    let rest = stream::unfold(first.cursor, move |cursor| {
        let (role, filter) = (role.clone(), filter.clone());
        async move {
            let page = read(&role, filter, at(Some(cursor?))).await;
            let cursor = page.as_ref().ok().and_then(|page| page.cursor);
            Some((page, cursor))
        }
    });
    let pages = stream::once(future::ready(Ok(first))).chain(rest);
    let frames = pages.map(|page| match page {
        Ok(page) => Ok(Frame::data(lines(&page.data).into())),
        // The answer breaks off: nobody takes it for the whole.
        Err(problem) => Err(problem.code()),
    });
    Ok(plain(Body::stream(StreamBody::new(frames))))
}

/// One page as text.
fn some_lines(page: &Page<String>) -> Response {
    let mut response = plain(Body::full(lines(&page.data)));
    // Hexadecimal digits fit a header always.
    if let Some(next) = page.cursor.and_then(|cursor| HeaderValue::try_from(cursor.text()).ok()) {
        response.headers_mut().insert(X_NEXT_CURSOR, next);
    }
    response
}

fn lines(pieces: &[String]) -> String {
    pieces.iter().flat_map(|piece| [piece, "\n"]).collect()
}

fn plain(body: Body) -> Response {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
