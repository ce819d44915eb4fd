//! The one step that takes a feed to a generation: select, decide, fit, write, offer, keep.

use super::annotate::annotate;
use super::base::Base;
use super::decide::{Decision, Question, decide};
use super::feed::{Cut, Feed, Offer};
use super::formats::WriteError;
use super::gate::{Distance, Ground};
use super::hold::Hold;
use super::log::Step;
use super::packed::Packed;
use super::release::{Release, Released};
use super::select::{Scene, SelectError, Selector, fresh};
use super::selections::Selections;
use super::size::{Room, fitted};
use super::split::{of_part, split};
use super::state::{Held, State};
use crate::addr::IpSet;
use crate::disk::DiskError;
use crate::engine::Gone;
use crate::model::{Families, Format, Profile, SourceId, Time};
use std::collections::BTreeMap;
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
    pub(super) room: Room,
    /// Whether the stores are whole, so that the generation is the newest there is.
    pub(super) is_newest: bool,
    /// What each source lists no more after a generation.
    pub(super) gone: &'a dyn Fn(u64) -> Result<Rc<BTreeMap<SourceId, Gone>>, String>,
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
    Gone(String),
}

impl Feed {
    /// Takes the feed to the stage's generation, to list what `selectors` take of it in the form of `profile`. Whatever
    /// fails, what was offered stays. Blocks on the disk.
    pub(super) fn refresh(&self, stage: &Stage<'_>, profile: &Profile, selectors: &[Selector]) {
        match self.advance(stage, profile, selectors) {
            Ok(()) => {
                let mut book = self.book();
                book.status.fault = book.lost.clone();
            }
            Err(what) => self.fail(what, stage.now),
        }
    }

    fn advance(&self, stage: &Stage<'_>, profile: &Profile, selectors: &[Selector]) -> Result<(), String> {
        let snapshot = stage.scene.snapshot;
        let (seen, is_done) = {
            let book = self.book();
            let waits_for_whole = |hold: &Hold| hold.grounds.contains(&Ground::Whole) && !stage.whole_is_held;
            let is_done = book.status.generation == Some(snapshot.generation)
                && book.consent.is_none()
                && !book.status.hold.as_ref().is_some_and(waits_for_whole)
                && book.state.selectors == selectors
                && *self.profile() == *profile;
            (book.state.seen, is_done)
        };
        if !stage.is_newest && snapshot.generation < seen {
            // The snapshot of a damaged store may be older than the list that was kept.
            return Ok(());
        }
        if !is_done {
            self.follow(stage, profile, selectors).map_err(|error| error.to_string())?;
        }
        self.keep().map_err(|error| error.to_string())
    }

    /// Decides, and offers what is new. Before it is kept: a disk that hangs does not hold up an allow.
    fn follow(
        &self,
        stage: &Stage<'_>,
        profile: &Profile,
        selectors: &[Selector],
    ) -> Result<(), FollowError> {
        let (state, consent) = {
            let mut book = self.book();
            // A word counts once, whatever becomes of it.
            (book.state.clone(), book.consent.take())
        };
        let next = stage.selections.of(selectors)?;
        let base = base(stage, profile, &state, (selectors, &next))?;
        let decision = decision(stage, profile, &state, (selectors, next), (base.as_ref(), consent))?;
        let (set, cut) = fitted(stage.scene, profile, stage.room, &decision.set)?;
        let passed = Packed::of(&decision.set);
        let next = State {
            profile: Some(profile.clone()),
            selectors: selectors.to_vec(),
            seen: stage.scene.snapshot.generation,
            passed: Some(passed),
            release: None,
            held: decision.hold.map(|hold| Held { hold, base }),
        };
        self.release(stage, (&state, next), (set, cut))
    }

    /// Offers `set`, and remembers how the feed stands by that.
    fn release(
        &self,
        stage: &Stage<'_>,
        (state, next): (&State, State),
        (set, cut): (IpSet, Option<Cut>),
    ) -> Result<(), FollowError> {
        let snapshot = stage.scene.snapshot;
        let Some(profile) = &next.profile else { return Ok(()) };
        // What is equal is packed once, and kept once.
        let passed = next.passed.as_ref().filter(|_| cut.is_none());
        let served = passed.cloned().unwrap_or_else(|| Packed::of(&set));
        let (release, is_same) = match &state.release {
            Some(release) if release.set == served && written_alike(&self.profile(), profile) => {
                (release.clone(), true)
            }
            Some(release) if release.set == served => {
                (Release { modified: self.next_modified(snapshot.time), ..release.clone() }, true)
            }
            _ => {
                let (generation, modified) = (snapshot.generation, self.next_modified(snapshot.time));
                (Release { generation, modified, set: served, addresses: set.size() }, false)
            }
        };
        if !(is_same && *self.profile() == *profile && !matches!(**self.offer(), Offer::Nothing)) {
            // An empty list for want of a word is none that anybody wants published.
            let waits = next.held.is_some() && state.release.is_none();
            self.write(stage, profile, (&release, waits), &set)?;
        }
        let mut book = self.book();
        if state.seen == 0 {
            book.log.be_born(snapshot.generation);
        }
        if snapshot.generation < state.seen {
            // A backup has taken the blacklist back: no difference leads there.
            book.log.begin_again(snapshot.generation);
        } else if !is_same {
            let before = state.release.as_ref().map(|release| release.set.unpack()).unwrap_or_default();
            let removed = Packed::of(&before.subtract(&set));
            let added = Packed::of(&set.subtract(&before));
            let late = state.profile.is_some() && state.seen == snapshot.generation;
            let Release { generation, modified, .. } = release;
            let time = book.next_step(stage.now);
            book.steps.push(Step { generation, modified, late, time, removed, added });
        }
        book.modified = Some(release.modified);
        book.status.hold = next.held.as_ref().map(|held| held.hold.clone());
        book.status.generation = Some(snapshot.generation);
        book.status.cut = cut;
        let next = State { release: Some(release), ..next };
        book.kept &= book.state == next;
        book.state = next;
        Ok(())
    }

    /// Writes what readers ask for and lays it out for them; what else there is, is written when it is asked for.
    fn write(
        &self,
        stage: &Stage<'_>,
        profile: &Profile,
        (release, waits): (&Release, bool),
        set: &IpSet,
    ) -> Result<(), FollowError> {
        let may_be_empty = profile.allow_empty && !waits && !stage.scene.snapshot.sources.is_empty();
        let released = Arc::new(Released::new(release.clone(), Arc::new(profile.clone())));
        if is_nothing(set, profile) && !may_be_empty {
            self.lay_out(Offer::Empty(released));
            return Ok(());
        }
        let asked = self.released().map(|before| before.asked()).unwrap_or_default();
        let urgent = is_urgent(profile).then(|| released.lists()).into_iter().flatten();
        let wanted: Vec<_> = urgent.chain(asked).collect();
        let facts = if profile.format.needs_facts() && !wanted.is_empty() {
            Some(annotate(stage.scene, &profile.filter, set)?)
        } else {
            None
        };
        let sets = split(set, profile.parts);
        for (part, document) in wanted {
            // A part that was asked for before the profile had fewer is none any more.
            let Some(set) = of_part(part, set, &sets) else { continue };
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

/// What the feed is compared with, as of now: none before its first list.
pub(super) fn base(
    stage: &Stage<'_>,
    profile: &Profile,
    state: &State,
    (selectors, next): (&[Selector], &IpSet),
) -> Result<Option<Base>, FollowError> {
    let base = match (&state.held, &state.passed) {
        (Some(held), _) => held.base.clone(),
        (None, passed) => passed.as_ref().map(|passed| Base::new(passed.unpack(), state.seen)),
    };
    let Some(mut base) = base else { return Ok(None) };
    if state.selectors != selectors {
        base = base.edited(&stage.selections.of(&state.selectors)?, next, &profile.gate);
    }
    // While it is held, nothing may be missed; else only what is not listed any more is of interest.
    if state.held.is_some() || base.loses(stage.exempt, next) {
        let gone = (stage.gone)(state.seen).map_err(FollowError::Gone)?;
        base.note(&stage.selections.gone(selectors, &gone));
    }
    Ok(Some(base))
}

/// Whether the feed may go to `next`, from how it stands and what it is compared with.
pub(super) fn decision(
    stage: &Stage<'_>,
    profile: &Profile,
    state: &State,
    (selectors, next): (&[Selector], IpSet),
    (base, consent): (Option<&Base>, Option<Distance>),
) -> Result<Decision, FollowError> {
    let snapshot = stage.scene.snapshot;
    let base = match base {
        None => None,
        Some(base) if !base.loses(stage.exempt, &next) => Some(base.set.subtract(stage.exempt)),
        Some(base) => Some(base.purged(stage.exempt, &stage.selections.meant(selectors, &next)?, &next)),
    };
    Ok(decide(Question {
        hold: state.held.as_ref().map(|held| &held.hold),
        base,
        next,
        fresh: &|| fresh(snapshot),
        limits: &profile.gate,
        whole_is_held: stage.whole_is_held,
        consent,
        generation: snapshot.generation,
        now: stage.now,
    }))
}

/// Whether two profiles write the same set as the same bytes, so that its readers have them already.
fn written_alike(before: &Profile, now: &Profile) -> bool {
    (before.format, before.lines(), before.parts, before.compress)
        == (now.format, now.lines(), now.parts, now.compress)
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
