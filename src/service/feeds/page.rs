//! A document of a feed with the headers of its answers, made once.

use super::conditions::{Held, held, is_past, preferred};
use super::ranges::{Asked, asked};
use crate::model::{Document, Time};
use crate::publish::{Coding, Released, Rendition};
use crate::web::request_id::with_place;
use crate::web::{Body, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, LAST_MODIFIED, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A count of entries, as the earlier system told it and scripts read it: small enough for any of them.
const X_TOTAL_IPS: HeaderName = HeaderName::from_static("x-total-ips");
const X_TOTAL_ADDRESSES: HeaderName = HeaderName::from_static("x-total-addresses");
const X_GENERATED_AT: HeaderName = HeaderName::from_static("x-generated-at");
const X_GENERATION: HeaderName = HeaderName::from_static("x-generation");
/// What pins a reader of several parts to this release.
const X_RELEASE: HeaderName = HeaderName::from_static("x-release");

/// A document with its headers.
pub(super) struct Page {
    rendition: Arc<Rendition>,
    modified: SystemTime,
    /// Whether its readers can read compressed bytes when they ask for them.
    compress: bool,
    identity: Headers,
    gzip: Headers,
    zstd: Headers,
}

/// What a reader is given.
pub(super) struct Given {
    pub(super) response: Response,
    /// Bytes of the document that go with it.
    pub(super) bytes: u64,
    /// Whether the reader has the document to its end then.
    pub(super) has_all: bool,
}

/// The headers of one representation.
struct Headers {
    etag: String,
    whole: HeaderMap,
    /// What a 304 repeats: what a cache needs, and nothing that describes the bytes it has (RFC 9110, 15.4.5).
    unchanged: HeaderMap,
}

impl Page {
    pub(super) fn new(released: &Released, rendition: &Arc<Rendition>, document: Document) -> Self {
        let headers = |coding| Headers::new(released, rendition, document, coding);
        Self {
            rendition: Arc::clone(rendition),
            modified: moment(released.release.modified),
            compress: released.profile.compress,
            identity: headers(Coding::Identity),
            gzip: headers(Coding::Gzip),
            zstd: headers(Coding::Zstd),
        }
    }

    /// Whether it is the page of this document.
    pub(super) fn is_of(&self, rendition: &Arc<Rendition>) -> bool {
        Arc::ptr_eq(&self.rendition, rendition)
    }

    /// Whether anybody but this page has the document.
    pub(super) fn is_offered(&self) -> bool {
        Arc::strong_count(&self.rendition) > 1
    }

    fn headers(&self, coding: Coding) -> &Headers {
        match coding {
            Coding::Identity => &self.identity,
            Coding::Gzip => &self.gzip,
            Coding::Zstd => &self.zstd,
        }
    }

    /// The answer `now`; none for whoever wants what it was before, and nothing else.
    pub(super) fn answer(&self, method: &Method, asking: &HeaderMap, now: Time) -> Option<Given> {
        let head = *method == Method::HEAD;
        let codings = if self.compress { &Coding::ALL[..] } else { &[Coding::Identity] };
        let coding = if self.compress { preferred(asking) } else { Coding::Identity };
        let etag = |coding| &*self.headers(coding).etag;
        if is_past(asking, codings, etag, self.modified) {
            return None;
        }
        if let Some(Held { coding, is_certain }) = held(asking, (coding, codings), etag, self.modified) {
            let unchanged = self.headers(coding).unchanged.clone();
            let response = response(StatusCode::NOT_MODIFIED, unchanged, Body::empty());
            return Some(Given { response, bytes: 0, has_all: is_certain && !head });
        }
        // Right after a change the compressed bytes are still in the making.
        let (headers, bytes) = match self.rendition.bytes(coding) {
            Some(bytes) => (self.headers(coding), bytes),
            None => (&self.identity, self.rendition.text()),
        };
        // A range is one of GET's alone (RFC 9110, 14.2).
        let asked = if head { Asked::Whole } else { asked(asking, &headers.etag, bytes.len()) };
        let (status, part) = match asked {
            Asked::Whole => (StatusCode::OK, 0..bytes.len()),
            Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            Asked::Beyond => {
                return Some(Given { response: beyond(headers, bytes.len()), bytes: 0, has_all: false });
            }
        };
        let has_all = !head && part.end == bytes.len();
        let mut told = headers.whole.clone();
        told.insert(CONTENT_LENGTH, part.len().into());
        if self.modified > moment(now) {
            // The clock was ahead, and nobody is told of a time to come (RFC 9110, 8.8.2.1). What is asked about is
            // still compared with the time that rises: a reader may hold an older list of that very second.
            told.insert(LAST_MODIFIED, date(now));
        }
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), bytes.len());
            told.insert(CONTENT_RANGE, text(&range));
        }
        let body = if head { Bytes::new() } else { bytes.slice(part) };
        let sent = body.len() as u64;
        Some(Given { response: response(status, told, Body::full(body)), bytes: sent, has_all })
    }
}

impl Headers {
    fn new(released: &Released, rendition: &Rendition, document: Document, coding: Coding) -> Self {
        let etag = rendition.etag(coding);
        let unchanged = HeaderMap::from_iter([
            (ETAG, text(&etag)),
            // Kept by whoever likes, but never used without asking.
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (VARY, HeaderValue::from_static("accept-encoding")),
        ]);
        let release = &released.release;
        let mut whole = unchanged.clone();
        whole.extend([
            (LAST_MODIFIED, date(release.modified)),
            (X_TOTAL_IPS, text(&rendition.counts.entries.to_string())),
            (X_TOTAL_ADDRESSES, text(&rendition.counts.addresses.to_string())),
            (X_GENERATED_AT, text(&release.modified.to_string())),
            (X_GENERATION, text(&release.generation.to_string())),
            (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            (CONTENT_TYPE, HeaderValue::from_static(document.content_type())),
        ]);
        let name = match coding {
            Coding::Identity => None,
            Coding::Gzip => Some("gzip"),
            Coding::Zstd => Some("zstd"),
        };
        whole.extend(name.map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name))));
        if released.profile.parts > 1 {
            whole.insert(X_RELEASE, text(released.name()));
        }
        Self { etag, whole: with_place(whole), unchanged: with_place(unchanged) }
    }
}

fn beyond(headers: &Headers, length: usize) -> Response {
    let mut told = headers.unchanged.clone();
    told.insert(CONTENT_RANGE, text(&format!("bytes */{length}")));
    response(StatusCode::RANGE_NOT_SATISFIABLE, told, Body::empty())
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Digits, dates and quoted digests are all that comes here, and all fit a header.
fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn date(time: Time) -> HeaderValue {
    text(&httpdate::fmt_http_date(moment(time)))
}

/// Before 1970 there were no feeds.
fn moment(time: Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.unix().try_into().unwrap_or(0))
}
