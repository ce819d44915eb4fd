//! The one step that takes a feed to a generation: select, decide, write, offer, keep.

use super::annotate::annotate;
use super::budget::{Size, fit};
use super::decide::{Decision, Question, decide};
use super::feed::{Cut, Feed, Offer};
use super::formats::{self, WriteError};
use super::gate::{Distance, Ground};
use super::hold::Hold;
use super::log::Step;
use super::packed::Packed;
use super::release::{Release, Released};
use super::select::{Scene, SelectError, Selections, fresh, listing};
use super::split::split;
use super::state::State;
use crate::addr::IpSet;
use crate::disk::DiskError;
use crate::model::{Budget, Document, Families, Format, Profile, Time};
use std::rc::Rc;
use std::sync::Arc;

/// What a refresh is told.
pub(super) struct Stage<'a> {
    /// The generation to go to.
    pub(super) scene: Scene<'a>,
    /// What is selected of it.
    pub(super) selections: Selections<'a>,
    /// What is never published.
    pub(super) exempt: &'a IpSet,
    /// Whether all feeds together are held.
    pub(super) whole_is_held: bool,
    /// What the devices that read it can take of it.
    pub(super) budget: Budget,
    /// Whether the stores are whole, so that the generation is the newest there is.
    pub(super) is_newest: bool,
    /// What has ended or is suppressed after a generation.
    pub(super) ended: &'a dyn Fn(u64) -> Result<Rc<IpSet>, String>,
    /// The wall clock.
    pub(super) now: Time,
}

/// Why a feed could not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("what has ended cannot be told: {0}")]
    Ended(String),
}

impl Feed {
    /// Takes the feed to the stage's generation. Whatever fails, what was offered stays. Blocks on the disk.
    pub(super) fn refresh(&self, stage: &Stage<'_>, profile: &Profile) {
        match self.advance(stage, profile) {
            Ok(()) => self.book().status.fault = None,
            Err(what) => self.fail(what, stage.now),
        }
    }

    fn advance(&self, stage: &Stage<'_>, profile: &Profile) -> Result<(), String> {
        let snapshot = stage.scene.snapshot;
        let (seen, is_done) = {
            let book = self.book();
            let waits_for_whole = |hold: &Hold| hold.grounds.contains(&Ground::Whole) && !stage.whole_is_held;
            let is_done = book.status.generation == Some(snapshot.generation)
                && book.consent.is_none()
                && !book.status.hold.as_ref().is_some_and(waits_for_whole)
                && *self.profile() == *profile;
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
        let listed = state.release.as_ref().map(|release| release.set.unpack());
        let decision = decision(stage, profile, (&state, listed.as_ref()), &next, consent)?;
        self.release(stage, profile, (&state, listed), decision)?;
        let mut book = self.book();
        book.status.cut = cut;
        book.consent = None;
        Ok(())
    }

    /// Offers what was decided, and remembers how the feed stands.
    fn release(
        &self,
        stage: &Stage<'_>,
        profile: &Profile,
        (state, before): (&State, Option<IpSet>),
        decision: Decision,
    ) -> Result<(), FollowError> {
        let snapshot = stage.scene.snapshot;
        let Decision { set, held } = decision;
        let is_same = before.as_ref() == Some(&set);
        let release = match &state.release {
            Some(release) if is_same => release.clone(),
            _ => Release::new(snapshot.generation, self.next_modified(snapshot.time), &set),
        };
        if !(is_same && *self.profile() == *profile && !matches!(**self.offer(), Offer::Nothing)) {
            self.write(stage, profile, &release, &set)?;
        }
        let mut book = self.book();
        if snapshot.generation < state.seen {
            // A backup has taken the blacklist back: no difference leads there.
            book.log.begin_again(snapshot.generation);
        } else if !is_same {
            let before = before.unwrap_or_default();
            let removed = Packed::of(&before.subtract(&set));
            let added = Packed::of(&set.subtract(&before));
            let (generation, time) = (release.generation, book.next_step(stage.now));
            book.steps.push(Step { generation, time, removed, added });
        }
        let sources = if held.is_some() { state.sources.clone() } else { listing(snapshot) };
        book.modified = Some(release.modified);
        book.status.hold = held.as_ref().map(|held| held.hold.clone());
        book.status.generation = Some(snapshot.generation);
        let state = State {
            profile: Some(profile.clone()),
            seen: snapshot.generation,
            release: Some(release),
            held,
            sources,
        };
        book.kept &= book.state == state;
        book.state = state;
        Ok(())
    }

    /// Writes what readers ask for and lays it out for them; what else there is, is written when it is asked for.
    fn write(
        &self,
        stage: &Stage<'_>,
        profile: &Profile,
        release: &Release,
        set: &IpSet,
    ) -> Result<(), FollowError> {
        let may_be_empty = profile.allow_empty && !stage.scene.snapshot.sources.is_empty();
        let released = Arc::new(Released::new(release.clone(), Arc::new(profile.clone())));
        if is_nothing(set, profile) && !may_be_empty {
            self.lay_out(Offer::Empty(released));
            return Ok(());
        }
        let asked = self.released().map(|before| before.asked()).unwrap_or_default();
        let wanted = if is_urgent(profile) { released.lists().collect() } else { asked };
        let facts = if profile.format.needs_facts() && !wanted.is_empty() {
            Some(annotate(stage.scene, &profile.filter, set)?)
        } else {
            None
        };
        let sets = split(set, profile.parts);
        for (part, document) in wanted {
            // A part that was asked for before the profile had fewer is none any more.
            let Some(set) = usize::from(part).checked_sub(1).and_then(|at| sets.get(at)) else { continue };
            released.make(part, document, set, facts.as_ref())?;
        }
        self.lay_out(Offer::List(released));
        Ok(())
    }

    fn next_modified(&self, time: Time) -> Time {
        self.book().modified.map_or(time, |before| time.max(before.plus(1)))
    }

    /// Writes down how the feed stands, unless that is done. The log goes first: what it knows beyond the feed's file
    /// is left out when it is opened.
    fn keep(&self) -> Result<(), DiskError> {
        let mut book = self.book();
        let steps = std::mem::take(&mut book.steps);
        // Every step is known from here on, whether or not the disk takes it.
        let pushed: Vec<_> = steps.into_iter().map(|step| book.log.push(step)).collect();
        pushed.into_iter().collect::<Result<(), _>>()?;
        if !book.kept {
            // Others look at the book meanwhile only to see how the feed fares; readers do not.
            book.state.save(self.file())?;
            book.kept = true;
        }
        Ok(())
    }
}

/// Whether the feed may go to `next`, from how it stands and what it lists by that.
fn decision(
    stage: &Stage<'_>,
    profile: &Profile,
    (state, listed): (&State, Option<&IpSet>),
    next: &IpSet,
    consent: Option<Distance>,
) -> Result<Decision, FollowError> {
    let snapshot = stage.scene.snapshot;
    let ended = (stage.ended)(state.seen).map_err(FollowError::Ended)?;
    Ok(decide(&Question {
        state,
        listed,
        same_profile: state.profile.as_ref().is_some_and(|before| selects_alike(before, profile)),
        next,
        exempt: stage.exempt,
        ended: &ended,
        fresh: &|| fresh(snapshot, &state.sources),
        limits: &profile.gate,
        whole_is_held: stage.whole_is_held,
        consent,
        generation: snapshot.generation,
        now: stage.now,
    }))
}

/// What the profile wants of the generation, and what a budget has cut of it.
fn select(stage: &Stage<'_>, profile: &Profile) -> Result<(IpSet, Option<Cut>), FollowError> {
    let set = stage.selections.of(profile)?;
    let budget = tighter(profile.budget, stage.budget);
    if budget == Budget::default() {
        return Ok((set, None));
    }
    let wanted = size(profile, &set)?;
    if wanted.fits(budget) {
        return Ok((set, None));
    }
    let within = fit(stage.scene, profile, budget, &set, |set| size(profile, set))?;
    let addresses = set.subtract(&within).size();
    Ok((within, Some(Cut { budget, wanted, addresses })))
}

/// Both budgets at once.
pub(super) fn tighter(a: Budget, b: Budget) -> Budget {
    let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
    Budget { entries: least(a.entries, b.entries), bytes: least(a.bytes, b.bytes) }
}

/// What a set comes to in the form of a profile: written once to be counted, 50 ns a line. Facts are left out, so that
/// a format that tells them is longer; its budget is one of entries.
pub(super) fn size(profile: &Profile, set: &IpSet) -> Result<Size, FollowError> {
    let mut counter = Counter(0);
    let sheet = formats::Sheet {
        feed: profile.name.as_str(),
        generation: 0,
        time: Time::default(),
        lines: profile.lines(),
        selection: set,
        entries: None,
    };
    let counts = formats::write(Document::List(profile.format), &sheet, &mut counter)?;
    Ok(Size { entries: counts.entries, bytes: counter.0 })
}

/// Counts bytes.
struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether two profiles take the same of every generation, so that what one released can be compared with the other.
fn selects_alike(before: &Profile, now: &Profile) -> bool {
    (&before.filter, before.families, before.budget, &before.prefer)
        == (&now.filter, now.families, now.budget, &now.prefer)
}

/// Whether its readers find nothing in it: a format may carry one family only.
fn is_nothing(set: &IpSet, profile: &Profile) -> bool {
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
