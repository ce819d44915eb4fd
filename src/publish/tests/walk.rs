//! Any walk of listings, allows, edits, budgets and consents, against plain bitmaps, with a reader that applies
//! differences.

use super::house::{House, set, text};
use super::{bits, ranges, spans};
use crate::addr::{IpRange, IpSet};
use crate::model::{Budget, Detail, Document, Filter, Format, GateLimits, Profile};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// One of two sources lists exactly this from now on.
    List(bool, Vec<(u8, u8)>),
    Allow(Vec<(u8, u8)>),
    /// Nothing is allowed any more.
    Disallow,
    /// The feed takes both sources, or one.
    Edit(Option<bool>),
    Budget(Option<u8>),
    Consent,
    /// The reader asks for differences.
    Poll,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (any::<bool>(), spans()).prop_map(|(source, spans)| Step::List(source, spans)),
        2 => spans().prop_map(Step::Allow),
        1 => Just(Step::Disallow),
        1 => any::<Option<bool>>().prop_map(Step::Edit),
        1 => proptest::option::of(1_u8..12).prop_map(Step::Budget),
        2 => Just(Step::Consent),
        4 => Just(Step::Poll),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..14)
}

/// What is true of the world, in plain bitmaps.
struct World {
    house: House,
    listed: [Vec<bool>; 2],
    allowed: Vec<IpRange>,
    profile: Profile,
    /// A reader's copy, and the generation that it is of.
    copy: Option<(u64, IpSet)>,
}

const SOURCES: [&str; 2] = ["a", "b"];

impl World {
    fn new() -> Self {
        let house = House::new();
        // Among 256 addresses everything is few.
        let gate = GateLimits { few: 3, ..GateLimits::default() };
        let profile = Profile { gate, allow_empty: true, ..house.profile("fortigate") };
        house.publish(profile.clone());
        for source in SOURCES {
            // Growth of young sources is never judged.
            house.list(source, &ranges(&[(255, 0)], false), &Detail::default());
        }
        house.clock(3 * 86_400);
        let one = || bits(&ranges(&[(255, 0)], false));
        Self { house, listed: [one(), one()], allowed: Vec::new(), profile, copy: None }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::List(source, spans) => {
                let (at, spans) = (usize::from(*source), ranges(spans, false));
                self.house.list(SOURCES[at], &spans, &Detail::default());
                self.listed[at] = bits(&spans);
            }
            Step::Allow(spans) => {
                for range in ranges(spans, false) {
                    self.house.allow(range);
                    self.allowed.push(range);
                }
            }
            Step::Disallow => self.allowed.drain(..).for_each(|range| self.house.disallow(range)),
            Step::Edit(which) => {
                let sources = which.map(|which| SOURCES[usize::from(which)].parse().unwrap());
                self.profile.filter = Filter { sources: sources.into_iter().collect(), ..Filter::default() };
                self.house.publish(self.profile.clone());
            }
            Step::Budget(entries) => {
                self.profile.budget = Budget { entries: entries.map(u64::from), bytes: None };
                self.house.publish(self.profile.clone());
            }
            Step::Consent => {
                self.house.refresh();
                let feed = self.house.feed("fortigate");
                if let Some(hold) = feed.status().hold {
                    let name = "fortigate".parse().unwrap();
                    self.house.feeds.consent(Some(&name), hold.generation, &self.house.engine).unwrap();
                }
            }
            Step::Poll => self.poll(),
            Step::Restart => self.house.reopen_feeds(),
        }
        self.house.refresh();
    }

    /// The reader takes in what changed, or all of it when that is not known any more.
    fn poll(&mut self) {
        let feed = self.house.feed("fortigate");
        let whole = || feed.released().map(|released| released.release.set.unpack()).unwrap_or_default();
        let since = self.copy.take().and_then(|(since, copy)| Some((feed.changes(since).ok()?, copy)));
        let (generation, copy) = match since {
            Some(((generation, difference), copy)) => {
                (generation, copy.subtract(&difference.removed).union(&difference.added))
            }
            None => (feed.changes(0).map_or(0, |(generation, _)| generation), whole()),
        };
        assert_eq!(copy, whole(), "the reader has what is listed");
        self.copy = Some((generation, copy));
    }

    /// What is blocked by the filter, and not allowed.
    fn golden(&self) -> Vec<bool> {
        let taken = |at: usize| {
            self.profile.filter.sources.is_empty() || self.profile.filter.sources[0].as_str() == SOURCES[at]
        };
        let mut golden = vec![false; 512];
        for at in (0..2).filter(|at| taken(*at)) {
            golden.iter_mut().zip(&self.listed[at]).for_each(|(bit, listed)| *bit |= listed);
        }
        golden.iter_mut().zip(bits(&self.allowed)).for_each(|(bit, allowed)| *bit &= !allowed);
        golden
    }

    /// What the feed's document says.
    fn published(&self) -> Vec<bool> {
        let Some(released) = self.house.feed("fortigate").released() else { return vec![false; 512] };
        let list = released.get(1, Document::List(Format::Plain)).unwrap();
        let read: Vec<IpRange> = text(list).lines().map(|line| line.parse().unwrap()).collect();
        if let Some(most) = self.profile.budget.entries {
            assert!(read.len() as u64 <= most, "the budget is kept");
        }
        assert_eq!(set(&read), released.release.set.unpack());
        bits(&read)
    }
}

fn within(a: &[bool], b: &[bool]) -> bool {
    a.iter().zip(b).all(|(a, b)| !*a || *b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_happens_a_feed_lists_what_it_should_or_what_it_did(steps in steps()) {
        let mut world = World::new();
        world.house.refresh();
        let mut before = world.published();
        for step in steps {
            world.take(&step);
            let (published, golden) = (world.published(), world.golden());
            let allowed = bits(&world.allowed);
            prop_assert!(published.iter().zip(&allowed).all(|(a, b)| !(*a && *b)), "allowed and published");
            let is_held = world.house.feed("fortigate").status().hold.is_some();
            let is_whole = world.profile.budget.entries.is_none();
            match (is_held, is_whole) {
                (false, true) => prop_assert_eq!(&published, &golden),
                (false, false) => prop_assert!(within(&published, &golden)),
                // Nothing that a source does takes anything away from a held feed, or adds to it.
                (true, true) if matches!(step, Step::List(..)) => prop_assert_eq!(&published, &before),
                (true, _) => {}
            }
            before = published;
        }
        world.poll();
    }
}
