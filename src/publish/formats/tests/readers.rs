//! A reader for each format, as simple as can be and strict: a line that it does not know fails the test.

use crate::addr::IpRange;
use crate::model::Format;
use calamine::{Data, Reader, Xlsx};
use std::collections::BTreeSet;
use std::io::Cursor;
use std::net::Ipv6Addr;

/// The entries of a list.
pub(super) fn read(format: Format, bytes: &[u8]) -> Vec<IpRange> {
    if format == Format::Xlsx {
        return ranges(workbook(bytes).into_iter().skip(1).map(|row| row[0].clone()));
    }
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{format}: the last line is cut off");
    match format {
        Format::CheckPoint => check_point(text),
        Format::F5 => ranges(text.lines().map(|line| strip(line, "", ",bl,").replacen(',', "/", 1))),
        Format::Juniper => {
            assert!(text.lines().all(|line| line.contains('/')));
            ranges(text.lines())
        }
        Format::Mikrotik => mikrotik(text),
        Format::Nftables => nftables(text),
        Format::Ipset => ipset(text),
        Format::Nginx => ranges(text.lines().map(|line| strip(line, "", " 1;"))),
        Format::Suricata => suricata(text),
        Format::Csv => ranges(text.lines().skip(1).map(|line| cells(line)[0].clone())),
        Format::Json => json(text, "/entries", "entry"),
        Format::Ndjson => text.lines().flat_map(|line| json(&format!("[{line}]"), "", "entry")).collect(),
        Format::Stix => json(text, "/objects", "pattern"),
        Format::Misp => json(text, "/Event/Attribute", "value"),
        Format::Rpz => text.lines().skip(3).map(rpz).collect(),
        Format::Rbldnsd => rbldnsd(text),
        _ => ranges(text.lines()),
    }
}

fn ranges<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<IpRange> {
    texts
        .into_iter()
        .map(|text| text.as_ref().parse().unwrap_or_else(|_| panic!("{}", text.as_ref())))
        .collect()
}

fn strip<'a>(line: &'a str, before: &str, after: &str) -> &'a str {
    let inner = line.strip_prefix(before).and_then(|line| line.strip_suffix(after));
    inner.unwrap_or_else(|| panic!("{line:?} is not between {before:?} and {after:?}"))
}

/// The cells of a line of CSV.
pub(super) fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.next_if_eq(&'"').is_some() => cells.last_mut().unwrap().push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted, "{line}");
    cells
}

fn check_point(text: &str) -> Vec<IpRange> {
    let mut names = BTreeSet::new();
    let rows = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [name, value, kind, confidence, severity, "AB", _] = fields[..] else { panic!("{line}") };
        assert!(names.insert(name), "{name} is there twice");
        assert_eq!(kind, if value.contains('-') { "IP Range" } else { "IP" });
        assert!(["", "low", "medium", "high"].contains(&confidence));
        assert!(["", "low", "medium", "high", "critical"].contains(&severity));
        value
    });
    ranges(rows.collect::<Vec<_>>())
}

/// Does what the script says with a list of each family, and sees that it is never without entries on the way.
fn mikrotik(text: &str) -> Vec<IpRange> {
    let (mut menu, mut new, mut found) = ("", Vec::new(), Vec::new());
    for line in text.lines() {
        match line {
            "/ip firewall address-list" | "/ipv6 firewall address-list" => menu = line,
            "remove [find list=\"test:new\"]" => assert!(new.is_empty()),
            "remove [find list=\"test\"]" => {}
            "set [find list=\"test:new\"] list=\"test\"" => found.append(&mut new),
            add => {
                let range: IpRange = strip(add, "add list=\"test:new\" address=", "").parse().unwrap();
                assert_eq!(menu.starts_with("/ipv6"), matches!(range, IpRange::V6(_)));
                new.push(range);
            }
        }
    }
    assert!(new.is_empty(), "the new list did not get the name");
    found
}

fn nftables(text: &str) -> Vec<IpRange> {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("add table inet ironlist"));
    let mut found = Vec::new();
    for (name, kind) in [("v4-test", "ipv4_addr"), ("v6-test", "ipv6_addr")] {
        let set = format!("inet ironlist {name}");
        assert_eq!(lines.next().unwrap(), format!("add set {set} {{ type {kind}; flags interval; }}"));
        assert_eq!(lines.next().unwrap(), format!("flush set {set}"));
        if lines.clone().next() == Some(&format!("add element {set} {{")) {
            lines.next();
            found.extend(ranges(
                lines.by_ref().take_while(|line| *line != "}").map(|line| strip(line, "", ",")),
            ));
        }
    }
    assert_eq!(lines.next(), None);
    found
}

fn ipset(text: &str) -> Vec<IpRange> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for line in &lines {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["create", _, "hash:net", "family", _, "hashsize", size, "maxelem", most, "-exist"] => {
                assert!(
                    size.parse::<u64>().unwrap().is_power_of_two()
                        && most.parse::<usize>().unwrap() > lines.len()
                );
            }
            ["add", set, range] => {
                let range: IpRange = range.parse().unwrap();
                assert_eq!(set, if matches!(range, IpRange::V4(_)) { "v4-test-NEW" } else { "v6-test-NEW" });
                found.push(range);
            }
            ["flush" | "destroy", "v4-test-NEW" | "v6-test-NEW"] => {}
            ["swap", "v4-test-NEW", "v4-test"] | ["swap", "v6-test-NEW", "v6-test"] => {}
            _ => panic!("{line}"),
        }
    }
    found
}

fn suricata(text: &str) -> Vec<IpRange> {
    let rows = text.lines().map(|line| {
        let [range, "1", score] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!((1..=127).contains(&score.parse::<u8>().unwrap()));
        range
    });
    ranges(rows)
}

/// The member `key` of each object in the array at `path` that has it; of a pattern, its first value.
fn json(text: &str, path: &str, key: &str) -> Vec<IpRange> {
    let document: serde_json::Value = serde_json::from_str(text).unwrap();
    let objects = document.pointer(path).unwrap().as_array().unwrap();
    let values = objects.iter().filter_map(|object| object[key].as_str());
    ranges(values.map(|value| value.split('\'').nth(1).unwrap_or(value)))
}

fn rpz(line: &str) -> IpRange {
    let mut labels: Vec<&str> = strip(line, "", ".rpz-ip CNAME .").split('.').collect();
    let len = labels.remove(0);
    labels.reverse();
    if labels.len() == 4 && !labels.contains(&"zz") {
        return format!("{}/{len}", labels.join(".")).parse().unwrap();
    }
    let (begins, ends) = (labels.first() == Some(&"zz"), labels.last() == Some(&"zz"));
    let text = labels.join(":").replace(
        "zz",
        if begins && ends {
            "::"
        } else if begins || ends {
            ":"
        } else {
            ""
        },
    );
    assert_eq!(text, text.parse::<Ipv6Addr>().unwrap().to_string(), "another name than a resolver looks for");
    format!("{text}/{len}").parse().unwrap()
}

fn rbldnsd(text: &str) -> Vec<IpRange> {
    let (v4, v6) = text.split_once("$DATASET ip6trie:v6 @\n").unwrap();
    let (_, v4) = v4.split_once("$DATASET ip4set:v4 @\n").unwrap();
    let begins = |set: &str, test: &str| {
        let text = ":127.0.0.2:$ is listed by test\n";
        set.strip_prefix(text).and_then(|set| set.strip_prefix(test)).unwrap().to_owned()
    };
    let (v4, v6) = (begins(v4, "127.0.0.2\n"), begins(v6, "0:0:0:0:0:ffff:7f00:2\n"));
    [ranges(v4.lines()), ranges(v6.lines())].concat()
}

/// All rows of all sheets of a workbook; what is no text fails.
pub(super) fn workbook(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).unwrap();
    let sheets = book.worksheets();
    let rows = sheets.iter().flat_map(|(_, sheet)| sheet.rows());
    let cell = |cell: &Data| match cell {
        Data::String(text) => text.clone(),
        Data::Empty => String::new(),
        other => panic!("{other:?} is no text"),
    };
    rows.map(|row| row.iter().map(cell).collect()).collect()
}
