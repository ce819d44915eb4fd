//! Feeds over HTTP: who may read them, conditional requests (RFC 9110, 13), compression, ranges, and 503 rather than a
//! wrong list.
//!
//! What a feed says is made elsewhere and mostly beforehand; here an answer is three clones of what lies ready. It must
//! not know how a feed is written.

mod conditions;
mod name;
mod page;
mod ranges;

use super::claim::{NO_KEY, Showing};
use crate::model::{Document, Time};
use crate::publish::{Answer, Feed, Offer, Pin, Publisher, Reader, Released, Rendition, write};
use crate::web::Demand::Own;
use crate::web::{App, Caller, Peer, Problem, Response, Routes};
use arc_swap::ArcSwap;
use axum::Extension;
use axum::extract::{Path, State};
use http::{HeaderMap, Method, StatusCode, Uri};
use name::{Named, named};
use page::{Given, Page};
use std::sync::Arc;

/// The feed that has paths of its own.
const DEFAULT: &str = "fortigate";

/// The paths of the default feed: today's, and the earlier system's.
const DEFAULT_PATHS: [&str; 2] = ["/api/v1/blacklist/fortigate", "/api/v1/fortigate"];

/// The path of any feed.
const BY_NAME: &str = "/feeds/{*name}";

/// The same for readers that can show a key nowhere else.
const BY_TOKEN: &str = "/f/{token}/{*name}";

const TEXT: &str = "text/plain";
/// How a feed is handed out: whole, in part, or not again.
const FEED_ANSWERS: &[u16] = &[200, 206, 304];
/// And how it is not: an unknown feed, part or document, an old generation, a bad range, a bad query.
const FEED_REFUSALS: &[u16] = &[404, 410, 412, 416, 422];

/// So long a reader should wait for what is not there yet, in seconds.
const SOON: u32 = 10;

/// Less than the usual five minutes between two polls: nothing is listed, and that may last.
const LATER: u32 = 60;

/// Documents that nobody has asked for before are written one at a time: each takes memory for the whole list.
const WRITERS: usize = 1;

/// Hands out feeds, with the headers of each ready made.
pub struct Desk {
    publisher: Arc<Publisher>,
    pages: ArcSwap<Vec<Arc<Page>>>,
    writers: tokio::sync::Semaphore,
}

/// Who asks for what.
struct Asking<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    /// What the path names.
    name: &'a str,
    /// What whoever asks shows.
    showing: Showing<'a>,
}

impl<'a> Asking<'a> {
    fn of<B>(
        request: &'a http::Request<B>,
        name: &'a str,
        token: Option<&'a str>,
        caller: &'a Caller,
    ) -> Self {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let certificate = super::claim::certificate(request.extensions());
        Self { method, uri, headers, name, showing: Showing { caller, headers, token, certificate } }
    }

    /// Whether it asks as the earlier system's firewalls do, and from where they are.
    fn is_earlier(&self) -> bool {
        self.showing.caller.is_earlier && self.uri.path() == DEFAULT_PATHS[1]
    }
}

impl Desk {
    /// A desk in front of what `publisher` has.
    pub fn new(publisher: &Arc<Publisher>) -> Arc<Self> {
        let writers = tokio::sync::Semaphore::new(WRITERS);
        Arc::new(Self { publisher: Arc::clone(publisher), pages: ArcSwap::default(), writers })
    }

    /// Lets `app` answer from what lies ready before its router is asked.
    #[must_use]
    pub fn fast(self: &Arc<Self>, app: App) -> App {
        let app = DEFAULT_PATHS.into_iter().fold(app, |app, path| {
            let desk = Arc::clone(self);
            app.fast(path, Own, move |request, rest, caller| {
                let asking = Asking::of(request, DEFAULT, None, caller);
                rest.is_empty().then(|| desk.at_hand(&asking))?
            })
        });
        let desk = Arc::clone(self);
        let app = app.fast(BY_NAME, Own, move |request, name, caller| {
            desk.at_hand(&Asking::of(request, name, None, caller))
        });
        let desk = Arc::clone(self);
        app.fast(BY_TOKEN, Own, move |request, rest, caller| {
            let (token, name) = rest.split_once('/')?;
            desk.at_hand(&Asking::of(request, name, Some(token), caller))
        })
    }

    /// The same paths for the router, which can wait, and knows how a problem is told.
    pub fn routes() -> Routes<Arc<Self>> {
        Routes::new()
            .get(DEFAULT_PATHS[0], Own, default, "The usual feed of FortiGate firewalls, one range a line.")
            .writes(&[TEXT])
            .succeeds(FEED_ANSWERS)
            .refuses(FEED_REFUSALS)
            .get(DEFAULT_PATHS[1], Own, default, "The same, where the earlier system had it.")
            .writes(&[TEXT])
            .succeeds(FEED_ANSWERS)
            .refuses(FEED_REFUSALS)
            .get(
                BY_NAME,
                Own,
                by_name,
                "A feed as its readers take it: its name, a part of it, or another document.",
            )
            .writes(&["*/*"])
            .succeeds(FEED_ANSWERS)
            .refuses(FEED_REFUSALS)
            .get(BY_TOKEN, Own, by_token, "The same for readers that can show a key nowhere else.")
            .writes(&["*/*"])
            .succeeds(FEED_ANSWERS)
            .refuses(FEED_REFUSALS)
    }

    /// What lies ready; none where somebody must wait or be told why there is nothing.
    fn at_hand(&self, asking: &Asking<'_>) -> Option<Response> {
        if asking.uri.query().is_some() {
            return None;
        }
        let named = named(self.publisher.feeds(), asking.name)?;
        let reader = self.reader(asking, &named).ok()?;
        let offer = named.feed.offer();
        let Offer::List(released) = &**offer else { return None };
        let rendition = released.get(named.part, named.document)?;
        let page = self.page(released, rendition, named.document);
        let now = self.publisher.engine().now();
        let given = page.answer(asking.method, asking.headers, now)?;
        self.note((&reader, now), &named, released, asking, &given);
        Some(given.response)
    }

    async fn answer(&self, asking: &Asking<'_>) -> Answered {
        let Some(named) = named(self.publisher.feeds(), asking.name) else {
            // What there is, strangers are not told.
            super::claim::anybody(&self.publisher, &asking.showing)?;
            return Err(Problem::not_found(
                "unknown_feed",
                "There is no feed, part or document of that name.",
            ));
        };
        let reader = self.reader(asking, &named)?;
        let released = match pin(asking.uri)? {
            Some(pin) => named.feed.at(&pin).ok_or_else(|| gone(&pin))?,
            None => offered(&named.feed)?,
        };
        let rendition = self.rendition(&released, named.part, named.document).await?;
        let page = self.page(&released, &rendition, named.document);
        let now = self.publisher.engine().now();
        let given = page.answer(asking.method, asking.headers, now).ok_or_else(changed)?;
        self.note((&reader, now), &named, &released, asking, &given);
        Ok(given.response.map(Into::into))
    }

    /// Who asks, if they may read what is named.
    fn reader(&self, asking: &Asking<'_>, named: &Named) -> Result<Reader, Problem> {
        match super::claim::reader(&self.publisher, &asking.showing, &named.profile.name) {
            Err(problem) if problem.code() == NO_KEY && asking.is_earlier() => {
                Ok(Reader::Address(asking.showing.caller.peer.address()))
            }
            reader => reader,
        }
    }

    fn note(
        &self,
        (reader, at): (&Reader, Time),
        named: &Named,
        released: &Released,
        asking: &Asking<'_>,
        given: &Given,
    ) {
        let peer = asking.showing.caller.peer;
        if peer == Peer::Local {
            return;
        }
        let answer = Answer {
            document: &named.label(),
            at,
            from: peer.address(),
            generation: released.release.generation,
            modified: released.release.modified,
            status: given.response.status().as_u16(),
            bytes: given.bytes,
            has_all: given.has_all,
        };
        self.publisher.note(reader, answer);
    }

    /// A document, written now if nobody has asked for it before; what lies ready waits for no writer.
    async fn rendition(
        &self,
        released: &Arc<Released>,
        part: u16,
        document: Document,
    ) -> Result<Arc<Rendition>, Problem> {
        if let Some(ready) = released.get(part, document) {
            return Ok(Arc::clone(ready));
        }
        let _turn = self.writers.acquire().await.map_err(|_| Problem::unavailable("stopping", SOON))?;
        let (engine, released) = (self.publisher.engine().clone(), Arc::clone(released));
        let written = super::reply::blocking(move || {
            let written = write(&engine, &released, part, document);
            if let Ok(Some(rendition)) = &written
                && released.profile.compress
            {
                rendition.compress();
            }
            Ok(written)
        });
        let written = written.await?.map_err(|why| unwritten().inner(why))?;
        written.ok_or_else(|| Problem::not_found("unknown_feed", "The feed has no such part."))
    }

    /// The page of a document, which is made by the first who asks for it.
    fn page(&self, released: &Arc<Released>, rendition: &Arc<Rendition>, document: Document) -> Arc<Page> {
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

type Answered = Result<http::Response<axum::body::Body>, Problem>;

async fn default(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    request: axum::extract::Request,
) -> Answered {
    let (head, _) = request.into_parts();
    let request = http::Request::from_parts(head, ());
    desk.answer(&Asking::of(&request, DEFAULT, None, &caller)).await
}

async fn by_name(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: axum::extract::Request,
) -> Answered {
    let (head, _) = request.into_parts();
    let request = http::Request::from_parts(head, ());
    desk.answer(&Asking::of(&request, &name, None, &caller)).await
}

async fn by_token(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Path((token, name)): Path<(String, String)>,
    request: axum::extract::Request,
) -> Answered {
    let (head, _) = request.into_parts();
    let request = http::Request::from_parts(head, ());
    desk.answer(&Asking::of(&request, &name, Some(&token), &caller)).await
}

/// What a reader of several parts pins itself to.
///
/// # Errors
/// 422 for anything but `generation=N` and `release=NAME`.
fn pin(uri: &Uri) -> Result<Option<Pin>, Problem> {
    let Some(query) = uri.query().filter(|query| !query.is_empty()) else { return Ok(None) };
    let generation = || query.strip_prefix("generation=")?.parse().ok().map(Pin::Generation);
    let release = || Pin::to_release(query.strip_prefix("release=")?);
    let wrong = || {
        Problem::unprocessable(
            "query_shape",
            "Only ?generation=N and ?release=NAME are understood here; the name is that of X-Release.",
        )
    };
    generation().or_else(release).map(Some).ok_or_else(wrong)
}

/// What a feed lists for whoever may read it.
///
/// # Errors
/// 503 where it has no list for them.
pub(super) fn offered(feed: &Feed) -> Result<Arc<Released>, Problem> {
    match &**feed.offer() {
        Offer::List(released) => Ok(Arc::clone(released)),
        Offer::Empty(_) if feed.is_unspoken() => Err(held()),
        Offer::Empty(_) if feed.status().cut.is_some() => Err(cut()),
        Offer::Empty(_) => Err(empty()),
        Offer::Nothing => Err(not_ready(feed)),
    }
}

fn changed() -> Problem {
    Problem::new(StatusCode::PRECONDITION_FAILED, "feed_changed")
        .detail("The feed is not what you know any more; read it from its beginning.")
}

fn gone(pin: &Pin) -> Problem {
    let (code, detail) = match pin {
        Pin::Generation(_) => (
            "generation_gone",
            "That generation of the feed is kept no longer, or has not come yet. Begin again without ?generation.",
        ),
        Pin::Release(_) => (
            "release_gone",
            "The feed lists something else by now. Begin again with its first part, without ?release.",
        ),
    };
    Problem::new(StatusCode::GONE, code).detail(detail)
}

fn empty() -> Problem {
    Problem::unavailable("feed_empty", LATER).detail(
        "Nothing is listed. An empty list would open the firewall's filter, so none is given; \
         the firewall keeps its last one.",
    )
}

fn cut() -> Problem {
    Problem::unavailable("feed_cut", LATER).detail(
        "Nothing is left of the feed within its budget, or in what its devices have left for it; see `ironlist feeds \
         report`. An empty list would open the firewall's filter, so none is given.",
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
