//! Pushes in the book: where each device is pushed to, how its lists stand there, and where anything was ever sent.

use super::{Audit, Book, note};
use crate::disk::{DiskError, Shelf};
use crate::model::OutputName;
use crate::publish::push::{Place, Standing, Target};
use std::collections::BTreeMap;

const TARGETS: Shelf<&str, Target> = Shelf::new("targets");
const STANDINGS: Shelf<(&str, &str), Standing> = Shelf::new("standings");
const PLACES: Shelf<(&str, &str), Place> = Shelf::new("places");

/// Makes the tables where there are none.
pub(super) fn make(write: &redb::WriteTransaction) -> Result<(), redb::Error> {
    TARGETS.make(write)?;
    STANDINGS.make(write)?;
    PLACES.make(write)
}

impl Book {
    /// Where the lists of each device are pushed to.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn targets(&self) -> Result<BTreeMap<OutputName, Target>, DiskError> {
        self.0.read(|view| {
            let mut all = BTreeMap::new();
            TARGETS.scan::<&str>(view, .., false, |name, target| {
                all.extend(name.parse().ok().map(|name| (name, target)));
                true
            })?;
            Ok(all)
        })
    }

    /// Sets a device's target or takes it away, and forgets how its lists stood.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn set_target(
        &self,
        device: &OutputName,
        target: Option<&Target>,
        audit: &Audit,
    ) -> Result<(), DiskError> {
        let mut feeds = Vec::new();
        self.0.read(|view| {
            STANDINGS.scan::<(&str, &str)>(view, .., false, |(of, feed), _| {
                feeds.extend((of == device.as_str()).then(|| feed.to_owned()));
                true
            })
        })?;
        self.0.write(true, |write| {
            match target {
                Some(target) => TARGETS.put(write, device.as_str(), target)?,
                None => TARGETS.remove(write, device.as_str())?,
            }
            for feed in &feeds {
                STANDINGS.remove(write, (device.as_str(), feed.as_str()))?;
            }
            note(write, audit)
        })
    }

    /// How the list of each feed stands at each device.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn standings(&self) -> Result<BTreeMap<(OutputName, OutputName), Standing>, DiskError> {
        self.0.read(|view| {
            let mut all = BTreeMap::new();
            STANDINGS.scan::<(&str, &str)>(view, .., false, |(device, feed), standing| {
                all.extend(device.parse().ok().zip(feed.parse().ok()).map(|key| (key, standing)));
                true
            })?;
            Ok(all)
        })
    }

    /// Writes down how the list of a feed stands at a device, and where something was sent, by its id, as far as there is
    /// something to say.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn set_standing(
        &self,
        device: &OutputName,
        (feed, standing): (&OutputName, Option<&Standing>),
        place: Option<&(String, Place)>,
    ) -> Result<(), DiskError> {
        let device = device.as_str();
        self.0.write(true, |write| {
            standing.map_or(Ok(()), |standing| STANDINGS.put(write, (device, feed.as_str()), standing))?;
            place.map_or(Ok(()), |(id, place)| PLACES.put(write, (device, id.as_str()), place))
        })
    }

    /// Where anything was ever sent, by device and id.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn places(&self) -> Result<BTreeMap<(OutputName, String), Place>, DiskError> {
        self.0.read(|view| {
            let mut all = BTreeMap::new();
            PLACES.scan::<(&str, &str)>(view, .., false, |(device, id), place| {
                all.extend(device.parse().ok().map(|device| ((device, id.to_owned()), place)));
                true
            })?;
            Ok(all)
        })
    }

    /// Forgets one of them.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn forget_place(&self, (device, id): (&OutputName, &str), audit: &Audit) -> Result<(), DiskError> {
        self.0.write(true, |write| {
            PLACES.remove(write, (device.as_str(), id))?;
            note(write, audit)
        })
    }
}
