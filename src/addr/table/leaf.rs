//! How the 256 addresses of one /24 are written: a word, and behind it as many lines as it takes.
//!
//! The two low bits of a word say what the others are.
//!
//! | tag | the other bits | lines |
//! | --- | --- | --- |
//! | uniform | the class of all 256 | 0 |
//! | runs | up to 8 runs: their last bytes, their first bytes, their classes | 1 |
//! | palette | up to 16 classes, then 256 half bytes that choose among them | 3 |
//! | flat | 256 classes | 16 |
//!
//! Real lists have two or three entries in a /24 they touch, so nearly all are uniform or runs, and
//! a look-up costs two cache misses. Nine runs pay for the palette's 192 bytes. The flat form is
//! for hostile data and never larger than what a plain array would be.

use super::arena::{Arena, Extent, Line, Lines};
use super::{Class, Run, overlay::push};
use crate::addr::Range;

/// What stands for one /24.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Word(pub(super) u32);

const UNIFORM: u32 = 0;
const RUNS: u32 = 1;
const PALETTE: u32 = 2;
const FLAT: u32 = 3;

/// Runs in a line, and classes in a palette.
const RUNS_MAX: usize = 8;
const PALETTE_MAX: usize = 16;

/// The high bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

impl Word {
    /// All 256 addresses have this class.
    pub(super) fn uniform(class: Class) -> Self {
        Self(class.0 << 2 | UNIFORM)
    }

    /// The class, if it is one for all 256 addresses.
    pub(super) fn as_uniform(self) -> Option<Class> {
        (self.0 & 3 == UNIFORM).then_some(Class(self.0 >> 2))
    }

    /// The lines behind it.
    pub(super) fn extent(self) -> Option<Extent> {
        let len = match self.0 & 3 {
            UNIFORM => return None,
            RUNS => 1,
            PALETTE => 3,
            _ => 16,
        };
        Some(Extent { line: self.0 >> 2, len })
    }

    /// The class of the address whose last byte is `low`.
    #[inline]
    pub(super) fn get(self, low: u8, lines: &Lines) -> Class {
        match self.as_uniform() {
            Some(class) => class,
            None => self.finish(low, self.touch(low, lines), lines),
        }
    }

    /// The first load of [`Word::get`], on its own so that many can be under way together. Without
    /// a branch: a uniform word loads line 0, which is always there and near.
    #[inline]
    pub(super) fn touch(self, low: u8, lines: &Lines) -> u64 {
        let low = usize::from(low);
        // By tag: the line after the word's own, and the eight bytes in it.
        let ahead = [0, 0, 1 + low / 128, low / 16][(self.0 & 3) as usize];
        let at = [0, 0, low / 16, low / 2][(self.0 & 3) as usize];
        let line = if self.as_uniform().is_some() { 0 } else { (self.0 >> 2) + ahead as u32 };
        lines.line(line).u64(at)
    }

    /// The rest of [`Word::get`], given what [`Word::touch`] loaded.
    #[inline]
    pub(super) fn finish(self, low: u8, touched: u64, lines: &Lines) -> Class {
        let number = self.0 >> 2;
        match self.0 & 3 {
            UNIFORM => Class(number),
            RUNS => search(touched, lines.line(number), low),
            PALETTE => Class(lines.line(number).u32((touched >> (low % 16 * 4)) as usize % 16)),
            _ => Class((touched >> (low % 2 * 32)) as u32),
        }
    }

    /// Appends the runs of the /24 that begins at `base`.
    pub(super) fn decode(self, base: u32, lines: &Lines, out: &mut Vec<Run<u32>>) {
        let number = self.0 >> 2;
        match self.0 & 3 {
            UNIFORM => push(out, Range::prefix(base, 24), Class(number)),
            RUNS => {
                let line = lines.line(number);
                let (lasts, firsts) = (line.u64(0).to_le_bytes(), line.u64(1).to_le_bytes());
                for (i, (last, first)) in lasts.into_iter().zip(firsts).enumerate() {
                    if let Some(range) = Range::new(base + u32::from(first), base + u32::from(last)) {
                        push(out, range, Class(line.u32(4 + i)));
                    }
                }
            }
            _ => {
                for low in 0..=255 {
                    push(out, Range::single(base + u32::from(low)), self.get(low, lines));
                }
            }
        }
    }
}

/// The class of `low` in a line of runs.
///
/// The last bytes ascend, so the first that is not below `low` belongs to the only run that may
/// hold it. All eight are compared at once, in plain arithmetic: no instruction that the oldest
/// machines lack, and no branch that data could mislead. Unused places hold 255 twice and the
/// class 0; the ninth class is 0 too and stands for "none".
#[inline]
fn search(lasts: u64, line: &Line, low: u8) -> Class {
    let firsts = line.u64(1);
    let wanted = u64::from(low) * (HIGH >> 7);
    let low_bits = (lasts | HIGH) - (wanted & !HIGH);
    let not_below = ((lasts & !wanted) | (!(lasts ^ wanted) & low_bits)) & HIGH;
    let bit = not_below.trailing_zeros();
    let first = (firsts >> (bit & 0x38)) as u8;
    let place = if first <= low { bit / 8 } else { RUNS_MAX as u32 };
    Class(line.u32(4 + place as usize))
}

/// Writes the runs of one /24, which are maximal, in the smallest form that holds them.
pub(super) fn encode(runs: &[Run<u32>], arena: &mut Arena) -> Word {
    match runs {
        [] => Word::uniform(Class::CLEAR),
        [(range, class)] if range.size() == 256 => Word::uniform(*class),
        _ if runs.len() <= RUNS_MAX => Word(arena.write(&run_line(runs)) << 2 | RUNS),
        _ => match palette(runs) {
            Some(lines) => Word(arena.write(&lines) << 2 | PALETTE),
            None => Word(arena.write(&flat(runs)) << 2 | FLAT),
        },
    }
}

fn run_line(runs: &[Run<u32>]) -> [u64; 8] {
    let (mut lasts, mut firsts, mut line) = ([u8::MAX; RUNS_MAX], [u8::MAX; RUNS_MAX], [0; 8]);
    for (i, (range, class)) in runs.iter().enumerate() {
        lasts[i] = range.last() as u8;
        firsts[i] = range.first() as u8;
        set_u32(&mut line, 4 + i, *class);
    }
    line[0] = u64::from_le_bytes(lasts);
    line[1] = u64::from_le_bytes(firsts);
    line
}

/// `None` if there are too many classes.
fn palette(runs: &[Run<u32>]) -> Option<[u64; 24]> {
    let (mut lines, mut classes) = ([0; 24], vec![Class::CLEAR]);
    for (range, class) in runs {
        let place = classes.iter().position(|c| c == class).unwrap_or(classes.len());
        if place == PALETTE_MAX {
            return None;
        }
        if place == classes.len() {
            classes.push(*class);
            set_u32(&mut lines, place, *class);
        }
        for low in low_bytes(*range) {
            lines[8 + low / 16] |= (place as u64) << (low % 16 * 4);
        }
    }
    Some(lines)
}

fn flat(runs: &[Run<u32>]) -> [u64; 128] {
    let mut lines = [0; 128];
    for (range, class) in runs {
        for low in low_bytes(*range) {
            set_u32(&mut lines, low, *class);
        }
    }
    lines
}

/// Sets the four zero bytes at `i` as [`Line::u32`] reads them.
fn set_u32(words: &mut [u64], i: usize, class: Class) {
    words[i / 2] |= u64::from(class.0) << (32 * (i % 2));
}

fn low_bytes(range: Range<u32>) -> impl Iterator<Item = usize> {
    usize::from(range.first() as u8)..=usize::from(range.last() as u8)
}
