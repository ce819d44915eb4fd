//! The gate for feeds at work: what is held, what a held feed goes on with, and what ends the hold.

use super::house::{self, House, NOON, set, singles};
use crate::addr::IpRange;
use crate::model::{Cause, Change, Detail, Device, Filter, Output, Profile};
use crate::publish::{Ground, NoConsent, Word};

#[test]
fn a_collapse_is_held_and_people_may_consent_or_reject() {
    let mut house = House::new();
    house.list("a", &singles(1000), &Detail::default());
    house.refresh();
    house.list("a", &singles(10), &Detail::default());
    house.refresh();
    let hold = house.feed("fortigate").status().hold.unwrap();
    assert_eq!(hold.distance.gone, 990);
    assert_eq!(house.released().release.set.unpack(), set(&singles(1000)));
    house.reopen_feeds();
    assert_eq!(house.feed("fortigate").status().hold, Some(hold.clone()), "also after a restart");
    let name = "fortigate".parse().unwrap();
    let word = Word { actor: "me".into(), reason: "their portal was down".into(), time: NOON };
    house.feeds.reject(Some(&name), word.clone(), &house.engine).unwrap();
    assert_eq!(house.feed("fortigate").status().hold.unwrap().rejected, Some(word));
    house.list("a", &singles(5), &Detail::default());
    house.refresh();
    assert_eq!(house.feed("fortigate").status().hold.unwrap().rejected, None, "the word was for less");
    let refused = house.feeds.consent(Some(&name), hold.generation, &house.engine);
    assert_eq!(refused, Err(NoConsent::Grown(3)));
    assert_eq!(house.feeds.consent(Some(&name), 3, &house.engine), Ok(()));
    assert_eq!(house.released().release.set.unpack(), set(&singles(5)));
    assert_eq!(house.feeds.consent(Some(&name), 3, &house.engine), Err(NoConsent::NotHeld));
}

#[test]
fn a_held_feed_follows_allows_suppressions_expiry_and_peoples_hands_at_once() {
    let house = House::new();
    let until = Detail { expires: Some(NOON.plus(600)), ..Detail::default() };
    house.list("ageing", &house::ranges(&["30.0.0.1"]), &until);
    house.list("manual", &house::ranges(&["30.0.0.2", "30.0.0.3"]), &Detail::default());
    house.list("a", &singles(1000), &Detail::default());
    house.refresh();
    house.list("a", &[], &Detail::default());
    house.refresh();
    assert!(house.feed("fortigate").status().hold.is_some());
    let holds = |address: &str| house.released().holds(address.parse().unwrap());
    assert!(["30.0.0.1", "30.0.0.2", "30.0.0.3", "20.0.0.0", "20.0.0.2"].into_iter().all(holds));
    house.allow("20.0.0.0".parse().unwrap());
    house.suppress("20.0.0.2".parse().unwrap());
    house.change(
        Cause::Manual,
        Change::Unlist { source: "manual".parse().unwrap(), ranges: house::ranges(&["30.0.0.2"]) },
    );
    house.clock(601);
    house.expire();
    house.refresh();
    assert!(!["30.0.0.1", "30.0.0.2", "20.0.0.0", "20.0.0.2"].into_iter().any(holds));
    assert!(["30.0.0.3", "20.0.0.4"].into_iter().all(holds), "and nothing else");
    assert!(house.feed("fortigate").status().hold.is_some());
}

#[test]
fn a_poisoned_source_neither_opens_nor_closes_a_network() {
    let house = House::new();
    let own: IpRange = "40.0.0.0/24".parse().unwrap();
    let device = Device {
        feeds: vec!["fortigate".parse().unwrap()],
        networks: vec!["50.0.0.7".parse().unwrap()],
        ..Device::new("edge".parse().unwrap())
    };
    house.change(Cause::Manual, Change::Publish(Output::Device(device)));
    house.allow(own);
    house.list("a", &singles(1000), &Detail::default());
    house.refresh();
    for poison in ["0.0.0.0/1", "10.0.0.0/8", "40.0.0.9", "50.0.0.7", "50.0.0.0/24"] {
        let list = [singles(1000), house::ranges(&[poison])].concat();
        house.list("a", &list, &Detail::default());
        house.refresh();
        let listed = house.released().release.set.unpack();
        for protected in ["10.1.2.3", "40.0.0.9", "50.0.0.7", "127.0.0.1", "8.8.8.8"] {
            assert!(!listed.contains(protected.parse().unwrap()), "{protected} by {poison}");
        }
        assert!(set(&singles(1000)).subtract(&listed).is_empty(), "{poison} opened something");
    }
}

#[test]
fn all_feeds_together_are_held_when_each_alone_is_not() {
    let house = House::new();
    let odd = |n: &usize| n % 2 == 1;
    let (a, b): (Vec<_>, Vec<_>) = singles(360).into_iter().enumerate().partition(|(n, _)| odd(n));
    let halves = [a, b].map(|half| half.into_iter().map(|(_, range)| range).collect::<Vec<_>>());
    for (source, half) in ["a", "b"].into_iter().zip(&halves) {
        let filter = Filter { sources: vec![source.parse().unwrap()], ..Filter::default() };
        house.publish(Profile { filter, ..house.profile(source) });
        house.list(source, half, &Detail::default());
    }
    house.refresh();
    ["a", "b"]
        .into_iter()
        .zip(&halves)
        .for_each(|(source, half)| house.list(source, &half[..82], &Detail::default()));
    house.refresh();
    let hold = house.feeds.whole().status().hold.unwrap();
    let feed = house.feed("a");
    assert_eq!(feed.status().hold.unwrap().grounds, [Ground::Whole], "98 of 180 gone are few");
    assert_eq!(feed.released().unwrap().release.addresses, 180);
    let name = "a".parse().unwrap();
    let early = house.feeds.consent(Some(&name), hold.generation, &house.engine);
    assert_eq!(early, Err(NoConsent::WholeIsHeld));
    assert_eq!(house.feeds.consent(None, hold.generation, &house.engine), Ok(()));
    assert_eq!(feed.released().unwrap().release.addresses, 82);
    let by_itself = house.feed("fortigate").status().hold.unwrap();
    let grounds = [Ground::Shrunk { before: 360, gone: 196, limit_percent: 50 }];
    assert_eq!(by_itself.grounds, grounds, "nobody was shown what this one would lose");
    assert_eq!(house.released().release.addresses, 360);
}

#[test]
fn a_backfill_in_pieces_is_no_growth_and_the_same_is_two_days_later() {
    let house = House::new();
    let all = singles(9000);
    for piece in [&all[..100], &all[..500], &all[..3000]] {
        house.list("a", piece, &Detail::default());
        house.refresh();
        assert_eq!(house.released().release.addresses, piece.len() as u128);
    }
    house.clock(2 * 86_400);
    house.list("a", &all, &Detail::default());
    house.refresh();
    assert!(house.feed("fortigate").status().hold.is_some());
    assert_eq!(house.released().release.addresses, 3000);
}
