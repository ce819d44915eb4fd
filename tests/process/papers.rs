//! The document of each port, believed by a program that has never seen this one: it makes requests of every operation,
//! good ones and bad ones, and holds the answers against what the document says. `tests/run` puts it here.

use super::house::{Plan, until};
use std::process::Command;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/readers/bin/schemathesis");

/// No 5xx, no status, type or shape of an answer that the document does not tell, and no operation without its key.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

/// Streams that do not end, and answers that wait for news.
const ENDLESS: &str = "/internal/v1/journal";

#[test]
fn what_the_documents_say_is_what_strangers_find() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let list = "ip,country,reason\n20.0.0.1,KR,scan\n20.0.1.0/24,US,\n2a01:4f8::1,DE,mail\n";
    house.post("blacklist", "/api/v1/blacklist/import?source=regtech", "text/csv", list).ok();
    until("it is published", || (house.get("gateway", "/feeds/fortigate").status == 200).then_some(()));
    let key = format!("X-API-Key: {}", house.key());
    for role in ["gateway", "blacklist", "collection", "analytics"] {
        let document = format!("http://{}/openapi.json", house.address(role));
        let mut program = Command::new(PROGRAM);
        program.current_dir(folder.path()).args(["run", &document, "--checks", CHECKS, "-H", &key]);
        program.args(["--phases", "examples,coverage,fuzzing", "--mode", "all", "--max-examples", "8"]);
        program.args(["--seed", "1", "--generation-deterministic", "--no-shrink", "--max-time", "40"]);
        program.args(["--exclude-path", ENDLESS, "--continue-on-failure", "--no-color", "--workers", "2"]);
        program.args(["--warnings", "off", "--request-timeout", "30"]);
        let output = program.output().unwrap_or_else(|error| panic!("{error}; tests/run installs it"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{role}:\n{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!house.has_logged("\"level\":\"ERROR\""));
}
