//! What a port serves: a role's fast paths, and its router behind them.
//!
//! An application does not know where a request came from: a connection, or another role of the same
//! process, which simply calls [`App::answer`]. It must not know what its routes do.

use super::auth::{self, Asking, Guard, Who};
use super::body::{self, Request, Response};
use super::browser;
use super::edge::{self, Signs};
use super::entrance::Entrance;
use super::log;
use super::metrics::{HttpMetrics, Metrics, RouteMetrics};
use super::problem::Problem;
use super::request_id::{self, RequestIds, X_REQUEST_ID};
use super::role::Role;
use super::tls::Secured;
use super::vouch::X_DEADLINE;
use crate::rights::{Identity, Right, Rights};
use axum::Router;
use axum::extract::MatchedPath;
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use hyper::body::Body as _;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tower::ServiceExt;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A program on some network.
    Tcp(SocketAddr),
    /// Somebody unknown, behind a proxy there that nobody has declared.
    Behind(SocketAddr),
    /// A program that may open the socket in the data folder.
    Local,
}

impl Peer {
    /// Whom limits and books are kept for: the nearest that is known. Through the socket, it is this machine.
    pub fn address(self) -> IpAddr {
        match self {
            Self::Tcp(from) | Self::Behind(from) => from.ip().to_canonical(),
            Self::Local => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Whence somebody asks, for whoever opens something to a network: of those that are unknown it is `::`, which is
    /// in none.
    pub fn network(self) -> IpAddr {
        match self {
            Self::Behind(_) => Ipv6Addr::UNSPECIFIED.into(),
            Self::Tcp(_) | Self::Local => self.address(),
        }
    }

    /// Somebody behind it.
    pub(super) fn behind(self) -> Self {
        match self {
            Self::Tcp(address) => Self::Behind(address),
            other => other,
        }
    }
}

/// Who asks, for handlers: an extension of every routed request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The other end of the connection.
    pub peer: Peer,
    /// Who the caller proved to be, if anybody.
    pub who: Option<Arc<Identity>>,
    /// What the caller may do, be it as nobody.
    pub rights: Rights,
}

impl Caller {
    /// Whoever holds the installation, through the socket in its folder.
    pub fn local() -> Self {
        Self { peer: Peer::Local, who: Some(Arc::new(Identity::installation())), rights: Rights::ALL }
    }

    /// Whether the caller proved to be somebody who has `right`.
    pub fn is_somebody_with(&self, right: Right) -> bool {
        self.who.as_ref().is_some_and(|who| who.rights.has(right))
    }

    /// Passes those who have `right`.
    ///
    /// # Errors
    /// 401 for nobody in particular, 403 for somebody without it.
    pub fn demand(&self, right: Right) -> Result<(), Problem> {
        if self.rights.has(right) { Ok(()) } else { Err(auth::lacking(&self.who, right)) }
    }
}

/// The route's template under which an answer is counted, where the router cannot know it: an
/// extension of the answer.
#[derive(Clone, Debug)]
pub struct Route(pub Cow<'static, str>);

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
type Door = Box<dyn Fn(&Request, &Caller) -> Entry + Send + Sync>;

struct Fast {
    prefix: &'static str,
    answer: FastPath,
    metrics: RouteMetrics,
}

/// Bodies are short unless a route says otherwise, in bytes.
const BODY_LIMIT: u64 = 1 << 20;

/// No deadline is further away: a day is for ever.
const LONGEST: Duration = Duration::from_secs(86_400);

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
    router: Router,
    guard: Option<Guard>,
    door: Option<Door>,
    entrance: Arc<Entrance>,
    limits: Vec<(&'static str, Limit)>,
    ids: RequestIds,
    /// The role's metrics.
    pub(super) metrics: Arc<HttpMetrics>,
    role: Role,
}

impl App {
    /// An application of `role` that serves `router`; unknown paths and wrong methods become problems.
    pub fn new(role: Role, router: Router, metrics: &Arc<Metrics>) -> Self {
        Self {
            fast: Vec::new(),
            router: router
                .method_not_allowed_fallback(wrong_method)
                .fallback(unknown_path)
                .layer(middleware::from_fn(note_route)),
            guard: None,
            door: None,
            entrance: Arc::default(),
            limits: Vec::new(),
            ids: RequestIds::new(),
            metrics: Arc::new(HttpMetrics::new(Arc::clone(metrics), role)),
            role,
        }
    }

    /// Tries `answer` before the router on GET and HEAD of paths that begin as `template` does up to
    /// its first `{`. It is for look-ups and feeds: no waiting, no disk.
    #[must_use]
    pub fn fast<F>(mut self, template: &'static str, answer: F) -> Self
    where
        F: Fn(&Request, &str, &Caller) -> Option<Response> + Send + Sync + 'static,
    {
        let prefix = template.split('{').next().unwrap_or(template);
        let metrics = self.metrics.route(template);
        self.fast.push(Fast { prefix, answer: Box::new(answer), metrics });
        self
    }

    /// Finds out who asks, and lets nobody in particular change anything.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Has `door` look at every request once it is known who asks.
    #[must_use]
    pub fn door(mut self, door: impl Fn(&Request, &Caller) -> Entry + Send + Sync + 'static) -> Self {
        self.door = Some(Box::new(door));
        self
    }

    /// Says what stands before the port.
    #[must_use]
    pub fn entrance(mut self, entrance: &Arc<Entrance>) -> Self {
        self.entrance = Arc::clone(entrance);
        self
    }

    /// Takes bodies of up to `limit` bytes on paths that begin with `prefix`, instead of 1 MiB.
    #[must_use]
    pub fn body_limit(mut self, prefix: &'static str, limit: impl Into<Limit>) -> Self {
        self.limits.push((prefix, limit.into()));
        self
    }

    /// The role it plays.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Answers a request of a connection: what stands before the port is looked at first.
    pub(super) fn receive(self: &Arc<Self>, request: Request, peer: Peer) -> Answer {
        let visit = Visit { is_received: true, ..Visit::new(self.ids.of(&request)) };
        self.serve(request, peer, visit)
    }

    /// Answers a request; never fails. Fast answers are there at once, without a box.
    pub fn answer(self: &Arc<Self>, request: Request, peer: Peer) -> Answer {
        let visit = Visit::new(self.ids.of(&request));
        self.serve(request, peer, visit)
    }

    fn serve(self: &Arc<Self>, mut request: Request, peer: Peer, mut visit: Visit) -> Answer {
        match self.admit(&mut request, peer, &mut visit) {
            Ok(Admitted::As(caller)) => self.enter(request, caller, visit),
            Ok(Admitted::Told(response)) => {
                let seen = log::Seen::of(&request);
                Answer::Ready(Some(self.finish(&seen, "(preflight)", response, None, &visit)))
            }
            Ok(Admitted::Unknown(peer)) => {
                Answer::Later(Box::pin(Arc::clone(self).ask(request, peer, visit)))
            }
            Err(problem) => Answer::Ready(Some(self.refuse(&request, problem, &visit))),
        }
    }

    /// Answers whoever asks, if the door lets them in.
    fn enter(self: &Arc<Self>, request: Request, caller: Caller, mut visit: Visit) -> Answer {
        match self.door.as_ref().map(|door| door(&request, &caller)) {
            Some(Entry::Shut(problem, held)) => {
                return Answer::Later(Box::pin(Arc::clone(self).turn_away(request, problem, held, visit)));
            }
            Some(Entry::Open(told)) => visit.told = told,
            None => {}
        }
        match self.at_once(&request, &caller, &visit) {
            Some(response) => Answer::Ready(Some(response)),
            None => Answer::Later(Box::pin(Arc::clone(self).route(request, caller, visit))),
        }
    }

    async fn turn_away(
        self: Arc<Self>,
        request: Request,
        problem: Problem,
        held: Duration,
        visit: Visit,
    ) -> Response {
        if !held.is_zero() {
            tokio::time::sleep(held).await;
        }
        self.refuse(&request, problem, &visit)
    }

    /// Answers once somebody else has said who asks.
    async fn ask(self: Arc<Self>, request: Request, peer: Peer, visit: Visit) -> Response {
        let who = match &self.guard {
            Some(guard) => guard.ask(&Asking::of(&request, peer)).await,
            None => Ok(None),
        };
        let caller = match who.and_then(|who| self.pass(&request, peer, who)) {
            Ok(caller) => caller,
            Err(problem) => return self.refuse(&request, problem, &visit),
        };
        self.enter(request, caller, visit).await
    }

    fn at_once(&self, request: &Request, caller: &Caller, visit: &Visit) -> Option<Response> {
        let mut response = self.fast_since(visit.started, request, caller)?;
        log::fast_access(self.role, request, &response, &visit.id);
        visit.sign(&mut response);
        visit.show(&mut response);
        Some(response)
    }

    /// Tries the fast paths alone, for a role that asks another in the same process.
    pub fn try_fast(&self, request: &Request, caller: &Caller) -> Option<Response> {
        self.fast_since(Instant::now(), request, caller)
    }

    fn fast_since(&self, started: Instant, request: &Request, caller: &Caller) -> Option<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let path = request.uri().path();
        let (fast, response) = self.fast.iter().find_map(|fast| {
            let rest = path.strip_prefix(fast.prefix)?;
            Some((fast, fast.answer(&self.metrics, request, rest, caller)?))
        })?;
        fast.metrics.count(request.method(), response.status(), started.elapsed().as_secs_f64());
        Some(response)
    }

    fn admit(&self, request: &mut Request, peer: Peer, visit: &mut Visit) -> Result<Admitted, Problem> {
        let signs = edge::admit(request)?;
        let vouched = if signs.internal { self.vouched(request)? } else { None };
        let peer = match vouched {
            Some(peer) => peer,
            None if visit.is_received => {
                let caller = self.settle(request, peer, signs, visit);
                if signs.browser
                    && let Some(told) = self.browser(request, visit)?
                {
                    return Ok(Admitted::Told(told));
                }
                caller
            }
            None => peer,
        };
        let admitted = match &self.guard {
            None => Admitted::As(self.pass(request, peer, None)?),
            Some(guard) => match guard.identify(&Asking::of(request, peer)) {
                Some(who) => Admitted::As(self.pass(request, peer, who?)?),
                None => Admitted::Unknown(peer),
            },
        };
        self.limit_body(request)?;
        Ok(admitted)
    }

    /// Settles who asks, by what stands before the port.
    fn settle(&self, request: &mut Request, peer: Peer, signs: Signs, visit: &mut Visit) -> Peer {
        visit.is_secured = request.extensions().get::<Secured>().is_some()
            || (self.entrance.is_secured && self.entrance.proxies.has(peer));
        if signs.internal {
            edge::strip_internal(request.headers_mut());
        }
        self.entrance.caller(peer, request, signs)
    }

    /// For whom a gateway elsewhere asks, if that is who asks.
    fn vouched(&self, request: &mut Request) -> Result<Option<Peer>, Problem> {
        let Some(guard) = &self.guard else { return Ok(None) };
        let Some(vouched) = guard.vouched(request.headers_mut())? else { return Ok(None) };
        // What the connection says of the gateway is not said of its caller.
        request.extensions_mut().remove::<Secured>();
        if let Some(secured) = vouched.secured {
            request.extensions_mut().insert(secured);
        }
        Ok(Some(vouched.peer))
    }

    /// What a browser is told at once, if anything is.
    ///
    /// # Errors
    /// 403 for what a page of elsewhere may not do.
    fn browser(&self, request: &Request, visit: &mut Visit) -> Result<Option<Response>, Problem> {
        visit.page = self.entrance.pages.named(request.headers());
        if visit.page.is_some() {
            return Ok(browser::preflight(request.method(), request.headers()));
        }
        browser::refuse_cross_site(request.method(), request.headers())?;
        Ok(None)
    }

    fn pass(&self, request: &Request, peer: Peer, who: Who) -> Result<Caller, Problem> {
        let caller = Caller { peer, rights: Guard::rights(&who), who };
        if let Some(guard) = &self.guard
            && let Err(problem) = guard.pass(request.method(), request.uri().path(), &caller.who)
        {
            guard.note(&problem, &caller, &log::Seen::of(request));
            return Err(problem);
        }
        Ok(caller)
    }

    fn limit_body(&self, request: &mut Request) -> Result<(), Problem> {
        if request.body().is_end_stream() {
            return Ok(());
        }
        let path = request.uri().path();
        let limit = self.limits.iter().find(|(prefix, _)| path.starts_with(prefix));
        let limit = limit.map_or(BODY_LIMIT, |(_, limit)| limit.get());
        request.body_mut().limit_to(limit).map_err(|error| Problem::of_body(&error))
    }

    fn refuse(&self, request: &Request, problem: Problem, visit: &Visit) -> Response {
        let seen = log::Seen::of(request);
        self.finish(&seen, "(refused)", problem.render(request_id::as_text(&visit.id)), Some(&problem), visit)
    }

    async fn route(self: Arc<Self>, mut request: Request, caller: Caller, visit: Visit) -> Response {
        let (seen, deadline) = (log::Seen::of(&request), deadline(&request));
        request.headers_mut().insert(X_REQUEST_ID, visit.id.clone());
        let who = caller.clone();
        request.extensions_mut().insert(caller);
        let routed = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
        let routed = match deadline {
            Some(deadline) => tokio::time::timeout(deadline, routed).await.ok(),
            None => Some(routed.await),
        };
        let mut response = match routed {
            Some(Ok(Ok(response))) => response.map(body::Body::from),
            None => too_late().into_response().map(body::Body::from),
            Some(Err(panic)) => self.metrics.panicked(&*panic).render(request_id::as_text(&visit.id)),
        };
        let route = response.extensions_mut().remove::<Route>();
        let route = route.as_ref().map_or("(none)", |Route(template)| template);
        let problem = response.extensions_mut().remove::<Problem>();
        if let Some(problem) = &problem {
            response = with_headers_of(response, problem.render(request_id::as_text(&visit.id)));
            if let Some(guard) = &self.guard {
                guard.note(problem, &who, &seen);
            }
        }
        self.finish(&seen, route, response, problem.as_ref(), &visit)
    }

    fn finish(
        &self,
        seen: &log::Seen,
        route: &str,
        mut response: Response,
        problem: Option<&Problem>,
        visit: &Visit,
    ) -> Response {
        let elapsed = visit.started.elapsed();
        self.metrics.count(route, &seen.method, response.status(), elapsed.as_secs_f64());
        log::access(self.role, seen, route, &response, problem, elapsed, &visit.id);
        visit.sign(&mut response);
        if visit.is_received {
            browser::harden(response.headers_mut(), visit.is_secured);
            visit.show(&mut response);
        }
        response
    }
}

impl Fast {
    /// A panic in here is no less a bug than elsewhere, and no more infectious.
    fn answer(&self, http: &HttpMetrics, request: &Request, rest: &str, caller: &Caller) -> Option<Response> {
        catch_unwind(AssertUnwindSafe(|| (self.answer)(request, rest, caller)))
            .unwrap_or_else(|panic| Some(http.panicked(&*panic).render("")))
    }
}

/// How far it is known who asks.
enum Admitted {
    As(Caller),
    /// Whoever knows must be asked.
    Unknown(Peer),
    /// It does not matter: that is the answer.
    Told(Response),
}

/// What belongs to one request from its arrival to its answer.
struct Visit {
    started: Instant,
    id: HeaderValue,
    /// What the door has to say.
    told: Option<[(HeaderName, HeaderValue); 2]>,
    /// Over a connection, and not from another role of this process.
    is_received: bool,
    /// Over TLS.
    is_secured: bool,
    /// The page of elsewhere, one that is named, for which a browser asks.
    page: Option<HeaderValue>,
}

impl Visit {
    fn new(id: HeaderValue) -> Self {
        Self { started: Instant::now(), id, told: None, is_received: false, is_secured: false, page: None }
    }

    /// Puts its name on the answer, and what the door has to say.
    fn sign(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, self.id.clone());
        for (name, value) in self.told.iter().flatten() {
            headers.insert(name, value.clone());
        }
    }

    fn show(&self, response: &mut Response) {
        if let Some(page) = &self.page {
            browser::show_to(page.clone(), response.headers_mut());
        }
    }
}

/// How much longer a gateway elsewhere waits; whoever else says so only cuts their own time short.
fn deadline(request: &Request) -> Option<Duration> {
    let millis = request.headers().get(X_DEADLINE)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(millis).min(LONGEST))
}

fn too_late() -> Problem {
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "deadline_passed")
        .detail("Whoever asked waits for the answer no longer.")
}

/// The answer to a request, now or later.
pub enum Answer {
    /// It was there at once; `None` once taken.
    Ready(Option<Response>),
    /// The router is at work.
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

/// The router adds headers to problems of its own (`Allow` on a 405): they stay.
fn with_headers_of(routed: Response, mut rendered: Response) -> Response {
    for (name, value) in routed.headers() {
        if *name != http::header::CONTENT_LENGTH {
            rendered.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    rendered
}

/// Copies the matched template to the answer: outside the router nobody can see it.
async fn note_route(request: axum::extract::Request, next: Next) -> axum::response::Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(matched) = matched
        && response.extensions().get::<Route>().is_none()
    {
        response.extensions_mut().insert(Route(Cow::Owned(matched.as_str().to_owned())));
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
mod tests {
    use super::*;
    use crate::web::{Body, Json};
    use axum::routing::{get, post};
    use http::header::{ALLOW, HOST};

    fn app() -> (Arc<App>, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new());
        let router = Router::new()
            .route("/slow/{name}", get(async || "routed"))
            .route(
                "/who",
                post(async |caller: axum::Extension<Caller>| Json(caller.demand(Right::Admin).is_ok())),
            )
            .route("/length", post(async |body: super::super::extract::Whole| body.0.len().to_string()))
            .route("/panic", get(async || -> &str { panic!("a bug") }));
        let app = App::new(Role::Blacklist, router, &metrics)
            .fast("/fast/{ip}", |_, ip, _| match ip {
                "panic" => panic!("a quick bug"),
                "" => None,
                ip => Some(Response::new(Body::full(ip.to_owned()))),
            })
            .guard(Guard::new("key", &["/length"]));
        (Arc::new(app), metrics)
    }

    fn request(method: Method, path: &str) -> Request {
        http::Request::builder().method(method).uri(path).header(HOST, "a").body(Body::empty()).unwrap()
    }

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().read().await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_fast_path_answers_before_the_router_and_is_named_and_counted() {
        let (app, metrics) = app();
        let mut asked = request(Method::GET, "/fast/192.0.2.1");
        asked.headers_mut().insert(X_REQUEST_ID, HeaderValue::from_static("mine"));
        let answer = app.answer(asked, Peer::Local);
        assert!(matches!(answer, Answer::Ready(_)));
        let response = answer.await;
        assert_eq!(response.headers()[X_REQUEST_ID], "mine");
        assert_eq!(text(response).await, "192.0.2.1");
        let series = "{method=\"GET\",role=\"blacklist\",route=\"/fast/{ip}\",status=\"200\"} 1\n";
        assert!(metrics.render().contains(series));
    }

    #[tokio::test]
    async fn what_the_fast_path_leaves_goes_to_the_router() {
        let (app, metrics) = app();
        assert_eq!(app.answer(request(Method::GET, "/fast/"), Peer::Local).await.status(), 404);
        let response = app.answer(request(Method::GET, "/slow/x"), Peer::Local).await;
        assert!(response.headers().contains_key(X_REQUEST_ID));
        assert_eq!(text(response).await, "routed");
        assert!(metrics.render().contains("route=\"/slow/{name}\",status=\"200\"} 1\n"));
    }

    #[tokio::test]
    async fn wrong_methods_and_unknown_paths_are_problems() {
        let (app, _) = app();
        let wrong = app.answer(request(Method::PUT, "/slow/x"), Peer::Local).await;
        assert_eq!(
            (wrong.status().as_u16(), &wrong.headers()[ALLOW]),
            (405, &HeaderValue::from_static("GET,HEAD"))
        );
        let id = wrong.headers()[X_REQUEST_ID].clone();
        assert!(text(wrong).await.contains(request_id::as_text(&id)));
        let unknown = app.answer(request(Method::GET, "/nothing"), Peer::Local).await;
        assert_eq!(unknown.status(), 404);
        assert!(text(unknown).await.contains("unknown_path"));
    }

    #[tokio::test]
    async fn panics_become_problems_and_are_counted() {
        let (app, metrics) = app();
        for path in ["/panic", "/fast/panic"] {
            let response = app.answer(request(Method::GET, path), Peer::Local).await;
            assert_eq!(response.status(), 500);
            assert!(!text(response).await.contains("bug"));
        }
        assert!(metrics.render().contains("ironlist_http_panics_total{role=\"blacklist\"} 2\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_works_on_for_a_gateway_that_has_gone() {
        let router = Router::new().route("/long", get(async || tokio::time::sleep(LONGEST).await));
        let app = Arc::new(App::new(Role::Blacklist, router, &Arc::new(Metrics::new())));
        let mut asked = request(Method::GET, "/long");
        asked.headers_mut().insert(X_DEADLINE, HeaderValue::from_static("250"));
        let begun = tokio::time::Instant::now();
        let response = app.answer(asked, Peer::Local).await;
        assert_eq!((response.status().as_u16(), begun.elapsed().as_millis()), (504, 250));
        assert!(text(response).await.contains("deadline_passed"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_door_adds_to_answers_and_holds_refusals_back() {
        let router = Router::new().route("/open", get(async || "in"));
        let app = App::new(Role::Gateway, router, &Arc::new(Metrics::new())).door(|request, _| match request
            .uri()
            .path()
        {
            "/shut" => Entry::Shut(Problem::unavailable("overloaded", 1), Duration::from_millis(40)),
            _ => {
                let told = |name| (HeaderName::from_static(name), HeaderValue::from_static("1"));
                Entry::Open(Some([told("x-a"), told("x-b")]))
            }
        });
        let (app, begun) = (Arc::new(app), tokio::time::Instant::now());
        let open = app.answer(request(Method::GET, "/open"), Peer::Local).await;
        assert!(open.headers().contains_key("x-a") && open.headers().contains_key("x-b"));
        let shut = app.answer(request(Method::GET, "/shut"), Peer::Local).await;
        assert_eq!((shut.status().as_u16(), begun.elapsed().as_millis()), (503, 40));
        assert!(shut.headers().contains_key(http::header::RETRY_AFTER));
    }

    #[tokio::test]
    async fn changes_need_the_key_or_the_local_socket() {
        let (app, _) = app();
        let far = Peer::Tcp(([192, 0, 2, 1], 9).into());
        let refused = app.answer(request(Method::POST, "/who"), far).await;
        assert_eq!(refused.status(), 401);
        assert!(refused.headers().contains_key(http::header::WWW_AUTHENTICATE));
        assert_eq!(text(app.answer(request(Method::POST, "/who"), Peer::Local).await).await, "true");
        assert_eq!(app.answer(request(Method::POST, "/length"), far).await.status(), 200);
    }
}
