//! What is cut when readers cannot take all of it, and how that is told.

use super::house::{House, set, singles, text};
use crate::addr::{IpRange, IpSet, Range};
use crate::model::{Budget, Cause, Change, Detail, Device, Filter, Lines, Output, Profile};
use crate::publish::{Ground, Offer};

#[test]
fn a_budget_leaves_out_what_counts_least_and_says_so() {
    let house = House::new();
    let said = |confidence| Detail { confidence: Some(confidence), ..Detail::default() };
    let all = singles(3000);
    house.list("unsure", &all[..2000], &said(10));
    house.list("sure", &all[1500..], &said(90));
    house.publish(Profile { budget: Budget { entries: Some(1800), bytes: None }, ..house.profile("small") });
    house.refresh();
    let feed = house.feed("small");
    let listed = feed.released().unwrap().release.set.unpack();
    assert!(set(&all[1500..]).subtract(&listed).is_empty(), "what is sure is all there");
    let cut = feed.status().cut.unwrap();
    assert_eq!((cut.wanted.entries, cut.addresses, listed.prefixes()), (3000, 1200, 1800));
}

#[test]
fn the_feeds_of_a_device_share_what_it_can_take() {
    let house = House::new();
    house.list("a", &singles(1000), &Detail::default());
    house.publish(Profile { priority: 1, ..house.profile("first") });
    house.publish(Profile { priority: 2, ..house.profile("second") });
    let device = Device {
        name: "box".parse().unwrap(),
        model: "FGT".into(),
        feeds: ["first", "second"].map(|name| name.parse().unwrap()).into(),
        budget: Budget { entries: Some(1300), bytes: None },
        each: Budget::default(),
        networks: Vec::new(),
        certificates: Vec::new(),
        silent_minutes: 60,
    };
    house.change(Cause::Manual, Change::Publish(Output::Device(device)));
    house.refresh();
    let entries = |name: &str| house.feed(name).released().unwrap().list().unwrap().counts.entries;
    assert_eq!((entries("first"), entries("second"), entries("fortigate")), (1000, 300, 1000));
}

#[test]
fn a_device_that_names_no_feeds_gets_no_more_of_the_default_one_than_it_can_take() {
    let house = House::new();
    house.list("a", &singles(1000), &Detail::default());
    house.publish(Profile { priority: 1, ..house.profile("other") });
    let budget = Budget { entries: Some(300), bytes: None };
    let device = Device { budget, ..Device::new("box".parse().unwrap()) };
    house.change(Cause::Manual, Change::Publish(Output::Device(device)));
    house.refresh();
    assert_eq!((entries(&house, "fortigate"), entries(&house, "other")), (300, 1000));
    assert_eq!(house.feed("fortigate").status().cut.unwrap().addresses, 700);
}

#[test]
fn what_a_device_can_take_of_each_feed_it_can_take_of_each_part() {
    let house = House::new();
    // So many /16s that all parts have some, and a single line in each.
    let all: Vec<IpRange> =
        (0..1000_u32).map(|n| IpRange::V4(Range::single((20 << 24) + (n << 16) + n))).collect();
    house.list("a", &all, &Detail::default());
    house.publish(Profile { parts: 4, ..house.profile("parted") });
    let each = |entries| Device {
        feeds: vec!["parted".parse().unwrap()],
        each: Budget { entries: Some(entries), bytes: None },
        ..Device::new("box".parse().unwrap())
    };
    let parts = || {
        let sets = house.feed("parted").released().unwrap().sets();
        sets.iter().map(IpSet::prefixes).collect::<Vec<u64>>()
    };
    house.change(Cause::Manual, Change::Publish(Output::Device(each(300))));
    house.refresh();
    let whole = parts();
    assert!(
        whole.iter().sum::<u64>() == 1000 && whole.iter().all(|lines| (180..300).contains(lines)),
        "{whole:?}"
    );
    assert_eq!(house.feed("parted").status().cut, None);
    house.change(Cause::Manual, Change::Publish(Output::Device(each(200))));
    house.refresh();
    let cut: Vec<u64> = whole.iter().map(|lines| *lines.min(&200)).collect();
    assert_eq!(parts(), cut, "what is too long is cut, and no other");
    let told = house.feed("parted").status().cut.unwrap();
    assert_eq!(
        (told.budget.entries, told.wanted.entries, told.taken.entries),
        (Some(200), 1000, cut.iter().sum())
    );
}

#[test]
fn what_no_form_can_tell_is_cut_and_an_allow_still_works() {
    let house = House::new();
    house.publish(Profile { lines: Some(Lines::Addresses), ..house.profile("single") });
    house.list_text("a", &["20.0.0.1", "20.0.0.3"]);
    house.refresh();
    house.list_text("b", &["30.0.0.0/9"]);
    house.refresh();
    let single = house.feed("single");
    assert_eq!(text(single.released().unwrap().list().unwrap()), "20.0.0.1\n20.0.0.3\n");
    assert_eq!(single.status().cut.unwrap().addresses, 1 << 23);
    house.allow("20.0.0.1".parse().unwrap());
    house.refresh();
    assert_eq!(text(single.released().unwrap().list().unwrap()), "20.0.0.3\n");
    assert_eq!(single.status().fault, None);
}

/// A device that reads two feeds of two sources, of which the first is served first.
fn shared(room: u64, first: u32, second: &[IpRange]) -> House {
    let house = House::new();
    for (feed, source, priority) in [("first", "a", 1), ("second", "b", 2)] {
        let filter = Filter { sources: vec![source.parse().unwrap()], ..Filter::default() };
        house.publish(Profile { filter, priority, ..house.profile(feed) });
    }
    house.list("a", &singles(first), &Detail::default());
    house.list("b", second, &Detail::default());
    house.clock(3 * 86_400);
    set_room(&house, room);
    house
}

fn set_room(house: &House, room: u64) {
    let budget = Budget { entries: Some(room), bytes: None };
    let feeds = ["first", "second"].map(|name| name.parse().unwrap()).into();
    let device = Device { feeds, budget, ..Device::new("box".parse().unwrap()) };
    house.change(Cause::Manual, Change::Publish(Output::Device(device)));
    house.refresh();
}

fn entries(house: &House, feed: &str) -> u64 {
    house.feed(feed).released().map_or(0, |released| released.list().unwrap().counts.entries)
}

fn consent(house: &House, feed: &str) {
    let generation = house.feed(feed).status().hold.unwrap().generation;
    house.feeds.consent(Some(&feed.parse().unwrap()), generation, &house.engine).unwrap();
}

#[test]
fn a_feed_that_grows_does_not_push_another_out_of_its_device_without_a_word() {
    let house = shared(1600, 1000, &singles(2000)[1400..]);
    assert_eq!((entries(&house, "first"), entries(&house, "second")), (1000, 600));
    house.list("a", &singles(1400), &Detail::default());
    house.refresh();
    assert_eq!((entries(&house, "first"), entries(&house, "second")), (1000, 600));
    let grounds = house.feed("first").status().hold.unwrap().grounds;
    let pushed =
        Ground::Budget { feed: "second".parse().unwrap(), before: 600, gone: 400, limit_percent: 50 };
    assert_eq!(grounds, [pushed]);
    consent(&house, "first");
    assert_eq!((entries(&house, "first"), entries(&house, "second")), (1400, 200));
    house.list("b", &singles(2000)[1401..], &Detail::default());
    house.refresh();
    assert_eq!((entries(&house, "first"), entries(&house, "second")), (1400, 200));
    assert!(house.feed("second").status().hold.is_none(), "it was consented to");
}

#[test]
fn what_a_smaller_room_cuts_is_meant_and_a_feed_that_is_cut_to_nothing_says_so() {
    let house = shared(1600, 1000, &singles(2000)[1400..]);
    set_room(&house, 1000);
    assert_eq!((entries(&house, "first"), entries(&house, "second")), (1000, 0));
    let second = house.feed("second");
    assert!(matches!(**second.offer(), Offer::Empty(_)) && second.status().hold.is_none());
    let cut = second.status().cut.unwrap();
    assert_eq!((cut.wanted.entries, cut.taken.entries), (600, 0));
}

#[test]
fn what_ranks_above_does_not_push_out_what_a_feed_listed_without_a_word() {
    let house = House::new();
    let said = |confidence| Detail { confidence: Some(confidence), ..Detail::default() };
    house.list("unsure", &singles(900), &said(10));
    house.list("sure", &singles(1000)[999..], &said(90));
    house.publish(Profile {
        budget: Budget { entries: Some(900), bytes: None },
        ..house.profile("fortigate")
    });
    house.clock(3 * 86_400);
    house.refresh();
    assert_eq!(entries(&house, "fortigate"), 900);
    house.list("sure", &singles(1700)[900..], &said(90));
    house.refresh();
    let hold = house.feed("fortigate").status().hold.unwrap();
    assert!(matches!(hold.grounds[..], [Ground::Budget { before: 900, .. }]), "{:?}", hold.grounds);
    assert!(house.released().holds("20.0.5.0".parse().unwrap()));
    consent(&house, "fortigate");
    assert!(!house.released().holds("20.0.5.0".parse().unwrap()));
    assert_eq!(entries(&house, "fortigate"), 900);
}

#[test]
fn a_feed_does_not_push_out_of_another_bit_by_bit_what_it_may_not_push_out_at_once() {
    let house = House::new();
    let of = |feed: &str, source: &str, priority| {
        let filter = Filter { sources: vec![source.parse().unwrap()], ..Filter::default() };
        Profile { filter, priority, ..house.profile(feed) }
    };
    house.publish(of("first", "a", 1));
    house.publish(of("second", "b", 2));
    let device = Device {
        feeds: ["first", "second"].map(|name| name.parse().unwrap()).into(),
        budget: Budget { entries: Some(1000), bytes: None },
        ..Device::new("box".parse().unwrap())
    };
    house.change(Cause::Manual, Change::Publish(Output::Device(device)));
    let others: Vec<IpRange> = (0..900).map(|n| IpRange::V4(Range::single(0x1E00_0000 + 2 * n))).collect();
    house.list("b", &others, &Detail::default());
    house.list("a", &singles(100), &Detail::default());
    house.clock(3 * 86_400);
    house.refresh();
    let entries = || {
        ["first", "second"].map(|name| {
            house.feed(name).released().map_or(0, |released| released.release.set.unpack().prefixes())
        })
    };
    assert_eq!(entries(), [100, 900]);
    for (count, left) in [(200, 800), (400, 600)] {
        house.list("a", &singles(count), &Detail::default());
        house.clock(3_600);
        house.refresh();
        assert_eq!(entries(), [u64::from(count), left]);
    }
    house.list("a", &singles(700), &Detail::default());
    house.refresh();
    let grounds = house.feed("first").status().hold.unwrap().grounds;
    let feed = "second".parse().unwrap();
    assert_eq!(grounds, [Ground::Budget { feed, before: 900, gone: 600, limit_percent: 50 }]);
    house.clock(3 * 86_400);
    house.refresh();
    assert_eq!(entries(), [400, 600], "no time passes for who is held");
}
