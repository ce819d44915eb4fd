//! Sets to text, on all cores.

use super::Form;
use super::load::Sets;
use crate::addr::{Range, RangeSet, Word, write_address, write_prefix, write_span};
use std::io::{self, Write};
use std::thread;

/// Ranges that one thread renders at a time.
const PIECE: usize = 1 << 16;
/// More single addresses than all of IPv4 has are a mistake, not a wish.
const MOST_ADDRESSES: u128 = 1 << 32;

/// Writes the set, a line each, IPv4 first.
pub(super) fn sets(sets: &Sets, form: Form, out: &mut impl Write) -> io::Result<()> {
    let size = sets.v4.size().saturating_add(sets.v6.size());
    if form == Form::Addresses && size > MOST_ADDRESSES {
        return Err(io::Error::other(format!("{size} addresses are too many to write one by one")));
    }
    set(&sets.v4, form, out)?;
    set(&sets.v6, form, out)
}

fn set<W: Word>(set: &RangeSet<W>, form: Form, out: &mut impl Write) -> io::Result<()> {
    if form == Form::Addresses {
        return addresses(set, out);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut texts = vec![Vec::new(); cores];
    for pieces in set.ranges().chunks(PIECE * cores) {
        let pieces = || pieces.chunks(PIECE);
        thread::scope(|scope| {
            for (piece, text) in pieces().zip(&mut texts) {
                scope.spawn(move || render(piece, form, text));
            }
        });
        for (_, text) in pieces().zip(&texts) {
            out.write_all(text)?;
        }
    }
    Ok(())
}

fn render<W: Word>(ranges: &[Range<W>], form: Form, text: &mut Vec<u8>) {
    text.clear();
    for range in ranges {
        if form == Form::Ranges {
            write_span(text, *range);
            text.push(b'\n');
            continue;
        }
        for (address, len) in range.prefixes() {
            write_prefix(text, address, len);
            text.push(b'\n');
        }
    }
}

/// A range may hold any number of addresses, so these are not rendered by the range.
fn addresses<W: Word>(set: &RangeSet<W>, out: &mut impl Write) -> io::Result<()> {
    let mut text = Vec::new();
    for range in set.iter() {
        let mut next = Some(range.first());
        while let Some(address) = next {
            write_address(&mut text, address);
            text.push(b'\n');
            if text.len() >= PIECE {
                out.write_all(&text)?;
                text.clear();
            }
            next = address.next().filter(|address| *address <= range.last());
        }
    }
    out.write_all(&text)
}
