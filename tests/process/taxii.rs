//! TAXII, as the client of its own makers reads it, and STIX as their validator takes it. `tests/run` puts both here.

use super::house::{Plan, told};
use std::process::Command;

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/readers/bin");

/// Reads all pages of the first collection, an object at a time, and writes them as a bundle; then what came later.
const READ: &str = r#"
import json, sys
from taxii2client.v21 import Server, as_pages
server = Server(sys.argv[1])
collection = server.default.collections[0]
assert collection.title == "fortigate" and collection.can_read and not collection.can_write
after = {"added_after": sys.argv[3]} if len(sys.argv) > 3 else {}
objects, times = [], []
for page in as_pages(collection.get_objects, per_request=2, **after):
    objects += page.get("objects", [])
manifest = collection.get_manifest(**after).get("objects", [])
assert [(o["id"], o["modified"]) for o in objects] == [(m["id"], m["version"]) for m in manifest]
if objects:
    assert collection.get_object(objects[0]["id"])["objects"] == [objects[0]]
bundle = {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000000", "objects": objects}
json.dump(bundle, open(sys.argv[2], "w"))
for object in objects:
    print(object["name"], object.get("revoked", False))
print(manifest[-1]["date_added"] if manifest else "")
"#;

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{error}; tests/run installs it"));
    let (code, said, errors) = told(&output);
    assert_eq!(code, 0, "{said}{errors}");
    said
}

#[test]
fn the_client_of_its_makers_reads_a_collection_and_what_changed_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(&folder.path().join("data")).start();
    let list = |lines: &str| {
        let path = "/api/v1/blacklist/import?source=alpha&replace=true";
        house.post("gateway", path, "text/plain", lines).ok();
    };
    let file = folder.path().join("bundle.json");
    let read = |after: &str| {
        let mut python = Command::new(format!("{PROGRAMS}/python"));
        python.args(["-c", READ, &format!("http://{}/taxii2/", house.address("gateway"))]).arg(&file);
        let said = succeed(python.args(Some(after).filter(|after| !after.is_empty())));
        let validated = succeed(
            Command::new(format!("{PROGRAMS}/stix2_validator")).args(["--version", "2.1"]).arg(&file),
        );
        assert!(validated.contains("STIX JSON: Valid"), "{validated}");
        let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
        let last = lines.pop().unwrap();
        (lines, last)
    };
    list("20.0.0.1\n20.0.1.0/24\n30.0.0.1\n2a00::/64\n2a00:1::1\n");
    let (all, last) = super::house::until("the feed is released", || {
        let status = house.get("gateway", "/feeds/fortigate").status;
        (status == 200).then(|| read(""))
    });
    assert_eq!(
        all,
        ["20.0.0.1 False", "20.0.1.0/24 False", "30.0.0.1 False", "2a00::/64 False", "2a00:1::1 False"]
    );
    list("20.0.0.1\n20.0.1.0/24\n40.0.0.1\n2a00::/64\n2a00:1::1\n");
    let changed = super::house::until("what changed is released", || {
        let (changed, _) = read(&last);
        (!changed.is_empty()).then_some(changed)
    });
    assert_eq!(changed, ["30.0.0.1 True", "40.0.0.1 False"]);
}
