//! A feed as readers, the health check and administrators see it.

use super::budget::{Cut, Room};
use super::fault::Fault;
use super::hold::{Hold, Word};
use super::log::{Difference, Log, Step};
use super::release::Released;
use super::state::State;
use crate::addr::IpSet;
use crate::model::{Families, Format, OutputName, Profile, Time};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all feeds together are called where feeds are named: no feed can have that name.
pub const ALL_FEEDS: &str = "_all";

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

/// One feed: its profile, what it offers, how it fares.
#[derive(Debug)]
pub struct Feed {
    profile: ArcSwap<Profile>,
    file: PathBuf,
    offer: ArcSwap<Offer>,
    /// What was offered before, for readers of several parts who have begun with it.
    previous: ArcSwapOption<Released>,
    inside: Mutex<Inside>,
}

/// What only the worker, the health check and administrators look at.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) status: Status,
    pub(super) state: State,
    /// The time of the newest release ever offered; the next one's is later.
    pub(super) modified: Option<Time>,
    pub(super) log: Log,
    /// Releases that the log does not know yet.
    pub(super) steps: Vec<Step>,
    /// Whether the file holds how the feed stands.
    pub(super) kept: bool,
    /// What a person has consented to.
    pub(super) consent: Option<Difference>,
    /// What its readers could take of it when it was last fitted to that.
    pub(super) left: Option<Room>,
    /// What of the feed could not be read when it was opened: what it releases was compared with nothing then, which
    /// somebody should know until the next start.
    pub(super) lost: Option<Fault>,
}

impl Inside {
    /// The time of a step that is made now.
    pub(super) fn next_step(&self, now: Time) -> Time {
        let last = self.log.steps().iter().chain(&self.steps).map(|step| step.time).next_back();
        last.map_or(now, |last| now.max(last.plus(1)))
    }
}

impl Feed {
    /// Opens the feed whose file is `file`, and offers what was kept there in the form that it had; `usual` is its
    /// profile where nothing was kept.
    pub(super) fn open(file: PathBuf, usual: Profile, now: Time) -> Self {
        let mut status = Status::default();
        let mut fault = |what: String| {
            tracing::warn!(what, feed = called(&file), "what the feed kept cannot be used");
            status.fault = Some(Fault { what, since: now, is_loss: true });
        };
        let mut state = match State::load(&file) {
            Ok(state) => state.unwrap_or_default(),
            Err(error) => {
                fault(error.to_string());
                State::default()
            }
        };
        // What was told beside addresses is not kept, and may be something else now.
        let is_retold = state.profile.as_ref().is_some_and(|profile| profile.format.needs_facts());
        if let Some(release) = state.release.as_mut().filter(|_| is_retold) {
            release.modified = release.modified.plus(1);
        }
        let generation = state.release.as_ref().map_or(state.seen, |release| release.generation);
        let modified = state.release.as_ref().map(|release| release.modified);
        let log = file.with_extension("log");
        let log = Log::open(log, generation, modified.unwrap_or_default()).unwrap_or_else(|error| {
            fault(error.to_string());
            Log::begin(file.with_extension("log"), generation)
        });
        let offer = kept(&state).unwrap_or_else(|error| {
            fault(error.to_string());
            Offer::Nothing
        });
        status.hold = state.held.as_ref().map(|held| held.hold.clone());
        let kept = state.release.is_some() && !is_retold;
        let profile = ArcSwap::from_pointee(state.profile.clone().unwrap_or(usual));
        let (lost, steps) = (status.fault.clone(), Vec::new());
        let inside = Inside { status, state, modified, log, steps, kept, consent: None, left: None, lost };
        let (offer, previous) = (ArcSwap::from_pointee(offer), ArcSwapOption::empty());
        Self { profile, file, offer, previous, inside: Mutex::new(inside) }
    }

    /// Where it is kept.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Lays out what readers find from now on.
    pub(super) fn lay_out(&self, offer: Offer) {
        if let Offer::Empty(released) | Offer::List(released) = &offer {
            self.previous.store(self.released().filter(|_| released.profile.parts > 1));
            self.profile.store(Arc::clone(&released.profile));
        }
        self.offer.store(Arc::new(offer));
    }

    /// Begins anew, as if it had never been.
    pub(super) fn forget(&self) {
        let mut inside = self.inside();
        if inside.state != State::default() || inside.lost.is_some() {
            (inside.state, inside.status, inside.lost) = (State::default(), Status::default(), None);
            drop(inside);
            self.offer.store(Arc::new(Offer::Nothing));
            self.remove();
        }
    }

    /// Forgets it: a feed of that name that comes later begins anew.
    pub(super) fn remove(&self) {
        for file in [self.file.clone(), self.file.with_extension("log")] {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(file = %file.display(), %error, "a withdrawn feed's file stays");
                }
                _ => {}
            }
        }
    }

    /// Compresses what is offered, where its readers take that.
    pub(super) fn compress(&self) {
        if let Some(released) = self.released().filter(|released| released.profile.compress) {
            released.made().for_each(|rendition| rendition.compress());
        }
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

    /// Whether it lists nothing only because nobody has had a word on its first list yet.
    pub fn is_unspoken(&self) -> bool {
        self.inside().state.is_unspoken()
    }

    /// What it lists now, if it lists anything.
    pub fn released(&self) -> Option<Arc<Released>> {
        match &**self.offer.load() {
            Offer::List(released) => Some(Arc::clone(released)),
            Offer::Nothing | Offer::Empty(_) => None,
        }
    }

    /// What was offered before, where it is cut into parts.
    pub(super) fn previous(&self) -> Option<Arc<Released>> {
        self.previous.load_full()
    }

    /// The newest generation that was released or held.
    pub(super) fn seen(&self) -> u64 {
        self.inside().state.seen
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        self.inside().status.clone()
    }

    /// What changed after generation `since` up to what it lists now, and the generation of that. What came late in that
    /// generation, as a consent does, is told whether or not it was told before.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn changes(&self, since: u64) -> Result<(u64, Difference), Unknown> {
        let (generation, steps) = {
            let inside = self.inside();
            let generation = inside.state.seen;
            if since > generation {
                return Err(Unknown::NotYet(generation));
            }
            let known = inside.log.since(since).ok_or(Unknown::Forgotten(inside.log.oldest()))?;
            // What the log does not know yet is offered already.
            (generation, known.iter().chain(&inside.steps).cloned().collect::<Vec<_>>())
        };
        // Adding up takes long after many releases, and the next release waits for what is in there.
        let may_be_known = steps.first().is_some_and(|step| step.generation <= since);
        let add_up = if may_be_known { Difference::repeated } else { Difference::of };
        Ok((generation, add_up(&steps)))
    }

    /// When the last release was made that is remembered as a difference.
    pub fn newest_step(&self) -> Option<Time> {
        self.inside().log.steps().last().map(|step| step.time)
    }

    /// The releases that are remembered, as differences, the oldest first.
    pub fn steps(&self) -> Vec<Step> {
        self.inside().log.steps().to_vec()
    }

    /// A person's word that the feed may go to what was shown at `generation`. It takes effect with the next refresh.
    /// Answers what may come by it.
    ///
    /// # Errors
    /// [`NoConsent`].
    pub(super) fn consent(&self, generation: u64) -> Result<IpSet, NoConsent> {
        let mut inside = self.inside();
        let held = inside.state.held.as_ref().ok_or(NoConsent::NotHeld)?;
        if !held.hold.covers(generation) {
            return Err(NoConsent::Grown(held.hold.generation));
        }
        let difference = held.difference.clone();
        let brought = difference.added.clone();
        inside.consent = Some(difference);
        Ok(brought)
    }

    /// Forgets a person's word that has not been asked for.
    pub(super) fn take_back(&self) {
        self.inside().consent = None;
    }

    /// A person's word that the feed is to stay held. Whoever takes the feed on must not be at work.
    ///
    /// # Errors
    /// [`NoConsent::NotHeld`].
    pub(super) fn reject(&self, word: Word) -> Result<(), NoConsent> {
        let mut inside = self.inside();
        let held = inside.state.held.as_mut().ok_or(NoConsent::NotHeld)?;
        held.hold.rejected = Some(word);
        inside.status.hold = Some(held.hold.clone());
        inside.kept = false;
        Ok(())
    }

    /// Notes that something went wrong.
    pub(super) fn fail(&self, what: String, now: Time) {
        tracing::error!(feed = called(&self.file), what, "the feed goes on with what it has");
        let fault = &mut self.inside().status.fault;
        let since = fault.as_ref().map_or(now, |fault| fault.since);
        *fault = Some(Fault { what, since, is_loss: false });
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        // Every change of it is one step, so that a panic elsewhere leaves nothing half done.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What people call the feed of that file: what all feeds are judged by lies where none of a feed's name could.
fn called(file: &Path) -> &str {
    let stem = file.file_stem().and_then(OsStr::to_str);
    stem.filter(|stem| stem.parse::<OutputName>().is_ok()).unwrap_or(ALL_FEEDS)
}

/// What was kept, as it is offered before anything else is known.
fn kept(state: &State) -> Result<Offer, super::formats::WriteError> {
    let State { profile: Some(profile), release: Some(release), .. } = state else {
        return Ok(Offer::Nothing);
    };
    let released = Arc::new(Released::new(release.clone(), Arc::new(profile.clone())));
    if is_nothing(&release.set.unpack(), profile) {
        // Whether it may be offered empty, the first refresh knows.
        return Ok(Offer::Empty(released));
    }
    if is_urgent(profile) {
        for ((part, document), set) in released.lists().zip(released.sets()) {
            released.make(part, document, &set, None)?;
        }
    }
    Ok(Offer::List(released))
}

/// Whether its readers find nothing in it: a format may carry one family only.
pub(super) fn is_nothing(set: &IpSet, profile: &Profile) -> bool {
    match profile.format.families() {
        Families::Both => set.is_empty(),
        Families::V4 => set.v4.is_empty(),
        Families::V6 => set.v6.is_empty(),
    }
}

/// Whether it is written before anybody asks: what firewalls poll all day.
pub(super) fn is_urgent(profile: &Profile) -> bool {
    matches!(profile.format, Format::Plain | Format::Fortigate)
}

/// Why a difference is not told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unknown {
    /// The generation is still to come; the feed is at this one.
    #[error("the feed is at generation {0}")]
    NotYet(u64),
    /// It was too long ago; this is the oldest that is known.
    #[error("differences are known from generation {0} on")]
    Forgotten(u64),
}

/// Why a person's word does not count.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoConsent {
    /// There is nothing to consent to.
    #[error("the feed is not held")]
    NotHeld,
    /// By now something else would change than was shown; look again.
    #[error("something else would change than was shown; the hold is at generation {0} now")]
    Grown(u64),
    /// The step could not be made, in words: what is wrong, where that is known.
    #[error("the feed could not be taken on: {0}")]
    Failed(String),
    /// All feeds together are held, and that comes first.
    #[error("all feeds together are held; consent to that first")]
    WholeIsHeld,
}
