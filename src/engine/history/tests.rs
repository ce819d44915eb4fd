//! Any two generations differ by what records between them say, and a source goes back to any of them.

use super::super::tests::{House, NOON, allow, list, name, suppression};
use super::super::*;
use super::*;
use crate::addr::IpRange;
use crate::model::{Allow, Cause, Detail, Difference, Rows, Scope, Suppression};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// All that a generation means, the slow way.
#[derive(Clone, PartialEq, Debug, Default)]
struct State {
    listings: BTreeMap<(SourceId, IpRange), Detail>,
    allows: BTreeMap<IpRange, Allow>,
    suppressions: BTreeMap<String, Suppression>,
}

fn key(suppression: &Suppression) -> String {
    format!("{} {:?}", suppression.range, suppression.source)
}

fn state(house: &House) -> State {
    let snapshot = Arc::clone(&house.engine().snapshot());
    let mut state = State {
        allows: snapshot.allows.iter().map(|allow| (allow.range, allow.clone())).collect(),
        suppressions: snapshot.suppressions.iter().map(|one| (key(one), one.clone())).collect(),
        ..State::default()
    };
    for id in snapshot.sources.keys() {
        let read = house.engine().view(|view| {
            view.each_listing(*id, |range, detail| {
                state.listings.insert((*id, range), detail.clone());
                Ok(())
            })
        });
        read.unwrap();
    }
    state
}

impl State {
    /// Applies a difference, checking that it fits.
    fn apply(&mut self, net: &Net) {
        for (source, Difference { removed, added }) in &net.listings {
            for (range, detail) in removed.iter() {
                assert_eq!(self.listings.remove(&(*source, range)).as_ref(), Some(detail));
            }
            for (range, detail) in added.iter() {
                assert_eq!(self.listings.insert((*source, range), detail.clone()), None);
            }
        }
        net.allows.iter().for_each(|pair| put(&mut self.allows, pair, |allow| allow.range));
        net.suppressions.iter().for_each(|pair| put(&mut self.suppressions, pair, key));
    }
}

fn put<K: Ord, T: Clone + PartialEq + std::fmt::Debug>(
    all: &mut BTreeMap<K, T>,
    pair: &Pair<T>,
    key: impl Fn(&T) -> K,
) {
    if let Some(before) = &pair.before {
        assert_eq!(all.remove(&key(before)).as_ref(), Some(before));
    }
    if let Some(after) = &pair.after {
        assert_eq!(all.insert(key(after), after.clone()), None);
    }
}

/// Something or other happens.
pub(in super::super) fn happen(house: &House, random: &mut fastrand::Rng) {
    house.now.fetch_add(60, Ordering::Relaxed);
    let source = ["a", "b", "manual"][random.usize(..3)];
    let ranges: Vec<String> = (0..random.usize(1..5)).map(|_| format!("20.0.0.{}", random.u8(..6))).collect();
    let ranges: Vec<&str> = ranges.iter().map(String::as_str).collect();
    let done = match random.u8(..8) {
        0..=2 => house.submit(list(source, &ranges, Scope::Part)),
        3..=4 => house.submit(list(source, &ranges, Scope::Whole)),
        5 => house.submit(Change::Unlist { source: name(source), ranges: vec![ranges[0].parse().unwrap()] }),
        6 => house.submit(Change::Allow(Allow { reason: random.u8(..).to_string(), ..allow(ranges[0]) })),
        _ => house.submit(Change::Suppress(suppression(ranges[0], random.bool().then_some(source)))),
    };
    match done {
        Ok(_) | Err(EngineError::Refused(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

/// A house after so many events, and its state at every generation.
fn lived(seed: u64, events: usize) -> (House, Vec<State>) {
    let (house, mut random) = (House::new(), fastrand::Rng::with_seed(seed));
    let mut states = vec![State::default()];
    for _ in 0..events {
        happen(&house, &mut random);
        states.resize(house.engine().snapshot().generation as usize + 1, state(&house));
    }
    (house, states)
}

#[test]
fn a_difference_leads_from_any_generation_to_any_other() {
    for seed in 0..3 {
        let (house, states) = lived(seed, 16);
        for (from, before) in states.iter().enumerate() {
            for (to, after) in states.iter().enumerate() {
                let mut there = before.clone();
                there.apply(&house.engine().difference(from as u64, to as u64, None).unwrap());
                assert_eq!(there, *after, "seed {seed}: from {from} to {to}");
            }
        }
    }
}

#[test]
fn a_source_goes_back_to_any_generation_and_nothing_else_does() {
    for seed in 10..13 {
        let (house, states) = lived(seed, 15);
        for (generation, was) in states.iter().enumerate() {
            let now = state(&house);
            let Ok(change) = house.engine().restoring(&name("a"), generation as u64) else { continue };
            house.submit(change).unwrap();
            let a = house.engine().snapshot().source("a").unwrap().id;
            let of = |state: &State, mine: bool| -> Vec<_> {
                let rows = state.listings.iter().filter(|((source, _), _)| (*source == a) == mine);
                rows.map(|(key, detail)| (*key, detail.clone())).collect()
            };
            let then = state(&house);
            assert_eq!(of(&then, true), of(was, true), "seed {seed}: back to {generation}");
            assert_eq!(of(&then, false), of(&now, false));
            assert_eq!((then.allows, then.suppressions), (now.allows, now.suppressions));
        }
    }
}

fn run(house: &House, change: Change) -> Result<Receipt, EngineError> {
    let (actor, reason) = (String::new(), String::new());
    let batch = Batch { id: Uuid::now_v7(), actor, reason, cause: Cause::Run, change };
    house.runtime.block_on(house.engine().submit(batch))
}

#[test]
fn what_came_and_went_is_in_no_difference() {
    let house = House::new();
    house.submit(list("a", &["20.0.0.1"], Scope::Whole)).unwrap();
    house.submit(list("a", &["20.0.0.1", "20.0.0.2"], Scope::Whole)).unwrap();
    house.submit(list("a", &["20.0.0.1"], Scope::Whole)).unwrap();
    house.submit(Change::Allow(allow("20.0.0.9"))).unwrap();
    house.submit(Change::Disallow("20.0.0.9".parse().unwrap())).unwrap();
    let net = house.engine().difference(1, 5, None).unwrap();
    assert!(net.listings.is_empty() && net.allows.is_empty(), "{net:?}");
    assert_eq!(house.engine().generation(2, None).unwrap().1.listings[&SourceId(0)].added.len(), 1);
}

#[test]
fn a_source_that_went_back_takes_nothing_of_its_runs_until_it_is_released() {
    let house = House::new();
    run(&house, list("a", &["20.0.0.1"], Scope::Whole)).unwrap();
    run(&house, list("a", &["0.0.0.0/1"], Scope::Whole)).unwrap();
    house.submit(house.engine().restoring(&name("a"), 1).unwrap()).unwrap();
    let again = run(&house, list("a", &["0.0.0.0/1"], Scope::Whole));
    assert_eq!(again, Err(EngineError::Refused(Refusal::Held(name("a")))));
    assert_eq!(run(&house, Change::Seen { source: name("a") }), again);
    assert!(run(&house, list("b", &["20.0.0.1"], Scope::Whole)).is_ok(), "another source's are");
    assert!(house.submit(list("a", &["20.0.0.5"], Scope::Part)).is_ok(), "and what people say");
    let held = house.engine().snapshot().source("a").unwrap().held.clone().unwrap();
    assert_eq!((held.generation, held.since), (1, Time::from_unix(NOON)));
    assert_eq!(house.submit(Change::Release { source: name("a") }).unwrap().changed, 1);
    assert_eq!(house.submit(Change::Release { source: name("a") }).unwrap().unchanged, 1);
    assert!(run(&house, list("a", &["0.0.0.0/1"], Scope::Whole)).is_ok());
}

#[test]
fn what_only_people_list_goes_back_without_a_hold() {
    let house = House::new();
    house.submit(list("manual", &["20.0.0.1"], Scope::Part)).unwrap();
    house.submit(list("manual", &["20.0.0.2"], Scope::Part)).unwrap();
    let done = house.submit(house.engine().restoring(&name("manual"), 1).unwrap()).unwrap();
    assert_eq!((done.removed, house.check("20.0.0.1").0), (1, true));
    assert_eq!(house.engine().snapshot().source("manual").unwrap().held, None);
}

#[test]
fn what_has_expired_since_does_not_come_back() {
    let house = House::new();
    house.list_until("a", "20.0.0.1", 3600);
    house.list_until("a", "20.0.0.2", 7200);
    house.submit(list("a", &[], Scope::Whole)).unwrap();
    house.now.store(NOON + 3600, Ordering::Relaxed);
    house.runtime.block_on(house.engine().expire()).unwrap();
    let done = house.submit(house.engine().restoring(&name("a"), 2).unwrap()).unwrap();
    assert_eq!((done.added, done.expired), (1, 1));
    assert_eq!((house.check("20.0.0.1").0, house.check("20.0.0.2").0), (false, true));
}

#[test]
fn what_was_never_and_what_is_not_yet_is_told_apart() {
    let house = House::new();
    house.submit(list("a", &["20.0.0.1"], Scope::Whole)).unwrap();
    let unknown = |number| Some(EngineError::UnknownGeneration(number));
    assert_eq!(house.engine().difference(0, 2, None).err(), unknown(2));
    assert_eq!(house.engine().generation(0, None).err(), unknown(0));
    assert_eq!(house.engine().generation(2, None).err(), unknown(2));
    assert_eq!(house.engine().restoring(&name("a"), 2).err(), unknown(2));
    let nobody = EngineError::Refused(Refusal::UnknownSource(name("b")));
    assert_eq!(house.engine().restoring(&name("b"), 1).err(), Some(nobody));
}

/// A record that lists so many addresses from `first` on instead of those of the record before.
fn moved(generation: u64, first: u32, count: u32) -> crate::model::Record {
    let rows = |first: u32| -> Rows {
        let mut rows = RowsBuilder::default();
        (first..first + count).for_each(|a| rows.push_row(crate::addr::Range::single(a), &Detail::default()));
        rows.finish().0
    };
    let difference = Difference { removed: rows(first - count), added: rows(first) };
    crate::model::Record {
        generation,
        batch: Uuid::nil(),
        time: Time::default(),
        sure: Time::default(),
        actor: String::new(),
        reason: String::new(),
        cause: Cause::Run,
        ops: vec![crate::model::Op::Listings { source: SourceId(1), difference }],
    }
}

#[test]
fn only_the_net_effect_counts_against_the_limit() {
    let mut composer = Composer::new(20);
    for generation in 1..50 {
        composer.take(moved(generation, 1000 + 10 * generation as u32, 10), None).unwrap();
    }
    let net = composer.finish().unwrap();
    assert_eq!(net.listings[&SourceId(1)].len(), 20);
    let mut composer = Composer::new(19);
    let mut records = (1..50).map(|n| moved(n, 1000 + 10 * n as u32, 10));
    let taken = records.try_for_each(|record| composer.take(record, None));
    let refused = taken.and_then(|()| composer.finish().map(drop));
    assert_eq!(refused, Err(EngineError::TooMuch { most: 19 }));
}
