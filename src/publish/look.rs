//! A look at what a feed would go on to: what it is compared with, what it would list, and whether that may be. It changes
//! nothing, so that the step that does and whoever asks before they decide see the same.

use super::base::{Base, Today};
use super::budget::Cut;
use super::decide::{Decision, Question, decide};
use super::fault::FollowError;
use super::gate::{Ground, first, loss};
use super::log::Difference;
use super::select::{Selector, fresh};
use super::size::{Measure, fitted, pressed};
use super::stage::Stage;
use super::state::State;
use crate::addr::IpSet;
use crate::model::{Budget, Profile};

/// What a look has come to.
pub(super) struct Looked {
    pub(super) decision: Decision,
    /// What of that fits the budget, and what is cut, where that had to be asked already.
    pub(super) fitted: Option<(IpSet, Option<Cut>)>,
    /// What it was compared with; none before its first list.
    pub(super) base: Option<Base>,
}

/// Looks.
///
/// # Errors
/// [`FollowError`].
pub(super) fn look(
    stage: &Stage<'_>,
    profile: &Profile,
    selectors: &[Selector],
    state: &State,
    consent: Option<&Difference>,
) -> Result<Looked, FollowError> {
    let next = stage.selections.of(selectors)?;
    let (base, today) = match base(stage, profile, state, (selectors, &next))? {
        Some((base, today)) => (Some(base), Some(today)),
        None => (None, None),
    };
    let snapshot = stage.scene().snapshot;
    let held = state.held.as_ref();
    // Each feed that would bring it is held by itself.
    let is_free = stage.is_whole || state.is_settled(selectors);
    let none = IpSet::default();
    let question = Question {
        held: held.map(|held| (&held.hold, &held.difference)),
        base: today,
        next,
        exempt: stage.exempt,
        fresh: &|| fresh(snapshot),
        limits: &profile.gate,
        fallen: state.tide.fallen(state.since(stage.moment())),
        kept_back: if is_free { &none } else { &stage.kept_back },
        whole_is_held: stage.whole_is_held,
        consent,
        generation: snapshot.generation,
        now: stage.now,
    };
    let mut fitted = None;
    let decision = decide(question, |seen| too_much(stage, profile, state, seen, &mut fitted))?;
    let fitted = fitted.filter(|_| matches!(decision.outcome, super::decide::Outcome::Follows { .. }));
    Ok(Looked { decision, fitted, base })
}

/// What the feed is compared with, and that as of now: none before its first list.
fn base(
    stage: &Stage<'_>,
    profile: &Profile,
    state: &State,
    (selectors, next): (&[Selector], &IpSet),
) -> Result<Option<(Base, Today)>, FollowError> {
    let known = match (&state.held, &state.passed) {
        (Some(held), _) => held.base.clone(),
        (None, passed) => passed.as_ref().map(|passed| Base::new(passed.unpack(), state.seen)),
    };
    let Some(mut base) = known.map_or_else(
        || Ok(begun(stage, profile, next)),
        |base| {
            let is_edited = state.selectors != selectors;
            if !is_edited {
                return Ok(Some(base));
            }
            let before = stage.selections.of(&state.selectors)?;
            // Whoever takes a source out and in again has had no word on what it brought.
            let kept_back = stage.kept_back.union(&state.unsaid());
            Ok::<_, FollowError>(Some(base.edited((&before, next), &kept_back, &profile.gate)))
        },
    )?
    else {
        return Ok(None);
    };
    let lost = base.set.subtract(next);
    // While it is held, nothing may be missed; else only what is not listed any more is of interest.
    if state.held.is_some() || !lost.is_empty() {
        note(stage, profile.gate.few, state.seen, selectors, &mut base)?;
    }
    let today = if lost.is_empty() {
        base.clone().whole(stage.exempt)
    } else {
        today(stage, selectors, next, &mut base)?
    };
    Ok(Some((base, today)))
}

/// A base of which not everything is listed any more, as of now; what has become too old leaves it.
fn today(
    stage: &Stage<'_>,
    selectors: &[Selector],
    next: &IpSet,
    base: &mut Base,
) -> Result<Today, FollowError> {
    let missed = base.set.subtract(next).subtract(stage.exempt);
    let meant = stage.selections.meant(selectors, next, &missed)?;
    base.age(&meant.old);
    Ok(base.clone().today(stage.exempt, &meant, next))
}

/// What of `set`, which the feed listed at generation `since`, neither people nor time have taken out of it since.
///
/// # Errors
/// [`FollowError`].
pub(super) fn unmeant(
    stage: &Stage<'_>,
    profile: &Profile,
    (set, since): (&IpSet, u64),
) -> Result<IpSet, FollowError> {
    let selectors = [Selector::of(profile)];
    let next = stage.selections.of(&selectors)?;
    let mut base = Base::new(set.clone(), since);
    // Here the few matter, too: they may be all there is.
    note(stage, 0, since, &selectors, &mut base)?;
    Ok(today(stage, &selectors, &next, &mut base)?.shown)
}

/// What a feed that has nothing to compare with begins with where others keep back some of what it would list: the rest,
/// if there is any and it is sane.
fn begun(stage: &Stage<'_>, profile: &Profile, next: &IpSet) -> Option<Base> {
    let rest = next.subtract(&stage.kept_back);
    let is_some = rest != *next && !rest.subtract(stage.exempt).is_empty();
    (is_some && first(&rest, &profile.gate).is_empty())
        .then(|| Base::new(rest, stage.scene().snapshot.generation))
}

/// Takes into the base what sources list no more since a generation. How up to `few` came to their end is not asked.
fn note(
    stage: &Stage<'_>,
    few: u64,
    seen: u64,
    selectors: &[Selector],
    base: &mut Base,
) -> Result<(), FollowError> {
    let snapshot = stage.scene().snapshot;
    base.take_back(|source, set| snapshot.listed_by(source, set));
    let taken = stage.selections.sources(selectors);
    let gone = (stage.gone)(seen).map_err(FollowError::Gone)?;
    let of_it = || gone.iter().filter(|(source, _)| taken.contains(source));
    let ended = of_it().map(|(_, gone)| gone.ended.intersect(&base.set).prefixes()).sum::<u64>();
    // To find out costs reading the records of a day.
    let hasty =
        if ended > few { (stage.hasty)(seen).map_err(FollowError::Gone)? } else { Default::default() };
    of_it().for_each(|(source, gone)| base.note(*source, gone, hasty.get(source)));
    Ok(())
}

/// Whether a budget would cut too much of what readers have for the sake of what comes: of its own, or of those who are
/// served after it. What it fits is left in `fits`.
fn too_much(
    stage: &Stage<'_>,
    profile: &Profile,
    state: &State,
    seen: &IpSet,
    fits: &mut Option<(IpSet, Option<Cut>)>,
) -> Result<Option<Ground>, FollowError> {
    let is_limited = stage.budgets.iter().any(|budget| *budget != Budget::default());
    let Some(release) = state.release.as_ref().filter(|_| is_limited) else { return Ok(None) };
    if state.budgets != stage.budgets {
        // A person has set them otherwise, and what that costs is meant.
        return Ok(None);
    }
    let served = release.set.unpack();
    let before = Measure::of(stage.scene(), profile, &served)?.size(&served)?;
    let (within, cut) = fits.insert(fitted(stage.scene(), profile, stage.room, seen)?);
    // Where there is less room than before, to stay as it is helps nobody.
    if cut.is_some() && before.fits(stage.room.of(profile)) {
        let moved = pressed(&served, seen, within);
        let loss = loss(
            (served.prefixes(), moved),
            state.pressed.fallen(state.since(stage.moment())),
            &profile.gate,
        );
        if let Some((lines, gone)) = loss {
            let (feed, limit_percent) = (profile.name.clone(), profile.gate.shrink_percent);
            return Ok(Some(Ground::Budget { feed, before: lines, gone, limit_percent }));
        }
    }
    if stage.rivals.is_empty() {
        return Ok(None);
    }
    let after = Measure::of(stage.scene(), profile, within)?.size(within)?;
    Ok(stage.rivals.iter().find_map(|rivals| rivals.pushed(before, after)))
}
