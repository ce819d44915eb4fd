//! Feeds over HTTP: conditional requests (RFC 9110, 13), compression, and 503 rather than a wrong list.
//!
//! What a feed says is made elsewhere and beforehand; here an answer is three clones of what lies
//! ready. It must not know how a feed is rendered.

mod conditions;

use crate::model::Time;
use crate::publish::{Feed, Feeds, Offer, Released, Representation};
use crate::web::{App, Body, Problem, Request, Response};
use arc_swap::ArcSwapOption;
use axum::Router;
use axum::routing::get;
use conditions::{accepts_gzip, is_unmodified};
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The feed that has paths of its own.
const DEFAULT: &str = "fortigate";

/// The paths of the default feed: today's, and the earlier system's.
const DEFAULT_PATHS: [&str; 2] = ["/api/v1/blacklist/fortigate", "/api/v1/fortigate"];

/// The path of any feed; `.txt` may follow the name, which some firewalls insist on.
const BY_NAME: &str = "/feeds/{name}";

/// So long a reader should wait for what is not there yet, in seconds.
const SOON: u32 = 10;

/// Less than the usual five minutes between two polls: nothing is listed, and that may last.
const LATER: u32 = 60;

/// A count of entries, as the earlier system told it and scripts read it: small enough for any of them.
const X_TOTAL_IPS: HeaderName = HeaderName::from_static("x-total-ips");
const X_TOTAL_ADDRESSES: HeaderName = HeaderName::from_static("x-total-addresses");
const X_GENERATED_AT: HeaderName = HeaderName::from_static("x-generated-at");

/// Hands out feeds, with the headers of each ready made.
pub struct Desk {
    feeds: Arc<Feeds>,
    /// In the order of the feeds.
    pages: Vec<ArcSwapOption<Page>>,
}

impl Desk {
    /// A desk in front of `feeds`.
    pub fn new(feeds: &Arc<Feeds>) -> Arc<Self> {
        let pages = feeds.iter().map(|_| ArcSwapOption::empty()).collect();
        Arc::new(Self { feeds: Arc::clone(feeds), pages })
    }

    /// Lets `app` answer from what is released before its router is asked.
    #[must_use]
    pub fn fast(self: &Arc<Self>, app: App) -> App {
        let app = DEFAULT_PATHS.into_iter().fold(app, |app, path| {
            let desk = Arc::clone(self);
            app.fast(path, move |request, rest| {
                rest.is_empty().then(|| desk.answer(request, DEFAULT).ok())?
            })
        });
        let desk = Arc::clone(self);
        app.fast(BY_NAME, move |request, name| desk.answer(request, name).ok())
    }

    /// The same paths for the router, which knows how a problem is told.
    pub fn routes(self: &Arc<Self>) -> Router {
        let router = DEFAULT_PATHS.into_iter().fold(Router::new(), |router, path| {
            let desk = Arc::clone(self);
            router.route(path, get(async move |request: axum::extract::Request| desk.route(request, DEFAULT)))
        });
        let desk = Arc::clone(self);
        let by_name =
            async move |axum::extract::Path(name): axum::extract::Path<String>,
                        request: axum::extract::Request| desk.route(request, &name);
        router.route(BY_NAME, get(by_name))
    }

    fn route(
        &self,
        request: axum::extract::Request,
        name: &str,
    ) -> Result<http::Response<axum::body::Body>, Problem> {
        Ok(self.answer(&request.map(Body::from), name)?.map(Into::into))
    }

    /// # Errors
    /// 404 for an unknown name, 503 while there is nothing to give.
    fn answer(&self, request: &Request, name: &str) -> Result<Response, Problem> {
        let name = name.strip_suffix(".txt").unwrap_or(name);
        let found = self.feeds.iter().zip(&self.pages).find(|(feed, _)| feed.profile().name == name);
        let (feed, page) =
            found.ok_or_else(|| Problem::not_found("unknown_feed", "There is no feed of that name."))?;
        match &**feed.offer() {
            Offer::List(released) => Ok(current(page, released).answer(request)),
            Offer::Empty => Err(empty()),
            Offer::Nothing => Err(not_ready(feed)),
        }
    }
}

fn empty() -> Problem {
    Problem::unavailable("feed_empty", LATER).detail(
        "Nothing is listed. An empty list would open the firewall's filter, so none is given; \
         the firewall keeps its last one.",
    )
}

fn not_ready(feed: &Feed) -> Problem {
    let problem = Problem::unavailable("feed_not_ready", SOON);
    match feed.status().fault {
        Some(fault) => problem.detail("The feed could not be made; /health says why.").inner(fault.what),
        None => problem.detail("The feed is being made."),
    }
}

/// The page of `released`, which is made by the first who asks for it.
fn current(slot: &ArcSwapOption<Page>, released: &Arc<Released>) -> Arc<Page> {
    let page = slot.load();
    if let Some(page) = &*page
        && Arc::ptr_eq(&page.released, released)
    {
        return Arc::clone(page);
    }
    let page = Arc::new(Page::new(released));
    slot.store(Some(Arc::clone(&page)));
    page
}

/// A released list with the headers of its answers.
struct Page {
    released: Arc<Released>,
    text: Headers,
    gzip: Headers,
}

/// The headers of one representation.
struct Headers {
    whole: HeaderMap,
    /// What a 304 repeats: what a cache needs, and nothing that describes the bytes it has (RFC 9110, 15.4.5).
    unchanged: HeaderMap,
}

impl Page {
    fn new(released: &Arc<Released>) -> Self {
        let mut gzip = Headers::new(released, &released.gzip);
        gzip.whole.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        Self { text: Headers::new(released, &released.text), gzip, released: Arc::clone(released) }
    }

    fn answer(&self, request: &Request) -> Response {
        let (form, headers) = match accepts_gzip(request.headers()) {
            true => (&self.released.gzip, &self.gzip),
            false => (&self.released.text, &self.text),
        };
        if is_unmodified(request.headers(), &form.etag, moment(self.released.modified)) {
            return response(StatusCode::NOT_MODIFIED, &headers.unchanged, Body::empty());
        }
        let head = *request.method() == Method::HEAD;
        let body = if head { Body::empty() } else { Body::full(form.bytes.clone()) };
        response(StatusCode::OK, &headers.whole, body)
    }
}

impl Headers {
    fn new(released: &Released, form: &Representation) -> Self {
        let unchanged = HeaderMap::from_iter([
            (ETAG, text(&form.etag)),
            // Kept by whoever likes, but never used without asking.
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (VARY, HeaderValue::from_static("accept-encoding")),
        ]);
        let mut whole = unchanged.clone();
        whole.extend([
            (LAST_MODIFIED, text(&httpdate::fmt_http_date(moment(released.modified)))),
            (X_TOTAL_IPS, text(&released.entries.to_string())),
            (X_TOTAL_ADDRESSES, text(&released.addresses.to_string())),
            (X_GENERATED_AT, text(&released.modified.to_string())),
        ]);
        whole.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        whole.insert(CONTENT_LENGTH, form.bytes.len().into());
        Self { whole, unchanged }
    }
}

fn response(status: StatusCode, headers: &HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers.clone();
    response
}

/// Digits, dates and quoted digests are all that comes here, and all fit a header.
fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Before 1970 there were no feeds.
fn moment(time: Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.unix().try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests;
