//! Entries in pages, for whoever lists or searches: the one loop over the store that looks for entries, counts
//! what was asked for, and says where the next page begins.

use super::super::paging::Opaque;
use super::super::reply::blocking;
use crate::addr::{IpRange, Range, Word};
use crate::engine::{Engine, Snapshot};
use crate::model::{Detail, SourceId};
use crate::store::{Entry, View};
use crate::web::Problem;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the page before ended, and what it counted: later pages need not count again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Place {
    /// Of which generation that page is.
    generation: u64,
    entry: IpRange,
    /// The last part of the entry that was shown.
    piece: IpRange,
    total: u64,
}

pub(super) type Cursor = Opaque<Place>;

/// Which entries can be meant at all: what bounds the reading.
#[derive(Clone, Copy, Default)]
pub(super) enum Scope {
    /// All.
    #[default]
    Everything,
    /// Those around this range: a seek for each source and level.
    Around(IpRange),
    /// Those inside this range, which lie together.
    Inside(IpRange),
}

/// What is asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct Pager {
    pub(super) scope: Scope,
    pub(super) cursor: Option<Cursor>,
    /// Rows to pass over, behind the cursor.
    pub(super) offset: usize,
    pub(super) limit: usize,
    /// Whether the first page counts all there is, which reads all there is.
    pub(super) count: bool,
    /// Whether it goes on in whatever generation there is: for who reads on and on in pieces.
    pub(super) goes_on: bool,
}

/// A page.
#[derive(Serialize, JsonSchema)]
pub(super) struct Page<T> {
    status: &'static str,
    pub(super) data: Vec<T>,
    count: usize,
    /// Rows in all.
    total: u64,
    pub(super) cursor: Option<Cursor>,
    generation: u64,
}

/// The pages of a list are of one generation, and that of the first one is over.
fn gone(generation: u64) -> Problem {
    Problem::new(StatusCode::GONE, "generation_gone").detail(format!(
        "The list has changed since generation {generation}, of which the first page is. Begin again, with more rows a \
         page."
    ))
}

impl Pager {
    /// Reads a page, see [`Pager::cut`], from the store and the generation that it holds.
    ///
    /// # Errors
    /// 410 when the generation of the first page is over, and faults of the disk.
    pub(super) async fn read<T: Send + 'static>(
        self,
        engine: &Engine,
        cut: impl Fn(&Self, &Snapshot, &View) -> Result<Page<T>, redb::Error> + Send + 'static,
    ) -> Result<Page<T>, Problem> {
        let engine = engine.clone();
        blocking(move || {
            let pinned = self.cursor.filter(|_| !self.goes_on).map(|Opaque(place)| place.generation);
            let page = engine.whole(|snapshot, view| match pinned {
                Some(pinned) if pinned != snapshot.generation => Ok(Err(gone(pinned))),
                _ => cut(&self, snapshot, view).map(Ok),
            });
            page.map_err(Problem::from)?
        })
        .await
    }

    /// Cuts a page: `wanted` gives the parts of an entry that are asked for, in order, and `show` makes a row of
    /// one. The cursor stands behind the last row, be it in the middle of an entry.
    ///
    /// # Errors
    /// A fault of the disk.
    pub(super) fn cut<T>(
        &self,
        snapshot: &Snapshot,
        view: &View,
        wanted: impl Fn(&Entry) -> Vec<IpRange>,
        show: impl Fn(&Entry, IpRange) -> T,
    ) -> Result<Page<T>, redb::Error> {
        let from = self.cursor.map(|Opaque(place)| place);
        let counting = self.count && from.is_none();
        let shown = |entry: &Entry, piece: IpRange| {
            from.is_some_and(|from| from.entry == entry.range && piece <= from.piece)
        };
        let (mut data, mut total, mut last, mut more) = (Vec::new(), 0, None, false);
        let mut passed = 0;
        self.scope.walk(snapshot, view, from.map(|from| from.entry), |entry| {
            let pieces = wanted(&entry);
            total += pieces.len() as u64;
            for piece in pieces.into_iter().filter(|piece| !shown(&entry, *piece)) {
                if passed < self.offset {
                    passed += 1;
                    continue;
                }
                more = data.len() == self.limit;
                if more {
                    break;
                }
                data.push(show(&entry, piece));
                last = Some((entry.range, piece));
            }
            !more || counting
        })?;
        let total = from.map_or(total, |from| from.total);
        let generation = snapshot.generation;
        let cursor = last.filter(|_| more);
        let cursor = cursor.map(|(entry, piece)| Opaque(Place { generation, entry, piece, total }));
        Ok(Page { status: "success", count: data.len(), data, total, cursor, generation })
    }
}

impl Scope {
    /// Calls `each` with the entries from `from` on, in the order of addresses, until it says false.
    fn walk(
        self,
        snapshot: &Snapshot,
        view: &View,
        from: Option<IpRange>,
        mut each: impl FnMut(Entry) -> bool,
    ) -> Result<(), redb::Error> {
        match self {
            Self::Everything => view.each_entry(from.and_then(before), each),
            Self::Inside(outer) => {
                let least = lowest_within(outer);
                let from = from.map_or(least, |from| from.max(least));
                let last = highest_within(outer);
                view.each_entry(before(from), |entry| entry.range <= last && each(entry))
            }
            Self::Around(inner) => {
                let entries = around(snapshot, view, inner)?.into_iter();
                let mut entries = entries.skip_while(|entry| from.is_some_and(|from| entry.range < from));
                while entries.next().is_some_and(&mut each) {}
                Ok(())
            }
        }
    }
}

fn around(snapshot: &Snapshot, view: &View, inner: IpRange) -> Result<Vec<Entry>, redb::Error> {
    let mut entries: BTreeMap<IpRange, Vec<(SourceId, Detail)>> = BTreeMap::new();
    for source in snapshot.sources.keys() {
        for found in view.covering(*source, inner.first())? {
            if found.range.covers(inner) {
                entries.entry(found.range).or_default().push((*source, found.detail));
            }
        }
    }
    Ok(entries.into_iter().map(|(range, listings)| Entry { range, listings }).collect())
}

/// The first range in the order of entries that lies inside `outer`.
fn lowest_within(outer: IpRange) -> IpRange {
    match outer {
        IpRange::V4(range) => Range::single(range.first()).into(),
        IpRange::V6(range) => Range::single(range.first()).into(),
    }
}

/// The last one.
fn highest_within(outer: IpRange) -> IpRange {
    match outer {
        IpRange::V4(range) => Range::single(range.last()).into(),
        IpRange::V6(range) => Range::single(range.last()).into(),
    }
}

/// The range before this one in the order of entries: the store begins after what it is given.
fn before(range: IpRange) -> Option<IpRange> {
    match range {
        IpRange::V4(range) => before_in(range).map(IpRange::V4),
        // Before all of IPv6 comes the last of IPv4.
        IpRange::V6(range) => Some(before_in(range).map_or(Range::single(u32::MAX).into(), IpRange::V6)),
    }
}

fn before_in<W: Word>(range: Range<W>) -> Option<Range<W>> {
    let shorter = range.last().prev().and_then(|last| Range::new(range.first(), last));
    shorter.or_else(|| Range::new(range.first().prev()?, W::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lies_between_a_range_and_the_one_before() {
        for (range, expected) in [
            ("20.0.0.0/24", Some("20.0.0.0-20.0.0.254")),
            ("20.0.0.0", Some("19.255.255.255-255.255.255.255")),
            ("0.0.0.0", None),
            ("::", Some("255.255.255.255")),
            ("::1", Some("::/0")),
        ] {
            let found = before(range.parse().unwrap()).map(|range| range.to_string());
            assert_eq!(found.as_deref(), expected, "{range}");
        }
    }
}
