//! What a feed is compared with: the last list that nobody had to hold, brought up to date with what was meant to leave
//! it since. Pure.

use super::gate::first;
use crate::addr::IpSet;
use crate::engine::Gone;
use crate::model::GateLimits;

/// What a feed compares with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Base {
    /// What was selected last without a hold.
    pub set: IpSet,
    /// The generation of that.
    pub generation: u64,
    /// What sources list no more since because its time had come, or because a person said so.
    pub ended: IpSet,
    /// What sources have taken back since.
    pub dropped: IpSet,
}

/// What is not listed now and need not have been by accident.
#[derive(Clone, Debug, Default)]
pub(super) struct Meant {
    /// What people suppressed of some source.
    pub suppressed: IpSet,
    /// What people suppressed whoever lists it, and what is listed and has become too old for the feed.
    pub always: IpSet,
}

impl Base {
    /// The list of a generation.
    pub(super) fn new(set: IpSet, generation: u64) -> Self {
        Self { set, generation, ..Self::default() }
    }

    /// The base after a person has changed what the feed takes: `before` is what it would list now as it was, and
    /// `after` what it would list now as it is. What the person leaves out goes and what they add comes, unless it is
    /// too much in itself; both are no accident. What the feed lists and nobody tells of any more stays.
    #[must_use]
    pub(super) fn edited(self, before: &IpSet, after: &IpSet, limits: &GateLimits) -> Self {
        let (went, came) = (before.subtract(after), after.subtract(before));
        let kept = self.set.subtract(&went);
        let is_sane = first(&came, limits).is_empty();
        Self { set: if is_sane { kept.union(&came) } else { kept }, ..self }
    }

    /// Whether `next` has not all of it.
    pub(super) fn loses(&self, exempt: &IpSet, next: &IpSet) -> bool {
        !self.set.subtract(exempt).subtract(next).is_empty()
    }

    /// Takes in what a source lists no more.
    pub(super) fn note(&mut self, gone: &Gone) {
        self.ended = self.ended.union(&gone.ended);
        self.dropped = self.dropped.union(&gone.dropped);
    }

    /// What a held feed serves: all of it but what is exempt and what was meant to leave. What a source has taken back
    /// stays, even where another's listing of it has ended, for that is what waits for a word. So does what is in
    /// `next`: somebody lists it still.
    pub(super) fn purged(&self, exempt: &IpSet, meant: &Meant, next: &IpSet) -> IpSet {
        let ended = self.ended.union(&meant.suppressed).subtract(&self.dropped);
        let leaves = ended.union(&meant.always).subtract(next);
        self.set.subtract(exempt).subtract(&leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;

    fn set(ranges: &[&str]) -> IpSet {
        ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
    }

    fn none() -> IpSet {
        IpSet::default()
    }

    #[test]
    fn an_allow_works_in_a_held_feed_and_so_does_expiry() {
        let mut base = Base::new(set(&["20.0.0.0/24", "30.0.0.1", "40.0.0.1", "50.0.0.1"]), 1);
        base.note(&Gone { ended: set(&["40.0.0.1", "50.0.0.1"]), dropped: none() });
        let exempt = set(&["20.0.0.128/25", "30.0.0.0/8"]);
        let now = set(&["50.0.0.1"]);
        assert_eq!(base.purged(&exempt, &Meant::default(), &now), set(&["20.0.0.0/25", "50.0.0.1"]));
        let allowed_no_more = base.purged(&none(), &Meant::default(), &now);
        assert_eq!(allowed_no_more, set(&["20.0.0.0/24", "30.0.0.1", "50.0.0.1"]), "an end is for good");
    }

    #[test]
    fn what_a_source_takes_back_stays_although_anothers_listing_of_it_ends() {
        let mut base = Base::new(set(&["20.0.0.1", "20.0.0.3", "20.0.0.5"]), 1);
        base.note(&Gone { ended: set(&["20.0.0.1", "20.0.0.5"]), dropped: set(&["20.0.0.1", "20.0.0.3"]) });
        assert_eq!(base.purged(&none(), &Meant::default(), &none()), set(&["20.0.0.1", "20.0.0.3"]));
        let meant = Meant { suppressed: set(&["20.0.0.1"]), always: set(&["20.0.0.3"]) };
        assert_eq!(base.purged(&none(), &meant, &none()), set(&["20.0.0.1"]));
    }

    #[test]
    fn an_edit_leaves_out_and_adds_what_is_listed_now_and_nothing_else() {
        // Of the base, the first is listed still by a source that the person leaves out, the second by nobody.
        let base = Base::new(set(&["20.0.0.1", "20.0.0.3"]), 1);
        let (before, after) = (set(&["20.0.0.1", "20.0.0.7"]), set(&["20.0.0.7", "30.0.0.0/16"]));
        let limits = GateLimits::default();
        assert_eq!(base.clone().edited(&before, &after, &limits).set, set(&["20.0.0.3", "30.0.0.0/16"]));
        let poisoned = set(&["20.0.0.7", "128.0.0.0/1"]);
        assert_eq!(base.edited(&before, &poisoned, &limits).set, set(&["20.0.0.3"]));
    }
}
