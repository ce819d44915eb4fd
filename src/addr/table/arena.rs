//! Cache lines that the generations of one table share.
//!
//! A generation writes new lines for what it changes and names the lines it replaces; those are
//! written again only after every generation that could read them is gone. So a generation costs
//! what it changes, and memory does not double while two of them live.
//!
//! Lines are atomics with relaxed order: plain loads on the machines we know, and safe code can
//! share them. What orders a reader after the writer is how it got its generation (an `Arc`); what
//! orders a second writing of a line after its last reader is the fence in [`Arena::reclaim`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Weak};

/// One cache line.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Line([AtomicU64; 8]);

impl Line {
    /// The eight bytes at `i`, counted from 0 and modulo 8.
    #[inline]
    pub(super) fn u64(&self, i: usize) -> u64 {
        self.0[i % 8].load(Ordering::Relaxed)
    }

    /// The four bytes at `i`, counted from 0 and modulo 16.
    #[inline]
    pub(super) fn u32(&self, i: usize) -> u32 {
        (self.u64(i / 2) >> (32 * (i % 2))) as u32
    }

    fn write(&self, words: &[u64]) {
        for (cell, word) in self.0.iter().zip(words) {
            cell.store(*word, Ordering::Relaxed);
        }
    }
}

/// Lines in a segment: 4 MiB, few enough huge pages to waste none, many enough to get them. Tests
/// have small ones, to cross from one to the next.
const SEGMENT: usize = if cfg!(test) { 1 << 9 } else { 1 << 16 };

/// Memory of [`SEGMENT`] lines that never moves.
type Segment = Box<[Line]>;

/// Zeroed memory, in huge pages where the system has them: a dependent miss then costs half.
fn segment() -> Segment {
    let mut lines = Vec::with_capacity(SEGMENT);
    prefer_huge_pages(lines.spare_capacity_mut());
    lines.resize_with(SEGMENT, Line::default);
    lines.into_boxed_slice()
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the one call for huge pages; safe code has no name for it")]
fn prefer_huge_pages(memory: &mut [std::mem::MaybeUninit<Line>]) {
    use rustix::mm::{Advice, madvise};
    let page = rustix::param::page_size();
    let start = memory.as_mut_ptr().cast::<u8>();
    let skip = start.align_offset(page);
    let len = size_of_val(memory).saturating_sub(skip) / page * page;
    if len > 0 {
        let start = start.wrapping_add(skip).cast();
        // SAFETY: the range lies inside memory that is borrowed exclusively here, and this advice
        // changes neither its bytes nor its protection, only the size of the pages behind it.
        // Where it is refused, the table is slower and as right.
        let _ = unsafe { madvise(start, len, Advice::LinuxHugepage) };
    }
}

#[cfg(not(target_os = "linux"))]
fn prefer_huge_pages(_: &mut [std::mem::MaybeUninit<Line>]) {}

/// How a reader finds lines by their number; fixed for a generation, shared with the next ones.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<[Arc<Segment>]>);

impl Lines {
    /// The line of that number, which must come from the arena of this generation.
    #[inline]
    pub(super) fn line(&self, number: u32) -> &Line {
        let number = number as usize;
        &self.0[number / SEGMENT][number % SEGMENT]
    }
}

/// Lines in a row that are written and replaced together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    pub(super) line: u32,
    pub(super) len: u32,
}

/// The writer's side.
#[derive(Default)]
pub(super) struct Arena {
    lines: Lines,
    /// The lowest number never given out.
    fresh: u32,
    /// Extents to be written again, by length; tables use four lengths.
    free: Vec<(u32, Vec<u32>)>,
    /// What each generation replaced of the one before, which is named by its token.
    retired: VecDeque<(Weak<()>, Vec<Extent>)>,
    newest: Weak<()>,
    used: usize,
}

impl Arena {
    /// What a generation needs to read the lines written so far.
    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Bytes taken from the system.
    pub(super) fn bytes(&self) -> usize {
        self.lines.0.len() * SEGMENT * size_of::<Line>()
    }

    /// Whether more than half of a large arena lies idle, so that a new one is worth its cost.
    pub(super) fn is_wasteful(&self) -> bool {
        let lines = self.lines.0.len() * SEGMENT;
        lines > 8 * SEGMENT && lines > 2 * self.used
    }

    /// Stores `words` in new lines, the rest of the last one unspecified, and returns the first.
    pub(super) fn write(&mut self, words: &[u64]) -> u32 {
        let first = self.take(words.len().div_ceil(8) as u32);
        for (number, words) in (first..).zip(words.chunks(8)) {
            self.lines.line(number).write(words);
        }
        first
    }

    fn take(&mut self, len: u32) -> u32 {
        self.used += len as usize;
        if let Some(line) = self.free_list(len).pop() {
            return line;
        }
        // An extent lies in one segment; lines left over at its end serve as single ones.
        let room = SEGMENT as u32 - self.fresh % SEGMENT as u32;
        if room < len {
            let rest = self.fresh..self.fresh + room;
            self.free_list(1).extend(rest);
            self.fresh += room;
        }
        if self.fresh as usize == self.lines.0.len() * SEGMENT {
            self.lines.0 = self.lines.0.iter().cloned().chain([Arc::new(segment())]).collect();
        }
        self.fresh += len;
        self.fresh - len
    }

    fn free_list(&mut self, len: u32) -> &mut Vec<u32> {
        let i = match self.free.iter().position(|(l, _)| *l == len) {
            Some(i) => i,
            None => {
                self.free.push((len, Vec::new()));
                self.free.len() - 1
            }
        };
        &mut self.free[i].1
    }

    /// Whether the generation of this token is the newest.
    pub(super) fn is_newest(&self, token: &Arc<()>) -> bool {
        std::ptr::eq(self.newest.as_ptr(), Arc::as_ptr(token))
    }

    /// Makes the generation of this token the newest; it does without what `replaced` names.
    pub(super) fn advance(&mut self, token: &Arc<()>, replaced: Vec<Extent>) {
        let before = std::mem::replace(&mut self.newest, Arc::downgrade(token));
        self.retired.push_back((before, replaced));
    }

    /// Frees what no living generation can read.
    ///
    /// Generations of an arena are a chain, each made from the newest. What one replaced is read
    /// by those before it only, so the queue is freed from its front, up to the first one alive.
    pub(super) fn reclaim(&mut self) {
        while let Some((token, _)) = self.retired.front()
            && token.strong_count() == 0
            && let Some((_, extents)) = self.retired.pop_front()
        {
            // Pairs with the release by which the last owner let go of the token.
            fence(Ordering::Acquire);
            for extent in extents {
                self.used -= extent.len as usize;
                self.free_list(extent.len).push(extent.line);
            }
        }
    }
}
