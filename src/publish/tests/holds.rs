//! What a held feed serves when something else happens: another source's end, an edit, a budget, an allow.

use super::house::{self, House, set, singles, text};
use crate::model::{Budget, Cause, Change, Detail, Device, Filter, Output, OutputKey, Profile};
use crate::publish::{Ground, NoConsent};

/// The default feed, of some sources.
fn of(house: &House, sources: &[&str]) -> Profile {
    let filter =
        Filter { sources: sources.iter().map(|name| name.parse().unwrap()).collect(), ..Filter::default() };
    Profile { filter, ..house.profile("fortigate") }
}

/// Whether the default feed is held.
fn is_held(house: &House) -> bool {
    house.feed("fortigate").status().hold.is_some()
}

fn until(seconds: i64) -> Detail {
    Detail { expires: Some(house::NOON.plus(seconds)), ..Detail::default() }
}

#[test]
fn the_end_of_anothers_listings_takes_nothing_from_a_held_feed() {
    let house = House::new();
    house.publish(of(&house, &["b"]));
    house.list("b", &singles(1000), &Detail::default());
    house.list("a", &singles(1000), &until(60));
    house.refresh();
    house.list("b", &singles(10), &Detail::default());
    house.refresh();
    assert!(is_held(&house));
    house.clock(120);
    house.expire();
    house.refresh();
    assert!(is_held(&house));
    assert_eq!(house.released().release.addresses, 1000);
}

#[test]
fn what_one_source_took_back_waits_although_anothers_listing_of_it_ends() {
    let house = House::new();
    house.list("b", &singles(1000), &Detail::default());
    house.list("a", &singles(300), &until(60));
    house.refresh();
    house.list("b", &singles(10), &Detail::default());
    house.refresh();
    house.clock(120);
    house.expire();
    house.refresh();
    assert!(is_held(&house));
    assert_eq!(house.released().release.addresses, 1000);
}

#[test]
fn growing_too_old_for_a_feed_is_no_shrinking() {
    let house = House::new();
    let young = Filter { max_age_days: Some(1), ..Filter::default() };
    house.publish(Profile { filter: young, ..house.profile("fortigate") });
    house.list("a", &singles(1000), &Detail::default());
    house.refresh();
    house.clock(3 * 86_400);
    house.list("a", &[singles(1000), house::ranges(&["30.0.0.1"])].concat(), &Detail::default());
    house.refresh();
    assert!(!is_held(&house));
    assert_eq!(text(house.released().list().unwrap()), "30.0.0.1\n");
}

#[test]
fn an_edit_of_a_held_feed_works_at_once_and_never_empties_it() {
    let house = House::new();
    house.list("a", &singles(50), &Detail::default());
    let others: Vec<_> = singles(1000).split_off(50);
    house.list("b", &others, &Detail::default());
    house.refresh();
    house.list("b", &others[..10], &Detail::default());
    house.refresh();
    assert_eq!((is_held(&house), house.released().release.addresses), (true, 1000));
    house.publish(of(&house, &["b"]));
    house.refresh();
    assert_eq!((is_held(&house), house.released().release.addresses), (true, 950), "those of a are out");
    house.publish(of(&house, &["b", "a"]));
    house.refresh();
    assert_eq!((is_held(&house), house.released().release.addresses), (true, 1000), "and in again");
}

#[test]
fn an_edit_while_all_feeds_are_held_leaves_each_its_list() {
    let house = House::new();
    house.list("a", &singles(1000), &Detail::default());
    let others = singles(2000).split_off(1000);
    house.list("b", &others, &Detail::default());
    let bold = |sources: &[&str]| Profile {
        name: "bold".parse().unwrap(),
        allow_empty: true,
        ..of(&house, sources)
    };
    house.publish(bold(&["a"]));
    house.refresh();
    house.list("b", &[], &Detail::default());
    house.list("a", &singles(900), &Detail::default());
    house.refresh();
    assert!(house.feeds.whole().status().hold.is_some());
    house.publish(bold(&["a", "c"]));
    house.refresh();
    assert_eq!(house.feed("bold").released().unwrap().release.addresses, 1000);
    assert_eq!(house.released().release.addresses, 2000);
}

#[test]
fn what_a_person_let_past_the_limits_stays_when_the_form_is_edited() {
    let house = House::new();
    house.list("a", &house::ranges(&["52.0.0.0/8", "53.0.0.0/8", "20.0.0.1"]), &Detail::default());
    house.refresh();
    let hold = house.feed("fortigate").status().hold.unwrap();
    let name = "fortigate".parse().unwrap();
    assert_eq!(house.feeds.consent(Some(&name), hold.generation, &house.engine), Ok(()));
    house.publish(Profile {
        parts: 2,
        budget: Budget { entries: Some(300), bytes: None },
        ..of(&house, &[])
    });
    house.refresh();
    assert!(!is_held(&house));
    assert_eq!(house.released().release.addresses, (1 << 25) + 1);
}

#[test]
fn a_budget_is_kept_also_while_a_feed_is_held_and_a_smaller_one_is_no_accident() {
    let house = House::new();
    let budget =
        |entries| Profile { budget: Budget { entries: Some(entries), bytes: None }, ..of(&house, &[]) };
    house.publish(budget(900));
    house.list("a", &singles(1000), &Detail::default());
    house.refresh();
    assert_eq!(house.released().release.addresses, 900);
    house.publish(budget(200));
    house.refresh();
    assert_eq!((is_held(&house), house.released().release.addresses), (false, 200));
    house.list("a", &singles(10), &Detail::default());
    house.refresh();
    assert_eq!((is_held(&house), house.released().release.addresses), (true, 200));
    house.publish(budget(50));
    house.refresh();
    assert_eq!((is_held(&house), house.released().release.addresses), (true, 50));
    house.publish(budget(2000));
    house.refresh();
    assert_eq!(house.released().release.addresses, 1000, "what was cut has waited with the rest");
}

#[test]
fn an_allow_that_cuts_a_held_range_into_many_lines_keeps_the_budget() {
    let house = House::new();
    house.publish(Profile { budget: Budget { entries: Some(4), bytes: None }, ..of(&house, &[]) });
    let nets: Vec<_> = (0..4).map(|n| format!("70.{}.0.0/16", 2 * n).parse().unwrap()).collect();
    house.list("a", &nets, &Detail::default());
    house.refresh();
    house.list("a", &[], &Detail::default());
    house.refresh();
    house.allow("70.0.5.5".parse().unwrap());
    house.refresh();
    assert!(is_held(&house));
    let listed = house.released();
    assert!(listed.list().unwrap().counts.entries <= 4, "{}", text(listed.list().unwrap()));
    assert!(!listed.holds("70.0.5.5".parse().unwrap()));
}

#[test]
fn a_shrinking_budget_of_a_device_cuts_its_feeds_at_once() {
    let house = House::new();
    house.list("a", &singles(1000), &Detail::default());
    let device = |entries| Device {
        name: "box".parse().unwrap(),
        model: String::new(),
        feeds: vec!["fortigate".parse().unwrap()],
        budget: Budget { entries: Some(entries), bytes: None },
        each: Budget::default(),
        networks: Vec::new(),
        certificates: Vec::new(),
        silent_minutes: 60,
    };
    for entries in [1500, 300] {
        house.change(Cause::Manual, Change::Publish(Output::Device(device(entries))));
        house.refresh();
        assert!(!is_held(&house));
        assert_eq!(house.released().release.addresses, u128::from(entries.min(1000)));
    }
}

#[test]
fn a_hold_over_all_ends_with_the_last_but_one_feed() {
    let house = House::new();
    house.publish(house.profile("extra"));
    house.list("a", &singles(1000), &Detail::default());
    house.refresh();
    house.list("a", &singles(10), &Detail::default());
    house.refresh();
    assert!(house.feeds.whole().status().hold.is_some());
    house.change(Cause::Manual, Change::Withdraw(OutputKey::Feed("extra".parse().unwrap())));
    house.refresh();
    assert_eq!(house.feeds.whole().status().hold, None);
    let hold = house.feed("fortigate").status().hold.unwrap();
    assert!(matches!(hold.grounds[..], [Ground::Shrunk { .. }]), "{:?}", hold.grounds);
    let name = "fortigate".parse().unwrap();
    assert_eq!(house.feeds.consent(Some(&name), hold.generation, &house.engine), Ok(()));
    assert_eq!(house.feeds.consent(None, hold.generation, &house.engine), Err(NoConsent::NotHeld));
}

#[test]
fn what_no_feed_takes_holds_none() {
    let house = House::new();
    house.publish(of(&house, &["a"]));
    house.publish(Profile { name: "extra".parse().unwrap(), ..of(&house, &["a"]) });
    house.list("a", &singles(1000), &Detail::default());
    house.list("b", &singles(5000), &Detail::default());
    house.refresh();
    house.list("b", &house::ranges(&["128.0.0.0/2"]), &Detail::default());
    house.refresh();
    assert_eq!(house.feeds.whole().status().hold, None);
    assert_eq!(house.released().release.set.unpack(), set(&singles(1000)));
}

/// Held, an allow, and then a consent in the generation of the allow.
fn allowed_and_consented() -> (House, u64, impl Fn(&House)) {
    let house = House::new();
    house.list("a", &singles(1000), &Detail::default());
    house.refresh();
    house.list("a", &singles(10), &Detail::default());
    house.refresh();
    house.allow("20.0.0.0/28".parse().unwrap());
    house.refresh();
    let generation = house.engine.snapshot().generation;
    let consent = move |house: &House| {
        let feed = "fortigate".parse().unwrap();
        house.feeds.consent(Some(&feed), generation, &house.engine).unwrap();
        assert_eq!(house.released().release.generation, generation);
    };
    (house, generation, consent)
}

#[test]
fn who_was_told_a_held_generation_is_told_the_consent_in_it() {
    let (house, generation, consent) = allowed_and_consented();
    let feed = house.feed("fortigate");
    let (told, before) = feed.changes(1).unwrap();
    assert_eq!((told, before.removed.size()), (generation, 8));
    assert_eq!(feed.changes(generation).unwrap().1, Default::default());
    consent(&house);
    let (told, after) = feed.changes(generation).unwrap();
    assert_eq!((told, after.removed.size(), after.added.size()), (generation, 990, 0));
    assert_eq!(feed.changes(1).unwrap().1.removed.size(), 998);
    house.list("b", &house::ranges(&["30.0.0.1"]), &Detail::default());
    house.refresh();
    assert_eq!(feed.changes(generation + 1).unwrap().1, Default::default(), "told once a later one is told");
    assert_eq!(feed.changes(generation).unwrap().1.removed.size(), 990);
}

#[test]
fn a_consent_in_the_generation_of_an_allow_goes_out_every_way() {
    let (house, _, consent) = allowed_and_consented();
    let feed = house.feed("fortigate");
    let before = house.released();
    let serial = |released: &std::sync::Arc<crate::publish::Released>| released.release.modified;
    let pulled = |released: &crate::publish::Released| crate::publish::Pull {
        at: house::NOON,
        from: "10.0.0.1".parse().unwrap(),
        generation: released.release.generation,
        modified: released.release.modified,
        status: 200,
        bytes: 0,
        sent: 1,
        unchanged: 0,
    };
    consent(&house);
    let after = house.released();
    assert!(serial(&before) < serial(&after), "the serial number of DNS, the tag of a push");
    assert!(pulled(&before).is_before(&after.release) && !pulled(&after).is_before(&after.release));
    let roll = |released| crate::publish::Roll::new(released, Default::default()).unwrap();
    let (old, new) = (roll(before), roll(after));
    let steps = feed.steps();
    let gone = |roll, steps| crate::publish::recent(roll, steps).gone.len();
    assert_eq!(gone(&new, &steps[1..]), 998, "what bouncers and TAXII tell of both");
    assert_eq!(gone(&new, &steps[2..]), 990, "and of the consent");
    assert_eq!(gone(&old, &steps[1..]), 8, "a list of before knows nothing of it");
}
