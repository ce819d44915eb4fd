//! Requests to one portal: one after the other, at a pace, with the session's cookies, and answers
//! read within limits.
//!
//! Redirects are not followed here: for a portal they are answers ("log in first").

use super::jar::Jar;
use crate::collect::failure::Failure;
use bytes::{Bytes, BytesMut};
use encoding_rs::EUC_KR;
use reqwest::header::{COOKIE, LOCATION, REFERER, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use std::borrow::Cow;
use std::error::Error as _;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep_until};

/// How fast a portal may be asked, and how slowly and how much it may answer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Between the beginnings of two requests.
    pub pause: Duration,
    /// For a whole answer, its last byte included.
    pub time: Duration,
    /// Bytes of an answer, unpacked.
    pub size: u64,
}

/// Why no answer came.
#[derive(Debug, Error)]
pub enum WebError {
    /// The configured base URL is none.
    #[error("`{0}` is not the URL of a portal; correct base_url")]
    BadUrl(String),
    /// No connection, or it broke, or the answer was cut off.
    #[error("the portal cannot be reached, or its answer was cut off: {0}")]
    Transport(String),
    /// It took too long.
    #[error("the portal did not finish its answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The answer is larger than allowed.
    #[error("the portal's answer is larger than {0} bytes")]
    TooLarge(u64),
    /// A redirect to somebody else, who gets none of our cookies.
    #[error("the portal leads to another host, {0}; check base_url and the proxy")]
    Elsewhere(String),
}

impl WebError {
    /// What to do.
    pub const fn kind(&self) -> Failure {
        match self {
            Self::BadUrl(_) => Failure::Attention,
            Self::Transport(_) | Self::Timeout(_) => Failure::SOON,
            Self::TooLarge(_) | Self::Elsewhere(_) => Failure::Broken,
        }
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadUrl(_) => "bad_base_url",
            Self::Transport(_) => "unreachable",
            Self::Timeout(_) => "timeout",
            Self::TooLarge(_) => "answer_too_large",
            Self::Elsewhere(_) => "led_elsewhere",
        }
    }
}

/// What the portal said.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// Where it leads, as it says.
    pub location: Option<String>,
    /// All of it.
    pub body: Bytes,
}

impl Answer {
    /// The body as text: UTF-8, or EUC-KR as older Korean servers write; never an error.
    pub fn text(&self) -> Cow<'_, str> {
        if let Ok(text) = std::str::from_utf8(&self.body) {
            return Cow::Borrowed(text);
        }
        let korean = EUC_KR.decode_without_bom_handling_and_without_replacement(&self.body);
        korean.unwrap_or_else(|| String::from_utf8_lossy(&self.body))
    }

    /// Whether it is a page: the first thing in it is a tag.
    pub fn is_html(&self) -> bool {
        let body = self.body.trim_ascii_start();
        body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start().starts_with(b"<")
    }
}

/// One session with one portal.
pub struct Web {
    http: reqwest::Client,
    base: Url,
    limits: Limits,
    jar: Jar,
    next: Option<Instant>,
}

impl Web {
    /// `http` must neither follow redirects nor keep cookies of its own.
    ///
    /// # Errors
    /// [`WebError::BadUrl`].
    pub fn new(http: reqwest::Client, base: &str, limits: Limits) -> Result<Self, WebError> {
        let url =
            base.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = url.ok_or_else(|| WebError::BadUrl(base.to_owned()))?;
        Ok(Self { http, base, limits, jar: Jar::default(), next: None })
    }

    /// Forgets the session.
    pub fn forget(&mut self) {
        self.jar = Jar::default();
    }

    /// A cookie of the session.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.jar.get(name)
    }

    /// Sets a cookie, as a portal's own script would.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.jar.set(name, value);
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn get(&mut self, path: &str, query: &[(&str, &str)]) -> Result<Answer, WebError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.request(Method::GET, url)).await
    }

    /// Sends a form, as the page `from` would.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn post(&mut self, path: &str, from: &str, form: &[(&str, &str)]) -> Result<Answer, WebError> {
        let request = self.http.request(Method::POST, self.url(path)).form(form);
        self.send(request.header(REFERER, self.url(from).as_str())).await
    }

    /// Sends a form as a script of the page `from` would.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn call(&mut self, path: &str, from: &str, form: &[(&str, &str)]) -> Result<Answer, WebError> {
        let request = self.http.request(Method::POST, self.url(path)).form(form);
        let request = request.header(REFERER, self.url(from).as_str());
        self.send(request.header("X-Requested-With", "XMLHttpRequest")).await
    }

    /// Goes where a redirect leads, if that is on this portal.
    ///
    /// # Errors
    /// It is not, or no whole answer came.
    pub async fn follow(&mut self, location: &str) -> Result<Answer, WebError> {
        let there = self.base.join(location).map_err(|_| WebError::Elsewhere(location.to_owned()))?;
        if there.host() != self.base.host() {
            return Err(WebError::Elsewhere(there.host_str().unwrap_or_default().to_owned()));
        }
        // Scheme and port stay: behind a proxy portals often name the wrong ones.
        let mut url = self.url(there.path());
        url.set_query(there.query());
        self.send(self.http.request(Method::GET, url)).await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    async fn send(&mut self, request: RequestBuilder) -> Result<Answer, WebError> {
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
        self.next = Some(Instant::now() + self.limits.pause);
        let cookies = self.jar.header();
        let request = cookies.into_iter().fold(request, |request, all| request.header(COOKIE, all));
        let sent = request.timeout(self.limits.time).send().await;
        let response = sent.map_err(|error| self.fault(error))?;
        for header in response.headers().get_all(SET_COOKIE) {
            self.jar.take(&String::from_utf8_lossy(header.as_bytes()));
        }
        self.read(response).await
    }

    async fn read(&self, mut response: Response) -> Result<Answer, WebError> {
        let location = response.headers().get(LOCATION);
        let location = location.map(|at| String::from_utf8_lossy(at.as_bytes()).into_owned());
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.fault(error))? {
            if (body.len() + piece.len()) as u64 > self.limits.size {
                return Err(WebError::TooLarge(self.limits.size));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status: response.status(), location, body: body.freeze() })
    }

    fn fault(&self, error: reqwest::Error) -> WebError {
        if error.is_timeout() {
            return WebError::Timeout(self.limits.time);
        }
        // A URL may hold the session's token, which is for no log.
        let error = error.without_url();
        let mut told = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            told = format!("{told}: {deeper}");
            cause = deeper.source();
        }
        WebError::Transport(told)
    }
}
