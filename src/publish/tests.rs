//! Feeds over a real engine: what they list against a golden bitmap, and what they offer when things change or fail.

mod budgets;
mod consent;
mod devices;
mod facts;
mod gates;
mod hidden;
mod holds;
mod house;
mod stores;
mod walk;

use super::*;
use crate::addr::{IpRange, Range};
use crate::model::{Cause, Change, Detail, Families, Filter, Format, Lines, Output, OutputKey, Profile};
use house::{House, NOON, set, singles, text};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// Where the universe of the property begins: 256 addresses of each family that nothing guards.
const LOW: (u32, u128) = (0x1400_0000, 0x2a00_u128 << 112);

fn spans() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec((any::<u8>(), 0_u8..40), 0..7)
}

fn ranges(spans: &[(u8, u8)], six: bool) -> Vec<IpRange> {
    let one = |&(first, len): &(u8, u8)| {
        let last = first.saturating_add(len);
        match six {
            false => IpRange::V4(Range::new(LOW.0 + u32::from(first), LOW.0 + u32::from(last)).unwrap()),
            true => IpRange::V6(Range::new(LOW.1 + u128::from(first), LOW.1 + u128::from(last)).unwrap()),
        }
    };
    spans.iter().map(one).collect()
}

/// The plain bitmap of ranges.
fn bits(ranges: &[IpRange]) -> Vec<bool> {
    let mut bits = vec![false; 512];
    for range in ranges {
        let (from, first, last) = match range {
            IpRange::V4(range) => (0, (range.first() - LOW.0) as usize, (range.last() - LOW.0) as usize),
            IpRange::V6(range) => (256, (range.first() - LOW.1) as usize, (range.last() - LOW.1) as usize),
        };
        bits[from + first..=from + last].fill(true);
    }
    bits
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_feed_read_back_is_what_is_blocked_and_not_allowed_as_its_filter_takes_it(
        sure in spans(), unsure in spans(), other in spans(), allowed in spans(), six: bool,
        which in 0_u8..4, families in 0_u8..3,
        lines in prop_oneof![Just(Lines::Addresses), Just(Lines::Cidrs), Just(Lines::Ranges)],
        parts in 1_u16..4,
    ) {
        let house = House::new();
        let (sure, unsure, other) = (ranges(&sure, six), ranges(&unsure, six), ranges(&other, six));
        let said = |confidence| Detail { confidence: Some(confidence), ..Detail::default() };
        house.list("a", &sure, &said(90));
        // The same range twice keeps what was said last.
        house.list("a", &unsure, &said(10));
        house.list("b", &other, &said(50));
        let allowed = ranges(&allowed, six);
        allowed.iter().for_each(|range| house.allow(*range));
        let sure: Vec<IpRange> = sure.into_iter().filter(|range| !unsure.contains(range)).collect();
        let (filter, taken) = match which {
            0 => (Filter::default(), [sure, unsure, other].concat()),
            1 => (Filter { sources: vec!["a".parse().unwrap()], ..Filter::default() }, [sure, unsure].concat()),
            2 => (Filter { confidence: Some(40), ..Filter::default() }, [sure, other].concat()),
            _ => (Filter { not_sources: vec!["a".parse().unwrap()], ..Filter::default() }, other),
        };
        let families = [Families::Both, Families::V4, Families::V6][usize::from(families)];
        let profile = Profile { lines: Some(lines), filter, families, parts, allow_empty: true, ..house.profile("it") };
        house.publish(profile);
        house.refresh();
        let mut golden = bits(&taken);
        golden.iter_mut().zip(bits(&allowed)).for_each(|(bit, allowed)| *bit &= !allowed);
        if families == Families::V4 { golden[256..].fill(false); }
        if families == Families::V6 { golden[..256].fill(false); }
        let mut seen = vec![false; 512];
        if let Some(released) = house.feed("it").released() {
            for part in 1..=parts {
                let list = released.get(part, crate::model::Document::List(Format::Plain)).unwrap();
                let read: Vec<IpRange> = text(list).lines().map(|line| line.parse().unwrap()).collect();
                let part = bits(&read);
                prop_assert!(seen.iter().zip(&part).all(|(a, b)| !(*a && *b)), "parts are disjoint");
                seen.iter_mut().zip(part).for_each(|(bit, part)| *bit |= part);
            }
        }
        prop_assert_eq!(seen, golden);
    }
}

#[test]
fn an_equal_list_keeps_its_tag_and_its_time() {
    let house = House::new();
    house.list_text("a", &["20.0.0.1"]);
    house.refresh();
    let first = house.released();
    house.clock(60);
    house.list_text("b", &["20.0.0.1"]);
    house.refresh();
    assert!(Arc::ptr_eq(&first, &house.released()));
    assert_eq!(house.feed("fortigate").status().generation, Some(2));
    house.list_text("b", &["20.0.0.2"]);
    house.refresh();
    let second = house.released();
    assert_eq!((second.release.generation, second.release.modified), (3, NOON.plus(60)));
    assert_ne!(first.list().unwrap().etag(Coding::Identity), second.list().unwrap().etag(Coding::Identity));
    assert_ne!(second.list().unwrap().etag(Coding::Gzip), second.list().unwrap().etag(Coding::Identity));
}

#[test]
fn times_rise_although_the_clock_does_not_also_after_a_restart() {
    let mut house = House::new();
    house.list_text("a", &["20.0.0.1"]);
    house.refresh();
    house.list_text("a", &["20.0.0.3"]);
    house.refresh();
    assert_eq!(house.released().release.modified, NOON.plus(1));
    house.reopen_feeds();
    house.list_text("a", &["20.0.0.5"]);
    house.refresh();
    assert_eq!(house.released().release.modified, NOON.plus(2));
}

#[test]
fn the_compressed_forms_are_the_same_list() {
    let house = House::new();
    house.list("a", &singles(5000), &Detail::default());
    house.refresh();
    house.feeds.compress();
    let released = house.released();
    let list = released.list().unwrap();
    let mut plain = Vec::new();
    let gzip = list.bytes(Coding::Gzip).unwrap();
    std::io::copy(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut plain).unwrap();
    assert_eq!(&plain, list.text());
    assert_eq!(&zstd::decode_all(&list.bytes(Coding::Zstd).unwrap()[..]).unwrap(), list.text());
    assert!(gzip.len() < plain.len() / 2);
    let memory: usize = Coding::ALL.iter().map(|coding| list.bytes(*coding).unwrap().len()).sum();
    assert!(memory + released.release.set.bytes().len() <= 2 * plain.len(), "{memory}");
}

#[test]
fn after_a_restart_the_last_good_list_is_there_before_anything_else() {
    let mut house = House::new();
    house.list_text("a", &["20.0.0.0/24", "2a00::1"]);
    house.refresh();
    let before = house.released();
    house.reopen_feeds();
    let after = house.released();
    assert_eq!(
        (&after.release, text(after.list().unwrap())),
        (&before.release, text(before.list().unwrap()))
    );
    assert_eq!(house.feed("fortigate").status().generation, None, "nothing was looked at yet");
}

#[test]
fn a_damaged_file_is_not_offered_and_is_made_anew() {
    let mut house = House::new();
    house.list_text("a", &["20.0.0.1", "20.0.0.3"]);
    house.refresh();
    let file = house.folder.path().join("feeds/fortigate.feed");
    let whole = std::fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        house.reopen_feeds();
        assert!(matches!(**house.feed("fortigate").offer(), Offer::Nothing), "byte {at}");
        assert!(house.feed("fortigate").status().fault.unwrap().what.contains("damaged"));
    }
    house.refresh();
    let fault = house.feed("fortigate").status().fault.unwrap();
    assert!(
        fault.what.contains("damaged"),
        "it was compared with nothing, which is told until the next start"
    );
    house.reopen_feeds();
    assert_eq!(house.feed("fortigate").status().fault, None);
    assert_eq!(text(house.released().list().unwrap()), "20.0.0.1\n20.0.0.3\n");
}

#[test]
fn an_empty_list_is_offered_only_where_the_profile_wants_it_and_something_was_imported() {
    let house = House::new();
    house.publish(Profile { allow_empty: true, ..house.profile("bold") });
    house.refresh();
    assert!(matches!(**house.feed("fortigate").offer(), Offer::Empty(_)));
    assert!(matches!(**house.feed("bold").offer(), Offer::Empty(_)), "nothing was imported yet");
    house.list_text("a", &["20.0.0.1"]);
    house.refresh();
    house.list_text("a", &[]);
    house.refresh();
    assert!(matches!(**house.feed("fortigate").offer(), Offer::Empty(_)));
    assert_eq!(text(house.feed("bold").released().unwrap().list().unwrap()), "");
}

#[test]
fn a_list_that_cannot_be_kept_is_offered_and_kept_later() {
    let mut house = House::new();
    house.refresh();
    let (place, away) = (house.folder.path().join("feeds"), house.folder.path().join("away"));
    std::fs::rename(&place, &away).unwrap();
    house.list_text("a", &["20.0.0.1"]);
    house.refresh();
    assert!(house.feed("fortigate").status().fault.is_some());
    assert_eq!(text(house.released().list().unwrap()), "20.0.0.1\n");
    std::fs::rename(&away, &place).unwrap();
    house.refresh();
    assert_eq!(house.feed("fortigate").status().fault, None);
    house.reopen_feeds();
    assert_eq!(house.feed("fortigate").status().fault, None);
    assert_eq!(text(house.released().list().unwrap()), "20.0.0.1\n");
}

#[test]
fn what_a_device_can_take_of_each_feed_is_taken_of_each() {
    let house = House::new();
    house.list("a", &singles(1000), &Detail::default());
    house.publish(house.profile("first"));
    house.publish(house.profile("second"));
    let device = serde_json::json!({"name": "box", "feeds": ["first", "second"], "each": {"entries": 600}});
    house.change(Cause::Manual, Change::Publish(Output::Device(serde_json::from_value(device).unwrap())));
    house.refresh();
    let entries = |name: &str| house.feed(name).released().unwrap().list().unwrap().counts.entries;
    assert_eq!((entries("first"), entries("second"), entries("fortigate")), (600, 600, 1000));
}

#[test]
fn a_listing_leaves_a_feed_that_wants_young_ones_when_it_is_too_old_for_it() {
    let house = House::new();
    let filter = Filter { max_age_days: Some(2), ..Filter::default() };
    house.publish(Profile { filter, ..house.profile("young") });
    house.list_text("a", &["20.0.0.1"]);
    house.refresh();
    for (days, is_there) in [(1, true), (1, true), (1, false)] {
        house.clock(days * 86_400);
        house.expire();
        let generation = house.engine.snapshot().generation;
        house.expire();
        assert_eq!(house.engine.snapshot().generation, generation, "a day makes one generation");
        house.refresh();
        assert_eq!(house.feed("young").released().is_some(), is_there);
    }
    assert_eq!(house.released().release.generation, 2, "the others are what they were");
}

#[test]
fn feeds_come_and_go_with_their_profiles() {
    let mut house = House::new();
    house.list_text("a", &["20.0.0.1"]);
    house.publish(house.profile("extra"));
    house.refresh();
    assert_eq!(text(house.feed("extra").released().unwrap().list().unwrap()), "20.0.0.1\n");
    house.reopen_feeds();
    assert!(house.feed("extra").released().is_some());
    house.change(Cause::Manual, Change::Withdraw(OutputKey::Feed("extra".parse().unwrap())));
    house.refresh();
    assert!(house.feeds.get("extra").is_none());
    assert!(!house.folder.path().join("feeds/extra.feed").exists());
}

#[test]
fn a_document_that_nobody_asks_for_is_not_written_and_one_that_was_asked_for_is_kept_up() {
    let house = House::new();
    house.publish(Profile { format: Format::Csv, ..house.profile("table") });
    let detail = Detail { reason: Some("scan".into()), ..Detail::default() };
    house.list("a", &house::ranges(&["20.0.0.1"]), &detail);
    house.refresh();
    let list = crate::model::Document::List(Format::Csv);
    let released = house.feed("table").released().unwrap();
    assert!(released.get(1, list).is_none());
    let written = write(&house.engine, &released, 1, list).unwrap().unwrap();
    assert!(text(&written).contains("20.0.0.1") && text(&written).contains("scan"));
    written.ask();
    house.list("a", &house::ranges(&["20.0.0.9"]), &detail);
    house.refresh();
    let next = house.feed("table").released().unwrap();
    assert!(text(next.get(1, list).unwrap()).contains("20.0.0.9"));
}

#[test]
fn changes_are_told_from_any_release_that_is_remembered() {
    let house = House::new();
    house.list_text("a", &["20.0.0.1"]);
    house.refresh();
    house.list_text("a", &["20.0.0.1", "20.0.0.3"]);
    house.refresh();
    house.list_text("a", &["20.0.0.3"]);
    house.refresh();
    let feed = house.feed("fortigate");
    let (generation, difference) = feed.changes(1).unwrap();
    assert_eq!(generation, 3);
    assert_eq!(difference.added, set(&house::ranges(&["20.0.0.3"])));
    assert_eq!(difference.removed, set(&house::ranges(&["20.0.0.1"])));
    assert_eq!(feed.changes(3).unwrap().1, Difference::default());
    assert_eq!(feed.changes(4), Err(Unknown::NotYet(3)));
    assert_eq!(feed.changes(0).unwrap().1.added, set(&house::ranges(&["20.0.0.3"])));
}

#[tokio::test]
async fn the_worker_brings_every_change_to_the_feed_until_it_is_stopped() {
    let house = tokio::task::spawn_blocking(House::new).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let feeds = Arc::clone(&house.feeds);
    let worker = tokio::spawn(follow(feeds, house.engine.clone(), async { drop(stopped.await) }));
    for last in 1..=5_u64 {
        let range = IpRange::V4(Range::single(0x0808_0800 + 2 * last as u32));
        house.submit(house::listing("a", &[range], &Detail::default(), crate::model::Scope::Part)).await;
        if last == 1 {
            reaches(&house, 1).await;
        }
    }
    reaches(&house, 5).await;
    assert_eq!(text(house.released().list().unwrap()), "8.8.8.2\n8.8.8.4\n8.8.8.6\n8.8.8.8\n8.8.8.10\n");
    stop.send(()).unwrap();
    worker.await.unwrap();
}

async fn reaches(house: &House, generation: u64) {
    let there = async {
        while house.feed("fortigate").status().generation != Some(generation) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), there).await.unwrap();
}
