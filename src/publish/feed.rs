//! A feed as readers and the health check see it, and the one step that takes it to a generation.

use super::annotate::annotate;
use super::budget::{Size, fit};
use super::decide::{Decision, Question, decide};
use super::formats::{self, WriteError};
use super::gate::Distance;
use super::hold::{Hold, Word};
use super::log::{Difference, Log, Step};
use super::packed::Packed;
use super::release::{Release, Released};
use super::select::{Scene, SelectError, fresh, wanted};
use super::state::State;
use crate::addr::IpSet;
use crate::disk::DiskError;
use crate::engine::Snapshot;
use crate::model::{Budget, Document, Format, Output, Profile, Time};
use arc_swap::ArcSwap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a feed gives to whoever asks.
#[derive(Debug)]
pub enum Offer {
    /// Nothing: no list was kept, and none has been made yet.
    Nothing,
    /// Nothing, because nothing is listed: see the module's word on the empty list.
    Empty(Arc<Released>),
    /// A list.
    List(Arc<Released>),
}

/// How a feed fares.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The newest generation that was looked at; `None` before the first.
    pub generation: Option<u64>,
    /// What is wrong, if anything is.
    pub fault: Option<Fault>,
    /// Why it does not follow, if it does not.
    pub hold: Option<Hold>,
    /// What a budget has cut, if one has.
    pub cut: Option<Cut>,
}

/// What is wrong with a feed that goes on with what it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What happened, and where.
    pub what: String,
    /// Since when, without a break.
    pub since: Time,
}

/// What a budget has cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// What could be taken.
    pub budget: Budget,
    /// What it would have been.
    pub wanted: Size,
    /// Addresses that are left out.
    pub addresses: u128,
}

/// One feed: its profile, what it offers, how it fares.
#[derive(Debug)]
pub struct Feed {
    profile: ArcSwap<Profile>,
    file: PathBuf,
    offer: ArcSwap<Offer>,
    book: Mutex<Book>,
}

/// What only the worker, the health check and administrators look at.
#[derive(Debug)]
struct Book {
    status: Status,
    state: State,
    /// The time of the newest release ever offered; the next one's is later.
    modified: Option<Time>,
    log: Log,
    /// Whether the files hold what is offered.
    kept: bool,
    consent: Option<Distance>,
}

/// What a refresh is told.
pub(super) struct Stage<'a> {
    /// The generation to go to.
    pub(super) scene: Scene<'a>,
    /// What is never published.
    pub(super) exempt: &'a IpSet,
    /// Whether all feeds together are held.
    pub(super) whole_is_held: bool,
    /// What the devices that read it can take of it.
    pub(super) budget: Budget,
    /// Whether the stores are whole, so that the generation is the newest there is.
    pub(super) is_newest: bool,
    /// What has ended or is suppressed after a generation.
    pub(super) ended: &'a dyn Fn(u64) -> Result<IpSet, String>,
    /// The wall clock.
    pub(super) now: Time,
}

impl Feed {
    /// Opens the feed whose files are in `folder`, and offers what was kept there.
    pub(super) fn open(folder: &Path, profile: Profile, now: Time) -> Self {
        let file = folder.join(profile.name.as_str()).with_added_extension("feed");
        let mut status = Status::default();
        let mut fault = |error: DiskError| {
            tracing::warn!(%error, feed = %profile.name, "what the feed kept cannot be used");
            status.fault = Some(Fault { what: error.to_string(), since: now });
        };
        let state = State::load(&file).unwrap_or_else(|error| {
            fault(error);
            None
        });
        let state = state.unwrap_or_default();
        let generation = state.release.as_ref().map_or(0, |release| release.generation);
        let log = Log::open(file.with_extension("log"), generation).unwrap_or_else(|error| {
            fault(error);
            Log::begin(file.with_extension("log"), generation)
        });
        status.hold = state.held.as_ref().map(|held| held.hold.clone());
        let offer = offer_of(&state, &profile).unwrap_or_else(|error| {
            fault(DiskError::damaged(file.display().to_string(), error));
            Offer::Nothing
        });
        let modified = state.release.as_ref().map(|release| release.modified);
        let kept = !matches!(offer, Offer::Nothing);
        let book = Mutex::new(Book { status, state, modified, log, kept, consent: None });
        Self { profile: ArcSwap::from_pointee(profile), file, offer: ArcSwap::from_pointee(offer), book }
    }

    /// What it is.
    pub fn profile(&self) -> Arc<Profile> {
        self.profile.load_full()
    }

    /// What it gives now. Takes no lock; hold the guard no longer than a request.
    #[inline]
    pub fn offer(&self) -> arc_swap::Guard<Arc<Offer>> {
        self.offer.load()
    }

    /// What it lists now, if it lists anything.
    pub fn released(&self) -> Option<Arc<Released>> {
        match &**self.offer.load() {
            Offer::List(released) => Some(Arc::clone(released)),
            Offer::Nothing | Offer::Empty(_) => None,
        }
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        self.book().status.clone()
    }

    /// What changed after generation `since` up to what it lists now, and the generation of that.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn changes(&self, since: u64) -> Result<(u64, Difference), Unknown> {
        let book = self.book();
        let generation = book.state.seen;
        if since > generation {
            return Err(Unknown::NotYet(generation));
        }
        let difference = book.log.since(since).ok_or(Unknown::Forgotten(book.log.oldest()))?;
        Ok((generation, difference))
    }

    /// The releases that are remembered, as differences, the oldest first.
    pub fn steps(&self) -> Vec<Step> {
        self.book().log.steps().to_vec()
    }

    /// A person's word that the feed may go to what was shown at `generation`. It takes effect with the next refresh.
    ///
    /// # Errors
    /// [`NoConsent`].
    pub(super) fn consent(&self, generation: u64) -> Result<(), NoConsent> {
        let mut book = self.book();
        let hold = book.status.hold.as_ref().ok_or(NoConsent::NotHeld)?;
        if !hold.covers(generation) {
            return Err(NoConsent::Grown(hold.generation));
        }
        book.consent = Some(hold.distance);
        Ok(())
    }

    /// A person's word that the feed is to stay held.
    ///
    /// # Errors
    /// [`NoConsent::NotHeld`].
    pub fn reject(&self, word: Word) -> Result<(), NoConsent> {
        let mut book = self.book();
        let held = book.state.held.as_mut().ok_or(NoConsent::NotHeld)?;
        held.hold.rejected = Some(word);
        book.status.hold = Some(held.hold.clone());
        book.kept = false;
        Ok(())
    }

    /// Takes the feed to the stage's generation. Whatever fails, what was offered stays. Blocks on the disk.
    pub(super) fn refresh(&self, stage: &Stage<'_>, profile: &Profile) {
        match self.advance(stage, profile) {
            Ok(()) => self.book().status.fault = None,
            Err(what) => self.fail(what, stage.now),
        }
    }

    /// Notes that something went wrong.
    pub(super) fn fail(&self, what: String, now: Time) {
        tracing::error!(feed = %self.profile.load().name, what, "the feed goes on with what it has");
        let fault = &mut self.book().status.fault;
        let since = fault.as_ref().map_or(now, |fault| fault.since);
        *fault = Some(Fault { what, since });
    }

    fn advance(&self, stage: &Stage<'_>, profile: &Profile) -> Result<(), String> {
        let snapshot = stage.scene.snapshot;
        let (seen, is_done) = {
            let book = self.book();
            let is_done = book.status.generation == Some(snapshot.generation)
                && book.consent.is_none()
                && **self.profile.load() == *profile;
            (book.state.seen, is_done)
        };
        if !stage.is_newest && snapshot.generation < seen {
            // The snapshot of a damaged store may be older than the list that was kept.
            return Ok(());
        }
        if !is_done {
            self.follow(stage, profile).map_err(|error| error.to_string())?;
        }
        self.keep().map_err(|error| error.to_string())
    }

    /// Decides, and offers what is new. Before it is kept: a disk that hangs does not hold up an allow.
    fn follow(&self, stage: &Stage<'_>, profile: &Profile) -> Result<(), FollowError> {
        let (state, consent) = {
            let book = self.book();
            (book.state.clone(), book.consent)
        };
        let (next, cut) = select(stage, profile)?;
        let decision = self.decision(stage, profile, &state, &next, consent)?;
        self.release(stage, profile, &state, decision)?;
        let mut book = self.book();
        book.status.cut = cut;
        book.consent = None;
        Ok(())
    }

    fn decision(
        &self,
        stage: &Stage<'_>,
        profile: &Profile,
        state: &State,
        next: &IpSet,
        consent: Option<Distance>,
    ) -> Result<Decision, FollowError> {
        let snapshot = stage.scene.snapshot;
        let ended = (stage.ended)(state.seen).map_err(FollowError::Ended)?;
        let fresh = fresh(snapshot, profile.families, &state.sources);
        Ok(decide(&Question {
            state,
            same_profile: state.profile.as_ref().is_some_and(|before| selects_alike(before, profile)),
            next,
            exempt: stage.exempt,
            ended: &ended,
            fresh: &fresh,
            limits: &profile.gate,
            whole_is_held: stage.whole_is_held,
            consent,
            generation: snapshot.generation,
            now: stage.now,
        }))
    }
}
