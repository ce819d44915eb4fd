//! What several records come to together: the net effect, in which nothing is that came and went.

use super::super::EngineError;
use crate::addr::IpRange;
use crate::model::{
    Allow, Difference, Op, Output, OutputKey, Record, Source, SourceId, SourceName, Suppression,
};
use std::collections::BTreeMap;

/// Something small as it was and as it is; none: it was not, or is not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair<T> {
    /// As it was.
    pub before: Option<T>,
    /// As it is.
    pub after: Option<T>,
}

/// How one generation differs from another.
#[derive(Clone, Debug, Default)]
pub struct Net {
    /// Sources that were described or seen between the two, as they were the last time: of a source records hold one
    /// side only.
    pub sources: Vec<Source>,
    /// What each source lists; nothing empty.
    pub listings: BTreeMap<SourceId, Difference>,
    /// The allowlist.
    pub allows: Vec<Pair<Allow>>,
    /// The suppressions.
    pub suppressions: Vec<Pair<Suppression>>,
    /// Feeds and devices.
    pub outputs: Vec<Pair<Output>>,
}

impl Net {
    /// The way back.
    pub(super) fn reversed(self) -> Self {
        Self {
            sources: self.sources,
            listings: self.listings.into_iter().map(|(id, difference)| (id, difference.reversed())).collect(),
            allows: self.allows.into_iter().map(Pair::reversed).collect(),
            suppressions: self.suppressions.into_iter().map(Pair::reversed).collect(),
            outputs: self.outputs.into_iter().map(Pair::reversed).collect(),
        }
    }
}

impl<T> Pair<T> {
    fn reversed(self) -> Self {
        Self { before: self.after, after: self.before }
    }
}

/// Takes records in, in order, and holds no more than their net effect and about as much again.
pub(super) struct Composer {
    /// So many rows are too many.
    most: usize,
    /// Rows in all chains.
    rows: usize,
    chains: BTreeMap<SourceId, Chain>,
    sources: BTreeMap<SourceId, Source>,
    allows: Pairs<IpRange, Allow>,
    suppressions: Pairs<(IpRange, Option<SourceName>), Suppression>,
    outputs: Pairs<OutputKey, Output>,
}

impl Composer {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            rows: 0,
            chains: BTreeMap::new(),
            sources: BTreeMap::new(),
            allows: Pairs(BTreeMap::new()),
            suppressions: Pairs(BTreeMap::new()),
            outputs: Pairs(BTreeMap::new()),
        }
    }

    /// Takes a record in; with `of`, that source's listings alone.
    ///
    /// # Errors
    /// [`EngineError::TooMuch`].
    pub(super) fn take(&mut self, record: Record, of: Option<SourceId>) -> Result<(), EngineError> {
        for op in record.ops {
            match op {
                Op::Listings { source, difference } if of.is_none_or(|of| of == source) => {
                    self.rows += difference.len();
                    self.rows -= self.chains.entry(source).or_default().push(difference);
                }
                _ if of.is_some() => {}
                Op::Listings { .. } => {}
                Op::Source(source) => drop(self.sources.insert(source.id, source)),
                Op::Allows { removed, added } => self.allows.take(removed, added, |allow| allow.range),
                Op::Suppressions { removed, added } => {
                    self.suppressions.take(removed, added, |one| (one.range, one.source.clone()));
                }
                Op::Outputs { removed, added } => self.outputs.take(removed, added, Output::key),
            }
        }
        // Not at every record: bringing the chains together costs as much as they hold.
        if self.rows / 2 > self.most { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), EngineError> {
        let saved: usize = self.chains.values_mut().map(Chain::close).sum();
        self.rows -= saved;
        if self.rows > self.most { Err(EngineError::TooMuch { most: self.most }) } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<Net, EngineError> {
        self.close()?;
        let listings =
            self.chains.into_iter().filter_map(|(id, chain)| Some((id, chain.0.into_iter().next()?)));
        Ok(Net {
            sources: self.sources.into_values().collect(),
            listings: listings.filter(|(_, difference)| !difference.is_empty()).collect(),
            allows: self.allows.finish(),
            suppressions: self.suppressions.finish(),
            outputs: self.outputs.finish(),
        })
    }
}

/// A source's differences in order, each more than twice as large as the next: so each row is merged a few times
/// only, however many records there are.
#[derive(Default)]
struct Chain(Vec<Difference>);

impl Chain {
    /// Says how many rows that saved.
    fn push(&mut self, next: Difference) -> usize {
        self.0.push(next);
        let mut saved = 0;
        while let [.., first, second] = &self.0[..]
            && first.len() <= 2 * second.len()
        {
            saved += self.join();
        }
        saved
    }

    /// Makes one of all; says how many rows that saved.
    fn close(&mut self) -> usize {
        let mut saved = 0;
        while self.0.len() > 1 {
            saved += self.join();
        }
        saved
    }

    fn join(&mut self) -> usize {
        let (Some(second), Some(first)) = (self.0.pop(), self.0.pop()) else { return 0 };
        let joined = first.then(&second);
        let saved = first.len() + second.len() - joined.len();
        self.0.push(joined);
        saved
    }
}

/// What became of small things, by what tells them apart.
struct Pairs<K, T>(BTreeMap<K, Pair<T>>);

impl<K: Ord, T: PartialEq> Pairs<K, T> {
    fn take(&mut self, removed: Vec<T>, added: Vec<T>, key: impl Fn(&T) -> K) {
        for one in removed {
            match self.0.get_mut(&key(&one)) {
                Some(pair) => pair.after = None,
                None => drop(self.0.insert(key(&one), Pair { before: Some(one), after: None })),
            }
        }
        for one in added {
            let pair = self.0.entry(key(&one)).or_insert(Pair { before: None, after: None });
            pair.after = Some(one);
        }
    }

    fn finish(self) -> Vec<Pair<T>> {
        self.0.into_values().filter(|pair| pair.before != pair.after).collect()
    }
}
