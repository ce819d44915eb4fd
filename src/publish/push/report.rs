//! What is known of the lists of a device, put together for whoever shows it: proven, behind, in trouble.

use super::ledger::Ledger;
use super::standing::Proof;
use super::target::Target;
use crate::model::{Device, OutputName, Time};
use crate::publish::Feeds;
use crate::publish::outgoing::Trouble;

/// A device that is pushed to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where.
    pub target: Target,
    /// Its lists.
    pub lists: Vec<ListReport>,
}

/// A list of it.
#[derive(Clone, Debug)]
pub struct ListReport {
    /// The feed.
    pub feed: OutputName,
    /// The firewall's name of it.
    pub name: String,
    /// The generation of what is released, an empty list too; none before the first.
    pub released: Option<u64>,
    /// The last proof.
    pub enforced: Option<Proof>,
    /// Since when something is released that the firewall is not proven to enforce.
    pub behind_since: Option<Time>,
    /// What is wrong.
    pub trouble: Option<Trouble>,
}

impl ListReport {
    /// What needs somebody: nothing helps but a person, or it is behind for longer than `patience` seconds.
    pub fn is_late(&self, now: Time, patience: i64) -> bool {
        let waits = self.behind_since.is_some_and(|since| now.unix() - since.unix() > patience);
        waits || self.trouble.as_ref().is_some_and(|trouble| trouble.stopped)
    }
}

impl Ledger {
    /// What is known of a device; none: nothing is pushed to it.
    pub fn report(&self, feeds: &Feeds, device: &Device) -> Option<Report> {
        let target = self.target(&device.name)?;
        let mut standings = self.standings(&device.name);
        let one = |(feed, name): (OutputName, String)| {
            let standing = standings.remove(&feed).unwrap_or_default();
            let found = feeds.get(feed.as_str());
            let mark = found.as_ref().and_then(|feed| Some(feed.mark()?.0));
            let has = standing.mark.filter(|_| standing.enforced.is_some());
            let is_behind = mark.is_some_and(|mark| !has.is_some_and(|has| has.is_of(&mark)));
            let renewed = || found.as_ref()?.renewed_after(&has?);
            let released = mark.map(|mark| mark.generation);
            let behind_since = is_behind.then(|| renewed().unwrap_or(target.since));
            let (enforced, trouble) = (standing.enforced, standing.trouble);
            ListReport { feed, name, released, enforced, behind_since, trouble }
        };
        let lists = target.lists(device).into_iter().map(one).collect();
        Some(Report { target, lists })
    }
}
