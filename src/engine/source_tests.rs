//! Runs of sources against a golden model: what a run's scope ends, when it makes a record, and
//! when what is not seen any more is over.

use super::tests::{House, NOON, name};
use super::*;
use crate::addr::{IpRange, Range};
use crate::model::{Batch, Cause, Change, Day, Detail, Policy, RowsBuilder, Scope};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeMap;
use uuid::Uuid;

const DAY: i64 = 86_400;
const SEOUL: i64 = 9 * 3600;
/// Listings say days around this one.
const FIRST: i32 = (NOON / DAY) as i32;

/// What a listing says, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Said {
    reason: u8,
    listed: Option<i32>,
    /// Hours from the beginning of the test.
    expires: Option<u8>,
}

impl Said {
    fn detail(self) -> Detail {
        Detail {
            reason: Some(self.reason.to_string().into()),
            listed: self.listed.map(|day| Day::from_number(FIRST + day)),
            expires: self.expires.map(|hours| Time::from_unix(NOON + i64::from(hours) * 3600)),
            ..Detail::default()
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    List(u8, Vec<(IpRange, Said)>, Scope),
    Describe(u8, Option<u16>),
    Seen(u8),
    Wait(u8),
    Restart,
}

fn said() -> impl Strategy<Value = Said> {
    (0..2_u8, option::weighted(0.8, 0..9_i32), option::weighted(0.3, any::<u8>()))
        .prop_map(|(reason, listed, expires)| Said { reason, listed, expires })
}

fn range() -> impl Strategy<Value = IpRange> {
    let v4 = (0..12_u32, 28..=32_u8).prop_map(|(a, len)| Range::prefix(0x1400_0000 + a, len).into());
    let v6 = (0..4_u128).prop_map(|a| Range::single((0x2a00_u128 << 112) + a).into());
    prop_oneof![3 => v4, 1 => v6]
}

fn scope() -> impl Strategy<Value = Scope> {
    let window = (0..9_i32, 0..4_i32).prop_map(|(first, more)| Scope::Window {
        first: Day::from_number(FIRST + first),
        last: Day::from_number(FIRST + first + more),
    });
    prop_oneof![1 => Just(Scope::Part), 1 => Just(Scope::Whole), 3 => window]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let list = (0..2_u8, vec((range(), said()), 0..14), scope());
    let step = prop_oneof![
        6 => list.prop_map(|(source, rows, scope)| Step::List(source, rows, scope)),
        2 => (0..2_u8, option::of(0..4_u16)).prop_map(|(source, days)| Step::Describe(source, days)),
        2 => (0..2_u8).prop_map(Step::Seen),
        4 => (1..60_u8).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ];
    vec(step, 1..24)
}

#[derive(Clone, Debug, Default)]
struct Known {
    expires_days: Option<u16>,
    last_seen: Option<i64>,
    listings: BTreeMap<IpRange, Said>,
}

/// What the engine must come to, the slow way.
struct Model {
    now: i64,
    generation: u64,
    sources: BTreeMap<u8, Known>,
}

impl Model {
    /// What a batch is told, but for the generation, and whether it makes a record.
    fn list(&mut self, source: u8, rows: &BTreeMap<IpRange, Said>, scope: Scope) -> (Receipt, bool) {
        let now = self.now;
        let is_new = !self.sources.contains_key(&source);
        let known = self.sources.entry(source).or_default();
        let before = known.listings.clone();
        let mut receipt = Receipt::default();
        for (range, new) in rows {
            let is_over = new.expires.is_some_and(|hours| NOON + i64::from(hours) * 3600 <= now);
            match before.get(range) {
                Some(old) if newer_than(scope, new, old) => {
                    receipt.unchanged += 1;
                    continue;
                }
                old if is_over => {
                    receipt.expired += 1;
                    receipt.removed += u64::from(old.is_some());
                    known.listings.remove(range);
                    continue;
                }
                None => receipt.added += 1,
                Some(old) if old == new => {
                    receipt.unchanged += 1;
                    continue;
                }
                Some(_) => receipt.changed += 1,
            }
            known.listings.insert(*range, *new);
        }
        for (range, old) in &before {
            let is_over = match scope {
                Scope::Part => false,
                Scope::Whole => true,
                Scope::Window { first, last } => old
                    .listed
                    .is_some_and(|day| FIRST + day >= first.number() && FIRST + day <= last.number()),
            };
            if is_over && !rows.contains_key(range) {
                known.listings.remove(range);
                receipt.removed += 1;
            }
        }
        let differs = known.listings != before;
        if is_new && !differs {
            self.sources.remove(&source);
            return (receipt, false);
        }
        let seen = scope != Scope::Part && (differs || is_another_day(known.last_seen, self.now));
        if seen {
            known.last_seen = Some(self.now);
        }
        (receipt, is_new || differs || seen)
    }

    /// Ends what is over, here and there: what the writer may have done by itself already.
    fn expire(&mut self, house: &House) {
        let now = self.now;
        let mut removed = 0;
        for known in self.sources.values_mut() {
            let midnight =
                |seen: i64, days: u16| ((seen + SEOUL).div_euclid(DAY) + i64::from(days) + 1) * DAY - SEOUL;
            let ends = known.last_seen.zip(known.expires_days).map(|(seen, days)| midnight(seen, days));
            let count = known.listings.len();
            known.listings.retain(|_, said| {
                let own = said.expires.map(|hours| NOON + i64::from(hours) * 3600);
                own.or(ends).is_none_or(|end| now < end)
            });
            removed += count - known.listings.len();
        }
        self.generation += u64::from(removed > 0);
        house.runtime.block_on(house.engine().expire()).unwrap();
    }

    /// Does the same here and there; what there was told must be what is told here.
    fn take(&mut self, step: &Step, house: &mut House) {
        let (told, wanted) = match step {
            Step::List(source, rows, scope) => {
                let mut builder = RowsBuilder::default();
                rows.iter().for_each(|(range, said)| builder.push(*range, &said.detail()));
                let rows = last_said(rows);
                let change = Change::List { source: of(*source), rows: builder.finish().0, scope: *scope };
                (house.submit(change), self.list(*source, &rows, *scope))
            }
            Step::Describe(source, expires_days) => {
                let policy = Policy { expires_days: *expires_days, ..Policy::default() };
                let is_new = !self.sources.contains_key(source);
                let known = self.sources.entry(*source).or_default();
                let differs = is_new || known.expires_days != *expires_days;
                known.expires_days = *expires_days;
                let receipt = Receipt {
                    added: is_new.into(),
                    changed: (differs && !is_new).into(),
                    unchanged: (!differs).into(),
                    ..Receipt::default()
                };
                (house.submit(Change::Describe { source: of(*source), policy }), (receipt, differs))
            }
            Step::Seen(source) => {
                let told = house.submit(Change::Seen { source: of(*source) });
                let Some(known) = self.sources.get_mut(source) else {
                    assert!(matches!(told, Err(EngineError::Refused(Refusal::UnknownSource(_)))));
                    return;
                };
                let moves = is_another_day(known.last_seen, self.now);
                if moves {
                    known.last_seen = Some(self.now);
                }
                (told, (Receipt::default(), moves))
            }
            Step::Wait(hours) => {
                self.now += i64::from(*hours) * 3600;
                house.now.store(self.now, Ordering::Relaxed);
                return;
            }
            Step::Restart => return house.restart(),
        };
        self.generation += u64::from(wanted.1);
        assert_eq!(told.unwrap(), Receipt { generation: self.generation, ..wanted.0 }, "{step:?}");
    }
}

fn of(source: u8) -> crate::model::SourceName {
    name(&format!("s{source}"))
}

/// Of what is said more than once, the latest listing, then the latest end, then the last.
fn last_said(rows: &[(IpRange, Said)]) -> BTreeMap<IpRange, Said> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|(_, said)| (said.listed, said.expires));
    sorted.into_iter().collect()
}

/// Whether what is known was listed after the window, and what the window has before it.
fn newer_than(scope: Scope, new: &Said, old: &Said) -> bool {
    let Scope::Window { last, .. } = scope else { return false };
    old.listed.is_some_and(|day| FIRST + day > last.number() && new.listed.is_none_or(|new| new < day))
}

fn is_another_day(seen: Option<i64>, now: i64) -> bool {
    let day = |at: i64| (at + SEOUL).div_euclid(DAY);
    seen.is_none_or(|seen| day(seen) != day(now))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn runs_of_any_scope_and_the_passing_of_days_agree_with_the_golden_model(steps in steps()) {
        let mut house = House::new();
        let mut model = Model { now: NOON, generation: 0, sources: BTreeMap::new() };
        for step in &steps {
            model.take(step, &mut house);
            model.expire(&house);
            prop_assert_eq!(house.engine().snapshot().generation, model.generation, "{:?}", step);
        }
        let snapshot = Arc::clone(&house.engine().snapshot());
        prop_assert_eq!(snapshot.sources.len(), model.sources.len());
        for (number, known) in &model.sources {
            let source = snapshot.source(&format!("s{number}")).unwrap();
            prop_assert_eq!(source.policy.expires_days, known.expires_days);
            prop_assert_eq!(source.last_seen.map(Time::unix), known.last_seen);
            let mut listings = BTreeMap::new();
            let list = |range, detail: &Detail| {
                listings.insert(range, Detail { first_seen: Time::default(), ..detail.clone() });
                Ok(())
            };
            house.engine().view(|view| view.each_listing(source.id, list)).unwrap();
            let wanted: BTreeMap<_, _> =
                known.listings.iter().map(|(range, said)| (*range, said.detail())).collect();
            prop_assert_eq!(listings, wanted);
        }
        let before = house.dump();
        house.engine().0.projection.as_ref().unwrap().clear().unwrap();
        house.restart();
        prop_assert_eq!(house.dump(), before);
    }
}

#[test]
fn protected_listings_are_counted_by_todays_allowlist_on_both_sides() {
    let house = House::new();
    let rows = |texts: &[&str]| {
        let mut rows = RowsBuilder::default();
        texts.iter().for_each(|text| rows.push(text.parse().unwrap(), &Detail::default()));
        rows.finish().0
    };
    let source = name("a");
    let count = |texts: &[&str], whole| {
        let Protected { before, after } = house.engine().snapshot().protected(&source, &rows(texts), whole);
        (before, after)
    };
    let all = ["10.0.0.1", "9.0.0.0-10.0.0.0", "20.0.0.255", "20.0.0.0/8", "20.0.1.0", "fe80::1", "2a00::1"];
    assert_eq!(count(&all, true), (0, 3));
    house.submit(Change::List { source: source.clone(), rows: rows(&all), scope: Scope::Whole }).unwrap();
    house.submit(Change::Allow(super::tests::allow("20.0.0.0/24"))).unwrap();
    assert_eq!(count(&all, true), (5, 5), "an allow counts for what was listed before it, too");
    assert_eq!(count(&["10.0.0.1", "10.0.0.2"], true), (5, 2));
    assert_eq!(count(&["10.0.0.1", "10.0.0.2", "20.0.1.1"], false), (5, 6), "beside the others");
    house.submit(Change::Suppress(super::tests::suppression("fe80::/10", Some("a")))).unwrap();
    assert_eq!(count(&all, true), (4, 4), "what a person has ended is on neither side");
}

#[test]
fn a_preview_tells_what_its_counts_are_to_be_set_against() {
    let house = House::new();
    let listed = |day: i32| Detail { listed: Some(Day::from_number(day)), ..Detail::default() };
    let rows = |days: &[i32]| {
        let mut rows = RowsBuilder::default();
        let ranges = (0..).map(|n| Range::single(0x1400_0000_u32 + n).into());
        ranges.zip(days).for_each(|(range, day)| rows.push(range, &listed(*day)));
        rows.finish().0
    };
    let list = |rows, scope| Change::List { source: name("a"), rows, scope };
    house.submit(list(rows(&[1, 2, 2, 3]), Scope::Part)).unwrap();
    let window = Scope::Window { first: Day::from_number(2), last: Day::from_number(2) };
    for (scope, before) in [(Scope::Part, 4), (Scope::Whole, 4), (window, 2)] {
        let (id, actor, reason) = (Uuid::now_v7(), String::new(), String::new());
        let batch = Batch { id, actor, reason, cause: Cause::Run, change: list(rows(&[1, 5]), scope) };
        let plan = house.runtime.block_on(house.engine().preview(batch)).unwrap();
        assert_eq!(plan.before, before, "{scope:?}");
    }
}

#[test]
fn what_nobody_sees_any_more_ends_by_itself_and_is_told_before() {
    let house = House::new();
    let policy = Policy { expires_days: Some(1), ..Policy::default() };
    house.submit(Change::Describe { source: name("a"), policy }).unwrap();
    house.submit(super::tests::list("a", &["20.0.0.1"], Scope::Whole)).unwrap();
    house.submit(super::tests::list("b", &["20.0.0.1"], Scope::Whole)).unwrap();
    let expiring = |days: i64| {
        let snapshot = Arc::clone(&house.engine().snapshot());
        house.engine().view(|view| snapshot.expiring(view, Time::from_unix(NOON + days * DAY))).unwrap()
    };
    assert_eq!((expiring(1), expiring(2)), (0, 1));
    house.now.store(NOON + 2 * DAY, Ordering::Relaxed);
    // A clock that jumped by days is doubted; a person's word sets it right.
    assert_eq!(house.runtime.block_on(house.engine().expire()).unwrap().removed, 1);
    assert_eq!(house.check("20.0.0.1").1, ["b"]);
    assert_eq!(expiring(2), 0);
}
