//! From what a feed is compared with and what it would list to what it lists: follow, or hold. Pure.

use super::base::Today;
use super::gate::{Ground, Judgement, first, judge};
use super::hold::Hold;
use super::log::Difference;
use super::tide::{Distance, Fallen};
use crate::addr::IpSet;
use crate::model::{GateLimits, Time};

/// All that the decision depends on.
pub(super) struct Question<'a> {
    /// How it is held, if it is, and what that was shown to change.
    pub held: Option<(&'a Hold, &'a Difference)>,
    /// What it is compared with and serves while it is held; none before its first list.
    pub base: Option<Today>,
    /// What it would list if nothing were exempt.
    pub next: IpSet,
    /// What is never published.
    pub exempt: &'a IpSet,
    /// What sources list that people added lately: that is no growth of what was there.
    pub fresh: &'a dyn Fn() -> IpSet,
    /// Its limits.
    pub limits: &'a GateLimits,
    /// How far it has fallen in the last day.
    pub fallen: Fallen,
    /// What other feeds' holds keep back that it may not bring.
    pub kept_back: &'a IpSet,
    /// Whether all feeds together are held.
    pub whole_is_held: bool,
    /// What a person consented to.
    pub consent: Option<&'a Difference>,
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
    /// What it is compared with next, or why it is held.
    pub outcome: Outcome,
}

/// Whether it goes on.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It follows.
    Follows {
        /// What the gate let through, and had let through of what is hidden; none: just what is listed.
        passed: Option<IpSet>,
        /// What went and came, if the gate judged that; none after consent, or where there was nothing to compare with.
        judged: Option<Distance>,
    },
    /// It is held, and this is what would change.
    Holds(Hold, Difference),
}

/// Decides. Where it would follow, `too_much` is asked about what it would list, and what it comes in place of.
///
/// # Errors
/// What `too_much` fails with.
pub(super) fn decide<E>(
    question: Question<'_>,
    too_much: impl FnOnce(&IpSet) -> Result<Option<Ground>, E>,
) -> Result<Decision, E> {
    let Question { next, exempt, .. } = &question;
    let seen = next.subtract(exempt);
    let shown = question.base.as_ref().map(|base| &base.shown);
    let Judgement { mut grounds, distance } = question.judge(shown, &seen);
    if shown != Some(&seen) {
        grounds.extend(question.whole_is_held.then_some(Ground::Whole));
        grounds.extend(elsewhere(shown, &seen, question.kept_back));
    }
    if grounds.is_empty() && question.held.is_some() {
        // What hides the matter does not settle it.
        let all = question.base.as_ref().map(|base| &base.all);
        grounds = question.judge(all, &question.unhidden()).grounds;
    }
    let is_consented = question.consent.is_some_and(|consent| question.difference().is_within(consent));
    if grounds.is_empty() && !is_consented && shown.is_some_and(|shown| *shown != seen) {
        grounds.extend(too_much(&seen)?);
    }
    if !grounds.is_empty() && !is_consented {
        let difference = question.difference();
        let hold = question.hold(grounds, &difference);
        let set = question.base.map(|base| base.shown).unwrap_or_default();
        return Ok(Decision { set, outcome: Outcome::Holds(hold, difference) });
    }
    let judged = shown.filter(|_| !is_consented).map(|_| distance);
    let passed = match &question.base {
        _ if is_consented => Some(question.unhidden()),
        None if first(next, question.limits).is_empty() => Some(question.next),
        // Nobody looks at what is hidden, so what was let through of it stays as it was.
        Some(base) if base.all != base.shown => Some(base.all.subtract(&base.shown).union(&seen)),
        _ => None,
    };
    Ok(Decision { set: seen, outcome: Outcome::Follows { passed, judged } })
}

/// What of what would come others keep back.
fn elsewhere(shown: Option<&IpSet>, seen: &IpSet, kept_back: &IpSet) -> Option<Ground> {
    let kept_back = kept_back.intersect(seen);
    let new = shown.map_or_else(|| kept_back.clone(), |shown| kept_back.subtract(shown)).prefixes();
    (new > 0).then_some(Ground::Elsewhere { new })
}

impl Question<'_> {
    fn judge(&self, before: Option<&IpSet>, next: &IpSet) -> Judgement {
        judge(before, next, self.fresh, self.limits, self.fallen)
    }

    /// What it would list if nothing were hidden, as far as that is known.
    fn unhidden(&self) -> IpSet {
        match &self.base {
            Some(base) if !base.silent.is_empty() => self.next.union(&base.silent),
            _ => self.next.clone(),
        }
    }

    /// What would change beneath all that is hidden: what a person consents to.
    fn difference(&self) -> Difference {
        let none = IpSet::default();
        let all = self.base.as_ref().map_or(&none, |base| &base.all);
        Difference::between(all, &self.unhidden())
    }

    fn hold(&self, grounds: Vec<Ground>, difference: &Difference) -> Hold {
        let distance = difference.distance();
        match self.held {
            Some((hold, shown)) => {
                let mut hold = hold.clone();
                hold.go_on(self.generation, grounds, distance, difference.is_within(shown));
                hold
            }
            None => Hold::begin(self.generation, self.now, grounds, distance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{IpRange, Range};
    use crate::engine::Gone;
    use crate::model::SourceId;
    use crate::publish::base::{Base, Meant};
    use std::convert::Infallible;

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
        held: Option<(Hold, Difference)>,
        exempt: IpSet,
        ended: IpSet,
        fresh: IpSet,
        kept_back: IpSet,
        consent: Option<Difference>,
    }

    impl House {
        fn new() -> Self {
            Self::default()
        }

        fn take(&mut self, next: &IpSet) -> IpSet {
            self.generation += 1;
            if let Some(base) = &mut self.base {
                base.note(SourceId(1), &Gone { ended: self.ended.clone(), ..Gone::default() }, None);
            }
            let today = |base: &Base| base.clone().today(&self.exempt, &Meant::default(), next);
            let consent = self.consent.take();
            let question = Question {
                held: self.held.as_ref().map(|(hold, difference)| (hold, difference)),
                base: self.base.as_ref().map(today),
                next: next.clone(),
                exempt: &self.exempt,
                fresh: &|| self.fresh.clone(),
                limits: &GateLimits::default(),
                fallen: Fallen::default(),
                kept_back: &self.kept_back,
                whole_is_held: false,
                consent: consent.as_ref(),
                generation: self.generation,
                now: Time::default(),
            };
            let Decision { set, outcome } = decide(question, |_| Ok::<_, Infallible>(None)).unwrap();
            self.held = match outcome {
                Outcome::Follows { passed, .. } => {
                    let passed = passed.unwrap_or_else(|| set.clone());
                    self.base = Some(Base::new(passed, self.generation));
                    None
                }
                Outcome::Holds(hold, difference) => Some((hold, difference)),
            };
            set
        }

        fn hold(&self) -> &Hold {
            &self.held.as_ref().unwrap().0
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
        assert!(house.held.is_none());
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
        assert!(house.held.is_none());
    }

    #[test]
    fn consent_is_for_what_was_shown_and_for_no_more() {
        let mut house = House::new();
        house.take(&singles(1000));
        house.take(&singles(100));
        let shown = house.held.clone().unwrap().1;
        house.consent = Some(shown);
        assert_eq!(house.take(&singles(50)), singles(1000), "more would go by now");
        assert!(!house.hold().covers(2) && house.hold().covers(3));
        house.consent = Some(house.held.clone().unwrap().1);
        assert_eq!(house.take(&singles(50)), singles(50));
        assert!(house.held.is_none());
    }

    #[test]
    fn consent_is_for_these_lines_and_not_for_as_many_others() {
        let mut house = House::new();
        house.take(&set(&["60.0.0.0/7"]));
        let shown = house.held.clone().unwrap().1;
        house.consent = Some(shown);
        assert_eq!(house.take(&set(&["8.0.0.0/7"])), IpSet::default());
        assert!(house.held.is_some() && !house.hold().covers(1));
    }

    #[test]
    fn an_allow_neither_ends_a_hold_nor_costs_what_it_hides() {
        let mut house = House::new();
        house.take(&singles(1000));
        house.exempt = set(&["20.0.0.0/8"]);
        assert_eq!(house.take(&singles(1000)), IpSet::default());
        house.exempt = IpSet::default();
        assert_eq!(house.take(&singles(1000)), singles(1000), "it comes back as it was");
        house.take(&singles(10));
        house.exempt = set(&["20.0.0.0/8"]);
        assert_eq!(house.take(&singles(10)), IpSet::default());
        assert!(house.held.is_some());
        house.exempt = IpSet::default();
        assert_eq!(house.take(&singles(10)), singles(1000));
    }

    #[test]
    fn what_comes_and_goes_behind_an_allow_is_judged_when_it_is_lifted() {
        let mut house = House::new();
        house.take(&singles(1000));
        house.exempt = set(&["20.0.0.0/8"]);
        house.take(&singles(1000));
        assert_eq!(house.take(&singles(10)), IpSet::default());
        assert!(house.held.is_none(), "nobody sees it");
        house.exempt = IpSet::default();
        assert_eq!(house.take(&singles(10)), singles(1000));
        assert_eq!(house.hold().distance.gone, 990);
    }

    #[test]
    fn what_another_feed_keeps_back_is_not_brought_in() {
        let mut house = House::new();
        house.take(&singles(10));
        house.kept_back = singles(15).subtract(&singles(12));
        assert_eq!(house.take(&singles(20)), singles(10));
        assert_eq!(house.hold().grounds, [Ground::Elsewhere { new: 3 }]);
        house.kept_back = IpSet::default();
        assert_eq!(house.take(&singles(20)), singles(20));
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
        assert!(house.held.is_some());
        assert_eq!(house.take(&singles(7000)), singles(7000), "and a sane one is no growth of nothing");
    }
}
