//! From how a feed stands and what it would list to what it lists: follow, or hold. Pure.

use super::gate::{Distance, Ground, judge, purge};
use super::hold::{Base, Hold};
use super::state::{Held, State};
use crate::addr::IpSet;
use crate::model::{GateLimits, Time};

/// All that the decision depends on.
pub(super) struct Question<'a> {
    /// How the feed stands.
    pub state: &'a State,
    /// What it lists by that.
    pub listed: Option<&'a IpSet>,
    /// Whether the profile selects as that of the last release did; a person who changes it means what follows.
    pub same_profile: bool,
    /// What it would list.
    pub next: &'a IpSet,
    /// What is never published.
    pub exempt: &'a IpSet,
    /// What has ended since the state was last looked at, or is suppressed.
    pub ended: &'a IpSet,
    /// What sources list that people added since the base: that is no growth of what was there.
    pub fresh: &'a dyn Fn() -> IpSet,
    /// Its limits.
    pub limits: &'a GateLimits,
    /// Whether all feeds together are held.
    pub whole_is_held: bool,
    /// How far a person consented to go.
    pub consent: Option<Distance>,
    /// The generation that is looked at.
    pub generation: u64,
    /// The wall clock.
    pub now: Time,
}

/// What is listed from now on.
#[derive(Debug)]
pub(super) struct Decision {
    /// Exactly this.
    pub set: IpSet,
    /// Set when that is not what it would list.
    pub held: Option<Held>,
}

/// Decides.
pub(super) fn decide(question: &Question<'_>) -> Decision {
    let base = base(question);
    let purged = base.as_ref().map(|base| purge(&base.set, question.exempt, &base.ended, question.next));
    let judgement = judge(purged.as_ref(), question.next, question.fresh, question.limits);
    let mut grounds = judgement.grounds;
    if question.whole_is_held && purged.as_ref() != Some(question.next) {
        grounds.push(Ground::Whole);
    }
    let is_consented = question.consent.is_some_and(|consent| judgement.distance.is_within(consent));
    if grounds.is_empty() || is_consented {
        return Decision { set: question.next.clone(), held: None };
    }
    let hold = match &question.state.held {
        Some(held) => {
            let mut hold = held.hold.clone();
            hold.go_on(question.generation, grounds, judgement.distance);
            hold
        }
        None => Hold::begin(question.generation, question.now, grounds, judgement.distance),
    };
    let base = base.unwrap_or(Base { set: IpSet::default(), generation: 0, ended: IpSet::default() });
    Decision { set: purged.unwrap_or_default(), held: Some(Held { hold, base }) }
}

/// What is compared with: while it is held, what was served before; else what is served.
fn base(question: &Question<'_>) -> Option<Base> {
    let State { held, seen, .. } = question.state;
    match (held, question.listed) {
        (Some(held), _) => Some(Base { ended: held.base.ended.union(question.ended), ..held.base.clone() }),
        (None, Some(listed)) if question.same_profile => {
            Some(Base { set: listed.clone(), generation: *seen, ended: question.ended.clone() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{IpRange, Range};
    use crate::publish::release::Release;

    const A: u32 = 0x1400_0000;

    fn set(ranges: &[&str]) -> IpSet {
        ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
    }

    /// So many single addresses that do not touch.
    fn singles(count: u32) -> IpSet {
        (0..count).map(|n| IpRange::V4(Range::single(A + 2 * n))).collect()
    }

    /// A feed that is taken from generation to generation.
    struct House {
        state: State,
        exempt: IpSet,
        ended: IpSet,
        fresh: IpSet,
        consent: Option<Distance>,
    }

    impl House {
        fn new() -> Self {
            let none = IpSet::default;
            Self { state: State::default(), exempt: none(), ended: none(), fresh: none(), consent: None }
        }

        fn take(&mut self, next: &IpSet) -> IpSet {
            let generation = self.state.seen + 1;
            let listed = self.state.release.as_ref().map(|release| release.set.unpack());
            let decision = decide(&Question {
                state: &self.state,
                listed: listed.as_ref(),
                same_profile: true,
                next,
                exempt: &self.exempt,
                ended: &self.ended,
                fresh: &|| self.fresh.clone(),
                limits: &GateLimits::default(),
                whole_is_held: false,
                consent: self.consent.take(),
                generation,
                now: Time::default(),
            });
            let release = Some(Release::new(generation, Time::default(), &decision.set));
            self.state = State { seen: generation, release, held: decision.held, ..State::default() };
            decision.set
        }

        fn hold(&self) -> &Hold {
            &self.state.held.as_ref().unwrap().hold
        }
    }

    #[test]
    fn a_list_that_collapses_is_held_with_the_last_good_one_served() {
        let mut house = House::new();
        let good = singles(1000);
        assert_eq!(house.take(&good), good);
        assert_eq!(house.take(&singles(3)), good);
        assert_eq!(house.hold().distance.gone, 997);
        assert_eq!(house.take(&singles(990)), singles(990), "and followed again when it is back");
        assert!(house.state.held.is_none());
    }

    #[test]
    fn a_held_feed_gives_up_what_was_allowed_or_has_ended_and_takes_back_what_is_allowed_no_more() {
        let mut house = House::new();
        let good = singles(1000);
        house.take(&good);
        house.take(&IpSet::default());
        house.exempt = set(&["20.0.0.0"]);
        assert_eq!(house.take(&IpSet::default()), good.subtract(&set(&["20.0.0.0"])));
        house.ended = set(&["20.0.0.2"]);
        assert_eq!(house.take(&IpSet::default()), good.subtract(&set(&["20.0.0.0", "20.0.0.2"])));
        (house.exempt, house.ended) = (IpSet::default(), IpSet::default());
        assert_eq!(house.take(&IpSet::default()), good.subtract(&set(&["20.0.0.2"])), "an end is for good");
    }

    #[test]
    fn ageing_out_is_never_mistaken_for_a_shrinking_source() {
        let mut house = House::new();
        house.take(&singles(1000));
        house.ended = singles(1000);
        assert_eq!(house.take(&singles(3)), singles(3));
        assert!(house.state.held.is_none());
    }

    #[test]
    fn consent_is_for_what_was_shown_and_for_no_more() {
        let mut house = House::new();
        house.take(&singles(1000));
        house.take(&singles(100));
        let shown = house.hold().distance;
        house.consent = Some(shown);
        assert_eq!(house.take(&singles(50)), singles(1000), "more would go by now");
        house.consent = Some(house.hold().distance);
        assert_eq!(house.take(&singles(50)), singles(50));
        assert!(house.state.held.is_none());
    }

    #[test]
    fn a_new_source_is_no_growth_and_a_known_one_that_doubles_is() {
        let mut house = House::new();
        house.take(&singles(1000));
        let more = singles(5000);
        house.fresh = more.subtract(&singles(1000));
        assert_eq!(house.take(&more), more);
        house.fresh = IpSet::default();
        assert_eq!(house.take(&singles(10_001)), more);
    }

    #[test]
    fn a_first_list_that_is_poisoned_is_not_served() {
        let mut house = House::new();
        assert_eq!(house.take(&set(&["128.0.0.0/1"])), IpSet::default());
        assert!(house.state.held.is_some());
        assert_eq!(house.take(&singles(7)), singles(7));
    }
}
