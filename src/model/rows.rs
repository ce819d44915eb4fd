//! Many listings of one source, kept as rows of a range and the number of a shared detail.
//!
//! A list of a million plain addresses has one detail; keeping it once makes a row 12 bytes, and
//! comparing two lists a merge of sorted numbers.

use super::{Detail, Time};
use crate::addr::{IpRange, Range, Word};
use std::collections::HashMap;

/// One listing: a range, and which detail of its [`Rows`] goes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row<W> {
    /// What is listed.
    pub range: Range<W>,
    /// Index into [`Rows::details`].
    pub detail: u32,
}

impl<W: Word> Row<W> {
    /// The order of rows everywhere: by level, then by range. All ranges that the same narrowest
    /// prefix encloses stand together, so one seek a level finds what covers an address.
    pub fn key(&self) -> (u8, Range<W>) {
        (self.range.level(), self.range)
    }
}

/// Listings of one source: no range twice, in the order of [`Row::key`], IPv4 and IPv6 apart.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    details: Vec<Detail>,
    v4: Vec<Row<u32>>,
    v6: Vec<Row<u128>>,
}

impl Rows {
    /// Puts parts together that are already in order; `None` if they are not, or if a row points
    /// to no detail.
    pub fn from_parts(details: Vec<Detail>, v4: Vec<Row<u32>>, v6: Vec<Row<u128>>) -> Option<Self> {
        (in_order(&details, &v4) && in_order(&details, &v6)).then_some(Self { details, v4, v6 })
    }

    /// How many listings.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The details that rows point to; some may be unused.
    pub fn details(&self) -> &[Detail] {
        &self.details
    }

    /// The detail of a row of these.
    pub fn detail(&self, index: u32) -> &Detail {
        &self.details[index as usize]
    }

    /// Sets the moment at which all of these were learned of.
    pub fn stamp(&mut self, first_seen: Time) {
        for detail in &mut self.details {
            detail.first_seen = first_seen;
        }
    }

    /// The rows of one family, sorted.
    pub fn family<W: SourceRanges>(&self) -> &[Row<W>] {
        W::rows(self)
    }

    /// Every listing, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = (IpRange, &Detail)> {
        let v4 = self.v4.iter().map(|r| (IpRange::V4(r.range), r.detail));
        let v6 = self.v6.iter().map(|r| (IpRange::V6(r.range), r.detail));
        v4.chain(v6).map(|(range, detail)| (range, self.detail(detail)))
    }
}

/// The families of [`Rows`], so that code over listings is written once for both.
pub trait SourceRanges: Word {
    /// The rows of this family.
    fn rows(rows: &Rows) -> &[Row<Self>];
    /// The rows of this family, to be added to.
    fn rows_mut(rows: &mut Rows) -> &mut Vec<Row<Self>>;
}

impl SourceRanges for u32 {
    fn rows(rows: &Rows) -> &[Row<Self>] {
        &rows.v4
    }
    fn rows_mut(rows: &mut Rows) -> &mut Vec<Row<Self>> {
        &mut rows.v4
    }
}

impl SourceRanges for u128 {
    fn rows(rows: &Rows) -> &[Row<Self>] {
        &rows.v6
    }
    fn rows_mut(rows: &mut Rows) -> &mut Vec<Row<Self>> {
        &mut rows.v6
    }
}

/// Gathers listings in any order.
#[derive(Debug, Default)]
pub struct RowsBuilder {
    rows: Rows,
    numbers: HashMap<Detail, u32>,
    last: Option<u32>,
}

impl RowsBuilder {
    /// Adds a listing. A range given twice keeps the statement given last.
    pub fn push(&mut self, range: IpRange, detail: &Detail) {
        let detail = self.number(detail);
        match range {
            IpRange::V4(range) => self.rows.v4.push(Row { range, detail }),
            IpRange::V6(range) => self.rows.v6.push(Row { range, detail }),
        }
    }

    /// Adds a listing of a known family.
    pub fn push_row<W: SourceRanges>(&mut self, range: Range<W>, detail: &Detail) {
        let detail = self.number(detail);
        W::rows_mut(&mut self.rows).push(Row { range, detail });
    }

    /// Adds all that another builder gathered, as if it were pushed here after what is here.
    pub fn append(&mut self, other: Self) {
        let numbers: Vec<u32> = other.rows.details.iter().map(|detail| self.number(detail)).collect();
        fn moved<W>(rows: Vec<Row<W>>, numbers: &[u32]) -> impl Iterator<Item = Row<W>> {
            rows.into_iter().map(|row| Row { detail: numbers[row.detail as usize], ..row })
        }
        self.rows.v4.extend(moved(other.rows.v4, &numbers));
        self.rows.v6.extend(moved(other.rows.v6, &numbers));
    }

    /// How many were added so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Sorts, and drops all but one statement about each range: the one of the latest day of listing,
    /// of those the one that says the latest end, and of equals the last. Says how many it dropped.
    pub fn finish(mut self) -> (Rows, usize) {
        let before = self.rows.len();
        sort_and_deduplicate(&self.rows.details, &mut self.rows.v4);
        sort_and_deduplicate(&self.rows.details, &mut self.rows.v6);
        let dropped = before - self.rows.len();
        (self.rows, dropped)
    }

    fn number(&mut self, detail: &Detail) -> u32 {
        // Neighbours in a list mostly share their detail, and comparing is cheaper than hashing.
        if let Some(last) = self.last
            && self.rows.details[last as usize] == *detail
        {
            return last;
        }
        let next = u32::try_from(self.rows.details.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(detail.clone()).or_insert(next);
        if number == next {
            self.rows.details.push(detail.clone());
        }
        self.last = Some(number);
        number
    }
}

fn in_order<W: Word>(details: &[Detail], rows: &[Row<W>]) -> bool {
    rows.is_sorted_by(|a, b| a.key() < b.key()) && rows.iter().all(|r| (r.detail as usize) < details.len())
}

fn sort_and_deduplicate<W: Word>(details: &[Detail], rows: &mut Vec<Row<W>>) {
    let dates = |row: &Row<W>| {
        let detail = &details[row.detail as usize];
        (detail.listed, detail.expires)
    };
    // Stable, so that of equal ranges the one given last stands last.
    rows.sort_by_key(Row::key);
    rows.dedup_by(|later, kept| {
        let same = later.range == kept.range;
        // Lists are written newest first as often as last: of a range that was listed again, and of a
        // release that was put off, the dates tell which statement holds.
        if same && dates(later) >= dates(kept) {
            kept.detail = later.detail;
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Day;

    fn because(reason: &str) -> Detail {
        Detail { reason: Some(reason.into()), ..Detail::default() }
    }

    #[test]
    fn of_a_range_that_was_listed_again_the_later_listing_holds_in_whatever_order_they_come() {
        let on = |listed, expires| Detail {
            listed: Some(Day::from_number(listed)),
            expires: Some(Time::from_unix(expires)),
            ..Detail::default()
        };
        let (first, put_off, again) = (on(1, 100), on(1, 200), on(2, 150));
        let kept = |order: &[&Detail]| {
            let mut builder = RowsBuilder::default();
            order.iter().for_each(|detail| builder.push(IpRange::V4(Range::single(9)), detail));
            builder.finish().0.iter().next().unwrap().1.clone()
        };
        for order in [[&first, &put_off, &again], [&again, &put_off, &first], [&put_off, &again, &first]] {
            assert_eq!(kept(&order), again);
        }
        assert_eq!((kept(&[&put_off, &first]), kept(&[&first, &put_off])), (put_off.clone(), put_off));
    }

    #[test]
    fn rows_are_sorted_by_level_and_keep_the_last_statement() {
        let mut builder = RowsBuilder::default();
        let host = IpRange::V4(Range::single(9));
        builder.push(host, &because("first"));
        builder.push(IpRange::V4(Range::prefix(0, 8)), &because("wide"));
        builder.push(IpRange::V6(Range::single(1)), &because("first"));
        builder.push(host, &because("last"));
        let (rows, dropped) = builder.finish();
        let told: Vec<_> =
            rows.iter().map(|(range, d)| format!("{range} {}", d.reason.as_deref().unwrap())).collect();
        assert_eq!(told, ["0.0.0.0/8 wide", "0.0.0.9 last", "::1 first"]);
        assert_eq!((dropped, rows.details().len()), (1, 3));
    }
}
