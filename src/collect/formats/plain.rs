//! Lists of a value a line.
//!
//! Nearly all lines of nearly all lists are a bare IPv4 address or prefix, so those are read
//! straight off the text, without looking for the end of the line first.

use super::rows::{Fields, Sink, Tally};
use super::{Layout, line};
use crate::addr::{Range, leading_v4_range};
use memchr::memchr;

/// Reads all lines of `text`, of which the first has the number `number`.
pub(super) fn read<S: Sink>(text: &str, mut number: u64, layout: &Layout, rows: &mut Tally<'_, S>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if let Some((range, used)) = bare_line(&bytes[at..]) {
            rows.row(number, range.into(), &Fields::NONE);
            at += used;
        } else {
            let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |len| at + len);
            line::read(&text[at..end], number, layout, rows);
            at = end + 1;
        }
        number += 1;
    }
}

/// The range that is all of the first line, and the length of the line with its end.
#[inline]
fn bare_line(text: &[u8]) -> Option<(Range<u32>, usize)> {
    let (range, used) = leading_v4_range(text)?;
    match text.get(used..)? {
        [b'\n', ..] => Some((range, used + 1)),
        [b'\r', b'\n', ..] => Some((range, used + 2)),
        [] => Some((range, used)),
        _ => None,
    }
}
