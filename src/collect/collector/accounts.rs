//! Credentials: kept sealed, never given back, and tested in a way that changes nothing else.

use super::ending::Ending;
use super::error::CollectError;
use super::finish::stop_without_attempts;
use super::job::Job;
use super::live::{Live, Place};
use super::{Collector, Inner};
use crate::collect::definition::Kind;
use crate::collect::feed;
use crate::collect::ledger::{Credentials, Retrying};
use crate::collect::run::{Fault, Run, Trigger, Wish};
use crate::disk::{Digest, DiskError, digest};
use crate::model::SourceName;
use crate::vault::VaultError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use zeroize::Zeroizing;

/// An account at a portal. It has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) username: String,
    pub(super) password: Zeroizing<String>,
}

/// What a test of credentials came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Tested {
    /// Whether they were accepted.
    pub accepted: bool,
    /// Why not, or what stands in the way of knowing.
    pub fault: Option<Fault>,
    /// Whether it counts as an attempt to log in: the portal may have heard the password and judged it.
    pub counted: bool,
}

impl Collector {
    /// Sets the credentials of a source. A source that had stopped for the old ones goes on.
    ///
    /// # Errors
    /// [`CollectError::UnknownSource`], [`CollectError::BadCredentials`], or a fault of vault or disk.
    pub async fn set_credentials(
        &self,
        name: &SourceName,
        document: Value,
        actor: &str,
    ) -> Result<(), CollectError> {
        let kind = self.0.definition(name).await?.kind;
        let secret = self.0.secret(name, kind, document)?;
        let (vault, source) = (Arc::clone(&self.0.vault), name.clone());
        let sealed = blocking(move || vault.seal(source.as_str(), &secret)).await?;
        let audit = self.0.audit(actor, "credentials.set", name, "", String::new());
        let (source, now, actor) = (name.clone(), self.0.now(), actor.to_owned());
        let set = self.0.change(move |change| {
            change.credentials(&source, |kept| {
                let version = kept.as_ref().map_or(0, |kept| kept.version) + 1;
                *kept = Some(Credentials::new(version, sealed, now, actor));
            })?;
            change.standing(&source, |standing| {
                // Whoever mends a source wants to see that it works again.
                let mended = standing.stopped.take().map(|_| Retrying::now(now));
                standing.retry = mended.or(standing.retry);
            })?;
            change.audit(&audit)
        });
        set.await?;
        self.0.changed.notify_one();
        Ok(())
    }

    /// Sets an account from the process's environment, if the environment says another one than at the
    /// last start: else each start would undo what somebody has set since.
    ///
    /// # Errors
    /// As [`Collector::set_credentials`]. Where the vault's key is another one or missing, so that what is kept cannot
    /// be compared, and that was refused or never accepted, a person must set it: it may well be the same wrong
    /// password, and each start would send it once more.
    pub async fn set_account(
        &self,
        name: &SourceName,
        username: &str,
        password: &str,
    ) -> Result<(), CollectError> {
        let document = serde_json::json!({"username": username, "password": password});
        let wanted = self.0.secret(name, self.0.definition(name).await?.kind, document.clone())?;
        let said = digest(&[&wanted]);
        let source = name.clone();
        let looked = self.0.look(move |look| Ok((look.standing(&source)?, look.credentials(&source)?)));
        let (standing, kept) = looked.await?;
        let Some(kept) = kept else {
            return self.0.set_from_environment(name, document, said).await;
        };
        let last = self.0.opened_if_any(name, standing.environment.unwrap_or_default()).await?;
        if last.as_ref().is_some_and(|last| **last == said) {
            return Ok(());
        }
        let same = self.0.opened_if_any(name, kept.sealed.clone()).await?;
        match same {
            Some(same) if *same == *wanted => self.0.note_environment(name, said).await,
            // Neither can be opened: nobody knows whether this is another account than that which is kept.
            None if last.is_none() && !(kept.proven && kept.may_attempt(self.0.now()).is_ok()) => {
                Err(CollectError::Vault(VaultError::Sealed(name.to_string())))
            }
            _ => self.0.set_from_environment(name, document, said).await,
        }
    }

    /// Logs in with the kept credentials, and out again.
    ///
    /// # Errors
    /// At once, when it may not be tried: [`CollectError::NoCredentials`], [`CollectError::NoAttempt`],
    /// [`CollectError::Busy`], or a fault of the disk.
    pub async fn test_credentials(&self, name: &SourceName, actor: &str) -> Result<Tested, CollectError> {
        let definition = self.0.definition(name).await?;
        let (run, live, place) = self.0.occupy(name, actor)?;
        let source = name.clone();
        let looked = self.0.look(move |look| Ok((look.standing(&source)?, look.credentials(&source)?)));
        let (standing, kept) = looked.await?;
        let kept = kept.ok_or_else(|| CollectError::NoCredentials(name.clone()))?;
        if definition.kind.is_portal() {
            kept.may_attempt(self.0.now())?;
        }
        let job = Job::new(Arc::clone(&self.0), run, definition, standing, live);
        let inner = Arc::clone(&self.0);
        self.0.see_through(async move { inner.test(job, place).await }).await
    }
}

impl Inner {
    /// Takes the place of a source's run for something that is written nowhere as a run.
    pub(super) fn occupy(
        self: &Arc<Self>,
        source: &SourceName,
        actor: &str,
    ) -> Result<(Run, Arc<Live>, Place), CollectError> {
        if *self.stopping.borrow() {
            return Err(CollectError::Stopping);
        }
        let run = Run::new(source.clone(), Trigger::Person, actor.to_owned(), Wish::default(), self.now());
        let live = Live::new(&run);
        let place = self.enter(source, &live)?;
        Ok((run, live, place))
    }

    /// Logs in and out; the answer counts as that of a run does.
    async fn test(&self, mut job: Job, _place: Place) -> Result<Tested, CollectError> {
        let tested = (self.probe)(&mut job).await;
        self.write_verdict(&job.run.source).await?;
        let (run, now, counted) = (job.run.clone(), self.now(), job.counted);
        let outcome = match &tested {
            Ok(()) => "accepted",
            Err(Ending::Failed { fault, .. }) => fault.code.as_str(),
            Err(Ending::Cancelled | Ending::Interrupted) => "interrupted",
        };
        let audit = self.audit(&run.actor, "credentials.test", &run.source, "", outcome.to_owned());
        let written = self.change(move |change| {
            stop_without_attempts(change, &run, now)?;
            change.audit(&audit)
        });
        written.await?;
        match tested {
            Ok(()) => Ok(Tested { accepted: true, fault: None, counted }),
            Err(Ending::Failed { fault, .. }) => Ok(Tested { accepted: false, fault: Some(fault), counted }),
            Err(Ending::Cancelled | Ending::Interrupted) => Err(CollectError::Stopping),
        }
    }

    /// Makes the account of the environment the source's.
    async fn set_from_environment(
        self: &Arc<Self>,
        source: &SourceName,
        document: Value,
        said: Digest,
    ) -> Result<(), CollectError> {
        Collector(Arc::clone(self)).set_credentials(source, document, "environment").await?;
        self.note_environment(source, said).await
    }

    /// What is sealed, opened; none: it was sealed with another key, or there is nothing.
    async fn opened_if_any(
        &self,
        source: &SourceName,
        sealed: Vec<u8>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        match self.open_sealed(source, sealed).await {
            Ok(opened) => Ok(Some(opened)),
            Err(VaultError::Sealed(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Remembers what the environment said, sealed: a plain digest of a password could be guessed from.
    async fn note_environment(&self, source: &SourceName, said: Digest) -> Result<(), CollectError> {
        let (vault, name) = (Arc::clone(&self.vault), source.clone());
        let sealed = blocking(move || vault.seal(name.as_str(), &said)).await?;
        let source = source.clone();
        let noted = self
            .change(move |change| change.standing(&source, |standing| standing.environment = Some(sealed)));
        Ok(noted.await?)
    }

    /// The credentials as they are sealed: a document of the form that the source's kind uses.
    fn secret(
        &self,
        name: &SourceName,
        kind: Kind,
        document: Value,
    ) -> Result<Zeroizing<Vec<u8>>, CollectError> {
        let bad = |why: &str| CollectError::BadCredentials { source_name: name.clone(), why: why.to_owned() };
        // What serde says of a wrong document could quote it.
        let bytes = match kind {
            Kind::Upload => return Err(bad("nothing is fetched for it")),
            Kind::Regtech | Kind::Secudium => {
                let account: Account =
                    serde_json::from_value(document).map_err(|_| bad("username and password are meant"))?;
                if account.username.trim().is_empty() || account.password.is_empty() {
                    return Err(bad("neither username nor password may be empty"));
                }
                serde_json::to_vec(&account)
            }
            Kind::Feed => {
                let credentials: feed::Credentials = serde_json::from_value(document).map_err(|_| {
                    bad("kind header with name and value, basic with user and password, or query with name and value is meant")
                })?;
                serde_json::to_vec(&credentials)
            }
        };
        bytes.map(Zeroizing::new).map_err(|_| bad("they cannot be written"))
    }

    pub(super) async fn open_sealed(
        &self,
        source: &SourceName,
        sealed: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (vault, source) = (Arc::clone(&self.vault), source.clone());
        blocking(move || vault.open(source.as_str(), &sealed)).await
    }
}

/// The vault reads its key from the disk at the first need.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(DiskError::io("a worker", std::io::Error::other(error)).into()))
}
