//! Targets and their keys: what may be reached, with what, and when a person has to act.

use super::*;

#[tokio::test]
async fn a_wrong_key_is_shown_once_and_never_again_until_it_is_changed() {
    let house = House::new().await;
    house.list(10).await;
    house.target(json!({"token": "wrong-key"})).unwrap();
    let trouble = house.trouble("token_refused").await;
    assert!(trouble.stopped && trouble.cure.contains("trusted hosts"), "{trouble:?}");
    house.list(11).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(house.firewall.server.asked().len(), 1, "neither time nor a release tries it again");
    // Nor does a restart.
    let (other, _stop) = staff(&house.publisher, house.folder.path(), "127.0.0.1", &house.firewall);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(house.firewall.server.asked().len(), 1);
    other.push_now(&name("edge")).unwrap();
    until("a person may", || (house.firewall.server.asked().len() == 2).then_some(())).await;
    drop(_stop);
    house.target(json!({})).unwrap();
    assert_eq!(house.enforced().await.valid, 11);
}

#[tokio::test]
async fn a_firewall_inside_is_reached_only_by_configuration() {
    let house = House::new().await;
    house.list(10).await;
    let (pusher, _stop) = staff(&house.publisher, house.folder.path(), "10.0.0.0/8", &house.firewall);
    drop(house._stop);
    let wish = json!({"url": house.firewall.server.url(), "token": TOKEN});
    let device = house.publisher.engine().snapshot().devices().next().unwrap().clone();
    pusher.set_target(&device, serde_json::from_value(wish).unwrap(), &audit()).unwrap();
    let standing = || house.publisher.pushes().standings(&name("edge")).remove(&name("fortigate"));
    let denied =
        |trouble: &Trouble| trouble.code == "address_denied" && trouble.cure.contains("push.networks");
    until("it is refused", || standing()?.trouble.filter(denied)).await;
    assert!(house.firewall.server.asked().is_empty());
}

#[tokio::test]
async fn a_push_by_hand_sends_everything_and_one_at_a_time() {
    let house = House::new().await;
    assert!(matches!(house.pusher.push_now(&name("edge")), Err(NotNow::NoTarget)));
    house.list(10).await;
    house.target(json!({})).unwrap();
    house.enforced().await;
    // The proof is written down a moment before the push is over.
    until("it is taken", || house.pusher.push_now(&name("edge")).ok()).await;
    until("everything is sent again", || (house.commands().len() == 2).then_some(())).await;
    house.firewall.set(|state| state.slow = usize::MAX);
    house.list(11).await;
    let busy = || matches!(house.pusher.push_now(&name("edge")), Err(NotNow::Busy)).then_some(());
    until("another one waits for its end", busy).await;
}

#[tokio::test]
async fn a_key_lies_sealed_and_is_never_sent_elsewhere() {
    let house = House::new().await;
    house.list(10).await;
    house.target(json!({})).unwrap();
    house.enforced().await;
    let kept = std::fs::read(house.folder.path().join(BOOK_FILE)).unwrap();
    assert!(!kept.windows(TOKEN.len()).any(|bytes| bytes == TOKEN.as_bytes()));
    // Without a new key only what is said of the same firewall may change.
    house.target(json!({"token": null, "mode": "snapshot"})).unwrap();
    house.enforced().await;
    let other = house.target(json!({"token": null, "url": "http://127.0.0.1:9"}));
    assert!(matches!(other, Err(NotKept::Bad(BadTarget::NoToken))));
    house.publisher.drop_target(&name("edge"), &audit()).unwrap();
    assert_eq!(house.standing(), Standing::default());
    let again = house.target(json!({"token": null}));
    assert!(matches!(again, Err(NotKept::Bad(BadTarget::NoToken))));
}
