//! What differences of one source, one after the other, come to. Pure: merges of sorted rows.

use super::{Difference, Row, Rows, RowsBuilder, SourceRanges};
use crate::addr::Word;

impl Difference {
    /// The one difference that does what this one and then `next` do: a row that came and went is in neither side, one
    /// that is again as it was neither. Linear in the rows of both.
    pub fn then(&self, next: &Self) -> Self {
        let mut composed = (RowsBuilder::default(), RowsBuilder::default());
        self.compose::<u32>(next, &mut composed);
        self.compose::<u128>(next, &mut composed);
        Self { removed: composed.0.finish().0, added: composed.1.finish().0 }
    }

    fn compose<W: SourceRanges>(&self, next: &Self, (removed, added): &mut (RowsBuilder, RowsBuilder)) {
        let sides = [&self.removed, &self.added, &next.removed, &next.added];
        for rows in merged(sides.map(|rows| rows.family::<W>())) {
            let Some(range) = rows.iter().flatten().next().map(|row| row.range) else { continue };
            let said = |at: usize| rows[at].map(|row| sides[at].detail(row.detail));
            let is_of_first = rows[0].is_some() || rows[1].is_some();
            let is_of_next = rows[2].is_some() || rows[3].is_some();
            let before = if is_of_first { said(0) } else { said(2) };
            let after = if is_of_next { said(3) } else { said(1) };
            if before != after {
                before.into_iter().for_each(|detail| removed.push_row(range, detail));
                after.into_iter().for_each(|detail| added.push_row(range, detail));
            }
        }
    }

    /// The difference that takes this one back.
    pub fn reversed(self) -> Self {
        Self { removed: self.added, added: self.removed }
    }

    /// How many rows both sides have together.
    pub fn len(&self) -> usize {
        self.removed.len() + self.added.len()
    }

    /// Each range of a family that differs, once and in the order of rows: as it was, and as it is.
    pub fn pairs<W: SourceRanges>(&self) -> impl Iterator<Item = [Option<&Row<W>>; 2]> {
        merged([self.removed.family(), self.added.family()])
    }
}

impl Rows {
    /// These rows after `difference`, which must have been made for them.
    pub fn after(self, difference: &Difference) -> Self {
        Difference { removed: Self::default(), added: self }.then(difference).added
    }
}

/// Walks rows of several sides together: for each range the row of every side that has it.
fn merged<W: Word, const N: usize>(mut sides: [&[Row<W>]; N]) -> impl Iterator<Item = [Option<&Row<W>>; N]> {
    std::iter::from_fn(move || {
        let next = sides.iter().filter_map(|side| side.first()).map(Row::key).min()?;
        Some(sides.each_mut().map(|side| {
            let (row, rest) = side.split_first().filter(|(row, _)| row.key() == next)?;
            *side = rest;
            Some(row)
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;
    use crate::model::{Detail, Time};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// What a source lists, the slow way.
    type State = BTreeMap<IpRange, Detail>;

    fn states() -> impl Strategy<Value = State> {
        let range = prop_oneof![
            (0..6_u8).prop_map(|n| format!("20.0.0.{n}")),
            (0..3_u8).prop_map(|n| format!("20.0.0.0/{}", 24 + n)),
            (0..3_u8).prop_map(|n| format!("2a00::{n}")),
        ];
        let detail =
            (0..2_i64).prop_map(|seen| Detail { first_seen: Time::from_unix(seen), ..Detail::default() });
        proptest::collection::btree_map(range.prop_map(|text| text.parse().unwrap()), detail, 0..9)
    }

    fn rows<'a>(listings: impl Iterator<Item = (&'a IpRange, &'a Detail)>) -> Rows {
        let mut builder = RowsBuilder::default();
        listings.for_each(|(range, detail)| builder.push(*range, detail));
        builder.finish().0
    }

    fn state(rows: &Rows) -> State {
        rows.iter().map(|(range, detail)| (range, detail.clone())).collect()
    }

    fn between(old: &State, new: &State) -> Difference {
        Difference {
            removed: rows(old.iter().filter(|(range, detail)| new.get(range) != Some(detail))),
            added: rows(new.iter().filter(|(range, detail)| old.get(range) != Some(detail))),
        }
    }

    fn told(difference: &Difference) -> (State, State) {
        (state(&difference.removed), state(&difference.added))
    }

    proptest! {
        #[test]
        fn composed_differences_equal_the_direct_one(a in states(), b in states(), c in states()) {
            let composed = between(&a, &b).then(&between(&b, &c));
            prop_assert_eq!(told(&composed), told(&between(&a, &c)));
            prop_assert!(between(&a, &b).then(&between(&b, &a)).is_empty());
        }

        #[test]
        fn a_difference_leads_from_one_state_to_the_other_and_reversed_back(a in states(), b in states()) {
            let (old, new, difference) = (rows(a.iter()), rows(b.iter()), between(&a, &b));
            prop_assert_eq!(state(&old.after(&difference)), b);
            prop_assert_eq!(state(&new.after(&difference.reversed())), a);
        }

        #[test]
        fn pairs_name_each_range_that_differs_once(a in states(), b in states()) {
            let difference = between(&a, &b);
            let pairs: Vec<_> = difference.pairs::<u32>().collect();
            let ranges: Vec<_> = pairs.iter().map(|pair| pair.iter().flatten().next().unwrap().key()).collect();
            prop_assert!(ranges.is_sorted_by(|x, y| x < y));
            let sides = |at: usize| pairs.iter().filter(|pair| pair[at].is_some()).count();
            let v4 = |rows: &Rows| rows.family::<u32>().len();
            prop_assert_eq!((sides(0), sides(1)), (v4(&difference.removed), v4(&difference.added)));
        }
    }
}
