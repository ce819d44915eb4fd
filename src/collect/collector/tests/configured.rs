//! The configuration that is read again while the collector works.

use super::*;
use crate::collect::collector::sources::Origin;

fn said(more: &str) -> Configured {
    [(name("list"), feed(more))].into()
}

#[tokio::test]
async fn a_source_is_added_changed_and_taken_out_without_a_restart() {
    let house = House::new();
    let collector = open(&house, lists([TWO]));
    let mut wanted = said("");
    wanted.insert(name("regtech"), Definition { enabled: false, ..Definition::new(Kind::Regtech) });
    assert!(collector.configure(&wanted).await.unwrap().is_empty());
    assert!(matches!(collector.source(&name("files")).await, Err(CollectError::UnknownSource(_))));
    assert_eq!(collector.source(&name("regtech")).await.unwrap().origin, Origin::Config);
    run(&collector, "list").await;
    assert!(collector.configure(&said("every = '1h'")).await.unwrap().is_empty());
    assert_eq!(collector.source(&name("regtech")).await.unwrap().origin, Origin::Builtin, "as it was before");
    assert_eq!(standing(&collector, "list").await.memory.digest, None, "it was of another source");
    let again = run(&collector, "list").await;
    assert!(again.documents[0].kept, "it is read as a new one is");
    collector.configure(&said("every = '1h'")).await.unwrap();
    assert!(standing(&collector, "list").await.memory.digest.is_some(), "the same again changes nothing");
}

#[tokio::test]
async fn a_source_at_work_keeps_its_definition_until_its_run_is_over() {
    let house = House::new();
    let collector =
        open(&house, script(|job| Box::pin(async move { job.until_stopped(std::future::pending()).await })));
    let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
    let wanted = said("every = '1h'");
    assert_eq!(collector.configure(&wanted).await.unwrap(), [name("list")]);
    let every = async || collector.source(&name("list")).await.unwrap().definition.every.is_some();
    assert!(!every().await);
    assert!(collector.source(&name("files")).await.is_err(), "the others are not kept waiting");
    collector.cancel(id, "tester").await.unwrap();
    over(&collector, id).await;
    assert!(collector.configure(&wanted).await.unwrap().is_empty());
    assert!(every().await);
}

#[tokio::test]
async fn what_a_source_was_configured_with_is_forgotten_at_the_start_after_it_was_taken_out() {
    let house = House::new();
    let collector = open(&house, lists([TWO]));
    run(&collector, "list").await;
    crash(collector).await;
    let medium = Medium::folder(house.folder.path());
    let vault = Vault::new(KeySource::find(house.folder.path(), None, |_| None));
    let collector = Collector::open(Options::new(house.engine().clone(), medium, vault)).unwrap();
    let standing = standing(&collector, "list").await;
    assert_eq!((standing.defined, standing.memory.digest), (None, None));
}
