//! The bytes of each format, written out.

use super::*;
use crate::addr::IpSet;

fn example() -> Case {
    let range = |text: &str| text.parse::<IpRange>().unwrap();
    let all = ["192.0.2.0-192.0.2.2", "198.51.100.7", "2001:db8::/126"].map(range);
    let (v4, v6) = RangeSet::of_families(all);
    let known = Facts {
        sources: ["alpha", "beta"].iter().map(|name| name.parse().unwrap()).collect(),
        threat: Some("scan".into()),
        reason: Some("=1+1, \"a\"; -2\nb".into()),
        country: crate::model::Country::new("KR"),
        severity: Some(Severity::Fatal),
        confidence: Some(80),
        since: Some(Time::from_unix(1_780_000_000)),
        until: Some(Time::from_unix(1_800_000_000)),
    };
    let annotated = Annotated {
        v4: v4.iter().zip([0, 1]).map(|(range, facts)| Entry { range, facts }).collect(),
        v6: v6.iter().map(|range| Entry { range, facts: 1 }).collect(),
        facts: vec![known, Facts::default()],
    };
    Case { selection: IpSet { v4, v6 }, annotated }
}

/// The list of the example in the lines that a profile gets which does not choose.
fn list(format: Format) -> String {
    text(Document::List(format), &example().sheet(format.lines()[0]))
}

#[test]
fn lists_for_firewalls_have_an_entry_a_line_and_nothing_else() {
    for format in [Format::Plain, Format::Fortigate, Format::Cisco, Format::Opnsense, Format::Haproxy] {
        assert_eq!(list(format), "192.0.2.0/31\n192.0.2.2\n198.51.100.7\n2001:db8::/126\n", "{format}");
    }
    assert_eq!(list(Format::PaloAlto), "192.0.2.0-192.0.2.2\n198.51.100.7\n2001:db8::-2001:db8::3\n");
    assert_eq!(list(Format::Sophos), "192.0.2.0\n192.0.2.1\n192.0.2.2\n198.51.100.7\n");
    assert_eq!(list(Format::Juniper), "192.0.2.0/31\n192.0.2.2/32\n198.51.100.7/32\n2001:db8::/126\n");
    assert_eq!(
        list(Format::F5),
        "192.0.2.0,31,bl,\n192.0.2.2,32,bl,\n198.51.100.7,32,bl,\n2001:db8::,126,bl,\n"
    );
    assert_eq!(list(Format::Nginx), "192.0.2.0/31 1;\n192.0.2.2 1;\n198.51.100.7 1;\n2001:db8::/126 1;\n");
}

#[test]
fn ratings_are_told_in_the_words_of_the_device() {
    assert_eq!(
        list(Format::CheckPoint),
        "#UNIQ-NAME,VALUE,TYPE,CONFIDENCE,SEVERITY,PRODUCT,COMMENT\n\
         ironlist-192.0.2.0-192.0.2.2,192.0.2.0-192.0.2.2,IP Range,high,critical,AB,alpha beta\n\
         ironlist-198.51.100.7,198.51.100.7,IP,,,AB,\n"
    );
    assert_eq!(
        list(Format::Suricata),
        "192.0.2.0/31,1,101\n192.0.2.2,1,101\n198.51.100.7,1,127\n2001:db8::/126,1,127\n"
    );
    let sheet = example();
    let categories = text(Document::SuricataCategories, &sheet.sheet(Lines::Cidrs));
    assert_eq!(categories, "1,Ironlist,Listed by Ironlist\n");
}

#[test]
fn the_second_document_of_cisco_is_the_md5_of_the_first() {
    use md5::{Digest, Md5};
    let digest = crate::disk::hex(&Md5::digest(list(Format::Cisco)));
    assert_eq!(text(Document::CiscoDigest, &example().sheet(Lines::Cidrs)), digest + "\n");
}

#[test]
fn a_script_for_mikrotik_fills_a_new_list_before_it_clears_the_old_one() {
    let expected = "\
/ip firewall address-list
remove [find list=\"test:new\"]
add list=\"test:new\" address=192.0.2.0/31
add list=\"test:new\" address=192.0.2.2
add list=\"test:new\" address=198.51.100.7
remove [find list=\"test\"]
set [find list=\"test:new\"] list=\"test\"
/ipv6 firewall address-list
remove [find list=\"test:new\"]
add list=\"test:new\" address=2001:db8::/126
remove [find list=\"test\"]
set [find list=\"test:new\"] list=\"test\"
";
    assert_eq!(list(Format::Mikrotik), expected);
}

#[test]
fn a_table_quotes_what_a_spreadsheet_would_calculate() {
    let expected = "\
entry,sources,threat,reason,country,severity,confidence,since,until
192.0.2.0/31,alpha beta,scan,\"'=1+1, \"\"a\"\";' -2 b\",KR,fatal,80,2026-05-28T20:26:40Z,2027-01-15T08:00:00Z
192.0.2.2,alpha beta,scan,\"'=1+1, \"\"a\"\";' -2 b\",KR,fatal,80,2026-05-28T20:26:40Z,2027-01-15T08:00:00Z
198.51.100.7,,,,,,,,
2001:db8::/126,,,,,,,,
";
    assert_eq!(list(Format::Csv), expected);
}

#[test]
fn an_indicator_says_since_when_until_when_and_how_sure() {
    let bundle: serde_json::Value = serde_json::from_str(&list(Format::Stix)).unwrap();
    let [_, known, _, unknown, prefix] = &bundle["objects"].as_array().unwrap()[..] else {
        panic!("{bundle}")
    };
    let expected = serde_json::json!({
        "type": "indicator", "spec_version": "2.1",
        "id": "indicator--844ba31e-bf4e-55fe-917a-7450ba34a2e6",
        "created_by_ref": "identity--b22188f7-7b43-55e0-80dd-600fbbe1fed7",
        "created": "2026-05-28T20:26:40.000Z", "modified": "2026-09-21T14:13:20.000Z",
        "name": "192.0.2.0/31", "description": "=1+1, \"a\"; -2 b", "labels": ["scan", "alpha", "beta"],
        "indicator_types": ["malicious-activity"], "confidence": 80, "pattern_type": "stix",
        "pattern": "[ipv4-addr:value = '192.0.2.0/31' OR ipv4-addr:value ISSUBSET '192.0.2.0/31']",
        "valid_from": "2026-05-28T20:26:40.000Z", "valid_until": "2027-01-15T08:00:00.000Z",
    });
    assert_eq!(*known, expected);
    assert_eq!(unknown["pattern"], "[ipv4-addr:value = '198.51.100.7']");
    assert_eq!((&unknown["valid_from"], unknown.get("valid_until")), (&unknown["modified"], None));
    assert_eq!(prefix["name"], "2001:db8::/126");
}

#[test]
fn the_documents_of_misp_name_one_event_which_stays_the_same_over_generations() {
    let case = example();
    let sheet = case.sheet(Lines::Cidrs);
    let json = |document, sheet: &Sheet<'_>| {
        serde_json::from_str::<serde_json::Value>(&text(document, sheet)).unwrap()
    };
    let event = json(Document::List(Format::Misp), &sheet);
    let uuid = event["Event"]["uuid"].as_str().unwrap();
    assert_eq!(file_name(Document::List(Format::Misp), "test"), format!("{uuid}.json"));
    let later = Sheet { generation: 8, time: NOON.plus(60), ..sheet };
    let manifest = json(Document::MispManifest, &later);
    assert_eq!(manifest[uuid]["timestamp"], "1790000060");
    assert_eq!(manifest.as_object().unwrap().len(), 1);
    let hashes = text(Document::MispHashes, &later);
    let of_address = "526291673f8700ef4e4902e29550a03b";
    assert!(
        hashes.lines().any(|line| line == format!("{of_address},{uuid}")),
        "md5 of 198.51.100.7: {hashes}"
    );
}

#[test]
fn an_empty_selection_is_what_each_reader_takes_for_nothing() {
    let case = Case { selection: IpSet::default(), annotated: Annotated::default() };
    let begins = |format: Format| text(Document::List(format), &case.sheet(format.lines()[0]));
    for format in texts() {
        let empty = match format {
            Format::CheckPoint => "#UNIQ-NAME,VALUE,TYPE,CONFIDENCE,SEVERITY,PRODUCT,COMMENT\n",
            Format::Csv => "entry,sources,threat,reason,country,severity,confidence,since,until\n",
            Format::Rpz => {
                "$TTL 60\n@ SOA localhost. hostmaster.localhost. 1790000000 300 60 604800 60\n@ NS localhost.\n"
            }
            // Scripts must empty what is there, and documents say that there is nothing: read back above.
            Format::Mikrotik | Format::Nftables | Format::Ipset | Format::Rbldnsd => continue,
            Format::Json | Format::Stix | Format::Misp => continue,
            _ => "",
        };
        assert_eq!(begins(format), empty, "{format}");
    }
    assert!(begins(Format::Nftables).contains("flush set inet ironlist v4-test\n"));
    assert!(!begins(Format::Nftables).contains("add element"));
    assert!(begins(Format::Ipset).contains("swap v6-test-NEW v6-test\n"));
    assert!(begins(Format::Mikrotik).contains("remove [find list=\"test\"]\n"));
}
