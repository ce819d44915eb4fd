//! The flows of the crafts themselves: what they ask, remember and repeat.

use super::fakes::server::{Reply, Server};
use super::*;
use crate::collect::fetch::{FetchSettings, Reach};
use crate::collect::regtech::{Memory, Plan};

/// A collector with one source, which may be on the loopback.
fn open_at(house: &House, source: &str, definition: Definition) -> Collector {
    let medium = Medium::folder(house.folder.path());
    let vault = Vault::new(KeySource::find(house.folder.path(), None, |_| None));
    let url: crate::collect::fetch::Url = definition.url.as_deref().unwrap().parse().unwrap();
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
    let seeded = serde_json::to_value(&memory).unwrap();
    let seed =
        move |change: &Change<'_>| change.standing(&name("account"), |standing| standing.checkpoint = seeded);
    collector.0.change(seed).await.unwrap();
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
