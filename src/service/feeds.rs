//! Feeds over HTTP: conditional requests (RFC 9110, 13), compression, ranges, and 503 rather than a wrong list.
//!
//! What a feed says is made elsewhere and mostly beforehand; here an answer is three clones of what lies ready. It must
//! not know how a feed is written.

mod conditions;
mod name;
mod page;
mod ranges;

use crate::engine::Engine;
use crate::publish::{Feed, Feeds, Offer, Released, Rendition, write};
use crate::web::{App, Body, Problem, Request, Response};
use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::get;
use http::StatusCode;
use name::{Named, named};
use page::Page;
use std::sync::Arc;

/// The feed that has paths of its own.
const DEFAULT: &str = "fortigate";

/// The paths of the default feed: today's, and the earlier system's.
const DEFAULT_PATHS: [&str; 2] = ["/api/v1/blacklist/fortigate", "/api/v1/fortigate"];

/// The path of any feed.
const BY_NAME: &str = "/feeds/{*name}";

/// So long a reader should wait for what is not there yet, in seconds.
const SOON: u32 = 10;

/// Less than the usual five minutes between two polls: nothing is listed, and that may last.
const LATER: u32 = 60;

/// Documents that nobody has asked for before are written one at a time: each takes memory for the whole list.
const WRITERS: usize = 1;

/// Hands out feeds, with the headers of each ready made.
pub struct Desk {
    feeds: Arc<Feeds>,
    engine: Engine,
    pages: ArcSwap<Vec<Arc<Page>>>,
    writers: tokio::sync::Semaphore,
}

impl Desk {
    /// A desk in front of `feeds` of `engine`.
    pub fn new(feeds: &Arc<Feeds>, engine: Engine) -> Arc<Self> {
        let writers = tokio::sync::Semaphore::new(WRITERS);
        Arc::new(Self { feeds: Arc::clone(feeds), engine, pages: ArcSwap::default(), writers })
    }

    /// Lets `app` answer from what lies ready before its router is asked.
    #[must_use]
    pub fn fast(self: &Arc<Self>, app: App) -> App {
        let app = DEFAULT_PATHS.into_iter().fold(app, |app, path| {
            let desk = Arc::clone(self);
            app.fast(path, move |request, rest| rest.is_empty().then(|| desk.at_hand(request, DEFAULT))?)
        });
        let desk = Arc::clone(self);
        app.fast(BY_NAME, move |request, name| desk.at_hand(request, name))
    }

    /// The same paths for the router, which can wait, and knows how a problem is told.
    pub fn routes(self: &Arc<Self>) -> Router {
        let router = DEFAULT_PATHS.into_iter().fold(Router::new(), |router, path| {
            let desk = Arc::clone(self);
            router.route(
                path,
                get(async move |request: axum::extract::Request| {
                    desk.route(request, DEFAULT.to_owned()).await
                }),
            )
        });
        let desk = Arc::clone(self);
        let by_name =
            async move |axum::extract::Path(name): axum::extract::Path<String>,
                        request: axum::extract::Request| desk.route(request, name).await;
        router.route(BY_NAME, get(by_name))
    }

    /// What lies ready; none where somebody must wait or be told why there is nothing.
    fn at_hand(&self, request: &Request, name: &str) -> Option<Response> {
        if request.uri().query().is_some() {
            return None;
        }
        let Named { feed, part, document } = named(&self.feeds, name)?;
        let offer = feed.offer();
        let Offer::List(released) = &**offer else { return None };
        let rendition = released.get(part, document)?;
        Some(self.page(released, rendition, document).answer(request))
    }

    async fn route(
        &self,
        request: axum::extract::Request,
        name: String,
    ) -> Result<http::Response<axum::body::Body>, Problem> {
        let request = request.map(Body::from);
        let Named { feed, part, document } = named(&self.feeds, &name).ok_or_else(|| {
            Problem::not_found("unknown_feed", "There is no feed, part or document of that name.")
        })?;
        let released = match generation(&request)? {
            Some(generation) => feed.at(generation).ok_or_else(gone)?,
            None => current(&feed)?,
        };
        let rendition = self.rendition(&released, part, document).await?;
        Ok(self.page(&released, &rendition, document).answer(&request).map(Into::into))
    }

    /// A document, written now if nobody has asked for it before.
    async fn rendition(
        &self,
        released: &Arc<Released>,
        part: u16,
        document: crate::model::Document,
    ) -> Result<Arc<Rendition>, Problem> {
        let _turn = self.writers.acquire().await.map_err(|_| Problem::unavailable("stopping", SOON))?;
        let (engine, released) = (self.engine.clone(), Arc::clone(released));
        let written = super::reply::blocking(move || {
            let written = write(&engine, &released, part, document);
            if let Ok(Some(rendition)) = &written {
                rendition.compress();
            }
            Ok(written)
        });
        let written = written.await?.map_err(|why| unwritten().inner(why))?;
        written.ok_or_else(|| Problem::not_found("unknown_feed", "The feed has no such part."))
    }

    /// The page of a document, which is made by the first who asks for it.
    fn page(
        &self,
        released: &Arc<Released>,
        rendition: &Arc<Rendition>,
        document: crate::model::Document,
    ) -> Arc<Page> {
        rendition.ask();
        let pages = self.pages.load();
        if let Some(page) = pages.iter().find(|page| page.is_of(rendition)) {
            return Arc::clone(page);
        }
        let page = Arc::new(Page::new(released, rendition, document));
        self.pages.rcu(|pages| {
            // What only we hold was replaced.
            let kept = pages.iter().filter(|other| other.is_offered() && !other.is_of(rendition));
            kept.cloned().chain([Arc::clone(&page)]).collect::<Vec<_>>()
        });
        page
    }
}

/// The generation to which a reader of several parts pins itself.
///
/// # Errors
/// 422 for anything but `generation=N`.
fn generation(request: &Request) -> Result<Option<u64>, Problem> {
    let Some(query) = request.uri().query().filter(|query| !query.is_empty()) else { return Ok(None) };
    let number = query.strip_prefix("generation=").and_then(|number| number.parse().ok());
    let wrong = || Problem::unprocessable("query_shape", "Only ?generation=N is understood here.");
    number.map(Some).ok_or_else(wrong)
}

fn current(feed: &Feed) -> Result<Arc<Released>, Problem> {
    match &**feed.offer() {
        Offer::List(released) => Ok(Arc::clone(released)),
        Offer::Empty(_) if feed.status().hold.is_some() => Err(held()),
        Offer::Empty(_) => Err(empty()),
        Offer::Nothing => Err(not_ready(feed)),
    }
}

fn gone() -> Problem {
    Problem::new(StatusCode::GONE, "generation_gone")
        .detail("That generation of the feed is kept no longer, or has not come yet. Begin again without ?generation.")
}

fn empty() -> Problem {
    Problem::unavailable("feed_empty", LATER).detail(
        "Nothing is listed. An empty list would open the firewall's filter, so none is given; \
         the firewall keeps its last one.",
    )
}

fn held() -> Problem {
    Problem::unavailable("feed_held", LATER)
        .detail("The feed's first list waits for an administrator's consent; see `ironlist hold list`.")
}

fn unwritten() -> Problem {
    Problem::unavailable("feed_not_ready", SOON)
        .detail("The document could not be written; the log says why.")
}

fn not_ready(feed: &Feed) -> Problem {
    let problem = Problem::unavailable("feed_not_ready", SOON);
    match feed.status().fault {
        Some(fault) => problem.detail("The feed could not be made; /health says why.").inner(fault.what),
        None => problem.detail("The feed is being made."),
    }
}

#[cfg(test)]
mod tests;
