//! Requests to one portal: one after the other, at a pace, with the session's cookies, and answers
//! read within limits.
//!
//! Redirects are not followed here: for a portal they are answers ("log in first").

use super::jar::Jar;
use crate::collect::told::told;
use crate::fetch::Failure;
use crate::fetch::{Denied, FetchError, FetchSettings, Fetcher, Url};
use bytes::Bytes;
use encoding_rs::EUC_KR;
use reqwest::header::{COOKIE, LOCATION, REFERER, SET_COOKIE};
use reqwest::{RequestBuilder, StatusCode};
use std::borrow::Cow;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep_until};

/// Why no answer came.
#[derive(Debug, Error)]
pub enum WebError {
    /// The request failed, or may not be made.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A redirect to somebody else, who gets none of our cookies.
    #[error("the portal leads to another host, {0}; check base_url and the proxy")]
    Elsewhere(String),
    /// A page that is none; nothing of it was read.
    #[error("the portal sends a page of more than {limit} bytes; see whether it has changed", limit = LARGEST_PAGE)]
    LargePage,
}

/// More than any page of a portal has, unpacked. It is looked through within the service, other than files.
pub const LARGEST_PAGE: usize = 4 << 20;

/// How large an answer may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// Up to [`LARGEST_PAGE`].
    Page,
    /// As large as any list that is fetched.
    File,
}

impl WebError {
    /// What to do.
    pub fn kind(&self) -> Failure {
        match self {
            Self::Fetch(error) => error.kind(),
            Self::Elsewhere(_) | Self::LargePage => Failure::Broken,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.code(),
            Self::Elsewhere(_) => "led_elsewhere",
            Self::LargePage => "page_too_large",
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
    fetcher: Fetcher,
    base: Url,
    pause: Duration,
    jar: Jar,
    next: Option<Instant>,
}

impl Web {
    /// A session that has not begun. Requests begin `pause` apart.
    ///
    /// # Errors
    /// The settings cannot be used, or `base` is no URL that may be asked.
    pub fn new(settings: FetchSettings, base: &str, pause: Duration) -> Result<Self, WebError> {
        let fetcher = Fetcher::new(settings)?;
        let base = base.parse().map_err(|_| FetchError::Denied(Denied::NoHost))?;
        // No request ever goes to another host, so this is the check of every one.
        fetcher.check(&base)?;
        Ok(Self { fetcher, base, pause, jar: Jar::default(), next: None })
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

    /// Asks for a page or a file.
    ///
    /// # Errors
    /// No whole answer came, or too large a one.
    pub async fn get(&mut self, path: &str, query: &[(&str, &str)], size: Size) -> Result<Answer, WebError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.fetcher.client().get(url), size).await
    }

    /// Sends a form, as the page `from` would.
    ///
    /// # Errors
    /// No whole answer came, or too large a one.
    pub async fn post(
        &mut self,
        path: &str,
        from: &str,
        form: &[(&str, &str)],
        size: Size,
    ) -> Result<Answer, WebError> {
        let request = self.fetcher.client().post(self.url(path)).form(form);
        self.send(request.header(REFERER, self.url(from).as_str()), size).await
    }

    /// Sends a form as a script of the page `from` would.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn call(&mut self, path: &str, from: &str, form: &[(&str, &str)]) -> Result<Answer, WebError> {
        let request = self.fetcher.client().post(self.url(path)).form(form);
        let request = request.header(REFERER, self.url(from).as_str());
        self.send(request.header("X-Requested-With", "XMLHttpRequest"), Size::Page).await
    }

    /// Goes where a redirect leads, if that is on this portal.
    ///
    /// # Errors
    /// It is not, or no whole answer came.
    pub async fn follow(&mut self, location: &str) -> Result<Answer, WebError> {
        let there = self.base.join(location).map_err(|_| WebError::Elsewhere(told(location)))?;
        if there.host() != self.base.host() {
            return Err(WebError::Elsewhere(there.host_str().unwrap_or_default().to_owned()));
        }
        // Scheme and port stay: behind a proxy portals often name the wrong ones.
        let mut url = self.url(there.path());
        url.set_query(there.query());
        self.send(self.fetcher.client().get(url), Size::Page).await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    async fn send(&mut self, request: RequestBuilder, size: Size) -> Result<Answer, WebError> {
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
        self.next = Some(Instant::now() + self.pause);
        let cookies = self.jar.header();
        let request = cookies.into_iter().fold(request, |request, all| request.header(COOKIE, all));
        let response = request.send().await.map_err(FetchError::from)?;
        for header in response.headers().get_all(SET_COOKIE) {
            self.jar.take(&String::from_utf8_lossy(header.as_bytes()));
        }
        let (status, location) = (response.status(), response.headers().get(LOCATION));
        let location = location.map(|at| String::from_utf8_lossy(at.as_bytes()).into_owned());
        let body = match size {
            Size::File => self.fetcher.read(response).await?,
            Size::Page => match self.fetcher.read_at_most(response, LARGEST_PAGE as u64).await {
                Err(FetchError::TooLarge { limit, .. }) if limit == LARGEST_PAGE as u64 => {
                    return Err(WebError::LargePage);
                }
                body => body?,
            },
        };
        Ok(Answer { status, location, body })
    }
}
