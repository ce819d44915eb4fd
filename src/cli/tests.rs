//! Commands against an application over a real engine: in this process, and through a real socket.

use super::args::{Cli, Command, StatusArgs};
use super::console::Console;
use super::door::Door;
use super::folder::SOCKET;
use super::settings::{Inputs, Settings};
use super::{ExitCode, execute};
use crate::engine::Engine;
use crate::rights::Right;
use crate::service::blacklist::Blacklist;
use crate::web::auth::{Access, Guard};
use crate::web::listener::{Limits, Listener, serve};
use crate::web::metrics::Metrics;
use crate::web::{App, Body, Caller, Demand, Problem, Role, Routes};
use axum::Extension;
use clap::Parser;
use http::{Method, StatusCode};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const FEED: &str = "1.2.3.0/25\n5.6.7.1\n";

/// The blacklist role, and what other roles add behind the socket, as far as commands need it.
fn build(engine: &Engine, _: &Settings) -> anyhow::Result<Arc<App>> {
    let late = async || Problem::unavailable("feed_not_ready", 5).detail("Not yet.");
    let who = async |Extension(caller): Extension<Caller>| caller.rights.has(Right::Admin).to_string();
    let health = async || r#"{"status":"degraded","service":"gateway"}"#;
    let ready = async || r#"{"status":"healthy","service":"gateway"}"#;
    let routes = Routes::new()
        .get("/feeds/default", Demand::Own, async || FEED, "A feed.")
        .get("/feeds/late", Demand::Own, late, "A feed that is not there yet.")
        .post("/who", Demand::Nothing, who, "Says who asks.")
        .get("/health", Demand::Nothing, health, "Health.")
        .get("/ready", Demand::Nothing, ready, "Readiness.")
        .merge(Blacklist::routes().with_state(Blacklist::new(engine.clone())));
    let app = App::new(Role::Gateway, routes, &Arc::new(Metrics::new()));
    Ok(Arc::new(app.guard(Guard::new("key", Access::everywhere())).body_limit("/", 1 << 30)))
}

pub(super) struct House {
    folder: TempDir,
    pub(super) settings: Settings,
}

/// A service behind its socket.
pub(super) struct Service {
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl House {
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    /// A house of which something is configured: key, flag, text.
    pub(super) fn with(more: &[(&'static str, &'static str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data").to_str().unwrap().to_owned();
        // A configuration of the machine must not reach the test.
        let config = folder.path().join("ironlist.toml");
        fs::write(&config, "").unwrap();
        let ports = ["listen.collection", "listen.blacklist", "listen.analytics", "listen.gateway"];
        let mut flags = vec![("data.dir", "--data", data)];
        flags.extend(ports.map(|key| (key, "any", "127.0.0.1:0".to_owned())));
        flags.extend(more.iter().map(|(key, flag, text)| (*key, *flag, (*text).to_owned())));
        let settings = Settings::load(&Inputs { config: Some(config), flags, ..Inputs::default() }).unwrap();
        Self { folder, settings }
    }

    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(super) async fn serve(&self) -> Service {
        super::folder::make(&self.settings.data).unwrap();
        let engine =
            Engine::open(crate::engine::Options::new(crate::disk::Medium::folder(&self.settings.data)));
        let app = build(&engine.unwrap(), &self.settings).unwrap();
        let listener = Listener::unix(&self.settings.data.join(SOCKET), 0o600).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap_or(()) };
        Service { stop, running: tokio::spawn(serve(listener, app, Limits::default(), stopped)) }
    }

    /// Runs a command line; `@` stands for the folder of the test.
    pub(super) async fn run(&self, line: &str) -> (ExitCode, String, String) {
        let here = self.folder.path().to_str().unwrap();
        let words = line.split(' ').map(|word| word.replace('@', here));
        let cli = Cli::try_parse_from(["ironlist".to_owned()].into_iter().chain(words)).unwrap();
        let Command::Api(command) = cli.command else { panic!("{line} is not done through the API") };
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let done = execute(command, &self.settings, build, Console { out: &mut out, log: &mut log }).await;
        let code = done.unwrap_or_else(|error| {
            log.extend_from_slice(format!("{error:#}").as_bytes());
            ExitCode::of_error(&error).unwrap()
        });
        (code, String::from_utf8(out).unwrap(), String::from_utf8(log).unwrap())
    }
}

impl Service {
    pub(super) async fn end(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
    }
}

const LIST: &str = "# a list\n1.2.3.0/24\n5.6.7.7\n010.0.0.1\n5.6.7.7\n";

/// The main job, whichever way the door leads.
async fn walk(house: &House) {
    house.file("list.txt", LIST);
    let (code, out, log) = house.run("import @/list.txt --source test --reason scan").await;
    assert_eq!(code, ExitCode::Done, "{log}");
    assert!(out.contains("generation 1: 2 added, 0 changed, 0 removed, 0 unchanged\n"), "{out}");
    assert!(log.contains("list.txt:4: leading_zero: "), "{log}");

    let (code, out, _) = house.run("check 1.2.3.9 9.9.9.1").await;
    assert_eq!((code, out.as_str()), (ExitCode::Negative, "1.2.3.9\tlisted\ttest\n9.9.9.1\tclear\t\n"));
    assert_eq!(house.run("check 9.9.9.1").await.0, ExitCode::Done);
    assert_eq!(house.run("check 9.9.9.1 nonsense").await.0, ExitCode::Failed);

    house.file("questions", "# some\n1.2.3.1\n\n9.9.9.9\n");
    let (code, out, log) = house.run("check --file @/questions 10.0.0.1").await;
    assert_eq!(code, ExitCode::Negative);
    assert_eq!(out, "10.0.0.1\texempt\t\n1.2.3.1\tlisted\ttest\n9.9.9.9\tclear\t\n");
    assert_eq!(log, "3 checked, 1 listed, 0 invalid\n");

    let (code, out, _) = house.run("check --json --file @/questions").await;
    assert_eq!(code, ExitCode::Negative);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["results"][0]["sources"][0], "test");

    let (code, out, _) = house.run("check --explain 1.2.3.1").await;
    assert_eq!(code, ExitCode::Negative);
    assert!(out.starts_with("1.2.3.1 is listed (generation 1)\n"), "{out}");
    assert!(out.contains("reason: scan"), "{out}");

    let (code, _, log) = house.run("allow add 1.2.3.0/25 --reason office --expires 90d").await;
    assert_eq!(code, ExitCode::Done, "{log}");
    assert_eq!(house.run("check 1.2.3.1").await.0, ExitCode::Done);
    assert!(house.run("allow list").await.1.contains("1.2.3.0/25  office"));
    assert_eq!(house.run("allow remove 1.2.3.0/25 --reason moved").await.0, ExitCode::Done);
    assert_eq!(house.run("check 1.2.3.1").await.0, ExitCode::Negative);

    let (code, _, log) = house.run("suppression add 1.2.3.0/24 --source test --reason wrong").await;
    assert_eq!(code, ExitCode::Done, "{log}");
    assert_eq!(house.run("check 1.2.3.1").await.0, ExitCode::Done);
    let (code, _, log) = house.run("suppression remove 1.2.3.0/24 --source other --reason x").await;
    assert_eq!(code, ExitCode::Failed, "{log}");
    assert!(log.contains("not_suppressed"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_are_listed_shown_compared_and_gone_back_to() {
    let house = House::new();
    house.file("one.txt", "1.2.3.1\n1.2.3.2\n");
    house.file("two.txt", "1.2.3.2\n1.2.3.3\n");
    house.run("import @/one.txt --source test --replace --reason scan").await;
    house.run("import @/two.txt --source test --replace --reason spam").await;
    let (_, out, _) = house.run("generation list").await;
    assert!(out.lines().nth(1).unwrap().starts_with("2 ") && out.lines().count() == 3, "{out}");
    let (_, out, _) = house.run("generation show 1 --limit 2").await;
    assert!(out.contains("cause: import") && out.contains("… and 1 more"), "{out}");
    let (_, out, _) = house.run("generation diff 1 2").await;
    let changed = "changed  listing  test    1.2.3.2  spam    scan";
    assert!(
        out.contains(changed) && out.contains("removed  listing  test    1.2.3.1  -       scan"),
        "{out}"
    );
    let (_, out, _) = house.run("generation diff 2 1 --source test --json").await;
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["total"], document["data"].as_array().unwrap().len()), (&3.into(), 3));
    let (code, out, _) = house.run("generation rollback 1 --source test --reason poisoned --dry-run").await;
    assert!(
        code == ExitCode::Done && out.contains("dry_run: true") && out.contains("generation: 2"),
        "{out}"
    );
    let (_, out, log) = house.run("generation rollback 1 --source test --reason poisoned").await;
    assert!(out.contains("generation: 3") && out.contains("held: true"), "{out}{log}");
    assert_eq!(house.run("check 1.2.3.1").await.0, ExitCode::Negative);
    assert_eq!(house.run("check 1.2.3.3").await.0, ExitCode::Done);
    let (code, _, log) = house.run("generation rollback 9 --source test --reason x").await;
    assert!(code == ExitCode::Failed && log.contains("unknown_generation"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_the_store_is_opened_here() {
    let house = House::new();
    walk(&house).await;
    let mode = fs::metadata(&house.settings.data).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_asked_through_its_socket() {
    let house = House::new();
    let service = house.serve().await;
    walk(&house).await;
    service.end().await;
    // What the service was told is there without it.
    assert_eq!(house.run("check 5.6.7.7").await.0, ExitCode::Negative);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_ask_as_the_administrator() {
    let house = House::new();
    super::folder::make(&house.settings.data).unwrap();
    let ask = async || {
        let door = Door::open(&house.settings, build).await.unwrap();
        let answer = door.ask(Method::POST, "/who", "text/plain", Body::empty()).await.unwrap();
        answer.into_body().read().await.unwrap()
    };
    assert_eq!(ask().await, "true");
    let service = house.serve().await;
    assert_eq!(ask().await, "true");
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_difference_and_changes_nothing() {
    let house = House::new();
    house.file("old", "1.2.3.1\n1.2.3.2\n");
    house.file("new", "1.2.3.2\n1.2.3.3\n");
    house.run("import @/old --source test").await;
    let (code, out, _) = house.run("import @/new --source test --replace --dry-run").await;
    assert_eq!(code, ExitCode::Done);
    assert!(out.ends_with(": 1 added, 0 changed, 1 removed, 1 unchanged\n+ 1.2.3.3\n- 1.2.3.1\n"), "{out}");
    assert_eq!(house.run("check 1.2.3.3").await.0, ExitCode::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_fails_is_named_and_does_not_keep_the_others_out() {
    let house = House::new();
    house.file("page", "<html>\n");
    house.file("good", "1.2.3.1\n");
    let (code, _, log) = house.run("import @/missing @/page @/good --source test").await;
    assert_eq!(code, ExitCode::Failed);
    assert!(log.contains("missing: ") && log.contains("page: ") && log.contains("html_page"), "{log}");
    assert_eq!(house.run("check 1.2.3.1").await.0, ExitCode::Negative);
    let (code, _, _) = house.run("import @/good @/page --source test --replace").await;
    assert_eq!(code, ExitCode::WrongUsage);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_printed_or_replaces_a_file_whole_or_not_at_all() {
    let house = House::new();
    super::folder::make(&house.settings.data).unwrap();
    assert_eq!(house.run("feed default").await, (ExitCode::Done, FEED.to_owned(), String::new()));
    let file = house.file("feed.txt", "before");
    let (code, _, log) = house.run("feed late --output @/feed.txt").await;
    assert_eq!((code, fs::read_to_string(&file).unwrap().as_str()), (ExitCode::Failed, "before"));
    assert!(log.contains("Not yet. (feed_not_ready)"), "{log}");
    assert_eq!(house.run("feed default --output @/feed.txt").await.0, ExitCode::Done);
    assert_eq!(fs::read_to_string(&file).unwrap(), FEED);
    assert!(fs::read_dir(house.folder.path()).unwrap().all(|f| !f.unwrap().path().ends_with(".part")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_or_held_is_one_clear_line() {
    let house = House::new();
    let (code, _, log) = house.run("check 1.2.3.1").await;
    assert_eq!(code, ExitCode::Failed);
    assert!(log.starts_with("there is no data folder") && log.contains("--data"), "{log}");
    super::folder::make(&house.settings.data).unwrap();
    let medium = crate::disk::Medium::folder(&house.settings.data);
    let held = Engine::open(crate::engine::Options::new(medium)).unwrap();
    let (code, _, log) = house.run("check 1.2.3.1").await;
    assert_eq!(code, ExitCode::Failed);
    assert!(log.contains("in use by another ironlist process"), "{log}");
    held.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_no_problem_document_still_says_its_status() {
    let house = House::new();
    super::folder::make(&house.settings.data).unwrap();
    let door = Door::open(&house.settings, build).await.unwrap();
    let refused = door.get("/nothing").await.unwrap_err();
    let refusal: &super::door::Refusal = refused.downcast_ref().unwrap();
    assert_eq!((refusal.status, refusal.code.as_str()), (StatusCode::NOT_FOUND, "unknown_path"));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_of_a_running_service_only() {
    let house = House::new();
    let status = async |ready: bool| {
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let console = Console { out: &mut out, log: &mut log };
        let code = super::status::run(&StatusArgs { ready }, &house.settings.data, console).await;
        (code, String::from_utf8(out).unwrap())
    };
    assert!(status(false).await.0.unwrap_err().to_string().starts_with("no service runs"));
    let service = house.serve().await;
    let (code, out) = status(false).await;
    assert_eq!(code.unwrap(), ExitCode::Negative);
    assert!(out.contains("status: degraded"));
    let (code, _) = status(true).await;
    assert_eq!(code.unwrap(), ExitCode::Done, "what needs a person's attention is no reason for a restart");
    service.end().await;
}
