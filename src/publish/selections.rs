//! What the feeds of one generation select: each thing once, however many feeds select it.

use super::base::Meant;
use super::select::{Scene, SelectError, Selector, of_families, sources, taken};
use crate::addr::IpSet;
use crate::engine::Guard;
use crate::model::{Filter, SourceId};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// What the feeds of a generation select. Where several have the same filter, the generation is walked once for all
/// of them, and what was found is held until the last of them has had it.
pub(super) struct Selections<'a> {
    scene: Scene<'a>,
    /// What nobody lists, whoever says so.
    guard: IpSet,
    /// The filters of the feeds that are still to come, each as often as they are.
    to_come: RefCell<Vec<&'a Filter>>,
    found: RefCell<Vec<(&'a Filter, IpSet)>>,
}

impl<'a> Selections<'a> {
    /// Nothing is selected yet. `filters` are those of all feeds that will ask.
    pub(super) fn new(scene: Scene<'a>, filters: impl IntoIterator<Item = &'a Filter>) -> Self {
        let Guard { v4, v6 } = Guard::built_in();
        let guard = IpSet { v4, v6 };
        let to_come = RefCell::new(filters.into_iter().collect());
        Self { scene, guard, to_come, found: RefCell::default() }
    }

    /// The generation.
    pub(super) fn scene(&self) -> Scene<'a> {
        self.scene
    }

    /// What any of `selectors` wants, without what the guard list exempts. What people exempt is in it: it is hidden, and
    /// not gone.
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
                let set = taken(self.scene, wanted)?.subtract(&self.guard);
                found.extend(again.map(|filter| (filter, set.clone())));
                set
            }
        })
    }

    /// What need not be listed by `selectors` any more, as people and the calendar have it; `next` is what they want, and
    /// `missed` what they want no more and nothing exempts.
    ///
    /// # Errors
    /// [`SelectError`].
    pub(super) fn meant(
        &self,
        selectors: &[Selector],
        next: &IpSet,
        missed: &IpSet,
    ) -> Result<Meant, SelectError> {
        let snapshot = self.scene.snapshot;
        let mut meant = Meant::default();
        for source in snapshot.sources.values() {
            let of_it = snapshot.suppressions.iter().filter(|s| s.source.as_ref() == Some(&source.name));
            meant.suppressed.insert(source.id, of_it.map(|s| s.range).collect());
        }
        meant.suppressed.retain(|_, set| !set.is_empty());
        let of_all = snapshot.suppressions.iter().filter(|s| s.source.is_none());
        meant.always = of_all.map(|s| s.range).collect();
        if missed.subtract(&meant.always).is_empty() {
            return Ok(meant);
        }
        for Selector { filter, families } in selectors.iter().filter(|s| s.filter.max_age_days.is_some()) {
            let ageless = Filter { max_age_days: None, ..filter.clone() };
            let set = of_families(taken(self.scene, &ageless)?, *families);
            meant.old = meant.old.union(&set.subtract(next));
        }
        Ok(meant)
    }

    /// The sources that `selectors` take listings of.
    pub(super) fn sources(&self, selectors: &[Selector]) -> BTreeSet<SourceId> {
        selectors.iter().flat_map(|s| sources(self.scene.snapshot, &s.filter)).collect()
    }
}
