//! Any walk of listings that end, allows, suppressions, edits, budgets, feeds that come and go, clocks and consents,
//! against what the filter takes and what was listed before, with a reader that applies differences.

use super::house::{self, House, set, text};
use super::{ranges, spans};
use crate::addr::{IpRange, IpSet};
use crate::model::{
    Budget, Cause, Change, Detail, Device, Document, Filter, Format, GateLimits, Output, OutputKey, Profile,
    Scope, SourceName, Suppression,
};
use crate::publish::{NoConsent, Scene, wanted};
use proptest::prelude::*;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

#[derive(Clone, Debug)]
enum Step {
    /// One of two sources lists exactly this from now on, for so many hours or for good.
    List(bool, Vec<(u8, u8)>, Option<u8>),
    Allow(Vec<(u8, u8)>),
    /// Nothing is allowed any more.
    Disallow,
    /// Of one source, or of both.
    Suppress(Vec<(u8, u8)>, Option<bool>),
    /// Nothing is suppressed any more.
    Unsuppress,
    /// A feed takes both sources or one, of any age or none older than days.
    Edit(bool, Option<bool>, Option<u8>),
    Budget(bool, Option<u8>),
    /// What a device can take of both feeds.
    Room(Option<u8>),
    /// The second feed goes, and comes again as a new one.
    Anew,
    /// Hours pass.
    Wait(u8),
    /// The clock is put wrong by days, while a source lists this, and right again.
    Wrong(i8, Vec<(u8, u8)>),
    Consent(bool),
    /// Somebody looks, a source lists something else, and then they consent.
    Late(Vec<(u8, u8)>),
    /// The reader asks for differences.
    Poll,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = proptest::option::of(any::<bool>());
    let step = prop_oneof![
        8 => (any::<bool>(), spans(), proptest::option::weighted(0.3, 1_u8..60)).prop_map(|(a, b, c)| Step::List(a, b, c)),
        2 => spans().prop_map(Step::Allow),
        1 => Just(Step::Disallow),
        2 => (spans(), some.clone()).prop_map(|(spans, source)| Step::Suppress(spans, source)),
        1 => Just(Step::Unsuppress),
        1 => (any::<bool>(), some, proptest::option::of(1_u8..4)).prop_map(|(a, b, c)| Step::Edit(a, b, c)),
        1 => (any::<bool>(), proptest::option::of(1_u8..12)).prop_map(|(feed, most)| Step::Budget(feed, most)),
        1 => proptest::option::of(1_u8..20).prop_map(Step::Room),
        1 => Just(Step::Anew),
        2 => (1_u8..40).prop_map(Step::Wait),
        1 => (-60_i8..60, spans()).prop_map(|(days, spans)| Step::Wrong(days, spans)),
        2 => any::<bool>().prop_map(Step::Consent),
        1 => spans().prop_map(Step::Late),
        3 => Just(Step::Poll),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..14)
}

const SOURCES: [&str; 2] = ["a", "b"];
const FEEDS: [&str; 2] = ["fortigate", "second"];

struct World {
    house: House,
    allowed: Vec<IpRange>,
    suppressed: Vec<(IpRange, Option<SourceName>)>,
    profiles: [Profile; 2],
    room: Option<u64>,
    /// What holds of each feed kept back that were ended by an edit, or with the feed: nobody has had a word on it.
    withheld: [IpSet; 2],
    /// A reader's copy, and the generation that it is of.
    copy: Option<(u64, IpSet)>,
}

impl World {
    fn new() -> Self {
        let house = House::new();
        // Among 256 addresses everything is few.
        let gate = GateLimits { few: 3, ..GateLimits::default() };
        let profiles = FEEDS.map(|name| Profile { gate, allow_empty: true, ..house.profile(name) });
        profiles.iter().for_each(|profile| house.publish(profile.clone()));
        for source in SOURCES {
            house.list(source, &ranges(&[(255, 0)], false), &Detail::default());
        }
        // Growth of young sources is never judged.
        house.clock(3 * DAY);
        house.refresh();
        let (allowed, suppressed, withheld) = (Vec::new(), Vec::new(), <[IpSet; 2]>::default());
        Self { house, allowed, suppressed, profiles, room: None, withheld, copy: None }
    }

    fn list(&self, source: bool, spans: &[(u8, u8)], hours: Option<u8>) {
        let expires = hours.map(|hours| self.house.engine.now().plus(i64::from(hours) * HOUR));
        let detail = Detail { expires, ..Detail::default() };
        let (source, spans) = (SOURCES[usize::from(source)], ranges(spans, false));
        let (cause, change) = house::listing(source, &spans, &detail, Scope::Whole);
        self.house.change(cause, change);
    }

    fn person(&self, change: Change) {
        self.house.change(Cause::Manual, change);
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::List(source, spans, hours) => self.list(*source, spans, *hours),
            Step::Allow(spans) => {
                for range in ranges(spans, false) {
                    self.house.allow(range);
                    self.allowed.push(range);
                }
            }
            Step::Disallow => {
                self.allowed.sort_unstable();
                self.allowed.dedup();
                self.allowed.drain(..).for_each(|range| self.house.disallow(range));
            }
            Step::Suppress(spans, source) => {
                let source: Option<SourceName> =
                    source.map(|source| SOURCES[usize::from(source)].parse().unwrap());
                for range in ranges(spans, false) {
                    let (reason, owner) = (String::new(), String::new());
                    let suppression = Suppression {
                        range,
                        source: source.clone(),
                        reason,
                        owner,
                        expires: None,
                        since: house::NOON,
                    };
                    self.person(Change::Suppress(suppression));
                    self.suppressed.push((range, source.clone()));
                }
            }
            Step::Unsuppress => {
                self.suppressed.sort();
                self.suppressed.dedup();
                let all = std::mem::take(&mut self.suppressed);
                all.into_iter().for_each(|(range, source)| self.person(Change::Unsuppress { range, source }));
            }
            Step::Edit(feed, which, days) => {
                let sources = which.map(|which| SOURCES[usize::from(which)].parse().unwrap());
                let (sources, max_age_days) = (sources.into_iter().collect(), days.map(u16::from));
                self.edit(*feed, |profile| {
                    profile.filter = Filter { sources, max_age_days, ..Filter::default() };
                });
            }
            Step::Budget(feed, entries) => self.edit(*feed, |profile| {
                profile.budget = Budget { entries: entries.map(u64::from), bytes: None };
            }),
            Step::Room(entries) => {
                self.room = entries.map(u64::from);
                let budget = Budget { entries: self.room, bytes: None };
                let feeds = FEEDS.map(|feed| feed.parse().unwrap()).into();
                let device = Device { feeds, budget, ..Device::new("box".parse().unwrap()) };
                self.person(Change::Publish(Output::Device(device)));
            }
            Step::Anew if self.house.engine.snapshot().devices().next().is_none() => {
                self.person(Change::Withdraw(OutputKey::Feed(self.profiles[1].name.clone())));
                self.house.refresh();
                self.house.publish(self.profiles[1].clone());
            }
            Step::Anew => {}
            Step::Wait(hours) => self.house.clock(i64::from(*hours) * HOUR),
            Step::Wrong(days, spans) => {
                self.house.jump(i64::from(*days) * DAY);
                self.list(false, spans, None);
                self.house.refresh();
                self.house.jump(-i64::from(*days) * DAY);
            }
            Step::Consent(feed) => {
                let name = self.profiles[usize::from(*feed)].name.clone();
                if self.house.feeds.whole().status().hold.is_some() {
                    let generation = self.house.feeds.whole().status().hold.unwrap().generation;
                    self.house.feeds.consent(None, generation, &self.house.engine).unwrap();
                } else if let Some(hold) = self.house.feed(name.as_str()).status().hold {
                    self.house.feeds.consent(Some(&name), hold.generation, &self.house.engine).unwrap();
                }
            }
            Step::Late(spans) => self.late(spans),
            Step::Poll => self.poll(),
            Step::Restart => self.house.reopen_feeds(),
        }
        self.house.refresh();
    }

    fn edit(&mut self, feed: bool, change: impl FnOnce(&mut Profile)) {
        let profile = &mut self.profiles[usize::from(feed)];
        change(profile);
        self.house.publish(profile.clone());
    }

    /// Consent is for what was shown: it counts if nothing else would change by now, and then nothing else does.
    fn late(&mut self, spans: &[(u8, u8)]) {
        let feed = self.house.feed(FEEDS[0]);
        let shown = feed.inside().state.held.clone();
        let before = self.listed(0);
        self.list(true, spans, None);
        self.house.refresh();
        let (Some(shown), None) = (shown, self.house.feeds.whole().status().hold) else { return };
        let consented =
            self.house.feeds.consent(Some(&self.profiles[0].name), shown.hold.generation, &self.house.engine);
        match consented {
            Ok(()) if self.profiles[0].budget.entries.is_none() && self.room.is_none() => {
                let came = self.listed(0).subtract(&before).subtract(&shown.difference.added);
                assert!(came.is_empty(), "{came:?} came that nobody was shown");
                let went = before.subtract(&self.listed(0)).subtract(&shown.difference.removed);
                assert!(went.is_empty(), "{went:?} went that nobody was shown");
            }
            Ok(()) | Err(NoConsent::NotHeld | NoConsent::Grown(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// The reader takes in what changed, or all of it when that is not known any more.
    fn poll(&mut self) {
        let feed = self.house.feed(FEEDS[0]);
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

    /// What is blocked by a feed's filter, and exempted by nothing.
    fn golden(&self, feed: usize) -> IpSet {
        let taken = self.house.engine.together(|snapshot, view| {
            wanted(Scene { snapshot, view }, &self.profiles[feed]).unwrap().subtract(&snapshot.exempt())
        });
        taken.unwrap()
    }

    /// What a feed's document says.
    fn listed(&self, feed: usize) -> IpSet {
        let Some(released) = self.house.feed(FEEDS[feed]).released() else { return IpSet::default() };
        let list = released.get(1, Document::List(Format::Plain)).unwrap();
        let read: Vec<IpRange> = text(list).lines().map(|line| line.parse().unwrap()).collect();
        if let Some(most) = self.profiles[feed].budget.entries {
            assert!(read.len() as u64 <= most, "the budget is kept");
        }
        assert_eq!(set(&read), released.release.set.unpack());
        set(&read)
    }

    fn all_listed(&self) -> [IpSet; 2] {
        let listed = [self.listed(0), self.listed(1)];
        let lines = listed.iter().map(IpSet::prefixes).sum::<u64>();
        assert!(self.room.is_none_or(|room| lines <= room), "{lines} lines for {:?}", self.room);
        listed
    }

    fn is_held(&self, feed: usize) -> bool {
        self.house.feed(FEEDS[feed]).status().hold.is_some()
    }

    /// What the hold of a feed keeps back.
    fn kept_back(&self, feed: usize) -> IpSet {
        let held = self.house.feed(FEEDS[feed]).inside().state.held.clone();
        held.map(|held| held.difference.added).unwrap_or_default()
    }

    /// What of a feed an edit would have to leave unsaid.
    fn unsaid(&self, feed: usize) -> IpSet {
        let state = self.house.feed(FEEDS[feed]).inside().state.clone();
        let is_settled = state.is_settled(&state.selectors);
        state.held.filter(|_| is_settled).map(|held| held.difference.added).unwrap_or_default()
    }

    /// Takes a step, and notes what nobody has had a word on by it.
    fn take_and_note(&mut self, step: &Step) {
        let (filters, unsaid) = (
            self.profiles.each_ref().map(|profile| profile.filter.clone()),
            [self.unsaid(0), self.unsaid(1)],
        );
        let is_anew = matches!(step, Step::Anew) && self.house.engine.snapshot().devices().next().is_none();
        self.take(step);
        if matches!(step, Step::Consent(_) | Step::Late(_)) {
            self.withheld = Default::default();
        }
        if is_anew {
            let own = std::mem::take(&mut self.withheld[1]);
            self.withheld[0] = self.withheld[0].union(&own).union(&unsaid[1]);
        }
        let listed = self.house.engine.together(|snapshot, view| {
            wanted(Scene { snapshot, view }, &Profile::new("all".parse().unwrap())).unwrap()
        });
        let listed = listed.unwrap();
        for feed in 0..2 {
            let withheld = &mut self.withheld[feed];
            if self.profiles[feed].filter != filters[feed] {
                *withheld = withheld.union(&unsaid[feed]);
            }
            *withheld = withheld.intersect(&listed);
        }
    }

    fn look(&self, step: &Step, (was_held, before): (bool, &IpSet), listed: &IpSet, feed: usize) {
        let golden = self.golden(feed);
        assert!(listed.intersect(&set(&self.allowed)).is_empty(), "allowed and published");
        let always = self.suppressed.iter().filter(|(_, source)| source.is_none());
        let always: IpSet = always.map(|(range, _)| *range).collect();
        assert!(listed.intersect(&always).subtract(&golden).is_empty(), "suppressed and published");
        let is_whole = self.profiles[feed].budget.entries.is_none() && self.room.is_none();
        let is_held = self.is_held(feed);
        match step {
            _ if !is_held && is_whole => assert_eq!(listed, &golden),
            _ if !is_held => assert!(listed.subtract(&golden).is_empty()),
            // A source takes nothing from a held feed, and brings nothing that was not in its base.
            Step::List(..) if is_whole => {
                // What only a listing around it kept in spite of a suppression goes with that one.
                let hidden = self.suppressed.iter().map(|(range, _)| *range).collect();
                let went = before.subtract(listed).subtract(&hidden);
                assert!(went.is_empty(), "{went:?} went");
                assert!(!was_held || listed.subtract(before).subtract(&golden).is_empty());
            }
            Step::Anew if feed == 1 => {
                let brought = listed.intersect(&self.kept_back(0).union(&self.withheld[0]));
                assert!(brought.is_empty(), "{brought:?} is kept back from the first feed");
            }
            Step::Edit(edited, ..) if usize::from(*edited) == feed && is_whole => {
                let hidden = self.suppressed.iter().map(|(range, _)| *range).collect();
                let brought = listed.subtract(before).intersect(&self.withheld[1 - feed]).subtract(&hidden);
                assert!(brought.is_empty(), "{brought:?} was kept back from the other feed");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_a_feed_lists_what_it_should_or_what_it_did(steps in steps()) {
        let mut world = World::new();
        let mut before = world.all_listed();
        for step in steps {
            let was_held = [world.is_held(0), world.is_held(1)];
            world.take_and_note(&step);
            let listed = world.all_listed();
            for feed in 0..2 {
                world.look(&step, (was_held[feed], &before[feed]), &listed[feed], feed);
            }
            before = listed;
        }
        world.poll();
    }

    #[test]
    fn what_a_person_hides_and_shows_again_is_as_it_was(
        steps in steps(), hidden in spans(), source in any::<Option<bool>>(), allowed: bool,
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(step));
        world.take(&Step::Disallow);
        world.take(&Step::Unsuppress);
        let is_free = !world.is_held(0) && !world.is_held(1);
        let before = world.all_listed();
        let (hide, show) = match allowed {
            true => (Step::Allow(hidden), Step::Disallow),
            false => (Step::Suppress(hidden, source), Step::Unsuppress),
        };
        world.take(&hide);
        world.take(&show);
        // Whoever hides what a hold is about may settle it.
        prop_assert!(!is_free || world.all_listed() == before);
    }
}
