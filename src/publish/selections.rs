//! What the feeds of one generation select: each thing once, however many feeds select it.

use super::base::Meant;
use super::select::{Scene, SelectError, Selector, of_families, sources, taken};
use crate::addr::IpSet;
use crate::engine::Gone;
use crate::model::{Filter, SourceId};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What the feeds of a generation select. Where several have the same filter, the generation is walked once for all
/// of them, and what was found is held until the last of them has had it.
pub(super) struct Selections<'a> {
    scene: Scene<'a>,
    exempt: &'a IpSet,
    /// The filters of the feeds that are still to come, each as often as they are.
    to_come: RefCell<Vec<&'a Filter>>,
    found: RefCell<Vec<(&'a Filter, IpSet)>>,
}

impl<'a> Selections<'a> {
    /// Nothing is selected yet. `filters` are those of all feeds that will ask.
    pub(super) fn new(
        scene: Scene<'a>,
        exempt: &'a IpSet,
        filters: impl IntoIterator<Item = &'a Filter>,
    ) -> Self {
        let to_come = RefCell::new(filters.into_iter().collect());
        Self { scene, exempt, to_come, found: RefCell::default() }
    }

    /// What any of `selectors` wants, without what is exempt.
    ///
    /// # Errors
    /// [`SelectError`].
    pub(super) fn of(&self, selectors: &[Selector]) -> Result<IpSet, SelectError> {
        let mut all = IpSet::default();
        for Selector { filter, families } in selectors {
            let set = of_families(self.by(filter)?, *families);
            all = if all.is_empty() { set } else { all.union(&set) };
        }
        Ok(all)
    }

    fn by(&self, wanted: &Filter) -> Result<IpSet, SelectError> {
        let mut to_come = self.to_come.borrow_mut();
        if let Some(at) = to_come.iter().position(|filter| *filter == wanted) {
            to_come.swap_remove(at);
        }
        let again = to_come.iter().find(|filter| **filter == wanted).copied();
        let mut found = self.found.borrow_mut();
        Ok(match found.iter().position(|(filter, _)| *filter == wanted) {
            Some(at) if again.is_some() => found[at].1.clone(),
            Some(at) => found.swap_remove(at).1,
            None => {
                let set = taken(self.scene, wanted)?.subtract(self.exempt);
                found.extend(again.map(|filter| (filter, set.clone())));
                set
            }
        })
    }

    /// What need not be listed by `selectors` any more, as people and the calendar have it; `next` is what they want.
    ///
    /// # Errors
    /// [`SelectError`].
    pub(super) fn meant(&self, selectors: &[Selector], next: &IpSet) -> Result<Meant, SelectError> {
        let suppressions = &self.scene.snapshot.suppressions;
        let of = |takes: fn(bool) -> bool| {
            suppressions.iter().filter(|s| takes(s.source.is_some())).map(|s| s.range).collect::<IpSet>()
        };
        let mut always = of(|of_one| !of_one);
        for Selector { filter, families } in selectors.iter().filter(|s| s.filter.max_age_days.is_some()) {
            let ageless = Filter { max_age_days: None, ..filter.clone() };
            let set = of_families(taken(self.scene, &ageless)?, *families);
            always = always.union(&set.subtract(next));
        }
        Ok(Meant { suppressed: of(|of_one| of_one), always })
    }

    /// What the sources that `selectors` take of list no more.
    pub(super) fn gone(&self, selectors: &[Selector], all: &BTreeMap<SourceId, Gone>) -> Gone {
        let taken: Vec<_> = selectors.iter().map(|s| sources(self.scene.snapshot, &s.filter)).collect();
        let mut gone = Gone::default();
        for (_, of_one) in all.iter().filter(|(id, _)| taken.iter().any(|taken| taken.contains(id))) {
            gone.ended = gone.ended.union(&of_one.ended);
            gone.dropped = gone.dropped.union(&of_one.dropped);
        }
        gone
    }
}
