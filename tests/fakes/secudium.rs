//! A SECUDIUM to be asked, with all its moods.

use super::data::Row;
use super::server::{Asked, Manner, Portal, Reply};
use serde_json::{Value, json};
use std::collections::VecDeque;

pub(crate) const USER: &str = "watcher";
pub(crate) const PASSWORD: &str = "battery staple";
/// What the portal's text message says.
pub(crate) const CODE: &str = "481516";
pub(crate) const LOGIN: &str = "/isap-api/loginProcess";
pub(crate) const MYINFO: &str = "/isap-api/myinfo";
pub(crate) const LOGOUT: &str = "/isap-api/tokenout";
pub(crate) const POSTS: &str = "/isap-api/secinfo/list/black_ip";
pub(crate) const DOWNLOAD: &str = "/isap-api/file/SECINFO/download";
/// Wrong codes, or wrong passwords, after which the account is locked.
const CODES: u32 = 3;
const LOCK: u32 = 5;

/// What the portal does in place of answering one request after the login.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Status(u16),
    /// A page with status 200.
    Html,
    Empty,
    /// Bytes that are no workbook.
    Garbage,
    CutOff,
    /// The page before, again.
    Repeat,
}

/// A post, with or without an attachment.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) id: u32,
    pub(crate) title: String,
    /// `YYYY-MM-DD HH:MM:SS`.
    pub(crate) posted: String,
    /// Its name on the server, its name for people, its bytes.
    pub(crate) file: Option<(String, String, Vec<u8>)>,
}

impl Post {
    /// A post of a day, with that file.
    pub(crate) fn new(id: u32, day: &str, file: Option<(&str, Vec<u8>)>) -> Self {
        let named = |(name, bytes): (&str, Vec<u8>)| (format!("{id:08x}-file"), name.to_owned(), bytes);
        let title = format!("{day} Black IP (문의 10.20.30.{})", id % 250);
        Self { id, title, posted: format!("{day} 09:10:11"), file: file.map(named) }
    }
}

/// The portal's state; tests change it as they go.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) password: String,
    pub(crate) posts: Vec<Post>,
    /// Somebody is logged in with the account, and stays until thrown out.
    pub(crate) somebody: bool,
    /// A login needs a one-time code.
    pub(crate) needs_code: bool,
    /// What every login is answered: a code and a message.
    pub(crate) refusal: Option<(&'static str, &'static str)>,
    /// The token of a login opens nothing.
    pub(crate) dead_token: bool,
    pub(crate) login_faults: VecDeque<Reply>,
    pub(crate) faults: VecDeque<Fault>,
    /// Passwords that came, in order.
    pub(crate) logins: Vec<String>,
    pub(crate) wrong: u32,
    /// One-time codes that were sent out, and wrong ones that came back.
    pub(crate) codes_sent: u32,
    pub(crate) wrong_codes: u32,
    /// Sessions of others that were ended.
    pub(crate) thrown_out: u32,
    pub(crate) token: Option<String>,
    last: u64,
}

/// The portal.
pub(crate) type Secudium = Portal<State>;

impl Secudium {
    /// A portal in good order with these posts, newest first.
    pub(crate) fn start(posts: Vec<Post>) -> Self {
        let password = PASSWORD.to_owned();
        Self::with(State { password, posts, ..State::default() }, State::answer)
    }

    /// Whether the account is locked, by wrong passwords or wrong codes.
    pub(crate) fn is_locked(&self) -> bool {
        self.state().is_locked()
    }
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Reply {
        if asked.path == LOGIN {
            return self.login_faults.pop_front().unwrap_or_else(|| self.login(asked));
        }
        let given = (asked.value("X-Auth-Token"), asked.cookie("token").unwrap_or_default());
        let is_known = self.token.as_deref().is_some_and(|token| given == (token, token)) && !self.dead_token;
        match asked.path.as_str() {
            _ if !is_known => Reply::status(401),
            MYINFO => Reply::json(&json!({"response": {"error": false, "id": USER}})),
            LOGOUT => {
                self.token = None;
                Reply::json(&json!({"response": {"error": false}}))
            }
            POSTS | DOWNLOAD => self.data(asked),
            _ => Reply::status(404),
        }
    }

    fn is_locked(&self) -> bool {
        self.wrong >= LOCK || self.wrong_codes >= CODES
    }

    fn login(&mut self, asked: &Asked) -> Reply {
        let fields = ["lang", "is_otp", "is_expire", "login_name", "password", "otp_value"];
        assert!(fields.iter().all(|name| asked.values.contains_key(*name)), "{:?}", asked.values);
        self.logins.push(asked.value("password").to_owned());
        if let Some((code, message)) = self.refusal {
            return refuse(code, message);
        }
        if self.is_locked() {
            return refuse("account.lock", "계정이 잠겼습니다.");
        }
        if asked.value("login_name") != USER || asked.value("password") != self.password {
            self.wrong += 1;
            return refuse("login.fail", "아이디 또는 비밀번호를 확인하세요.");
        }
        if self.somebody && asked.value("is_expire") != "Y" {
            return refuse("already.login", "이미 로그인한 사용자가 있습니다.");
        }
        if self.needs_code && (asked.value("is_otp"), asked.value("otp_value")) != ("Y", CODE) {
            self.codes_sent += 1;
            self.wrong_codes += u32::from(asked.value("is_otp") == "Y");
            return refuse("otp.required", "인증번호를 입력하세요.");
        }
        self.thrown_out += u32::from(std::mem::take(&mut self.somebody));
        let token = format!("{USER}:{}:{}", 1_700_000_000 + self.logins.len(), "a1".repeat(32));
        self.token = Some(token.clone());
        Reply::json(
            &json!({"response": {"error": false, "message": "", "code": "", "token": token, "role": ["USER"]}}),
        )
    }

    fn data(&mut self, asked: &Asked) -> Reply {
        match self.faults.pop_front() {
            None => self.good(asked),
            Some(Fault::Status(status)) => Reply::status(status),
            Some(Fault::Html) => Reply::html("\n<html><body>로그인이 필요합니다</body></html>"),
            Some(Fault::Empty) => Reply::default(),
            Some(Fault::Garbage) => Reply::bytes("garbage".repeat(300)),
            Some(Fault::CutOff) => self.good(asked).manner(Manner::CutOff),
            Some(Fault::Repeat) => self.list(asked, self.last),
        }
    }

    fn good(&mut self, asked: &Asked) -> Reply {
        if asked.path == POSTS {
            let start = asked.value("posStart").parse().unwrap();
            self.last = start;
            return self.list(asked, start);
        }
        let wanted = |file: &&(String, String, Vec<u8>)| {
            (asked.value("serverFileName"), asked.value("fileName")) == (&file.0, &file.1)
        };
        let file = self.posts.iter().filter_map(|post| post.file.as_ref()).find(wanted);
        file.map_or_else(
            || Reply::html("<html>파일이 없습니다</html>"),
            |(_, _, bytes)| Reply::bytes(bytes.clone()),
        )
    }

    fn list(&self, asked: &Asked, start: u64) -> Reply {
        let (first, last) = (asked.value("sdate"), asked.value("edate"));
        assert_eq!(asked.value("dateKey"), "i.reg_date");
        let count = asked.value("count").parse().unwrap();
        let in_period = |post: &&Post| (first..=last).contains(&&post.posted[..10]);
        let posts: Vec<&Post> = self.posts.iter().filter(in_period).collect();
        let rows: Vec<Value> =
            posts.iter().skip(start as usize).take(count).map(|post| shown(post)).collect();
        Reply::json(&json!({"total_count": posts.len(), "pos": start, "rows": rows}))
    }
}

fn shown(post: &Post) -> Value {
    let button = post.file.as_ref().map_or_else(String::new, |(uuid, name, _)| {
        format!("<button type='button' onclick='download(\"{uuid}\",\"{name}\")'>다운로드</button>")
    });
    json!({"id": post.id, "data": ["", "", post.title, "관제센터", post.posted, button, 12, "N"], "userData": {"seq": post.id}})
}

fn refuse(code: &str, message: &str) -> Reply {
    Reply::json(
        &json!({"response": {"error": true, "message": message, "code": code, "token": null, "role": []}}),
    )
}

/// How an attachment writes the time of an attack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TimeForm {
    /// `2025-06-24 00:30:00.0`.
    Text,
    /// `2025. 0 6. 29. 오전 09:00`.
    Korean,
    /// A number: days since the end of 1899.
    Serial,
}

/// The rows of an attachment, header and all, as texts.
pub(crate) fn cells(rows: &[Row], form: TimeForm) -> Vec<Vec<String>> {
    let header = super::books::SECUDIUM.map(str::to_owned).to_vec();
    let severities = ["MINOR", "WARNING", "CRITICAL", "FATAL"];
    let kinds = ["Hacking", "Worm", "Scanning"];
    let row = |(n, row): (usize, &Row)| {
        let time = match form {
            TimeForm::Text => format!("{} 00:30:00.0", row.listed),
            TimeForm::Korean => row.listed.format("%Y. 0 %-m. %d. 오전 09:00").to_string(),
            TimeForm::Serial => format!("{}.375", row.listed.to_epoch_days() + 25_569),
        };
        let texts = [&time, kinds[n % 3], severities[n % 4], row.reason, &row.ip, row.country, "-"];
        texts.map(str::to_owned).to_vec()
    };
    std::iter::once(header).chain(rows.iter().enumerate().map(row)).collect()
}
