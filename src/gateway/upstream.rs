//! One role as the gateway reaches it: a call in this process, or HTTP to another.
//!
//! It must not know which requests go where, nor what they mean.

use crate::web::auth::X_API_KEY;
use crate::web::body::{BodyError, Pace, cause};
use crate::web::edge::{self, strip_hop_headers};
use crate::web::tls::Secured;
use crate::web::vouch::{self, X_FORWARDED_FOR};
use crate::web::{App, Body, Peer, Problem, Request, Response};
use http::header::{self, CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, StatusCode, Uri, Version};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Where a role is.
pub enum Upstream {
    /// In this process.
    Local(Arc<App>),
    /// At a URL.
    Remote(Box<Remote>),
}

impl Upstream {
    /// Answers `request` for the caller at `peer`.
    ///
    /// # Errors
    /// When a remote role cannot be reached or does not answer: 502, 503 or 504, worth another try later.
    pub async fn call(&self, request: Request, peer: Peer) -> Result<Response, Problem> {
        match self {
            Self::Local(app) => Ok(app.answer(request, peer).await),
            Self::Remote(remote) => remote.call(request, peer).await,
        }
    }

    /// Where it is, for people.
    pub fn url(&self) -> String {
        match self {
            Self::Local(_) => "in-process".to_owned(),
            Self::Remote(remote) => format!("http://{}", remote.authority),
        }
    }
}

/// Why a URL does not name a role.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the URL of a role: it has the form http://host:port")]
pub struct UpstreamError(String);

/// A role at a URL, with a pool of connections to it.
pub struct Remote {
    authority: Authority,
    client: Client<HttpConnector, Body>,
    patience: Duration,
    key: Option<HeaderValue>,
    /// What the role believes when it is told for whom is asked.
    word: Option<HeaderValue>,
}

/// A connection that is idle longer than this is not used again: well below what the other side closes at.
const IDLE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
/// A role may think longer about what it was sent than about a question.
const BODY_PATIENCE: u32 = 10;

/// Headers for one hop only (RFC 9110, 7.6.1), and what is said anew at each hop.
const HOP: [HeaderName; 10] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    X_FORWARDED_FOR,
];

impl Remote {
    /// The role at `url` (`http://host:port`), which may take `patience` for the head of an answer.
    ///
    /// # Errors
    /// When the URL has another form.
    pub fn new(url: &str, patience: Duration) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError(url.to_owned());
        let uri = Uri::try_from(url).map_err(|_| wrong())?;
        let plain = uri.scheme() == Some(&Scheme::HTTP) && uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|authority| plain && !authority.as_str().contains('@'));
        let authority = authority.cloned().ok_or_else(wrong)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self { authority, client, patience, key: None, word: None })
    }

    /// Gives the callers that are the administrator without a key, those of the socket in the data folder, the
    /// administrator's, and has the role believe for whom all others ask: what it sees is a connection like any other.
    #[must_use]
    pub fn with_key(mut self, mut key: HeaderValue) -> Self {
        key.set_sensitive(true);
        // Hexadecimal digits fit a header.
        self.word = HeaderValue::try_from(vouch::word(key.as_bytes())).ok().map(|mut word| {
            word.set_sensitive(true);
            word
        });
        self.key = Some(key);
        self
    }

    /// How long it may take for the head of an answer.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    async fn call(&self, mut request: Request, peer: Peer) -> Result<Response, Problem> {
        self.prepare(&mut request, peer)?;
        let patience = self.patience * if request.body().is_end_stream() { 1 } else { BODY_PATIENCE };
        let answer = tokio::time::timeout(patience, self.client.request(request)).await;
        let answer = answer.map_err(|_| unanswered("no answer in time"))?.map_err(|error| failure(&error))?;
        received(answer)
    }

    fn prepare(&self, request: &mut Request, peer: Peer) -> Result<(), Problem> {
        let secured = request.extensions().get::<Secured>().copied();
        let headers = request.headers_mut();
        strip(headers)?;
        headers.remove(header::HOST);
        match (peer, &self.key) {
            (Peer::Tcp(_) | Peer::Behind(_), _) => {
                vouch::introduce(headers, peer, secured, self.word.as_ref());
            }
            // A key of the caller's own has been found right before.
            (Peer::Local, Some(key)) => _ = headers.insert(X_API_KEY, key.clone()),
            (Peer::Local, None) => {}
        }
        *request.version_mut() = Version::HTTP_11;
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
            .build()
            .map_err(Problem::internal)?;
        Ok(())
    }
}

fn strip(headers: &mut HeaderMap) -> Result<(), Problem> {
    strip_hop_headers(headers)?;
    for name in &HOP {
        headers.remove(name);
    }
    edge::strip_internal(headers);
    Ok(())
}

/// The answer to hand on: its body streams, watched for stalls unless it is one that waits by nature.
fn received(answer: http::Response<Incoming>) -> Result<Response, Problem> {
    let (mut parts, incoming) = answer.into_parts();
    strip(&mut parts.headers).map_err(|problem| broken(problem.code()))?;
    parts.version = Version::HTTP_11;
    let events =
        parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let body = if events { Body::stream(incoming) } else { Body::received(incoming, Pace::default()) };
    Ok(Response::from_parts(parts, body))
}

/// Whose fault it was: the caller's body, a role that is not there, or one that broke off.
fn failure(error: &Error) -> Problem {
    if cause::<BodyError>(error).is_some() {
        return Problem::of_body(error);
    }
    let timed_out = cause::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
    match (error.is_connect(), timed_out) {
        (true, false) => Problem::unavailable("role_unreachable", 2)
            .detail("The role that answers this is not running, or cannot be reached.")
            .inner(chain(error)),
        (true, true) => unanswered(&chain(error)),
        (false, _) => broken(&chain(error)),
    }
}

fn unanswered(inner: &str) -> Problem {
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "role_timeout")
        .detail("The role that answers this took too long.")
        .inner(inner)
        .retry_after(5)
}

fn broken(inner: &str) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "role_broke_off")
        .detail("The role that answers this broke off.")
        .inner(inner)
        .retry_after(2)
}

/// An error with its causes in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}
