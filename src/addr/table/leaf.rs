//! How the 256 addresses of one /24 are written: a word, and behind it as many lines as it takes.
//!
//! The two low bits of a word say what the others are.
//!
//! | tag | the other bits | lines |
//! | --- | --- | --- |
//! | uniform | the class of all 256 | 0 |
//! | runs | up to 8 runs: their last bytes, their first bytes, their classes | 1 |
//! | quarters | the same for each /26 | 4 |
//! | flat | 256 classes | 16 |
//!
//! Real lists have two or three entries in a /24 they touch, so nearly all are uniform or runs, and
//! a look-up costs two cache misses. Quarters are searched by the same instructions, so that a /24
//! with more entries costs no mispredicted branch. The flat form is for what remains.

use super::arena::{Arena, Cells, Extent, LINE, Line};
use super::{Class, Run, overlay::push};
use crate::addr::Range;

/// What stands for one /24.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Word(pub(super) u32);

const UNIFORM: u32 = 0;
const RUNS: u32 = 1;
const QUARTERS: u32 = 2;
const FLAT: u32 = 3;

/// Runs in a line.
const RUNS_MAX: usize = 8;

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
            QUARTERS => 4,
            _ => 16,
        };
        Some(Extent { line: self.0 >> 2, len })
    }

    /// The class of the address whose last byte is `low`.
    #[inline]
    pub(super) fn get(self, low: u8, cells: &Cells) -> Class {
        match self.as_uniform() {
            Some(class) => class,
            None => self.finish(low, cells.line(self.line_of_runs(low)).u64(0), cells),
        }
    }

    /// The line that holds the runs around `low`, if this is a word of runs or quarters.
    #[inline]
    fn line_of_runs(self, low: u8) -> u32 {
        // The tags differ in the bit that says whether the quarter counts.
        let if_quarters = 0_u32.wrapping_sub(self.0 >> 1 & 1);
        (self.0 >> 2) + (u32::from(low >> 6) & if_quarters)
    }

    /// The first load of [`Word::get`], on its own so that many can be under way together. Without
    /// a branch: a uniform word loads line 0, which is always there and near.
    #[inline]
    pub(super) fn touch(self, low: u8, cells: &Cells) -> u64 {
        let line = if self.as_uniform().is_some() { 0 } else { self.line_of_runs(low) };
        cells.line(line).u64(0)
    }

    /// The rest of [`Word::get`], given what [`Word::touch`] loaded.
    #[inline]
    pub(super) fn finish(self, low: u8, touched: u64, cells: &Cells) -> Class {
        match self.0 & 3 {
            UNIFORM => Class(self.0 >> 2),
            FLAT => self.get_flat(low, cells),
            _ => search(touched, cells.line(self.line_of_runs(low)), low),
        }
    }

    /// [`Word::get`] in the rare form; apart, so that what surrounds the others stays short: how
    /// many look-ups a processor has under way depends on how few instructions each takes.
    #[inline(never)]
    fn get_flat(self, low: u8, cells: &Cells) -> Class {
        Class(cells.get((self.0 >> 2) * LINE as u32 + u32::from(low)))
    }

    /// Appends the runs of the /24 that begins at `base`.
    pub(super) fn decode(self, base: u32, cells: &Cells, out: &mut Vec<Run<u32>>) {
        let number = self.0 >> 2;
        match self.0 & 3 {
            UNIFORM => push(out, Range::prefix(base, 24), Class(number)),
            RUNS => decode_line(cells.line(number), base, out),
            QUARTERS => (number..number + 4).for_each(|line| decode_line(cells.line(line), base, out)),
            _ => {
                for low in 0..=255 {
                    push(out, Range::single(base + u32::from(low)), self.get_flat(low, cells));
                }
            }
        }
    }
}

fn decode_line(line: Line<'_>, base: u32, out: &mut Vec<Run<u32>>) {
    let (lasts, firsts) = (line.u64(0).to_le_bytes(), line.u64(2).to_le_bytes());
    for (i, (last, first)) in lasts.into_iter().zip(firsts).enumerate() {
        let class = Class(line.u32(4 + i));
        if class.is_clear() {
            return;
        }
        if let Some(range) = Range::new(base + u32::from(first), base + u32::from(last)) {
            push(out, range, class);
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
fn search(lasts: u64, line: Line<'_>, low: u8) -> Class {
    let firsts = line.u64(2);
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
        _ => match quarters(runs) {
            Some(lines) => Word(arena.write(lines.as_flattened()) << 2 | QUARTERS),
            None => Word(arena.write(&flat(runs)) << 2 | FLAT),
        },
    }
}

/// `None` if a quarter has too many runs.
fn quarters(runs: &[Run<u32>]) -> Option<[[u32; LINE]; 4]> {
    let base = runs[0].0.first() & !0xff;
    let mut lines = [[0; LINE]; 4];
    for (i, line) in (0..).zip(&mut lines) {
        let quarter = Range::prefix(base | i << 6, 26);
        let inside = runs.iter().filter_map(|(range, class)| Some((range.intersect(quarter)?, *class)));
        let inside: Vec<_> = inside.collect();
        *line = (inside.len() <= RUNS_MAX).then(|| run_line(&inside))?;
    }
    Some(lines)
}

fn run_line(runs: &[Run<u32>]) -> [u32; LINE] {
    let (mut lasts, mut firsts, mut line) = ([u8::MAX; RUNS_MAX], [u8::MAX; RUNS_MAX], [0; LINE]);
    for (i, (range, class)) in runs.iter().enumerate() {
        lasts[i] = range.last() as u8;
        firsts[i] = range.first() as u8;
        line[4 + i] = class.0;
    }
    let (lasts, firsts) = (u64::from_le_bytes(lasts), u64::from_le_bytes(firsts));
    line[..4].copy_from_slice(&[lasts as u32, (lasts >> 32) as u32, firsts as u32, (firsts >> 32) as u32]);
    line
}

fn flat(runs: &[Run<u32>]) -> [u32; 256] {
    let mut lines = [0; 256];
    for (range, class) in runs {
        lines[usize::from(range.first() as u8)..=usize::from(range.last() as u8)].fill(class.0);
    }
    lines
}
