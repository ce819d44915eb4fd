//! A source that a person took back: nothing is fetched or taken in until somebody says so.

use super::*;
use crate::model::{Batch, Cause};

async fn take_back(house: &House, source: &str, generation: u64) {
    let change = house.engine().restoring(&name(source), generation).unwrap();
    let (id, actor, reason) = (Uuid::now_v7(), "tester".to_owned(), "poisoned".to_owned());
    let batch = Batch { id, actor, reason, cause: Cause::Rollback, change };
    house.engine().submit(batch).await.unwrap();
}

fn is_listed(house: &House, address: &str) -> bool {
    house.engine().snapshot().check(address.parse().unwrap()).is_listed()
}

#[tokio::test]
async fn a_source_that_was_taken_back_is_left_alone_until_it_is_released_and_then_asked_for_everything() {
    let house = House::new();
    let collector = open(&house, lists([TWO, "20.0.0.1\n20.0.0.2\n20.0.0.3\n"]));
    let first = run(&collector, "list").await.generation.unwrap();
    run(&collector, "list").await;
    take_back(&house, "list", first).await;
    assert!(!is_listed(&house, "20.0.0.3"));
    let forced = Wish { force: true, ..Wish::default() };
    for wish in [Wish::default(), forced] {
        let refused = collector.trigger(name("list"), "tester", wish).await.unwrap_err();
        assert!(matches!(&refused, CollectError::Held(source) if *source == name("list")), "{refused}");
    }
    let anybody = collector.switch_on(&name("list"), "anybody").await;
    assert!(matches!(anybody, Err(CollectError::Held(_))), "who only switches it on does not release it");
    house.wait(48);
    collector.0.tick().await.unwrap();
    assert!(collector.0.live.of(&name("list")).is_none(), "nor by its schedule");
    assert!(standing(&collector, "list").await.memory.digest.is_some());
    assert!(collector.release(&name("list"), "tester").await.unwrap());
    assert!(!collector.release(&name("list"), "tester").await.unwrap(), "it is held no more");
    assert_eq!(standing(&collector, "list").await.memory, Default::default());
    let audit = collector.audit(None, 1).await.unwrap();
    assert_eq!((audit.0[0].1.action.as_str(), &audit.0[0].1.actor), ("source.release", &"tester".to_owned()));
    let again = run(&collector, "list").await;
    assert_eq!(
        (again.state, again.counts.new),
        (State::Done, 1),
        "bytes that it had seen already: {again:?}"
    );
    assert!(is_listed(&house, "20.0.0.3"));
}

#[tokio::test]
async fn a_run_that_was_under_way_brings_nothing_after_its_source_was_taken_back() {
    let house = House::new();
    let (go, wait) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, asked) = (Arc::clone(&go), Arc::clone(&wait));
    let work = script(move |job| {
        let (told, asked) = (Arc::clone(&told), Arc::clone(&asked));
        Box::pin(async move {
            deliver(job, TWO).await?;
            asked.notify_one();
            told.notified().await;
            deliver(job, "20.0.0.1\n20.0.0.2\n20.0.0.3\n").await.map(drop)
        })
    });
    let collector = open(&house, work);
    let id = collector.trigger(name("list"), "tester", Wish::default()).await.unwrap();
    wait.notified().await;
    take_back(&house, "list", 0).await;
    let busy = collector.release(&name("list"), "tester").await;
    assert!(matches!(busy, Err(CollectError::Busy { .. })), "it may bring what was undone still");
    go.notify_one();
    let run = over(&collector, id).await;
    assert_eq!((run.state, run.fault.unwrap().code.as_str()), (State::Failed, "batch_refused"));
    assert!(!is_listed(&house, "20.0.0.1") && !is_listed(&house, "20.0.0.3"));
    assert!(collector.release(&name("list"), "tester").await.unwrap());
}
