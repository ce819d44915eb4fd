//! The engine against a golden model: what must hold after any batches, restarts included.

use super::*;
use crate::addr::{IpRange, Range};
use crate::model::{
    Allow, Cause, Change, Detail, Device, Exemption, Output, OutputKey, Row, Rows, RowsBuilder, Scope,
    SourceName, SourceRanges, Suppression,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicI64;
use uuid::Uuid;

pub(super) const NOON: i64 = 1_790_000_000;

pub(super) struct House {
    pub(super) folder: tempfile::TempDir,
    pub(super) now: Arc<AtomicI64>,
    pub(super) engine: Option<Engine>,
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) follower: bool,
    pub(super) keep: Keep,
}

impl House {
    pub(super) fn new() -> Self {
        Self::begin(false)
    }

    /// One that follows another.
    pub(super) fn following() -> Self {
        Self::begin(true)
    }

    fn begin(follower: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let now = Arc::new(AtomicI64::new(NOON));
        let keep = Keep::default();
        let mut house = Self { folder, now, engine: None, runtime, follower, keep };
        house.open().unwrap();
        house
    }

    pub(super) fn open(&mut self) -> Result<(), DiskError> {
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || Time::from_unix(now.load(Ordering::Relaxed)));
        let medium = Medium::folder(self.folder.path());
        let (follower, keep) = (self.follower, self.keep);
        self.engine = Some(Engine::open(Options { clock, follower, keep, ..Options::new(medium) })?);
        Ok(())
    }

    /// Takes in all that `leader` has more.
    pub(super) fn follow(&self, leader: &Self) {
        loop {
            let here = self.engine().snapshot().generation;
            let sealed = leader.runtime.block_on(leader.engine().sealed(here, 1)).unwrap();
            if sealed.is_empty() {
                return;
            }
            assert_eq!(self.runtime.block_on(self.engine().follow(sealed)).unwrap(), here + 1);
        }
    }

    /// Lists one address that expires so many seconds after noon.
    pub(super) fn list_until(&self, source: &str, address: &str, seconds: i64) -> Receipt {
        let mut builder = RowsBuilder::default();
        let expires = Some(Time::from_unix(NOON + seconds));
        builder.push(address.parse().unwrap(), &Detail { expires, ..Detail::default() });
        let rows = builder.finish().0;
        self.submit(Change::List { source: name(source), rows, scope: Scope::Part }).unwrap()
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(super) fn restart(&mut self) {
        self.engine = None;
        self.open().unwrap();
    }

    pub(super) fn submit(&self, change: Change) -> Result<Receipt, EngineError> {
        let batch = Batch {
            id: Uuid::now_v7(),
            actor: "test".into(),
            reason: String::new(),
            cause: Cause::Manual,
            change,
        };
        self.runtime.block_on(self.engine().submit(batch))
    }

    pub(super) fn check(&self, address: &str) -> (bool, Vec<String>, Option<&'static str>) {
        let snapshot = self.engine().snapshot();
        let standing = snapshot.check(address.parse().unwrap());
        let sources = standing.sources.iter().map(ToString::to_string).collect();
        (standing.is_listed(), sources, standing.exempt().map(Exemption::as_str))
    }

    pub(super) fn dump(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.engine().0.projection.as_ref().unwrap().dump(|line| lines.push(line.to_owned())).unwrap();
        lines
    }
}

fn rows(ranges: &[&str]) -> Rows {
    let mut builder = RowsBuilder::default();
    ranges.iter().for_each(|text| builder.push(text.parse().unwrap(), &Detail::default()));
    builder.finish().0
}

pub(super) fn name(text: &str) -> SourceName {
    text.parse().unwrap()
}

pub(super) fn list(source: &str, ranges: &[&str], scope: Scope) -> Change {
    Change::List { source: name(source), rows: rows(ranges), scope }
}

pub(super) fn allow(range: &str) -> Allow {
    Allow {
        range: range.parse().unwrap(),
        reason: "ours".into(),
        owner: "test".into(),
        expires: None,
        since: Time::default(),
    }
}

pub(super) fn suppression(range: &str, source: Option<&str>) -> Suppression {
    Suppression {
        range: range.parse().unwrap(),
        source: source.map(name),
        reason: "wrong".into(),
        owner: "test".into(),
        expires: None,
        since: Time::default(),
    }
}

#[test]
fn overlapping_listings_of_several_sources_are_all_named() {
    let house = House::new();
    house.submit(list("wide", &["8.0.0.0/8", "2a00::/16"], Scope::Part)).unwrap();
    house.submit(list("narrow", &["8.8.8.8", "2a00::1"], Scope::Part)).unwrap();
    assert_eq!(house.check("8.8.8.8"), (true, vec!["wide".into(), "narrow".into()], None));
    assert_eq!(house.check("8.8.8.9"), (true, vec!["wide".into()], None));
    assert_eq!(house.check("2a00::1"), (true, vec!["wide".into(), "narrow".into()], None));
    assert_eq!(house.check("9.0.0.0"), (false, vec![], None));
}

#[test]
fn a_listing_that_ends_leaves_what_the_same_source_lists_around_it() {
    let house = House::new();
    house.submit(list("a", &["8.8.0.0/16", "8.8.8.0/24", "8.8.8.8"], Scope::Part)).unwrap();
    let ranges = vec!["8.8.8.0/24".parse().unwrap()];
    house.submit(Change::Unlist { source: name("a"), ranges }).unwrap();
    assert!(house.check("8.8.8.9").0);
    let receipt = house.submit(list("a", &["8.8.8.8"], Scope::Whole)).unwrap();
    assert_eq!((receipt.removed, receipt.unchanged), (1, 1));
    assert!(house.check("8.8.8.8").0 && !house.check("8.8.8.9").0);
}

#[test]
fn an_allow_cuts_exactly_out_of_past_and_future_entries_and_ends_without_a_trace() {
    let house = House::new();
    house.submit(list("a", &["20.0.0.0/8"], Scope::Part)).unwrap();
    house.submit(Change::Allow(allow("20.1.2.3-20.1.2.5"))).unwrap();
    house.submit(list("b", &["20.1.2.4"], Scope::Part)).unwrap();
    assert_eq!(house.check("20.1.2.4"), (false, vec!["a".into(), "b".into()], Some("allowlist")));
    assert!(house.check("20.1.2.2").0 && house.check("20.1.2.6").0);
    house.submit(Change::Disallow("20.1.2.3-20.1.2.5".parse().unwrap())).unwrap();
    assert!(house.check("20.1.2.4").0);
    let again = house.submit(Change::Disallow("20.1.2.3-20.1.2.5".parse().unwrap()));
    assert!(matches!(again, Err(EngineError::Refused(Refusal::NotAllowed(_)))));
}

#[test]
fn guarded_addresses_are_never_listed() {
    let house = House::new();
    house.submit(list("a", &["10.0.0.0/8", "192.168.1.1", "fe80::1"], Scope::Part)).unwrap();
    assert_eq!(house.check("10.1.1.1"), (false, vec!["a".into()], Some("guard")));
    assert_eq!(house.check("fe80::1"), (false, vec!["a".into()], Some("guard")));
    assert_eq!(house.check("127.0.0.1"), (false, vec![], Some("guard")));
}

#[test]
fn whence_devices_ask_is_exempt_for_as_long_as_any_of_them_does() {
    let mut house = House::new();
    house.submit(list("a", &["20.0.0.0/24"], Scope::Part)).unwrap();
    let device = |name: &str, networks: &[&str]| {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Change::Publish(Output::Device(Device { networks, ..Device::new(name.parse().unwrap()) }))
    };
    house.submit(device("x", &["20.0.0.0/30"])).unwrap();
    house.submit(device("y", &["20.0.0.3", "30.0.0.1"])).unwrap();
    assert_eq!(house.check("20.0.0.3"), (false, vec!["a".into()], Some("device")));
    house.submit(device("x", &["20.0.0.9"])).unwrap();
    let after = |house: &House| ["20.0.0.1", "20.0.0.3", "20.0.0.9", "30.0.0.1"].map(|ip| house.check(ip).2);
    let expected = [None, Some("device"), Some("device"), Some("device")];
    assert_eq!(after(&house), expected);
    house.restart();
    assert_eq!(after(&house), expected);
    house.submit(Change::Withdraw(OutputKey::Device("y".parse().unwrap()))).unwrap();
    assert_eq!(after(&house), [None, None, Some("device"), None]);
    assert!(house.check("20.0.0.3").0);
}

#[test]
fn a_suppression_outlives_what_the_source_repeats() {
    let mut house = House::new();
    house.submit(list("a", &["20.0.0.0/24", "20.0.0.1"], Scope::Part)).unwrap();
    house.submit(list("b", &["20.0.0.1"], Scope::Part)).unwrap();
    house.submit(Change::Suppress(suppression("20.0.0.1", Some("a")))).unwrap();
    assert_eq!(house.check("20.0.0.1").1, ["a", "b"], "the /24 of a still covers it");
    house.submit(Change::Suppress(suppression("20.0.0.0/24", Some("a")))).unwrap();
    assert_eq!(house.check("20.0.0.1").1, ["b"]);
    house.submit(list("a", &["20.0.0.0/24", "20.0.0.1"], Scope::Whole)).unwrap();
    house.submit(list("a", &["20.0.0.7"], Scope::Part)).unwrap();
    assert_eq!(house.check("20.0.0.7").1, Vec::<String>::new());
    house.restart();
    assert_eq!(house.check("20.0.0.1").1, ["b"]);
    let range = "20.0.0.0/24".parse().unwrap();
    house.submit(Change::Unsuppress { range, source: Some(name("a")) }).unwrap();
    assert_eq!(house.check("20.0.0.7").1, ["a"]);
}

#[test]
fn the_same_batch_again_changes_nothing_and_is_told_the_same() {
    let house = House::new();
    let batch = Batch {
        id: Uuid::now_v7(),
        actor: "test".into(),
        reason: String::new(),
        cause: Cause::Import,
        change: list("a", &["20.0.0.1"], Scope::Part),
    };
    let first = house.runtime.block_on(house.engine().submit(batch.clone())).unwrap();
    house.submit(list("a", &[], Scope::Whole)).unwrap();
    let again = house.runtime.block_on(house.engine().submit(batch)).unwrap();
    assert_eq!(first, again);
    assert!(!house.check("20.0.0.1").0);
}

#[test]
fn a_new_source_has_the_zone_of_the_settings_and_keeps_its_own() {
    let mut house = House::new();
    house.engine = None;
    let open = |zone| {
        let medium = Medium::folder(house.folder.path());
        Engine::open(Options { zone, ..Options::new(medium) }).unwrap()
    };
    let engine = open(chrono_tz::UTC);
    assert_eq!(engine.snapshot().policy("a").zone, chrono_tz::UTC);
    house.engine = Some(engine);
    house.submit(list("a", &["20.0.0.1"], Scope::Part)).unwrap();
    house.engine = None;
    let engine = open(chrono_tz::Asia::Seoul);
    assert_eq!(engine.snapshot().policy("a").zone, chrono_tz::UTC);
    assert_eq!(engine.snapshot().policy("b").zone, chrono_tz::Asia::Seoul);
}

#[test]
fn a_source_without_a_single_row_is_none() {
    let house = House::new();
    for scope in [Scope::Part, Scope::Whole] {
        assert_eq!(house.submit(list("a", &[], scope)).unwrap(), Receipt::default());
    }
    assert!(house.engine().snapshot().sources.is_empty());
}

#[test]
fn a_second_engine_on_the_same_folder_is_refused_in_one_line() {
    let house = House::new();
    let error = Engine::open(Options::new(Medium::folder(house.folder.path()))).err().unwrap();
    assert!(matches!(error, DiskError::InUse(_)));
    assert!(error.to_string().contains(&house.folder.path().display().to_string()));
}

#[test]
fn a_flipped_bit_makes_it_read_only_and_names_the_cure() {
    let mut house = House::new();
    let many: Vec<String> = (0..3000).map(|i| Ipv4Addr::from_bits(0x1400_0000 + i * 7).to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    house.submit(list("a", &many, Scope::Part)).unwrap();
    house.engine = None;
    let path = house.folder.path().join("ironlist.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(20).position(|w| w[..4] == [0, 0, 4, 32]).unwrap();
    bytes[at + 25] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    house.open().unwrap();
    assert!(house.check("20.0.0.7").0);
    let Condition::ReadOnly { cure, .. } = house.engine().condition() else {
        panic!("it should be read-only")
    };
    assert!(cure.contains("doctor --rebuild"), "{cure}");
    assert!(matches!(house.submit(list("a", &["20.9.9.9"], Scope::Part)), Err(EngineError::ReadOnly(_))));
}

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

#[test]
fn rows_of_both_families_are_in_the_order_of_their_keys() {
    fn sorted<W: SourceRanges>(rows: &[Row<W>]) -> bool {
        rows.is_sorted_by_key(Row::key)
    }
    let rows = rows(&["1.0.0.0/8", "9.9.9.9", "2a00::/32", "1.2.3.4", "2a00::1"]);
    assert!(sorted::<u32>(rows.family()) && sorted::<u128>(rows.family()));
}
