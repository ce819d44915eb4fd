//! The sources of the configuration file, and what becomes of them when it is read again.

use super::error::CollectError;
use super::{Collector, Inner};
use crate::collect::definition::Definition;
use crate::collect::ledger::{Change, Ledger};
use crate::disk::{DiskError, digest, hex};
use crate::model::{SourceName, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Who has the place of a source while its definition changes.
const ACTOR: &str = "configuration";

/// The sources of a configuration.
pub type Configured = BTreeMap<SourceName, Definition>;

impl Collector {
    /// Takes in what the configuration says of sources now: new ones, changed ones, and that some are no more.
    /// Sources at work stay as they are; gives their names, and is to be called again for them.
    ///
    /// # Errors
    /// A faulty disk, and nothing has changed; [`CollectError::Stopping`].
    pub async fn configure(&self, wanted: &Configured) -> Result<Vec<SourceName>, CollectError> {
        let mut configured = Configured::clone(&self.0.configured.load());
        let (mut places, mut busy, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for name in differing(&configured, wanted) {
            match self.0.occupy(&name, ACTOR) {
                Ok((_, _, place)) => places.push(place),
                Err(CollectError::Busy { .. }) => {
                    busy.push(name);
                    continue;
                }
                Err(error) => return Err(error),
            }
            match wanted.get(&name) {
                Some(definition) => configured.insert(name.clone(), definition.clone()),
                None => configured.remove(&name),
            };
            changed.push(name);
        }
        let configured = Arc::new(configured);
        self.0.redefine(changed, Arc::clone(&configured)).await?;
        self.0.configured.store(configured);
        drop(places);
        Ok(busy)
    }
}

impl Inner {
    async fn redefine(&self, names: Vec<SourceName>, configured: Arc<Configured>) -> Result<(), DiskError> {
        let now = self.now();
        self.change(move |change| {
            names.iter().try_for_each(|name| redefine(change, name, configured.get(name), now))
        })
        .await
    }
}

/// The sources of which two configurations do not say the same.
fn differing(one: &Configured, other: &Configured) -> BTreeSet<SourceName> {
    let names = one.keys().chain(other.keys());
    names.filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

/// Takes in what the configuration has come to say of sources since the last start.
pub(super) fn since_last_start(ledger: &Ledger, configured: &Configured, now: Time) -> Result<(), DiskError> {
    let standings = ledger.look(|look| look.standings())?;
    let before = standings.into_iter().filter(|(_, standing)| standing.defined.is_some());
    let names: BTreeSet<SourceName> =
        before.map(|(name, _)| name).chain(configured.keys().cloned()).collect();
    ledger
        .change(|change| names.iter().try_for_each(|name| redefine(change, name, configured.get(name), now)))
}

/// Forgets what was remembered of a source under another definition, and what waits by its rule.
fn redefine(
    change: &Change<'_>,
    name: &SourceName,
    definition: Option<&Definition>,
    now: Time,
) -> Result<(), redb::Error> {
    // Plain data: there is nothing in it that could fail to serialise.
    let defined = |said| hex(&digest(&[&serde_json::to_vec(said).unwrap_or_default()]));
    let (defined, rule) = (definition.map(defined), definition.map_or_else(String::new, Definition::rule));
    change.standing(name, |standing| {
        if standing.defined != defined {
            standing.redefine(rule, now);
            standing.defined = defined;
        }
    })
}
