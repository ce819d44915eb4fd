//! Edits laid over runs: the one algorithm by which every table, whole or in part, is changed.

use super::{Class, Run};
use crate::addr::{Range, Word};

/// Appends `run` to `runs`, as part of the last one if it continues it; clear runs are left out.
#[inline]
pub(super) fn push<W: Word>(runs: &mut Vec<Run<W>>, range: Range<W>, class: Class) {
    if class.is_clear() {
        return;
    }
    if let Some((before, same)) = runs.last_mut()
        && *same == class
        && before.last().next() == Some(range.first())
        && let Some(both) = Range::new(before.first(), range.last())
    {
        *before = both;
        return;
    }
    runs.push((range, class));
}

/// Appends to `out` what `runs` become inside `within`: each address in an edit's range gets the
/// class `f(edit, old class)`, the others keep theirs.
///
/// Runs and edits are sorted and disjoint, runs lie inside `within`, edits may reach beyond it.
/// The result is made of maximal runs. Costs one step a run, an edit, and a gap inside an edit.
pub(super) fn overlay<W: Word, E>(
    runs: &[Run<W>],
    edits: &[(Range<W>, E)],
    within: Range<W>,
    f: &mut impl FnMut(&E, Class) -> Class,
    out: &mut Vec<Run<W>>,
) {
    let mut old = Old { runs, at: Some(within.first()) };
    for (range, edit) in edits {
        let Some(range) = range.intersect(within) else { continue };
        if let Some(before) = range.first().prev() {
            old.take(before, |piece, class| push(out, piece, class));
        }
        old.take(range.last(), |piece, class| push(out, piece, f(edit, class)));
    }
    old.take(within.last(), |piece, class| push(out, piece, class));
}

/// What is left of the old runs, taken from the left piece by piece.
struct Old<'a, W> {
    runs: &'a [Run<W>],
    /// The first address not taken yet; `None` after the highest.
    at: Option<W>,
}

impl<W: Word> Old<'_, W> {
    /// Takes everything up to `last`, gaps included, as pieces of one class each.
    #[inline]
    fn take(&mut self, last: W, mut piece: impl FnMut(Range<W>, Class)) {
        while let Some(rest) = self.at.and_then(|at| Range::new(at, last)) {
            let (end, class) = self.stretch(rest.first());
            let end = end.min(last);
            if let Some(range) = Range::new(rest.first(), end) {
                piece(range, class);
            }
            self.at = end.next();
        }
    }

    /// Up to where, and with what class, the stretch around `at` goes on.
    #[inline]
    fn stretch(&mut self, at: W) -> (W, Class) {
        while let Some(((range, class), rest)) = self.runs.split_first() {
            if range.last() < at {
                self.runs = rest;
            } else if range.first() <= at {
                return (range.last(), *class);
            } else {
                return (range.first().prev().unwrap_or(W::MIN), Class::CLEAR);
            }
        }
        (W::MAX, Class::CLEAR)
    }
}
