//! What is asked of the portal, as its own page would ask.
//!
//! Knows how to log in and ask. Whoever uses it writes each login down before it is made, asks people
//! for codes, and remembers which attachments were read.

use super::error::Error;
use super::grid::{Attachment, Grid, Post, grid};
use super::settings::Settings;
use crate::collect::portal::{Answer, Gathering, Size, Web, WebError};
use crate::fetch::Failure;
use crate::fetch::FetchSettings;
use crate::fetch::budget::apart;
use crate::model::Day;
use bytes::Bytes;
use serde::Deserialize;
use std::time::Duration;

/// The name of the token in queries, and that of its cookie.
const QUERY: &str = "X-Auth-Token";
const COOKIE: &str = "token";
/// Somebody is logged in with the same account.
const ALREADY: &str = "already.login";
/// What an answer that asks for a one-time code talks of: the last is "certification".
const CODE: [&str; 3] = ["otp", "일회용", "인증"];
/// By what it cannot be mistaken. Such a code may itself be called a password, "to be used once".
const SURELY_CODE: [&str; 2] = ["otp", "일회용"];
/// What one that refuses talks of, though it may call itself a failed certification: "failed", "matches", "wrong".
const REFUSAL: [&str; 4] = ["실패", "일치", "틀", "잘못"];
/// And this one, unless it is the code's: "password".
const PASSWORD: [&str; 1] = ["비밀번호"];
const WORKBOOKS: [&[u8]; 2] = [b"PK", b"\xd0\xcf\x11\xe0"];

/// What a login came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Login {
    /// There is a session.
    Done,
    /// The portal has sent somebody six digits and waits for them. Every further attempt would send
    /// others.
    NeedsCode,
}

/// A client of the portal, with a session or without one. One run uses one.
pub struct Client {
    web: Web,
    settings: Settings,
    token: Option<String>,
}

#[derive(Deserialize)]
struct Told {
    response: Response,
}

/// What the portal says to a login; always with status 200.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Response {
    error: bool,
    message: Option<String>,
    code: Option<String>,
    token: Option<String>,
}

impl Response {
    fn asks_for_code(&self) -> bool {
        let is_of_password = self.talks_of(&PASSWORD) && !self.talks_of(&SURELY_CODE);
        self.talks_of(&CODE) && !self.talks_of(&REFUSAL) && !is_of_password
    }

    fn talks_of(&self, words: &[&str]) -> bool {
        let said = format!("{:?} {:?}", self.code, self.message).to_lowercase();
        words.iter().any(|word| said.contains(word))
    }

    fn refusal(self) -> Error {
        Error::Refused { code: self.code.unwrap_or_default(), message: self.message.unwrap_or_default() }
    }
}

impl Client {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// Settings that cannot be used, or a base URL that may not be asked.
    pub fn new(fetch: FetchSettings, settings: Settings) -> Result<Self, Error> {
        let web = Web::new(fetch, &settings.base_url, Duration::from_millis(settings.pause_ms))?;
        Ok(Self { web, settings, token: None })
    }

    /// Whether there is a session to end.
    pub fn is_logged_in(&self) -> bool {
        self.token.is_some()
    }

    /// Logs in; ends the session of somebody else only when the settings say so.
    ///
    /// # Errors
    /// The login failed, or it is unknown whether ([`Error::Unanswered`]).
    pub async fn login(&mut self, user: &str, password: &str) -> Result<Login, Error> {
        let mut told = self.attempt(user, password, "N", None).await?;
        if told.code.as_deref() == Some(ALREADY) {
            if !self.settings.take_over_session {
                return Err(Error::AlreadyLoggedIn);
            }
            told = self.attempt(user, password, "Y", None).await?;
        }
        self.settle(
            told,
            |told| if told.asks_for_code() { Ok(Login::NeedsCode) } else { Err(told.refusal()) },
        )
        .await
    }

    /// Goes on with a login for which a person has given the code.
    ///
    /// # Errors
    /// As [`Client::login`]; [`Error::WrongCode`]. A code is sent once.
    pub async fn login_with_code(&mut self, user: &str, password: &str, code: &str) -> Result<(), Error> {
        if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::BadCode);
        }
        // A code is good once: it is not wasted on being told that somebody is logged in.
        let expire = if self.settings.take_over_session { "Y" } else { "N" };
        let told = self.attempt(user, password, expire, Some(code)).await?;
        if told.code.as_deref() == Some(ALREADY) {
            return Err(Error::AlreadyLoggedIn);
        }
        let refused =
            |told: Response| Err(if told.talks_of(&CODE) { Error::WrongCode } else { told.refusal() });
        self.settle(told, refused).await.map(drop)
    }

    async fn attempt(
        &mut self,
        user: &str,
        password: &str,
        expire: &str,
        code: Option<&str>,
    ) -> Result<Response, Error> {
        self.token = None;
        self.web.forget();
        let form = [
            ("lang", "ko"),
            ("is_otp", if code.is_some() { "Y" } else { "N" }),
            ("is_expire", expire),
            ("login_name", user),
            ("password", password),
            ("otp_value", code.unwrap_or_default()),
        ];
        let path = self.settings.paths.login.clone();
        let answer = self.web.call(&path, "/", &form).await;
        let answer = answer.map_err(unanswered)?;
        let told = serde_json::from_slice::<Told>(&answer.body).ok().filter(|_| answer.status == 200);
        told.map(|told| told.response).ok_or_else(|| strange(&answer))
    }

    /// A session, if there is a token that opens something.
    async fn settle(
        &mut self,
        told: Response,
        refused: impl FnOnce(Response) -> Result<Login, Error>,
    ) -> Result<Login, Error> {
        let Some(token) = told.token.clone().filter(|token| !token.is_empty() && !told.error) else {
            return refused(told);
        };
        self.web.set_cookie(COOKIE, &token);
        self.token = Some(token);
        let path = self.settings.paths.myinfo.clone();
        match self.get(&path, &[]).await {
            Ok(_) => Ok(Login::Done),
            Err(Error::SessionGone) => Err(Error::Unproven),
            Err(error) => Err(error),
        }
    }

    /// All posts of a period, both days included, newest first.
    ///
    /// # Errors
    /// The list cannot be read whole.
    pub async fn posts(&mut self, first: Day, last: Day) -> Result<Vec<Post>, Error> {
        let mut posts = Gathering::new(Post::key);
        while let Some(page) = posts.next_page() {
            let Grid { total, posts: more } = self.page(first, last, page).await?;
            posts.add(more, total)?;
        }
        Ok(posts.finish()?)
    }

    async fn page(&mut self, first: Day, last: Day, page: u32) -> Result<Grid, Error> {
        let (first, last) = (first.to_string(), last.to_string());
        let count = self.settings.page_size.max(1);
        let start = (u64::from(page) * u64::from(count)).to_string();
        let count = count.to_string();
        let query = [
            ("sdate", first.as_str()),
            ("edate", &last),
            ("dateKey", "i.reg_date"),
            ("count", &count),
            ("posStart", &start),
            ("filter", ""),
        ];
        let path = self.settings.paths.list.clone();
        let answer = self.get(&path, &query).await?;
        apart(move || grid(&answer.body)).await.ok_or(Error::NotTheList)
    }

    /// The file that hangs on a post, known to be a workbook by its first bytes.
    ///
    /// # Errors
    /// It is something else.
    pub async fn attachment(&mut self, attachment: &Attachment) -> Result<Bytes, Error> {
        let Attachment { uuid, name } = attachment;
        let path = self.settings.paths.download.clone();
        let query = [("serverFileName", uuid.as_str()), ("fileName", name)];
        let answer = self.get_within(&path, &query, Size::File).await?;
        if WORKBOOKS.iter().any(|first| answer.body.starts_with(first)) {
            return Ok(answer.body);
        }
        let failure = match answer.body.trim_ascii().is_empty() {
            true => Error::EmptyAttachment,
            false if answer.is_html() => Error::PageForAttachment,
            false => Error::NotAWorkbook,
        };
        Err(failure(name.clone()))
    }

    /// Ends the session; without one it does nothing.
    ///
    /// # Errors
    /// No answer came, or one of refusal. The client has forgotten the session all the same.
    pub async fn logout(&mut self) -> Result<(), Error> {
        if !self.is_logged_in() {
            return Ok(());
        }
        let path = self.settings.paths.logout.clone();
        let ended = self.get(&path, &[]).await;
        self.token = None;
        self.web.forget();
        match ended {
            Ok(_) | Err(Error::SessionGone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks within the session.
    async fn get(&mut self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Error> {
        self.get_within(path, query, Size::Page).await
    }

    async fn get_within(&mut self, path: &str, query: &[(&str, &str)], size: Size) -> Result<Answer, Error> {
        let token = self.token.clone().ok_or(Error::SessionGone)?;
        let mut all = vec![(QUERY, token.as_str())];
        all.extend(query);
        let answer = self.web.get(path, &all, size).await?;
        match answer.status.as_u16() {
            200 => Ok(answer),
            401 => {
                self.token = None;
                Err(Error::SessionGone)
            }
            status => Err(Error::Status(status)),
        }
    }
}

/// Why a login has no answer; the password was not sent where there was no connection.
fn unanswered(error: WebError) -> Error {
    match &error {
        WebError::Fetch(fetch) if fetch.is_before_sending() => error.into(),
        _ => Error::Unanswered(error.to_string(), error.kind()),
    }
}

/// An answer to a login that does not say what became of it.
fn strange(answer: &Answer) -> Error {
    let kind = match answer.status.as_u16() {
        403 | 429 => Failure::Blocked,
        200 if answer.body.is_empty() => Failure::Blocked,
        500.. => Failure::SOON,
        _ => Failure::Broken,
    };
    Error::Unanswered(
        format!("the answer has status {} and is none that is known", answer.status.as_u16()),
        kind,
    )
}
