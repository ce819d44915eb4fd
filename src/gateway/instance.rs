//! One instance of a role elsewhere: how it is asked, and how it stands.
//!
//! It must not know of the other instances, nor whether a request may be repeated.

use super::breaker::{Breaker, Pass, Standing};
use super::hop;
use super::wire::{Wire, WireError};
use crate::web::body::{BodyError, Pace, cause, is_live};
use crate::web::tls::UpstreamTls;
use crate::web::{Problem, Request, Response};
use http::StatusCode;
use http::uri::{Authority, Scheme};
use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How instances are reached.
#[derive(Clone, Debug)]
pub struct Way {
    /// How long the head of an answer may take.
    pub patience: Duration,
    /// How slowly an answer may come.
    pub pace: Pace,
    /// Whom to believe at `https` URLs.
    pub tls: Option<UpstreamTls>,
}

impl Default for Way {
    fn default() -> Self {
        Self { patience: Duration::from_secs(30), pace: Pace::default(), tls: None }
    }
}

/// Why a URL does not name a role.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not the URL of a role: it has the form http://host:port, or https://host:port with a CA file"
)]
pub struct UpstreamError(String);

impl UpstreamError {
    /// No URL at all.
    pub(super) fn none() -> Self {
        Self(String::new())
    }
}

/// Questions after its health in a row that it did not answer well, until it is left out.
const UNREADY: u32 = 2;

/// One instance.
#[derive(Debug)]
pub(super) struct Instance {
    authority: Authority,
    is_secure: bool,
    wire: Arc<Wire>,
    breaker: Mutex<Breaker>,
    in_flight: AtomicUsize,
    /// Times in a row that it said it is not ready, or nothing.
    unready: AtomicU32,
}

/// Why an instance did not answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was asked.
    Unreachable(String),
    /// It did not answer in time.
    Late(String),
    /// It broke off, or speaks no HTTP.
    Broken(String),
    /// It was the caller's own.
    Caller(Problem),
}

impl Instance {
    /// The instance at `url` (`http://host:port`, or `https://host:port` where `way` has whom to believe).
    ///
    /// # Errors
    /// When the URL has another form.
    pub(super) fn new(url: &str, way: &Way) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError(url.to_owned());
        let uri = http::Uri::try_from(url).map_err(|_| wrong())?;
        let (tls, usual) = match uri.scheme().map(Scheme::as_str) {
            Some("http") => (None, 80),
            Some("https") => (Some(way.tls.clone().ok_or_else(wrong)?), 443),
            _ => return Err(wrong()),
        };
        let plain = uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|authority| plain && !authority.as_str().contains('@'));
        let authority = authority.cloned().ok_or_else(wrong)?;
        let (host, port) = (authority.host().to_owned(), authority.port_u16().unwrap_or(usual));
        let is_secure = tls.is_some();
        let wire = Arc::new(Wire::new(host, port, tls, way.pace));
        let (in_flight, unready) = (AtomicUsize::new(0), AtomicU32::new(0));
        Ok(Self { authority, is_secure, wire, breaker: Mutex::default(), in_flight, unready })
    }

    /// Where it is, for people.
    pub(super) fn url(&self) -> String {
        format!("{}://{}", if self.is_secure { "https" } else { "http" }, self.authority)
    }

    /// `host:port`, as its Host.
    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Requests that wait for an answer's head now.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it said that it is ready, when it was asked last.
    pub(super) fn is_ready(&self) -> bool {
        self.unready.load(Ordering::Relaxed) < UNREADY
    }

    /// It was asked whether it is ready.
    pub(super) fn was_asked(&self, is_ready: bool) {
        if is_ready {
            self.unready.store(0, Ordering::Relaxed);
        } else {
            self.unready.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How its breaker stands.
    pub(super) fn standing(&self) -> Standing {
        self.breaker().standing()
    }

    /// The right to ask it once.
    pub(super) fn admit(&self, is_last: bool) -> Option<Visit<'_>> {
        let pass = self.breaker().admit(Instant::now(), is_last)?;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Visit { instance: self, pass: Some(pass) })
    }

    /// Asks beside the breaker, as those do who look after it.
    pub(super) async fn ask_now(&self, request: Request, patience: Duration) -> Result<Response, Failure> {
        let answer = timeout(patience, self.wire.ask(request, is_live)).await;
        let answer = answer.map_err(|_| Failure::Late("no answer in time".to_owned()))?;
        hop::received(answer.map_err(Failure::from)?).map_err(Failure::Broken)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No role says this of itself: it comes from something on the way to it.
fn is_of_the_way(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
}

/// One request at an instance. It is given back when it is dropped: by a caller who leaves, or by whoever may not
/// ask after all.
#[derive(Debug)]
pub(super) struct Visit<'i> {
    instance: &'i Instance,
    pass: Option<Pass>,
}

impl Visit<'_> {
    /// Asks; the answer's head may take `patience`.
    pub(super) async fn ask(mut self, mut request: Request, patience: Duration) -> Result<Response, Failure> {
        hop::address(&mut request, self.instance.authority(), patience);
        let answer = self.instance.ask_now(request, patience).await;
        match &answer {
            Ok(answer) => self.ended(!is_of_the_way(answer.status())),
            // What the caller did wrong says nothing about the instance.
            Err(Failure::Caller(_)) => {}
            Err(_) => self.ended(false),
        }
        answer
    }

    fn ended(&mut self, is_good: bool) {
        if let Some(pass) = self.pass.take() {
            self.instance.breaker().ended(pass, is_good, Instant::now());
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.instance.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(pass) = self.pass.take() {
            self.instance.breaker().dropped(pass);
        }
    }
}

/// Whose fault it was: the caller's body, an instance that is not there, or one that broke off.
impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Unreachable(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::Late(error.to_string())
            }
            WireError::Unreachable(error) => Self::Unreachable(error.to_string()),
            WireError::Broken(error) if cause::<BodyError>(&error).is_some() => {
                Self::Caller(Problem::of_body(&error))
            }
            WireError::Broken(error) => Self::Broken(chain(&error)),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(inner) => Self::unavailable("role_unreachable", 2)
                .detail("The role that answers this is not running, or cannot be reached.")
                .inner(inner),
            Failure::Late(inner) => Self::new(StatusCode::GATEWAY_TIMEOUT, "role_timeout")
                .detail("The role that answers this took too long.")
                .inner(inner)
                .retry_after(5),
            Failure::Broken(inner) => Self::new(StatusCode::BAD_GATEWAY, "role_broke_off")
                .detail("The role that answers this broke off.")
                .inner(inner)
                .retry_after(2),
            Failure::Caller(problem) => problem,
        }
    }
}

/// An error with its causes in one line.
fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}
