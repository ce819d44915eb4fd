//! What a feed is compared with: the last list that nobody had to hold, brought up to date with what was meant to leave
//! it since. What is merely hidden, by an allow or a suppression, is remembered beneath: it was let through once, and is
//! there when the person takes their word back. Pure.

use super::gate::first;
use crate::addr::IpSet;
use crate::engine::Gone;
use crate::model::{GateLimits, SourceId};
use std::collections::BTreeMap;

/// What a feed compares with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Base {
    /// What was selected last without a hold, whatever hid it.
    pub set: IpSet,
    /// The generation of that.
    pub generation: u64,
    /// What sources list no more since because its time had come, or because a person said so.
    pub ended: IpSet,
    /// What each source has taken back since.
    pub dropped: BTreeMap<SourceId, IpSet>,
}

/// What is not listed now and need not have been by accident.
#[derive(Clone, Debug, Default)]
pub(super) struct Meant {
    /// What people suppressed of a source.
    pub suppressed: BTreeMap<SourceId, IpSet>,
    /// What people suppressed whoever lists it.
    pub always: IpSet,
    /// What is listed and has become too old for the feed.
    pub old: IpSet,
}

/// A base as of now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Today {
    /// All of it that has not left for good.
    pub all: IpSet,
    /// What of that nothing hides: what a held feed lists.
    pub shown: IpSet,
    /// What of it is suppressed and was taken back by nobody, so that it may well come again.
    pub silent: IpSet,
}

impl Base {
    /// The list of a generation.
    pub(super) fn new(set: IpSet, generation: u64) -> Self {
        Self { set, generation, ..Self::default() }
    }

    /// The base after a person has changed what the feed takes: `before` is what it would list now as it was, and
    /// `after` what it would list now as it is. What the person leaves out goes and what they add comes, unless it is
    /// too much in itself or `kept_back` from another feed; both are no accident. What the feed lists and nobody tells
    /// of any more stays.
    #[must_use]
    pub(super) fn edited(
        self,
        (before, after): (&IpSet, &IpSet),
        kept_back: &IpSet,
        limits: &GateLimits,
    ) -> Self {
        let (went, came) = (before.subtract(after), after.subtract(before).subtract(kept_back));
        let kept = self.set.subtract(&went);
        let is_sane = first(&came, limits).is_empty();
        Self { set: if is_sane { kept.union(&came) } else { kept }, ..self }
    }

    /// Takes in what a source lists no more. What ended in `haste`, by a word of the source that was no day old, it has
    /// taken back.
    pub(super) fn note(&mut self, source: SourceId, gone: &Gone, haste: Option<&IpSet>) {
        let hasty = haste.map(|haste| gone.ended.intersect(haste)).unwrap_or_default();
        let ended = gone.ended.subtract(&hasty);
        let dropped = self.dropped.remove(&source).unwrap_or_default();
        let dropped = dropped.subtract(&ended).union(&gone.dropped).union(&hasty);
        self.ended = self.ended.union(&ended);
        self.dropped.insert(source, dropped);
    }

    /// Forgets of what a source took back that which it lists again, as `listed` tells.
    pub(super) fn take_back(&mut self, listed: impl Fn(SourceId, &IpSet) -> IpSet) {
        for (source, dropped) in &mut self.dropped {
            *dropped = dropped.subtract(&listed(*source, dropped));
        }
        self.dropped.retain(|_, dropped| !dropped.is_empty());
    }

    /// Leaves out for good what has become too `old` for the feed, but for what a source has taken back before: that
    /// waits for a word.
    pub(super) fn age(&mut self, old: &IpSet) {
        let waits = self.dropped.values().fold(IpSet::default(), |all, dropped| all.union(dropped));
        self.set = self.set.subtract(&old.subtract(&waits));
    }

    /// It as of now, all of it in `next`.
    pub(super) fn whole(self, exempt: &IpSet) -> Today {
        Today { shown: self.set.subtract(exempt), all: self.set, silent: IpSet::default() }
    }

    /// It as of now. What a source has taken back stays, even where another's listing of it has ended, for that is what
    /// waits for a word; but a suppression of that source's listings is one. What is in `next` stays too: somebody lists
    /// it still.
    pub(super) fn today(self, exempt: &IpSet, meant: &Meant, next: &IpSet) -> Today {
        let none = IpSet::default();
        let suppressed = |source| meant.suppressed.get(source).unwrap_or(&none);
        let union = |all: IpSet, set: IpSet| all.union(&set);
        let claims = self.dropped.iter().map(|(source, dropped)| dropped.subtract(suppressed(source)));
        let claimed = claims.fold(IpSet::default(), union);
        let taken_back = self.dropped.values().cloned().fold(IpSet::default(), union);
        let of_some = meant.suppressed.values().cloned().fold(IpSet::default(), union);
        let left = self.ended.subtract(&claimed).subtract(next);
        let all = self.set.subtract(&left);
        let hidden = of_some.subtract(&claimed).union(&meant.always).subtract(next);
        let shown = all.subtract(exempt).subtract(&hidden);
        let silent = all.intersect(&of_some.union(&meant.always)).subtract(&taken_back).subtract(next);
        Today { all, shown, silent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;

    const A: SourceId = SourceId(1);
    const B: SourceId = SourceId(2);

    fn set(ranges: &[&str]) -> IpSet {
        ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
    }

    fn none() -> IpSet {
        IpSet::default()
    }

    fn gone(ended: &[&str], dropped: &[&str]) -> Gone {
        Gone { ended: set(ended), dropped: set(dropped) }
    }

    #[test]
    fn an_allow_works_in_a_held_feed_and_so_does_expiry() {
        let mut base = Base::new(set(&["20.0.0.0/24", "30.0.0.1", "40.0.0.1", "50.0.0.1"]), 1);
        base.note(A, &gone(&["40.0.0.1", "50.0.0.1"], &[]), None);
        let exempt = set(&["20.0.0.128/25", "30.0.0.0/8"]);
        let now = set(&["50.0.0.1"]);
        let today = |exempt| base.clone().today(exempt, &Meant::default(), &now).shown;
        assert_eq!(today(&exempt), set(&["20.0.0.0/25", "50.0.0.1"]));
        assert_eq!(today(&none()), set(&["20.0.0.0/24", "30.0.0.1", "50.0.0.1"]), "an end is for good");
    }

    #[test]
    fn what_a_source_takes_back_stays_although_anothers_listing_of_it_ends() {
        let mut base = Base::new(set(&["20.0.0.1", "20.0.0.3", "20.0.0.5"]), 1);
        base.note(A, &gone(&["20.0.0.1", "20.0.0.5"], &[]), None);
        base.note(B, &gone(&[], &["20.0.0.1", "20.0.0.3"]), None);
        let shown = |meant: &Meant| base.clone().today(&none(), meant, &none()).shown;
        assert_eq!(shown(&Meant::default()), set(&["20.0.0.1", "20.0.0.3"]));
        let old = set(&["20.0.0.1", "20.0.0.5"]);
        let mut base = Base::new(set(&["20.0.0.1", "20.0.0.3", "20.0.0.5"]), 1);
        base.note(B, &gone(&[], &["20.0.0.1"]), None);
        base.age(&old);
        assert_eq!(base.set, set(&["20.0.0.1", "20.0.0.3"]), "nor where another's is too old");
    }

    #[test]
    fn a_suppression_of_the_source_that_took_something_back_is_a_word_and_anothers_is_none() {
        let mut base = Base::new(set(&["20.0.0.1", "20.0.0.3", "20.0.0.5"]), 1);
        base.note(B, &gone(&[], &["20.0.0.1", "20.0.0.3"]), None);
        let shown = |source, range| {
            let meant = Meant { suppressed: [(source, set(&[range]))].into(), ..Meant::default() };
            base.clone().today(&none(), &meant, &set(&["20.0.0.5"]))
        };
        let of_a = shown(A, "20.0.0.1");
        assert_eq!((of_a.shown, of_a.silent), (base.set.clone(), none()));
        let of_b = shown(B, "20.0.0.1");
        assert_eq!((of_b.shown, of_b.all), (set(&["20.0.0.3", "20.0.0.5"]), base.set.clone()));
        let silent =
            base.clone().today(&none(), &Meant { always: set(&["20.0.0.5"]), ..Meant::default() }, &none());
        assert_eq!(silent.silent, set(&["20.0.0.5"]), "nobody took it back");
    }

    #[test]
    fn what_is_listed_again_is_taken_back_no_more_and_what_ends_in_haste_is() {
        let mut base = Base::new(set(&["20.0.0.1", "20.0.0.3"]), 1);
        base.note(A, &gone(&[], &["20.0.0.1", "20.0.0.3"]), None);
        base.take_back(|_, _| set(&["20.0.0.1"]));
        base.note(A, &gone(&["20.0.0.1"], &[]), None);
        let shown = |base: &Base| base.clone().today(&none(), &Meant::default(), &none()).shown;
        assert_eq!(shown(&base), set(&["20.0.0.3"]));
        let mut base = Base::new(set(&["20.0.0.1", "20.0.0.3"]), 1);
        base.note(A, &gone(&["20.0.0.1", "20.0.0.3"], &[]), Some(&set(&["20.0.0.3"])));
        assert_eq!(shown(&base), set(&["20.0.0.3"]));
    }

    #[test]
    fn an_edit_leaves_out_and_adds_what_is_listed_now_and_nothing_else() {
        // Of the base, the first is listed still by a source that the person leaves out, the second by nobody.
        let base = Base::new(set(&["20.0.0.1", "20.0.0.3"]), 1);
        let (before, after) = (set(&["20.0.0.1", "20.0.0.7"]), set(&["20.0.0.7", "30.0.0.0/16"]));
        let limits = GateLimits::default();
        let edited =
            |after: &IpSet, kept_back| base.clone().edited((&before, after), &kept_back, &limits).set;
        assert_eq!(edited(&after, none()), set(&["20.0.0.3", "30.0.0.0/16"]));
        assert_eq!(edited(&after, set(&["30.0.128.0/17"])), set(&["20.0.0.3", "30.0.0.0/17"]));
        let poisoned = set(&["20.0.0.7", "128.0.0.0/1"]);
        assert_eq!(edited(&poisoned, none()), set(&["20.0.0.3"]));
    }
}
