//! What is on a firewall and should be no more: lists of which nothing is left, and lists that nobody pushes any more.

use super::*;

#[tokio::test]
async fn an_allow_of_the_last_entry_takes_it_away_from_the_firewall_too() {
    let house = House::new().await;
    house.list(5).await;
    house.target(json!({})).unwrap();
    house.enforced().await;
    house.allow("20.0.0.0/8").await;
    assert!(house.publisher.feeds().get("fortigate").unwrap().released().is_none(), "empty");
    assert_eq!(house.enforced().await.valid, 0);
    assert_eq!(house.commands().last(), Some(&("remove".into(), 5)));
    assert!(house.firewall.state().lists["fortigate"].is_empty());
}

/// A feed of one threat, of which so many addresses are pushed, and then its source has another word for it.
async fn renamed(count: u32, allow_empty: bool) -> House {
    let house = House::new().await;
    let filter = Filter { threats: vec!["botnet".to_owned()], ..Filter::default() };
    let profile = Profile { filter, allow_empty, ..Profile::fortigate() };
    house.submit(Change::Publish(Output::Feed(profile))).await;
    house.list_as("botnet", 0..count).await;
    house.target(json!({})).unwrap();
    assert_eq!(house.enforced().await.valid, u64::from(count));
    house.list_as("Botnet C2", 0..count).await;
    house
}

#[tokio::test]
async fn a_source_that_has_another_word_for_all_of_a_feed_empties_no_firewall() {
    let house = renamed(100, false).await;
    assert!(house.publisher.feeds().get("fortigate").unwrap().released().is_none(), "readers get 503");
    let trouble = house.trouble("list_emptied").await;
    assert!(trouble.what.contains("still enforces 100"), "{}", trouble.what);
    assert!(house.report().behind_since.is_some() && trouble.cure.contains("suppressed"));
    assert_eq!(house.commands(), [("snapshot".into(), 100)], "nothing was taken away");
    house.allow("20.0.0.0/28").await;
    until("what a person means goes", || {
        (house.firewall.state().lists["fortigate"].len() == 92).then_some(())
    })
    .await;
    assert_eq!(house.commands().last(), Some(&("remove".into(), 8)));
    until("that is proven", || house.standing().enforced.filter(|proof| proof.entries == 92)).await;
    assert!(house.report().behind_since.is_some());
    house.disallow("20.0.0.0/28").await;
    until("and comes back with their word", || {
        (house.firewall.state().lists["fortigate"].len() == 100).then_some(())
    })
    .await;
    house.list_as("botnet", 0..100).await;
    assert_eq!(house.enforced().await.valid, 100);
    assert!(!house.commands().iter().any(|(what, count)| what == "snapshot" && *count == 0));
}

#[tokio::test]
async fn what_an_accident_left_goes_by_a_suppression_of_all_of_it_or_with_allow_empty() {
    let house = renamed(60, false).await;
    house.trouble("list_emptied").await;
    house.allow("20.0.0.0/28").await;
    until("some of it goes", || (house.firewall.state().lists["fortigate"].len() == 52).then_some(())).await;
    let range = "20.0.0.0/24".parse().unwrap();
    let (reason, owner, since) = ("over".into(), String::new(), Time::from_unix(1_790_000_000));
    let suppression = Suppression { range, source: None, reason, owner, expires: None, since };
    house.submit(Change::Suppress(suppression)).await;
    assert_eq!(house.enforced().await.valid, 0);
    assert_eq!(house.commands().last(), Some(&("remove".into(), 52)));
    let house = renamed(60, true).await;
    assert_eq!(house.enforced().await.valid, 0, "the feed says that it may be empty");
}

#[tokio::test]
async fn an_empty_list_that_cannot_be_told_is_trouble_and_not_silence() {
    let house = House::new().await;
    house.list(5).await;
    house.target(json!({"mode": "snapshot"})).unwrap();
    house.enforced().await;
    house.allow("20.0.0.0/8").await;
    for mode in ["snapshot", "refresh"] {
        let trouble = house.trouble("list_emptied").await;
        assert!(trouble.what.contains("still enforces 5") && trouble.cure.contains("changes"), "{mode}");
        assert!(house.report().behind_since.is_some());
        assert_eq!(house.commands().len(), 1, "nothing empty is ever sent as a list");
        house.target(json!({"mode": "refresh"})).unwrap();
    }
    house.firewall.set(|state| drop(state.lists.insert("fortigate".into(), Vec::new())));
    assert_eq!(house.enforced().await.valid, 0, "a person may empty it");
}

/// What is told as left: the firewall's name of each list, and its entries.
fn left(house: &House) -> Vec<(String, Option<u64>)> {
    let all = house.publisher.remnants().into_iter();
    all.map(|remnant| (remnant.place.list, remnant.place.entries)).collect()
}

async fn pushed(house: &House) {
    house.list(10).await;
    house.target(json!({})).unwrap();
    house.enforced().await;
    assert_eq!(left(house), [], "what is attended is no remnant");
}

async fn device(house: &House, feed: &str) {
    let device = json!({"name": "edge", "feeds": [feed]});
    house.submit(Change::Publish(Output::Device(serde_json::from_value(device).unwrap()))).await;
}

#[tokio::test]
async fn a_list_that_is_pushed_no_more_is_told_whatever_ended_it_and_no_more_once_it_is_pushed_again() {
    let house = House::new().await;
    pushed(&house).await;
    let ours = [("fortigate".to_owned(), Some(10))];
    house.target(json!({"names": {"fortigate": "blocked"}})).unwrap();
    assert_eq!(left(&house), ours, "another name of the list");
    house.target(json!({})).unwrap();
    assert_eq!(left(&house), []);
    house.target(json!({"url": "http://127.0.0.1:9"})).unwrap();
    assert_eq!(left(&house), ours, "another firewall");
    house.publisher.drop_target(&name("edge"), &audit()).unwrap();
    assert_eq!(left(&house), ours, "no push any more");
    house.target(json!({})).unwrap();
    house.enforced().await;
    house.submit(Change::Publish(Output::Feed(Profile::new(name("other"))))).await;
    device(&house, "other").await;
    assert_eq!(left(&house), ours, "another feed");
    device(&house, "fortigate").await;
    assert_eq!(left(&house), []);
    let gone = crate::model::OutputKey::Device(name("edge"));
    let (id, actor, reason) = (uuid::Uuid::now_v7(), "test".into(), String::new());
    let batch = Batch { id, actor, reason, cause: Cause::Manual, change: Change::Withdraw(gone) };
    house.publisher.submit(batch).await.unwrap();
    assert_eq!(left(&house), ours, "no device any more");
    let again = Ledger::open(house.publisher.book().unwrap()).unwrap();
    assert_eq!(again.remnants(std::iter::empty()).len(), 1, "a restart forgets nothing");
}

#[tokio::test]
async fn what_is_left_is_emptied_on_the_firewall_by_a_word_and_proven() {
    let house = House::new().await;
    pushed(&house).await;
    house.publisher.drop_target(&name("edge"), &audit()).unwrap();
    let id = house.publisher.remnants()[0].id.clone();
    house.firewall.set(|state| state.ignores = true);
    let failed = house.pusher.clear(&id).await;
    assert!(matches!(failed, Err(NotCleared::Firewall(PushFault::Mismatch { sent: 0, valid: 10, .. }))));
    assert_eq!(left(&house).len(), 1, "it is there still");
    house.firewall.set(|state| (state.ignores, state.slow) = (false, 2));
    let remnant = house.pusher.clear(&id).await.unwrap();
    assert_eq!(house.firewall.state().lists["fortigate"], Vec::<String>::new());
    assert_eq!(house.commands().last(), Some(&("snapshot".to_owned(), 0)));
    house.pusher.forget(&remnant, &audit()).unwrap();
    assert_eq!(left(&house), []);
    assert!(matches!(house.pusher.clear(&id).await, Err(NotCleared::Unknown)));
}

#[tokio::test]
async fn a_list_that_somebody_has_deleted_is_cleared_and_one_that_is_pushed_cannot_be() {
    let house = House::new().await;
    pushed(&house).await;
    house.publisher.drop_target(&name("edge"), &audit()).unwrap();
    let id = house.publisher.remnants()[0].id.clone();
    house.target(json!({})).unwrap();
    assert!(matches!(house.pusher.clear(&id).await, Err(NotCleared::Unknown)));
    assert!(!house.firewall.state().lists["fortigate"].is_empty());
    house.publisher.drop_target(&name("edge"), &audit()).unwrap();
    house.firewall.set(|state| drop(state.lists.remove("fortigate")));
    assert!(house.pusher.clear(&id).await.is_ok());
}

#[tokio::test]
async fn what_was_sent_and_never_proven_may_be_there_and_what_a_firewall_fetches_itself_is_its_own() {
    let house = House::new().await;
    house.list(10).await;
    house.firewall.set(|state| state.ignores = true);
    house.target(json!({})).unwrap();
    house.trouble("counts_differ").await;
    house.publisher.drop_target(&name("edge"), &audit()).unwrap();
    assert_eq!(left(&house), [("fortigate".to_owned(), None)]);
    let house = House::new().await;
    house.list(10).await;
    house.firewall.set(|state| state.fails = vec![401]);
    house.target(json!({})).unwrap();
    house.trouble("token_refused").await;
    house.target(json!({"mode": "refresh"})).unwrap();
    house.publisher.drop_target(&name("edge"), &audit()).unwrap();
    assert_eq!(left(&house), [], "nothing was ever sent");
}
