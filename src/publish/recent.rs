//! What has changed in a feed over its last releases, told so that whoever took it at any of them can be brought up to
//! date: for readers whose last visit nobody remembers. Pure.

use super::log::Step;
use super::roll::Roll;
use crate::addr::{IpRange, IpSet, Range, RangeSet, Word};
use crate::model::Time;
use std::collections::BTreeSet;

/// What changed. Telling a reader more than once does no harm.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    /// Lines of an earlier release that are no lines now, in order. Whoever unlists one must do so before it lists what
    /// is new: a line may have been cut, and its parts are still listed.
    pub gone: Vec<IpRange>,
    /// The ranges of the newest release whose lines have not been there, as they are, all the time.
    pub new: IpSet,
}

/// What of the newest release one of the releases before it brought, and what it took away for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// When it was released.
    pub time: Time,
    /// Lines that were there last before it, and are no lines now, in order.
    pub gone: Vec<IpRange>,
    /// The ranges of the newest release that have been there, as they are, since then.
    pub new: IpSet,
}

/// What changed with `steps`, all in one.
pub fn recent(roll: &Roll, steps: &[Step]) -> Recent {
    let mut turns = turns(roll, steps);
    if let [turn] = &mut turns[..] {
        return Recent { gone: std::mem::take(&mut turn.gone), new: std::mem::take(&mut turn.new) };
    }
    let mut gone: Vec<IpRange> = turns.iter().flat_map(|turn| &turn.gone).copied().collect();
    gone.sort_unstable();
    Recent { gone, new: turns.iter().flat_map(|turn| turn.new.iter()).collect() }
}

/// What changed with each of the last `steps` before the release of `roll`, the oldest first. Linear in what is listed,
/// about 10 ns a range, and in steps times what all of them changed.
pub fn turns(roll: &Roll, steps: &[Step]) -> Vec<Turn> {
    let steps = steps.iter().filter(|step| step.modified <= roll.released().release.modified);
    let steps: Vec<(Time, IpSet, IpSet)> =
        steps.map(|step| (step.time, step.removed.unpack(), step.added.unpack())).collect();
    let none = IpSet::default();
    let changed = steps.iter().fold(none, |all, (_, removed, added)| all.union(removed).union(added));
    // A line depends on the whole range that it is of: what did not touch a change, in any of the releases, is as it was.
    let about = touching(&roll.set().union(&changed), &changed);
    let now = roll.set().intersect(&about);
    let (mut then, mut steady, mut told) = (now.clone(), now, BTreeSet::new());
    let mut turns = Vec::with_capacity(steps.len());
    for (time, removed, added) in steps.into_iter().rev() {
        let after = then;
        then = after.subtract(&added).union(&removed);
        let new = kept(&steady, |range| !is_range(&then, range));
        steady = kept(&steady, |range| is_range(&then, range));
        let ended = then.iter().filter(|range| !is_range(&after, *range));
        let lines = ended.flat_map(|range| roll.cut(range)).filter(|line| !is_line(roll, *line));
        let mut gone: Vec<IpRange> = lines.filter(|line| told.insert(*line)).collect();
        gone.sort_unstable();
        turns.push(Turn { time, gone, new });
    }
    turns.reverse();
    turns
}

/// What of the release of `roll` is older than all of `turns`.
pub fn steady(roll: &Roll, turns: &[Turn]) -> IpSet {
    kept(roll.set(), |range| turns.iter().all(|turn| !is_range(&turn.new, range)))
}

/// Whether this is one whole line of `roll`.
pub(super) fn is_line(roll: &Roll, line: IpRange) -> bool {
    roll.holding(line.first()).is_some_and(|now| now.range == line)
}

/// The ranges of `set` in which any address of `changed` is.
fn touching(set: &IpSet, changed: &IpSet) -> IpSet {
    kept(set, |range| match range {
        IpRange::V4(range) => changed.v4.meets(range),
        IpRange::V6(range) => changed.v6.meets(range),
    })
}

/// The ranges of `set` that `keeps` takes.
fn kept(set: &IpSet, keeps: impl Fn(IpRange) -> bool) -> IpSet {
    set.iter().filter(|range| keeps(*range)).collect()
}

/// Whether this is one whole range of `set`.
fn is_range(set: &IpSet, range: IpRange) -> bool {
    fn has<W: Word>(set: &RangeSet<W>, range: Range<W>) -> bool {
        let at = set.ranges().binary_search_by_key(&range.first(), |range| range.first());
        at.is_ok_and(|at| set.ranges()[at] == range)
    }
    match range {
        IpRange::V4(range) => has(&set.v4, range),
        IpRange::V6(range) => has(&set.v6, range),
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::Packed;
    use super::super::release::{Release, Released};
    use super::super::roll::{Line, Place};
    use super::super::selection::Annotated;
    use super::*;
    use crate::model::{Format, Lines, Profile, Time};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn set(addresses: &[u8]) -> IpSet {
        let v4 = addresses.iter().map(|address| Range::single(u32::from(*address)));
        let v6 = addresses.iter().map(|address| Range::single(u128::from(*address / 2) + 7));
        IpSet { v4: v4.collect(), v6: v6.collect() }
    }

    fn roll(generation: u64, set: &IpSet, lines: Lines) -> Roll {
        let profile =
            Profile { format: Format::Plain, lines: Some(lines), ..Profile::new("a".parse().unwrap()) };
        let release = Release::new(generation, Time::from_unix(generation as i64), set);
        Roll::new(Arc::new(Released::new(release, Arc::new(profile))), Annotated::default()).unwrap()
    }

    fn lines(roll: &Roll, set: &IpSet) -> BTreeSet<IpRange> {
        let mut place = Place::default();
        std::iter::from_fn(|| roll.next(set, &mut place).map(|Line { range, .. }| range)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn whoever_took_any_of_the_releases_holds_the_last_one_after_it(
            releases in proptest::collection::vec(proptest::collection::vec(0..60_u8, 0..50), 2..6),
            addresses in any::<bool>(),
        ) {
            let form = if addresses { Lines::Addresses } else { Lines::Cidrs };
            let sets: Vec<IpSet> = releases.iter().map(|addresses| set(addresses)).collect();
            let steps: Vec<Step> = sets.windows(2).zip(2..).map(|(pair, generation)| {
                let (removed, added) = (pair[0].subtract(&pair[1]), pair[1].subtract(&pair[0]));
                let time = Time::from_unix(generation as i64);
                Step { generation, modified: time, late: false, time, removed: Packed::of(&removed), added: Packed::of(&added) }
            }).collect();
            let now = roll(sets.len() as u64, sets.last().unwrap(), form);
            let expected = lines(&now, now.set());
            let told = recent(&now, &steps);
            prop_assert_eq!(told.new.subtract(now.set()), IpSet::default());
            for (at, then) in sets.iter().enumerate() {
                let mut held = lines(&roll(at as u64 + 1, then, form), then);
                held.retain(|line| told.gone.binary_search(line).is_err());
                held.extend(lines(&now, &told.new));
                prop_assert_eq!(&held, &expected, "from release {}", at + 1);
            }
            let turns = turns(&now, &steps);
            let mut held = lines(&roll(1, &sets[0], form), &sets[0]);
            prop_assert!(lines(&now, &steady(&now, &turns)).is_subset(&held));
            for turn in turns {
                held.retain(|line| turn.gone.binary_search(line).is_err());
                held.extend(lines(&now, &turn.new));
            }
            prop_assert_eq!(&held, &expected, "turn by turn");
        }
    }

    #[test]
    fn a_step_after_the_roll_and_what_no_step_touched_are_left_out() {
        let (before, after) = (set(&[1, 3, 9]), set(&[1, 3]));
        let step = |generation| Step {
            generation,
            modified: Time::from_unix(generation as i64),
            late: false,
            time: Time::default(),
            removed: Packed::of(&before.subtract(&after)),
            added: Packed::of(&IpSet::default()),
        };
        let now = roll(5, &after, Lines::Cidrs);
        assert_eq!(recent(&now, &[step(6)]), Recent::default());
        let told = recent(&now, &[step(5)]);
        assert_eq!((told.gone.len(), told.new), (2, IpSet::default()), "an address of each family");
    }
}
