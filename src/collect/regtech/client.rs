//! What is asked of the portal, as its own page would ask.
//!
//! Knows how to log in and ask. Whoever uses it writes each login down before it is made, and decides
//! what is read next.

use super::answer::{self, Trouble};
use super::error::{Error, Refusal, Signal, Silence};
use super::list::{Page, Row};
use super::session::{Session, is_login_page};
use super::settings::Settings;
use super::windows::Window;
use crate::collect::portal::{Answer, Gathering, Scalar, Size, Web, WebError};
use crate::collect::told::told;
use crate::fetch::FetchSettings;
use crate::fetch::budget::apart;
use crate::model::Time;
use bytes::Bytes;
use serde::Deserialize;
use std::time::Duration;

/// Redirects after a login that are followed.
const HOPS: usize = 5;
/// What the portal's form for the list always says.
const FORM: [(&str, &str); 7] = [
    ("tabSort", "blacklist"),
    ("cveId", ""),
    ("ipId", ""),
    ("estId", ""),
    ("findCondition", "all"),
    ("findKeyword", ""),
    ("excelDownload", ""),
];

/// What an answer is read as.
type Reading<T> = fn(Answer) -> Result<T, Trouble>;

/// What the first step of a login says.
#[derive(Deserialize)]
struct Member {
    code: Code,
    #[serde(default)]
    message: Scalar,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Code {
    None(()),
    Text(String),
    Number(i64),
}

/// A client of the portal, with a session or without one. One run uses one.
pub struct Client {
    web: Web,
    settings: Settings,
    session: Option<Session>,
    was_lost: bool,
    signals: u32,
}

impl Client {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// Settings that cannot be used, or a base URL that may not be asked.
    pub fn new(fetch: FetchSettings, settings: Settings) -> Result<Self, Error> {
        let web = Web::new(fetch, &settings.base_url, Duration::from_millis(settings.pause_ms))?;
        Ok(Self { web, settings, session: None, was_lost: false, signals: 0 })
    }

    /// Whether a login must come before the next request: there is no session, or it ends within
    /// five minutes.
    pub fn needs_login(&self) -> bool {
        self.session.is_none_or(Session::is_old)
    }

    /// Logs in: four requests at most that are answered, two of which hold the password. Neither is
    /// ever repeated here.
    ///
    /// # Errors
    /// The login failed, or it is unknown whether ([`Error::Unanswered`]).
    pub async fn login(&mut self, user: &str, password: &str, now: Time) -> Result<(), Error> {
        self.session = None;
        self.web.forget();
        self.open_login_page().await?;
        self.find_member(user, password).await?;
        let landed = self.add_login(user, password).await?;
        let mut proof = Session::proven(&self.web, Some(&landed), now);
        if let (None, Some(location)) = (proof, landed.location) {
            let page = self.land(location).await?;
            proof = Session::proven(&self.web, Some(&page), now);
        }
        self.session = Some(proof.ok_or(Error::Unproven)?);
        Ok(())
    }

    /// The rows of a window as a workbook.
    ///
    /// # Errors
    /// [`Error::SessionLost`] once in a client's life; whatever else, by its name.
    pub async fn workbook(&mut self, window: Window) -> Result<Bytes, Error> {
        let extra = [("excelDownload", "blacklist,"), ("excelDown", "blacklist")];
        let path = self.settings.paths.workbook.clone();
        self.ask(&path, window, 0, &extra, (Size::File, answer::workbook)).await
    }

    /// A page of the list, from 0.
    ///
    /// # Errors
    /// As [`Client::workbook`].
    pub async fn page(&mut self, window: Window, page: u32) -> Result<Page, Error> {
        let path = self.settings.paths.list.clone();
        self.ask(&path, window, page, &[], (Size::Page, answer::page)).await
    }

    /// Reads on until `rows` are all rows of the window. After [`Error::SessionLost`] and a new login it
    /// goes on where it stopped.
    ///
    /// # Errors
    /// As [`Client::workbook`], and when the pages make no list.
    pub async fn gather(&mut self, window: Window, rows: &mut Gathering<Row>) -> Result<(), Error> {
        while let Some(number) = rows.next_page() {
            let page = self.page(window, number).await?;
            rows.add(page.rows, page.total)?;
        }
        Ok(())
    }

    /// Asks until there is data or three signs in a row that there will be none.
    async fn ask<T: Send + 'static>(
        &mut self,
        path: &str,
        window: Window,
        page: u32,
        extra: &[(&str, &str)],
        (size, read): (Size, Reading<T>),
    ) -> Result<T, Error> {
        let [first, last] = [window.first, window.last].map(|day| day.date().format("%Y%m%d").to_string());
        let (page, rows) = (page.to_string(), self.settings.page_size.to_string());
        let mut form = FORM.to_vec();
        form.retain(|(name, _)| extra.iter().all(|(other, _)| name != other));
        form.extend([("page", page.as_str()), ("size", &rows), ("startDate", &first), ("endDate", &last)]);
        form.extend(extra);
        loop {
            let list = self.settings.paths.list.clone();
            let answer = self.web.post(path, &list, &form, size).await?;
            match apart(move || read(answer)).await {
                Ok(data) => {
                    self.signals = 0;
                    return Ok(data);
                }
                Err(Trouble::Signal(signal)) => self.note(signal)?,
                Err(Trouble::SessionOver(how)) => return Err(self.lose(how)),
                Err(Trouble::Failed(error)) => return Err(self.fail(error)),
            }
        }
    }

    fn note(&mut self, signal: Signal) -> Result<(), Error> {
        self.signals += 1;
        if self.signals >= self.settings.signals { Err(Error::Blocked(signal)) } else { Ok(()) }
    }

    fn lose(&mut self, how: &'static str) -> Error {
        self.session = None;
        match std::mem::replace(&mut self.was_lost, true) {
            false => Error::SessionLost(how),
            true => Error::SessionLostAgain(how),
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        if matches!(error, Error::LoginPage) {
            self.session = None;
        }
        error
    }

    /// A page that is no login page gets no password.
    async fn open_login_page(&mut self) -> Result<(), Error> {
        let path = self.settings.paths.login_page.clone();
        loop {
            let answer = self.web.get(&path, &[], Size::Page).await?;
            match (answer.status.as_u16(), answer::signal(&answer)) {
                (_, Some(signal)) => self.note(signal)?,
                (406, None) => return Err(Error::Foreign),
                (200, None) if is_login_page(&answer) => return Ok(()),
                (200..500, None) => return Err(Error::NoLoginPage),
                (status, None) => return Err(Error::Status(status)),
            }
        }
    }

    /// The first step: the portal says what is wrong with the account, if anything is.
    async fn find_member(&mut self, user: &str, password: &str) -> Result<(), Error> {
        let paths = &self.settings.paths;
        let form = [("memberId", user), ("memberPw", password)];
        let answer = self.web.call(&paths.find_member, &paths.login_page, &form).await;
        let answer = answered(answer.map_err(unanswered)?)?;
        let strange = || Error::Unanswered(Silence::Strange(answer.status.as_u16()));
        let member: Member = serde_json::from_slice(&answer.body).map_err(|_| strange())?;
        let code = match member.code {
            Code::None(()) => String::new(),
            Code::Text(code) => code.trim().to_owned(),
            Code::Number(code) => code.to_string(),
        };
        match Refusal::of_code(&code, member.message.0.trim()) {
            Some(refusal) => Err(Error::Refused(refusal)),
            // A second step after a first that has not let the password pass would be a second wrong attempt.
            None if !self.settings.pass_codes.contains(&code) => {
                Err(Error::Unanswered(Silence::Code(told(&code))))
            }
            None => Ok(()),
        }
    }

    /// The second step: the portal makes a session and leads away from the login page.
    async fn add_login(&mut self, user: &str, password: &str) -> Result<Answer, Error> {
        let paths = &self.settings.paths;
        let form = [
            ("username", user),
            ("password", password),
            ("login_error", ""),
            ("txId", ""),
            ("token", ""),
            ("memberId", ""),
            ("smsTimeExcess", "N"),
        ];
        let answer = self.web.post(&paths.add_login, &paths.login_page, &form, Size::Page).await;
        // The first step has let the password pass, so that nothing is lost with a second one that was not sent.
        turned_away(answered(answer.map_err(unanswered)?)?)
    }

    /// Follows where the login leads.
    async fn land(&mut self, mut location: String) -> Result<Answer, Error> {
        for _ in 0..HOPS {
            let answer = self.web.follow(&location).await;
            let answer = answer.map_err(|error| Error::Unanswered(Silence::Web(error)))?;
            let answer = turned_away(answered(answer)?)?;
            match answer.location.clone().filter(|_| answer.status.is_redirection()) {
                Some(next) => location = next,
                None => return Ok(answer),
            }
        }
        Err(Error::Unproven)
    }
}

/// Why a step with the password has no answer; the password was not sent where there was no connection.
fn unanswered(error: WebError) -> Error {
    match &error {
        WebError::Fetch(fetch) if fetch.is_before_sending() => error.into(),
        _ => Error::Unanswered(Silence::Web(error)),
    }
}

/// An answer from which the fate of the password can be read.
fn answered(answer: Answer) -> Result<Answer, Error> {
    // Where a redirect is the answer, nothing need stand in it.
    let redirects = answer.status.is_redirection();
    match answer::signal(&answer).filter(|_| !redirects) {
        Some(signal) => Err(Error::Unanswered(Silence::Blocked(signal))),
        None if answer.status.as_u16() == 406 => Err(Error::Refused(Refusal::Foreign)),
        None if answer.status.is_success() || redirects => Ok(answer),
        None => Err(Error::Unanswered(Silence::Strange(answer.status.as_u16()))),
    }
}

/// The second step refuses by leading to an error, or by showing the login page again.
fn turned_away(answer: Answer) -> Result<Answer, Error> {
    let leads = |part| answer.location.as_deref().is_some_and(|at: &str| at.contains(part));
    if leads("error=true") || leads("/login/") || is_login_page(&answer) {
        return Err(Error::Refused(Refusal::TurnedAway));
    }
    Ok(answer)
}
