//! From what a feed is compared with and what it would list to what it lists: follow, or hold. Pure.

use super::gate::{Distance, Ground, judge};
use super::hold::Hold;
use crate::addr::IpSet;
use crate::model::{GateLimits, Time};

/// All that the decision depends on.
pub(super) struct Question<'a> {
    /// How it is held, if it is.
    pub hold: Option<&'a Hold>,
    /// What it is compared with and serves while it is held; none before its first list.
    pub base: Option<IpSet>,
    /// What it would list.
    pub next: IpSet,
    /// What sources list that people added lately: that is no growth of what was there.
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
    pub hold: Option<Hold>,
}

/// Decides.
pub(super) fn decide(question: Question<'_>) -> Decision {
    let Question { base, next, generation, .. } = question;
    let judgement = judge(base.as_ref(), &next, question.fresh, question.limits);
    let mut grounds = judgement.grounds;
    if question.whole_is_held && base.as_ref() != Some(&next) {
        grounds.push(Ground::Whole);
    }
    let distance = judgement.distance;
    let is_consented = question.consent.is_some_and(|consent| distance.is_within(consent));
    if grounds.is_empty() || is_consented {
        return Decision { set: next, hold: None };
    }
    let hold = match question.hold {
        Some(hold) => {
            let mut hold = hold.clone();
            hold.go_on(generation, grounds, distance);
            hold
        }
        None => Hold::begin(generation, question.now, grounds, distance),
    };
    Decision { set: base.unwrap_or_default(), hold: Some(hold) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{IpRange, Range};
    use crate::engine::Gone;
    use crate::publish::base::{Base, Meant};

    const A: u32 = 0x1400_0000;

    fn set(ranges: &[&str]) -> IpSet {
        ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
    }

    /// So many single addresses that do not touch.
    fn singles(count: u32) -> IpSet {
        (0..count).map(|n| IpRange::V4(Range::single(A + 2 * n))).collect()
    }

    /// A feed that is taken from generation to generation.
    #[derive(Default)]
    struct House {
        generation: u64,
        base: Option<Base>,
        hold: Option<Hold>,
        exempt: IpSet,
        ended: IpSet,
        fresh: IpSet,
        consent: Option<Distance>,
    }

    impl House {
        fn new() -> Self {
            Self::default()
        }

        fn take(&mut self, next: &IpSet) -> IpSet {
            self.generation += 1;
            if let Some(base) = &mut self.base {
                base.note(&Gone { ended: self.ended.clone(), ..Gone::default() });
            }
            let purged = |base: &Base| base.purged(&self.exempt, &Meant::default(), next);
            let decision = decide(Question {
                hold: self.hold.as_ref(),
                base: self.base.as_ref().map(purged),
                next: next.clone(),
                fresh: &|| self.fresh.clone(),
                limits: &GateLimits::default(),
                whole_is_held: false,
                consent: self.consent.take(),
                generation: self.generation,
                now: Time::default(),
            });
            if decision.hold.is_none() {
                self.base = Some(Base::new(decision.set.clone(), self.generation));
            }
            self.hold = decision.hold;
            decision.set
        }

        fn hold(&self) -> &Hold {
            self.hold.as_ref().unwrap()
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
        assert!(house.hold.is_none());
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
        assert!(house.hold.is_none());
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
        assert!(house.hold.is_none());
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
        assert!(house.hold.is_some());
        assert_eq!(house.take(&singles(7000)), singles(7000), "and a sane one is no growth of nothing");
    }
}
