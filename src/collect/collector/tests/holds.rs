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
    let collector = open(&house, lists([TWO, PAGE]));
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

const PAGE: &str = "<!DOCTYPE html><html><body>20.0.0.9</body></html>";

async fn forced(collector: &Collector) -> Run {
    let wish = Wish { force: true, ..Wish::default() };
    let id = collector.trigger(name("list"), "tester", wish).await.unwrap();
    over(collector, id).await
}

#[tokio::test]
async fn what_a_person_has_rejected_is_not_held_again_and_what_differs_is() {
    let house = House::new();
    let other = "<!DOCTYPE html><html><body>20.0.0.10</body></html>";
    let collector = open(&house, lists([TWO, PAGE, PAGE, other, PAGE]));
    run(&collector, "list").await;
    run(&collector, "list").await;
    let success = standing(&collector, "list").await.last_success;
    house.wait(1);
    let hold = collector.holds().await.unwrap().remove(0);
    collector.reject(hold.id, "admin", "a login page").await.unwrap();
    let again = run(&collector, "list").await;
    assert_eq!((again.state, again.fault.unwrap().code.as_str()), (State::Rejected, "rejected"));
    assert_eq!((again.documents[0].rejected, again.documents[0].kept), (true, false));
    assert!(collector.holds().await.unwrap().is_empty());
    let now = standing(&collector, "list").await;
    assert_eq!((now.last_success, now.retry, now.stopped), (success, None, None));
    assert_eq!(run(&collector, "list").await.state, State::Held, "other bytes are judged anew");
    assert_eq!(run(&collector, "list").await.state, State::Rejected);
    assert_eq!(forced(&collector).await.state, State::Held, "a person wants it judged");
    assert_eq!(house.engine().snapshot().listings(), 2);
}

#[tokio::test]
async fn a_person_who_consents_in_the_end_takes_the_rejection_back() {
    let house = House::new();
    let long: String = (0..400).map(|n| format!("20.0.{}.{}\n", n / 200, n % 200 + 1)).collect();
    let long: &'static str = long.leak();
    let collector = open(&house, lists([long, TWO, TWO, long, TWO]));
    run(&collector, "list").await;
    run(&collector, "list").await;
    let hold = async || collector.holds().await.unwrap().remove(0).id;
    collector.reject(hold().await, "admin", "no").await.unwrap();
    forced(&collector).await;
    collector.consent(hold().await, "admin", "yes").await.unwrap();
    assert_eq!(forced(&collector).await.state, State::Held, "it grows");
    assert_eq!(run(&collector, "list").await.state, State::Done, "and is what was consented to");
}

#[tokio::test]
async fn an_operators_own_allows_hold_no_source_and_new_protected_addresses_do() {
    let house = House::new();
    let list = |numbers: std::ops::Range<u32>| -> &'static str {
        numbers.map(|n| format!("20.0.{}.{}\n", n / 200, n % 200 + 1)).collect::<String>().leak()
    };
    let collector = open(&house, lists([list(0..100), list(0..101), list(0..130)]));
    run(&collector, "list").await;
    let allow = crate::model::Allow {
        range: "20.0.0.0/16".parse().unwrap(),
        reason: "ours".into(),
        owner: "admin".into(),
        expires: None,
        since: house.now(),
    };
    house.submit(crate::model::Change::Allow(allow)).await;
    assert_eq!(run(&collector, "list").await.state, State::Done, "100 were listed before they were allowed");
    assert_eq!(run(&collector, "list").await.state, State::Held);
    let hold = collector.holds().await.unwrap().remove(0);
    assert_eq!(hold.documents[0].grounds, [Ground::Protected { before: 101, after: 130, limit: 10 }]);
}

#[tokio::test]
async fn what_is_held_stays_when_the_run_fails_or_is_ended_later() {
    for kind in [Some(Failure::Broken), Some(Failure::SOON), None] {
        let house = House::new();
        let partly = script(move |job| {
            Box::pin(async move {
                if !job.settled {
                    return deliver(job, TWO).await.map(drop);
                }
                deliver(job, PAGE).await?;
                match kind {
                    Some(kind) => Err(Ending::new(kind, "scripted", "the next one cannot be read")),
                    None => Err(Ending::Cancelled),
                }
            })
        });
        let collector = open(&house, partly);
        run(&collector, "list").await;
        let first = run(&collector, "list").await;
        assert_eq!(first.state, if kind.is_some() { State::Failed } else { State::Cancelled });
        let hold = collector.holds().await.unwrap().remove(0);
        assert_eq!((hold.run, Some(hold.id)), (first.id, first.hold));
        let second = run(&collector, "list").await;
        let holds = collector.holds().await.unwrap();
        assert_eq!((holds.len(), holds[0].run), (1, second.id), "the newer one holds the same");
    }
}

#[tokio::test]
async fn consent_to_what_a_newer_run_has_replaced_is_refused_and_its_run_is_not_applied_over_the_newer() {
    let house = House::new();
    let long: String = (0..400).map(|n| format!("20.0.{}.{}\n", n / 200, n % 200 + 1)).collect();
    let long: &'static str = long.leak();
    let newer: &'static str = format!("{long}20.9.9.9\n").leak();
    let collector = open(&house, lists([long, TWO, newer]));
    run(&collector, "list").await;
    run(&collector, "list").await;
    let id = collector.holds().await.unwrap()[0].id;
    assert_eq!(run(&collector, "list").await.state, State::Done);
    assert!(matches!(collector.consent(id, "admin", "yes").await, Err(CollectError::Settled(_))));
    assert_eq!(house.engine().snapshot().listings(), 401);
    let settled = collector.0.look(move |look| look.hold(id)).await.unwrap().unwrap().settled.unwrap();
    assert_eq!(settled.how, How::Superseded);
}

#[tokio::test]
async fn consent_is_seen_through_although_its_asker_leaves() {
    let house = House::new();
    let long: String = (0..400).map(|n| format!("20.0.{}.{}\n", n / 200, n % 200 + 1)).collect();
    let (gate, opened) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut options = options(&house);
    let (submit, waits, open_it) = (Arc::clone(&options.submit), Arc::clone(&gate), Arc::clone(&opened));
    // The writer takes its time with what removes.
    options.submit = Arc::new(move |batch| {
        let (submit, waits, open_it) = (Arc::clone(&submit), Arc::clone(&waits), Arc::clone(&open_it));
        Box::pin(async move {
            if batch.actor == "admin" {
                waits.notify_one();
                open_it.notified().await;
            }
            submit(batch).await
        })
    });
    let work = lists([long.leak(), TWO]);
    let collector = Collector::with_work(options, work.clone(), work).unwrap();
    run(&collector, "list").await;
    run(&collector, "list").await;
    let id = collector.holds().await.unwrap()[0].id;
    tokio::select! {
        consented = collector.consent(id, "admin", "yes") => panic!("{consented:?}"),
        () = gate.notified() => {}
    }
    let busy = collector.trigger(name("list"), "tester", Wish::default()).await;
    assert!(matches!(busy, Err(CollectError::Busy { .. })), "the consent goes on");
    opened.notify_one();
    while !collector.0.live.all().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(house.engine().snapshot().listings(), 2);
    assert!(collector.holds().await.unwrap().is_empty());
    assert_eq!(collector.audit(None, 1).await.unwrap().0[0].1.action, "hold.consent");
}

#[tokio::test]
async fn nobody_decides_while_the_source_is_busy_and_nothing_changes_then() {
    let house = House::new();
    let collector = open(&house, lists([TWO, PAGE]));
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
    let collector = open(&house, lists([TWO, PAGE]));
    run(&collector, "list").await;
    let mut ids = Vec::new();
    for _ in 0..21 {
        forced(&collector).await;
        ids.push(collector.holds().await.unwrap()[0].id);
        collector.reject(ids[ids.len() - 1], "admin", "no").await.unwrap();
    }
    let (first, second) = (ids[0], ids[1]);
    let kept = collector.0.look(move |look| Ok((look.hold(first)?, look.hold(second)?))).await.unwrap();
    assert!(kept.0.is_none() && kept.1.is_some());
}
