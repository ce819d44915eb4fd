//! Answers that are dear to make and equal for a while, kept for whoever asks the same.
//!
//! What is kept is found by what was asked and by whom, by their address for those who are nobody in particular: what was
//! answered to one is never given to another. Of a role in this process it is found by the generation as well, so that
//! nobody is told of the blacklist as it was before a change. Elsewhere a change that comes through this door has
//! everything asked anew, and any other is seen after a few seconds. It must not know what an answer says.

use super::upstream::{Place, Upstream};
use super::{Upstreams, hop};
use crate::rights::Identity;
use crate::web::metrics::{Counter, Metrics};
use crate::web::{Body, Caller, Problem, Request, Response, Role};
use bytes::Bytes;
use http::header::{self, CACHE_CONTROL, HeaderName, HeaderValue, SET_COOKIE, VARY};
use http::{HeaderMap, Method, StatusCode};
use hyper::body::Body as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is worth keeping.
const KEPT: [&str; 3] = ["/api/v1/analytics/", "/api/v1/blacklist/statistics", "/api/v1/blacklist/active"];
/// What is about this very moment.
const LIVE: [&str; 2] = ["/api/v1/analytics/realtime", "/api/v1/analytics/performance"];
/// The longest answer that is kept, in bytes.
const LARGEST: u64 = 1 << 20;
/// For so long an answer is as good as new: counts depend on the clock, too.
const FRESH: Duration = Duration::from_secs(10);
/// The same of a role whose generation is not known here.
const FRESH_ELSEWHERE: Duration = Duration::from_secs(1);
/// Older ones are given while they are asked for anew, until they are so old.
const STALE: Duration = Duration::from_secs(60);
/// The same of a role whose generation is not known here.
const STALE_ELSEWHERE: Duration = Duration::from_secs(5);
/// A question may be so long, in bytes.
const LONGEST: usize = 2048;

/// How an answer came about (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The generation of the blacklist in this process.
pub type Generation = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What was asked, by whom, of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    role: Role,
    target: String,
    accept: [Option<HeaderValue>; 2],
    who: Option<Arc<Identity>>,
    /// Of those who are nobody.
    address: Option<IpAddr>,
    generation: Option<u64>,
    /// Changes that came through this door.
    changes: u64,
}

#[derive(Debug)]
struct Kept {
    headers: HeaderMap,
    body: Bytes,
    since: Instant,
    /// Somebody asks for a newer one.
    is_renewed: AtomicBool,
}

/// What was answered and cannot be kept: for whoever comes first.
struct Other(Mutex<Option<Result<Response, Problem>>>);

/// Everything that is kept.
pub(super) struct Cache {
    kept: moka::future::Cache<Question, Arc<Kept>>,
    generation: Option<Generation>,
    changes: AtomicU64,
    hits: Counter,
    stale: Counter,
    misses: Counter,
    passed: Counter,
}

impl Cache {
    /// A cache of at most `size` bytes.
    pub(super) fn new(size: u64, generation: Option<Generation>, metrics: &Metrics) -> Self {
        let kept = moka::future::Cache::builder()
            .max_capacity(size)
            .weigher(|question: &Question, kept: &Arc<Kept>| weight(question, kept))
            .time_to_live(STALE)
            .build();
        let [hits, stale, misses, passed] =
            ["hit", "stale", "miss", "passed"].map(|outcome| metrics.cached(outcome));
        Self { kept, generation, changes: AtomicU64::new(0), hits, stale, misses, passed }
    }

    /// Forgets everything; says how much that was.
    pub(super) fn clear(&self) -> u64 {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let count = self.kept.entry_count();
        self.kept.invalidate_all();
        count
    }

    /// Answers from what is kept, or asks the role.
    pub(super) async fn answer(
        self: &Arc<Self>,
        upstreams: &Arc<Upstreams>,
        role: Role,
        request: Request,
        caller: &Caller,
    ) -> Result<Response, Problem> {
        let upstream = upstreams.get(&role).ok_or_else(|| missing(role))?;
        match self.question(role, upstream, &request, caller) {
            // The cache's own futures have 200 KB, which nobody else is to carry about: that took longer than all else here.
            Some(question) => Box::pin(self.recall((upstreams, upstream), question, request, caller)).await,
            None => self.pass_by(upstream, request, caller).await,
        }
    }

    /// Answers what may be kept.
    async fn recall(
        self: &Arc<Self>,
        (upstreams, upstream): (&Arc<Upstreams>, &Upstream),
        question: Question,
        request: Request,
        caller: &Caller,
    ) -> Result<Response, Problem> {
        let [fresh, stale] = question.lasts();
        if let Some(kept) = self.kept.get(&question).await.filter(|kept| kept.since.elapsed() < stale) {
            let is_fresh = kept.since.elapsed() < fresh;
            if is_fresh {
                self.hits.inc();
            } else {
                self.stale.inc();
                self.renew(upstreams, question, &kept, request, caller.clone());
            }
            return Ok(kept.again(if is_fresh { "ironlist; hit" } else { "ironlist; hit; detail=stale" }));
        }
        self.misses.inc();
        self.fill(upstream, question, request, caller).await
    }

    /// One asks, and all who ask the same meanwhile wait for that answer.
    async fn fill(
        &self,
        upstream: &Upstream,
        question: Question,
        request: Request,
        caller: &Caller,
    ) -> Result<Response, Problem> {
        let again = hop::copy(request.headers(), request.extensions(), request.uri().clone());
        match self.kept.try_get_with(question, fetch(upstream, request, caller)).await {
            Ok(kept) => Ok(kept.again("ironlist; fwd=miss")),
            Err(other) => match other.take() {
                Some(answer) => answer,
                None => upstream.call(again, caller).await,
            },
        }
    }

    /// Asks for a newer answer beside the one that is given.
    fn renew(
        self: &Arc<Self>,
        upstreams: &Arc<Upstreams>,
        question: Question,
        kept: &Kept,
        request: Request,
        caller: Caller,
    ) {
        if kept.is_renewed.swap(true, Ordering::Relaxed) {
            return;
        }
        let (cache, upstreams) = (Arc::clone(self), Arc::clone(upstreams));
        tokio::spawn(async move {
            let Some(upstream) = upstreams.get(&question.role) else { return };
            // What fails now is asked again when the old one is too old.
            if let Ok(newer) = fetch(upstream, request, &caller).await {
                cache.kept.insert(question, newer).await;
            }
        });
    }

    async fn pass_by(
        &self,
        upstream: &Upstream,
        request: Request,
        caller: &Caller,
    ) -> Result<Response, Problem> {
        self.passed.inc();
        let is_change = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let answer = upstream.call(request, caller).await;
        if is_change && answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// What is asked, where the answer may be kept.
    fn question(
        &self,
        role: Role,
        upstream: &Upstream,
        request: &Request,
        caller: &Caller,
    ) -> Option<Question> {
        let path = request.uri().path();
        let may = *request.method() == Method::GET
            && request.body().is_end_stream()
            && KEPT.iter().any(|kept| path.starts_with(kept))
            && !LIVE.contains(&path)
            && !asks_for_a_part(request.headers());
        let target = request.uri().path_and_query().filter(|_| may)?.as_str();
        let accept = [header::ACCEPT, header::ACCEPT_ENCODING].map(|name| request.headers().get(name));
        let length = target.len() + accept.iter().flatten().map(|value| value.len()).sum::<usize>();
        if length > LONGEST {
            return None;
        }
        // Where from decides what nobody in particular is given.
        let address = caller.who.is_none().then(|| caller.peer.network());
        let is_here = matches!(upstream.place(), Place::Local(_));
        Some(Question {
            role,
            target: target.to_owned(),
            accept: accept.map(|value| value.cloned()),
            who: caller.who.clone(),
            address,
            generation: self.generation.as_ref().filter(|_| is_here).map(|generation| generation()),
            changes: self.changes.load(Ordering::Relaxed),
        })
    }
}

impl Question {
    /// How long an answer is as good as new, and how long it is given at all.
    fn lasts(&self) -> [Duration; 2] {
        if self.generation.is_some() { [FRESH, STALE] } else { [FRESH_ELSEWHERE, STALE_ELSEWHERE] }
    }
}

impl Kept {
    fn again(&self, status: &'static str) -> Response {
        let mut response = Response::new(Body::full(self.body.clone()));
        let headers = response.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(header::AGE, HeaderValue::from(self.since.elapsed().as_secs()));
        headers.insert(CACHE_STATUS, HeaderValue::from_static(status));
        response
    }
}

impl Other {
    fn new(answer: Result<Response, Problem>) -> Self {
        Self(Mutex::new(Some(answer)))
    }

    fn take(&self) -> Option<Result<Response, Problem>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Asks the role for an answer to keep.
async fn fetch(upstream: &Upstream, request: Request, caller: &Caller) -> Result<Arc<Kept>, Other> {
    let answer = upstream.call(request, caller).await.map_err(|problem| Other::new(Err(problem)))?;
    if !may_be_kept(&answer) {
        return Err(Other::new(Ok(answer)));
    }
    let (parts, body) = answer.into_parts();
    let broken =
        |error| Other::new(Err(Problem::new(StatusCode::BAD_GATEWAY, "role_broke_off").inner(error)));
    let body = body.read().await.map_err(broken)?;
    let is_renewed = AtomicBool::new(false);
    Ok(Arc::new(Kept { headers: parts.headers, body, since: Instant::now(), is_renewed }))
}

/// An answer of known length that says nothing against it. What is made while it is sent may be of any length.
fn may_be_kept(answer: &Response) -> bool {
    let headers = answer.headers();
    let says = |word: &str| {
        let control = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
        control.is_some_and(|control| control.contains(word))
    };
    let varies = headers.get(VARY).is_some_and(|vary| {
        let known = |name: &str| {
            name.trim().eq_ignore_ascii_case("accept") || name.trim().eq_ignore_ascii_case("accept-encoding")
        };
        !vary.to_str().is_ok_and(|vary| vary.split(',').all(known))
    });
    answer.status() == StatusCode::OK
        && answer.body().size_hint().exact().is_some_and(|length| length <= LARGEST)
        && !says("no-store")
        && !says("private")
        && !varies
        && !headers.contains_key(SET_COOKIE)
}

/// A condition or a range asks for less than the whole.
fn asks_for_a_part(headers: &HeaderMap) -> bool {
    const PARTS: [HeaderName; 4] =
        [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::RANGE, header::IF_MATCH];
    PARTS.iter().any(|name| headers.contains_key(name))
}

fn missing(role: Role) -> Problem {
    Problem::unavailable("role_missing", 30).detail(format!("The {} role is not set up.", role.name()))
}

/// Bytes that an answer takes, roughly.
fn weight(question: &Question, kept: &Kept) -> u32 {
    let headers = kept.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64);
    let bytes = 512 + question.target.len() + headers.sum::<usize>() + kept.body.len();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
