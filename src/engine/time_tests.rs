//! What expires, and what a wall clock that is wrong must not end.

use super::tests::{House, NOON, allow, list, name, suppression};
use super::*;
use crate::model::{Allow, Change, Detail, RowsBuilder, Scope, Suppression};
use std::time::Instant;

#[test]
fn what_expires_ends_as_a_record_of_its_own() {
    let house = House::new();
    let mut builder = RowsBuilder::default();
    let expires = Some(Time::from_unix(NOON + 60));
    builder.push("20.0.0.1".parse().unwrap(), &Detail { expires, ..Detail::default() });
    builder.push("20.0.0.2".parse().unwrap(), &Detail::default());
    let change = Change::List { source: name("a"), rows: builder.finish().0, scope: Scope::Part };
    house.submit(change).unwrap();
    house.now.store(NOON + 59, Ordering::Relaxed);
    assert_eq!(house.runtime.block_on(house.engine().expire()).unwrap().removed, 0);
    assert!(house.check("20.0.0.1").0);
    house.now.store(NOON + 60, Ordering::Relaxed);
    // The writer may have seen it by itself already; either way it is one record.
    house.runtime.block_on(house.engine().expire()).unwrap();
    assert!(!house.check("20.0.0.1").0 && house.check("20.0.0.2").0);
    assert_eq!(house.engine().snapshot().generation, 2);
}

#[test]
fn a_clock_that_jumps_ends_nothing_without_consent() {
    let house = House::new();
    house.list_until("a", "20.0.0.1", 60);
    house.now.store(NOON + 40_000_000, Ordering::Relaxed);
    let waited = Instant::now();
    while !house.engine().expiry_is_held() {
        assert!(waited.elapsed().as_secs() < 10, "the jump was not noticed");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(house.check("20.0.0.1").0);
    let nobody_says = house.runtime.block_on(house.engine().clean_up());
    assert!(matches!(nobody_says, Err(EngineError::Refused(Refusal::ClockDoubted))), "{nobody_says:?}");
    // What arrives with the day of a year ago may well count.
    house.list_until("a", "20.0.0.2", 3600);
    assert!(house.check("20.0.0.1").0 && house.check("20.0.0.2").0);
    // And so may what comes after it: that record says the wrong time itself.
    house.list_until("a", "20.0.0.3", 3600);
    assert!(house.check("20.0.0.3").0);
    assert_eq!(house.runtime.block_on(house.engine().expire()).unwrap().removed, 3);
}

#[test]
fn a_doubt_outlives_a_table_that_is_made_anew() {
    let mut house = House::new();
    house.list_until("a", "20.0.0.1", 60);
    house.now.store(NOON + 40_000_000, Ordering::Relaxed);
    house.list_until("a", "20.0.0.2", 50_000_000);
    let believed = |house: &House| house.engine().snapshot().sure.unix();
    assert_eq!(believed(&house), NOON);
    assert_eq!(house.engine().snapshot().time.unix(), NOON + 40_000_000);
    house.engine = None;
    std::fs::remove_file(house.folder.path().join(archive::FILE)).unwrap();
    house.open().unwrap();
    assert_eq!(believed(&house), NOON, "the doubted time of a record is no measure");
    assert!(house.check("20.0.0.1").0, "and ends nothing");
}

#[test]
fn a_clock_behind_the_last_record_ends_nothing_by_that() {
    let mut house = House::new();
    house.now.store(NOON + 40_000_000, Ordering::Relaxed);
    house.submit(list("a", &["20.0.0.1"], Scope::Part)).unwrap();
    house.engine = None;
    house.now.store(NOON, Ordering::Relaxed);
    house.open().unwrap();
    assert_eq!(house.list_until("a", "20.0.0.2", 3600).expired, 0);
    assert!(house.check("20.0.0.2").0);
}

#[test]
fn what_is_over_when_it_is_said_is_not_listed_and_ends_what_was() {
    let house = House::new();
    let receipt = house.list_until("a", "20.0.0.1", 0);
    assert_eq!((receipt.expired, receipt.added, receipt.generation), (1, 0, 0));
    assert!(house.engine().snapshot().source("a").is_none(), "nothing begins with nothing");
    house.submit(list("a", &["20.0.0.1", "20.0.0.2"], Scope::Part)).unwrap();
    let receipt = house.list_until("a", "20.0.0.1", -9);
    assert_eq!((receipt.expired, receipt.removed), (1, 1));
    assert!(!house.check("20.0.0.1").0 && house.check("20.0.0.2").0);
    let over = Some(Time::from_unix(NOON));
    let wishes = [
        Change::Allow(Allow { expires: over, ..allow("20.0.0.2") }),
        Change::Suppress(Suppression { expires: over, ..suppression("20.0.0.2", None) }),
    ];
    for wish in wishes {
        let refused = house.submit(wish);
        assert!(matches!(refused, Err(EngineError::Refused(Refusal::Over(_)))), "{refused:?}");
    }
}

#[test]
fn a_clock_ahead_at_the_start_ends_nothing_without_consent_and_a_right_one_ends_the_doubt() {
    let mut house = House::new();
    house.list_until("a", "20.0.0.1", 10_000);
    house.engine = None;
    house.now.store(NOON + 40_000_000, Ordering::Relaxed);
    house.open().unwrap();
    let nobody_says = house.runtime.block_on(house.engine().clean_up());
    assert!(matches!(nobody_says, Err(EngineError::Refused(Refusal::ClockDoubted))), "{nobody_says:?}");
    assert!(house.check("20.0.0.1").0);
    house.now.store(NOON + 60, Ordering::Relaxed);
    assert_eq!(house.runtime.block_on(house.engine().clean_up()).unwrap().removed, 0);
    house.list_until("a", "20.0.0.2", 600);
    house.now.store(NOON + 700, Ordering::Relaxed);
    house.runtime.block_on(house.engine().clean_up()).unwrap();
    assert!(house.check("20.0.0.1").0 && !house.check("20.0.0.2").0);
}

#[test]
fn after_a_pause_the_little_that_is_due_ends_by_itself() {
    let mut house = House::new();
    house.list_until("a", "20.0.0.1", 60);
    house.submit(list("b", &["20.0.1.0/24"], Scope::Part)).unwrap();
    for number in 0..30 {
        house.submit(list("b", &[&format!("20.0.2.{number}")], Scope::Part)).unwrap();
    }
    house.engine = None;
    house.now.store(NOON + 100_000, Ordering::Relaxed);
    house.open().unwrap();
    house.runtime.block_on(house.engine().clean_up()).unwrap();
    assert!(!house.check("20.0.0.1").0);
}

#[test]
fn what_would_end_tomorrow_and_had_no_such_end_is_as_good_as_gone() {
    let house = House::new();
    house.submit(list("a", &["20.0.0.1", "20.0.0.2"], Scope::Whole)).unwrap();
    house.list_until("a", "20.0.0.3", 3600);
    let mut builder = RowsBuilder::default();
    for (range, seconds) in [("20.0.0.1", 60), ("20.0.0.2", 100_000), ("20.0.0.3", 60), ("20.0.0.4", 60)] {
        let expires = Some(Time::from_unix(NOON + seconds));
        builder.push(range.parse().unwrap(), &Detail { expires, ..Detail::default() });
    }
    let change = Change::List { source: name("a"), rows: builder.finish().0, scope: Scope::Whole };
    let (id, cause) = (uuid::Uuid::now_v7(), crate::model::Cause::Run);
    let batch = Batch { id, actor: String::new(), reason: String::new(), cause, change };
    let preview = house.runtime.block_on(house.engine().preview(batch)).unwrap().preview();
    assert_eq!((preview.before, preview.ending), (3, 1), "of four, one has an end that it had not");
}
