//! What becomes of a device's keys when it goes, and when another one of its name comes.

use super::house::{House, NOON};
use crate::engine::Engine;
use crate::model::{Batch, Cause, Change, Device, Output, OutputKey, OutputName, Profile, Scope};
use crate::publish::{Answer, Audit, Blocked, Claim, Publisher, Reader};
use std::sync::Arc;

fn open(engine: &Engine) -> Arc<Publisher> {
    let open = crate::addr::IpSet::default();
    Publisher::open(engine.clone(), Profile::fortigate(), open).unwrap()
}

fn device() -> Output {
    Output::Device(serde_json::from_value::<Device>(serde_json::json!({"name": "edge"})).unwrap())
}

fn name() -> OutputName {
    "edge".parse().unwrap()
}

fn batch(change: Change) -> Batch {
    let (actor, reason) = ("somebody".to_owned(), "a test".to_owned());
    Batch { id: uuid::Uuid::now_v7(), actor, reason, cause: Cause::Manual, change }
}

/// Makes keys, and gives the token.
fn key(publisher: &Publisher) -> String {
    let text = || "a test".to_owned();
    let audit =
        Audit { at: NOON, actor: text(), action: text(), subject: text(), reason: text(), detail: text() };
    publisher.make_keys(&name(), &audit).unwrap().token
}

fn opens(publisher: &Publisher, token: &str) -> bool {
    let from = "192.0.2.1".parse().unwrap();
    publisher.admit(Claim::Token(token), from).is_ok()
}

#[tokio::test]
async fn a_device_that_comes_again_has_no_keys_however_it_went() {
    let house = House::new();
    let publisher = open(&house.engine);
    let withdraw = || batch(Change::Withdraw(OutputKey::Device(name())));
    let by_hand = async || assert_eq!(publisher.submit(withdraw()).await.unwrap().unchanged, 0);
    let by_file = async || publisher.configure(&[]).await.unwrap();
    for went in 0..2 {
        publisher.configure(&[device()]).await.unwrap();
        let token = key(&publisher);
        publisher.configure(&[device()]).await.unwrap();
        assert!(opens(&publisher, &token), "what stays keeps its keys");
        match went {
            0 => by_hand().await,
            _ => by_file().await,
        }
        assert_eq!(publisher.keys_since(&name()), None);
        publisher.submit(batch(Change::Publish(device()))).await.unwrap();
        assert!(!opens(&publisher, &token));
        let audits = publisher.book().unwrap().audits(None, 1).unwrap().0;
        assert_eq!((&*audits[0].1.action, &*audits[0].1.subject), ("device.keys.drop", "edge"));
    }
}

#[tokio::test]
async fn keys_that_a_crash_has_left_are_not_the_next_devices() {
    let house = House::new();
    let publisher = open(&house.engine);
    publisher.submit(batch(Change::Publish(device()))).await.unwrap();
    let token = key(&publisher);
    // The engine alone is what a crash right after the record leaves.
    house.engine.submit(batch(Change::Withdraw(OutputKey::Device(name())))).await.unwrap();
    assert!(publisher.keys_since(&name()).is_some() && !opens(&publisher, &token));
    publisher.submit(batch(Change::Publish(device()))).await.unwrap();
    assert!(publisher.keys_since(&name()).is_none() && !opens(&publisher, &token));
}

#[tokio::test]
async fn what_a_device_fetched_goes_with_it() {
    let house = House::new();
    let publisher = open(&house.engine);
    publisher.submit(batch(Change::Publish(device()))).await.unwrap();
    asks(&publisher, "10.0.0.1");
    publisher.pulls().keep(publisher.book().unwrap(), NOON.plus(-60)).unwrap();
    assert_eq!(publisher.pulls().all().len(), 1);
    publisher.submit(batch(Change::Withdraw(OutputKey::Device(name())))).await.unwrap();
    publisher.submit(batch(Change::Publish(device()))).await.unwrap();
    assert!(publisher.pulls().all().is_empty());
    assert!(publisher.book().unwrap().pulls().unwrap().is_empty(), "nor after a restart");
}

#[tokio::test]
async fn a_device_that_its_own_feed_lists_is_told_of_and_not_exempt() {
    let house = House::new();
    let publisher = open(&house.engine);
    publisher.submit(batch(Change::Publish(device()))).await.unwrap();
    let (cause, change) =
        super::house::listing("a", &super::house::ranges(&["20.0.0.7"]), &Default::default(), Scope::Whole);
    house.submit((cause, change)).await;
    publisher.refresh();
    asks(&publisher, "20.0.0.8");
    publisher.look_for_blocked();
    assert!(publisher.blocked().is_empty());
    asks(&publisher, "20.0.0.7");
    publisher.look_for_blocked();
    let found = Blocked { feed: OutputName::fortigate(), address: "20.0.0.7".parse().unwrap() };
    assert_eq!(publisher.blocked().get(&name()), Some(&vec![found]));
    publisher.refresh();
    let lists = || publisher.feeds().get("fortigate").unwrap().released();
    assert!(lists().is_some(), "who asks from it frees nothing");
    let known = serde_json::json!({"name": "edge", "networks": ["20.0.0.7"]});
    let known = Output::Device(serde_json::from_value(known).unwrap());
    publisher.submit(batch(Change::Publish(known))).await.unwrap();
    publisher.refresh();
    publisher.look_for_blocked();
    assert!(lists().is_none() && publisher.blocked().is_empty());
}

/// The device is given the default feed.
fn asks(publisher: &Publisher, from: &str) {
    let (document, from) = ("fortigate", from.parse().unwrap());
    let answer = Answer {
        document,
        at: NOON,
        from,
        generation: 1,
        modified: NOON,
        status: 200,
        bytes: 9,
        has_all: true,
    };
    publisher.note(&Reader::Device(name()), answer);
}
