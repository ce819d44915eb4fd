//! What a start serves when not all is as it should be.

use super::house::{House, Plan, ironlist, until};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

const LIST: &str = "45.1.2.3\n45.1.2.5\n";

/// What the blacklist's health says of imports.
fn health(house: &House) -> Value {
    house.get("blacklist", "/health").json()["checks"]["import"].clone()
}

fn listed(house: &House) -> bool {
    house.get("gateway", "/api/v1/blacklist/check/45.1.2.3").ok().json()["listed"] == true
}

fn feed(house: &House) -> Option<String> {
    let answer = house.get("blacklist", "/feeds/fortigate");
    (answer.status == 200).then(|| answer.text().to_owned())
}

/// A data folder beside a list that was imported into it.
fn imported() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("partner.txt");
    fs::write(&list, LIST).unwrap();
    let house = Plan::new(&folder.path().join("data")).argument("--import").argument(&list).start();
    assert!(listed(&house));
    assert_eq!(health(&house)["status"], "healthy");
    house.stop();
    (folder, list)
}

#[test]
fn an_import_that_fails_leaves_what_was_there_and_health_tells() {
    let (folder, list) = imported();
    let data = folder.path().join("data");
    fs::write(&list, "<!DOCTYPE html><html></html>").unwrap();
    let house = Plan::new(&data).argument("--import").argument(&list).start();
    assert!(listed(&house));
    let told = health(&house);
    assert_eq!(told["status"], "degraded", "{told}");
    assert!(told["detail"].as_str().unwrap().contains("partner.txt"), "{told}");
    house.stop();

    fs::write(&list, LIST).unwrap();
    fs::write(data.join("journal.redb"), "ruined").unwrap();
    let house = Plan::new(&data).argument("--import").argument(&list).start();
    assert!(listed(&house));
    assert_eq!(health(&house)["status"], "degraded");
}

#[test]
fn an_import_that_fails_ends_a_start_that_would_serve_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = ironlist(&folder.path().join("data"));
    let output = serve.args(["serve", "--import", "/nonexistent/list.txt"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/list.txt"));
}

#[test]
fn a_list_from_before_an_allow_never_goes_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("feeds/fortigate.feed");
    let line = |n: u32| format!("45.{}.{}.{}\n", n >> 14, n >> 7 & 127, (n & 127) * 2);
    let house = Plan::new(folder.path()).start();
    let lines: String = (0..60_000).map(line).collect();
    house.post("gateway", "/api/v1/blacklist/import?source=a", "text/plain", lines).ok();
    until("the list is kept", || feed(&house).filter(|list| list.contains("45.0.0.2\n") && kept.exists()));
    let before = fs::read(&kept).unwrap();
    let allow = r#"{"range":"45.0.0.2","reason":"ours"}"#;
    house.post("gateway", "/api/v1/blacklist/allowlist", "application/json", allow).ok();
    until("the allow counts", || feed(&house).filter(|list| !list.contains("45.0.0.2\n")));
    house.stop();

    fs::write(&kept, before).unwrap();
    let house = Plan::new(folder.path()).start();
    assert!(feed(&house).is_some_and(|list| !list.contains("45.0.0.2\n")));
}
