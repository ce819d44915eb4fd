//! Who may write, and who may open the data folder.

use super::house::{Plan, run, told};
use std::process::Output;

const ROLES: [&str; 4] = ["collection", "blacklist", "analytics", "gateway"];

const WRITES: [(&str, &str); 6] = [
    ("POST", "/api/v1/blacklist/ips"),
    ("PUT", "/api/v1/blacklist/ips/203.0.114.1"),
    ("DELETE", "/api/v1/blacklist/ips/203.0.114.1"),
    ("POST", "/api/v1/blacklist/ips/bulk"),
    ("POST", "/api/v1/blacklist/import?source=x"),
    ("DELETE", "/api/v1/blacklist/allowlist/203.0.114.1"),
];

const READS: [&str; 6] = [
    "/api/v1/blacklist/check/203.0.114.1",
    "/api/v1/blacklist/ips/203.0.114.1",
    "/api/v1/blacklist/active",
    "/api/v1/blacklist/statistics",
    "/api/v1/blacklist/fortigate",
    "/api/v1/analytics/summary",
];

#[test]
fn every_port_wants_the_key_for_writing_and_none_takes_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let wrong = [("x-api-key", "wrong"), ("authorization", "Bearer wrong")];
    for role in ROLES {
        for (method, path) in WRITES.into_iter().filter(|_| matches!(role, "blacklist" | "gateway")) {
            let answer = house.ask(role, method, path, &[], b"{}").unwrap();
            assert_eq!(answer.problem(), (401, "key_missing".to_owned()), "{role} {method} {path}");
            assert!(answer.header("www-authenticate").is_some());
        }
        for (header, path) in wrong.into_iter().zip(["/health", READS[0]]) {
            let answer = house.ask(role, "GET", path, &[header], b"").unwrap();
            assert_eq!(answer.problem(), (401, "key_wrong".to_owned()), "{role} {path}");
        }
    }
    for path in READS {
        assert_ne!(house.get("gateway", path).status, 401, "{path}");
        for header in wrong {
            let answer = house.ask("gateway", "GET", path, &[header], b"").unwrap();
            assert_eq!(answer.problem(), (401, "key_wrong".to_owned()), "{path}");
        }
    }
    assert_eq!(house.generation(), 0);
}

#[test]
fn a_second_service_on_the_same_folder_says_so_in_one_line_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let second: Output = run(folder.path(), ["serve"]);
    let (code, out, errors) = told(&second);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains(folder.path().to_str().unwrap()), "{errors}");
    assert!(errors.contains("in use by another ironlist process"), "{errors}");
    assert_eq!(house.get("gateway", "/ready").status, 200);
    assert_eq!(told(&house.run(["check", "203.0.114.1"])).0, 0);
}
