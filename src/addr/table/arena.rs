//! Cache lines that the generations of one table share.
//!
//! A generation writes new lines for what it changes and names the lines it replaces; those are
//! written again only after every generation that could read them is gone. So a generation costs
//! what it changes, and memory does not double while two of them live.
//!
//! Cells are atomics with relaxed order: plain loads on the machines we know, and safe code can
//! share them. What orders a reader after the writer is how it got its generation (an `Arc`); what
//! orders a second writing of a line after its last reader is the fence in [`Arena::reclaim`].
//!
//! Nothing here asks for huge pages, though they halve the cost of a miss: the program's allocator
//! does that for all its memory, and puts blocks as large as a segment at the start of a page.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};

/// Cells of four bytes in a cache line.
pub(super) const LINE: usize = 16;

/// Cells in a segment, which has 4 MiB. Tests have small ones, to cross from one to the next.
const SEGMENT: usize = if cfg!(test) { 1 << 13 } else { 1 << 20 };

/// As many segments as cells can be numbered for; tests have few tables of that size.
const SEGMENTS: usize = if cfg!(test) { 1 << 12 } else { (1 << 32) / SEGMENT };

/// Memory that never moves.
type Segment = [AtomicU32; SEGMENT];

/// What is read where nothing was ever written. It takes no room in the program nor in memory.
static CLEAR: Segment = [const { AtomicU32::new(0) }; SEGMENT];

/// How cells are found by their number. All generations share it; segments are added and never taken away, so that
/// between a number and its cell stands one load, of an address that is always near.
#[derive(Clone)]
pub(super) struct Cells(Arc<[OnceLock<Box<Segment>>; SEGMENTS]>);

impl Default for Cells {
    fn default() -> Self {
        Self(Arc::new([const { OnceLock::new() }; SEGMENTS]))
    }
}

impl Cells {
    /// The cell of that number, which must come from the arena of this generation.
    #[inline]
    pub(super) fn get(&self, cell: u32) -> u32 {
        let cell = cell as usize;
        self.segment(cell)[cell % SEGMENT].load(Ordering::Relaxed)
    }

    /// The segment of a cell.
    #[inline]
    fn segment(&self, cell: usize) -> &Segment {
        self.0.get(cell / SEGMENT).and_then(OnceLock::get).map_or(&CLEAR, |segment| segment)
    }

    /// The line of that number, likewise.
    #[inline]
    pub(super) fn line(&self, line: u32) -> Line<'_> {
        let cell = line as usize * LINE;
        Line { segment: self.segment(cell), at: cell % SEGMENT }
    }
}

/// One cache line.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    segment: &'a Segment,
    at: usize,
}

impl Line<'_> {
    /// The cell at `i`, counted from 0 and modulo [`LINE`].
    #[inline]
    pub(super) fn u32(self, i: usize) -> u32 {
        // "Or" is "plus" here, and lets the compiler see that it stays inside.
        self.segment[self.at | (i % LINE)].load(Ordering::Relaxed)
    }

    /// The two cells at `i` and after it, the first one low.
    #[inline]
    pub(super) fn u64(self, i: usize) -> u64 {
        u64::from(self.u32(i)) | u64::from(self.u32(i + 1)) << 32
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
    cells: Cells,
    segments: usize,
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
    /// What a generation needs to read what is written so far.
    pub(super) fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Bytes taken from the system.
    pub(super) fn bytes(&self) -> usize {
        self.lines() * LINE * size_of::<AtomicU32>()
    }

    /// Whether more than half of a large arena lies idle, so that a new one is worth its cost.
    pub(super) fn is_wasteful(&self) -> bool {
        self.segments > 8 && self.lines() > 2 * self.used
    }

    /// Lines taken from the system.
    fn lines(&self) -> usize {
        self.segments * SEGMENT / LINE
    }

    /// Stores `cells`, which are whole lines, in new ones, and returns the first.
    pub(super) fn write(&mut self, cells: &[u32]) -> u32 {
        let line = self.take((cells.len() / LINE) as u32);
        let at = line as usize * LINE;
        // An extent lies in one segment.
        for (to, from) in self.cells.segment(at)[at % SEGMENT..].iter().zip(cells) {
            to.store(*from, Ordering::Relaxed);
        }
        line
    }

    fn take(&mut self, len: u32) -> u32 {
        self.used += len as usize;
        if let Some(line) = self.free_list(len).pop() {
            return line;
        }
        // What is left at the end of a segment and too short serves as single lines.
        let room = ((SEGMENT / LINE) as u32) - self.fresh % (SEGMENT / LINE) as u32;
        if room < len {
            let rest = self.fresh..self.fresh + room;
            self.free_list(1).extend(rest);
            self.fresh += room;
        }
        if self.fresh as usize == self.lines() {
            self.cells.0[self.segments].get_or_init(bytemuck::allocation::zeroed_box);
            self.segments += 1;
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
