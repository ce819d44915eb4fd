//! The targets and how each list stands, in memory and in the book: who shows them waits for no disk.

use super::place::{Place, Places, Remnant, remnants};
use super::standing::Standing;
use super::target::Target;
use crate::disk::DiskError;
use crate::model::{Device, OutputName};
use crate::publish::book::{Audit, Book};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What is known of pushing.
#[derive(Debug, Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
    /// Held by whoever writes, so that readers wait for no disk.
    turn: Mutex<()>,
    /// Told whenever a target changes.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    targets: BTreeMap<OutputName, Target>,
    standings: BTreeMap<(OutputName, OutputName), Standing>,
    places: Places,
}

impl Ledger {
    /// What the book remembers.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn open(book: &Book) -> Result<Self, DiskError> {
        let inner = Inner { targets: book.targets()?, standings: book.standings()?, places: book.places()? };
        Ok(Self { inner: Mutex::new(inner), ..Self::default() })
    }

    /// Announces every change of a target.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The target of a device.
    pub fn target(&self, device: &OutputName) -> Option<Target> {
        self.inner().targets.get(device).cloned()
    }

    /// All of them.
    pub(super) fn targets(&self) -> BTreeMap<OutputName, Target> {
        self.inner().targets.clone()
    }

    /// How the lists of a device stand, by feed.
    pub fn standings(&self, device: &OutputName) -> BTreeMap<OutputName, Standing> {
        let inner = self.inner();
        let own = inner.standings.iter().filter(|((of, _), _)| of == device);
        own.map(|((_, feed), standing)| (feed.clone(), standing.clone())).collect()
    }

    /// What was pushed and is pushed to none of `devices` any more.
    pub(in crate::publish) fn remnants<'a>(&self, devices: impl Iterator<Item = &'a Device>) -> Vec<Remnant> {
        let inner = self.inner();
        remnants(&inner.places, &inner.targets, devices)
    }

    /// Forgets where a device was pushed to. Blocks on the disk.
    pub(super) fn forget_place(
        &self,
        book: &Book,
        (device, id): (&OutputName, &str),
        audit: &Audit,
    ) -> Result<(), DiskError> {
        let _turn = self.turn();
        book.forget_place((device, id), audit)?;
        self.inner().places.remove(&(device.clone(), id.to_owned()));
        Ok(())
    }

    /// Sets a device's target, or takes it away, and forgets how its lists stood: at another firewall nothing is
    /// certain. Where they were stays known. Blocks on the disk.
    pub(in crate::publish) fn set_target(
        &self,
        book: &Book,
        device: &OutputName,
        target: Option<Target>,
        audit: &Audit,
    ) -> Result<(), DiskError> {
        let _turn = self.turn();
        book.set_target(device, target.as_ref(), audit)?;
        let mut inner = self.inner();
        inner.standings.retain(|(of, _), _| of != device);
        match target {
            Some(target) => drop(inner.targets.insert(device.clone(), target)),
            None => drop(inner.targets.remove(device)),
        }
        drop(inner);
        self.news.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Writes down where something was sent, whatever has become of the target meanwhile; and how the list stands at
    /// `target`, unless the device has another one by now. Blocks on the disk.
    pub(super) fn set_standing(
        &self,
        book: &Book,
        (device, target): (&OutputName, &Target),
        feed: &OutputName,
        (standing, place): (Standing, Option<Place>),
    ) -> Result<(), DiskError> {
        let _turn = self.turn();
        let standing = Some(standing).filter(|_| self.target(device).as_ref() == Some(target));
        let place = place.map(|place| (place.id(device), place));
        book.set_standing(device, (feed, standing.as_ref()), place.as_ref())?;
        let mut inner = self.inner();
        if let Some(standing) = standing {
            inner.standings.insert((device.clone(), feed.clone()), standing);
        }
        if let Some((id, place)) = place {
            inner.places.insert((device.clone(), id), place);
        }
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
