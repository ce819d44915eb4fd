//! What is held, and a person's word about it.

use super::*;

#[tokio::test]
async fn a_list_that_shrinks_is_held_until_a_person_consents() {
    let house = House::new();
    let long: String = (0..400).map(|n| format!("20.0.{}.{}\n", n / 200, n % 200 + 1)).collect();
    let long: &'static str = long.leak();
    let collector = open(&house, lists([long, TWO, TWO]));
    run(&collector, "list").await;
    let held = run(&collector, "list").await;
    assert_eq!(held.state, State::Held);
    let again = run(&collector, "list").await;
    let holds = collector.holds().await.unwrap();
    assert_eq!((holds.len(), holds[0].run), (1, again.id), "the newer run took the place of the older");
    assert!(matches!(holds[0].documents[0].grounds[..], [Ground::Shrunk { before: 400, after: 2, .. }]));
    assert_eq!(house.engine().snapshot().listings(), 400, "the last good one stays");
    let id = holds[0].id;
    assert!(matches!(collector.consent(id, "admin", " ").await, Err(CollectError::NoReason)));
    let receipt = collector.consent(id, "admin", "the owner cleaned up").await.unwrap();
    assert_eq!((receipt.removed, house.engine().snapshot().listings()), (398, 2));
    assert!(matches!(collector.consent(id, "admin", "twice").await, Err(CollectError::Settled(_))));
    let (audit, _) = collector.audit(None, 1).await.unwrap();
    assert_eq!(
        (audit[0].1.action.as_str(), audit[0].1.reason.as_str()),
        ("hold.consent", "the owner cleaned up")
    );
    let after = run(&collector, "list").await;
    assert_eq!((after.state, after.counts.unchanged), (State::Done, 2), "consent is remembered");
}

#[tokio::test]
async fn consent_is_refused_when_more_would_change_than_was_shown() {
    let house = House::new();
    let long: String = (0..400).map(|n| format!("20.0.{}.{}\n", n / 200, n % 200 + 1)).collect();
    let collector = open(&house, lists([long.leak(), TWO]));
    run(&collector, "list").await;
    run(&collector, "list").await;
    let id = collector.holds().await.unwrap()[0].id;
    house.list("list", &crate::analyze::fixture::plain(&["20.9.9.9"]), crate::model::Scope::Part).await;
    let refused = collector.consent(id, "admin", "yes").await.unwrap_err();
    assert!(matches!(refused, CollectError::Grown { shown: 398, now: 399 }), "{refused}");
    assert_eq!(collector.consent(id, "admin", "yes, all").await.unwrap().removed, 399);
}

#[tokio::test]
async fn a_page_in_place_of_a_list_is_held_and_rejected() {
    let house = House::new();
    let collector = open(&house, lists([TWO, "<!DOCTYPE html><html><body>20.0.0.9</body></html>"]));
    run(&collector, "list").await;
    assert_eq!(run(&collector, "list").await.state, State::Held);
    let hold = collector.holds().await.unwrap().remove(0);
    assert_eq!(hold.documents[0].grounds, [Ground::Html]);
    assert!(matches!(collector.consent(hold.id, "admin", "why not").await, Err(CollectError::Unreadable(_))));
    collector.reject(hold.id, "admin", "a login page").await.unwrap();
    assert!(collector.holds().await.unwrap().is_empty());
    let settled = collector.0.look(move |look| look.hold(hold.id)).await.unwrap().unwrap().settled.unwrap();
    assert_eq!((settled.how, settled.reason.as_str()), (How::Rejected, "a login page"));
    assert_eq!(house.engine().snapshot().listings(), 2);
}

#[tokio::test]
async fn nobody_decides_while_the_source_is_busy_and_nothing_changes_then() {
    let house = House::new();
    let collector = open(&house, lists([TWO, "<!DOCTYPE html><html><body>20.0.0.9</body></html>"]));
    run(&collector, "list").await;
    run(&collector, "list").await;
    let id = collector.holds().await.unwrap()[0].id;
    let before = standing(&collector, "list").await;
    let (_, _, place) = collector.0.occupy(&name("list"), "tester").unwrap();
    assert!(matches!(collector.consent(id, "admin", "yes").await, Err(CollectError::Busy { .. })));
    assert!(matches!(collector.reject(id, "admin", "no").await, Err(CollectError::Busy { .. })));
    assert_eq!(standing(&collector, "list").await, before);
    drop(place);
    collector.reject(id, "admin", "no").await.unwrap();
}

#[tokio::test]
async fn the_newest_twenty_decisions_of_a_source_are_remembered() {
    let house = House::new();
    let collector = open(&house, lists([TWO, "<!DOCTYPE html><html><body>20.0.0.9</body></html>"]));
    run(&collector, "list").await;
    let mut ids = Vec::new();
    for _ in 0..21 {
        run(&collector, "list").await;
        ids.push(collector.holds().await.unwrap()[0].id);
        collector.reject(ids[ids.len() - 1], "admin", "no").await.unwrap();
    }
    let (first, second) = (ids[0], ids[1]);
    let kept = collector.0.look(move |look| Ok((look.hold(first)?, look.hold(second)?))).await.unwrap();
    assert!(kept.0.is_none() && kept.1.is_some());
}
