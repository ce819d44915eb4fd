//! The engine as those above it use it; and the house that its other tests live in.

use super::*;
use crate::model::{
    Allow, Cause, Change, Detail, Device, Exemption, Output, OutputKey, Row, Rows, RowsBuilder, Scope,
    SourceName, SourceRanges, Suppression,
};
use std::net::Ipv4Addr;
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

#[test]
fn rows_of_both_families_are_in_the_order_of_their_keys() {
    fn sorted<W: SourceRanges>(rows: &[Row<W>]) -> bool {
        rows.is_sorted_by_key(Row::key)
    }
    let rows = rows(&["1.0.0.0/8", "9.9.9.9", "2a00::/32", "1.2.3.4", "2a00::1"]);
    assert!(sorted::<u32>(rows.family()) && sorted::<u128>(rows.family()));
}
