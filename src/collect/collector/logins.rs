//! Attempts to log in: each is written down before it is made, and its answer after.
//!
//! An answer that the disk did not take is kept here and written before anything else is asked of its
//! portal: a refusal that got lost would let the same wrong password be sent again.

use super::Inner;
use super::ending::Ending;
use super::job::Job;
use super::live::locked;
use crate::collect::ledger::{Answer, Change, NoAttempt};
use crate::disk::DiskError;
use crate::fetch::Failure;
use crate::model::{SourceName, Time};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// What a portal said to an attempt.
#[derive(Clone, Debug)]
struct Verdict {
    /// Of which version of the credentials it was one.
    version: u64,
    /// When it began.
    began: Time,
    answer: Answer,
}

impl Verdict {
    /// Writes it down. It says nothing of credentials that were set since.
    fn note(self, change: &Change<'_>, source: &SourceName) -> Result<(), redb::Error> {
        change.credentials(source, |kept| {
            if let Some(kept) = kept.as_mut().filter(|kept| kept.version == self.version) {
                kept.answer(self.began, self.answer);
            }
        })
    }
}

/// What is not on the disk yet, by source.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<BTreeMap<SourceName, Verdict>>);

impl Inner {
    /// Writes down what was said to the last attempt, where that is still to be done; no attempt may be made
    /// before.
    pub(super) async fn write_verdict(&self, source: &SourceName) -> Result<(), DiskError> {
        let Some(verdict) = locked(&self.verdicts.0).get(source).cloned() else { return Ok(()) };
        let name = source.clone();
        self.change(move |change| verdict.note(change, &name)).await?;
        locked(&self.verdicts.0).remove(source);
        Ok(())
    }
}

impl Job {
    /// The source's credentials, opened.
    pub(super) async fn credentials<T: DeserializeOwned>(&self) -> Result<Option<T>, Ending> {
        let source = self.run.source.clone();
        match self.inner().look(move |look| look.credentials(&source)).await? {
            Some(kept) => self.opened(kept.sealed).await.map(Some),
            None => Ok(None),
        }
    }

    async fn opened<T: DeserializeOwned>(&self, sealed: Vec<u8>) -> Result<T, Ending> {
        let opened = self.inner().open_sealed(&self.run.source, sealed).await?;
        // What serde says of the text could quote it.
        serde_json::from_slice(&opened).map_err(|_| {
            let cure = "the credentials are none that this source can use; set them again";
            Ending::new(Failure::Credentials, "credentials_form", cure)
        })
    }

    /// Writes an attempt to log in down, and gives the credentials that it is an attempt of. Only then may
    /// it be made.
    pub(super) async fn attempt<T: DeserializeOwned>(&mut self) -> Result<T, Ending> {
        let inner = self.inner();
        inner.write_verdict(&self.run.source).await?;
        let (source, now) = (self.run.source.clone(), self.now());
        let begun = inner.change(move |change| {
            change.credentials(&source, |kept| {
                let kept = kept.as_mut()?;
                Some(kept.begin(now).map(|()| (kept.version, kept.proven, kept.sealed.clone())))
            })
        });
        let missing =
            || Ending::new(Failure::Credentials, "no_credentials", "the source has no credentials; set them");
        let refused = |refusal: NoAttempt| {
            let kind = match &refusal {
                NoAttempt::Pausing(_) => Failure::SOON,
                _ if refusal.needs_others() => Failure::Credentials,
                _ => Failure::Attention,
            };
            Ending::new(kind, refusal.code(), refusal.to_string())
        };
        let (version, proven, sealed) = begun.await?.ok_or_else(missing)?.map_err(refused)?;
        (self.attempted, self.began, self.proven, self.counted) = (version, now, proven, true);
        match self.opened(sealed).await {
            Ok(credentials) => Ok(credentials),
            Err(ending) => {
                self.answered(Answer::Nothing).await?;
                Err(ending)
            }
        }
    }

    /// Writes the answer to the attempt down.
    pub(super) async fn answered(&mut self, answer: Answer) -> Result<(), Ending> {
        self.counted = match answer {
            Answer::Nothing => false,
            Answer::Unjudged => !self.proven,
            Answer::Accepted | Answer::Refused(_) => true,
        };
        let verdict = Verdict { version: self.attempted, began: self.began, answer };
        let inner = self.inner();
        locked(&inner.verdicts.0).insert(self.run.source.clone(), verdict);
        Ok(inner.write_verdict(&self.run.source).await?)
    }
}
