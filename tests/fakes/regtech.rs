//! A REGTECH to be asked, with all its moods.

use super::books;
use super::data::{self, Row};
use super::regtech_pages as pages;
use super::server::{Asked, Manner, Portal, Reply};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use serde_json::json;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

pub(crate) const USER: &str = "analyst";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const LOGIN_PAGE: &str = "/login/loginForm";
pub(crate) const FIND_MEMBER: &str = "/member/findOneMember";
pub(crate) const ADD_LOGIN: &str = "/login/addLogin";
pub(crate) const LIST: &str = "/fcti/securityAdvisory/advisoryList";
pub(crate) const WORKBOOK: &str = "/fcti/securityAdvisory/advisoryListDownloadXlsx";
/// Wrong logins after which the account is locked.
const LOCK: u32 = 5;

/// What the portal does in place of answering one request for data.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The session is over: leads to the login page (302), or says so by 401 or 500.
    SessionOver(u16),
    Status(u16),
    Empty,
    LoginPage,
    NoTable,
    NoSheets,
    /// A few bytes.
    Stub,
    /// The list's page for the workbook.
    PageForWorkbook,
    Bomb,
    CutOff,
    Drip(usize, Duration),
    /// The page before, again.
    Repeat,
    /// Rows that were put in front since the page before.
    Shift(u32),
    /// Bytes in EUC-KR.
    EucKr,
    /// A page of the test's own.
    Html(&'static str),
    /// One whose bytes are packed by gzip.
    Packed(&'static [u8]),
}

/// A login as it arrived at the portal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Login {
    pub(crate) password: String,
    pub(crate) is_right: bool,
}

/// How the second step answers a right password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum SecondStep {
    #[default]
    Succeeds,
    /// Leads to a URL with `error=true`.
    Errs,
    /// Shows the login page again.
    ShowsLogin,
    /// Leads to the main page, which then shows no session.
    Forgets,
}

/// The portal's state; tests change it as they go.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) password: String,
    pub(crate) rows: Vec<Row>,
    /// The workbook has all tabs.
    pub(crate) all_tabs: bool,
    /// What the first step answers whatever comes: a code and a message.
    pub(crate) member: Option<(&'static str, &'static str)>,
    pub(crate) second_step: SecondStep,
    /// Seconds for which a session's token is good; none: there is no such cookie.
    pub(crate) token_seconds: Option<i64>,
    /// Only addresses in Korea are served, and ours is none.
    pub(crate) is_foreign: bool,
    /// What becomes of the next requests for data.
    pub(crate) faults: VecDeque<Fault>,
    /// What becomes of all of them.
    pub(crate) mood: Option<Fault>,
    /// What the next requests of the login get: a status, or nothing for 200.
    pub(crate) login_faults: VecDeque<(&'static str, u16)>,
    /// Every time a password came in the first step.
    pub(crate) logins: Vec<Login>,
    pub(crate) wrong: u32,
    sessions: HashSet<String>,
    made: u32,
    last_page: u64,
}

/// The portal.
pub(crate) type Regtech = Portal<State>;

impl Regtech {
    /// A portal in good order with these rows, newest first.
    pub(crate) fn start(rows: Vec<Row>) -> Self {
        let password = PASSWORD.to_owned();
        Self::with(State { password, rows, token_seconds: Some(3_600), ..State::default() }, State::answer)
    }

    /// Sets what becomes of the next requests for data.
    pub(crate) fn misbehave(&self, faults: impl IntoIterator<Item = Fault>) {
        self.set(|state| state.faults.extend(faults));
    }

    /// Logins with a wrong password, and whether the account was locked by them.
    pub(crate) fn wrong_logins(&self) -> (u32, bool) {
        let wrong = self.state().wrong;
        (wrong, wrong >= LOCK)
    }
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let fault = self.login_faults.front().copied().filter(|(path, _)| *path == asked.path);
        if let Some((_, status)) = fault {
            self.login_faults.pop_front();
            return Reply::status(status);
        }
        let reply = match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", LOGIN_PAGE) => {
                Reply::html(pages::login()).cookie("regtech-front=visitor; Path=/; HttpOnly")
            }
            ("POST", FIND_MEMBER) if self.is_foreign => Reply::status(406),
            ("POST", FIND_MEMBER) => self.find_member(asked),
            ("POST", ADD_LOGIN) => self.add_login(asked),
            ("GET", "/main/main") if self.is_known(asked) => Reply::html(pages::main_page()),
            ("GET", "/main/main") => Reply::html(pages::without_table()),
            ("POST", LIST | WORKBOOK) => self.data(asked),
            _ => Reply::status(404),
        };
        reply.header("server", "Apache")
    }

    fn find_member(&mut self, asked: &Asked) -> Reply {
        let password = asked.value("memberPw").to_owned();
        let is_right = asked.value("memberId") == USER && password == self.password;
        self.logins.push(Login { password, is_right });
        let say = |code: &str, message: &str| Reply::json(&json!({"code": code, "message": message}));
        if let Some((code, message)) = self.member {
            return say(code, message);
        }
        match (self.wrong >= LOCK, is_right) {
            (true, _) => say("E00010204", "로그인 5회 실패로 계정이 잠겼습니다."),
            (false, true) => Reply::json(&json!({"code": null, "message": ""})),
            (false, false) => {
                self.wrong += 1;
                say("E00010201", "아이디 또는 비밀번호가 일치하지 않습니다.")
            }
        }
    }

    fn add_login(&mut self, asked: &Asked) -> Reply {
        let is_right = asked.value("username") == USER && asked.value("password") == self.password;
        let is_whole = asked.values.contains_key("txId") && asked.value("smsTimeExcess") == "N";
        match self.second_step {
            SecondStep::ShowsLogin => Reply::html(pages::login()),
            SecondStep::Forgets => Reply::redirect("/main/main"),
            SecondStep::Succeeds if is_right && is_whole && self.wrong < LOCK => self.session(),
            _ => Reply::redirect("/login/loginForm?error=true"),
        }
    }

    fn session(&mut self) -> Reply {
        self.made += 1;
        let front = format!("session-{}", self.made);
        let reply = Reply::redirect("/main/main").cookie(&format!("regtech-front={front}; Path=/; HttpOnly"));
        self.sessions.insert(front);
        let Some(seconds) = self.token_seconds else { return reply };
        let claims = json!({"username": USER, "exp": chrono::Utc::now().timestamp() + seconds}).to_string();
        let token =
            [r#"{"alg":"HS512"}"#, &claims, "signature"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        reply.cookie(&format!("regtech-va=Bearer{token}; Path=/; HttpOnly"))
    }

    fn is_known(&self, asked: &Asked) -> bool {
        asked.cookie("regtech-front").is_some_and(|session| self.sessions.contains(session))
    }

    /// Every session is over.
    pub(crate) fn forget_sessions(&mut self) {
        self.sessions.clear();
    }

    fn data(&mut self, asked: &Asked) -> Reply {
        if !self.is_known(asked) {
            return Reply::redirect("/login/loginForm");
        }
        match self.faults.pop_front().or(self.mood) {
            None => self.good(asked),
            Some(Fault::SessionOver(status)) => {
                self.forget_sessions();
                if status == 302 { Reply::redirect("/login/loginForm") } else { Reply::status(status) }
            }
            Some(Fault::Status(status)) => Reply::status(status),
            Some(Fault::Empty) => Reply::default(),
            Some(Fault::LoginPage) => attached(pages::login()),
            Some(Fault::NoTable) => Reply::html(pages::without_table()),
            Some(Fault::NoSheets) => attached(books::no_sheets()),
            Some(Fault::Stub) => attached("NO DATA"),
            Some(Fault::PageForWorkbook) => attached(pages::list(&[], 0)),
            Some(Fault::Bomb) => attached(books::bomb()),
            Some(Fault::CutOff) => self.good(asked).manner(Manner::CutOff),
            Some(Fault::Drip(piece, pause)) => self.good(asked).manner(Manner::Drip(piece, pause)),
            Some(Fault::Repeat) => self.page(asked, self.last_page),
            Some(Fault::Shift(count)) => {
                self.shift(count);
                self.good(asked)
            }
            Some(Fault::EucKr) => self.in_euc_kr(asked),
            Some(Fault::Html(text)) => Reply::html(text),
            Some(Fault::Packed(bytes)) => Reply::html(bytes).header("content-encoding", "gzip"),
        }
    }

    /// Puts new rows in front of the period's newest.
    fn shift(&mut self, count: u32) {
        let newest = self.rows.first().map_or_else(NaiveDate::default, |row| row.listed);
        let known = self.rows.len() as u32;
        let new = (known..known + count).rev().map(|n| data::row(n, newest));
        self.rows.splice(..0, new.collect::<Vec<_>>());
    }

    fn good(&mut self, asked: &Asked) -> Reply {
        if asked.path == LIST {
            let page = asked.value("page").parse().unwrap();
            self.last_page = page;
            return self.page(asked, page);
        }
        // The page's own script refuses such periods; what the portal does with them nobody has seen.
        let is_asked_rightly =
            asked.value("excelDownload") == "blacklist," && asked.value("excelDown") == "blacklist";
        if !is_asked_rightly {
            return attached(books::no_sheets());
        }
        attached(books::regtech(&self.listed(asked), self.all_tabs))
    }

    fn page(&self, asked: &Asked, page: u64) -> Reply {
        Reply::html(self.page_text(asked, page))
    }

    fn page_text(&self, asked: &Asked, page: u64) -> String {
        let size = asked.value("size").parse().ok().filter(|size| [10, 30, 50].contains(size)).unwrap_or(10);
        let rows = self.listed(asked);
        let shown: Vec<Row> = rows.iter().skip(page as usize * size).take(size).cloned().collect();
        pages::list(&shown, rows.len())
    }

    fn in_euc_kr(&self, asked: &Asked) -> Reply {
        let text = self.page_text(asked, asked.value("page").parse().unwrap());
        let (bytes, _, _) = encoding_rs::EUC_KR.encode(&text);
        Reply::bytes(bytes.into_owned()).header("content-type", "text/html;charset=EUC-KR")
    }

    /// The rows of the period that is asked for.
    fn listed(&self, asked: &Asked) -> Vec<Row> {
        let day = |name| NaiveDate::parse_from_str(asked.value(name), "%Y%m%d").unwrap();
        let (first, last) = (day("startDate"), day("endDate"));
        self.rows.iter().filter(|row| first <= row.listed && row.listed <= last).cloned().collect()
    }
}

/// A download as the portal announces it, whatever it holds.
fn attached(bytes: impl Into<bytes::Bytes>) -> Reply {
    Reply::bytes(bytes).header("content-disposition", "attachment; filename=\"fctiList_20260610120000.xlsx\"")
}
