//! From a change to a firewall that enforces it, by its own word: over the service as it runs.

use super::fakes::fortigate::{self, State, TOKEN};
use super::fakes::server::Portal;
use super::house::{House, Plan, until};
use serde_json::{Value, json};

/// The service, which may push to the firewall's port, with a device that reads the default feed.
fn house(data: &std::path::Path, port: u16) -> House {
    let house = Plan::new(data)
        .set("IRONLIST_PUSH_NETWORKS", "127.0.0.1")
        .set("IRONLIST_PUSH_PORTS", &port.to_string())
        .start();
    let device = json!({"reason": "a test", "device": {"name": "edge", "feeds": ["fortigate"]}});
    send(&house, "POST", "/api/v1/devices", &device);
    house
}

fn send(house: &House, method: &str, path: &str, document: &Value) -> (u16, Value) {
    let key = house.key();
    let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
    let body = document.to_string();
    let answer = house.ask("gateway", method, path, &headers, body.as_bytes()).unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn import(house: &House, name: &str, list: &str) {
    let path = format!("/api/v1/blacklist/import?source={name}&replace=true");
    house.post("blacklist", &path, "text/plain", list).ok();
}

fn port_of(firewall: &Portal<State>) -> u16 {
    firewall.server.url().rsplit(':').next().unwrap().parse().unwrap()
}

fn push_to(house: &House, url: &str, change: Value) -> u16 {
    let mut target = json!({"reason": "a test", "url": url, "token": TOKEN});
    target.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    send(house, "PUT", "/api/v1/devices/edge/push", &target).0
}

/// The row of the only list of the device.
fn list(house: &House) -> Value {
    house.get("gateway", "/api/v1/devices/edge").ok().json()["push"]["lists"][0].clone()
}

fn enforced(house: &House, valid: u64) -> Value {
    until("the firewall enforces it", || {
        let list = list(house);
        (list["enforced"]["valid"] == valid && list["behind_since"].is_null()).then_some(list)
    })
}

#[test]
fn a_change_is_enforced_and_shown_and_measured_and_survives_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let firewall = fortigate::start(&["Blacklist"]);
    let running = house(data.path(), port_of(&firewall));
    import(&running, "a", "20.0.0.1\n20.0.0.3\n20.0.0.5\n");
    assert_eq!(push_to(&running, firewall.server.url(), json!({"names": {"fortigate": "Blacklist"}})), 200);
    enforced(&running, 3);
    import(&running, "b", "20.0.0.7\n");
    let list = enforced(&running, 4);
    assert_eq!((&list["enforced"]["by"], &list["enforced"]["invalid"]), (&json!("changes"), &json!(0)));
    assert_eq!(firewall.state().commands, [("snapshot".into(), 3), ("add".into(), 1)]);
    let metrics = running.get("blacklist", "/metrics").text().to_owned();
    assert!(metrics.contains("ironlist_push_enforced_seconds_count{device=\"edge\"} 1"), "{metrics}");
    running.stop();
    let running = Plan::new(data.path())
        .set("IRONLIST_PUSH_NETWORKS", "127.0.0.1")
        .set("IRONLIST_PUSH_PORTS", &port_of(&firewall).to_string())
        .start();
    import(&running, "c", "20.0.0.9\n");
    enforced(&running, 5);
    assert_eq!(firewall.state().commands.last(), Some(&("add".into(), 1)), "it knows what was there");
    assert_eq!(send(&running, "POST", "/api/v1/devices/edge/push", &json!({})).0, 202);
    until("everything is sent", || (firewall.state().commands.last()?.1 == 5).then_some(()));
    let over = json!({"reason": "over"});
    assert_eq!(send(&running, "DELETE", "/api/v1/devices/edge", &over).0, 200);
    let device = json!({"reason": "another one", "device": {"name": "edge", "feeds": ["fortigate"]}});
    assert_eq!(send(&running, "POST", "/api/v1/devices", &device).0, 200);
    let (status, none) = send(&running, "POST", "/api/v1/devices/edge/push", &json!({}));
    assert_eq!((status, &none["code"]), (409, &json!("no_push_target")));
}

#[test]
fn a_firewall_that_is_told_to_fetch_has_the_list_at_once() {
    let data = tempfile::tempdir().unwrap();
    let firewall = fortigate::start(&["fortigate"]);
    let house = house(data.path(), port_of(&firewall));
    import(&house, "a", "20.0.0.1\n20.0.0.3\n");
    let (_, keys) = send(&house, "POST", "/api/v1/devices/edge/keys", &json!({"reason": "a test"}));
    let pair = format!("edge:{}", keys["password"].as_str().unwrap());
    let basic = format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair));
    let poll = (house.address("blacklist").to_string(), "/feeds/fortigate.txt".to_owned(), basic);
    firewall.set(|state| state.poll = Some(poll));
    assert_eq!(push_to(&house, firewall.server.url(), json!({"mode": "refresh"})), 200);
    enforced(&house, 2);
    import(&house, "b", "20.0.0.5\n");
    assert_eq!(enforced(&house, 3)["enforced"]["by"], "refresh");
    let device = house.get("gateway", "/api/v1/devices/edge").ok().json();
    assert_eq!((firewall.state().polled, &device["behind"]), (vec![200, 200], &json!([])));
}

#[test]
fn a_wrong_key_stops_pushing_and_no_answer_shows_a_key() {
    let data = tempfile::tempdir().unwrap();
    let firewall = fortigate::start(&["fortigate"]);
    let house = house(data.path(), port_of(&firewall));
    import(&house, "a", "20.0.0.1\n");
    assert_eq!(push_to(&house, firewall.server.url(), json!({"token": "not-the-key"})), 200);
    let list = until("it stops", || Some(list(&house)).filter(|list| list["trouble"]["stopped"] == true));
    assert_eq!(list["trouble"]["code"], "token_refused");
    let device = house.get("gateway", "/api/v1/devices/edge").ok().text().to_owned();
    assert!(!device.contains("not-the-key") && !device.contains("sealed"), "{device}");
    let health = house.get("blacklist", "/health").json();
    assert_eq!(health["checks"]["push"]["status"], "degraded", "{health}");
    assert_eq!(firewall.server.asked().len(), 1);
    assert_eq!(push_to(&house, firewall.server.url(), json!({})), 200);
    enforced(&house, 1);
    assert_eq!(house.get("blacklist", "/health").json()["checks"]["push"]["status"], "healthy");
}

#[test]
fn a_firewall_that_is_down_has_the_newest_list_when_it_is_back() {
    let data = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let house = house(data.path(), address.port());
    import(&house, "a", "20.0.0.1\n");
    assert_eq!(push_to(&house, &format!("http://{address}"), json!({})), 200);
    until("it is missed", || (list(&house)["trouble"]["code"] == "connect_failed").then_some(()));
    import(&house, "b", "20.0.0.3\n");
    let listener = std::net::TcpListener::bind(address).unwrap();
    let firewall = fortigate::on(listener, &["fortigate"]);
    enforced(&house, 2);
    assert_eq!(firewall.state().commands, [("snapshot".into(), 2)], "the older list was never sent");
}
