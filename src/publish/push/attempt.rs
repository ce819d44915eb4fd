//! One push of one list: look what the firewall has, decide what to send, send it, and read back until it is proven.

use super::firewall::{Counts, Firewall, PushFault};
use super::lines::List;
use super::pusher::Pace;
use super::standing::Has;
use super::target::Mode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The first pause between two looks; each is twice as long as the one before, up to [`LOOK_MOST`].
const LOOK: Duration = Duration::from_millis(100);
const LOOK_MOST: Duration = Duration::from_secs(5);
/// Counts that fit are believed after so long even though the firewall's clock, which counts seconds, stands still.
const SETTLED: Duration = Duration::from_secs(2);

/// What is pushed, and what is known of the firewall.
pub(super) struct Errand<'a> {
    pub(super) firewall: &'a Firewall,
    /// The firewall's name of the list.
    pub(super) name: &'a str,
    pub(super) mode: Mode,
    /// What it is to have.
    pub(super) list: &'a List,
    /// What it is proven to have, and the lines of that if they are known.
    pub(super) has: Option<(&'a Has, Option<&'a List>)>,
    pub(super) pace: Pace,
}

/// What is to be done, after a look at the firewall.
pub(super) enum Plan<'a> {
    Nothing,
    Changes { added: Vec<&'a str>, removed: Vec<&'a str> },
    Snapshot,
    Refresh,
}

impl<'a> Errand<'a> {
    /// What the firewall says now, and what follows from that. A list that is not what it was proven to be is replaced.
    pub(super) async fn plan(&self) -> Result<(Counts, Plan<'a>), PushFault> {
        let before = self.firewall.counts(self.name).await?;
        let is_there = self.has.is_some_and(|(has, _)| has.is(self.list)) && before.are(self.list.entries);
        let plan = match self.mode {
            _ if is_there => Plan::Nothing,
            Mode::Refresh => Plan::Refresh,
            Mode::Snapshot => Plan::Snapshot,
            Mode::Changes => self.difference(&before),
        };
        Ok((before, plan))
    }

    fn difference(&self, before: &Counts) -> Plan<'a> {
        let Some((has, Some(old))) = self.has else { return Plan::Snapshot };
        if !has.is(old) || !before.are(has.entries) {
            return Plan::Snapshot;
        }
        let (added, removed) = (self.list.without(old), old.without(self.list));
        // A firewall takes longer over many commands than over one list.
        if (added.len() + removed.len()) as u64 >= self.list.entries {
            return Plan::Snapshot;
        }
        Plan::Changes { added, removed }
    }

    /// Does it, and gives the counts that prove it and how it was done in the end.
    pub(super) async fn carry_out(
        &self,
        before: &Counts,
        plan: &Plan<'_>,
    ) -> Result<(Counts, Mode), PushFault> {
        match plan {
            Plan::Nothing => Ok((*before, self.mode)),
            Plan::Refresh => {
                self.firewall.refresh(self.name).await?;
                Ok((self.prove(before).await?, Mode::Refresh))
            }
            Plan::Snapshot => self.replace(before).await,
            Plan::Changes { added, removed } => {
                self.firewall.change(self.name, added, removed).await?;
                match self.prove(before).await {
                    Ok(counts) => Ok((counts, Mode::Changes)),
                    // Something was lost on the way, or was not as it was thought to be.
                    Err(PushFault::Mismatch { .. } | PushFault::Overflow { .. }) => {
                        self.replace(before).await
                    }
                    Err(fault) => Err(fault),
                }
            }
        }
    }

    async fn replace(&self, before: &Counts) -> Result<(Counts, Mode), PushFault> {
        self.firewall.snapshot(self.name, &self.list.lines()).await?;
        Ok((self.prove(before).await?, Mode::Snapshot))
    }

    /// Looks until the counts are those of the list, or the patience is over.
    async fn prove(&self, before: &Counts) -> Result<Counts, PushFault> {
        let (began, mut pause) = (Instant::now(), LOOK);
        loop {
            let counts = self.firewall.counts(self.name).await?;
            // A list of as many entries as before says nothing until the firewall has written it.
            let is_written = counts.updated != before.updated || !before.are(self.list.entries);
            if counts.are(self.list.entries) && (is_written || began.elapsed() >= SETTLED) {
                return Ok(counts);
            }
            if began.elapsed() + pause > self.pace.patience {
                return Err(counts.fault(self.list.entries));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_MOST);
        }
    }
}
