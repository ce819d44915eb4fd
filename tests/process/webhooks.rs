//! Webhooks of the real program: set up on the command line, by API and in the file, and told to a receiver that checks
//! every signature.

use super::fakes::receiver::{self, Mood, State};
use super::fakes::server::Portal;
use super::house::{House, Plan, told, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const HOOK: &str = "/api/v1/webhooks/ops";
const SECRET: &str = "a-secret-that-only-two-know";

fn plan(data: &Path, receiver: &Portal<State>) -> Plan {
    let port = receiver.server.url().rsplit(':').next().unwrap().to_owned();
    Plan::new(data).set("IRONLIST_PUSH_NETWORKS", "127.0.0.1").set("IRONLIST_PUSH_PORTS", &port)
}

fn send(house: &House, method: &str, path: &str, document: &Value) -> (u16, Value) {
    let key = house.key();
    let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
    let body = if document.is_null() { String::new() } else { document.to_string() };
    let answer = house.ask("gateway", method, path, &headers, body.as_bytes()).unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn get(house: &House, path: &str) -> Value {
    let (status, answer) = send(house, "GET", path, &Value::Null);
    assert_eq!(status, 200, "{answer}");
    answer
}

/// A hook whose secret the receiver knows.
fn add(house: &House, receiver: &Portal<State>) {
    receiver.set(|state| state.secrets = vec![SECRET.to_owned()]);
    let hook = json!({"name": "ops", "url": receiver.server.url(), "secret": SECRET});
    let (status, answer) =
        send(house, "POST", "/api/v1/webhooks", &json!({"reason": "a test", "webhook": hook}));
    assert_eq!((status, &answer["secret"]), (200, &Value::Null), "{answer}");
}

fn import(house: &House, name: &str, list: &str) {
    let path = format!("/api/v1/blacklist/import?source={name}&replace=true");
    house.post("blacklist", &path, "text/plain", list).ok();
}

fn generations(receiver: &Portal<State>) -> Vec<u64> {
    let told = receiver.state().told;
    told.iter().filter_map(|one| one.document["release"]["generation"].as_u64()).collect()
}

/// Waits until everything has arrived.
fn quiet(house: &House) -> Value {
    until("nothing waits", || {
        let hook = get(house, HOOK);
        (hook["waiting"] == 0 && !hook["delivered_at"].is_null()).then_some(hook)
    })
}

#[test]
fn an_operator_adds_a_hook_tests_it_sees_what_it_was_told_and_removes_it() {
    let data = tempfile::tempdir().unwrap();
    let receiver = receiver::start();
    let house = plan(data.path(), &receiver).start();
    let run = |line: &str| told(&house.run(line.split(' ')));
    let url = receiver.server.url();
    let (code, added, err) =
        run(&format!("webhook add ops --url {url} --event feed.released --reason pilot"));
    assert_eq!(code, 0, "{err}");
    let secret_in = |text: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix("secret:")).unwrap().trim().to_owned()
    };
    let secret = secret_in(&added);
    receiver.set(|state| state.secrets = vec![secret.clone()]);
    let (code, tested, _) = run("webhook test ops");
    assert_eq!((code, receiver.state().told[0].signed.as_slice()), (0, [0].as_slice()), "{tested}");
    assert!(tested.contains("thank you"), "{tested}");
    import(&house, "a", "20.0.0.1\n20.0.0.3\n");
    until("it is told", || (generations(&receiver).len() == 1).then_some(()));
    assert_eq!(receiver.state().told[1].signed, [0]);
    let (_, log, _) = run("webhook log ops");
    assert!(log.contains("feed.released") && log.contains("ping") && log.contains("delivered"), "{log}");
    assert!(run("webhook list").1.contains("ops"));
    let next = secret_in(&run("webhook secret ops --reason rotation").1);
    receiver.set(|state| state.secrets.push(next.clone()));
    assert_eq!(run("webhook test ops").0, 0);
    assert_eq!(receiver.state().told[2].signed, [0, 1], "both sign for a day");
    receiver.set(|state| state.moods = [Mood::Status(500)].into());
    assert_eq!(run("webhook test ops").0, 1);
    for secret in [&secret, &next] {
        for path in ["/api/v1/webhooks", HOOK, "/api/v1/webhooks/ops/log", "/api/v1/audit"] {
            let answer = get(&house, path).to_string();
            assert!(!answer.contains(secret.as_str()) && !answer.contains("sealed"), "{path}: {answer}");
        }
        assert!(!house.has_logged(secret));
    }
    let actions: Vec<String> = get(&house, "/api/v1/audit")["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["action"].as_str().unwrap(), row["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(actions, ["webhook.secret rotation", "webhook.add pilot"]);
    assert_eq!(run("webhook disable ops --reason quiet").0, 0);
    assert_eq!(get(&house, HOOK)["enabled"], false);
    assert_eq!(run("webhook enable ops --reason loud").0, 0);
    assert_eq!(get(&house, HOOK)["events"], json!(["feed.released"]), "all else is as it was");
    assert_eq!(run("webhook remove ops --reason over").0, 0);
    assert_eq!(send(&house, "GET", HOOK, &Value::Null).0, 404);
}

#[test]
fn only_administrators_with_a_reason_set_hooks_up_and_see_them() {
    let data = tempfile::tempdir().unwrap();
    let receiver = receiver::start();
    let house = plan(data.path(), &receiver).start();
    add(&house, &receiver);
    for path in ["/api/v1/webhooks", HOOK, "/api/v1/webhooks/ops/log"] {
        assert_eq!(house.get("gateway", path).status, 401, "{path}");
    }
    let hook = json!({"url": receiver.server.url()});
    assert_eq!(house.ask("gateway", "PUT", HOOK, &[], b"{}").unwrap().status, 401);
    for (method, path, body, status, code) in [
        ("PUT", HOOK, json!({"reason": " ", "webhook": hook}), 422, "reason_missing"),
        (
            "POST",
            "/api/v1/webhooks",
            json!({"reason": "x", "webhook": {"name": "ops", "url": hook["url"]}}),
            409,
            "webhook_exists",
        ),
        (
            "POST",
            "/api/v1/webhooks",
            json!({"reason": "x", "webhook": {"name": "a", "url": "http://10.0.0.1/"}}),
            422,
            "bad_webhook",
        ),
        (
            "PUT",
            HOOK,
            json!({"reason": "x", "webhook": {"url": hook["url"], "secret": "short-secret"}}),
            422,
            "bad_webhook",
        ),
        (
            "PUT",
            HOOK,
            json!({"reason": "x", "webhook": {"url": hook["url"], "secret": 471_147}}),
            422,
            "body_shape",
        ),
        (
            "PUT",
            HOOK,
            json!({"reason": "x", "webhook": {"url": hook["url"], "events": ["feed.exploded"]}}),
            422,
            "body_shape",
        ),
        ("PUT", "/api/v1/webhooks/none", json!({"reason": "x", "webhook": hook}), 404, "unknown_webhook"),
        ("POST", "/api/v1/webhooks/none/test", json!({}), 404, "unknown_webhook"),
        ("DELETE", HOOK, json!({}), 422, "reason_missing"),
    ] {
        let (found, problem) = send(&house, method, path, &body);
        assert_eq!(
            (found, problem["code"].as_str()),
            (status, Some(code)),
            "{method} {path} {body}: {problem}"
        );
        assert!(!problem.to_string().contains("short-secret") && !problem.to_string().contains("471147"));
    }
}

#[test]
fn a_receiver_that_fails_hangs_leads_elsewhere_or_never_ends_is_told_in_the_end_and_in_order() {
    let data = tempfile::tempdir().unwrap();
    let (receiver, elsewhere) = (receiver::start(), receiver::start());
    receiver.set(|state| {
        let way = Mood::Elsewhere(elsewhere.server.url().to_owned());
        state.moods = [Mood::Status(500), way, Mood::Hang, Mood::Endless].into();
    });
    let house = plan(data.path(), &receiver).start();
    add(&house, &receiver);
    import(&house, "a", "20.0.0.1\n");
    let hook = until("it fails", || Some(get(&house, HOOK)).filter(|hook| !hook["trouble"].is_null()));
    assert_eq!((&hook["trouble"]["code"], &hook["waiting"]), (&json!("receiver_status"), &json!(1)));
    // Nothing of it holds up a release.
    import(&house, "b", "20.0.0.3\n20.0.0.5\n");
    until("it is released", || {
        (house.get("gateway", "/feeds/fortigate.txt").text().lines().count() == 3).then_some(())
    });
    quiet(&house);
    assert_eq!(generations(&receiver), [1, 1, 1, 1, 2]);
    let told = receiver.state().told;
    assert!(told.iter().all(|one| one.signed == [0]));
    assert!(told[..4].iter().all(|one| one.id == told[0].id), "a repeat is known by its number");
    assert!(elsewhere.state().told.is_empty());
    let log = get(&house, "/api/v1/webhooks/ops/log");
    let first = &log["data"][1];
    assert_eq!(
        (&first["state"], &first["attempts"], &first["status"]),
        (&json!("delivered"), &json!(4), &json!(200))
    );
    assert_eq!(first["answer"].as_str().unwrap().len(), 200);
    let metrics = house.get("blacklist", "/metrics").text().to_owned();
    for line in [
        "{hook=\"ops\",result=\"delivered\"} 2",
        "{hook=\"ops\",result=\"fetch_timeout\"} 1",
        "{hook=\"ops\",result=\"receiver_status\"} 1",
        "{hook=\"ops\",result=\"redirect\"} 1",
    ] {
        assert!(metrics.contains(&format!("ironlist_webhook_deliveries_total{line}")), "{line}: {metrics}");
    }
    assert!(metrics.contains("ironlist_webhook_behind_seconds{hook=\"ops\"} 0"), "{metrics}");
}

#[test]
fn a_receiver_that_is_gone_is_told_no_more_and_health_names_it() {
    let data = tempfile::tempdir().unwrap();
    let receiver = receiver::start();
    receiver.set(|state| state.moods = [Mood::Status(410)].into());
    let house = plan(data.path(), &receiver).start();
    add(&house, &receiver);
    import(&house, "a", "20.0.0.1\n");
    until("it is off", || (get(&house, HOOK)["enabled"] == false).then_some(()));
    let health = house.get("blacklist", "/health").json();
    let check = &health["checks"]["webhooks"];
    assert_eq!((&health["status"], &check["status"]), (&json!("degraded"), &json!("degraded")), "{health}");
    assert!(check["detail"].as_str().unwrap().contains("ops: the receiver answered 410 Gone"), "{check}");
    assert_eq!(house.get("blacklist", "/ready").status, 200);
    import(&house, "b", "20.0.0.3\n");
    let (code, _, err) = told(&house.run(["webhook", "enable", "ops", "--reason", "it is back"]));
    assert_eq!(code, 0, "{err}");
    assert_eq!(house.get("blacklist", "/health").json()["checks"]["webhooks"]["status"], "healthy");
    import(&house, "c", "20.0.0.5\n");
    quiet(&house);
    assert_eq!(generations(&receiver), [1, 3]);
}

#[test]
fn nothing_that_waits_is_lost_when_the_service_is_killed_or_was_not_there() {
    let data = tempfile::tempdir().unwrap();
    let receiver = receiver::start();
    receiver.set(|state| state.moods = vec![Mood::Status(503); 1000].into());
    let house = plan(data.path(), &receiver).start();
    add(&house, &receiver);
    import(&house, "a", "20.0.0.1\n");
    let id = until("it was tried", || receiver.state().told.first().map(|one| one.id.clone()));
    import(&house, "b", "20.0.0.3\n");
    until("both wait", || (get(&house, HOOK)["waiting"] == 2).then_some(()));
    house.kill();
    // Nobody tells anybody while this list is taken in.
    let list = data.path().join("c.txt");
    fs::write(&list, "20.0.0.5\n").unwrap();
    let (code, _, err) =
        told(&super::house::run(data.path(), ["import", list.to_str().unwrap(), "--source", "c"]));
    assert_eq!(code, 0, "{err}");
    receiver.set(|state| (state.moods, state.told) = Default::default());
    let house = plan(data.path(), &receiver).start();
    until("all is told", || (generations(&receiver).len() == 3).then_some(()));
    assert_eq!((generations(&receiver), &receiver.state().told[0].id), (vec![1, 2, 3], &id));
    assert!(house.stop().success());
}

#[test]
fn hooks_come_change_and_go_with_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver::start();
    receiver.set(|state| state.secrets = vec![SECRET.to_owned()]);
    let (file, secret) = (folder.path().join("ironlist.toml"), folder.path().join("secret"));
    fs::write(&secret, SECRET).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let write = |more: &str| {
        let (url, secret) = (receiver.server.url(), secret.display());
        fs::write(&file, format!("[webhooks.ops]\nurl = \"{url}\"\nsecret_file = \"{secret}\"\n{more}"))
            .unwrap();
    };
    write("events = [\"feed.held\"]\n");
    let house = plan(&folder.path().join("data"), &receiver).argument("--config").argument(&file).start();
    assert_eq!(get(&house, HOOK)["events"], json!(["feed.held"]));
    write("");
    house.signal(Signal::HUP);
    until("it hears of all", || (get(&house, HOOK)["events"] == json!([])).then_some(()));
    import(&house, "a", "20.0.0.1\n");
    quiet(&house);
    assert_eq!(receiver.state().told[0].signed, [0]);
    fs::write(&file, "").unwrap();
    house.signal(Signal::HUP);
    until("it is gone", || (send(&house, "GET", HOOK, &Value::Null).0 == 404).then_some(()));
}
