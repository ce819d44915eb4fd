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

/// Interns standings. Numbers are never reused while the process runs: a snapshot file keeps only
/// those in use, so a start cleans up.
#[derive(Debug)]
pub(super) struct Classes {
    standings: Vec<Arc<Standing>>,
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
        // 2^30 classes would need 2^30 stretches, which no memory here holds.
        let class = u32::try_from(self.standings.len()).ok().and_then(Class::new).unwrap_or(Class::MAX);
        let sources = key.0.iter().filter_map(|id| self.names.get(id).cloned()).collect();
        let standing = Standing { ids: key.0.clone(), sources, exemptions: key.1 };
        self.standings.push(Arc::new(standing));
        self.numbers.insert(key, class);
        class
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

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.standings.len()
    }

    /// All standings, for a snapshot.
    pub(super) fn standings(&self) -> Standings {
        self.standings.as_slice().into()
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
