//! What differs, row by row: counted, in pages, or streamed as lines of JSON.
//!
//! The rows between two generations are the same whenever they are asked for, so a cursor is the number of rows that
//! were shown, and names the generations that it belongs to.

use crate::addr::IpRange;
use crate::engine::{Net, Pair, Snapshot};
use crate::model::{
    Allow, Country, Day, Detail, Difference, Output, Severity, Source, SourceId, SourceName, SourceRanges,
    Suppression, Time,
};
use crate::service::paging::{Opaque, limit};
use crate::service::reply::blocking;
use crate::web::{Body, Json, Problem, Response};
use axum::response::IntoResponse as _;
use futures_util::stream;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body_util::StreamBody;
use hyper::body::Frame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

const LINES: &str = "application/x-ndjson";
const LIMIT: usize = 100;
const MOST: usize = 10_000;
/// Lines that are made at once.
const STREAMED: usize = 20_000;

/// Which rows are meant.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) source: Option<SourceName>,
}

/// How they are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Asked {
    pub(super) source: Option<SourceName>,
    limit: Option<usize>,
    cursor: Option<Opaque<(Span, usize)>>,
}

/// A wish for rows that can be granted.
pub(super) struct Wish {
    span: Span,
    skip: usize,
    limit: usize,
    lines: bool,
}

impl Asked {
    /// # Errors
    /// 400 for a limit that is none, and for a cursor of other rows.
    pub(super) fn wish(self, span: Span, headers: &HeaderMap) -> Result<Wish, Problem> {
        let lines = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(LINES.as_bytes()));
        let limit = limit(self.limit, LIMIT, MOST)?;
        let skip = match self.cursor {
            None => 0,
            Some(Opaque((of, shown))) if of == span => shown,
            Some(_) => return Err(Problem::bad_request("query", "This cursor is of other generations.")),
        };
        Ok(Wish { span, skip, limit, lines })
    }
}

impl Wish {
    /// The rows of `book` behind what is said of them all.
    pub(super) async fn answer(
        self,
        head: impl Serialize + Send + 'static,
        book: Book,
    ) -> Result<Response, Problem> {
        let head = serde_json::to_value(head).map_err(Problem::internal)?;
        if self.lines {
            return Ok(stream_lines(head, Arc::new(book), self.skip));
        }
        let (skip, limit) = (self.skip, self.limit);
        let data = blocking(move || book.page(skip, limit + 1)).await?;
        let more = data.len() > limit;
        let data: Vec<Value> = data.into_iter().take(limit).collect();
        let cursor = more.then(|| Opaque((self.span, skip + data.len())));
        Ok(Json(Page { status: "success", head, data, cursor }).into_response().map(Body::from))
    }
}

/// A page of rows behind what is said of them all.
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct Page<H, R> {
    status: &'static str,
    #[serde(flatten)]
    head: H,
    data: Vec<R>,
    cursor: Option<Opaque<(Span, usize)>>,
}

/// Streams the head and all rows. While the reader reads, no thread waits for it.
fn stream_lines(head: Value, book: Arc<Book>, skip: usize) -> Response {
    let frames = stream::unfold(Some((skip, Some(head))), move |state| {
        let book = Arc::clone(&book);
        async move {
            let (skip, head) = state?;
            let made = blocking(move || book.lines(head.as_ref(), skip)).await;
            let next = made.as_ref().ok().filter(|(_, more)| *more).map(|_| (skip + STREAMED, None));
            // The answer breaks off: nobody takes it for the whole.
            let frame = made.map(|(text, _)| Frame::data(text.into())).map_err(|problem| problem.code());
            Some((frame, next))
        }
    });
    let mut response = Response::new(Body::stream(StreamBody::new(frames)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(LINES));
    response
}

/// A net effect with the names of sources.
pub(super) struct Book {
    net: Net,
    sources: Arc<BTreeMap<SourceId, Source>>,
}

/// How many rows of a kind differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub(super) struct Tally {
    added: u64,
    removed: u64,
    changed: u64,
}

/// The same for each source, and for what people decide.
#[derive(Serialize, JsonSchema)]
pub(super) struct Counts {
    /// By source; those without a difference are left out.
    listings: BTreeMap<String, Tally>,
    allowlist: Tally,
    suppressions: Tally,
    outputs: Tally,
}

impl Tally {
    fn count(mut self, (before, after): (bool, bool)) -> Self {
        match (before, after) {
            (true, true) => self.changed += 1,
            (true, false) => self.removed += 1,
            _ => self.added += 1,
        }
        self
    }

    fn of<T>(pairs: &[Pair<T>]) -> Self {
        let sides = pairs.iter().map(|pair| (pair.before.is_some(), pair.after.is_some()));
        sides.fold(Self::default(), Self::count)
    }

    fn of_listings(difference: &Difference) -> Self {
        let sides = difference.pairs::<u32>().map(|[before, after]| (before.is_some(), after.is_some()));
        let tally = sides.fold(Self::default(), Self::count);
        let sides = difference.pairs::<u128>().map(|[before, after]| (before.is_some(), after.is_some()));
        sides.fold(tally, Self::count)
    }

    fn sum(self) -> u64 {
        self.added + self.removed + self.changed
    }
}

impl Book {
    pub(super) fn new(net: Net, snapshot: &Snapshot) -> Self {
        Self { net, sources: Arc::clone(&snapshot.sources) }
    }

    pub(super) fn counts(&self) -> Counts {
        let of_source = |(id, difference): (&SourceId, &Difference)| {
            (self.name(*id).unwrap_or_default().to_owned(), Tally::of_listings(difference))
        };
        Counts {
            listings: self.net.listings.iter().map(of_source).collect(),
            allowlist: Tally::of(&self.net.allows),
            suppressions: Tally::of(&self.net.suppressions),
            outputs: Tally::of(&self.net.outputs),
        }
    }

    /// All rows.
    pub(super) fn total(&self) -> u64 {
        let Counts { listings, allowlist, suppressions, outputs } = self.counts();
        let listings: u64 = listings.into_values().map(Tally::sum).sum();
        self.net.sources.len() as u64 + listings + allowlist.sum() + suppressions.sum() + outputs.sum()
    }

    fn name(&self, id: SourceId) -> Option<&str> {
        self.sources.get(&id).map(|source| source.name.as_str())
    }

    fn page(&self, skip: usize, limit: usize) -> Result<Vec<Value>, Problem> {
        let rows = self.rows().skip(skip).take(limit);
        rows.map(|row| serde_json::to_value(row).map_err(Problem::internal)).collect()
    }

    /// A stretch of lines, and whether there are more.
    fn lines(&self, head: Option<&Value>, skip: usize) -> Result<(Vec<u8>, bool), Problem> {
        let mut text = Vec::new();
        head.map_or(Ok(()), |head| put_line(&mut text, head))?;
        let mut count = 0;
        for row in self.rows().skip(skip).take(STREAMED) {
            put_line(&mut text, &row)?;
            count += 1;
        }
        Ok((text, count == STREAMED))
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let described = self.net.sources.iter().map(|source| {
            let row = Row::new("source", None, Some(Said::Source(source)));
            Row { change: "described", source: Some(source.name.as_str()), ..row }
        });
        let listings = self.net.listings.iter().flat_map(|(id, difference)| {
            let name = self.name(*id);
            listed::<u32>(name, difference).chain(listed::<u128>(name, difference))
        });
        let allows = self.net.allows.iter().map(|pair| {
            let range = pair.before.as_ref().or(pair.after.as_ref()).map(|allow| allow.range);
            Row { range, ..Row::of("allow", pair, Said::Allow) }
        });
        let suppressions = self.net.suppressions.iter().map(|pair| {
            let either = pair.before.as_ref().or(pair.after.as_ref());
            let source = either.and_then(|one| one.source.as_ref()).map(SourceName::as_str);
            Row {
                range: either.map(|one| one.range),
                source,
                ..Row::of("suppression", pair, Said::Suppression)
            }
        });
        let outputs = self.net.outputs.iter().map(|pair| Row::of("output", pair, Said::Output));
        described.chain(listings).chain(allows).chain(suppressions).chain(outputs)
    }
}

fn put_line(text: &mut Vec<u8>, value: &impl Serialize) -> Result<(), Problem> {
    serde_json::to_writer(&mut *text, value).map_err(Problem::internal)?;
    text.push(b'\n');
    Ok(())
}

/// What one source lists otherwise.
fn listed<'a, W: SourceRanges>(
    source: Option<&'a str>,
    difference: &'a Difference,
) -> impl Iterator<Item = Row<'a>> {
    difference.pairs::<W>().map(move |[before, after]| {
        let range = before.or(after).map(|row| row.range.into());
        let before = before.map(|row| Said::new(difference.removed.detail(row.detail)));
        let after = after.map(|row| Said::new(difference.added.detail(row.detail)));
        Row { range, source, ..Row::new("listing", before, after) }
    })
}

/// One thing that differs.
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct Row<'a> {
    what: &'static str,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<IpRange>,
    /// As it was; absent: it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Said<'a>>,
    /// As it is; absent: it is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Said<'a>>,
}

impl<'a> Row<'a> {
    fn new(what: &'static str, before: Option<Said<'a>>, after: Option<Said<'a>>) -> Self {
        let change = match (&before, &after) {
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
            _ => "added",
        };
        Self { what, change, source: None, range: None, before, after }
    }

    fn of<T>(what: &'static str, pair: &'a Pair<T>, said: impl Fn(&'a T) -> Said<'a>) -> Self {
        Self::new(what, pair.before.as_ref().map(&said), pair.after.as_ref().map(&said))
    }
}

/// What is said of it.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(in super::super) enum Said<'a> {
    Listing(Statement<'a>),
    Allow(&'a Allow),
    Suppression(&'a Suppression),
    Output(&'a Output),
    Source(&'a Source),
}

impl<'a> Said<'a> {
    fn new(detail: &'a Detail) -> Self {
        Self::Listing(Statement {
            reason: detail.reason.as_deref(),
            threat_type: detail.threat.as_deref(),
            severity: detail.severity,
            country: detail.country,
            confidence: detail.confidence,
            detected: detail.detected,
            listed: detail.listed,
            expires: detail.expires,
            first_seen: detail.first_seen,
            upstream_id: detail.upstream_id.as_deref(),
        })
    }
}

/// A listing as its source stated it, without what the source's policy adds today.
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct Statement<'a> {
    reason: Option<&'a str>,
    threat_type: Option<&'a str>,
    severity: Option<Severity>,
    country: Option<Country>,
    confidence: Option<u8>,
    detected: Option<Day>,
    listed: Option<Day>,
    expires: Option<Time>,
    first_seen: Time,
    upstream_id: Option<&'a str>,
}
