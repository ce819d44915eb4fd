//! The flows of the crafts themselves: what they ask, remember and repeat.

use super::*;
use crate::collect::regtech::{Memory, Plan};
use crate::fakes::secudium::{self, CODE, DOWNLOAD, LOGIN, LOGOUT, Post, Secudium};
use crate::fakes::server::{Reply, Server};
use crate::fetch::{FetchSettings, Reach};

/// A collector with one source, which may be on the loopback.
fn open_at(house: &House, source: &str, definition: Definition) -> Collector {
    let medium = Medium::folder(house.folder.path());
    let vault = Vault::new(KeySource::find(house.folder.path(), None, |_| None));
    let url: crate::fetch::Url = definition.url.as_deref().unwrap().parse().unwrap();
    let exceptions = vec!["127.0.0.0/8".parse().unwrap()];
    let reach = Reach { ports: url.port().into_iter().collect(), exceptions, ..Reach::default() };
    let fetch = FetchSettings { reach, timeout: Duration::from_secs(5), ..FetchSettings::default() };
    let configured = [(name(source), definition)].into();
    Collector::open(Options { configured, fetch, ..Options::new(house.engine().clone(), medium, vault) })
        .unwrap()
}

fn at(url: &str, kind: Kind) -> Definition {
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
async fn begin(collector: &Collector, source: &str, trigger: Trigger) -> Run {
    let (source, wish, input) = (name(source), Wish::default(), Input::Source);
    let beginning = Beginning { source, trigger, actor: String::new(), wish, attempt: 0, next: None, input };
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
    for trigger in [Trigger::Schedule, Trigger::Retry, Trigger::Retry] {
        let run = begin(&collector, "account", trigger).await;
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

async fn open_secudium(house: &House, url: &str) -> Collector {
    let mut definition = at(url, Kind::Secudium);
    definition.secudium = Some(toml::from_str("pause_ms = 0").unwrap());
    let collector = open_at(house, "posts", definition);
    let account = json!({"username": secudium::USER, "password": secudium::PASSWORD});
    collector.set_credentials(&name("posts"), account, "tester").await.unwrap();
    collector
}

async fn kept(collector: &Collector) -> crate::collect::ledger::Credentials {
    collector.0.look(|look| look.credentials(&name("posts"))).await.unwrap().unwrap()
}

fn code(run: &Run) -> &str {
    run.fault.as_ref().map_or("", |fault| &fault.code)
}

#[tokio::test]
async fn a_password_that_was_never_sent_costs_nothing_and_is_tried_again() {
    let house = House::new();
    let collector = open_secudium(&house, "http://127.0.0.1:1").await;
    let failed = run(&collector, "posts").await;
    let standing = standing(&collector, "posts").await;
    assert!(standing.retry.is_some() && standing.stopped.is_none(), "{failed:?}");
    assert!(kept(&collector).await.attempt.is_none());
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
