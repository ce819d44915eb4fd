//! From a batch to the steps it takes: the difference between what is and what is wanted.
//!
//! Reads, and changes nothing.

pub(super) mod expire;
pub(super) mod listings;

use super::classes::MOST;
use super::snapshot::Snapshot;
use crate::addr::IpRange;
use crate::model::{
    Allow, Batch, Cause, Change, Device, Held, Op, Output, OutputKey, OutputName, Policy, Preview, Receipt,
    Source, SourceId, SourceName, Suppression, Time,
};
use crate::store::{Tables, View};
use serde::{Deserialize, Serialize};

/// Why a batch is not carried out; asking again will not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No source has that name.
    #[error("there is no source {0}")]
    UnknownSource(SourceName),
    /// The source was taken back, and nothing of its runs is taken in.
    #[error(
        "{0} was taken back to an earlier generation and is held; release it: ironlist source enable {0}"
    )]
    Held(SourceName),
    /// The source does not list exactly this range.
    #[error("{0} does not list {1} as such")]
    NotListed(SourceName, IpRange),
    /// The allowlist does not hold exactly this range.
    #[error("{0} is not on the allowlist as such")]
    NotAllowed(IpRange),
    /// There is no such suppression.
    #[error("there is no suppression of {0} for that source")]
    NotSuppressed(IpRange),
    /// There is no such feed or device.
    #[error("there is no {0}")]
    Unpublished(OutputKey),
    /// The feed or device is not one that could be.
    #[error("{0}: {1}")]
    BadOutput(OutputKey, String),
    /// A device reads the feed.
    #[error("device {1} reads {0}; take it from the device first")]
    InUse(OutputKey, OutputName),
    /// It would end before it begins.
    #[error("it expires at {0}, and that is over")]
    Over(Time),
    /// The wall clock has jumped, so that nothing ends without a person's word.
    #[error("the wall clock has jumped; set it right, or say that it is right: PUT /api/v1/blacklist/expire")]
    ClockDoubted,
    /// The look-up table numbers what addresses stand for with 29 bits.
    #[error("there are too many combinations of sources already")]
    TooManyStandings,
    /// Sources are numbered with 16 bits.
    #[error("there are 65,535 sources already")]
    TooManySources,
}

/// What a batch comes to.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The steps; none if there is nothing to change.
    pub ops: Vec<Op>,
    /// Their counts; the generation is the one it is planned upon.
    pub receipt: Receipt,
    /// See [`Preview::before`](crate::model::Preview::before).
    pub before: u64,
    /// See [`Preview::ending`](crate::model::Preview::ending).
    pub ending: u64,
}

impl Plan {
    /// What its sender is told before it is carried out.
    pub fn preview(&self) -> Preview {
        Preview { receipt: self.receipt, before: self.before, ending: self.ending }
    }
}

/// The moment of a plan.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// What the wall clock says.
    pub(super) now: Time,
    /// What expires until then is over for sure: the same, or the last time that was believed while
    /// the clock is doubted.
    pub(super) sure: Time,
}

impl Moment {
    fn is_over(self, expires: Option<Time>) -> bool {
        expires.is_some_and(|at| at <= self.sure)
    }
}

/// Works out what `batch` changes at a moment.
pub(super) fn plan<T: Tables>(
    batch: Batch,
    snapshot: &Snapshot,
    view: &View<'_, T>,
    moment: Moment,
) -> Result<Result<Plan, Refusal>, redb::Error> {
    let now = moment.now;
    if let Some(held) = held_source(&batch, snapshot) {
        return Ok(Err(Refusal::Held(held)));
    }
    let makes_standings = matches!(
        batch.change,
        Change::List { .. } | Change::Restore { .. } | Change::Allow(_) | Change::Suppress(_)
    );
    if makes_standings && snapshot.standings.len() >= MOST {
        return Ok(Err(Refusal::TooManyStandings));
    }
    match batch.change {
        Change::List { source, mut rows, scope } => {
            rows.stamp(now);
            listings::list(&source, &rows, scope, snapshot, view, moment)
        }
        Change::Restore { source, rows, generation } => {
            let held = Held { since: now, generation, reason: batch.reason };
            listings::restore(&source, &rows, held, snapshot, view, moment)
        }
        Change::Release { source } => Ok(release(&source, snapshot)),
        Change::Unlist { source, mut ranges } => {
            // A range named twice ends once, and is counted once.
            ranges.sort_unstable();
            ranges.dedup();
            listings::unlist(&source, &ranges, snapshot, view)
        }
        Change::Describe { source, policy } => Ok(describe(&source, policy, snapshot, now)),
        Change::Seen { source } => Ok(seen(&source, snapshot, now)),
        Change::Allow(Allow { expires: Some(at), .. })
        | Change::Suppress(Suppression { expires: Some(at), .. })
            if moment.is_over(Some(at)) =>
        {
            Ok(Err(Refusal::Over(at)))
        }
        Change::Allow(allow) => Ok(Ok(allow_plan(allow, snapshot))),
        Change::Disallow(range) => Ok(disallow(range, snapshot)),
        Change::Suppress(suppression) => Ok(Ok(suppress(suppression, snapshot))),
        Change::Unsuppress { range, source } => Ok(unsuppress(range, source.as_ref(), snapshot)),
        Change::Publish(output) => Ok(publish(output, snapshot)),
        Change::Withdraw(key) => Ok(withdraw(key, snapshot)),
        Change::Expire => expire::plan(snapshot, view, now).map(Ok),
    }
}

/// The source that `batch`, of a run, is about, when it is held. The writer itself looks: whoever collects may have
/// begun before, or hear of it late.
fn held_source(batch: &Batch, snapshot: &Snapshot) -> Option<SourceName> {
    let name = batch.change.source().filter(|_| batch.cause == Cause::Run)?;
    snapshot.source(name.as_str()).filter(|source| source.held.is_some()).map(|source| source.name.clone())
}

fn describe(name: &SourceName, policy: Policy, snapshot: &Snapshot, now: Time) -> Result<Plan, Refusal> {
    let (source, receipt) = match snapshot.source(name.as_str()) {
        Some(known) if known.policy == policy => {
            return Ok(Plan { receipt: Receipt { unchanged: 1, ..Receipt::default() }, ..Plan::default() });
        }
        Some(known) => (known.clone(), replaced(1)),
        None => (new_source(name, snapshot, now)?, replaced(0)),
    };
    Ok(Plan { ops: vec![Op::Source(Source { policy, ..source })], receipt, ..Plan::default() })
}

fn seen(name: &SourceName, snapshot: &Snapshot, now: Time) -> Result<Plan, Refusal> {
    let source = snapshot.source(name.as_str()).ok_or_else(|| Refusal::UnknownSource(name.clone()))?;
    let mut plan = Plan::default();
    if source.is_due_to_be_seen(now) {
        plan.ops.push(Op::Source(Source { last_seen: Some(now), ..source.clone() }));
    }
    Ok(plan)
}

fn release(name: &SourceName, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let source = snapshot.source(name.as_str()).ok_or_else(|| Refusal::UnknownSource(name.clone()))?;
    if source.held.is_none() {
        return Ok(Plan { receipt: Receipt { unchanged: 1, ..Receipt::default() }, ..Plan::default() });
    }
    let released = Source { held: None, ..source.clone() };
    Ok(Plan { ops: vec![Op::Source(released)], receipt: replaced(1), ..Plan::default() })
}

fn new_source(name: &SourceName, snapshot: &Snapshot, now: Time) -> Result<Source, Refusal> {
    let next = snapshot.sources.last_key_value().map_or(Some(0), |(id, _)| id.0.checked_add(1));
    let id = SourceId(next.ok_or(Refusal::TooManySources)?);
    let policy = snapshot.policy(name.as_str());
    Ok(Source { id, name: name.clone(), policy, last_seen: None, since: now, held: None })
}

fn allow_plan(allow: Allow, snapshot: &Snapshot) -> Plan {
    let old: Vec<Allow> = snapshot.allows.iter().filter(|old| old.range == allow.range).cloned().collect();
    let receipt = replaced(old.len());
    Plan { ops: vec![Op::Allows { removed: old, added: vec![allow] }], receipt, ..Plan::default() }
}

fn disallow(range: IpRange, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let removed: Vec<Allow> = snapshot.allows.iter().filter(|old| old.range == range).cloned().collect();
    if removed.is_empty() {
        return Err(Refusal::NotAllowed(range));
    }
    let receipt = Receipt { removed: removed.len() as u64, ..Receipt::default() };
    Ok(Plan { ops: vec![Op::Allows { removed, added: Vec::new() }], receipt, ..Plan::default() })
}

fn suppress(suppression: Suppression, snapshot: &Snapshot) -> Plan {
    let old = suppressions_of(suppression.range, suppression.source.as_ref(), snapshot);
    let receipt = replaced(old.len());
    Plan {
        ops: vec![Op::Suppressions { removed: old, added: vec![suppression] }],
        receipt,
        ..Plan::default()
    }
}

fn unsuppress(range: IpRange, source: Option<&SourceName>, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let removed = suppressions_of(range, source, snapshot);
    if removed.is_empty() {
        return Err(Refusal::NotSuppressed(range));
    }
    let receipt = Receipt { removed: removed.len() as u64, ..Receipt::default() };
    Ok(Plan { ops: vec![Op::Suppressions { removed, added: Vec::new() }], receipt, ..Plan::default() })
}

fn publish(output: Output, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let key = output.key();
    let fault = match &output {
        Output::Feed(profile) => {
            let of_its_reader = |device: &Device| {
                let fault = device.uncounted([profile].into_iter())?;
                Some(format!("device {}: {fault}", device.name))
            };
            let fault = profile.fault().map(str::to_owned).or_else(|| taken(&profile.name, snapshot));
            fault.or_else(|| snapshot.devices().find_map(of_its_reader))
        }
        Output::Device(device) => {
            let fault = unknown_feed(&device.feeds, snapshot).or_else(|| certified(device, snapshot));
            fault.or_else(|| device.fault(snapshot.profiles()))
        }
    };
    if let Some(fault) = fault {
        return Err(Refusal::BadOutput(key, fault));
    }
    let removed = outputs_of(&key, snapshot);
    if removed.first() == Some(&output) {
        return Ok(Plan { receipt: Receipt { unchanged: 1, ..Receipt::default() }, ..Plan::default() });
    }
    let receipt = replaced(removed.len());
    Ok(Plan { ops: vec![Op::Outputs { removed, added: vec![output] }], receipt, ..Plan::default() })
}

/// A feed's path may end in what its file is called by, so that `edge.txt` is a name of `edge` too.
fn taken(name: &OutputName, snapshot: &Snapshot) -> Option<String> {
    let usual = OutputName::fortigate();
    let mut all = snapshot.profiles().map(|profile| &profile.name).chain([&usual]);
    let other = all.find(|other| other.is_with_ending_of(name) || name.is_with_ending_of(other))?;
    Some(format!("its path and that of feed {other} would be the same"))
}

fn unknown_feed(feeds: &[OutputName], snapshot: &Snapshot) -> Option<String> {
    let is_known = |name: &OutputName| {
        *name == OutputName::fortigate() || snapshot.profiles().any(|profile| profile.name == *name)
    };
    let unknown = feeds.iter().find(|name| !is_known(name));
    unknown.map(|name| format!("there is no feed {name}"))
}

/// A certificate tells which device it is.
fn certified(device: &Device, snapshot: &Snapshot) -> Option<String> {
    let has_one = |other: &&Device| other.certificates.iter().any(|own| device.certificates.contains(own));
    let other = snapshot.devices().filter(|other| other.name != device.name).find(has_one)?;
    Some(format!("device {} has that certificate", other.name))
}

fn withdraw(key: OutputKey, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let removed = outputs_of(&key, snapshot);
    if removed.is_empty() {
        return Err(Refusal::Unpublished(key));
    }
    let reader = snapshot.outputs.iter().find_map(|output| match (output, &key) {
        (Output::Device(device), OutputKey::Feed(name)) if device.feeds.contains(name) => Some(&device.name),
        _ => None,
    });
    if let Some(reader) = reader {
        return Err(Refusal::InUse(key, reader.clone()));
    }
    let receipt = Receipt { removed: 1, ..Receipt::default() };
    Ok(Plan { ops: vec![Op::Outputs { removed, added: Vec::new() }], receipt, ..Plan::default() })
}

fn outputs_of(key: &OutputKey, snapshot: &Snapshot) -> Vec<Output> {
    snapshot.outputs.iter().filter(|output| output.key() == *key).cloned().collect()
}

fn suppressions_of(range: IpRange, source: Option<&SourceName>, snapshot: &Snapshot) -> Vec<Suppression> {
    let same = |s: &&Suppression| s.range == range && s.source.as_ref() == source;
    snapshot.suppressions.iter().filter(same).cloned().collect()
}

fn replaced(old: usize) -> Receipt {
    if old == 0 {
        Receipt { added: 1, ..Receipt::default() }
    } else {
        Receipt { changed: 1, ..Receipt::default() }
    }
}
