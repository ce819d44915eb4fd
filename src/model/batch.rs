//! A batch asks for a change; a journal record says what it changed.

use super::{
    Allow, Day, Detail, Output, OutputKey, Policy, Row, Rows, Source, SourceId, SourceName, SourceRanges,
    Suppression, Time,
};
use crate::addr::{IpRange, Range, Word};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A wish to change the blacklist. The same id again is answered with what it did the first time.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Makes a repeat harmless.
    pub id: Uuid,
    /// Who asks.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What kind of event asks.
    pub cause: Cause,
    /// For what.
    pub change: Change,
}

/// The kinds of events that change the blacklist.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// A file somebody imported.
    Import,
    /// A person's single change.
    Manual,
    /// A collection run.
    Run,
    /// Listings, allows or suppressions whose time has come.
    Expiry,
    /// A source was taken back to what it listed before.
    Rollback,
}

/// What a batch wants.
#[derive(Clone, Debug)]
pub enum Change {
    /// A source lists these.
    List {
        /// Which source; it is made when it is new.
        source: SourceName,
        /// What it lists.
        rows: Rows,
        /// What its silence about the rest means here.
        scope: Scope,
    },
    /// A source's policy; the source is made when it is new.
    Describe {
        /// Which source.
        source: SourceName,
        /// What holds for it from now on.
        policy: Policy,
    },
    /// A complete run found all that the source listed before, and nothing else.
    Seen {
        /// Which source.
        source: SourceName,
    },
    /// A source lists again what it listed at an earlier generation, as it was learned then; nothing of its runs is
    /// taken in until somebody releases it, lest the next one undoes that.
    Restore {
        /// Which source.
        source: SourceName,
        /// All that it listed.
        rows: Rows,
        /// When.
        generation: u64,
    },
    /// Runs of a source are taken in again.
    Release {
        /// Which source.
        source: SourceName,
    },
    /// A source lists these ranges no more.
    Unlist {
        /// Which source.
        source: SourceName,
        /// Exactly these ranges.
        ranges: Vec<IpRange>,
    },
    /// A range becomes exempt; a second allow of the same range replaces the first.
    Allow(Allow),
    /// A range is exempt no more.
    Disallow(IpRange),
    /// A person ends listings; the same range and source again replaces the first.
    Suppress(Suppression),
    /// A suppression is lifted.
    Unsuppress {
        /// Its range.
        range: IpRange,
        /// Its source.
        source: Option<SourceName>,
    },
    /// A feed or a device as it is from now on.
    Publish(Output),
    /// A feed or a device is no more.
    Withdraw(OutputKey),
    /// Whatever has expired ends.
    Expire,
}

impl Change {
    /// The source whose listings or policy are meant; none for what concerns no source, or any.
    pub fn source(&self) -> Option<&SourceName> {
        match self {
            Self::List { source, .. }
            | Self::Describe { source, .. }
            | Self::Seen { source }
            | Self::Restore { source, .. }
            | Self::Release { source }
            | Self::Unlist { source, .. } => Some(source),
            Self::Allow(_)
            | Self::Disallow(_)
            | Self::Suppress(_)
            | Self::Unsuppress { .. }
            | Self::Publish(_)
            | Self::Withdraw(_)
            | Self::Expire => None,
        }
    }
}

/// What the absence of a listing from a [`Change::List`] means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Nothing: the rows are added to what the source lists.
    Part,
    /// The source lists nothing else: absence ends the listing.
    Whole,
    /// All that the source listed on these days: absence ends a listing of such a day. A statement
    /// of a later day about the same range stays, because it is newer than anything in here.
    Window {
        /// The first day, by the source.
        first: Day,
        /// The last day, included.
        last: Day,
    },
}

impl Scope {
    /// Whether absence ends a listing that says `detail`.
    pub fn means(self, detail: &Detail) -> bool {
        match self {
            Self::Part => false,
            Self::Whole => true,
            Self::Window { first, last } => {
                detail.listed.is_some_and(|listed| (first..=last).contains(&listed))
            }
        }
    }

    /// Whether `new` says less than `old` knows: windows come in any order, and of a range that was
    /// listed twice an early one knows only the first time.
    pub fn is_outdated(self, new: &Detail, old: &Detail) -> bool {
        matches!(self, Self::Window { last, .. } if old.listed > Some(last)) && new.listed < old.listed
    }
}

/// Listings taken away and put in place. A listing whose statement changed is in both.
///
/// Holding both sides makes a record reversible, and countable without looking anything up.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// As they were.
    pub removed: Rows,
    /// As they are now.
    pub added: Rows,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// The ranges that are listed no more, sorted; not those whose listing only says something else now.
    pub fn gone<W: SourceRanges>(&self) -> Vec<Range<W>> {
        but(self.removed.family(), self.added.family())
    }

    /// The ranges that were not listed before, sorted.
    pub fn came<W: SourceRanges>(&self) -> Vec<Range<W>> {
        but(self.added.family(), self.removed.family())
    }
}

/// The ranges of `rows` that `others` has not, sorted; both come in the order of rows.
fn but<W: Word>(rows: &[Row<W>], others: &[Row<W>]) -> Vec<Range<W>> {
    let mut others = others.iter().peekable();
    let mut ranges: Vec<Range<W>> = rows
        .iter()
        .filter(|row| {
            while others.next_if(|other| other.key() < row.key()).is_some() {}
            others.peek().is_none_or(|other| other.range != row.range)
        })
        .map(|row| row.range)
        .collect();
    ranges.sort_unstable();
    ranges
}

/// What a batch did, as its sender is told; a repeat of the batch is told the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// The generation that holds the change; the current one if there was nothing to change.
    pub generation: u64,
    /// Listings, allows or suppressions that are new.
    pub added: u64,
    /// Those that say something else now.
    pub changed: u64,
    /// Those that are gone.
    pub removed: u64,
    /// Those that were there already.
    pub unchanged: u64,
    /// Those that say of themselves that they are over: they are not listed, or no more.
    #[serde(default)]
    pub expired: u64,
}

/// What a batch would do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Preview {
    /// What its sender would be told, but for the generation, which is the current one.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// What the counts are to be set against: how many listings the source has, in the window if
    /// there is one. Zero for what is no [`Change::List`].
    pub before: u64,
    /// Listings that would end within a day, and have no such end now: as good as gone.
    #[serde(default)]
    pub ending: u64,
}

/// One step of a record.
#[derive(Clone, Debug)]
pub enum Op {
    /// A source as it is from now on.
    Source(Source),
    /// What one source lists.
    Listings {
        /// Which source.
        source: SourceId,
        /// What changed.
        difference: Difference,
    },
    /// The allowlist.
    Allows {
        /// As they were.
        removed: Vec<Allow>,
        /// As they are now.
        added: Vec<Allow>,
    },
    /// The suppressions.
    Suppressions {
        /// As they were.
        removed: Vec<Suppression>,
        /// As they are now.
        added: Vec<Suppression>,
    },
    /// Feeds and devices.
    Outputs {
        /// As they were.
        removed: Vec<Output>,
        /// As they are now.
        added: Vec<Output>,
    },
}

/// What one batch changed: record N makes generation N.
#[derive(Clone, Debug)]
pub struct Record {
    /// The generation it makes; the first is 1.
    pub generation: u64,
    /// The batch's id.
    pub batch: Uuid,
    /// When, by the wall clock.
    pub time: Time,
    /// The last moment that was believed: the same, unless the wall clock is doubted.
    pub sure: Time,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What kind of event.
    pub cause: Cause,
    /// The steps, in order.
    pub ops: Vec<Op>,
}
