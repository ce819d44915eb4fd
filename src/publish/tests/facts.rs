//! What is told of entries beside their addresses: told anew when it changes, counted by budgets, and never told where
//! there is nothing to tell.

use super::house::{House, NOON, ranges, singles};
use crate::addr::{IpRange, Range};
use crate::model::{Budget, Detail, Document, Format, Profile};
use crate::publish::{ALL_PARTS, Feed, Offer, Released, Rendition, write};
use proptest::prelude::*;
use std::sync::Arc;

/// What somebody gets who asks for a feed.
fn ask(house: &House, feed: &Feed) -> (Arc<Released>, Arc<Rendition>) {
    let released = feed.released().unwrap();
    let list = Document::List(released.profile.format);
    let rendition = write(&house.engine, &released, ALL_PARTS, list).unwrap().unwrap();
    rendition.ask();
    (released, rendition)
}

fn text(rendition: &Rendition) -> &str {
    std::str::from_utf8(rendition.text()).unwrap()
}

fn said(reason: &str, days: i64) -> Detail {
    Detail { reason: Some(reason.into()), expires: Some(NOON.plus(days * 86_400)), ..Detail::default() }
}

#[test]
fn what_is_said_of_a_list_that_stays_the_same_is_told_anew_to_those_who_read_it() {
    let house = House::new();
    let all = ranges(&["20.0.0.1", "20.0.0.9"]);
    house.list("a", &all, &said("first", 2));
    for name in ["read", "unread"] {
        house.publish(Profile { format: Format::Stix, ..house.profile(name) });
    }
    house.refresh();
    let [read, unread] = ["read", "unread"].map(|name| house.feed(name));
    let (first, list) = ask(&house, &read);
    assert!(text(&list).contains("first") && text(&list).contains("2026-09-23T"), "{}", text(&list));
    house.list("a", &all, &said("second", 30));
    house.refresh();
    let second = read.released().unwrap();
    let told = second.get(ALL_PARTS, Document::List(Format::Stix)).expect("it is there before anybody asks");
    assert!(text(told).contains("second") && text(told).contains("2026-10-21T"), "{}", text(told));
    assert!(second.release.modified > first.release.modified, "who compares times sees it");
    assert!(unread.released().unwrap().made().next().is_none(), "nobody asked");

    let steps = read.steps().len();
    house.list("a", &all, &said("third", 30));
    house.refresh();
    let third = read.released().unwrap();
    assert_eq!((third.release.generation, read.steps().len()), (second.release.generation, steps));
    assert!(
        third.made().next().is_none(),
        "nobody has asked since it was told, so that it is told when somebody does"
    );
    assert!(text(&ask(&house, &read).1).contains("third"), "and not as it was");
    house.suppress("99.0.0.0/8".parse().unwrap());
    house.refresh();
    assert!(Arc::ptr_eq(&read.released().unwrap(), &third), "what says the same stays as it is");
}

#[test]
fn after_a_start_what_is_told_beside_addresses_has_another_time() {
    let mut house = House::new();
    house.list("a", &singles(10), &said("first", 2));
    for (name, format) in [("told", Format::Json), ("plain", Format::Plain)] {
        house.publish(Profile { format, ..house.profile(name) });
    }
    house.refresh();
    let times =
        |house: &House| ["told", "plain"].map(|name| house.feed(name).released().unwrap().release.modified);
    let before = times(&house);
    for n in 1..3 {
        house.reopen_feeds();
        assert_eq!(times(&house), [before[0].plus(n), before[1]]);
        house.refresh();
        assert_eq!(times(&house), [before[0].plus(n), before[1]], "one start is one telling");
    }
}

#[test]
fn a_form_of_one_family_offers_no_list_of_the_other_one_alone_also_after_a_start() {
    let mut house = House::new();
    house.list_text("six", &["2a00::1", "2a00::9"]);
    for format in [Format::Sophos, Format::CheckPoint] {
        house.publish(Profile { format, ..house.profile(&format!("{format}")) });
    }
    let is_empty = |house: &House| {
        [Format::Sophos, Format::CheckPoint]
            .map(|format| matches!(**house.feed(&format!("{format}")).offer(), Offer::Empty(_)))
    };
    house.refresh();
    assert_eq!(is_empty(&house), [true; 2]);
    house.reopen_feeds();
    assert_eq!(is_empty(&house), [true; 2]);
    house.refresh();
    assert_eq!(is_empty(&house), [true; 2]);
}

#[test]
fn an_empty_list_that_is_wanted_waits_for_a_source_also_after_a_start_and_comes_with_it() {
    let mut house = House::new();
    house.publish(Profile { allow_empty: true, ..house.profile("bold") });
    let is_empty = |house: &House| matches!(**house.feed("bold").offer(), Offer::Empty(_));
    house.refresh();
    house.reopen_feeds();
    assert!(is_empty(&house));
    house.refresh();
    assert!(is_empty(&house), "nothing was imported yet");
    house.list_text("a", &["20.0.0.1"]);
    house.list_text("a", &[]);
    house.refresh();
    assert!(!is_empty(&house), "a source lists nothing, and said so");
    house.reopen_feeds();
    house.refresh();
    assert!(!is_empty(&house));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_form_has_more_entries_than_its_budget(
        said in proptest::collection::vec((0..40_u32, 0..3_u8), 1..30),
        most in 1..20_u64,
        parts in 1..3_u16,
    ) {
        let house = House::new();
        for (at, reason) in said {
            let range = IpRange::V4(Range::single((20 << 24) + at));
            let detail = Detail { reason: Some(format!("{reason}").into()), ..Detail::default() };
            house.list(&format!("s{reason}"), &[range], &detail);
        }
        let budget = Budget { entries: Some(most), bytes: None };
        for format in Format::ALL {
            house.publish(Profile { format, budget, parts, ..house.profile(&format!("of-{format}")) });
        }
        house.refresh();
        for format in Format::ALL {
            let feed = house.feed(&format!("of-{format}"));
            if feed.released().is_none() {
                continue;
            }
            let (released, list) = ask(&house, &feed);
            prop_assert!(list.counts.entries <= most, "{format}: {} of {most}", list.counts.entries);
            let taken = feed.status().cut.map_or(list.counts.entries, |cut| cut.taken.entries);
            if parts == 1 {
                prop_assert_eq!(list.counts.entries, taken, "{}: {:?}", format, released.release.set.unpack());
            }
        }
    }
}
