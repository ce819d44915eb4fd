//! What the classes of the look-up table stand for: interned pairs (source set, exemptions).

use crate::addr::Class;
use crate::model::{Exemption, Exemptions, SourceId, SourceName};
use std::collections::HashMap;
use std::sync::Arc;

/// A pair of a source set and exemptions, ready to be told.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who lists, by number, ascending.
    pub ids: Box<[SourceId]>,
    /// Who lists, by name, in the same order.
    pub sources: Box<[SourceName]>,
    /// What exempts.
    pub exemptions: Exemptions,
}

impl Standing {
    /// Whether the address is to be blocked: somebody lists it and nothing exempts it.
    pub fn is_listed(&self) -> bool {
        !self.ids.is_empty() && self.exemptions.named().is_none()
    }

    /// The ground of exemption that answers name.
    pub fn exempt(&self) -> Option<Exemption> {
        self.exemptions.named()
    }
}

/// The standings by class; what a snapshot holds.
pub type Standings = Arc<[Arc<Standing>]>;

/// A change to the standing of a stretch of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Mark {
    /// A source lists it, or lists it no more.
    Source(SourceId, bool),
    /// It becomes exempt, or is so no more.
    Exempt(Exemption, bool),
}

/// So many standings at most: half of what a table can number. What a batch makes before the next
/// one is asked fits into the other half, or into no memory here.
pub(super) const MOST: usize = Class::MAX.index() / 2;
/// With fewer in use nobody looks which of them are.
const FEW: usize = 1 << 10;

/// Interns standings. Each snapshot has its own array of them, so that a number that the last
/// table uses no more may stand for something else in the next one.
#[derive(Debug)]
pub(super) struct Classes {
    standings: Vec<Arc<Standing>>,
    /// The same as snapshots share it, unless it has changed since.
    shared: Option<Standings>,
    /// Numbers that no address has.
    free: Vec<Class>,
    /// When so many are in use, it is looked which are.
    sweep_at: usize,
    numbers: HashMap<(Box<[SourceId]>, Exemptions), Class>,
    names: HashMap<SourceId, SourceName>,
    /// What marks made of classes, because the same few steps repeat over a whole list.
    steps: HashMap<(Class, Mark), Class>,
}

impl Classes {
    /// Only [`Class::CLEAR`]: nobody, and nothing.
    pub(super) fn new() -> Self {
        let mut classes = Self {
            standings: Vec::new(),
            shared: None,
            free: Vec::new(),
            sweep_at: FEW,
            numbers: HashMap::new(),
            names: HashMap::new(),
            steps: HashMap::new(),
        };
        classes.number(Box::new([]), Exemptions::NONE);
        classes
    }

    /// Makes a source's name known before its number is used.
    pub(super) fn name(&mut self, id: SourceId, name: &SourceName) {
        self.names.insert(id, name.clone());
    }

    /// The class of a pair; `sources` ascending.
    pub(super) fn number(&mut self, sources: Box<[SourceId]>, exemptions: Exemptions) -> Class {
        let key = (sources, exemptions);
        if let Some(class) = self.numbers.get(&key) {
            return *class;
        }
        let sources = key.0.iter().filter_map(|id| self.names.get(id).cloned()).collect();
        let class = self.place(Standing { ids: key.0.clone(), sources, exemptions: key.1 });
        self.numbers.insert(key, class);
        class
    }

    fn place(&mut self, standing: Standing) -> Class {
        self.shared = None;
        if let Some(class) = self.free.pop() {
            self.standings[class.index()] = Arc::new(standing);
            return class;
        }
        let next = u32::try_from(self.standings.len()).ok().and_then(Class::new);
        let class = next.unwrap_or_else(|| unreachable!("beyond MOST no batch is planned"));
        self.standings.push(Arc::new(standing));
        class
    }

    /// Makes numbers free that are not among the `used` of the last table. It looks only when twice
    /// as many are in use as at the last time, and so costs each new standing next to nothing.
    pub(super) fn sweep<I: Iterator<Item = Class>>(&mut self, used: impl FnOnce() -> I) {
        if self.standings.len() - self.free.len() < self.sweep_at {
            return;
        }
        let mut is_used = vec![false; self.standings.len()];
        is_used[Class::CLEAR.index()] = true;
        used().for_each(|class| is_used[class.index()] = true);
        self.numbers.retain(|_, class| is_used[class.index()]);
        self.steps.clear();
        let unused = (0_u32..).zip(&is_used).filter(|(_, is_used)| !**is_used);
        self.free = unused.filter_map(|(number, _)| Class::new(number)).collect();
        self.sweep_at = FEW.max(2 * (self.standings.len() - self.free.len()));
    }

    /// The class that `mark` makes of `class`.
    pub(super) fn step(&mut self, class: Class, mark: Mark) -> Class {
        if let Some(next) = self.steps.get(&(class, mark)) {
            return *next;
        }
        let standing = Arc::clone(&self.standings[class.index()]);
        let next = match mark {
            Mark::Source(id, listed) => self.number(with(&standing.ids, id, listed), standing.exemptions),
            Mark::Exempt(ground, true) => self.number(standing.ids.clone(), standing.exemptions.with(ground)),
            Mark::Exempt(ground, false) => {
                self.number(standing.ids.clone(), standing.exemptions.without(ground))
            }
        };
        self.steps.insert((class, mark), next);
        next
    }

    /// All standings, for a snapshot.
    pub(super) fn standings(&mut self) -> Standings {
        self.shared.get_or_insert_with(|| self.standings.as_slice().into()).clone()
    }
}

fn with(ids: &[SourceId], id: SourceId, listed: bool) -> Box<[SourceId]> {
    let mut ids: Vec<SourceId> = ids.iter().copied().filter(|other| *other != id).collect();
    if listed {
        ids.push(id);
        ids.sort_unstable();
    }
    ids.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_no_table_uses_are_given_again_and_the_others_keep_their_meaning() {
        let mut classes = Classes::new();
        let pair = |n: usize| Box::from([SourceId((n / 200) as u16), SourceId(300 + (n % 200) as u16)]);
        let mut kept = Vec::new();
        for n in 0..20_000 {
            let class = classes.number(pair(n), Exemptions::NONE);
            if n < 100 {
                kept.push(class);
            }
            // The latest is always in use.
            classes.sweep(|| kept.clone().into_iter().chain([class]));
        }
        let standings = classes.standings();
        assert!(standings.len() <= 2 * FEW, "{}", standings.len());
        for (n, class) in kept.into_iter().enumerate() {
            assert_eq!(standings[class.index()].ids, pair(n));
            assert_eq!(classes.number(pair(n), Exemptions::NONE), class);
        }
        assert_eq!(classes.number(Box::new([]), Exemptions::NONE), Class::CLEAR);
    }

    #[test]
    fn standings_are_copied_only_when_there_is_a_new_one() {
        let mut classes = Classes::new();
        let before = classes.standings();
        classes.number(Box::new([]), Exemptions::NONE);
        assert!(Arc::ptr_eq(&before, &classes.standings()));
        let new = classes.number(Box::new([SourceId(1)]), Exemptions::NONE);
        assert_eq!(&*classes.standings()[new.index()].ids, [SourceId(1)]);
        assert_eq!(before.len(), 1);
    }
}
