//! What a person's word is for, and what feeds that are new or edited may not bring.

use super::house::{self, House, set, singles};
use crate::model::{Cause, Change, Detail, Filter, GateLimits, Output, OutputKey, OutputName, Profile};
use crate::publish::{Ground, Hold, NoConsent, Offer, Word};

fn name(name: &str) -> OutputName {
    name.parse().unwrap()
}

fn hold(house: &House, feed: &str) -> Option<Hold> {
    house.feed(feed).status().hold
}

fn word() -> Word {
    Word { actor: "me".into(), reason: "no".into(), time: house::NOON }
}

fn of(house: &House, feed: &str, sources: &[&str]) -> Profile {
    let sources = sources.iter().map(|source| source.parse().unwrap()).collect();
    Profile { filter: Filter { sources, ..Filter::default() }, ..house.profile(feed) }
}

fn addresses(house: &House, feed: &str) -> u128 {
    house.feed(feed).released().map_or(0, |released| released.release.addresses)
}

/// A source that has been there for long.
fn known(house: &House, source: &str, count: u32) {
    house.list(source, &singles(count), &Detail::default());
    house.clock(3 * 86_400);
    house.refresh();
}

#[test]
fn consent_and_rejection_are_for_the_lines_that_were_shown() {
    let house = House::new();
    house.list_text("a", &["60.0.0.0/7"]);
    house.refresh();
    let shown = hold(&house, "fortigate").unwrap().generation;
    house.feeds.reject(Some(&name("fortigate")), word(), &house.engine).unwrap();
    house.list_text("a", &["8.0.0.0/7"]);
    house.refresh();
    let now = hold(&house, "fortigate").unwrap();
    assert_eq!(now.rejected, None, "nobody has rejected these");
    let refused = house.feeds.consent(Some(&name("fortigate")), shown, &house.engine);
    assert_eq!(refused, Err(NoConsent::Grown(now.generation)));
    assert_eq!(addresses(&house, "fortigate"), 0);
    assert_eq!(house.feeds.consent(Some(&name("fortigate")), now.generation, &house.engine), Ok(()));
    assert_eq!(addresses(&house, "fortigate"), 1 << 25);
}

#[test]
fn a_rejection_stands_while_nothing_else_would_change() {
    let mut house = House::new();
    known(&house, "a", 1000);
    house.list("a", &singles(10), &Detail::default());
    house.refresh();
    house.feeds.reject(Some(&name("fortigate")), word(), &house.engine).unwrap();
    house.list("a", &singles(20), &Detail::default());
    house.refresh();
    house.reopen_feeds();
    house.refresh();
    assert_eq!(hold(&house, "fortigate").unwrap().rejected, Some(word()), "less would go than was rejected");
}

/// Consents to what is held: all feeds together first.
fn consent(house: &House, feed: &str) {
    if let Some(whole) = house.feeds.whole().status().hold {
        house.feeds.consent(None, whole.generation, &house.engine).unwrap();
    }
    let generation = hold(house, feed).unwrap().generation;
    house.feeds.consent(Some(&name(feed)), generation, &house.engine).unwrap();
}

/// A feed of a source that has exploded, and the default feed of another one.
fn exploded(feed: &str, sources: &[&str]) -> House {
    let house = House::new();
    house.publish(of(&house, "fortigate", &["b"]));
    house.publish(of(&house, feed, sources));
    house.list_text("b", &["30.0.0.1"]);
    known(&house, "a", 1000);
    house.list("a", &singles(21_000), &Detail::default());
    house.refresh();
    assert!(hold(&house, feed).is_some());
    house
}

#[test]
fn a_source_that_is_taken_out_and_in_again_brings_nothing_that_the_feeds_own_hold_kept_back() {
    let mut house = exploded("edge", &["a", "b"]);
    house.publish(of(&house, "edge", &["b"]));
    house.refresh();
    assert_eq!((addresses(&house, "edge"), hold(&house, "edge")), (1, None), "the person leaves it out");
    house.reopen_feeds();
    house.publish(of(&house, "edge", &["a", "b"]));
    house.refresh();
    assert_eq!(addresses(&house, "edge"), 1001);
    let grounds = hold(&house, "edge").unwrap().grounds;
    assert!(grounds.iter().any(|ground| matches!(ground, Ground::Grown { new: 20_000, .. })), "{grounds:?}");
    consent(&house, "edge");
    assert_eq!(addresses(&house, "edge"), 21_001);
    house.publish(of(&house, "edge", &["b"]));
    house.refresh();
    house.publish(of(&house, "edge", &["a", "b"]));
    house.refresh();
    assert_eq!(addresses(&house, "edge"), 21_001, "somebody has had a word on that");
}

#[test]
fn what_has_gone_meanwhile_is_withheld_no_more() {
    let house = exploded("edge", &["a", "b"]);
    house.publish(of(&house, "edge", &["b"]));
    house.refresh();
    house.list("a", &singles(1001), &Detail::default());
    house.refresh();
    assert!(!house.feed("edge").inside().state.withheld.is_empty(), "one is listed still");
    house.list("a", &singles(1000), &Detail::default());
    house.refresh();
    assert!(house.feed("edge").inside().state.withheld.is_empty());
}

#[test]
fn a_feed_that_goes_frees_nothing_that_its_hold_kept_back_neither_for_others_nor_when_it_comes_again() {
    let mut house = exploded("edge", &["a"]);
    house.publish(of(&house, "other", &["a"]));
    house.refresh();
    house.change(Cause::Manual, Change::Withdraw(OutputKey::Feed(name("edge"))));
    house.refresh();
    house.reopen_feeds();
    house.refresh();
    house.publish(of(&house, "edge", &["a"]));
    house.refresh();
    for feed in ["other", "edge"] {
        let grounds = hold(&house, feed).unwrap().grounds;
        assert!(grounds.contains(&Ground::Elsewhere { new: 20_000 }), "{feed}: {grounds:?}");
        assert_eq!(addresses(&house, feed), 1000, "{feed}");
    }
    consent(&house, "other");
    house.refresh();
    assert_eq!(addresses(&house, "other"), 21_000);
    let grounds = hold(&house, "edge").unwrap().grounds;
    assert!(!grounds.iter().any(|ground| matches!(ground, Ground::Elsewhere { .. })), "{grounds:?}");
}

#[test]
fn a_new_feed_does_not_publish_what_anothers_hold_keeps_back() {
    let house = House::new();
    known(&house, "a", 1000);
    house.list("a", &singles(21_000), &Detail::default());
    house.refresh();
    house.publish(house.profile("edge2"));
    house.refresh();
    assert_eq!((addresses(&house, "fortigate"), addresses(&house, "edge2")), (1000, 1000));
    let grounds = hold(&house, "edge2").unwrap().grounds;
    assert!(grounds.contains(&Ground::Elsewhere { new: 20_000 }), "{grounds:?}");
    house.list("a", &singles(1001), &Detail::default());
    house.refresh();
    assert_eq!((addresses(&house, "fortigate"), addresses(&house, "edge2")), (1001, 1001));
    assert!(hold(&house, "edge2").is_none());
}

#[test]
fn a_feed_that_comes_with_the_growth_does_not_publish_it_whoever_is_served_first() {
    for priority in [1, 200] {
        let house = House::new();
        known(&house, "a", 1000);
        house.list("a", &singles(21_000), &Detail::default());
        house.publish(Profile { priority, ..house.profile("edge2") });
        house.refresh();
        assert_eq!((addresses(&house, "fortigate"), addresses(&house, "edge2")), (1000, 1000));
    }
}

#[test]
fn an_edit_does_not_bring_what_anothers_hold_keeps_back() {
    let house = House::new();
    known(&house, "a", 1000);
    house.list_text("b", &["30.0.0.1"]);
    house.publish(of(&house, "onlyb", &["b"]));
    house.refresh();
    house.list("a", &singles(21_000), &Detail::default());
    house.refresh();
    house.publish(of(&house, "onlyb", &["b", "a"]));
    house.refresh();
    assert!(hold(&house, "onlyb").is_some());
    assert_eq!(addresses(&house, "onlyb"), 1001, "what nobody doubts comes at once");
}

#[test]
fn what_others_keep_back_holds_a_new_feed_until_they_are_free_or_somebody_consents() {
    let house = House::new();
    known(&house, "a", 1000);
    house.list("a", &singles(21_000), &Detail::default());
    house.refresh();
    let six = GateLimits { grow_percent: 10_000, ..GateLimits::default() };
    house.publish(Profile { gate: six, ..house.profile("edge2") });
    house.publish(Profile { gate: six, ..house.profile("edge3") });
    house.refresh();
    house.list_text("b", &["30.0.0.1"]);
    house.refresh();
    let hold = hold(&house, "edge2").unwrap();
    assert_eq!(hold.grounds, [Ground::Elsewhere { new: 20_001 }], "also what came a generation later");
    let consent = |feed: &str| {
        let generation = house.feed(feed).status().hold.unwrap().generation;
        house.feeds.consent(Some(&name(feed)), generation, &house.engine).unwrap();
    };
    consent("edge2");
    assert_eq!((addresses(&house, "edge2"), addresses(&house, "edge3")), (21_001, 1000));
    consent("fortigate");
    assert_eq!(addresses(&house, "edge3"), 21_001, "nobody keeps anything back any more");
}

#[test]
fn an_edit_while_a_first_list_waits_does_not_publish_the_empty_one() {
    let mut house = House::new();
    let bold = |compress| Profile { allow_empty: true, compress, ..house.profile("fortigate") };
    house.publish(bold(true));
    house.list_text("a", &["128.0.0.0/1"]);
    house.refresh();
    let offers_nothing = |house: &House| matches!(**house.feed("fortigate").offer(), Offer::Empty(_));
    assert!(offers_nothing(&house));
    house.publish(bold(false));
    house.refresh();
    assert!(offers_nothing(&house), "an edit is no word");
    house.reopen_feeds();
    assert!(offers_nothing(&house), "nor is a restart");
    house.refresh();
    assert!(offers_nothing(&house));
}

#[test]
fn a_feed_that_is_withdrawn_takes_its_own_hold_with_it_and_no_others() {
    let house = House::new();
    known(&house, "a", 1000);
    house.publish(house.profile("extra"));
    house.refresh();
    house.list("a", &singles(21_000), &Detail::default());
    house.refresh();
    house.change(Cause::Manual, Change::Withdraw(OutputKey::Feed(name("extra"))));
    house.refresh();
    assert_eq!(addresses(&house, "fortigate"), 1000);
    house.change(Cause::Manual, Change::Publish(Output::Feed(house.profile("extra"))));
    house.refresh();
    assert_eq!(house.feed("extra").released().unwrap().release.set.unpack(), set(&singles(1000)));
}
