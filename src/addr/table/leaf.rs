//! How the 256 addresses of one /24 are written: a word, and behind it as many lines as it takes.
//!
//! The three low bits of a word, its tag, say what the others are.
//!
//! | tag | the other bits | lines |
//! | --- | --- | --- |
//! | 0 | the class of all 256 | 0 |
//! | 5, 4, 3, 2 | lines of stretches for the whole, for halves, quarters and eighths | 1, 2, 4, 8 |
//! | 1 | lines of 16 classes for sixteenths | 16 |
//!
//! A line of stretches holds where up to eight of them end, and the classes of these and of what
//! follows. Real lists have two or three entries in a /24 they touch, so one line nearly always
//! suffices and a look-up costs two cache misses; and whatever the tag, the same few instructions
//! find the line: how many look-ups a processor has under way depends on how few they are.

use super::arena::{Arena, Cells, Extent, LINE, Line};
use super::{Class, Run, overlay::push};
use crate::addr::Range;

/// What stands for one /24.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Word(pub(super) u32);

const UNIFORM: u32 = 0;
const FLAT: u32 = 1;
/// The tag of one line of stretches; a smaller one stands for twice the lines.
const WHOLE: u32 = 5;

/// What the number of low address bits that a line stands for exceeds its tag by.
const BITS_ABOVE_TAG: u32 = 3;
const TAG: u32 = 7;

/// Ends in a line of stretches; they fill two cells, and one more class than ends follows.
const ENDS: usize = 8;

/// The high bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

impl Word {
    /// All 256 addresses have this class.
    pub(super) fn uniform(class: Class) -> Self {
        Self(class.0 << 3 | UNIFORM)
    }

    /// The class, if it is one for all 256 addresses.
    #[inline]
    pub(super) fn as_uniform(self) -> Option<Class> {
        (self.tag() == UNIFORM).then_some(Class(self.0 >> 3))
    }

    #[inline]
    fn tag(self) -> u32 {
        self.0 & TAG
    }

    /// The lines behind it.
    pub(super) fn extent(self) -> Option<Extent> {
        let len = 1_u32 << WHOLE.checked_sub(self.tag()).filter(|_| self.tag() != UNIFORM)?;
        Some(Extent { line: self.0 >> 3, len })
    }

    /// The class of the address whose last byte is `low`.
    #[inline]
    pub(super) fn get(self, low: u8, cells: &Cells) -> Class {
        match self.as_uniform() {
            Some(class) => class,
            None => self.finish(low, cells.line(self.line(low)).u64(0), cells),
        }
    }

    /// The line of a word that is not uniform in which `low` is found.
    #[inline]
    fn line(self, low: u8) -> u32 {
        (self.0 >> 3) + (u32::from(low) >> (self.tag() + BITS_ABOVE_TAG))
    }

    /// The first load of [`Word::get`], on its own so that many can be under way together. Without
    /// a branch: a uniform word loads line 0, which is always there and near.
    #[inline]
    pub(super) fn touch(self, low: u8, cells: &Cells) -> u64 {
        let line = if self.as_uniform().is_some() { 0 } else { self.line(low) };
        cells.line(line).u64(0)
    }

    /// The rest of [`Word::get`], given what [`Word::touch`] loaded.
    #[inline]
    pub(super) fn finish(self, low: u8, touched: u64, cells: &Cells) -> Class {
        match self.tag() {
            UNIFORM => Class(self.0 >> 3),
            FLAT => self.get_flat(low, cells),
            _ => Class(cells.line(self.line(low)).u32(2 + ends_below(touched, low))),
        }
    }

    #[inline(never)]
    fn get_flat(self, low: u8, cells: &Cells) -> Class {
        Class(cells.line(self.line(low)).u32(low.into()))
    }

    /// Appends the runs of the /24 that begins at `base`.
    pub(super) fn decode(self, base: u32, cells: &Cells, out: &mut Vec<Run<u32>>) {
        let Some(Extent { line, len }) = self.extent() else {
            return push(out, Range::prefix(base, 24), Class(self.0 >> 3));
        };
        if self.tag() == FLAT {
            for low in 0..=u8::MAX {
                push(out, Range::single(base | u32::from(low)), self.get_flat(low, cells));
            }
            return;
        }
        for (number, part) in (line..).zip(parts(base, len)) {
            decode_line(cells.line(number), part, out);
        }
    }
}

/// The /24 that begins at `base`, cut into `n` parts, a power of two.
fn parts(base: u32, n: u32) -> impl Iterator<Item = Range<u32>> {
    let len = 24 + n.ilog2() as u8;
    (0..n).map(move |i| Range::prefix(base + i * (256 / n), len))
}

/// How many of the eight ascending bytes are below `low`.
///
/// All are compared at once, in plain arithmetic: no instruction that the oldest machines lack, and
/// no branch that data could mislead.
#[inline]
fn ends_below(ends: u64, low: u8) -> usize {
    let low = u64::from(low) * (HIGH >> 7);
    let low_bits = (ends | HIGH) - (low & !HIGH);
    let not_below = ((ends & !low) | (!(ends ^ low) & low_bits)) & HIGH;
    (not_below.trailing_zeros() / 8) as usize
}

fn decode_line(line: Line<'_>, part: Range<u32>, out: &mut Vec<Run<u32>>) {
    let mut first = part.first();
    for (i, end) in line.u64(0).to_le_bytes().into_iter().chain([u8::MAX]).enumerate() {
        let last = part.last().min(part.first() & !0xff | u32::from(end));
        if let Some(range) = Range::new(first, last) {
            push(out, range, Class(line.u32(2 + i)));
        }
        first = last.saturating_add(1);
    }
}

/// Writes the runs of the /24 that begins at `base`, which are maximal, in the smallest form.
pub(super) fn encode(base: u32, runs: &[Run<u32>], arena: &mut Arena) -> Word {
    match runs {
        [] => return Word::uniform(Class::CLEAR),
        [(range, class)] if range.size() == 256 => return Word::uniform(*class),
        _ => {}
    }
    let mut lines = [[0; LINE]; 8];
    for tag in (FLAT + 1..=WHOLE).rev() {
        let lines = &mut lines[..1 << (WHOLE - tag)];
        let parts = parts(base, lines.len() as u32);
        if lines.iter_mut().zip(parts).all(|(line, part)| write_line(runs, part, line)) {
            return Word(arena.write(lines.as_flattened()) << 3 | tag);
        }
    }
    Word(arena.write(&flat(runs)) << 3 | FLAT)
}

/// Writes what `runs` say of one part; false if a line cannot hold it.
fn write_line(runs: &[Run<u32>], part: Range<u32>, line: &mut [u32; LINE]) -> bool {
    let (mut ends, mut used, mut at) = ([u8::MAX; ENDS], 0, Some(part.first()));
    *line = [0; LINE];
    for (range, class) in runs {
        let Some(range) = range.intersect(part) else { continue };
        let gap = range.first().checked_sub(1).filter(|_| at != Some(range.first()));
        for (last, class) in gap.map(|last| (last, Class::CLEAR)).into_iter().chain([(range.last(), *class)])
        {
            if used == ENDS && last != part.last() || used > ENDS {
                return false;
            }
            line[2 + used] = class.0;
            ends.get_mut(used).into_iter().for_each(|end| *end = last as u8);
            used += 1;
        }
        at = range.last().checked_add(1);
    }
    let ends = u64::from_le_bytes(ends);
    line[..2].copy_from_slice(&[ends as u32, (ends >> 32) as u32]);
    true
}

fn flat(runs: &[Run<u32>]) -> [u32; 256] {
    let mut lines = [0; 256];
    for (range, class) in runs {
        lines[usize::from(range.first() as u8)..=usize::from(range.last() as u8)].fill(class.0);
    }
    lines
}
