//! What allows, suppressions and devices hide, what ends and what comes again, and how far a feed may fall in a day.

use super::house::{self, House, set, singles};
use crate::model::{Cause, Change, Detail, Device, Filter, Output, OutputKey, Profile, Suppression};
use crate::publish::Ground;

const DAY: i64 = 86_400;

fn is_held(house: &House) -> bool {
    house.feed("fortigate").status().hold.is_some()
}

/// What the default feed lists.
fn addresses(house: &House) -> u128 {
    house.feed("fortigate").released().map_or(0, |released| released.release.addresses)
}

/// A house whose only source has listed so much for long.
fn house(count: u32) -> House {
    let house = House::new();
    house.list("a", &singles(count), &Detail::default());
    house.clock(3 * DAY);
    house.refresh();
    house
}

fn lists(house: &House, count: u32) {
    house.list("a", &singles(count), &Detail::default());
    house.refresh();
}

fn suppression(range: &str, source: Option<&str>) -> Suppression {
    let source = source.map(|source| source.parse().unwrap());
    let (reason, owner) = (String::new(), String::new());
    Suppression { range: range.parse().unwrap(), source, reason, owner, expires: None, since: house::NOON }
}

/// The ways of hiding 20.0.0.0/8, and of taking that back.
fn hides() -> Vec<(Change, Change)> {
    let range = "20.0.0.0/8".parse().unwrap();
    let device =
        serde_json::from_value::<Device>(serde_json::json!({"name": "x", "networks": ["20.0.0.0/8"]}));
    let (reason, owner) = (String::new(), String::new());
    let allow = crate::model::Allow { range, reason, owner, expires: None, since: house::NOON };
    let unsuppress = |source: Option<&str>| Change::Unsuppress {
        range,
        source: source.map(|source| source.parse().unwrap()),
    };
    vec![
        (Change::Allow(allow), Change::Disallow(range)),
        (
            Change::Publish(Output::Device(device.unwrap())),
            Change::Withdraw(OutputKey::Device("x".parse().unwrap())),
        ),
        (Change::Suppress(suppression("20.0.0.0/8", None)), unsuppress(None)),
        (Change::Suppress(suppression("20.0.0.0/8", Some("a"))), unsuppress(Some("a"))),
    ]
}

#[test]
fn what_hid_everything_and_is_taken_back_leaves_everything_as_it_was() {
    for (hide, show) in hides() {
        let mut house = house(1000);
        let say = |house: &House, change: &Change| {
            house.change(Cause::Manual, change.clone());
            house.refresh();
        };
        say(&house, &hide);
        assert_eq!((addresses(&house), is_held(&house)), (0, false), "{hide:?}");
        house.list_text("b", &["30.0.0.1"]);
        house.refresh();
        assert_eq!(addresses(&house), 1, "others are followed");
        house.reopen_feeds();
        say(&house, &show);
        assert_eq!((addresses(&house), is_held(&house)), (1001, false), "{show:?}");
    }
}

#[test]
fn what_hides_a_held_list_neither_ends_the_hold_nor_costs_the_list() {
    for (hide, show) in hides() {
        let house = house(1000);
        lists(&house, 10);
        let began = house.feed("fortigate").status().hold.unwrap().began;
        house.change(Cause::Manual, hide.clone());
        house.refresh();
        assert_eq!((addresses(&house), is_held(&house)), (0, true), "{hide:?}");
        house.change(Cause::Manual, show);
        house.refresh();
        assert_eq!(addresses(&house), 1000, "{hide:?}");
        let hold = house.feed("fortigate").status().hold.unwrap();
        assert_eq!((hold.began, hold.distance.gone), (began, 990), "{hide:?}");
    }
}

#[test]
fn a_source_that_collapses_while_it_is_hidden_is_asked_about_when_it_is_hidden_no_more() {
    for (hide, show) in hides() {
        let house = house(1000);
        house.change(Cause::Manual, hide.clone());
        house.refresh();
        lists(&house, 10);
        house.change(Cause::Manual, show);
        house.refresh();
        assert_eq!((addresses(&house), is_held(&house)), (1000, true), "{hide:?}");
    }
}

#[test]
fn what_expires_while_it_is_hidden_is_not_brought_back() {
    let house = House::new();
    let until = Detail { expires: Some(house::NOON.plus(10 * DAY)), ..Detail::default() };
    house.list("a", &singles(1000), &until);
    house.list_text("b", &["30.0.0.1"]);
    house.clock(3 * DAY);
    house.refresh();
    house.allow("20.0.0.0/8".parse().unwrap());
    house.refresh();
    house.clock(10 * DAY);
    house.refresh();
    house.disallow("20.0.0.0/8".parse().unwrap());
    house.refresh();
    assert_eq!((addresses(&house), is_held(&house)), (1, false));
}

#[test]
fn a_suppression_of_the_source_that_collapsed_works_at_once() {
    let house = house(1000);
    house.list("b", &singles(500), &Detail::default());
    house.refresh();
    house.list("a", &[], &Detail::default());
    house.list("b", &[], &Detail::default());
    house.refresh();
    let suppress = |range, source| {
        house.change(Cause::Manual, Change::Suppress(suppression(range, Some(source))));
        house.refresh();
        addresses(&house)
    };
    assert_eq!(suppress("20.0.7.206", "a"), 999, "the last one, of a alone");
    assert_eq!(suppress("20.0.0.0", "a"), 999, "b has taken it back, too, and is not believed");
    assert_eq!(suppress("20.0.0.0", "b"), 998);
    assert!(is_held(&house));
}

#[test]
fn what_a_held_feed_was_told_again_may_end() {
    let house = house(1000);
    lists(&house, 10);
    let until = Detail { expires: Some(house.engine.now().plus(3 * DAY)), ..Detail::default() };
    house.list("a", &singles(900), &until);
    house.list("a", &singles(10), &Detail { reason: Some("still".into()), ..Detail::default() });
    house.refresh();
    assert!(!is_held(&house));
    lists(&house, 10);
    assert!(is_held(&house));
    house.list("a", &singles(30), &until);
    house.refresh();
    house.clock(4 * DAY);
    house.refresh();
    let listed = house.released().release.set.unpack();
    let ended = set(&singles(30)).subtract(&set(&singles(10)));
    assert!(is_held(&house) && listed.intersect(&ended).is_empty(), "{}", listed.size());
}

#[test]
fn a_list_that_puts_an_end_to_itself_is_one_that_collapses() {
    for is_looked_at in [true, false] {
        let house = house(1001);
        let soon = Detail { expires: Some(house.engine.now().plus(4)), ..Detail::default() };
        let (cause, change) = house::listing("a", &singles(1001), &soon, crate::model::Scope::Whole);
        house.change(cause, change);
        if is_looked_at {
            house.refresh();
        }
        house.list_text("b", &["30.0.0.1"]);
        house.clock(5);
        house.refresh();
        assert_eq!((addresses(&house), is_held(&house)), (1002 - 1, true), "{is_looked_at}");
    }
}

#[test]
fn what_always_ends_soon_ends_without_a_word() {
    let house = house(10);
    for hours in [1, 12, 23] {
        let soon = Detail { expires: Some(house.engine.now().plus(hours * 3600)), ..Detail::default() };
        let (cause, change) = house::listing("b", &singles(2000)[1000..], &soon, crate::model::Scope::Whole);
        house.change(cause, change);
        house.refresh();
    }
    house.clock(DAY);
    house.refresh();
    assert_eq!((addresses(&house), is_held(&house)), (10, false));
}

#[test]
fn a_source_does_not_lose_bit_by_bit_what_it_may_not_lose_at_once() {
    let mut house = house(1000);
    lists(&house, 500);
    assert!(!is_held(&house));
    house.reopen_feeds();
    for count in [250, 125, 26, 1] {
        lists(&house, count);
        assert_eq!((addresses(&house), is_held(&house)), (500, true), "{count}");
    }
    let grounds = house.feed("fortigate").status().hold.unwrap().grounds;
    assert!(matches!(grounds[..], [Ground::Shrunk { .. }]), "{grounds:?}");
    house.clock(3 * DAY);
    lists(&house, 250);
    assert!(is_held(&house), "a hold does not end by waiting");
    lists(&house, 600);
    assert!(!is_held(&house));
}

#[test]
fn half_of_it_may_go_each_second_day() {
    let house = house(1000);
    for count in [500, 250, 125] {
        lists(&house, count);
        assert_eq!((addresses(&house), is_held(&house)), (u128::from(count), false));
        house.clock(2 * DAY);
    }
}

#[test]
fn a_clock_that_is_set_back_makes_no_source_new() {
    let house = house(1000);
    house.jump(-30 * DAY);
    lists(&house, 21_000);
    assert_eq!((addresses(&house), is_held(&house)), (1000, true));
}

#[test]
fn a_clock_that_is_ahead_makes_no_listing_old() {
    let house = House::new();
    let young = Filter { max_age_days: Some(10), ..Filter::default() };
    house.publish(Profile { filter: young, ..house.profile("fortigate") });
    house.list("a", &singles(1000), &Detail::default());
    house.clock(3 * DAY);
    house.refresh();
    house.jump(40 * DAY);
    house.list_text("b", &["30.0.0.1"]);
    house.refresh();
    assert_eq!((addresses(&house), is_held(&house)), (1001, false));
    house.jump(-40 * DAY);
    house.list_text("b", &["30.0.0.1", "30.0.0.3"]);
    house.refresh();
    assert_eq!((addresses(&house), is_held(&house)), (1002, false));
    house.clock(9 * DAY);
    house.refresh();
    assert_eq!(addresses(&house), 2, "and each day ages it again");
}
