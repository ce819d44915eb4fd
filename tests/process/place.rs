//! Where a service collects from fakes: its folder, its configuration, and what people do with it.

use super::fakes::data::{Row, rows};
use super::fakes::regtech::{self, Regtech};
use super::fakes::secudium::Secudium;
use super::fakes::server::Server;
use super::house::{self, House, Plan, clean, ironlist, told, until};
use chrono::{Days, NaiveDate, Utc};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A data folder, and a configuration that lets fakes on the loopback be fetched.
pub(crate) struct Place {
    folder: TempDir,
    fetch: String,
}

impl Place {
    /// A place that may fetch from these ports, and is configured with these sources.
    pub(crate) fn new(ports: &[u16], sources: &str) -> Self {
        let fetch = format!("[fetch]\nexceptions = [\"127.0.0.0/8\"]\nports = {ports:?}\n");
        let place = Self { folder: TempDir::new().unwrap(), fetch };
        place.configure(sources);
        place
    }

    pub(crate) fn regtech(portal: &Regtech) -> Self {
        let place = Self::new(&[port(&portal.server)], "");
        place.configure(&source("regtech", portal.server.url(), "pause_ms = 0"));
        place
    }

    pub(crate) fn secudium(portal: &Secudium) -> Self {
        let place = Self::new(&[port(&portal.server)], "");
        place.configure(&source("secudium", portal.server.url(), "pause_ms = 0"));
        place
    }

    /// Configures these sources, and no others.
    pub(crate) fn configure(&self, sources: &str) {
        std::fs::write(self.config(), format!("{}{sources}", self.fetch)).unwrap();
    }

    /// A file beside the configuration; gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("ironlist.toml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan::new(&self.data()).argument("--config").argument(self.config())
    }

    /// A command of the program with this configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = ironlist(&self.data());
        command.arg("--config").arg(self.config()).args(arguments);
        command
    }

    /// What a command came to: its exit code and both streams.
    pub(crate) fn run(&self, line: &str) -> (i32, String, String) {
        let words: Vec<&str> = line.split(' ').collect();
        told(&self.command(&words).output().unwrap())
    }

    /// The same for one that takes a secret: through a pipe, and not to be seen in what it prints.
    pub(crate) fn say(&self, line: &str, secret: &str) -> (i32, String, String) {
        let words: Vec<&str> = line.split(' ').collect();
        house::say(self.command(&words), secret)
    }

    /// A command on a terminal of its own, by script(1): its standard output is what is to be seen there.
    pub(crate) fn on_terminal(&self, line: &str) -> Child {
        let words: Vec<&str> = line.split(' ').collect();
        let command = self.command(&words);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line = words.map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ");
        let mut terminal = clean(Command::new("script"), &self.data());
        terminal.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        terminal.spawn().unwrap()
    }

    /// Sets an account as a person does.
    pub(crate) fn set_account(&self, source: &str, user: &str, password: &str) {
        let line = format!("source credentials {source} --username {user}");
        let (code, out, err) = self.say(&line, password);
        assert_eq!(code, 0, "{out}{err}");
    }
}

/// The table of a portal, with settings of its own.
pub(crate) fn source(kind: &str, url: &str, settings: &str) -> String {
    format!("[source.{kind}]\nkind = \"{kind}\"\nurl = \"{url}\"\n{kind} = {{ {settings} }}\n")
}

pub(crate) fn port(server: &Server) -> u16 {
    server.url().rsplit_once(':').unwrap().1.parse().unwrap()
}

pub(crate) fn today() -> NaiveDate {
    Utc::now().with_timezone(&chrono_tz::Asia::Seoul).date_naive()
}

/// Rows of so many days, up to the day before yesterday.
pub(crate) fn recent(days: u64, a_day: u32) -> Vec<Row> {
    let last = today() - Days::new(2);
    rows(last - Days::new(days - 1), last, a_day)
}

/// The last run of a source, when it is over.
pub(crate) fn last_run(house: &House, source: &str) -> Value {
    until("the run ends", || {
        let path = format!("/api/v1/collection/runs?source={source}&limit=1");
        let runs = house.look("collection", &path).ok().json();
        let run = runs["data"][0].clone();
        (!run["ended"].is_null()).then_some(run)
    })
}

pub(crate) fn trigger(house: &House, source: &str) -> (u16, Value) {
    let body = json!({"source": source}).to_string();
    let answer = house.post("gateway", "/api/v1/collection/trigger", "application/json", body);
    (answer.status, answer.json())
}

pub(crate) fn account(plan: Plan, password: &str) -> Plan {
    plan.set("REGTECH_USERNAME", regtech::USER).set("REGTECH_PASSWORD", password)
}
