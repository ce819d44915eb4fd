//! One request's way through a port: from its arrival, by whoever asks and the door, to its answer.
//!
//! It must not know what routes do, nor how somebody proves who they are.

use super::{Answer, App, BODY_LIMIT, Entry, Route};
use crate::rights::Rights;
use crate::web::auth::{Asking, Guard};
use crate::web::body::{self, Request, Response};
use crate::web::browser;
use crate::web::caller::{Caller, Peer};
use crate::web::claim::Who;
use crate::web::edge::{self, Signs};
use crate::web::entrance::Ends;
use crate::web::leave::Leave;
use crate::web::log;
use crate::web::problem::Problem;
use crate::web::request_id::{self, X_REQUEST_ID};
use crate::web::spans::{Span, Spans};
use crate::web::tls::Secured;
use crate::web::trace::{Sampling, Trace};
use crate::web::vouch::X_DEADLINE;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use hyper::body::Body as _;
use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tower::ServiceExt;

/// No deadline is further away: a day is for ever.
const LONGEST: Duration = Duration::from_secs(86_400);
/// How far it is known who asks.
enum Admitted {
    As(Caller),
    /// Whoever knows must be asked.
    Unknown,
    /// What was shown for somebody is wrong.
    Wrong(Problem),
    /// It does not matter: that is the answer.
    Told(Response),
}

/// What belongs to one request from its arrival to its answer.
struct Visit {
    started: Instant,
    id: HeaderValue,
    /// Who asks, and where it belongs: once the router is at work.
    who: Who,
    trace: Option<Trace>,
    /// What the door has to say.
    told: Option<[(HeaderName, HeaderValue); 2]>,
    /// Over this connection, and not from another role of this process.
    received: Option<Ends>,
    /// Over TLS.
    is_secured: bool,
    /// The page of elsewhere, one that is named, for which a browser asks.
    page: Option<HeaderValue>,
}

impl Visit {
    fn new(id: HeaderValue) -> Self {
        Self {
            started: Instant::now(),
            id,
            who: None,
            trace: None,
            told: None,
            received: None,
            is_secured: false,
            page: None,
        }
    }

    /// Puts its name on the answer, and what the door has to say: they go with it.
    fn sign(&mut self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, std::mem::replace(&mut self.id, HeaderValue::from_static("")));
        for (name, value) in self.told.take().into_iter().flatten() {
            headers.insert(name, value);
        }
    }

    fn show(&self, response: &mut Response) {
        if let Some(page) = &self.page {
            browser::show_to(page.clone(), response.headers_mut());
        }
    }
}

/// How a request ended.
struct Outcome {
    route: Cow<'static, str>,
    /// Beside a problem, only its headers count.
    response: Response,
    problem: Option<Problem>,
}

impl Outcome {
    fn of(route: &'static str, answer: Result<Response, Problem>) -> Self {
        let (response, problem) = match answer {
            Ok(response) => (response, None),
            Err(problem) => (Response::default(), Some(problem)),
        };
        Self { route: Cow::Borrowed(route), response, problem }
    }

    fn of_router(mut response: Response) -> Self {
        let route = response.extensions_mut().remove::<Route>();
        let route = route.map_or(Cow::Borrowed("(none)"), |Route(template)| Cow::Owned(template));
        let problem = response.extensions_mut().remove::<Problem>();
        Self { route, response, problem }
    }
}

impl App {
    /// Answers a request of a connection: what stands before the port is looked at first.
    pub(in crate::web) fn receive(self: &Arc<Self>, request: Request, ends: Ends) -> Answer {
        let visit = Visit { received: Some(ends), ..Visit::new(self.ids.of(&request)) };
        self.serve(request, ends.peer, visit)
    }

    /// Answers a request; never fails. Fast answers are there at once, without a box.
    pub fn answer(self: &Arc<Self>, request: Request, peer: Peer) -> Answer {
        let visit = Visit::new(self.ids.of(&request));
        self.serve(request, peer, visit)
    }

    fn serve(self: &Arc<Self>, mut request: Request, mut peer: Peer, mut visit: Visit) -> Answer {
        match self.admit(&mut request, &mut peer, &mut visit) {
            Ok(Admitted::As(caller)) => self.enter(request, caller, visit),
            Ok(Admitted::Told(response)) => {
                let seen = log::Seen::of(&request);
                Answer::Ready(Some(self.finish(&seen, "(preflight)", response, None, visit)))
            }
            Ok(Admitted::Unknown) => Answer::Later(Box::pin(Arc::clone(self).ask(request, peer, visit))),
            Ok(Admitted::Wrong(problem)) => self.deny(request, peer, problem, visit),
            Err(problem) => {
                let problem = self.noted(problem, &request, peer);
                Answer::Ready(Some(self.refuse(&request, problem, visit)))
            }
        }
    }

    /// Refuses whoever showed a wrong key, or says what the door says to those who do so too often.
    fn deny(self: &Arc<Self>, request: Request, peer: Peer, problem: Problem, mut visit: Visit) -> Answer {
        let said = self.door.as_ref().map(|door| (door.deny)(&self.caller(peer, None)));
        let (problem, held) = match said {
            Some(Entry::Shut(problem, held)) => (problem, held),
            Some(Entry::Open(told)) => {
                visit.told = told;
                (problem, Duration::ZERO)
            }
            None => (problem, Duration::ZERO),
        };
        Answer::Later(Box::pin(Arc::clone(self).turn_away(request, problem, held, visit)))
    }

    /// Answers whoever asks, if the door lets them in.
    fn enter(self: &Arc<Self>, request: Request, caller: Caller, mut visit: Visit) -> Answer {
        match self.door.as_ref().map(|door| (door.admit)(&request, &caller)) {
            Some(Entry::Shut(problem, held)) => {
                return Answer::Later(Box::pin(Arc::clone(self).turn_away(request, problem, held, visit)));
            }
            Some(Entry::Open(told)) => visit.told = told,
            None => {}
        }
        match self.at_once(&request, &caller, &mut visit) {
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
        self.refuse(&request, problem, visit)
    }

    /// Answers once somebody else has said who asks.
    async fn ask(self: Arc<Self>, request: Request, peer: Peer, visit: Visit) -> Response {
        if let Some(Entry::Shut(problem, held)) = self.doubt(&request, peer) {
            return self.turn_away(request, problem, held, visit).await;
        }
        let who = match &self.guard {
            Some(guard) => guard.ask(&Asking::of(&request, peer)).await,
            None => Ok(None),
        };
        let caller = match who {
            Ok(who) => self.caller(peer, who),
            Err(problem) => return self.deny(request, peer, problem, visit).await,
        };
        self.enter(request, caller, visit).await
    }

    /// What the door says before somebody is asked about a key that was nobody's of late.
    fn doubt(&self, request: &Request, peer: Peer) -> Option<Entry> {
        let is_known = |guard: &Guard| guard.knew(&Asking::of(request, peer));
        let door = self.door.as_ref().filter(|_| !self.guard.as_ref().is_some_and(is_known))?;
        Some((door.doubt)(&self.caller(peer, None)))
    }

    fn at_once(&self, request: &Request, caller: &Caller, visit: &mut Visit) -> Option<Response> {
        let (mut response, route) = self.fast_since(visit.started, request, caller)?;
        if *request.method() == Method::HEAD {
            body::leave_out(&mut response);
        }
        // There are too many of these for a share of them; who wants one to be kept says so.
        if self.spans.is_some()
            && let Some(trace) = Trace::named(request.headers()).filter(|trace| trace.sampled)
        {
            visit.trace = Some(trace);
            self.keep(&log::Seen::of(request), route, response.status(), None, visit);
        }
        log::fast_access(self.role, request, &response, &visit.id, visit.trace.as_ref());
        visit.sign(&mut response);
        if visit.is_secured {
            browser::harden(response.headers_mut(), true);
        }
        visit.show(&mut response);
        Some(response)
    }

    /// Finds out who is at the other end, and how far it is known who that is.
    fn admit(&self, request: &mut Request, peer: &mut Peer, visit: &mut Visit) -> Result<Admitted, Problem> {
        let signs = edge::admit(request)?;
        if let Some(ends) = visit.received.filter(|_| !tells_everybody(request)) {
            self.entrance.refuse_clear(ends, request)?;
        }
        let vouched = if signs.internal { self.vouched(request) } else { Ok(None) };
        match (vouched, visit.received) {
            // Whoever guesses the word of gateways pays for it as for any key.
            (Err(problem), _) => return Ok(Admitted::Wrong(self.noted(problem, request, *peer))),
            (Ok(Some(caller)), _) => *peer = caller,
            (Ok(None), Some(ends)) => {
                *peer = self.settle(request, ends, signs, visit);
                if signs.browser
                    && let Some(told) = self.browser(request, visit)?
                {
                    return Ok(Admitted::Told(told));
                }
            }
            (Ok(None), None) => {}
        }
        let admitted = match &self.guard {
            None => Admitted::As(self.caller(*peer, None)),
            Some(guard) => match guard.identify(&Asking::of(request, *peer)) {
                Some(Ok(who)) => Admitted::As(self.caller(*peer, who)),
                Some(Err(problem)) => Admitted::Wrong(problem),
                None => Admitted::Unknown,
            },
        };
        self.limit_body(request)?;
        Ok(admitted)
    }

    /// Settles who asks, by what stands before the port.
    fn settle(&self, request: &mut Request, ends: Ends, signs: Signs, visit: &mut Visit) -> Peer {
        visit.is_secured = self.entrance.is_secured(ends, request);
        if signs.internal {
            edge::strip_all(request.headers_mut(), edge::is_internal);
        }
        self.entrance.caller(ends, request, signs)
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

    fn caller(&self, peer: Peer, who: Who) -> Caller {
        match &self.guard {
            Some(guard) => guard.caller(peer, who),
            None => Caller { peer, who, rights: Rights::NONE, is_open: false, is_earlier: false },
        }
    }

    /// Has it kept where somebody is refused before it is known who they are.
    fn noted(&self, problem: Problem, request: &Request, peer: Peer) -> Problem {
        match &self.guard {
            Some(guard) => guard.turned_away(problem, &Asking::of(request, peer)),
            None => problem,
        }
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

    fn refuse(&self, request: &Request, problem: Problem, visit: Visit) -> Response {
        let seen = log::Seen::of(request);
        let response = problem.render(request_id::as_text(&visit.id));
        self.finish(&seen, "(refused)", response, Some(&problem), visit)
    }

    async fn route(self: Arc<Self>, mut request: Request, caller: Caller, mut visit: Visit) -> Response {
        let (seen, deadline) = (log::Seen::of(&request), deadline(&request));
        visit.trace = Some(Trace::enter(request.headers_mut(), self.sampling()));
        visit.who.clone_from(&caller.who);
        request.headers_mut().insert(X_REQUEST_ID, visit.id.clone());
        let leave = self.guard.as_ref().and_then(|guard| Leave::of(guard, &request, &caller));
        let who = caller.clone();
        let outcome = AssertUnwindSafe(self.outcome(request, caller)).catch_unwind();
        let outcome = match deadline {
            Some(deadline) => tokio::time::timeout(deadline, outcome).await,
            None => Ok(outcome.await),
        };
        let Outcome { route, mut response, problem } = match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Outcome::of("(none)", Err(self.metrics.panicked(&*panic))),
            Err(_) => Outcome::of("(none)", Err(too_late())),
        };
        if let Some(problem) = &problem {
            response = with_headers_of(response, problem.render(request_id::as_text(&visit.id)));
            if let Some(guard) = &self.guard {
                guard.note(problem, &who, (&seen, &route));
            }
        }
        if let Some(leave) = leave {
            response = leave.watch(response);
        }
        self.finish(&seen, &route, response, problem.as_ref(), visit)
    }

    /// What somebody else says, if it is theirs to say, and else the router.
    async fn outcome(&self, mut request: Request, caller: Caller) -> Outcome {
        if let Some(passage) = &self.passage
            && let Some(route) = (passage.route)(&request)
        {
            return Outcome::of(route, (passage.pass)(request, caller).await);
        }
        request.extensions_mut().insert(caller);
        let Ok(response) = self.router.clone().oneshot(request).await;
        Outcome::of_router(response.map(body::Body::from))
    }

    fn finish(
        &self,
        seen: &log::Seen,
        route: &str,
        mut response: Response,
        problem: Option<&Problem>,
        mut visit: Visit,
    ) -> Response {
        if seen.method == Method::HEAD {
            body::leave_out(&mut response);
        }
        let elapsed = visit.started.elapsed();
        self.metrics.count(route, &seen.method, response.status(), elapsed.as_secs_f64());
        let (who, trace) = (visit.who.as_deref(), visit.trace.as_ref());
        let asked = log::Asked { route, who, trace, elapsed, id: &visit.id };
        log::access(self.role, seen, &asked, &response, problem);
        self.keep(seen, route, response.status(), problem.map(Problem::code), &visit);
        visit.sign(&mut response);
        if visit.received.is_some() {
            browser::harden(response.headers_mut(), visit.is_secured);
            visit.show(&mut response);
        }
        response
    }

    fn sampling(&self) -> Sampling {
        self.spans.as_ref().map_or(Sampling::NONE, Spans::sampling)
    }

    /// Keeps what a collector is told of the request, if it belongs to a trace that is kept.
    fn keep(
        &self,
        seen: &log::Seen,
        route: &str,
        status: StatusCode,
        problem: Option<&'static str>,
        visit: &Visit,
    ) {
        let Some(spans) = &self.spans else { return };
        let Some(trace) = visit.trace.filter(|trace| trace.sampled) else { return };
        let (now, took) = (SystemTime::now(), visit.started.elapsed());
        spans.keep(Span {
            role: self.role,
            trace,
            method: seen.method.clone(),
            path: seen.path.clone(),
            route: route.to_owned(),
            status,
            problem,
            began: now.checked_sub(took).unwrap_or(now),
            took,
        });
    }
}

/// Whether it is asked what every prober may ask, wherever it stands.
fn tells_everybody(request: &Request) -> bool {
    matches!(request.uri().path(), "/health" | "/ready")
}

/// How much longer a gateway elsewhere waits; nobody else's word comes so far.
fn deadline(request: &Request) -> Option<Duration> {
    let millis = request.headers().get(X_DEADLINE)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(millis).min(LONGEST))
}

fn too_late() -> Problem {
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "deadline_passed")
        .detail("Whoever asked waits for the answer no longer.")
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
