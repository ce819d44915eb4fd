//! Sets to text, on all cores.

use super::Form;
use super::load::Sets;
use crate::addr::{Range, RangeSet, Word, write_address, write_prefix, write_span};
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;

/// Ranges in a piece, and pieces that one thread renders at a time.
const PIECE: usize = 1 << 11;
const PIECES: usize = 16;
/// Bytes gathered before they are written, where one thread does both.
const BUFFER: usize = 1 << 16;
/// Pieces that each thread has ready.
const AHEAD: usize = 4;
/// More single addresses than all of IPv4 has are a mistake, not a wish.
const MOST_ADDRESSES: u128 = 1 << 32;

/// Writes the sets, a line each, IPv4 first.
pub(super) fn sets(sets: &Sets, form: Form, out: &mut impl Write) -> io::Result<()> {
    let size = size(&sets.v4).saturating_add(size(&sets.v6));
    if form == Form::Addresses && size > MOST_ADDRESSES {
        return Err(io::Error::other(format!("{size} addresses are too many to write one by one")));
    }
    parts(&sets.v4, form, out)?;
    parts(&sets.v6, form, out)
}

fn size<W: Word>(parts: &[RangeSet<W>]) -> u128 {
    parts.iter().map(RangeSet::size).fold(0, u128::saturating_add)
}

fn parts<W: Word>(parts: &[RangeSet<W>], form: Form, out: &mut impl Write) -> io::Result<()> {
    if form == Form::Addresses {
        return parts.iter().try_for_each(|part| addresses(part, out));
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let pieces: Vec<_> = parts.iter().flat_map(|part| part.ranges().chunks(PIECE)).collect();
    thread::scope(|scope| {
        // Every core renders one of so many pieces, a little ahead of what is written; waiting for
        // all of them after each piece would cost more than the rendering on a busy machine.
        let rendered: Vec<_> = (0..cores)
            .map(|core| {
                let (done, next) = mpsc::sync_channel(AHEAD);
                let mut turns = pieces.chunks(PIECES).skip(core).step_by(cores);
                scope.spawn(move || turns.try_for_each(|pieces| done.send(render(pieces, form))));
                next
            })
            .collect();
        // A core that has no piece left hangs up, and it is the first one whose turn comes then.
        let mut in_turns = rendered.iter().cycle().map_while(|next| next.recv().ok());
        in_turns.try_for_each(|text| out.write_all(&text))
    })
}

fn render<W: Word>(pieces: &[&[Range<W>]], form: Form) -> Vec<u8> {
    let mut text = Vec::with_capacity(pieces.len() * PIECE * 16);
    for range in pieces.iter().copied().flatten() {
        if form == Form::Ranges {
            write_span(&mut text, *range);
            text.push(b'\n');
            continue;
        }
        for (address, len) in range.prefixes() {
            write_prefix(&mut text, address, len);
            text.push(b'\n');
        }
    }
    text
}

/// A range may hold any number of addresses, so these are not rendered by the range.
fn addresses<W: Word>(set: &RangeSet<W>, out: &mut impl Write) -> io::Result<()> {
    let mut text = Vec::new();
    for range in set.iter() {
        let mut next = Some(range.first());
        while let Some(address) = next {
            write_address(&mut text, address);
            text.push(b'\n');
            if text.len() >= BUFFER {
                out.write_all(&text)?;
                text.clear();
            }
            next = address.next().filter(|address| *address <= range.last());
        }
    }
    out.write_all(&text)
}
