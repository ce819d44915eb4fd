//! A full disk: reading goes on, writing says so, and room is all that it needs.

use super::house::{House, Plan, until};
use super::http::Answer;
use super::lists::Feed;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// Mounting in namespaces of one's own takes no rights on most systems, and more than there are in
/// some containers.
fn can_mount() -> bool {
    let mut mount = Command::new("unshare");
    mount.args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    mount.output().is_ok_and(|output| output.status.success())
}

fn list(house: &House, number: u32) -> Answer {
    let lines: String =
        (0..3000).map(|host| format!("45.{number}.{}.{}\n", host >> 7, (host & 127) * 2)).collect();
    house.post("gateway", "/api/v1/blacklist/import?source=full", "text/plain", lines)
}

fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for piece in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
}

#[test]
fn a_full_disk_stops_writing_only_and_only_until_there_is_room() {
    assert!(
        can_mount(),
        "a full disk needs a mount in a namespace of its own: run as root, or allow user namespaces"
    );
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mount = format!("mount -t tmpfs -o size=24m tmpfs '{}'", data.display());
    let house = Plan::behind(&data, &mount).start();
    list(&house, 0).ok();
    let feed = until("a feed", || Some(house.get("gateway", "/feeds/fortigate")).filter(|a| a.status == 200));

    fill(&house.data().join("filler"));
    let refused =
        (1..255).map(|number| (number, list(&house, number))).find(|(_, answer)| answer.status != 200);
    let (number, refused) = refused.unwrap();
    assert_eq!(refused.problem(), (507, "disk_full".to_owned()));
    let check = |ip: String| house.get("gateway", &format!("/api/v1/blacklist/check/{ip}")).ok().json();
    assert_eq!(check("45.0.0.2".to_owned())["listed"], true);
    assert_eq!(check(format!("45.{number}.0.2"))["listed"], false);
    let polled = Feed::of(house.get("gateway", "/feeds/fortigate").ok().text());
    assert!(polled.v4.is_superset(&Feed::of(feed.text()).v4));
    let health = || house.get("gateway", "/health").ok().json()["checks"]["blacklist"].clone();
    let told = until("the fault is told", || Some(health()).filter(|check| check["status"] == "degraded"));
    assert!(told["detail"].as_str().unwrap().contains("full"), "{told}");
    assert_eq!(house.get("gateway", "/ready").status, 200);

    std::fs::remove_file(house.data().join("filler")).unwrap();
    list(&house, number).ok();
    until("all is well again", || (health()["status"] == "healthy").then_some(()));
    assert_eq!(check(format!("45.{number}.0.2"))["listed"], true);
    assert_eq!(check("45.0.0.2".to_owned())["listed"], true);
}
