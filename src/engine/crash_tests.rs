//! What must hold whenever the power fails: every acknowledged batch is there, and none by half.
//!
//! One fixed script of batches runs again and again with the power cut one sync later.

use super::*;
use crate::addr::IpRange;
use crate::disk::RedbFile;
use crate::disk::faulty::{Fault, FaultyDisk};
use crate::journal::Journal;
use crate::model::{
    Allow, Cause, Change, Day, Detail, Exemption, Output, Policy, Profile, RowsBuilder, Scope, SourceName,
    Suppression,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicI64;
use uuid::Uuid;

const NOON: i64 = 1_790_000_000;
/// Later than a listing of the script expires, and a jump that no expiry believes by itself.
const EVENING: i64 = NOON + 7200;
/// Where the script stops for a restart: the projections and the snapshot file become durable.
const RESTART_AFTER: usize = 5;

pub(super) fn list(source: &str, ranges: &[&str], scope: Scope, expires: Option<i64>) -> Change {
    let mut rows = RowsBuilder::default();
    let detail = Detail { expires: expires.map(Time::from_unix), ..Detail::default() };
    ranges.iter().for_each(|range| rows.push(range.parse().unwrap(), &detail));
    Change::List { source: source.parse().unwrap(), rows: rows.finish().0, scope }
}

fn restore(source: &str, ranges: &[&str]) -> Change {
    match list(source, ranges, Scope::Whole, None) {
        Change::List { source, rows, .. } => Change::Restore { source, rows, generation: 1 },
        other => other,
    }
}

fn allow(range: &str) -> Change {
    let (reason, owner) = (String::new(), String::new());
    Change::Allow(Allow {
        range: range.parse().unwrap(),
        reason,
        owner,
        expires: None,
        since: Time::default(),
    })
}

fn suppress(range: &str, source: &str) -> Change {
    Change::Suppress(Suppression {
        range: range.parse().unwrap(),
        source: Some(source.parse().unwrap()),
        reason: String::new(),
        owner: String::new(),
        expires: None,
        since: Time::default(),
    })
}

/// Every kind of change; each makes exactly one record.
pub(super) fn script() -> Vec<Batch> {
    use Scope::{Part, Whole};
    let window = Scope::Window { first: Day::from_number(0), last: Day::from_number(9) };
    let policy = Policy { expires_days: Some(9), ..Policy::default() };
    let output = Output::Feed(Profile::new("edge".parse().unwrap()));
    let changes = vec![
        list("a", &["20.0.0.0/24", "20.0.1.1", "2a00::/32"], Part, None),
        list("b", &["20.0.0.7", "20.0.2.0-20.0.2.9"], Part, None),
        allow("20.0.0.4-20.0.0.7"),
        list("a", &["20.0.1.1", "20.0.3.3"], Part, Some(NOON + 3600)),
        suppress("20.0.2.0/24", "b"),
        list("b", &["20.0.2.0-20.0.2.9", "20.0.2.77", "20.0.4.4"], Whole, None),
        Change::Disallow("20.0.0.4-20.0.0.7".parse().unwrap()),
        Change::Expire,
        Change::Unlist { source: "a".parse().unwrap(), ranges: vec!["2a00::/32".parse().unwrap()] },
        Change::Unsuppress { range: "20.0.2.0/24".parse().unwrap(), source: Some("b".parse().unwrap()) },
        list("a", &["2a00::5"], Whole, None),
        Change::Describe { source: "b".parse().unwrap(), policy: policy.clone() },
        Change::Describe { source: "c".parse().unwrap(), policy },
        Change::Seen { source: "c".parse().unwrap() },
        list("a", &["20.0.5.5"], window, None),
        restore("b", &["20.0.2.3", "20.0.4.4"]),
        Change::Release { source: "b".parse().unwrap() },
        Change::Publish(output.clone()),
        Change::Withdraw(output.key()),
    ];
    let batch = |(number, change)| Batch {
        id: Uuid::from_u128(number as u128 + 1),
        actor: "test".into(),
        reason: String::new(),
        cause: Cause::Manual,
        change,
    };
    changes.into_iter().enumerate().map(batch).collect()
}

/// What the script must come to, the slow way.
#[derive(Clone, Debug, Default)]
struct Model {
    listings: BTreeMap<(SourceName, IpRange), Option<Time>>,
    allows: Vec<IpRange>,
    suppressions: Vec<Suppression>,
}

/// Who lists an address, and whether it is on the allowlist.
pub(super) type Verdicts = Vec<(Vec<SourceName>, bool)>;

impl Model {
    fn take(&mut self, change: Change) {
        match change {
            Change::List { source, rows, scope } => {
                if scope == Scope::Whole {
                    self.listings.retain(|(of, _), _| *of != source);
                }
                let rows = rows.iter().map(|(range, detail)| ((source.clone(), range), detail.expires));
                self.listings.extend(rows);
            }
            Change::Unlist { source, ranges } => {
                self.listings.retain(|(of, range), _| *of != source || !ranges.contains(range));
            }
            Change::Allow(allow) => self.allows.push(allow.range),
            Change::Disallow(range) => self.allows.retain(|allow| *allow != range),
            Change::Suppress(suppression) => self.suppressions.push(suppression),
            Change::Unsuppress { range, source } => {
                self.suppressions.retain(|s| s.range != range || s.source != source);
            }
            Change::Restore { source, rows, .. } => {
                self.listings.retain(|(of, _), _| *of != source);
                let rows = rows.iter().map(|(range, detail)| ((source.clone(), range), detail.expires));
                self.listings.extend(rows);
            }
            Change::Describe { .. }
            | Change::Seen { .. }
            | Change::Release { .. }
            | Change::Publish(_)
            | Change::Withdraw(_) => {}
            Change::Expire => {
                let now = Time::from_unix(EVENING);
                self.listings.retain(|_, expires| expires.is_none_or(|at| at > now));
            }
        }
    }

    fn verdict(&self, address: IpAddr) -> (Vec<SourceName>, bool) {
        let counts = |source: &SourceName, range: &IpRange| {
            range.contains(address) && !self.suppressions.iter().any(|s| s.ends(source, *range))
        };
        let counted = self.listings.keys().filter(|(source, range)| counts(source, range));
        let mut sources: Vec<SourceName> = counted.map(|(source, _)| source.clone()).collect();
        sources.dedup();
        (sources, self.allows.iter().any(|range| range.contains(address)))
    }
}

fn probes() -> impl Iterator<Item = IpAddr> {
    let texts = [
        "20.0.0.0",
        "20.0.0.5",
        "20.0.0.7",
        "20.0.0.255",
        "20.0.1.1",
        "20.0.2.3",
        "20.0.2.77",
        "20.0.3.3",
        "20.0.4.4",
        "20.0.5.5",
        "2a00::1",
        "2a00::5",
    ];
    texts.into_iter().map(|text| text.parse().unwrap())
}

/// The verdicts after the first 0, 1, 2, … batches of the script.
pub(super) fn golden() -> Vec<Verdicts> {
    let mut model = Model::default();
    let mut states = vec![Model::default()];
    for batch in script() {
        model.take(batch.change);
        states.push(model.clone());
    }
    states.iter().map(|model| probes().map(|address| model.verdict(address)).collect()).collect()
}

/// An engine on a disk that may fail.
pub(super) struct House {
    folder: tempfile::TempDir,
    pub(super) disk: FaultyDisk,
    now: Arc<AtomicI64>,
    pub(super) runtime: tokio::runtime::Runtime,
    engine: Option<Engine>,
}

impl House {
    pub(super) fn new(fault: Fault) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let disk = FaultyDisk::default();
        // A new file gets its name when it is whole, which this disk does not know of.
        for name in ["journal.redb", "ironlist.redb"] {
            RedbFile::open(&disk.medium(folder.path()), name, 1 << 20).unwrap();
        }
        disk.set_fault(fault);
        Self { folder, disk, now: Arc::new(AtomicI64::new(NOON)), runtime, engine: None }
    }

    pub(super) fn open(&mut self) -> Result<(), DiskError> {
        self.engine = None;
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || Time::from_unix(now.load(Ordering::Relaxed)));
        let medium = self.disk.medium(self.folder.path());
        self.engine = Some(Engine::open(Options { clock, ..Options::new(medium) })?);
        Ok(())
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(super) fn submit(&self, batch: Batch) -> Result<Receipt, EngineError> {
        if matches!(batch.change, Change::Expire) {
            self.now.store(EVENING, Ordering::Relaxed);
        }
        self.runtime.block_on(self.engine().submit(batch))
    }

    pub(super) fn submit_all(&self, batches: &[Batch]) {
        for batch in batches {
            self.submit(batch.clone()).unwrap();
        }
    }

    /// Runs the script until something fails; says how many batches were acknowledged.
    pub(super) fn run(&mut self) -> usize {
        let mut acknowledged = 0;
        if self.open().is_err() {
            return 0;
        }
        for batch in script() {
            if acknowledged == RESTART_AFTER && self.open().is_err() {
                break;
            }
            if self.submit(batch).is_err() {
                break;
            }
            acknowledged += 1;
        }
        acknowledged
    }

    pub(super) fn verdicts(&self) -> Verdicts {
        let snapshot = self.engine().snapshot();
        let told = |address| {
            let standing = snapshot.check(address);
            let mut sources = standing.sources.to_vec();
            sources.sort();
            (sources, standing.exempt() == Some(Exemption::Allowlist))
        };
        probes().map(told).collect()
    }

    /// Checks that the engine agrees with the model at its own generation, which it answers, and
    /// its projection with one made from the journal.
    pub(super) fn check(&mut self, golden: &[Verdicts], what: &str) -> usize {
        let generation = self.engine().snapshot().generation as usize;
        assert_eq!(self.verdicts(), golden[generation], "{what}: look-ups at generation {generation}");
        let mut dump = Vec::new();
        self.engine().0.projection.as_ref().unwrap().dump(|line| dump.push(line.to_owned())).unwrap();
        self.engine = None;
        let medium = self.disk.copy_of("journal.redb").medium(self.folder.path());
        let (journal, rebuilt) = (Journal::open(&medium).unwrap(), Projection::open(&medium).unwrap());
        recover::catch_up_projection(&journal, &rebuilt, chrono_tz::Asia::Seoul).unwrap();
        let mut wanted = Vec::new();
        rebuilt.dump(|line| wanted.push(line.to_owned())).unwrap();
        assert_eq!(dump, wanted, "{what}: the projection");
        generation
    }

    /// Cuts the power if it is still on, and starts again on what the disk holds.
    pub(super) fn reopen_after_power_cut(&mut self) -> Result<(), DiskError> {
        self.disk = self.disk.after_power_cut();
        self.now.store(NOON, Ordering::Relaxed);
        self.open()
    }
}

/// Runs the script with the power cut at each sync in turn.
fn cut_power_everywhere(seeds: impl Fn(u64) -> u64) {
    let golden = golden();
    for number in 1.. {
        let what = format!("power cut at sync {number}");
        let mut house = House::new(Fault::PowerCut(number, seeds(number)));
        let acknowledged = house.run();
        house.engine = None;
        let all = !house.disk.has_struck();
        house.reopen_after_power_cut().unwrap_or_else(|error| panic!("{what}: {error}"));
        let condition = house.engine().condition();
        assert_eq!(condition, Condition::Writable, "{what}");
        let found = house.check(&golden, &what);
        assert!(found >= acknowledged, "{what}: {acknowledged} acknowledged, {found} found");
        assert!(found <= acknowledged + 1, "{what}: {found} found, {acknowledged} acknowledged");
        if all {
            assert_eq!(acknowledged, script().len());
            return;
        }
    }
}

#[test]
fn a_power_cut_at_any_sync_loses_nothing_that_was_acknowledged() {
    cut_power_everywhere(|_| 0);
}

#[test]
fn a_power_cut_that_leaves_all_unsynced_writes_is_no_worse() {
    cut_power_everywhere(|_| 1);
}

#[test]
fn a_power_cut_that_tears_unsynced_writes_is_no_worse() {
    cut_power_everywhere(|number| number + 2);
    cut_power_everywhere(|number| number + 1_000_000);
}

#[test]
fn a_second_power_cut_while_it_starts_is_no_worse() {
    let golden = golden();
    for number in 1.. {
        let what = format!("second power cut at sync {number}");
        let mut house = House::new(Fault::None);
        assert_eq!(house.run(), script().len());
        // The projections are behind the journal, so that there is something to catch up with.
        house.disk = house.disk.after_power_cut();
        house.disk.set_fault(Fault::PowerCut(number, number));
        drop(house.open());
        house.engine = None;
        let all = !house.disk.has_struck();
        house.reopen_after_power_cut().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(house.check(&golden, &what), script().len(), "{what}");
        if all {
            return;
        }
    }
}

#[test]
fn a_disk_that_only_says_it_has_synced_loses_batches_so_these_tests_can_fail() {
    let mut house = House::new(Fault::Lying);
    let acknowledged = house.run();
    assert_eq!(acknowledged, script().len());
    let lost = match house.reopen_after_power_cut() {
        Ok(()) => {
            let engine = house.engine();
            engine.condition() != Condition::Writable || engine.snapshot().generation < acknowledged as u64
        }
        Err(_) => true,
    };
    assert!(lost);
}
