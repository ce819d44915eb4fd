//! The sources that are collected: the two portals, those of the configuration file, and those that
//! people define over the API.

use super::error::CollectError;
use super::live::Progress;
use super::{Collector, Inner};
use crate::collect::catalog::CATALOG;
use crate::collect::definition::{Definition, Kind};
use crate::collect::ledger::{Hindrance, Look, NoAttempt, Retrying, Standing, Stopped};
use crate::collect::run::State;
use crate::disk::DiskError;
use crate::model::{self, Cause, SourceName, Time};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Where a definition comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The program knows it.
    Builtin,
    /// The configuration file.
    Config,
    /// A person, over the API.
    Api,
}

/// A source with all that is known of it.
pub(super) struct Known {
    pub(super) name: SourceName,
    pub(super) origin: Origin,
    pub(super) definition: Definition,
    pub(super) standing: Standing,
    pub(super) has_credentials: bool,
}

impl Known {
    /// Whether it is fetched by itself. A portal is not before it has an account.
    pub(super) fn is_on(&self) -> bool {
        let wanted = self.standing.enabled.unwrap_or(self.definition.enabled);
        wanted && (self.has_credentials || !self.definition.kind.is_portal())
    }

    fn next(&self) -> Option<Time> {
        let retry = self.standing.retry.map(|retry| retry.at);
        retry
            .or(self.standing.next.map(|next| next.due))
            .filter(|_| self.is_on() && self.standing.stopped.is_none())
    }
}

/// A source as people see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SourceView {
    /// Its name.
    pub name: SourceName,
    /// Where its definition comes from.
    pub origin: Origin,
    /// What it is.
    pub definition: Definition,
    /// Whether it is fetched by itself.
    pub enabled: bool,
    /// Whether credentials are kept for it.
    pub credentials: bool,
    /// How its run stands, or stood when it ended.
    pub state: Option<State>,
    /// When its next run is due.
    pub next_run: Option<Time>,
    /// When its last complete run ended.
    pub last_success: Option<Time>,
    /// Its last run.
    pub last_run: Option<uuid::Uuid>,
    /// Why it stands still.
    pub stopped: Option<Stopped>,
    /// The retry that waits.
    pub retry: Option<Retrying>,
    /// What somebody may have to mend, though it is tried again by itself.
    pub hindered: Option<Hindrance>,
    /// The date of the last document that was believed.
    pub dated: Option<Time>,
}

impl Collector {
    /// Every source that is collected, by name.
    ///
    /// # Errors
    /// A faulty disk.
    pub async fn sources(&self) -> Result<Vec<SourceView>, CollectError> {
        let mut views = Vec::new();
        for known in self.0.known().await? {
            views.push(self.0.view(known).await?);
        }
        Ok(views)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`CollectError::UnknownSource`], or a faulty disk.
    pub async fn source(&self, name: &SourceName) -> Result<SourceView, CollectError> {
        let known = self.0.known_as(name).await?;
        Ok(self.0.view(known).await?)
    }

    /// Defines a source, or defines it anew.
    ///
    /// # Errors
    /// [`CollectError::BadDefinition`], [`CollectError::Configured`], [`CollectError::Exists`] when it
    /// must be `new` and is not, [`CollectError::Busy`], or a faulty disk.
    pub async fn define(
        &self,
        name: SourceName,
        definition: Definition,
        actor: &str,
        new: bool,
    ) -> Result<SourceView, CollectError> {
        definition.check_as(&name)?;
        if self.0.configured.load().contains_key(&name) {
            return Err(CollectError::Configured(name));
        }
        let (_, _, place) = self.0.occupy(&name, actor)?;
        let audit = self.0.audit(actor, "source.define", &name, "", definition.kind.as_str().to_owned());
        let (source, now) = (name.clone(), self.0.now());
        let defined = self.0.change(move |change| {
            if new && change.is_defined(&source)? {
                return Ok(false);
            }
            change.define(&source, &definition)?;
            change.standing(&source, |standing| standing.redefine(definition.rule(), now))?;
            change.audit(&audit)?;
            Ok(true)
        });
        if !defined.await? {
            return Err(CollectError::Exists(name));
        }
        drop(place);
        self.source(&name).await
    }

    /// Forgets a source; its listings stay until they end by themselves or a person ends them.
    ///
    /// # Errors
    /// [`CollectError::UnknownSource`], [`CollectError::Configured`], [`CollectError::Builtin`],
    /// [`CollectError::Busy`], or a faulty disk.
    pub async fn remove(&self, name: &SourceName, actor: &str) -> Result<(), CollectError> {
        let known = self.0.known_as(name).await?;
        match known.origin {
            Origin::Api => {}
            Origin::Config => return Err(CollectError::Configured(name.clone())),
            Origin::Builtin => return Err(CollectError::Builtin(name.clone())),
        }
        let (_, _, _place) = self.0.occupy(name, actor)?;
        let audit = self.0.audit(actor, "source.remove", name, "", String::new());
        let source = name.clone();
        let removed = self.0.change(move |change| {
            change.forget(&source)?;
            change.audit(&audit)
        });
        Ok(removed.await?)
    }

    /// Lets a source that was taken back be collected again, if it is one; says whether. It is asked as if for the
    /// first time: what was remembered of it had led to what was undone.
    ///
    /// # Errors
    /// [`CollectError::Busy`] while a run of before goes on, a faulty disk, or the blacklist's refusal.
    pub async fn release(&self, name: &SourceName, actor: &str) -> Result<bool, CollectError> {
        if !self.0.is_held(name) {
            return Ok(false);
        }
        let (_, _, _place) = self.0.occupy(name, actor)?;
        let audit = self.0.audit(actor, "source.release", name, "", String::new());
        let source = name.clone();
        let forgotten = self.0.change(move |change| {
            change.standing(&source, |standing| {
                (standing.memory, standing.checkpoint, standing.begun) = Default::default();
            })?;
            change.audit(&audit)
        });
        forgotten.await?;
        // Last: if it fails, the source is held still, and can be released again.
        let release = model::Change::Release { source: name.clone() };
        self.0.submit_as(actor, "released", Cause::Manual, release).await?;
        self.0.changed.notify_one();
        Ok(true)
    }

    /// Switches a source on, and nothing else: one that stands still, or was taken back, or may not log in, waits for
    /// somebody who knows why ([`Self::enable`], [`Self::release`]).
    ///
    /// # Errors
    /// [`CollectError::Held`], [`CollectError::Stopped`], [`CollectError::NoAttempt`] for those,
    /// [`CollectError::UnknownSource`], or a faulty disk.
    pub async fn switch_on(&self, name: &SourceName, actor: &str) -> Result<SourceView, CollectError> {
        if self.0.is_held(name) {
            return Err(CollectError::Held(name.clone()));
        }
        if let Some(stopped) = self.0.known_as(name).await?.standing.stopped {
            return Err(CollectError::Stopped(stopped.fault));
        }
        let (source, now) = (name.clone(), self.0.now());
        if let Some(kept) = self.0.look(move |look| look.credentials(&source)).await? {
            kept.may_attempt(now)?;
        }
        let audit = self.0.audit(actor, "source.enable", name, "", String::new());
        let source = name.clone();
        let switched = self.0.change(move |change| {
            change.standing(&source, |standing| standing.enabled = Some(true))?;
            change.audit(&audit)
        });
        switched.await?;
        self.0.changed.notify_one();
        self.source(name).await
    }

    /// Switches a source on or off. Switching on also says that a person has seen why it stopped, unless only
    /// other credentials help.
    ///
    /// # Errors
    /// [`CollectError::UnknownSource`], or a faulty disk.
    pub async fn enable(&self, name: &SourceName, on: bool, actor: &str) -> Result<SourceView, CollectError> {
        self.0.known_as(name).await?;
        let action = if on { "source.enable" } else { "source.disable" };
        let audit = self.0.audit(actor, action, name, "", String::new());
        let (source, now) = (name.clone(), self.0.now());
        let switched = self.0.change(move |change| {
            let (usable, waited) = change.credentials(&source, |kept| {
                let Some(kept) = kept else { return (true, false) };
                let waited = on && matches!(kept.may_attempt(now), Err(NoAttempt::Pausing(_)));
                if on {
                    kept.trust();
                }
                (kept.may_attempt(now).is_ok(), waited)
            })?;
            change.standing(&source, |standing| {
                standing.enabled = Some(on);
                let seen = standing.stopped.take_if(|stopped| on && (usable || !stopped.credentials));
                let mended = seen.map(|_| Retrying::now(now));
                let sooner = |retry: Retrying| Retrying { at: if waited { now } else { retry.at }, ..retry };
                standing.retry = mended.or(standing.retry.filter(|_| on).map(sooner));
            })?;
            change.audit(&audit)
        });
        switched.await?;
        self.0.changed.notify_one();
        self.source(name).await
    }
}

impl Inner {
    /// Whether a source was taken back and nothing of it is wanted. Where the blacklist is elsewhere, that is known a
    /// moment later; its writer refuses what came too early.
    pub(super) fn is_held(&self, name: &SourceName) -> bool {
        self.engine.snapshot().source(name.as_str()).is_some_and(|source| source.held.is_some())
    }

    /// What a source is. To one that nobody has defined, and that the blacklist knows because people import into
    /// it, files may be brought: they mean what its listings mean there.
    pub(super) async fn definition(&self, name: &SourceName) -> Result<Definition, CollectError> {
        match self.known_as(name).await {
            Ok(known) => Ok(known.definition),
            Err(CollectError::UnknownSource(name)) => {
                let snapshot = self.engine.snapshot();
                let source = snapshot.source(name.as_str()).ok_or(CollectError::UnknownSource(name))?;
                Ok(Definition { policy: source.policy.clone(), ..Definition::new(Kind::Upload) })
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn known_as(&self, name: &SourceName) -> Result<Known, CollectError> {
        let (configured, source) = (self.configured.load().get(name).cloned(), name.clone());
        let found = self.look(move |look| {
            let said = match configured {
                Some(definition) => Some((Origin::Config, definition)),
                None => look.definition(&source)?.map(|definition| (Origin::Api, definition)),
            };
            let said = said.or_else(|| BUILTIN.get(&source).cloned());
            said.map(|(origin, definition)| known(look, source, origin, definition)).transpose()
        });
        found.await?.ok_or_else(|| CollectError::UnknownSource(name.clone()))
    }

    /// Every source: the file's word counts more than the API's, and that more than what is built in.
    pub(super) async fn known(&self) -> Result<Vec<Known>, DiskError> {
        let mut all = BUILTIN.clone();
        let configured = self.configured.load_full();
        self.look(move |look| {
            all.extend(look.definitions()?.into_iter().map(|(name, said)| (name, (Origin::Api, said))));
            let config =
                |(name, said): (&SourceName, &Definition)| (name.clone(), (Origin::Config, said.clone()));
            all.extend(configured.iter().map(config));
            all.into_iter().map(|(name, (origin, said))| known(look, name, origin, said)).collect()
        })
        .await
    }

    async fn view(&self, known: Known) -> Result<SourceView, DiskError> {
        let state = match (self.live.of(&known.name), known.standing.last_run) {
            (Some(live), _) => Some(Progress::clone(&live.progress.borrow()).run.state),
            (None, Some(run)) => self.look(move |look| look.run(run)).await?.map(|run| run.state),
            (None, None) => None,
        };
        let (enabled, next_run) = (known.is_on(), known.next());
        let Standing { last_success, last_run, stopped, retry, hindered, memory, .. } = known.standing;
        Ok(SourceView {
            name: known.name,
            origin: known.origin,
            definition: known.definition,
            enabled,
            credentials: known.has_credentials,
            state,
            next_run,
            last_success,
            last_run,
            stopped,
            retry,
            hindered,
            dated: memory.dated,
        })
    }
}

fn known(
    look: &Look<'_>,
    name: SourceName,
    origin: Origin,
    definition: Definition,
) -> Result<Known, redb::Error> {
    let standing = look.standing(&name)?;
    let has_credentials = look.credentials(&name)?.is_some();
    Ok(Known { name, origin, definition, standing, has_credentials })
}

/// What the program knows by itself.
static BUILTIN: LazyLock<BTreeMap<SourceName, (Origin, Definition)>> = LazyLock::new(builtin);

/// The portals, fetched as soon as there is an account for them, and the lists of the catalogue, each
/// off until somebody switches it on.
fn builtin() -> BTreeMap<SourceName, (Origin, Definition)> {
    let lists = CATALOG.iter().filter_map(|entry| Some((entry.name, Definition::of_catalog(entry).ok()?)));
    let portals =
        [("regtech", Definition::new(Kind::Regtech)), ("secudium", Definition::new(Kind::Secudium))];
    // The names are constants that the parser of names takes; a test says so.
    let named =
        |(name, definition): (&str, Definition)| Some((name.parse().ok()?, (Origin::Builtin, definition)));
    portals.into_iter().chain(lists).filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_well_defined_and_lists_are_off() {
        let known = builtin();
        assert_eq!(known.len(), CATALOG.len() + 2);
        for (name, (_, definition)) in &known {
            definition.check().unwrap();
            assert!(definition.schedule().unwrap().is_some(), "{name}");
            assert_eq!(definition.enabled, definition.kind.is_portal(), "{name}");
        }
    }
}
