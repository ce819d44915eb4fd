//! What is known of each stretch that a feed lists, for the formats that tell more than addresses.

use super::select::{Scene, SelectError};
use super::selection::{Annotated, Entry, Facts};
use super::sweep::{Listings, Standing, Words};
use crate::addr::{IpRange, IpSet, Range, Word};
use crate::engine::Snapshot;
use crate::model::{Filter, Severity, SourceId, SourceName, Time};
use std::collections::HashMap;
use std::sync::Arc;

/// Cuts `set` where what is known changes. It is what the store says at the scene's generation: a stretch that a held
/// feed keeps and nobody lists any more has no facts. About a second for a million listings.
///
/// # Errors
/// [`SelectError`].
pub(super) fn annotate(scene: Scene<'_>, filter: &Filter, set: &IpSet) -> Result<Annotated, SelectError> {
    let listings = Listings::read(scene, filter)?;
    let mut annotated = Annotated::default();
    let mut numbers: HashMap<Key, u32> = HashMap::new();
    let mut keys: Vec<Key> = Vec::new();
    let words = listings.walk(set, |range, standing| {
        let key = Key::of(standing);
        let facts = *numbers.entry(key).or_insert_with_key(|key| {
            keys.push(key.clone());
            keys.len() as u32 - 1
        });
        match range {
            IpRange::V4(range) => push(&mut annotated.v4, range, facts),
            IpRange::V6(range) => push(&mut annotated.v6, range, facts),
        }
    });
    let mut names = Names { snapshot: scene.snapshot, known: HashMap::new() };
    annotated.facts = keys.into_iter().map(|key| key.facts(&words, &mut names)).collect();
    Ok(annotated)
}

/// A stretch of the same facts as the one before goes on with it.
fn push<W: Word>(entries: &mut Vec<Entry<W>>, range: Range<W>, facts: u32) {
    if let Some(last) = entries.last_mut()
        && last.facts == facts
        && last.range.last().next() == Some(range.first())
        && let Some(both) = Range::new(last.range.first(), range.last())
    {
        last.range = both;
    } else {
        entries.push(Entry { range, facts });
    }
}

/// Facts as numbers: most stretches share theirs with others, and names are made once.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    sources: Vec<SourceId>,
    words: Option<u32>,
    severity: Option<Severity>,
    confidence: Option<u8>,
    since: Option<Time>,
    until: Option<Time>,
}

impl Key {
    fn of(standing: &Standing) -> Self {
        Self {
            sources: standing.sources().collect(),
            words: standing.words(),
            severity: standing.severity(),
            confidence: standing.confidence(),
            since: standing.first(),
            until: standing.until(),
        }
    }

    fn facts(self, words: &[Words], names: &mut Names<'_>) -> Facts {
        let words = self.words.and_then(|at| words.get(at as usize));
        let Self { severity, confidence, since, until, .. } = self;
        let (reason, threat, country) = words
            .map_or((None, None, None), |words| (words.reason.clone(), words.threat.clone(), words.country));
        Facts { sources: names.of(self.sources), threat, reason, country, severity, confidence, since, until }
    }
}

/// The names of source sets, each set once.
struct Names<'a> {
    snapshot: &'a Snapshot,
    known: HashMap<Vec<SourceId>, Arc<[SourceName]>>,
}

impl Names<'_> {
    fn of(&mut self, ids: Vec<SourceId>) -> Arc<[SourceName]> {
        let Self { snapshot, known } = self;
        let names = |ids: &Vec<SourceId>| {
            let mut names: Vec<SourceName> = ids
                .iter()
                .filter_map(|id| snapshot.sources.get(id))
                .map(|source| source.name.clone())
                .collect();
            names.sort_unstable();
            names.into()
        };
        Arc::clone(known.entry(ids).or_insert_with_key(names))
    }
}
