//! STIX and MISP, as the programs of their own makers take them. Debian has neither: `tests/run` puts them here.

use super::{List, succeed};
use ironlist::addr::{IpRange, RangeSet};
use ironlist::model::{Format, Lines};
use std::process::Command;

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/readers/bin");

#[test]
fn a_bundle_is_valid_stix_whatever_the_reasons_say() {
    for list in [List::new(1, 10), List::empty()] {
        let (file, _) = list.publish(Format::Stix, Lines::Cidrs);
        let mut validator = Command::new(format!("{PROGRAMS}/stix2_validator"));
        let said = succeed(validator.args(["--version", "2.1"]).arg(&file));
        assert!(said.contains("STIX JSON: Valid"), "{said}");
    }
}

/// Prints the values of an event, and whether manifest and hashes are what the library would write beside it.
const READ_EVENT: &str = r#"
import json, sys
from pymisp import MISPEvent
event = MISPEvent()
event.load_file(sys.argv[1])
manifest, ours = json.load(open(sys.argv[2])), event.manifest[event.uuid]
assert list(manifest) == [event.uuid]
assert {k: str(v) for k, v in manifest[event.uuid].items()} == {k: str(v) for k, v in ours.items()}, ours
hashes = [line.split(",") for line in open(sys.argv[3]).read().splitlines()]
assert hashes == [[value, event.uuid] for value in event.attributes_hashes("md5")]
for attribute in event.attributes:
    print(attribute.value)
"#;

#[test]
fn a_feed_for_misp_is_read_by_its_own_library() {
    for list in [List::new(1, 10), List::empty()] {
        let mut python = Command::new(format!("{PROGRAMS}/python"));
        python.args(["-c", READ_EVENT]);
        for document in Format::Misp.documents() {
            python.arg(list.publish_document(document, Lines::Cidrs).0);
        }
        let values = succeed(&mut python);
        let (v4, v6) = RangeSet::of_families(values.lines().map(|value| value.parse::<IpRange>().unwrap()));
        assert_eq!((&v4, &v6), (&list.selection.v4, &list.selection.v6));
    }
}
