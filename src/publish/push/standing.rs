//! How a feed stands at a firewall: what it is proven to have, when it was proven, what is wrong. Plain data.

use super::firewall::Counts;
use super::lines::List;
use super::target::Mode;
use crate::addr::IpSet;
use crate::disk::{hex, unhex};
use crate::model::Time;
use crate::publish::outgoing::Trouble;
use crate::publish::{Mark, Packed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a feed stands at a firewall.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// The list that the firewall has; none while a push is under way, or after one that broke off.
    pub(super) has: Option<Has>,
    /// What was sent and is not proven.
    pub(super) sent: Option<Sent>,
    /// Of which release the last proof is.
    pub(super) mark: Option<Mark>,
    /// The last proof of what it enforces.
    pub enforced: Option<Proof>,
    /// What is wrong, if anything is.
    pub trouble: Option<Trouble>,
}

impl Standing {
    /// After a push of what is kept of a list of which nothing is released: no newer one is proven to be there.
    pub(super) fn keeps(
        self,
        (list, kept): (&List, &IpSet),
        counts: &Counts,
        (by, at): (Mode, Time),
    ) -> Self {
        let has =
            |mark| Has { kept: Some(hex(Packed::of(kept).bytes())), ..Has::of(mark, list, counts.updated) };
        let Counts { valid, invalid, overflow, status, .. } = *counts;
        let proof =
            |proof| Proof { entries: list.entries, valid, invalid, overflow, status, by, at, ..proof };
        Self { has: self.mark.map(has), sent: None, enforced: self.enforced.map(proof), ..self }
    }
}

/// A list that a firewall has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Has {
    pub(super) mark: Mark,
    pub(super) entries: u64,
    /// Of the lines, so that a difference is only ever made from exactly these.
    pub(super) digest: String,
    /// When the firewall wrote it, by its clock; it has something else when that moves.
    pub(super) updated: Option<u64>,
    /// What the list is where it is not that of the mark but what was kept of it, packed, in hexadecimal digits.
    kept: Option<String>,
}

/// A list that was sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    digest: String,
    /// When the firewall had written last before it was sent this list the first time: it may write long after.
    pub(super) updated: Option<u64>,
}

impl Sent {
    pub(super) fn of(list: &List, updated: Option<u64>) -> Self {
        Self { digest: hex(&list.digest), updated }
    }

    pub(super) fn is(&self, list: &List) -> bool {
        self.digest == hex(&list.digest)
    }
}

impl Has {
    pub(super) fn of(mark: Mark, list: &List, updated: Option<u64>) -> Self {
        Self { mark, entries: list.entries, digest: hex(&list.digest), updated, kept: None }
    }

    /// What the list is where it is not that of the mark.
    pub(super) fn kept(&self) -> Option<IpSet> {
        let packed = Packed::from_bytes(&unhex(self.kept.as_ref()?)?).ok()?;
        Some(packed.unpack())
    }

    pub(super) fn is(&self, list: &List) -> bool {
        self.digest == hex(&list.digest)
    }
}

/// What the firewall said of a list after it had got it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// The generation in which the list appeared.
    pub generation: u64,
    /// Entries of the list.
    pub entries: u64,
    /// Those that the firewall enforces.
    pub valid: u64,
    /// Those that it could not read; none where it does not tell.
    pub invalid: Option<u64>,
    /// Whether it had more than it takes.
    pub overflow: bool,
    /// The status of its answer.
    pub status: u16,
    /// How the list got there.
    pub by: Mode,
    /// When it was proven.
    pub at: Time,
    /// Seconds from the list's release to the proof.
    pub seconds: f64,
    /// Seconds from the generation's own time to the proof.
    pub change_seconds: f64,
}
