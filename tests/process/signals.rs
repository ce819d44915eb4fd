//! What signals do to a running service.

use super::house::Plan;
use super::http;
use rustix::process::Signal;
use std::io::Write;

#[test]
fn sigterm_lets_a_request_in_flight_end_and_the_service_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let mut stream = http::connect(house.address("gateway")).unwrap();
    let key = house.key();
    let headers = [("content-length", "18"), ("x-api-key", key.as_str()), ("content-type", "text/plain")];
    stream.write_all(&http::head("localhost", "POST", "/api/v1/blacklist/ips/bulk", &headers)).unwrap();
    stream.write_all(b"45.1.2.3\n").unwrap();
    // Only when another request has passed the same listener is this one's head sure to be read.
    house.get("gateway", "/ready").ok();
    house.signal(Signal::TERM);
    house.logged("stopping: requests in flight are answered first");
    stream.write_all(b"45.1.2.5\n").unwrap();
    let answer = http::read(stream, "POST").unwrap().ok().json();
    assert_eq!(answer["accepted"], 2);
    assert!(house.stop().success());
    let house = Plan::new(folder.path()).start();
    let check = house.get("gateway", "/api/v1/blacklist/check/45.1.2.5").ok().json();
    assert_eq!(check["listed"], true);
}

#[test]
fn sighup_with_a_broken_configuration_keeps_the_one_in_use_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ironlist.toml");
    std::fs::write(&file, "[limits]\nbody = \"2 MiB\"\n").unwrap();
    let house = Plan::new(&folder.path().join("data")).argument("--config").argument(&file).start();
    std::fs::write(&file, "[limits]\nbodies = \"3 MiB\"\n").unwrap();
    house.signal(Signal::HUP);
    house.logged("the configuration is wrong; the one in use stays");
    house.logged("there is no setting limits.bodies");
    house.get("gateway", "/ready").ok();
    assert!(house.stop().success());
}

#[test]
fn sighup_applies_what_can_be_applied_and_names_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ironlist.toml");
    std::fs::write(&file, "[limits]\nimport_body = \"1 KiB\"\n").unwrap();
    let house = Plan::new(&folder.path().join("data")).argument("--config").argument(&file).start();
    let import =
        || house.post("gateway", "/api/v1/blacklist/import?source=a", "text/plain", "45.1.2.3\n".repeat(200));
    assert_eq!(import().status, 413);
    let more = "[limits]\nimport_body = \"1 MiB\"\nconnections = 7\n[log]\nlevel = \"debug\"\n";
    std::fs::write(&file, more).unwrap();
    house.signal(Signal::HUP);
    house.logged("log.level, limits.import_body");
    house.logged("\"settings\":\"limits.connections\"");
    import().ok();
    // Lines about health are for debugging only.
    house.get("gateway", "/ready").ok();
    house.logged("\"level\":\"DEBUG\"");
    assert!(house.stop().success());
}
