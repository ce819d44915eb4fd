//! What a port serves: a role's fast paths, what it passes on to others, and its router behind them.
//!
//! An application does not know where a request came from: a connection, or another role of the same
//! process, which simply calls [`App::answer`]. It must not know what its routes do.

mod visit;

use super::auth::Guard;
use super::body::{Request, Response};
use super::caller::{Caller, Peer};
use super::entrance::Entrance;
use super::metrics::Metrics;
use super::metrics::requests::{HttpMetrics, RouteMetrics};
use super::problem::Problem;
use super::request_id::RequestIds;
use super::role::Role;
use super::routes::{Demand, Routes, Row};
use super::spans::Spans;
use axum::Router;
use axum::extract::MatchedPath;
use axum::middleware::{self, Next};
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The route's template under which an answer of the router is counted: an extension of it, since nobody else knows.
#[derive(Clone, Debug)]
struct Route(String);

/// What somebody else will say.
pub type Passed = BoxFuture<'static, Result<Response, Problem>>;

/// The name under which a request is counted that is for others.
type Named = Box<dyn Fn(&Request) -> Option<&'static str> + Send + Sync>;

/// Passes requests on to others.
struct Passage {
    route: Named,
    pass: Box<dyn Fn(Request, Caller) -> Passed + Send + Sync>,
}

/// Answers at once, or leaves the request to the router. It is given what follows its prefix.
type FastPath = Box<dyn Fn(&Request, &str, &Caller) -> Option<Response> + Send + Sync>;

/// What the door says to a request before anything is done for it.
#[derive(Debug)]
pub enum Entry {
    /// It may come in, and its answer says this.
    Open(Option<[(HeaderName, HeaderValue); 2]>),
    /// It may not. The answer is held back for so long: who waits for it asks nothing else meanwhile.
    Shut(Problem, Duration),
}

/// Lets a request in, or not.
type Admit = Box<dyn Fn(&Request, &Caller) -> Entry + Send + Sync>;
/// Hears that somebody at that address showed a key that is nobody's, and may have something to say to it first.
type Deny = Box<dyn Fn(&Caller) -> Entry + Send + Sync>;
/// Says whether another process may be asked about the key of somebody at that address.
type Doubt = Deny;

struct Door {
    admit: Admit,
    deny: Deny,
    doubt: Doubt,
}

struct Fast {
    prefix: &'static str,
    demand: Demand,
    answer: FastPath,
    metrics: RouteMetrics,
}

/// Bodies are short unless a route says otherwise, in bytes.
const BODY_LIMIT: u64 = 1 << 20;
/// A limit in bytes that may change while it is in use.
#[derive(Clone, Debug)]
pub struct Limit(Arc<AtomicU64>);

impl Limit {
    /// The limit as it is now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts for what comes from now on.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

impl From<u64> for Limit {
    fn from(bytes: u64) -> Self {
        Self(Arc::new(bytes.into()))
    }
}

/// What a port serves.
pub struct App {
    fast: Vec<Fast>,
    passage: Option<Passage>,
    router: Router,
    rows: Vec<Row>,
    guard: Option<Guard>,
    door: Option<Door>,
    entrance: Arc<Entrance>,
    spans: Option<Spans>,
    limits: Vec<(&'static str, Limit)>,
    ids: RequestIds,
    /// The role's metrics.
    pub(super) metrics: Arc<HttpMetrics>,
    role: Role,
}

impl App {
    /// An application of `role` that serves `routes`; unknown paths and wrong methods become problems. Until it has a
    /// guard it knows nobody, and nobody has any right.
    pub fn new(role: Role, routes: Routes, metrics: &Arc<Metrics>) -> Self {
        let (router, rows) = routes.into_parts();
        let router = router.method_not_allowed_fallback(wrong_method).fallback(unknown_path);
        Self {
            fast: Vec::new(),
            passage: None,
            router: router.layer(middleware::from_fn(note_route)),
            rows,
            guard: None,
            door: None,
            entrance: Arc::default(),
            spans: None,
            limits: Vec::new(),
            ids: RequestIds::new(),
            metrics: Arc::new(HttpMetrics::new(Arc::clone(metrics), role)),
            role,
        }
    }

    /// Tries `answer` before the router on GET and HEAD of paths that begin as `template` does up to
    /// its first `{`, for callers who meet `demand`: the router tells others why not. It is for look-ups and feeds: no
    /// waiting, no disk.
    #[must_use]
    pub fn fast<F>(mut self, template: &'static str, demand: Demand, answer: F) -> Self
    where
        F: Fn(&Request, &str, &Caller) -> Option<Response> + Send + Sync + 'static,
    {
        let prefix = template.split('{').next().unwrap_or(template);
        let metrics = self.metrics.route(template);
        self.fast.push(Fast { prefix, demand, answer: Box::new(answer), metrics });
        self
    }

    /// Has `pass` pass on what others judge, which is what `route` has a name for: before the router, which costs more than
    /// all else here and has no say in it.
    #[must_use]
    pub fn passing<R, P>(mut self, route: R, pass: P) -> Self
    where
        R: Fn(&Request) -> Option<&'static str> + Send + Sync + 'static,
        P: Fn(Request, Caller) -> Passed + Send + Sync + 'static,
    {
        self.passage = Some(Passage { route: Box::new(route), pass: Box::new(pass) });
        self
    }

    /// Finds out who asks, but where routes have keys of their own.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard.leaving(&self.rows));
        self
    }

    /// Has `admit` look at every request once it is known who asks, `deny` at those whose key is wrong, and `doubt` at
    /// those about whose key somebody would have to be asked.
    #[must_use]
    pub fn door<A, D, Q>(mut self, admit: A, deny: D, doubt: Q) -> Self
    where
        A: Fn(&Request, &Caller) -> Entry + Send + Sync + 'static,
        D: Fn(&Caller) -> Entry + Send + Sync + 'static,
        Q: Fn(&Caller) -> Entry + Send + Sync + 'static,
    {
        self.door = Some(Door { admit: Box::new(admit), deny: Box::new(deny), doubt: Box::new(doubt) });
        self
    }

    /// Says what stands before the port.
    #[must_use]
    pub fn entrance(mut self, entrance: &Arc<Entrance>) -> Self {
        self.entrance = Arc::clone(entrance);
        self
    }

    /// Puts what is kept of requests there.
    #[must_use]
    pub fn spans(self, spans: Option<Spans>) -> Self {
        Self { spans, ..self }
    }

    /// Takes bodies of up to `limit` bytes on paths that begin with `prefix`, instead of 1 MiB.
    #[must_use]
    pub fn body_limit(mut self, prefix: &'static str, limit: impl Into<Limit>) -> Self {
        self.limits.push((prefix, limit.into()));
        self
    }

    /// Whether somebody is a proxy that is declared, and asks for others.
    pub(super) fn is_proxy(&self, peer: Peer) -> bool {
        self.entrance.proxies.has(peer)
    }

    /// The role it plays.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The templates of its fast paths.
    pub fn fast_templates(&self) -> impl Iterator<Item = &'static str> {
        self.fast.iter().map(|fast| fast.metrics.template())
    }

    /// Tries the fast paths alone, for a role that asks another in the same process.
    pub fn try_fast(&self, request: &Request, caller: &Caller) -> Option<Response> {
        self.fast_since(Instant::now(), request, caller).map(|(response, _)| response)
    }

    /// The answer, and the template of what answered.
    fn fast_since(
        &self,
        started: Instant,
        request: &Request,
        caller: &Caller,
    ) -> Option<(Response, &'static str)> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let path = request.uri().path();
        let (fast, response) = self.fast.iter().find_map(|fast| {
            let rest = path.strip_prefix(fast.prefix).filter(|_| fast.demand.admits(caller))?;
            Some((fast, fast.answer(&self.metrics, request, rest, caller)?))
        })?;
        fast.metrics.count(request.method(), response.status(), started.elapsed().as_secs_f64());
        Some((response, fast.metrics.template()))
    }
}

impl Fast {
    /// A panic in here is no less a bug than elsewhere, and no more infectious.
    fn answer(&self, http: &HttpMetrics, request: &Request, rest: &str, caller: &Caller) -> Option<Response> {
        catch_unwind(AssertUnwindSafe(|| (self.answer)(request, rest, caller)))
            .unwrap_or_else(|panic| Some(http.panicked(&*panic).render("")))
    }
}

/// The answer to a request, now or later.
pub enum Answer {
    /// It was there at once; `None` once taken.
    Ready(Option<Response>),
    /// The router is at work, or somebody else.
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Future for Answer {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        match &mut *self {
            Self::Ready(response) => response.take().map_or(Poll::Pending, Poll::Ready),
            Self::Later(answer) => answer.as_mut().poll(cx),
        }
    }
}

/// Copies the matched template to the answer: outside the router nobody can see it.
async fn note_route(request: axum::extract::Request, next: Next) -> axum::response::Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(matched) = matched {
        response.extensions_mut().insert(Route(matched.as_str().to_owned()));
    }
    response
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
        .detail("This path has other methods; see Allow.")
}

async fn unknown_path() -> Problem {
    Problem::not_found("unknown_path", "There is nothing at this path.")
}

#[cfg(test)]
mod tests;
