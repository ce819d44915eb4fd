//! Sorting ranges by where they begin.

use super::{Range, Word};

/// Below this the comparison sort wins: a radix pass has a fixed price.
const SMALL: usize = 4096;
const DIGIT_BITS: u8 = 8;
const DIGITS: usize = 1 << DIGIT_BITS;

/// Sorts by the first address; ranges that begin together come in any order. `other` is room to work
/// in, whatever it holds.
pub(super) fn by_first<W: Word>(ranges: &mut Vec<Range<W>>, other: &mut Vec<Range<W>>) {
    if ranges.is_sorted_by_key(|r| r.first()) {
        return;
    }
    if W::BITS == 32 && ranges.len() > SMALL {
        radix(ranges, other);
    } else {
        ranges.sort_unstable_by_key(|r| r.first());
    }
}

/// Least significant digit first: four passes over 32 bits.
fn radix<W: Word>(ranges: &mut Vec<Range<W>>, other: &mut Vec<Range<W>>) {
    other.resize(ranges.len(), Range::default());
    for shift in (0..W::BITS).step_by(usize::from(DIGIT_BITS)) {
        let digit = |range: &Range<W>| range.first().digit(shift);
        let mut places = counts(ranges, digit);
        if places.contains(&ranges.len()) {
            continue;
        }
        let mut sum = 0;
        for place in &mut places {
            sum += std::mem::replace(place, sum);
        }
        for range in ranges.iter() {
            let place = &mut places[digit(range)];
            other[*place] = *range;
            *place += 1;
        }
        std::mem::swap(ranges, other);
    }
}

fn counts<W: Word>(ranges: &[Range<W>], digit: impl Fn(&Range<W>) -> usize) -> [usize; DIGITS] {
    let mut counts = [0; DIGITS];
    for range in ranges {
        counts[digit(range)] += 1;
    }
    counts
}
