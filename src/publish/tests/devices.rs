//! What becomes of a device's keys when it goes, and when another one of its name comes.

use super::house::{House, NOON};
use crate::engine::Engine;
use crate::model::{Batch, Cause, Change, Device, Output, OutputKey, OutputName, Profile};
use crate::publish::{Audit, Claim, Publisher};
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
