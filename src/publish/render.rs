//! From a snapshot to the lines of a feed: a pure function, about 30 ns a line.

use super::profile::Profile;
use crate::addr::{Range, Run, Word, write_address, write_prefix, write_span};
use crate::engine::{Snapshot, Standing};
use crate::model::{Families, Lines};

/// The most lines that a feed of single addresses may have: one listed /8 would make 16 million.
pub const MOST_ADDRESSES: u64 = 1_000_000;

/// The bytes of a feed, and what is in them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rendered {
    /// One entry a line, each ended by a line feed; IPv4 before IPv6, lowest first.
    pub text: Vec<u8>,
    /// Lines.
    pub entries: u64,
    /// Addresses that the lines hold, at most `u128::MAX`.
    pub addresses: u128,
}

/// A feed of single addresses would be too long. Its profile needs prefixes or ranges, or less must
/// be listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more than {MOST_ADDRESSES} single addresses would be listed; publish prefixes or ranges instead")]
pub struct TooLong;

/// Renders what `snapshot` lists and nothing exempts. `room` is the length that is expected, in bytes:
/// it saves copying, and changes nothing else.
///
/// # Errors
/// [`TooLong`], for [`Lines::Addresses`] only.
pub fn render(snapshot: &Snapshot, profile: &Profile, room: usize) -> Result<Rendered, TooLong> {
    let listed: Vec<bool> = snapshot.standings.iter().map(|standing| Standing::is_listed(standing)).collect();
    let rendered = Rendered { text: Vec::with_capacity(room), ..Rendered::default() };
    let mut page = Page { rendered, lines: profile.lines };
    if profile.families != Families::V6 {
        page.family(snapshot.table.v4.runs(), &listed)?;
    }
    if profile.families != Families::V4 {
        page.family(snapshot.table.v6.runs(), &listed)?;
    }
    Ok(page.rendered)
}

/// A feed in the making.
struct Page {
    rendered: Rendered,
    lines: Lines,
}

impl Page {
    /// Joins runs that touch, whoever lists them, and writes the joined ranges.
    fn family<W: Word>(
        &mut self,
        runs: impl Iterator<Item = Run<W>>,
        listed: &[bool],
    ) -> Result<(), TooLong> {
        let mut open: Option<Range<W>> = None;
        for (range, _) in runs.filter(|(_, class)| listed[class.index()]) {
            open = Some(match open {
                Some(before) if before.last().next() == Some(range.first()) => join(before, range),
                Some(before) => {
                    self.range(before)?;
                    range
                }
                None => range,
            });
        }
        open.map_or(Ok(()), |last| self.range(last))
    }

    fn range<W: Word>(&mut self, range: Range<W>) -> Result<(), TooLong> {
        self.rendered.addresses = self.rendered.addresses.saturating_add(range.size());
        match self.lines {
            Lines::Cidrs => {
                for (address, len) in range.prefixes() {
                    self.line(|text| write_prefix(text, address, len));
                }
            }
            Lines::Ranges => self.line(|text| write_span(text, range)),
            Lines::Addresses if self.rendered.addresses > u128::from(MOST_ADDRESSES) => return Err(TooLong),
            Lines::Addresses => {
                let above = |address: &W| address.next().filter(|next| *next <= range.last());
                for address in std::iter::successors(Some(range.first()), above) {
                    self.line(|text| write_address(text, address));
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.rendered.text);
        self.rendered.text.push(b'\n');
        self.rendered.entries += 1;
    }
}

/// Both as one; `after` begins behind `before`, so the ends are in order.
fn join<W: Word>(before: Range<W>, after: Range<W>) -> Range<W> {
    Range::new(before.first(), after.last()).unwrap_or(after)
}
