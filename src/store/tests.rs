//! The projection against a golden model: a map of every listing, asked the slow way.

use super::*;
use crate::addr::{IpRange, Range};
use crate::disk::faulty::FaultyDisk;
use crate::model::{
    Cause, Country, Detail, Difference, Op, Policy, Record, RowsBuilder, Source, SourceId, Time,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use uuid::Uuid;

const ZONE: chrono_tz::Tz = chrono_tz::Asia::Seoul;
const NOON: i64 = 1_790_000_000;
const V4: u32 = 0x1400_0000;
const V6: u128 = 0x2a00 << 112;
const SOURCES: u16 = 3;

/// One source's wish about some ranges: a detail, or the end.
#[derive(Clone, Debug)]
struct Edit {
    source: u16,
    ranges: Vec<IpRange>,
    detail: Option<u8>,
}

/// Few different details, so that they repeat; some expire.
fn detail(number: u8) -> Detail {
    let expires = (number % 3 == 1).then(|| Time::from_unix(NOON + i64::from(number) * 1000));
    Detail {
        country: Country::new(["KR", "US", ""][number as usize % 3]),
        threat: number.is_multiple_of(2).then(|| format!("threat {}", number % 4).into()),
        confidence: Some(number),
        expires,
        ..Detail::default()
    }
}

/// Ranges of every level that begin close together, so that they overlap.
fn range() -> impl Strategy<Value = IpRange> {
    let v4 = (0..2000_u32, 0..24_u32, any::<u32>()).prop_map(|(first, bits, more)| {
        IpRange::V4(Range::new(V4 + first, V4 + first + more % (1 << bits)).unwrap())
    });
    let v6 = (0..300_u128, 0..100_u32, any::<u128>()).prop_map(|(first, bits, more)| {
        IpRange::V6(Range::new(V6 + first, V6 + first + more % (1 << bits)).unwrap())
    });
    let edge = prop_oneof![
        Just(IpRange::V4(Range::new(0, u32::MAX).unwrap())),
        Just(IpRange::V4(Range::single(0))),
        Just(IpRange::V4(Range::single(u32::MAX))),
        Just(IpRange::V6(Range::single(0))),
        Just(IpRange::V6(Range::new(1, u128::MAX).unwrap())),
    ];
    prop_oneof![8 => v4, 4 => v6, 1 => edge]
}

/// More rows than one block holds: neighbours, or all with the same first address.
fn crowd() -> impl Strategy<Value = Vec<IpRange>> {
    let neighbours = (0..1000_u32, 1..1600_u32, 1..4_u32).prop_map(|(first, count, step)| {
        (0..count).map(|n| Range::single(V4 + first + n * step).into()).collect()
    });
    let same_first = (0..3_u32, 1..1300_u32).prop_map(|(first, count)| {
        (0..count).map(|n| Range::new(V4 + first, V4 + (1 << 16) + n).unwrap().into()).collect()
    });
    let same_first_v6 = (1..1100_u128)
        .prop_map(|count| (0..count).map(|n| Range::new(V6, V6 + (1 << 64) + n).unwrap().into()).collect());
    prop_oneof![2 => neighbours, 1 => same_first, 1 => same_first_v6]
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let ranges = prop_oneof![3 => vec(range(), 1..30), 2 => crowd()];
    let edit = (0..SOURCES, ranges, proptest::option::weighted(0.7, any::<u8>()))
        .prop_map(|(source, ranges, detail)| Edit { source, ranges, detail });
    vec(edit, 1..10)
}

/// A counted cell: unit, day or hour, dimension, key.
type Cell = (u8, i64, Dimension, String);

#[derive(Debug, Default)]
struct Model {
    listings: BTreeMap<(u16, IpRange), Detail>,
    activity: BTreeMap<Cell, (u64, u64)>,
    records: Vec<Record>,
}

impl Model {
    /// Takes an edit in, and makes the record that says so.
    fn take(&mut self, edit: &Edit) -> Record {
        let generation = self.records.len() as u64 + 1;
        let time = Time::from_unix(NOON + generation as i64 * 20_000);
        let (mut removed, mut added) = (RowsBuilder::default(), RowsBuilder::default());
        for range in edit.ranges.iter().collect::<BTreeSet<_>>() {
            let key = (edit.source, *range);
            let new = edit.detail.map(detail);
            let old = match &new {
                Some(new) => self.listings.insert(key, new.clone()),
                None => self.listings.remove(&key),
            };
            old.iter().for_each(|old| removed.push(*range, old));
            new.iter().for_each(|new| added.push(*range, new));
            match (&old, &new) {
                (None, Some(new)) => self.count(edit.source, new, time, (1, 0)),
                (Some(old), None) => self.count(edit.source, old, time, (0, 1)),
                _ => {}
            }
        }
        let difference = Difference { removed: removed.finish().0, added: added.finish().0 };
        let ops =
            vec![Op::Source(source(edit.source)), Op::Listings { source: SourceId(edit.source), difference }];
        let (actor, reason) = (String::new(), String::new());
        let record = Record {
            generation,
            batch: Uuid::nil(),
            time,
            sure: time,
            actor,
            reason,
            cause: Cause::Run,
            ops,
        };
        self.records.push(record.clone());
        record
    }

    fn count(&mut self, source: u16, detail: &Detail, time: Time, (came, went): (u64, u64)) {
        let (day, hour) = (i64::from(time.day_in(ZONE).number()), time.unix() / 3600);
        for (dimension, key) in keys(source, detail) {
            let is_hourly = matches!(dimension, Dimension::All | Dimension::Source);
            let hour = is_hourly.then_some((Unit::Hour as u8, hour));
            for (unit, at) in hour.into_iter().chain([(Unit::Day as u8, day)]) {
                let cell = self.activity.entry((unit, at, dimension, key.clone())).or_default();
                *cell = (cell.0 + came, cell.1 + went);
            }
        }
    }

    fn standing(&self, dimension: Dimension) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for ((source, _), detail) in &self.listings {
            for (_, key) in keys(*source, detail).into_iter().filter(|(of, _)| *of == dimension) {
                *counts.entry(key).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }

    fn lasting(&self) -> Vec<(String, u64)> {
        let lasting = self.listings.iter().filter(|(_, detail)| detail.expires.is_none());
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        lasting.for_each(|((source, _), _)| *counts.entry(source.to_string()).or_default() += 1);
        counts.into_iter().collect()
    }

    fn of(&self, source: u16) -> impl Iterator<Item = (IpRange, &Detail)> {
        self.listings
            .iter()
            .filter(move |((of, _), _)| *of == source)
            .map(|((_, range), detail)| (*range, detail))
    }

    fn entries(&self) -> Vec<(IpRange, Vec<(SourceId, Detail)>)> {
        let mut entries: BTreeMap<IpRange, Vec<(SourceId, Detail)>> = BTreeMap::new();
        for ((source, range), detail) in &self.listings {
            entries.entry(*range).or_default().push((SourceId(*source), detail.clone()));
        }
        entries.into_iter().collect()
    }
}

fn keys(source: u16, detail: &Detail) -> [(Dimension, String); 4] {
    [
        (Dimension::All, String::new()),
        (Dimension::Source, source.to_string()),
        (Dimension::Country, detail.country.map_or_else(String::new, |country| country.to_string())),
        (Dimension::Threat, detail.threat.as_deref().unwrap_or("").to_owned()),
    ]
}

fn source(number: u16) -> Source {
    Source {
        id: SourceId(number),
        name: format!("s{number}").parse().unwrap(),
        policy: Policy { zone: ZONE, ..Policy::default() },
        last_seen: None,
        since: Time::default(),
        held: None,
    }
}

struct Hot {
    projection: Projection,
    _folder: tempfile::TempDir,
}

impl Hot {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let projection = Projection::open(&FaultyDisk::default().medium(folder.path())).unwrap();
        Self { projection, _folder: folder }
    }

    fn take(&self, record: &Record) -> Result<(), DiskError> {
        self.projection.update(|update| update.apply(record, ZONE).map(Ok))
    }

    fn view<T>(&self, read: impl FnOnce(&View) -> Result<T, redb::Error>) -> T {
        self.projection.view(read).unwrap()
    }

    fn dump(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.projection.dump(|line| lines.push(line.to_owned())).unwrap();
        lines
    }
}

/// Both a model and a projection after the same edits.
fn both(edits: &[Edit]) -> (Model, Hot) {
    let (mut model, hot) = (Model::default(), Hot::new());
    for edit in edits {
        hot.take(&model.take(edit)).unwrap();
    }
    (model, hot)
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0..70_000_u32).prop_map(|n| Ipv4Addr::from_bits(V4 + n).into()),
        (0..400_u128).prop_map(|n| Ipv6Addr::from_bits(V6 + n).into()),
        any::<u32>().prop_map(|n| Ipv4Addr::from_bits(n).into()),
        prop_oneof![Just(0), Just(u32::MAX)].prop_map(|n| Ipv4Addr::from_bits(n).into()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn listings_are_found_by_address_by_range_and_by_name(
        edits in edits(), addresses in vec(addresses(), 20), outer in vec(range(), 10),
    ) {
        let (model, hot) = both(&edits);
        for number in 0..SOURCES {
            let id = SourceId(number);
            for address in &addresses {
                let mut found = hot.view(|view| view.covering(id, *address));
                found.sort_by_key(|found| found.range);
                let wanted = model.of(number).filter(|(range, _)| range.contains(*address));
                let wanted: Vec<Found> =
                    wanted.map(|(range, detail)| Found { source: id, range, detail: detail.clone() }).collect();
                prop_assert_eq!(found, wanted, "{} around {}", number, address);
            }
            for outer in &outer {
                let mut found = hot.view(|view| Ok(match *outer {
                    IpRange::V4(outer) => view.within(id, outer)?.into_iter().map(IpRange::V4).collect(),
                    IpRange::V6(outer) => view.within(id, outer)?.into_iter().map(IpRange::V6).collect::<Vec<_>>(),
                }));
                found.sort();
                let wanted: Vec<IpRange> =
                    model.of(number).map(|(range, _)| range).filter(|range| outer.covers(*range)).collect();
                prop_assert_eq!(found, wanted, "{} inside {}", number, outer);
                let exact = hot.view(|view| Ok(match *outer {
                    IpRange::V4(range) => view.lookup(id)?.find(range)?.cloned(),
                    IpRange::V6(range) => view.lookup(id)?.find(range)?.cloned(),
                }));
                prop_assert_eq!(exact.as_ref(), model.listings.get(&(number, *outer)));
            }
            let mut all = Vec::new();
            hot.view(|view| view.each_listing(id, |range, detail| { all.push((range, detail.clone())); Ok(()) }));
            prop_assert!(all.is_sorted_by_key(|(range, _)| (matches!(range, IpRange::V6(_)), range.level(), *range)));
            all.sort_by_key(|(range, _)| *range);
            prop_assert!(all.iter().map(|(range, detail)| (*range, detail)).eq(model.of(number)));
        }
    }

    #[test]
    fn entries_come_in_order_from_any_cursor_and_stop_when_told(
        edits in edits(), cursors in vec(range(), 6), pick in any::<prop::sample::Index>(),
    ) {
        let (model, hot) = both(&edits);
        let wanted = model.entries();
        let listed = (!wanted.is_empty()).then(|| wanted[pick.index(wanted.len())].0);
        for cursor in cursors.into_iter().chain(listed).map(Some).chain([None]) {
            let from = wanted.partition_point(|(range, _)| cursor.is_some_and(|cursor| *range <= cursor));
            for limit in [1, 3, usize::MAX] {
                let mut found = Vec::new();
                hot.view(|view| view.each_entry(cursor, |entry| {
                    found.push((entry.range, entry.listings));
                    found.len() < limit
                }));
                prop_assert_eq!(&found[..], &wanted[from..wanted.len().min(from.saturating_add(limit))], "{:?}", cursor);
            }
        }
    }

    #[test]
    fn what_is_due_is_found_at_every_moment(edits in edits()) {
        let (model, hot) = both(&edits);
        let expiries: BTreeSet<Time> = model.listings.values().filter_map(|detail| detail.expires).collect();
        prop_assert_eq!(hot.view(|view| view.next_due()), expiries.first().copied());
        let moments = expiries.iter().flat_map(|at| [at.plus(-1), *at]);
        for now in moments.take(40).chain([Time::default(), Time::from_unix(i64::MAX)]) {
            let mut found: Vec<(u16, IpRange)> =
                hot.view(|view| view.due(now)).into_iter().map(|found| (found.source.0, found.range)).collect();
            found.sort();
            let is_due = |detail: &Detail| detail.expires.is_some_and(|at| at <= now);
            let wanted: Vec<(u16, IpRange)> =
                model.listings.iter().filter(|(_, detail)| is_due(detail)).map(|(key, _)| *key).collect();
            prop_assert_eq!(found, wanted, "{}", now);
        }
    }

    #[test]
    fn counts_agree_with_a_recount(edits in edits()) {
        let (model, hot) = both(&edits);
        prop_assert_eq!(hot.view(|view| view.standing(Dimension::Lasting)), model.lasting());
        for dimension in [Dimension::All, Dimension::Source, Dimension::Country, Dimension::Threat] {
            prop_assert_eq!(hot.view(|view| view.standing(dimension)), model.standing(dimension));
            for unit in [Unit::Day, Unit::Hour] {
                let found = hot.view(|view| view.activity(unit, 0, i64::MAX, dimension));
                let wanted: Vec<Activity> = model
                    .activity
                    .iter()
                    .filter(|((of, _, by, _), _)| *of == unit as u8 && *by == dimension)
                    .map(|((_, at, _, key), (came, went))| {
                        Activity { at: *at, key: key.clone(), tally: Tally { came: *came, went: *went } }
                    })
                    .collect();
                prop_assert_eq!(found, wanted, "{:?} by {:?}", unit, dimension);
            }
        }
    }

    #[test]
    fn replaying_the_records_makes_the_same_projection(edits in edits()) {
        let (model, hot) = both(&edits);
        let dump = hot.dump();
        // Seen before: passed over.
        model.records.iter().for_each(|record| hot.take(record).unwrap());
        prop_assert_eq!(&hot.dump(), &dump);
        hot.projection.clear().unwrap();
        prop_assert_eq!(hot.dump(), ["generation 0"]);
        model.records.iter().for_each(|record| hot.take(record).unwrap());
        prop_assert_eq!(hot.dump(), dump);
    }
}

#[test]
fn a_record_that_does_not_follow_is_refused_and_changes_nothing() {
    let edit = Edit { source: 0, ranges: vec![Range::single(V4).into()], detail: Some(0) };
    let (mut model, hot) = both(std::slice::from_ref(&edit));
    let dump = hot.dump();
    model.take(&edit);
    let third = model.take(&edit);
    assert!(hot.take(&third).unwrap_err().is_damage());
    assert_eq!(hot.dump(), dump);
}

#[test]
fn blocks_stay_small_while_a_source_grows_and_only_whole_groups_of_one_first_address_exceed_them() {
    let grow = |ranges: Vec<IpRange>| Edit { source: 0, ranges, detail: Some(0) };
    let singles = |from: u32| grow((0..900).map(|n| Range::single(V4 + from + n * 7).into()).collect());
    let (_, hot) = both(&[singles(0), singles(1), singles(2), singles(3)]);
    let sizes = |hot: &Hot| -> Vec<usize> {
        hot.view(|view| {
            let table = view.0.open_table(listings::LISTINGS)?;
            let mut sizes = Vec::new();
            for row in table.iter()? {
                let (key, bytes) = row?;
                sizes.push(block::Block::<u32>::unpack(key.value(), bytes.value())?.rows().len());
            }
            Ok(sizes)
        })
    };
    assert_eq!(sizes(&hot).into_iter().sum::<usize>(), 3600);
    assert!(sizes(&hot).into_iter().all(|rows| (100..=block::MAX_ROWS).contains(&rows)), "{:?}", sizes(&hot));
    let (_, hot) = both(&[grow((0..700).map(|n| Range::new(V4, V4 + 65_536 + n).unwrap().into()).collect())]);
    assert_eq!(sizes(&hot), [700]);
}

/// A record in which one source says that the kinds of threat are `kinds`, a listing each.
fn threats(generation: u64, at: i64, kinds: &[String], end: bool) -> Record {
    let mut rows = RowsBuilder::default();
    for (number, kind) in (0..).zip(kinds) {
        let detail = Detail { threat: Some(kind.as_str().into()), ..Detail::default() };
        rows.push(IpRange::V4(Range::single(V4 + number)), &detail);
    }
    let (rows, none) = (rows.finish().0, RowsBuilder::default().finish().0);
    let (removed, added) = if end { (rows, none) } else { (none, rows) };
    let ops = vec![Op::Listings { source: SourceId(0), difference: Difference { removed, added } }];
    let time = Time::from_unix(at);
    let (batch, actor, reason) = (Uuid::nil(), String::new(), String::new());
    Record { generation, batch, time, sure: time, actor, reason, cause: Cause::Run, ops }
}

fn kinds_of(projection: &Projection) -> Vec<(String, u64)> {
    projection.view(|view| view.standing(Dimension::Threat)).unwrap()
}

#[test]
fn what_sources_call_threats_is_counted_by_few_short_names() {
    let folder = tempfile::tempdir().unwrap();
    let projection = Projection::open(&Medium::folder(folder.path())).unwrap();
    let take = |record: Record| {
        projection.update(|update| update.apply(&record, ZONE).map(Ok::<_, DiskError>)).unwrap();
    };
    let many: Vec<String> = (0..1_000).map(|n| format!("{n:04}{}", "x".repeat(4_000))).collect();
    take(threats(1, NOON, &many, false));
    let kinds = kinds_of(&projection);
    assert_eq!(kinds.len(), 257);
    assert!(kinds.iter().all(|(kind, _)| kind.chars().count() <= 64));
    assert_eq!(kinds.last().unwrap(), &("other".to_owned(), 744));
    // Room is made, a late one gets its name, and in the end everything adds up.
    take(threats(2, NOON, &many[..200], true));
    take(threats(3, NOON, &many[900..], true));
    take(threats(4, NOON, &many[900..], false));
    assert_eq!(kinds_of(&projection).iter().map(|(_, count)| count).sum::<u64>(), 800);
    take(threats(5, NOON, &many[200..], true));
    assert_eq!(kinds_of(&projection), []);
}

#[test]
fn old_days_and_hours_are_forgotten_a_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let projection = Projection::open(&Medium::folder(folder.path())).unwrap();
    let take = |record: Record| {
        projection.update(|update| update.apply(&record, ZONE).map(Ok::<_, DiskError>)).unwrap();
    };
    let count =
        |unit, dimension| projection.view(|view| view.activity(unit, 0, i64::MAX, dimension)).unwrap().len();
    for day in 0..100 {
        take(threats(day as u64 + 1, NOON + day * 86_400, &["c2".to_owned()], day % 2 == 1));
    }
    let year = 366 * 86_400;
    take(threats(101, NOON + 2 * year, &["c2".to_owned()], false));
    assert_eq!((count(Unit::Day, Dimension::All), count(Unit::Hour, Dimension::All)), (101, 92));
    take(threats(102, NOON + 9 * year, &["c2".to_owned()], true));
    let days = count(Unit::Day, Dimension::All);
    assert!((90..101).contains(&days), "a clock that is wrong costs little: {days}");
}
