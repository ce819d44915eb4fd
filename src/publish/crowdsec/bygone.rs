//! The lines that a feed listed within the last while and lists no more: for bouncers that were away, or that could not
//! ask. Pure.

use super::super::log::Step;
use super::super::recent::{is_line, turns};
use super::super::roll::Roll;
use crate::addr::IpRange;
use crate::model::Time;
use std::collections::BTreeMap;

/// Lines, each with the moment at which it went last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bygone {
    lines: BTreeMap<IpRange, Time>,
    /// The moment of the last step that was taken in: two may be of one generation, as when a person consents.
    known: Option<Time>,
}

impl Bygone {
    /// Whether the steps that it has not taken in yet lead on from what it knows.
    pub fn leads_to(&self, newest: Option<Time>) -> bool {
        self.known <= newest
    }

    /// Takes in the `steps` that it does not know, of which the last lead to the release of `roll`, and forgets what went
    /// before `oldest`. Costs as [`turns`], for those steps.
    pub fn go_on(&mut self, roll: &Roll, steps: &[Step], oldest: Time) {
        let new = steps.iter().position(|step| Some(step.time) > self.known && step.time > oldest);
        let new = new.and_then(|at| steps.get(at..)).unwrap_or_default();
        for turn in turns(roll, new) {
            self.lines.extend(turn.gone.into_iter().map(|line| (line, turn.time)));
        }
        let reached = roll.released().release.modified;
        let taken = new.iter().rev().find(|step| step.modified <= reached);
        self.known = taken.map_or(self.known, |step| Some(step.time));
        self.lines.retain(|line, time| *time > oldest && !is_line(roll, *line));
    }

    /// The lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = IpRange> + '_ {
        self.lines.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{IpSet, Range, RangeSet};
    use crate::model::{Lines, Profile};
    use crate::publish::{Annotated, Packed, Place, Release, Released};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn set(addresses: &[u8]) -> IpSet {
        let v4 = addresses.iter().map(|address| Range::single(u32::from(*address)));
        IpSet { v4: v4.collect(), v6: RangeSet::EMPTY }
    }

    fn roll(generation: u64, set: &IpSet) -> Roll {
        let profile = Profile { lines: Some(Lines::Cidrs), ..Profile::new("a".parse().unwrap()) };
        let release = Release::new(generation, Time::from_unix(generation as i64), set);
        Roll::new(Arc::new(Released::new(release, Arc::new(profile))), Annotated::default()).unwrap()
    }

    fn lines(roll: &Roll) -> BTreeSet<IpRange> {
        let mut place = Place::default();
        std::iter::from_fn(|| roll.next(roll.set(), &mut place).map(|line| line.range)).collect()
    }

    proptest! {
        #[test]
        fn it_knows_every_line_that_was_there_and_is_none_now_however_it_came_to_that(
            releases in proptest::collection::vec(proptest::collection::vec(0..40_u8, 0..30), 2..8),
            looked in proptest::collection::vec(any::<bool>(), 8),
            forgotten in 0..8_i64,
        ) {
            let sets: Vec<IpSet> = releases.iter().map(|addresses| set(addresses)).collect();
            let steps: Vec<Step> = sets.windows(2).zip(2..).map(|(pair, generation)| Step {
                generation,
                modified: Time::from_unix(generation as i64),
                late: false,
                time: Time::from_unix(generation as i64),
                removed: Packed::of(&pair[0].subtract(&pair[1])),
                added: Packed::of(&pair[1].subtract(&pair[0])),
            }).collect();
            let rolls: Vec<Roll> = sets.iter().zip(1..).map(|(set, generation)| roll(generation, set)).collect();
            let now = rolls.last().unwrap();
            let oldest = Time::from_unix(forgotten);
            let mut grown = Bygone::default();
            for (roll, _) in rolls.iter().zip(&looked).filter(|(_, looked)| **looked) {
                grown.go_on(roll, &steps, Time::default());
            }
            grown.go_on(now, &steps, oldest);
            let listed = lines(now);
            let expected: BTreeSet<IpRange> = rolls.windows(2).zip(2_i64..).filter(|(_, time)| *time > forgotten)
                .flat_map(|(pair, _)| lines(&pair[0]).into_iter().filter(|line| !lines(&pair[1]).contains(line)).collect::<Vec<_>>())
                .filter(|line| !listed.contains(line)).collect();
            prop_assert_eq!(&grown.lines().collect::<BTreeSet<_>>(), &expected, "step by step");
            let mut made = Bygone::default();
            made.go_on(now, &steps, oldest);
            prop_assert_eq!(made.lines().collect::<BTreeSet<_>>(), expected, "from the log");
        }
    }
}
