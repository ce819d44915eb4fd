//! From a change to a firewall that enforces it, by its own word: over the service as it runs.

use super::fakes::cable::{Cable, Identity};
use super::fakes::fortigate::{self, State, TOKEN};
use super::fakes::server::Portal;
use super::house::{House, Plan, told, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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
    house.look("gateway", "/api/v1/devices/edge").ok().json()["push"]["lists"][0].clone()
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
    let measured = "ironlist_push_enforced_seconds_count{device=\"edge\"} 1";
    // It is written down a moment before it is counted.
    until("it is measured once", || {
        running.get("blacklist", "/metrics").text().contains(measured).then_some(())
    });
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
fn what_a_removed_device_was_pushed_is_told_everywhere_until_somebody_empties_it() {
    let data = tempfile::tempdir().unwrap();
    let firewall = fortigate::start(&["fortigate"]);
    let house = house(data.path(), port_of(&firewall));
    import(&house, "a", "20.0.0.1\n20.0.0.3\n");
    assert_eq!(push_to(&house, firewall.server.url(), json!({})), 200);
    enforced(&house, 2);
    let (status, told_at_once) = send(&house, "DELETE", "/api/v1/devices/edge", &json!({"reason": "sold"}));
    assert!(status == 200 && told_at_once["warnings"][0].as_str().unwrap().contains("push-clear"));
    let metric = |count: &str| {
        let metrics = house.get("blacklist", "/metrics").text().to_owned();
        metrics.contains(&format!("ironlist_device_remnants{{device=\"edge\"}} {count}\n"))
    };
    let push = || house.get("blacklist", "/health").json()["checks"]["push"].clone();
    assert!(metric("1") && push()["status"] == "degraded", "{}", push());
    assert!(push()["detail"].as_str().unwrap().contains("still has 2 entries"), "{}", push());
    let run = |line: &str| told(&house.run(line.split(' ')));
    let (code, listed, _) = run("device remnants");
    assert!(code == 0 && listed.contains("edge") && listed.contains(firewall.server.url()), "{listed}");
    let remnants = house.get("gateway", "/api/v1/remnants").ok().json();
    let id = remnants["data"][0]["id"].as_str().unwrap().to_owned();
    firewall.set(|state| state.fails = vec![503]);
    let (code, _, err) = run(&format!("device push-clear {id} --reason sold"));
    assert!(code == 2 && err.contains("firewall_status"), "{err}");
    let (code, _, err) = run(&format!("device push-clear {id} --reason sold"));
    assert_eq!((code, &firewall.state().lists["fortigate"]), (0, &Vec::new()), "{err}");
    assert!(!metric("1") && push()["status"] == "healthy", "{}", push());
    assert_eq!(house.get("gateway", "/api/v1/remnants").ok().json()["total"], 0);
    assert_eq!(run(&format!("device push-clear {id} --forget --reason sold")).0, 2, "there is none any more");
}

#[test]
fn a_firewall_that_is_told_to_fetch_has_the_list_at_once() {
    let data = tempfile::tempdir().unwrap();
    let firewall = fortigate::start(&["fortigate"]);
    let house = house(data.path(), port_of(&firewall));
    import(&house, "a", "20.0.0.1\n20.0.0.3\n");
    let (_, keys) = send(&house, "POST", "/api/v1/devices/edge/keys", &json!({"reason": "a test"}));
    let basic = super::http::basic("edge", keys["password"].as_str().unwrap());
    let poll = (house.address("blacklist").to_string(), "/feeds/fortigate.txt".to_owned(), basic);
    firewall.set(|state| state.poll = Some(poll));
    assert_eq!(push_to(&house, firewall.server.url(), json!({"mode": "refresh"})), 200);
    enforced(&house, 2);
    import(&house, "b", "20.0.0.5\n");
    assert_eq!(enforced(&house, 3)["enforced"]["by"], "refresh");
    let device = house.look("gateway", "/api/v1/devices/edge").ok().json();
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
    let device = house.look("gateway", "/api/v1/devices/edge").ok().text().to_owned();
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

/// Single addresses that do not touch, from a place of their own.
fn addresses(begin: u32, count: u32) -> String {
    (0..count).map(|n| format!("{}\n", std::net::Ipv4Addr::from(begin + 2 * n))).collect()
}

#[test]
fn a_push_that_breaks_in_the_middle_is_made_again_and_leaves_nothing_twice() {
    let data = tempfile::tempdir().unwrap();
    let firewall = fortigate::start(&["fortigate"]);
    let cable = Cable::to(firewall.server.url(), None);
    let house = house(data.path(), cable.address().port());
    import(&house, "a", &addresses(0x1400_0000, 120_000));
    let before = house.memory();
    // In the middle of the list, and again.
    cable.cut(&[100_000, 1_000_000]);
    assert_eq!(push_to(&house, &format!("http://{}", cable.address()), json!({})), 200);
    until("it breaks", || (list(&house)["trouble"]["attempts"].as_u64()? > 0).then_some(()));
    assert!(firewall.state().lists["fortigate"].is_empty(), "half a list is none");
    enforced(&house, 120_000);
    assert_eq!((cable.to_cut(), firewall.state().commands), (0, vec![("snapshot".into(), 120_000)]));
    let grown = house.memory().saturating_sub(before);
    assert!(grown < 96 << 20, "{} MiB more for 1.5 MB", grown >> 20);
    // In the second of three commands: what the first one added is there when everything is sent again.
    cable.cut(&[50_000]);
    import(&house, "b", &addresses(0x2000_0000, 5000));
    let list = enforced(&house, 125_000);
    let state = firewall.state();
    assert_eq!(state.commands[1..], [("add".into(), 2000), ("snapshot".into(), 125_000)]);
    assert_eq!((cable.to_cut(), &list["enforced"]["by"]), (0, &json!("snapshot")));
    let lines: BTreeSet<&String> = state.lists["fortigate"].iter().collect();
    assert_eq!((lines.len(), state.lists["fortigate"].len()), (125_000, 125_000));
    // Large changes go in pieces, small ones alone.
    import(&house, "c", &addresses(0x3000_0000, 4001));
    enforced(&house, 129_001);
    let sizes = [2000, 2000, 1].map(|size| ("add".to_owned(), size));
    assert_eq!(firewall.state().commands[3..], sizes);
}

#[test]
fn a_firewall_of_its_own_authority_is_told_its_key_only_when_somebody_vouches_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (identity, other) = (Identity::new(), Identity::new());
    let firewall = fortigate::start(&["Blacklist"]);
    let cable = Cable::to(firewall.server.url(), Some(&identity));
    let house = house(&folder.path().join("data"), cable.address().port());
    import(&house, "a", "20.0.0.1\n20.0.0.3\n");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("--ca {}", path.display())
    };
    let pin = |identity: &Identity| format!("--fingerprint {}", identity.fingerprint);
    let to = |how: &str| {
        let url = format!("https://{}", cable.address());
        let line = format!("device push-to edge --url {url} --list fortigate=Blacklist --reason test {how}");
        let (code, _, err) = house.say(line.trim(), TOKEN);
        assert_eq!(code, 0, "{err}");
    };
    for how in [String::new(), file("other.pem", &other.authority), pin(&other)] {
        to(&how);
        let list = until("it is not believed", || {
            Some(list(&house)).filter(|list| list["trouble"]["code"] == "tls_failed")
        });
        assert!(list["trouble"]["cure"].as_str().unwrap().contains("authority"), "{list}");
        assert!(firewall.server.asked().is_empty(), "nothing is said to a stranger");
    }
    for how in [file("own.pem", &identity.authority), pin(&identity)] {
        to(&how);
        enforced(&house, 2);
    }
    import(&house, "b", "20.0.0.5\n");
    enforced(&house, 3);
}

#[test]
fn an_operator_sets_pushing_up_looks_pushes_again_and_stops_it() {
    let data = tempfile::tempdir().unwrap();
    let firewall = fortigate::start(&["fortigate"]);
    let house = house(data.path(), port_of(&firewall));
    import(&house, "a", "20.0.0.1\n20.0.0.3\n");
    let run = |line: &str| told(&house.run(line.split(' ')));
    let (code, _, err) = run("device push edge");
    assert!(code != 0 && err.contains("no_push_target"), "{err}");
    let url = firewall.server.url();
    for (line, wrong) in [
        (format!("device push-to edge --url {url} --list other=Blacklist --reason test"), "bad_push_target"),
        ("device push-to edge --url http://192.0.2.1 --reason test".to_owned(), "unencrypted"),
        (format!("device push-to edge --url {url} --fingerprint ab --reason test"), "fingerprint"),
        (format!("device push-to nobody --url {url} --reason test"), "unknown_device"),
    ] {
        let (code, _, err) = house.say(&line, TOKEN);
        assert!(code != 0 && err.contains(wrong), "{line}: {err}");
    }
    let line = format!("device push-to edge --url {url} --mode snapshot --reason test");
    let (code, _, err) = house.say(&line, TOKEN);
    assert_eq!(code, 0, "{err}");
    enforced(&house, 2);
    let (code, shown, _) = run("device show edge");
    assert!(
        code == 0 && shown.contains(url) && shown.contains("enforced") && !shown.contains(TOKEN),
        "{shown}"
    );
    assert_eq!(run("device push edge").0, 0);
    until("everything is sent again", || {
        (firewall.state().commands == vec![("snapshot".to_owned(), 2); 2]).then_some(())
    });
    let (code, _, err) = run("device push-stop edge --reason over");
    assert_eq!(code, 0, "{err}");
    import(&house, "b", "20.0.0.5\n");
    assert!(house.look("gateway", "/api/v1/devices/edge").ok().json()["push"].is_null());
    let (code, _, err) = run("device push edge");
    assert!(code != 0 && err.contains("no_push_target"), "{err}");
    assert_eq!(firewall.state().commands.len(), 2, "nothing goes there any more");
}
