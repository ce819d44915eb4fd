//! The webhooks in the book: what each is, what it has been told, and its deliveries.

use super::{Audit, Book, note};
use crate::disk::{DiskError, Shelf};
use crate::model::OutputName;
use crate::publish::webhook::{Change, Delivery, Hook, KeptHook, Known};
use std::collections::BTreeMap;

const HOOKS: Shelf<&str, Hook> = Shelf::new("hooks");
const KNOWN: Shelf<&str, Known> = Shelf::new("hooks_known");
const DELIVERIES: Shelf<(&str, u64), Delivery> = Shelf::new("hooks_deliveries");

/// Makes the tables where there are none.
pub(super) fn make(write: &redb::WriteTransaction) -> Result<(), redb::Error> {
    HOOKS.make(write)?;
    KNOWN.make(write)?;
    DELIVERIES.make(write)
}

impl Book {
    /// Every hook with all that is known of it.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn hooks(&self) -> Result<BTreeMap<OutputName, KeptHook>, DiskError> {
        self.0.read(|view| {
            let mut all: BTreeMap<OutputName, KeptHook> = BTreeMap::new();
            HOOKS.scan::<&str>(view, .., false, |name, hook| {
                all.extend(name.parse().ok().map(|name| (name, KeptHook::new(hook))));
                true
            })?;
            KNOWN.scan::<&str>(view, .., false, |name, known| {
                all.get_mut(name).into_iter().for_each(|kept| kept.known = known.clone());
                true
            })?;
            DELIVERIES.scan::<(&str, u64)>(view, .., false, |(name, number), delivery| {
                let kept = all.get_mut(name);
                kept.into_iter().for_each(|kept| drop(kept.deliveries.insert(number, delivery.clone())));
                true
            })?;
            Ok(all)
        })
    }

    /// Writes down what changes at a hook.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn change_hook(
        &self,
        name: &OutputName,
        change: &Change,
        audit: Option<&Audit>,
    ) -> Result<(), DiskError> {
        let name = name.as_str();
        let Change { hook, known, put, gone } = change;
        self.0.write(true, |write| {
            hook.iter().try_for_each(|hook| HOOKS.put(write, name, hook))?;
            known.iter().try_for_each(|known| KNOWN.put(write, name, known))?;
            put.iter().try_for_each(|one| DELIVERIES.put(write, (name, one.number), one))?;
            gone.iter().try_for_each(|number| DELIVERIES.remove(write, (name, *number)))?;
            audit.map_or(Ok(()), |audit| note(write, audit))
        })
    }

    /// Forgets a hook and the deliveries of these numbers.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn drop_hook(
        &self,
        name: &OutputName,
        mut deliveries: impl Iterator<Item = u64>,
        audit: &Audit,
    ) -> Result<(), DiskError> {
        let name = name.as_str();
        self.0.write(true, |write| {
            HOOKS.remove(write, name)?;
            KNOWN.remove(write, name)?;
            deliveries.try_for_each(|number| DELIVERIES.remove(write, (name, number)))?;
            note(write, audit)
        })
    }
}
