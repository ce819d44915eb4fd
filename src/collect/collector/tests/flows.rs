//! The flows of the crafts themselves: what they ask, remember and repeat.

use super::*;
use crate::collect::regtech::{Memory, Plan};
use crate::fakes::data;
use crate::fakes::regtech::{self, Regtech};
use crate::fakes::secudium::{self, CODE, DOWNLOAD, LOGIN, LOGOUT, Post, Secudium};
use crate::fakes::server::{Reply, Server};
use crate::fetch::{FetchSettings, Reach};

/// A collector with one source, which may be on the loopback.
pub(super) fn open_at(house: &House, source: &str, definition: Definition) -> Collector {
    open_within(house, source, definition, Duration::from_secs(5))
}

/// The same, with a limit for the connection and for the whole answer.
fn open_within(house: &House, source: &str, definition: Definition, timeout: Duration) -> Collector {
    let medium = Medium::folder(house.folder.path());
    let vault = Vault::new(KeySource::find(house.folder.path(), None, |_| None));
    let url: crate::fetch::Url = definition.url.as_deref().unwrap().parse().unwrap();
    let exceptions = vec!["127.0.0.0/8".parse().unwrap()];
    let reach = Reach { ports: url.port().into_iter().collect(), exceptions, ..Reach::default() };
    let (connect_timeout, timeout) = (timeout, timeout * 2);
    let fetch = FetchSettings { reach, connect_timeout, timeout, ..FetchSettings::default() };
    let configured = [(name(source), definition)].into();
    Collector::open(Options { configured, fetch, ..Options::new(house.engine().clone(), medium, vault) })
        .unwrap()
}

pub(super) fn at(url: &str, kind: Kind) -> Definition {
    let mut definition = Definition::new(kind);
    definition.url = Some(url.to_owned());
    definition
}

/// What runs before have left.
async fn seed(collector: &Collector, source: &str, checkpoint: serde_json::Value) {
    let source = name(source);
    let seed =
        move |change: &Change<'_>| change.standing(&source, |standing| standing.checkpoint = checkpoint);
    collector.0.change(seed).await.unwrap();
}

/// Begins what the schedule or a retry would.
pub(super) async fn begin(collector: &Collector, source: &str, trigger: Trigger, wish: Wish) -> Run {
    let of = standing(collector, source).await.retry.and_then(|retry| retry.of);
    let (source, of) = (name(source), of.filter(|_| trigger == Trigger::Retry));
    let beginning =
        Beginning { source, trigger, actor: String::new(), wish, attempt: 0, of, next: None, file: None };
    let id = collector.0.begin(beginning).await.unwrap();
    over(collector, id).await
}

#[tokio::test]
async fn a_retry_after_a_login_that_failed_reads_what_the_run_should_have_read() {
    let house = House::new();
    let definition = at("http://127.0.0.1:1", Kind::Regtech);
    let today = house.now().day_in(definition.policy.zone);
    let collector = open_at(&house, "account", definition);
    set_account(&collector).await;
    let (plan, mut memory) = (Plan::default(), Memory::default());
    memory.begin(&plan, today);
    while let Some(window) = memory.next(&plan, today) {
        memory.record(window, today, None);
    }
    seed(&collector, "account", serde_json::to_value(&memory).unwrap()).await;
    // The first is of one that was interrupted before it had its turn.
    for trigger in [Trigger::Retry, Trigger::Schedule, Trigger::Retry, Trigger::Retry] {
        let run = begin(&collector, "account", trigger, Wish::default()).await;
        assert_eq!(run.state, State::Failed, "nothing was read: {trigger:?}");
    }
}

/// A server with one list that says when it is still the one of before.
fn conditional(list: &'static str) -> Server {
    Server::start(move |asked| {
        let reply = match asked.headers.get("if-none-match") {
            Some(_) => Reply::status(304),
            None => Reply::bytes(list),
        };
        reply.header("etag", "\"one\"")
    })
}

#[tokio::test]
async fn a_download_is_spared_only_while_its_list_is_the_one_that_is_listed() {
    let house = House::new();
    let server = conditional(TWO);
    let collector = open_at(&house, "list", at(server.url(), Kind::Feed));
    assert_eq!(run(&collector, "list").await.counts.new, 2);
    let spared = run(&collector, "list").await;
    assert_eq!((spared.documents.len(), spared.counts.unchanged), (0, 2));
    let other = "20.0.0.1\n20.0.0.9\n";
    let id = collector.upload(name("list"), "tester", None, other.into()).await.unwrap();
    let brought = over(&collector, id).await;
    assert_eq!(run(&collector, "list").await.counts.new, 1, "the server's list holds again");
    let again = collector.again(brought.id, "tester").await.unwrap();
    assert_eq!(over(&collector, again).await.counts.new, 1);
    assert_eq!(run(&collector, "list").await.counts.new, 1, "and again");
}

/// A server whose list can be changed; each has a tag of its own.
fn changing(list: &Arc<Mutex<&'static str>>) -> Server {
    let list = Arc::clone(list);
    Server::start(move |asked| {
        let list = *list.lock().unwrap();
        let tag = format!("\"{}\"", list.len());
        let is_known = asked.headers.get("if-none-match").is_some_and(|known| known == tag.as_str());
        let reply = if is_known { Reply::status(304) } else { Reply::bytes(list) };
        reply.header("etag", &tag)
    })
}

#[tokio::test]
async fn after_consent_a_list_is_asked_for_once_more_and_then_spared() {
    let house = House::new();
    let long: String = (0..400).map(|n| format!("20.0.{}.{}\n", n / 200, n % 200 + 1)).collect();
    let long: &'static str = long.leak();
    let list = Arc::new(Mutex::new(long));
    let server = changing(&list);
    let collector = open_at(&house, "list", at(server.url(), Kind::Feed));
    run(&collector, "list").await;
    *list.lock().unwrap() = TWO;
    assert_eq!(run(&collector, "list").await.state, State::Held);
    let hold = collector.holds().await.unwrap().remove(0);
    collector.consent(hold.id, "admin", "yes").await.unwrap();
    for documents in [1, 0] {
        let run = run(&collector, "list").await;
        assert_eq!((run.state, run.documents.len(), run.counts.unchanged), (State::Done, documents, 2));
    }
    *list.lock().unwrap() = long;
    assert_eq!(run(&collector, "list").await.state, State::Held, "the tag of before consent is not believed");
    assert_eq!(house.engine().snapshot().listings(), 2);
}

/// The windows that the next run takes for read.
pub(super) async fn windows_read(collector: &Collector) -> Vec<String> {
    let memory: Memory = serde_json::from_value(standing(collector, "account").await.checkpoint).unwrap();
    memory.windows().map(|(first, _)| first.to_string()).collect()
}

/// The pages are read in place of a workbook, which would need a program of its own.
pub(super) const PAGES: [regtech::Fault; 2] = [regtech::Fault::NoSheets, regtech::Fault::Shift(0)];
pub(super) const FORCED: Wish = Wish { first: None, last: None, force: true, again: None };

/// A REGTECH with four weeks of rows, and a collector that has its account and looks back three.
pub(super) async fn open_regtech(house: &House) -> (Regtech, Collector) {
    open_regtech_with(house, 1).await
}

/// The same, with what counts as few.
pub(super) async fn open_regtech_with(house: &House, few: u64) -> (Regtech, Collector) {
    let portal = Regtech::start(data::rows(data::day("2026-08-25"), data::day("2026-09-21"), 2));
    let mut definition = at(portal.server.url(), Kind::Regtech);
    definition.regtech = Some(
        toml::from_str("pause_ms = 0\nplan = { backfill_days = 21, reach_days = 240, quiet_windows = 1 }")
            .unwrap(),
    );
    definition.gate.few = few;
    let collector = open_at(house, "account", definition);
    let account = json!({"username": regtech::USER, "password": regtech::PASSWORD});
    collector.set_credentials(&name("account"), account, "tester").await.unwrap();
    (portal, collector)
}

#[tokio::test]
async fn a_retry_of_a_forced_run_goes_on_where_that_was() {
    let house = House::new();
    let (portal, collector) = open_regtech(&house).await;
    let mut read = Vec::new();
    for (trigger, windows) in [(Trigger::Person, 9), (Trigger::Person, 2), (Trigger::Retry, 9)] {
        portal.misbehave(PAGES.repeat(windows));
        portal.misbehave([regtech::Fault::Status(403); 3]);
        let run = begin(&collector, "account", trigger, FORCED).await;
        portal.set(|state| state.faults.clear());
        assert_eq!(run.state, if windows == 9 { State::Done } else { State::Failed }, "{run:?}");
        read.push(run.documents.into_iter().map(|document| document.label).collect::<Vec<_>>());
    }
    assert_eq!(read[1], read[0][..2], "all is asked for again, the newest first");
    assert_eq!(read[2], read[0][2..], "and what is left of it");
}

#[tokio::test]
async fn a_window_that_is_held_is_still_due_while_older_ones_are_read() {
    let house = House::new();
    let (portal, collector) = open_regtech(&house).await;
    let mut runs = Vec::new();
    for cut in [false, true, true] {
        portal.misbehave(PAGES.repeat(9));
        let newest = data::day("2026-09-18");
        portal.set(|state| state.rows.retain(|row| !cut || row.listed < newest));
        runs.push(begin(&collector, "account", Trigger::Person, FORCED).await);
        portal.set(|state| state.faults.clear());
    }
    assert_eq!([runs[0].state, runs[1].state], [State::Done, State::Held], "{runs:?}");
    let hold = collector.holds().await.unwrap().remove(0);
    let held: Vec<&str> = hold.documents.iter().map(|held| held.label.as_str()).collect();
    assert_eq!((hold.run, held.len()), (runs[2].id, 1), "judged anew by the newer run: {held:?}");
    let read = windows_read(&collector).await;
    let labels: Vec<String> =
        runs[2].documents.iter().map(|document| document.label[..10].to_owned()).collect();
    assert!(labels.len() > 3 && labels.iter().filter(|first| !read.contains(first)).eq([&held[0][..10]]));
    collector.reject(hold.id, "admin", "a hole at the portal").await.unwrap();
    portal.misbehave(PAGES.repeat(9));
    let after = run(&collector, "account").await;
    assert_eq!(after.state, State::Done, "{after:?}");
    assert!(windows_read(&collector).await.contains(&held[0][..10].to_owned()), "a person has decided");
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_read_makes_the_source_be_read_anew() {
    let house = House::new();
    let server = conditional(TWO);
    let collector = open_at(&house, "list", at(server.url(), Kind::Feed));
    assert_eq!(run(&collector, "list").await.counts.new, 2);
    seed(&collector, "list", json!("of another version")).await;
    let anew = run(&collector, "list").await;
    assert_eq!((anew.state, anew.documents.len(), anew.counts.unchanged), (State::Done, 1, 2));
}

pub(super) async fn open_secudium(house: &House, url: &str) -> Collector {
    open_secudium_within(house, url, Duration::from_secs(5)).await
}

async fn open_secudium_within(house: &House, url: &str, timeout: Duration) -> Collector {
    let mut definition = at(url, Kind::Secudium);
    definition.secudium = Some(toml::from_str("pause_ms = 0").unwrap());
    let collector = open_within(house, "posts", definition, timeout);
    let account = json!({"username": secudium::USER, "password": secudium::PASSWORD});
    collector.set_credentials(&name("posts"), account, "tester").await.unwrap();
    collector
}

pub(super) async fn kept(collector: &Collector) -> crate::collect::ledger::Credentials {
    collector.0.look(|look| look.credentials(&name("posts"))).await.unwrap().unwrap()
}

pub(super) fn code(run: &Run) -> &str {
    run.fault.as_ref().map_or("", |fault| &fault.code)
}

#[tokio::test]
async fn a_password_that_was_never_sent_costs_nothing_and_is_tried_again() {
    let house = House::new();
    let collector = open_secudium(&house, "http://127.0.0.1:1").await;
    let failed = run(&collector, "posts").await;
    let standing = standing(&collector, "posts").await;
    assert!(standing.retry.is_some() && standing.stopped.is_none(), "{failed:?}");
    assert!(kept(&collector).await.unanswered.is_empty());
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_costs_nothing_and_an_answer_that_does_not_come_counts() {
    // The system takes connections, and nobody speaks: neither the handshake nor the answer ever comes.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = deaf.local_addr().unwrap();
    for (scheme, outcome, lost) in [("https", "connect_failed", 0), ("http", "login_unanswered", 1)] {
        let house = House::new();
        let url = format!("{scheme}://{address}");
        let collector = open_secudium_within(&house, &url, Duration::from_millis(200)).await;
        assert_eq!(code(&run(&collector, "posts").await), outcome);
        assert_eq!(kept(&collector).await.unanswered.len(), lost);
        let left = standing(&collector, "posts").await;
        assert_eq!((left.retry.is_some(), left.stopped.is_some()), (lost == 0, lost == 1), "{scheme}");
    }
}

/// A portal that answers one connection, and then is gone.
fn answers_once(answer: String) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut head = [0; 4096];
        let _ = std::io::Read::read(&mut stream, &mut head).unwrap();
        std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
    });
    url
}

#[tokio::test]
async fn a_portal_that_goes_away_before_the_password_was_sent_has_not_heard_it() {
    let page = crate::fakes::regtech_pages::login();
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", page.len());
    let house = House::new();
    let mut definition = at(&answers_once(head + &page), Kind::Regtech);
    definition.regtech = Some(toml::from_str("pause_ms = 0").unwrap());
    let collector = open_at(&house, "account", definition);
    set_account(&collector).await;
    assert_eq!(code(&run(&collector, "account").await), "connect_failed");
    let source = name("account");
    let kept = collector.0.look(move |look| look.credentials(&source)).await.unwrap().unwrap();
    assert!(kept.unanswered.is_empty() && standing(&collector, "account").await.retry.is_some());
}

#[tokio::test]
async fn somebody_elses_session_fails_the_run_and_not_the_source() {
    let (house, portal) = (House::new(), Secudium::start(Vec::new()));
    portal.set(|state| state.somebody = true);
    let collector = open_secudium(&house, portal.server.url()).await;
    assert_eq!(code(&run(&collector, "posts").await), "already_logged_in");
    assert!(standing(&collector, "posts").await.stopped.is_none());
    portal.set(|state| state.somebody = false);
    assert_eq!(run(&collector, "posts").await.state, State::Done);
}

#[tokio::test]
async fn a_token_proves_the_password_and_is_given_back_whatever_comes_then() {
    let house = House::new();
    let server = Server::start(|asked| match asked.path.as_str() {
        LOGIN => Reply::json(&json!({"response": {"error": false, "token": "u:1:a1"}})),
        LOGOUT => Reply::json(&json!({"response": {"error": false}})),
        _ => Reply::status(500),
    });
    let collector = open_secudium(&house, server.url()).await;
    assert_eq!(code(&run(&collector, "posts").await), "unexpected_status");
    assert_eq!(server.count(LOGOUT), 1);
    assert!(kept(&collector).await.proven);
}

#[tokio::test]
async fn a_code_that_is_asked_for_proves_nothing_before_it_was_taken() {
    let (house, portal) = (House::new(), Secudium::start(Vec::new()));
    portal.set(|state| state.needs_code = true);
    let collector = open_secudium(&house, portal.server.url()).await;
    for (said, outcome, proven) in [("000000", "wrong_code", false), (CODE, "", true)] {
        let wish = Wish { force: true, ..Wish::default() };
        let id = collector.trigger(name("posts"), "tester", wish).await.unwrap();
        let mut progress = collector.progress(id).unwrap();
        progress.wait_for(|progress| progress.run.state == State::AwaitingOtp).await.unwrap();
        assert!(!kept(&collector).await.proven, "the portal only asks");
        collector.otp(id, said, "tester").await.unwrap();
        assert_eq!(code(&over(&collector, id).await), outcome);
        assert_eq!(kept(&collector).await.proven, proven);
    }
}

#[tokio::test]
async fn a_broken_attachment_keeps_none_from_being_read_and_is_left_alone_at_last() {
    let house = House::new();
    let today = house.now().day_in(Definition::new(Kind::Secudium).policy.zone);
    let post = |id| Post::new(id, &today.to_string(), Some(("Black IP.xls", b"no workbook".to_vec())));
    let portal = Secudium::start(vec![post(2), post(1)]);
    let collector = open_secudium(&house, portal.server.url()).await;
    for runs in 1..=3 {
        let failed = run(&collector, "posts").await;
        assert_eq!((failed.state, code(&failed)), (State::Failed, "attachments_left_out"));
        assert_eq!(portal.server.count(DOWNLOAD), 2 * runs, "one after the other");
    }
    assert_eq!(run(&collector, "posts").await.state, State::Done);
    assert_eq!((portal.server.count(DOWNLOAD), portal.server.count(LOGOUT)), (6, 4));
}

#[tokio::test]
async fn a_run_over_few_days_forgets_nothing_of_those_that_are_read_anyhow() {
    let house = House::new();
    let today = house.now().day_in(Definition::new(Kind::Secudium).policy.zone);
    let post = Post::new(1, &today.to_string(), Some(("Black IP.xls", b"no workbook".to_vec())));
    let portal = Secudium::start(vec![post]);
    let collector = open_secudium(&house, portal.server.url()).await;
    let seen = |days: i32| json!({"uuid": "u", "digest": "d", "posted": today.plus(-days)});
    seed(&collector, "posts", json!({"posts": {"month": seen(30), "season": seen(120)}})).await;
    let wish = Wish { first: Some(today), ..Wish::default() };
    let id = collector.trigger(name("posts"), "tester", wish).await.unwrap();
    over(&collector, id).await;
    let left = standing(&collector, "posts").await.checkpoint;
    let posts = left["posts"].as_object().unwrap();
    assert_eq!((posts.len(), posts.contains_key("month")), (2, true), "{left}");
}
