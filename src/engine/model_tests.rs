//! The engine against a golden model: what must hold after any batches, restarts included.

use super::tests::{House, allow, name, suppression};
use super::*;
use crate::addr::{IpRange, Range};
use crate::model::{Change, Detail, RowsBuilder, Scope};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// What the engine must come to, the slow way.
#[derive(Clone, Debug, Default)]
struct Model {
    listings: BTreeMap<(String, IpRange), ()>,
    allows: Vec<IpRange>,
    suppressions: Vec<(IpRange, String)>,
}

#[derive(Clone, Debug)]
enum Step {
    List(u8, Vec<IpRange>, bool),
    Allow(IpRange),
    Disallow(usize),
    Suppress(IpRange, u8),
    Unsuppress(usize),
    Restart,
}

/// A universe of 256 addresses, so that ranges overlap.
fn universe() -> impl Strategy<Value = IpRange> {
    let v4 = (any::<u8>(), any::<u8>()).prop_map(|(a, b)| {
        let base = 0x1400_0000;
        IpRange::V4(Range::new(base + u32::from(a.min(b)), base + u32::from(a.max(b))).unwrap())
    });
    let v6 = (any::<u8>(), 120..=128_u8)
        .prop_map(|(a, len)| IpRange::V6(Range::prefix((0x2a00_u128 << 112) + u128::from(a), len)));
    prop_oneof![3 => v4, 1 => v6]
}

fn steps() -> impl Strategy<Value = Step> {
    let ranges = proptest::collection::vec(universe(), 0..12);
    prop_oneof![
        6 => (0..3_u8, ranges, any::<bool>()).prop_map(|(s, r, whole)| Step::List(s, r, whole)),
        2 => universe().prop_map(Step::Allow),
        1 => any::<usize>().prop_map(Step::Disallow),
        2 => (universe(), 0..3_u8).prop_map(|(r, s)| Step::Suppress(r, s)),
        1 => any::<usize>().prop_map(Step::Unsuppress),
        1 => Just(Step::Restart),
    ]
}

impl Model {
    fn sources(&self, address: IpAddr) -> Vec<String> {
        let suppressed = |source: &str, range: IpRange| {
            self.suppressions.iter().any(|(outer, of)| of == source && outer.covers(range))
        };
        let mut found: Vec<String> = self
            .listings
            .keys()
            .filter(|(source, range)| range.contains(address) && !suppressed(source, *range))
            .map(|(source, _)| source.clone())
            .collect();
        found.dedup();
        found
    }

    fn take(&mut self, step: &Step, house: &mut House) {
        match step {
            Step::List(source, ranges, whole) => {
                let source = format!("s{source}");
                let mut builder = RowsBuilder::default();
                ranges.iter().for_each(|range| builder.push(*range, &Detail::default()));
                let scope = if *whole { Scope::Whole } else { Scope::Part };
                if *whole {
                    self.listings.retain(|(of, _), ()| *of != source);
                }
                self.listings.extend(ranges.iter().map(|range| ((source.clone(), *range), ())));
                let change = Change::List { source: name(&source), rows: builder.finish().0, scope };
                house.submit(change).unwrap();
            }
            Step::Allow(range) => {
                self.allows.retain(|old| old != range);
                self.allows.push(*range);
                house.submit(Change::Allow(allow(&range.to_string()))).unwrap();
            }
            Step::Disallow(pick) if !self.allows.is_empty() => {
                let range = self.allows.remove(pick % self.allows.len());
                house.submit(Change::Disallow(range)).unwrap();
            }
            Step::Suppress(range, source) => {
                let source = format!("s{source}");
                self.suppressions.retain(|old| *old != (*range, source.clone()));
                self.suppressions.push((*range, source.clone()));
                house.submit(Change::Suppress(suppression(&range.to_string(), Some(&source)))).unwrap();
            }
            Step::Unsuppress(pick) if !self.suppressions.is_empty() => {
                let (range, source) = self.suppressions.remove(pick % self.suppressions.len());
                house.submit(Change::Unsuppress { range, source: Some(name(&source)) }).unwrap();
            }
            Step::Restart => house.restart(),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_batches_and_restarts_agree_with_the_golden_model(steps in proptest::collection::vec(steps(), 1..16)) {
        let mut house = House::new();
        let mut model = Model::default();
        for step in &steps {
            model.take(step, &mut house);
        }
        let addresses = (0..=255_u32).map(|i| IpAddr::from(Ipv4Addr::from_bits(0x1400_0000 + i)));
        let v6 = (0..=255_u128).map(|i| IpAddr::from(std::net::Ipv6Addr::from_bits((0x2a00_u128 << 112) + i)));
        let snapshot = Arc::clone(&house.engine().snapshot());
        for address in addresses.chain(v6) {
            let standing = snapshot.check(address);
            let mut sources: Vec<String> = standing.sources.iter().map(ToString::to_string).collect();
            sources.sort();
            prop_assert_eq!(sources, model.sources(address), "{}", address);
            let exempt = model.allows.iter().any(|range| range.contains(address));
            prop_assert_eq!(standing.exempt().is_some(), exempt, "{}", address);
        }
        let mut distinct: Vec<IpRange> = model.listings.keys().map(|(_, range)| *range).collect();
        distinct.sort();
        distinct.dedup();
        let mut entries = Vec::new();
        house.engine().view(|view| view.each_entry(None, |entry| { entries.push(entry.range); true })).unwrap();
        prop_assert_eq!(&entries, &distinct);
        let after = entries.get(entries.len() / 2).copied();
        let mut rest = Vec::new();
        house.engine().view(|view| view.each_entry(after, |entry| { rest.push(entry.range); true })).unwrap();
        prop_assert_eq!(&rest[..], entries.get(entries.len() / 2 + 1..).unwrap_or_default());
        for range in &distinct {
            let IpRange::V4(range) = range else { continue };
            let address = IpAddr::from(Ipv4Addr::from_bits(range.last()));
            let mut covering: Vec<(String, IpRange)> = Vec::new();
            for source in snapshot.sources.values() {
                let found = house.engine().view(|view| view.covering(source.id, address)).unwrap();
                covering.extend(found.into_iter().map(|f| (source.name.to_string(), f.range)));
            }
            covering.sort();
            let wanted: Vec<(String, IpRange)> =
                model.listings.keys().filter(|(_, r)| r.contains(address)).cloned().collect();
            prop_assert_eq!(covering, wanted);
        }
        let before = house.dump();
        house.engine().0.projection.as_ref().unwrap().clear().unwrap();
        house.restart();
        prop_assert_eq!(house.dump(), before);
    }
}
