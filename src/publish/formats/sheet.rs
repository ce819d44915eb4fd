//! What a document is written from, and how a selection falls into the lines that a format takes.

use super::page::Page;
use crate::addr::{IpRange, IpSet, Prefixes, Range, Word, write_ip_range, write_span};
use crate::model::{Families, Format, Lines, Time};
use crate::publish::selection::{Annotated, Entry, Facts};
use std::io;

/// One feed at one generation, to be written in any format.
#[derive(Clone, Copy, Debug)]
pub struct Sheet<'a> {
    /// The feed's name, by the rule of a source's name: it goes into scripts and zones as it is. That of a part
    /// is a name of its own, or its sets would replace those of the other parts.
    pub feed: &'a str,
    /// The generation in which this selection was released.
    pub generation: u64,
    /// That generation's time.
    pub time: Time,
    /// The form of its lines.
    pub lines: Lines,
    /// What it lists.
    pub selection: &'a IpSet,
    /// What is known of it; none: nothing. Looked at only for formats that need it.
    pub entries: Option<&'a Annotated>,
}

/// What is in a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Entries: lines, in most formats.
    pub entries: u64,
    /// Addresses that the format carries of the selection, at most `u128::MAX`.
    pub addresses: u128,
}

/// The most lines that a list of single addresses may have: one listed /8 would make 16 million.
pub(in crate::publish) const MOST_ADDRESSES: u64 = 1_000_000;

/// A document that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The profile must choose other lines.
    #[error("the format {format} takes no {}, but {}", lines.as_str(), taken(*format))]
    Lines {
        /// The format.
        format: Format,
        /// What was asked for.
        lines: Lines,
    },
    /// The profile must choose prefixes or ranges, or list less.
    #[error(
        "more than {MOST_ADDRESSES} single addresses would be listed; publish prefixes or ranges instead"
    )]
    TooLong,
    /// A fault of ours: the facts are not those of the selection, which alone says what is listed.
    #[error("what is known of the entries does not fit what is listed")]
    Unfit,
    /// Whoever takes the bytes does not.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn taken(format: Format) -> String {
    let names: Vec<&str> = format.lines().iter().map(|lines| lines.as_str()).collect();
    names.join(" or ")
}

/// An entry of a document: where, and what is known of it.
pub(super) type Piece<'a> = (IpRange, Option<&'a Facts>);

impl<'a> Sheet<'a> {
    /// The same for a format: without facts that it has no place for, and only if it can be written.
    pub(super) fn as_taken_by(&self, format: Format) -> Result<Self, WriteError> {
        if !format.lines().contains(&self.lines) {
            return Err(WriteError::Lines { format, lines: self.lines });
        }
        if self.lines == Lines::Addresses && self.size(format.families()) > u128::from(MOST_ADDRESSES) {
            return Err(WriteError::TooLong);
        }
        let entries = self.entries.filter(|_| format.needs_facts());
        if entries.is_some_and(|entries| !entries.is_exactly(self.selection)) {
            return Err(WriteError::Unfit);
        }
        Ok(Self { entries, ..*self })
    }

    /// What a document of the format holds that has so many entries.
    pub(super) fn counts(&self, format: Format, entries: u64) -> Counts {
        Counts { entries, addresses: self.size(format.families()) }
    }

    fn size(&self, families: Families) -> u128 {
        match families {
            Families::Both => self.selection.size(),
            Families::V4 => self.selection.v4.size(),
            Families::V6 => self.selection.v6.size(),
        }
    }

    /// Its entries of these families: IPv4 before IPv6, lowest first.
    pub(super) fn pieces(&self, families: Families) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let Self { selection, lines, .. } = *self;
        let facts = self.entries.map_or(&[][..], |entries| &entries.facts);
        let (noted4, noted6) = self.entries.map_or((&[][..], &[][..]), |e| (&e.v4[..], &e.v6[..]));
        let (mut plain4, mut plain6) = (selection.v4.ranges(), selection.v6.ranges());
        if self.entries.is_some() {
            (plain4, plain6) = (&[], &[]);
        }
        let v4 = (families != Families::V6).then(|| family(noted4, plain4, facts, lines));
        let v6 = (families != Families::V4).then(|| family(noted6, plain6, facts, lines));
        v4.into_iter().flatten().chain(v6.into_iter().flatten())
    }

    /// Writes the entries of these families, each between `before` and `after`.
    pub(super) fn write_entries(
        &self,
        families: Families,
        before: &str,
        after: &str,
        page: &mut Page<'_>,
    ) -> io::Result<()> {
        self.pieces(families).try_for_each(|(range, _)| {
            page.entry(|out| {
                out.extend_from_slice(before.as_bytes());
                self.write_range(out, range);
                out.extend_from_slice(after.as_bytes());
            })
        })
    }

    /// Whether it lists nothing of these families.
    pub(super) fn is_empty(&self, families: Families) -> bool {
        self.size(families) == 0
    }

    /// Writes an entry's range in the form of the sheet's lines.
    #[inline]
    pub(super) fn write_range(&self, out: &mut Vec<u8>, range: IpRange) {
        match (self.lines, range) {
            (Lines::Ranges, IpRange::V4(range)) => write_span(out, range),
            (Lines::Ranges, IpRange::V6(range)) => write_span(out, range),
            _ => write_ip_range(out, range),
        }
    }
}

/// The entries of a family: stretches with their facts, or plain ranges, one of the two being empty.
fn family<'a, W: Word>(
    noted: &'a [Entry<W>],
    plain: &'a [Range<W>],
    facts: &'a [Facts],
    lines: Lines,
) -> impl Iterator<Item = Piece<'a>> + use<'a, W> {
    let noted = noted.iter().map(|entry| (entry.range, facts.get(entry.facts as usize)));
    let plain = plain.iter().map(|range| (*range, None));
    let stretches = noted.chain(plain);
    stretches.flat_map(move |(range, facts)| Cut::new(range, lines).map(move |cut| (cut.into(), facts)))
}

/// A range cut into lines, lowest first.
#[derive(Clone, Debug)]
pub(in crate::publish) enum Cut<W> {
    Addresses(Option<Range<W>>),
    Cidrs(Prefixes<W>),
    Whole(Option<Range<W>>),
}

impl<W: Word> Cut<W> {
    pub(in crate::publish) fn new(range: Range<W>, lines: Lines) -> Self {
        match lines {
            Lines::Addresses => Self::Addresses(Some(range)),
            Lines::Cidrs => Self::Cidrs(range.prefixes()),
            Lines::Ranges => Self::Whole(Some(range)),
        }
    }
}

impl<W: Word> Iterator for Cut<W> {
    type Item = Range<W>;

    #[inline]
    fn next(&mut self) -> Option<Range<W>> {
        match self {
            Self::Addresses(rest) => {
                let range = (*rest)?;
                *rest = range.first().next().and_then(|first| Range::new(first, range.last()));
                Some(Range::single(range.first()))
            }
            Self::Cidrs(prefixes) => prefixes.next().map(|(address, len)| Range::prefix(address, len)),
            Self::Whole(range) => range.take(),
        }
    }
}
