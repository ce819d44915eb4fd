//! The DNS list, asked with the tool that everybody has.

use super::house::{House, Plan, told, until};
use std::process::Command;

/// What `dig` says, and the status of the answer.
fn dig(house: &House, arguments: &[&str]) -> (String, String) {
    let server = house.address("dnsbl");
    let mut command = Command::new("dig");
    command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
    command.args(["+tries=3", "+time=5"]).args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("dig: {error}; tests/run installs it"));
    let text = String::from_utf8(output.stdout).unwrap();
    let status = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    (status.to_owned(), text)
}

/// The answers' data.
pub(crate) fn short(house: &House, arguments: &[&str]) -> String {
    dig(house, &[&["+short"], arguments].concat()).1.trim().to_owned()
}

fn start(folder: &tempfile::TempDir) -> House {
    let list = folder.path().join("alpha.txt");
    std::fs::write(&list, "20.0.0.0/30\n2a00::/64\n").unwrap();
    let plan = Plan::new(&folder.path().join("data")).argument("--import").argument(&list);
    plan.set("IRONLIST_DNSBL_LISTEN", "127.0.0.1:0").set("IRONLIST_DNSBL_ZONE", "bl.test").start()
}

#[test]
fn an_address_is_listed_with_its_reason_until_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let house = start(&folder);
    for transport in ["+notcp", "+tcp"] {
        assert_eq!(short(&house, &[transport, "1.0.0.20.bl.test"]), "127.0.0.2");
    }
    let v6 = format!("1.{}0.0.a.2.bl.test", "0.".repeat(27));
    assert_eq!(short(&house, &[&v6]), "127.0.0.2");
    let reason = short(&house, &["1.0.0.20.bl.test", "TXT"]);
    assert_eq!(reason, "\"20.0.0.1 is listed by alpha; feed fortigate\"");
    for (name, status) in
        [("4.0.0.20.bl.test", "NXDOMAIN"), ("1.0.0.127.bl.test", "NXDOMAIN"), ("1.0.0.20.test", "REFUSED")]
    {
        assert_eq!(dig(&house, &[name]).0, status, "{name}");
    }
    assert_eq!(short(&house, &["2.0.0.127.bl.test"]), "127.0.0.2", "the list works");
    let (status, text) = dig(&house, &["+nocookie", "x.bl.test"]);
    assert!(status == "NXDOMAIN" && text.contains("SOA\tlocalhost. hostmaster.bl.test."), "{text}");
    let allow = ["allow", "add", "20.0.0.1", "--reason", "a customer"];
    let (code, _, errors) = told(&house.run(allow));
    assert_eq!(code, 0, "{errors}");
    until("an allow is an answer", || (dig(&house, &["1.0.0.20.bl.test"]).0 == "NXDOMAIN").then_some(()));
    assert_eq!(short(&house, &["2.0.0.20.bl.test"]), "127.0.0.2");
    let metrics = house.get("blacklist", "/metrics").ok();
    assert!(
        metrics.text().contains("ironlist_dnsbl_questions_total{outcome=\"refused\"} 1"),
        "{}",
        metrics.text()
    );
    assert!(house.stop().success());
}

#[test]
fn without_anything_listed_a_question_fails() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(&folder.path().join("data"));
    let house =
        plan.set("IRONLIST_DNSBL_LISTEN", "127.0.0.1:0").set("IRONLIST_DNSBL_ZONE", "bl.test").start();
    assert_eq!(dig(&house, &["1.0.0.20.bl.test"]).0, "SERVFAIL");
}
