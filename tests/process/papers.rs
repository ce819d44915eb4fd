//! The document of each port, believed by a program that has never seen this one: it makes requests of every operation,
//! good ones and bad ones, and holds the answers against what the document says. `tests/run` puts it here.

use super::house::{Plan, until};
use std::process::Command;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/readers/bin/schemathesis");
const CHECK: &str = include_str!("papers_check.py");

/// No fault of the service, and no status, type or shape of an answer that the document does not tell.
const CHECKS: &str = "is_no_fault_of_the_service,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

/// A stream that does not end.
const ENDLESS: &str = "/internal/v1/journal";

fn what_the_document_says_is_what_a_stranger_finds(role: &str) {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let list = "ip,country,reason\n20.0.0.1,KR,scan\n20.0.1.0/24,US,\n2a01:4f8::1,DE,mail\n";
    house.post("blacklist", "/api/v1/blacklist/import?source=regtech", "text/csv", list).ok();
    until("it is published", || (house.get("gateway", "/feeds/fortigate").status == 200).then_some(()));
    std::fs::write(folder.path().join("papers_check.py"), CHECK).unwrap();
    let document = format!("http://{}/openapi.json", house.address(role));
    let key = format!("X-API-Key: {}", house.key());
    let mut program = Command::new(PROGRAM);
    program.current_dir(folder.path()).env("SCHEMATHESIS_HOOKS", "papers_check");
    program.args(["run", &document, "--checks", CHECKS, "-H", &key, "--exclude-path", ENDLESS]);
    program.args(["--phases", "examples,coverage,fuzzing", "--mode", "all", "--max-examples", "8"]);
    program.args(["--seed", "1", "--generation-deterministic", "--no-shrink", "--continue-on-failure"]);
    // One thread: in Python 3.11 two that parse Python at once break each other (python/cpython#106905).
    program.args(["--no-color", "--workers", "1", "--warnings", "off", "--request-timeout", "30"]);
    let output = program.output().unwrap_or_else(|error| panic!("{error}; tests/run installs it"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!house.has_logged("\"level\":\"ERROR\""));
}

#[test]
fn a_stranger_finds_what_the_document_of_the_gateway_says() {
    what_the_document_says_is_what_a_stranger_finds("gateway");
}

#[test]
fn a_stranger_finds_what_the_document_of_the_blacklist_says() {
    what_the_document_says_is_what_a_stranger_finds("blacklist");
}

#[test]
fn a_stranger_finds_what_the_document_of_collection_says() {
    what_the_document_says_is_what_a_stranger_finds("collection");
}

#[test]
fn a_stranger_finds_what_the_document_of_analytics_says() {
    what_the_document_says_is_what_a_stranger_finds("analytics");
}
