//! Analytics against a slow recount of everything that was submitted.

use super::fixture::{House, plain};
use super::*;
use crate::addr::{IpRange, Range};
use crate::model::{Change, Country, Day, Detail, Scope, Suppression};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What happened once: at this moment so many of a source came and went, and so many then stood.
struct Event {
    time: Time,
    source: String,
    came: u64,
    went: u64,
    standing: u64,
}

/// Everything that was submitted, kept the plain way.
#[derive(Default)]
struct Model {
    listings: BTreeMap<(String, IpRange), Detail>,
    events: Vec<Event>,
}

#[derive(Clone, Debug)]
struct Step {
    wait: i64,
    source: u8,
    rows: Vec<(IpRange, Detail)>,
    whole: bool,
}

const V4: u32 = 0x1400_0000;
const V6: u128 = 0x2a00 << 112;

/// Few addresses, so that sources overlap.
fn range() -> impl Strategy<Value = IpRange> {
    let v4 = (any::<u8>(), 0..8_u32).prop_map(|(first, more)| {
        let first = V4 + u32::from(first);
        IpRange::V4(Range::new(first, first + more).unwrap())
    });
    let v6 =
        (any::<u8>(), 124..=128_u8).prop_map(|(a, len)| IpRange::V6(Range::prefix(V6 + u128::from(a), len)));
    prop_oneof![3 => v4, 1 => v6]
}

fn detail() -> impl Strategy<Value = Detail> {
    let country = prop_oneof![Just(None), Just(Country::new("KR")), Just(Country::new("CN"))];
    let threat = prop_oneof![Just(None), Just(Some("c2".into())), Just(Some("unknown".into()))];
    (country, threat).prop_map(|(country, threat)| Detail { country, threat, ..Detail::default() })
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![Just(0), 1..30_i64, 30..400_i64];
    let rows = proptest::collection::btree_map(range(), detail(), 0..20);
    (wait, 0..3_u8, rows, any::<bool>()).prop_map(|(wait, source, rows, whole)| Step {
        wait,
        source,
        rows: rows.into_iter().collect(),
        whole,
    })
}

impl Model {
    fn take(&mut self, step: &Step, time: Time) {
        let source = format!("s{}", step.source);
        let of_source = |model: &Self| -> BTreeSet<IpRange> {
            model.listings.keys().filter(|(of, _)| *of == source).map(|(_, range)| *range).collect()
        };
        let before = of_source(self);
        if step.whole {
            self.listings.retain(|(of, _), _| *of != source);
        }
        for (range, detail) in &step.rows {
            self.listings.insert((source.clone(), *range), detail.clone());
        }
        let after = of_source(self);
        let came = after.difference(&before).count() as u64;
        let went = before.difference(&after).count() as u64;
        self.events.push(Event { time, source, came, went, standing: self.listings.len() as u64 });
    }

    /// The rows of a trend, every event asked for every bucket.
    fn trend(&self, labels: &[String], label: impl Fn(Time) -> String) -> Vec<TrendRow> {
        let row = |date: &String| {
            let here: Vec<&Event> = self.events.iter().filter(|event| label(event.time) == *date).collect();
            let mut source_breakdown = BTreeMap::new();
            for event in here.iter().filter(|event| event.came > 0) {
                *source_breakdown.entry(event.source.parse().unwrap()).or_default() += event.came;
            }
            let came = here.iter().map(|event| event.came).sum();
            let went = here.iter().map(|event| event.went).sum();
            let until = self.events.iter().rev().find(|event| label(event.time) <= *date);
            let standing = until.map_or(0, |event| event.standing);
            TrendRow { date: date.clone(), count: came, source_breakdown, came, went, standing }
        };
        labels.iter().map(row).collect()
    }

    /// Which addresses each source lists, asked one by one.
    fn covered(&self) -> BTreeMap<String, BTreeSet<IpRange>> {
        let mut covered: BTreeMap<String, BTreeSet<IpRange>> = BTreeMap::new();
        let v4 = (0..=270).map(|i| IpRange::V4(Range::single(V4 + i)));
        for address in v4.chain((0..=255).map(|i| IpRange::V6(Range::single(V6 + i)))) {
            for (source, _) in self.listings.keys().filter(|(_, range)| range.covers(address)) {
                covered.entry(source.clone()).or_default().insert(address);
            }
        }
        covered
    }

    fn shares(&self, key: impl Fn(&Detail) -> Option<String>) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for detail in self.listings.values() {
            *counts.entry(key(detail).unwrap_or("unknown".into())).or_default() += 1;
        }
        counts
    }
}

fn seoul_day(time: Time) -> String {
    time.day_in(chrono_tz::Asia::Seoul).to_string()
}

fn seoul_hour(time: Time) -> String {
    let hour = time.utc().with_timezone(&chrono_tz::Asia::Seoul);
    hour.format("%Y-%m-%dT%H:00:00+09:00").to_string()
}

fn labels(span: &Span) -> Vec<String> {
    span.buckets.iter().map(|bucket| bucket.date.clone()).collect()
}

fn told(steps: &[Step]) -> (House, Model) {
    let (house, mut model) = (House::new(), Model::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for step in steps {
        house.wait(step.wait);
        let scope = if step.whole { Scope::Whole } else { Scope::Part };
        runtime.block_on(house.list(&format!("s{}", step.source), &step.rows, scope));
        model.take(step, house.now());
    }
    (house, model)
}

fn counted<'a>(addresses: impl IntoIterator<Item = &'a IpRange>) -> Addresses {
    let mut counted = Addresses::default();
    for address in addresses {
        match address {
            IpRange::V4(_) => counted.ipv4 += 1,
            IpRange::V6(_) => counted.ipv6 += 1,
        }
    }
    counted
}

fn check_trends(house: &House, model: &Model) {
    let zone = house.engine().zone();
    let fine = [(Granularity::Daily, seoul_day as fn(Time) -> String), (Granularity::Hourly, seoul_hour)];
    for (granularity, label) in fine {
        let span = Span::new(Period::Month, granularity, house.now(), zone);
        let trends = house.look(|look| look.trends(Period::Month, granularity));
        assert_eq!(trends.data, model.trend(&labels(&span), label));
    }
    let daily = house.look(|look| look.trends(Period::Year, Granularity::Daily)).data;
    for granularity in [Granularity::Weekly, Granularity::Monthly] {
        let coarse = house.look(|look| look.trends(Period::Year, granularity)).data;
        let mut begins = coarse[1..].iter().map(|row| row.date.clone()).peekable();
        let mut groups: Vec<Vec<&TrendRow>> = vec![Vec::new()];
        for day in &daily {
            if begins.next_if(|begin| *begin == day.date).is_some() {
                groups.push(Vec::new());
            }
            groups.last_mut().unwrap().push(day);
        }
        assert_eq!(groups.len(), coarse.len());
        for (row, days) in coarse.iter().zip(groups) {
            assert_eq!(row.came, days.iter().map(|day| day.came).sum::<u64>());
            assert_eq!(row.went, days.iter().map(|day| day.went).sum::<u64>());
            assert_eq!(row.standing, days.last().unwrap().standing);
        }
    }
}

fn check_sources(house: &House, model: &Model) {
    let covered = model.covered();
    let none = BTreeSet::new();
    for row in house.look(|look| look.sources(Period::Year)).data {
        let name = row.source.to_string();
        let own = covered.get(&name).unwrap_or(&none);
        assert_eq!(row.addresses, counted(own));
        let others = covered.iter().filter(|(other, _)| **other != name);
        let listed_elsewhere: BTreeSet<IpRange> = others.clone().flat_map(|(_, all)| all.clone()).collect();
        assert_eq!(row.unique, counted(own.difference(&listed_elsewhere)));
        let shared = others.map(|(other, all)| (other.clone(), counted(own.intersection(all))));
        let shared: BTreeMap<String, Addresses> = shared.filter(|(_, both)| !both.is_empty()).collect();
        let told = row.overlaps.into_iter().map(|overlap| (overlap.source.to_string(), overlap.addresses));
        assert_eq!(told.collect::<BTreeMap<_, _>>(), shared);
        let events = model.events.iter().filter(|event| event.source == name);
        let (came, went) = events.fold((0, 0), |(came, went), e| (came + e.came, went + e.went));
        assert_eq!((row.came, row.went), (came, went));
        assert_eq!(row.listings, model.listings.keys().filter(|(of, _)| *of == name).count() as u64);
    }
}

fn check_totals(house: &House, model: &Model) {
    let summary = house.look(|look| look.summary());
    let distinct: BTreeSet<IpRange> = model.listings.keys().map(|(_, range)| *range).collect();
    assert_eq!((summary.entries, summary.listings), (distinct.len() as u64, model.listings.len() as u64));
    let all: BTreeSet<IpRange> = model.covered().into_values().flatten().collect();
    assert_eq!(summary.addresses, counted(&all));
    let countries = house.look(|look| look.countries()).data.into_iter();
    let countries: BTreeMap<String, u64> = countries.map(|row| (row.country, row.count)).collect();
    assert_eq!(countries, model.shares(|detail| detail.country.map(|c| c.to_string())));
    let threats = house.look(|look| look.threats()).data.into_iter();
    let threats: BTreeMap<String, u64> = threats.map(|row| (row.threat_type, row.count)).collect();
    assert_eq!(threats, model.shares(|detail| detail.threat.as_deref().map(str::to_owned)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_number_agrees_with_a_recount(steps in proptest::collection::vec(step(), 1..10), quiet in 0..60_i64) {
        let (house, model) = told(&steps);
        house.wait(quiet);
        check_trends(&house, &model);
        check_sources(&house, &model);
        check_totals(&house, &model);
    }
}

#[tokio::test]
async fn nothing_yet_is_told_as_nothing() {
    let house = House::new();
    let summary = house.look(|look| look.summary());
    assert_eq!((summary.entries, summary.last_updated, summary.counted_since), (0, None, None));
    let realtime = house.look(|look| look.realtime());
    assert_eq!(realtime.hourly_activity, [0; 24]);
    assert_eq!((realtime.avg_daily_growth, realtime.detection_rate), (None, None));
    let report = house.look(|look| look.report(Period::Quarter));
    assert_eq!((report.trends.len(), report.new_ips, report.growth_rate), (90, 0, None));
    assert!(house.look(|look| look.countries()).data.is_empty());
}

#[tokio::test]
async fn growth_is_over_full_days_and_hours_end_with_the_current_one() {
    let house = House::new();
    house.list("a", &plain(&["20.0.0.1", "20.0.0.2", "20.0.0.3", "20.0.0.4"]), Scope::Whole).await;
    assert_eq!(house.look(|look| look.realtime()).avg_daily_growth, None);
    house.wait(24);
    house.list("a", &plain(&["20.0.0.1"]), Scope::Whole).await;
    house.wait(23);
    house.list("a", &plain(&["20.0.0.9", "2a00::/32"]), Scope::Part).await;
    let realtime = house.look(|look| look.realtime());
    assert_eq!((realtime.active_ips, realtime.current_hour_activity), (3, 2));
    assert_eq!((realtime.hourly_activity[0], realtime.hourly_activity[23]), (0, 2));
    assert_eq!(realtime.avg_daily_growth, Some(0.5), "4 came and 3 went in two full days");
    let report = house.look(|look| look.report(Period::Week));
    assert_eq!((report.total_ips, report.new_ips, report.growth_rate), (3, 6, None));
    house.wait(24 * 6);
    let report = house.look(|look| look.report(Period::Week));
    assert_eq!((report.new_ips, report.growth_rate), (2, Some(200.0)), "from 1 to 3");
    assert_eq!(serde_json::to_string(&report.top_sources).unwrap(), r#"{"a":3}"#);
}

#[tokio::test]
async fn what_a_clock_that_was_put_back_left_in_the_future_does_not_bend_the_past() {
    let house = House::new();
    house.list("a", &plain(&["20.0.0.1"]), Scope::Part).await;
    house.wait(48);
    house.list("a", &plain(&["20.0.0.2", "20.0.0.3"]), Scope::Part).await;
    house.wait(-24);
    let last = house.look(|look| look.trends(Period::Week, Granularity::Daily)).data.pop().unwrap();
    assert_eq!((last.came, last.standing), (0, 1));
}

#[tokio::test]
async fn exempt_and_suppressed_are_told_apart() {
    let house = House::new();
    house.list("a", &plain(&["10.0.0.0/24", "20.0.0.0/30", "20.0.0.9"]), Scope::Part).await;
    let (range, since) = ("20.0.0.9".parse().unwrap(), Time::default());
    let (reason, owner) = ("wrong".to_owned(), "test".to_owned());
    house
        .submit(Change::Suppress(Suppression { range, source: None, reason, owner, expires: None, since }))
        .await;
    let summary = house.look(|look| look.summary());
    assert_eq!((summary.addresses.ipv4, summary.exempt.ipv4), (4, 256));
    assert_eq!((summary.listings, summary.suppressed_listings), (2, 1));
    assert_eq!(summary.today.date, "2026-09-22".parse::<Day>().unwrap());
}
