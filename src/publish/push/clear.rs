//! Emptying a list that nobody pushes any more: a deliberate step, for a reason, and read back like every other.

use super::attempt::Errand;
use super::firewall::PushFault;
use super::lines::List;
use super::place::{Place, Remnant};
use super::pusher::Pusher;
use super::target::{Mode, Target};
use crate::addr::IpSet;
use crate::disk::DiskError;
use crate::model::Profile;
use crate::publish::book::Audit;

/// Why a list was not cleared.
#[derive(Debug, thiserror::Error)]
pub enum NotCleared {
    /// There is none of that id, or it is pushed to again.
    #[error("nothing of that id is left on a firewall")]
    Unknown,
    /// The firewall did not take it; what is there stays known.
    #[error(transparent)]
    Firewall(#[from] PushFault),
    /// It is done, and cannot be written down.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Pusher {
    /// What is left on firewalls under this id.
    ///
    /// # Errors
    /// [`NotCleared::Unknown`].
    pub fn remnant(&self, id: &str) -> Result<Remnant, NotCleared> {
        self.publisher.remnants().into_iter().find(|remnant| remnant.id == id).ok_or(NotCleared::Unknown)
    }

    /// Empties a list on its firewall, reads back that it is empty, and forgets it. A list that is there no more is
    /// as good.
    ///
    /// # Errors
    /// [`NotCleared`]; it is told as left until it is done.
    pub async fn clear(&self, id: &str) -> Result<Remnant, NotCleared> {
        let remnant = self.remnant(id)?;
        let Remnant { device, place: Place { list, feed, target, .. }, .. } = &remnant;
        let firewall = self.firewall(device, &self.reached(&remnant))?;
        let nothing = List::of(&Profile::new(feed.clone()), &IpSet::default());
        let nothing = nothing.map_err(|error| PushFault::Ours(error.to_string()))?;
        let errand = Errand {
            firewall: &firewall,
            name: list,
            mode: Mode::Snapshot,
            list: &nothing,
            may_be_empty: true,
            has: None,
            sent: None,
            fetched: &|| 0,
            pace: self.settings.pace,
        };
        let emptied = async {
            let (before, plan) = errand.plan().await?;
            errand.carry_out(&before, &plan).await
        };
        match emptied.await {
            Ok(_) | Err(PushFault::NoList(_)) => {}
            Err(fault) => return Err(fault.into()),
        }
        if self.ledger().target(device).is_some_and(|now| now.url == target.url) {
            // Should it have become a list of the device's again meanwhile, it has to be sent again.
            drop(self.push_now(device));
        }
        Ok(remnant)
    }

    /// Forgets what is left under this id, whatever the firewall has. Blocks on the disk.
    ///
    /// # Errors
    /// [`NotCleared::Unknown`] and faults of the disk.
    pub fn forget(&self, remnant: &Remnant, audit: &Audit) -> Result<(), NotCleared> {
        Ok(self.ledger().forget_place(self.book()?, (&remnant.device, &remnant.id), audit)?)
    }

    /// The target by which the firewall of a remnant is reached: the device's own where that is of the same firewall, since
    /// its key is newer.
    fn reached(&self, Remnant { device, place, .. }: &Remnant) -> Target {
        let own = self.ledger().target(device).filter(|target| target.url == place.target.url);
        let vdom = place.target.vdom.clone();
        own.map_or_else(|| place.target.clone(), |own| Target { vdom, ..own })
    }
}
