//! A person's word about what is held: consent or rejection, with a reason that is kept.

use super::deliver::{Delivery, scope};
use super::error::CollectError;
use super::live::Place;
use super::{Collector, Inner};
use crate::collect::Intake;
use crate::collect::formats::ReadError;
use crate::collect::ledger::{Held, Hold, How, Settled};
use crate::collect::run::Document;
use crate::model::{Cause, Change, Receipt, Rows, Scope};
use std::sync::Arc;
use uuid::Uuid;

/// What consent to one document comes to.
struct Wanted {
    held: Held,
    document: Document,
    rows: Rows,
    scope: Scope,
}

impl Collector {
    /// What waits for a person's word, oldest first.
    ///
    /// # Errors
    /// A faulty disk.
    pub async fn holds(&self) -> Result<Vec<Hold>, CollectError> {
        Ok(self.0.look(|look| look.pending()).await?)
    }

    /// Believes what is held: it is read again and applied to what is current.
    ///
    /// # Errors
    /// [`CollectError::Grown`] when more would change than was shown; what would change now is shown
    /// from then on. Else [`CollectError::UnknownHold`], [`CollectError::Settled`],
    /// [`CollectError::Unreadable`], [`CollectError::NoRaw`], or a fault of disk or blacklist.
    pub async fn consent(&self, id: Uuid, actor: &str, reason: &str) -> Result<Receipt, CollectError> {
        let (hold, place) = self.0.decide(id, actor, reason).await?;
        let (inner, actor, reason) = (Arc::clone(&self.0), actor.to_owned(), reason.to_owned());
        let consent = async move { inner.believe(hold, &actor, &reason, place).await };
        self.0.see_through(consent).await
    }

    /// Does not believe what is held: everything stays as it is.
    ///
    /// # Errors
    /// [`CollectError::UnknownHold`], [`CollectError::Settled`], or a faulty disk.
    pub async fn reject(&self, id: Uuid, actor: &str, reason: &str) -> Result<(), CollectError> {
        let (hold, _place) = self.0.decide(id, actor, reason).await?;
        let detail = format!("hold {id} of run {}", hold.run);
        self.0.settle(hold, How::Rejected, actor, reason, detail, Vec::new()).await
    }
}

impl Wanted {
    fn shared(&self) -> Self {
        let Self { held, document, rows, scope } = self;
        Self { held: held.clone(), document: document.clone(), rows: rows.clone(), scope: *scope }
    }
}

impl Inner {
    /// A hold that waits, with its source's place: until that is given back no run can take the place of
    /// what is held, and nobody else can decide it.
    async fn decide(
        self: &Arc<Self>,
        id: Uuid,
        actor: &str,
        reason: &str,
    ) -> Result<(Hold, Place), CollectError> {
        let hold = self.pending_hold(id, reason).await?;
        let (_, _, place) = self.occupy(&hold.source, actor)?;
        Ok((self.pending_hold(id, reason).await?, place))
    }

    async fn believe(
        &self,
        hold: Hold,
        actor: &str,
        reason: &str,
        _place: Place,
    ) -> Result<Receipt, CollectError> {
        let wanted = self.read_again(&hold).await?;
        let now = self.compare(&hold, &wanted).await?;
        let mut total = Receipt::default();
        for Wanted { rows, scope, .. } in wanted.iter().map(Wanted::shared) {
            let change = Change::List { source: hold.source.clone(), rows, scope };
            let receipt = self.submit_as(actor, reason, Cause::Run, change).await?;
            total = sum(total, receipt);
        }
        let detail = format!("hold {} of run {}: {now} listings changed", hold.id, hold.run);
        self.settle(hold, How::Consented, actor, reason, detail, wanted).await?;
        Ok(total)
    }

    async fn pending_hold(&self, id: Uuid, reason: &str) -> Result<Hold, CollectError> {
        if reason.trim().is_empty() {
            return Err(CollectError::NoReason);
        }
        let hold = self.look(move |look| look.hold(id)).await?.ok_or(CollectError::UnknownHold(id))?;
        if hold.settled.is_some() { Err(CollectError::Settled(id)) } else { Ok(hold) }
    }

    /// What is held, from the bytes that were kept.
    async fn read_again(&self, hold: &Hold) -> Result<Vec<Wanted>, CollectError> {
        let definition = self.definition(&hold.source).await?;
        let run = hold.run;
        let run = self.look(move |look| look.run(run)).await?.ok_or(CollectError::UnknownRun(run))?;
        let mut wanted = Vec::new();
        for held in &hold.documents {
            let document = run.documents.get(held.index).cloned().ok_or(CollectError::NoRaw(run.id))?;
            let delivery = self.kept(run.id, held.index, &document).await?;
            let intake = match self.read(&definition, &delivery, true).await {
                // Whoever consents to an empty file says that the list is empty.
                Err(ReadError::Empty) => Intake::default(),
                read => read?,
            };
            let scope = scope(&delivery, &definition, &intake.rows);
            wanted.push(Wanted { held: held.clone(), document, rows: intake.rows, scope });
        }
        Ok(wanted)
    }

    /// A document of a run, as it was delivered.
    pub(super) async fn kept(
        &self,
        run: Uuid,
        index: usize,
        document: &Document,
    ) -> Result<Delivery, CollectError> {
        let (raw, limit) = (self.raw.clone(), self.fetch.size_limit.max(document.size));
        let room = self.fetch.memory.take(document.size).await;
        let bytes = self.blocking(move || raw.read(run, index, limit)).await?;
        let bytes = room.hold(bytes.ok_or(CollectError::NoRaw(run))?);
        let Document { label, name, scope, dated, posted, .. } = document.clone();
        Ok(Delivery { label, name, bytes, scope, dated, posted })
    }

    /// How many listings consent would change now; refused when they have become more.
    async fn compare(&self, hold: &Hold, wanted: &[Wanted]) -> Result<u64, CollectError> {
        let mut shown_now = hold.clone();
        shown_now.documents.clear();
        for Wanted { held, rows, scope, .. } in wanted.iter().map(Wanted::shared) {
            let plan = self.preview(&hold.source, rows, scope).await?;
            shown_now.documents.push(Held { shown: plan.receipt, ..held });
        }
        let (shown, now) = (hold.shown(), shown_now.shown());
        if now <= shown {
            return Ok(now);
        }
        self.change(move |change| change.hold(&shown_now)).await?;
        Err(CollectError::Grown { shown, now })
    }

    /// Writes a decision down; whoever decides has the source's place.
    async fn settle(
        &self,
        mut hold: Hold,
        how: How,
        actor: &str,
        reason: &str,
        detail: String,
        taken: Vec<Wanted>,
    ) -> Result<(), CollectError> {
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        let action = if how == How::Consented { "hold.consent" } else { "hold.reject" };
        let audit = self.audit(&actor, action, &hold.source, &reason, detail);
        hold.settled = Some(Settled { at: self.now(), how, actor, reason });
        let last = taken.into_iter().next_back().map(|wanted| wanted.document);
        let written = self.change(move |change| {
            change.hold(&hold)?;
            change.standing(&hold.source, |standing| {
                let memory = &mut standing.memory;
                let digests = hold.documents.iter().flat_map(|held| [&held.digest, &held.content]);
                for digest in digests.filter(|digest| !digest.is_empty()) {
                    match how {
                        How::Consented => memory.believe(digest),
                        How::Rejected | How::Superseded => memory.reject(digest),
                    }
                }
                if let Some(document) = last {
                    memory.digest = Some(document.digest);
                    memory.dated = document.dated.or(memory.dated);
                }
            })?;
            change.audit(&audit)
        });
        Ok(written.await?)
    }
}

fn sum(total: Receipt, receipt: Receipt) -> Receipt {
    Receipt {
        generation: receipt.generation,
        added: total.added + receipt.added,
        changed: total.changed + receipt.changed,
        removed: total.removed + receipt.removed,
        unchanged: total.unchanged + receipt.unchanged,
        expired: total.expired + receipt.expired,
    }
}
