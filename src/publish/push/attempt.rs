//! One push of one list: look what the firewall has, decide what to send, send it, and read back until it is proven.

use super::firewall::{Counts, Firewall, PushFault};
use super::lines::List;
use super::pusher::Pace;
use super::standing::{Has, Sent};
use super::target::Mode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The first pause between two looks; each is twice as long as the one before, up to [`LOOK_MOST`].
const LOOK: Duration = Duration::from_millis(100);
const LOOK_MOST: Duration = Duration::from_secs(5);

/// What is pushed, and what is known of the firewall.
pub(super) struct Errand<'a> {
    pub(super) firewall: &'a Firewall,
    /// The firewall's name of the list.
    pub(super) name: &'a str,
    pub(super) mode: Mode,
    /// What it is to have.
    pub(super) list: &'a List,
    /// Whether an empty list may be sent as one: its profile says so. Else what people or time took out of it is taken
    /// away line by line.
    pub(super) may_be_empty: bool,
    /// What it is proven to have, and the lines of that if they are known.
    pub(super) has: Option<(&'a Has, Option<&'a List>)>,
    /// What was sent before and is not proven.
    pub(super) sent: Option<&'a Sent>,
    /// How often the firewall itself was given this release, where that is known.
    pub(super) fetched: &'a (dyn Fn() -> u64 + Sync),
    pub(super) pace: Pace,
}

/// What was seen before a list was sent.
pub(super) struct Before {
    pub(super) counts: Counts,
    fetched: u64,
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
    pub(super) async fn plan(&self) -> Result<(Before, Plan<'a>), PushFault> {
        let counts = self.firewall.counts(self.name).await?;
        let is_there = self.is_untouched(&counts) && counts.went_well();
        let plan = match self.mode {
            _ if is_there || (self.list.entries == 0 && counts.are(0)) => Plan::Nothing,
            Mode::Changes => self.difference(&counts),
            _ if !self.may_send_whole() => return Err(PushFault::Emptied { valid: counts.valid }),
            Mode::Refresh => Plan::Refresh,
            Mode::Snapshot => Plan::Snapshot,
        };
        let plan = match plan {
            Plan::Snapshot if !self.may_send_whole() => {
                return Err(PushFault::Emptied { valid: counts.valid });
            }
            plan => plan,
        };
        Ok((Before { counts, fetched: (self.fetched)() }, plan))
    }

    fn may_send_whole(&self) -> bool {
        self.list.entries > 0 || self.may_be_empty
    }

    /// Whether the firewall is proven to have the list, and has not written one since.
    fn is_untouched(&self, counts: &Counts) -> bool {
        let is_same = |has: &Has| has.is(self.list) && has.updated == counts.updated;
        self.has.is_some_and(|(has, _)| is_same(has)) && counts.are(self.list.entries)
    }

    fn difference(&self, before: &Counts) -> Plan<'a> {
        let Some((has, Some(old))) = self.has else { return Plan::Snapshot };
        if !has.is(old) || !before.are(has.entries) || has.updated != before.updated {
            return Plan::Snapshot;
        }
        let (added, removed) = (self.list.without(old), old.without(self.list));
        // A firewall takes longer over many commands than over one list.
        if (added.len() + removed.len()) as u64 >= self.list.entries && self.may_send_whole() {
            return Plan::Snapshot;
        }
        Plan::Changes { added, removed }
    }

    /// Does it, and gives the counts that prove it and how it was done in the end.
    pub(super) async fn carry_out(
        &self,
        before: &Before,
        plan: &Plan<'_>,
    ) -> Result<(Counts, Mode), PushFault> {
        match plan {
            Plan::Nothing => Ok((before.counts, self.mode)),
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
                    Err(
                        PushFault::Mismatch { .. } | PushFault::Overflow { .. } | PushFault::Unproven { .. },
                    ) if self.may_send_whole() => self.replace(before).await,
                    Err(fault) => Err(fault),
                }
            }
        }
    }

    async fn replace(&self, before: &Before) -> Result<(Counts, Mode), PushFault> {
        self.firewall.snapshot(self.name, &self.list.lines()).await?;
        Ok((self.prove(before).await?, Mode::Snapshot))
    }

    /// Looks until the counts are those of the list and of nothing older, or the patience is over.
    async fn prove(&self, before: &Before) -> Result<Counts, PushFault> {
        let (began, mut pause) = (Instant::now(), LOOK);
        loop {
            let counts = self.firewall.counts(self.name).await?;
            if counts.are(self.list.entries) && counts.went_well() && self.is_written(before, &counts) {
                return Ok(counts);
            }
            if began.elapsed() + pause > self.pace.patience {
                return Err(counts.fault(self.list.entries));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_MOST);
        }
    }

    /// Whether the counts are of something that the firewall has written since it was sent this list, which a list of
    /// as many entries as before does not tell by itself. What it has fetched here, it has, whether or not that was new
    /// to it; and what was proven stays so while nothing else is written.
    fn is_written(&self, before: &Before, counts: &Counts) -> bool {
        let sent = self.sent.filter(|sent| sent.is(self.list));
        let then = sent.map_or(before.counts.updated, |sent| sent.updated);
        counts.updated != then
            || !before.counts.are(self.list.entries)
            || (self.mode == Mode::Refresh && (self.fetched)() > before.fetched)
            || (counts.updated.is_some() && self.is_untouched(counts))
    }
}
