//! nftables and ipset, in a network of their own: what the kernel holds afterwards is what was published.

use super::{List, succeed};
use ironlist::addr::{IpRange, RangeSet};
use ironlist::model::{Format, Lines};
use serde_json::Value;
use std::process::Command;

/// Runs a script of the shell where nobody else's rules are. Who is not root becomes so in there.
fn in_own_network(script: &str) -> String {
    succeed(Command::new("unshare").args(["--map-root-user", "--net", "sh", "-euc", script]))
}

/// The name of the list's file in its usual lines.
fn file(list: &List, format: Format) -> String {
    list.publish(format, format.lines()[0]).0.display().to_string()
}

fn holds(list: &List, ranges: Vec<IpRange>) {
    let (v4, v6) = RangeSet::of_families(ranges);
    assert_eq!((&v4, &v6), (&list.selection.v4, &list.selection.v6));
}

/// The elements of all sets in what `nft -j list ruleset` says.
fn elements(ruleset: &str) -> Vec<IpRange> {
    let ruleset: Value = serde_json::from_str(ruleset).unwrap();
    let objects = ruleset["nftables"].as_array().unwrap().iter();
    let elements = objects.filter_map(|object| object["set"]["elem"].as_array()).flatten();
    let text = |element: &Value| {
        if let Some(address) = element.as_str() {
            return address.to_owned();
        }
        let (prefix, range) = (&element["prefix"], &element["range"]);
        match (prefix["addr"].as_str(), range[0].as_str()) {
            (Some(address), None) => format!("{address}/{}", prefix["len"]),
            (None, Some(first)) => format!("{first}-{}", range[1].as_str().unwrap()),
            _ => panic!("{element}"),
        }
    };
    elements.map(|element| text(element).parse().unwrap()).collect()
}

#[test]
fn nftables_holds_the_list_after_one_transaction_whatever_it_held() {
    let (first, second) = (List::new(1, 600), List::new(2, 600));
    for lines in Format::Nftables.lines().iter().filter(|lines| **lines != Lines::Addresses) {
        let file = |list: &List| list.publish(Format::Nftables, *lines).0.display().to_string();
        let (old, new) = (file(&first), file(&second));
        let ruleset =
            in_own_network(&format!("nft -c -f {old}; nft -f {old}; nft -f {new}; nft -j list ruleset"));
        holds(&second, elements(&ruleset));
    }
}

#[test]
fn nftables_holds_nothing_after_an_empty_list_and_its_sets_are_there() {
    let (first, second) = (List::new(1, 600), List::empty());
    let (old, new) = (file(&first, Format::Nftables), file(&second, Format::Nftables));
    let ruleset = in_own_network(&format!("nft -f {old}; nft -f {new}; nft -j list ruleset"));
    assert!(ruleset.contains("v4-1-test.x_y") && ruleset.contains("v6-1-test.x_y"), "{ruleset}");
    assert_eq!(elements(&ruleset), []);
}

#[test]
fn ipset_holds_the_list_after_a_restore_also_when_one_before_broke_off() {
    let (first, lost, second) = (List::new(1, 60), List::new(3, 600), List::new(2, 6000));
    let (old, new) = (file(&first, Format::Ipset), file(&second, Format::Ipset));
    let broken = format!("{new}.broken");
    let begin = std::fs::read_to_string(file(&lost, Format::Ipset)).unwrap();
    let begin: String = begin.split_inclusive('\n').take(100).collect();
    std::fs::write(&broken, begin).unwrap();
    let saved = in_own_network(&format!(
        "ipset restore -file {old}; ipset restore -file {broken}; ipset restore -file {new}; ipset save"
    ));
    assert_eq!(saved.lines().filter(|line| line.starts_with("create ")).count(), 2, "no set is left over");
    let added = saved.lines().filter_map(|line| line.strip_prefix("add "));
    holds(&second, added.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect());
}

#[test]
fn ipset_holds_nothing_after_an_empty_list() {
    let (first, second) = (List::new(1, 600), List::empty());
    let (old, new) = (file(&first, Format::Ipset), file(&second, Format::Ipset));
    let saved = in_own_network(&format!("ipset restore -file {old}; ipset restore -file {new}; ipset save"));
    assert_eq!(saved.lines().count(), 2, "two empty sets: {saved}");
}
