//! The one step that takes a feed to a generation: select, decide, fit, write, offer, keep.

use super::annotate::annotate;
use super::budget::Cut;
use super::decide::{Decision, Outcome};
use super::fault::FollowError;
use super::feed::{Feed, Offer, is_nothing, is_urgent};
use super::gate::Ground;
use super::hold::Hold;
use super::log::Step;
use super::look::{Looked, look};
use super::packed::Packed;
use super::release::{Release, Released};
use super::select::Selector;
use super::size::{fitted, pressed};
use super::split::{of_part, split};
use super::stage::Stage;
use super::state::{Held, State};
use super::tide::{Fallen, Tide};
use crate::addr::IpSet;
use crate::disk::DiskError;
use crate::model::{Budget, Families, Filter, Profile, Time};
use std::sync::Arc;

impl Feed {
    /// Takes the feed to the stage's generation, to list what `selectors` take of it in the form of `profile`. Whatever
    /// fails, what was offered stays. Blocks on the disk.
    pub(super) fn refresh(&self, stage: &Stage<'_>, profile: &Profile, selectors: &[Selector]) {
        match self.advance(stage, profile, selectors) {
            Ok(()) => {
                let mut inside = self.inside();
                inside.status.fault = inside.lost.clone();
            }
            Err(what) => self.fail(what, stage.now),
        }
    }

    fn advance(&self, stage: &Stage<'_>, profile: &Profile, selectors: &[Selector]) -> Result<(), String> {
        let snapshot = stage.scene().snapshot;
        let (seen, is_done) = {
            let inside = self.inside();
            let waits_for_whole = |hold: &Hold| hold.grounds.contains(&Ground::Whole) && !stage.whole_is_held;
            let is_done = inside.status.generation == Some(snapshot.generation)
                && inside.consent.is_none()
                && inside.left == Some(stage.room)
                && !inside
                    .status
                    .hold
                    .as_ref()
                    .is_some_and(|hold| waits_for_whole(hold) || hold.is_elsewhere())
                && inside.state.selectors == selectors
                && *self.profile() == *profile;
            (inside.state.seen, is_done)
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
            let mut inside = self.inside();
            // A word counts once, whatever becomes of it.
            (inside.state.clone(), inside.consent.take())
        };
        let Looked { decision: Decision { set: listed, outcome }, fitted: fits, base } =
            look(stage, profile, selectors, &state, consent.as_ref())?;
        let (set, cut) = match fits {
            Some(fits) => fits,
            None => fitted(stage.scene(), profile, stage.room, &listed)?,
        };
        let served = Packed::of(&set);
        let withheld = withheld(stage, &state, selectors)?;
        let mut next = State {
            profile: Some(profile.clone()),
            selectors: selectors.to_vec(),
            seen: stage.scene().snapshot.generation,
            tide: state.tide.clone(),
            budgets: stage.budgets.clone(),
            pressed: pushed_out(stage, &state, (&listed, &set)),
            withheld,
            ..State::default()
        };
        match outcome {
            Outcome::Follows { passed, judged } => {
                next.tide = judged.map_or(Tide::default(), |judged| next.tide.then(judged, stage.moment()));
                let passed = passed.unwrap_or(listed);
                next.passed = Some(if passed == set { served.clone() } else { Packed::of(&passed) });
            }
            Outcome::Holds(hold, difference) => next.held = Some(Held { hold, difference, base }),
        }
        self.release(stage, (&state, next), (set, served, cut))
    }

    /// What its hold kept back that a person has ended without a word on it.
    pub(super) fn withheld(&self) -> IpSet {
        self.inside().state.withheld.clone()
    }

    /// Remembers what nobody has had a word on of a feed that goes. Blocks on the disk.
    pub(super) fn inherit(&self, gone: &Self, now: Time) {
        let unsaid = gone.inside().state.unsaid();
        if !unsaid.is_empty() {
            self.withhold(now, |withheld| withheld.union(&unsaid));
        }
    }

    /// Somebody has had a word on this, at whichever feed. Blocks on the disk.
    pub(super) fn allow_in(&self, set: &IpSet, now: Time) {
        if !self.withheld().is_empty() {
            self.withhold(now, |withheld| withheld.subtract(set));
        }
    }

    fn withhold(&self, now: Time, change: impl FnOnce(&IpSet) -> IpSet) {
        {
            let mut inside = self.inside();
            inside.state.withheld = change(&inside.state.withheld);
            inside.kept = false;
        }
        if let Err(error) = self.keep() {
            self.fail(error.to_string(), now);
        }
    }

    /// The moment at which it stands: while it is held, no time passes for it.
    pub(super) fn since(&self, moment: Time) -> Time {
        self.inside().state.since(moment)
    }

    /// How much budgets have taken from its readers in the day before `moment`.
    pub(super) fn pressed(&self, moment: Time) -> Fallen {
        self.inside().state.pressed.fallen(moment)
    }

    /// Whether what it lists next is no choice of a person's.
    pub(super) fn is_settled(&self, profile: &Profile) -> bool {
        self.inside().state.is_settled(&[Selector::of(profile)])
    }

    /// What its hold keeps back as it stands.
    pub(super) fn kept_back(&self) -> Option<IpSet> {
        self.inside().state.held.as_ref().map(|held| held.difference.added.clone())
    }

    /// What it would keep back in the stage's generation; where that cannot be worked out, what it keeps back as it stands.
    pub(super) fn keeps_back(&self, stage: &Stage<'_>, profile: &Profile) -> Option<IpSet> {
        let (state, consent) = {
            let inside = self.inside();
            (inside.state.clone(), inside.consent.clone())
        };
        let looked = look(stage, profile, &[Selector::of(profile)], &state, consent.as_ref());
        let Ok(looked) = looked else { return self.kept_back() };
        match looked.decision.outcome {
            Outcome::Holds(_, difference) => Some(difference.added),
            Outcome::Follows { .. } => None,
        }
    }

    /// Offers `set`, and remembers how the feed stands by that.
    fn release(
        &self,
        stage: &Stage<'_>,
        (state, next): (&State, State),
        (set, served, cut): (IpSet, Packed, Option<Cut>),
    ) -> Result<(), FollowError> {
        let snapshot = stage.scene().snapshot;
        let Some(profile) = &next.profile else { return Ok(()) };
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
        // An empty list for want of a word is none that anybody wants published.
        let may_be_empty =
            profile.allow_empty && !next.is_unspoken() && !stage.scene().snapshot.sources.is_empty();
        let is_offered = may_be_empty || !is_nothing(&set, profile);
        let lies_ready = match **self.offer() {
            Offer::Nothing => false,
            Offer::Empty(_) => !is_offered,
            Offer::List(_) => is_offered,
        };
        if !(is_same && lies_ready && *self.profile() == *profile) {
            self.write(stage, profile, (&release, is_offered), &set)?;
        }
        let mut inside = self.inside();
        if state.seen == 0 {
            inside.log.be_born(snapshot.generation);
        }
        if snapshot.generation < state.seen {
            // A backup has taken the blacklist back: no difference leads there.
            inside.log.begin_again(snapshot.generation);
        } else if !is_same {
            let before = state.release.as_ref().map(|release| release.set.unpack()).unwrap_or_default();
            let removed = Packed::of(&before.subtract(&set));
            let added = Packed::of(&set.subtract(&before));
            let late = state.profile.is_some() && state.seen == snapshot.generation;
            let Release { generation, modified, .. } = release;
            let time = inside.next_step(stage.now);
            inside.steps.push(Step { generation, modified, late, time, removed, added });
        }
        inside.modified = Some(release.modified);
        inside.status.hold = next.held.as_ref().map(|held| held.hold.clone());
        inside.status.generation = Some(snapshot.generation);
        inside.status.cut = cut;
        inside.left = Some(stage.room);
        let next = State { release: Some(release), ..next };
        inside.kept &= inside.state == next;
        inside.state = next;
        Ok(())
    }

    /// Writes what readers ask for and lays it out for them; what else there is, is written when it is asked for.
    fn write(
        &self,
        stage: &Stage<'_>,
        profile: &Profile,
        (release, is_offered): (&Release, bool),
        set: &IpSet,
    ) -> Result<(), FollowError> {
        let released = Arc::new(Released::new(release.clone(), Arc::new(profile.clone())));
        if !is_offered {
            self.lay_out(Offer::Empty(released));
            return Ok(());
        }
        let asked = self.released().map(|before| before.asked()).unwrap_or_default();
        let urgent = is_urgent(profile).then(|| released.lists()).into_iter().flatten();
        let wanted: Vec<_> = urgent.chain(asked).collect();
        let facts = if profile.format.needs_facts() && !wanted.is_empty() {
            Some(annotate(stage.scene(), &profile.filter, set)?)
        } else {
            None
        };
        let sets = split(set, profile.parts);
        for (part, document) in wanted {
            // A part that was asked for before the profile had fewer is none any more.
            let Some(set) = of_part(part, set, &sets) else { continue };
            released.make(part, document, set, facts.as_ref())?;
        }
        if profile.parts > 1 {
            // Each of its parts tells it.
            released.name();
        }
        self.lay_out(Offer::List(released));
        Ok(())
    }

    pub(super) fn next_modified(&self, time: Time) -> Time {
        self.inside().modified.map_or(time, |before| time.max(before.plus(1)))
    }

    /// Writes down how the feed stands, unless that is done. The log goes first: what it knows beyond the feed's file
    /// is left out when it is opened.
    pub(super) fn keep(&self) -> Result<(), DiskError> {
        let mut inside = self.inside();
        let steps = std::mem::take(&mut inside.steps);
        // Every step is known from here on, whether or not the disk takes it.
        let pushed: Vec<_> = steps.into_iter().map(|step| inside.log.push(step)).collect();
        pushed.into_iter().collect::<Result<(), _>>()?;
        if !inside.kept {
            // Others look in meanwhile only to see how the feed fares; readers do not.
            inside.state.save(self.file())?;
            inside.kept = true;
        }
        Ok(())
    }
}

/// What of what holds kept back nobody has had a word on, as far as it is listed still.
fn withheld(stage: &Stage<'_>, state: &State, selectors: &[Selector]) -> Result<IpSet, FollowError> {
    let is_edited = state.selectors != selectors;
    let all = if is_edited { state.unsaid() } else { state.withheld.clone() };
    if all.is_empty() {
        return Ok(all);
    }
    let everything = Selector { filter: Filter::default(), families: Families::Both };
    Ok(all.intersect(&stage.selections.of(&[everything])?))
}

/// How much budgets have pushed out of a feed that is to list as much of `listed` as `set`. When a person has set one
/// otherwise, what that costs is meant.
fn pushed_out(stage: &Stage<'_>, state: &State, (listed, set): (&IpSet, &IpSet)) -> Tide {
    let is_limited = stage.budgets.iter().any(|budget| *budget != Budget::default());
    match &state.release {
        Some(release) if is_limited && state.budgets == stage.budgets => {
            let moved = pressed(&release.set.unpack(), listed, set);
            state.pressed.clone().then(moved, stage.moment())
        }
        _ => Tide::default(),
    }
}

/// Whether two profiles write the same set as the same bytes, so that its readers have them already.
fn written_alike(before: &Profile, now: &Profile) -> bool {
    (before.format, before.lines(), before.parts, before.compress)
        == (now.format, now.lines(), now.parts, now.compress)
}
