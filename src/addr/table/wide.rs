//! The form for many entries: a direct table of all /24s.
//!
//! The root has a word for each /24, cut into slabs of 256 (a /16 each) that are copied when they
//! change; a top array finds the slabs. A look-up costs a miss for the word and, unless the whole
//! /24 is of one class, one for its leaf.
//!
//! All slabs without anything listed are one and the same. Measured, that is what makes a /16 the
//! right slab: with a /14 nearly every slab holds something, a random miss takes 1.3 times as long
//! and the next generation twice; the larger top array (256 KiB) costs hits nothing.

use super::arena::{Arena, Cells, Extent, LINE};
use super::leaf::{Word, encode};
use super::overlay::{overlay, push};
use super::runs::Runs;
use super::{Class, Run};
use crate::addr::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bits of an address below a word's, and below a slab's.
const WORD_BITS: u32 = 8;
const SLAB_BITS: u32 = 16;
/// Words in a slab, and lines it takes.
const WORDS: usize = 1 << (SLAB_BITS - WORD_BITS);
const SLAB_LINES: u32 = (WORDS / LINE) as u32;
const SLABS: usize = 1 << (32 - SLAB_BITS);

/// The slab of nothing but clear words: the first an arena gives out, never replaced.
const CLEAR_SLAB: u32 = 0;

/// Addresses looked up together at most.
pub(super) const GROUP: usize = 32;

/// One generation of a wide table.
pub(super) struct Wide {
    /// The first cell of each slab.
    top: Box<[u32; SLABS]>,
    cells: Cells,
    /// How many runs are stored, where a run counts once for each leaf it has a part in.
    stored: usize,
    arena: Arc<Mutex<Arena>>,
    /// Says that this generation is alive, and by being the arena's newest, that it is the last.
    token: Arc<()>,
}

impl Default for Wide {
    fn default() -> Self {
        let mut arena = Arena::default();
        arena.write(&[0; WORDS]);
        let (cells, token) = (arena.cells().clone(), Arc::new(()));
        arena.advance(&token, Vec::new());
        Self {
            top: Box::new([CLEAR_SLAB; SLABS]),
            cells,
            stored: 0,
            arena: Arc::new(Mutex::new(arena)),
            token,
        }
    }
}

impl Wide {
    #[inline]
    pub(super) fn get(&self, addr: u32) -> Class {
        self.word(addr).get(addr as u8, &self.cells)
    }

    #[inline]
    fn word(&self, addr: u32) -> Word {
        let slab = self.top[(addr >> SLAB_BITS) as usize];
        let i = (addr >> WORD_BITS) % WORDS as u32;
        Word(self.cells.get(slab + i))
    }

    /// The classes of up to [`GROUP`] addresses: first all their words, then the first line that
    /// each needs of its leaf, so that the misses of a stage overlap whatever the words say.
    #[inline]
    pub(super) fn get_group(&self, addrs: &[u32], out: &mut [Class]) {
        let mut words = [Word::default(); GROUP];
        let mut touched = [0; GROUP];
        for (word, addr) in words.iter_mut().zip(addrs) {
            *word = self.word(*addr);
        }
        for ((touched, word), addr) in touched.iter_mut().zip(words).zip(addrs) {
            *touched = word.touch(*addr as u8, &self.cells);
        }
        for (((out, word), addr), touched) in out.iter_mut().zip(words).zip(addrs).zip(touched) {
            *out = word.finish(*addr as u8, touched, &self.cells);
        }
    }

    /// How many runs are stored; about the count of maximal runs, never less.
    pub(super) fn stored(&self) -> usize {
        self.stored
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.top) + self.writer().bytes()
    }

    /// A writer that panicked (in a caller's function) has wasted lines and done no other harm.
    fn writer(&self) -> MutexGuard<'_, Arena> {
        self.arena.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next generation, see [`super::Table4::next`].
    pub(super) fn next<E>(&self, edits: &[(Range<u32>, E)], mut f: impl FnMut(&E, Class) -> Class) -> Self {
        let mut arena = self.writer();
        if !arena.is_newest(&self.token) || arena.is_wasteful() {
            drop(arena);
            return self.copy().next(edits, f);
        }
        arena.reclaim();
        let mut change = Change {
            old: self,
            arena,
            top: self.top.clone(),
            stored: self.stored,
            replaced: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
        };
        for (slab, edits) in Blocks::new(edits, Range::ALL, SLAB_BITS) {
            change.slab(slab, edits, &mut f);
        }
        change.finish()
    }
}

impl Wide {
    /// The same table with lines of its own, for a second child of one parent and after shrinking.
    fn copy(&self) -> Self {
        let runs: Vec<_> = Runs::new(Range::ALL, |at, out| self.fill(at, out)).collect();
        Self::default().next(&runs, |class, _| *class)
    }

    /// See [`Runs`].
    pub(super) fn fill(&self, at: u32, out: &mut Vec<Run<u32>>) -> Option<u32> {
        let mut slab = Range::prefix(at, 32 - SLAB_BITS as u8);
        while self.top[(slab.first() >> SLAB_BITS) as usize] == CLEAR_SLAB {
            slab = Range::prefix(slab.last().checked_add(1)?, 32 - SLAB_BITS as u8);
        }
        let words = read_slab(&self.cells, self.top[(slab.first() >> SLAB_BITS) as usize]);
        let mut i = 0;
        while i < WORDS {
            let base = slab.first() + ((i as u32) << WORD_BITS);
            let word = Word(words[i]);
            match word.as_uniform() {
                Some(class) => {
                    let next = i + words[i..].iter().take_while(|other| **other == word.0).count();
                    let last = slab.first() + (((next as u32) << WORD_BITS) - 1);
                    Range::new(base, last).into_iter().for_each(|range| push(out, range, class));
                    i = next;
                }
                None => {
                    word.decode(base, &self.cells, out);
                    i += 1;
                }
            }
        }
        slab.last().checked_add(1)
    }
}

/// The words of a slab.
type Slab = [u32; WORDS];

fn read_slab(cells: &Cells, slab: u32) -> Slab {
    let mut words = [0; WORDS];
    for (line, words) in (slab / LINE as u32..).zip(words.chunks_exact_mut(LINE)) {
        let line = cells.line(line);
        for (i, word) in words.iter_mut().enumerate() {
            *word = line.u32(i);
        }
    }
    words
}

/// How many stretches of one class begin at the words `i` and `i + 1`.
#[inline]
fn stretches_at(slab: &Slab, i: usize) -> usize {
    let begins = |i: usize| {
        let word = Word(slab[i]);
        let continued = i > 0 && slab[i - 1] == word.0;
        word.as_uniform().is_some_and(|class| !class.is_clear()) && !continued
    };
    usize::from(begins(i)) + usize::from(i + 1 < WORDS && begins(i + 1))
}

/// A generation in the making.
struct Change<'a> {
    old: &'a Wide,
    arena: MutexGuard<'a, Arena>,
    top: Box<[u32; SLABS]>,
    stored: usize,
    /// Lines of the old generation that the new one does without.
    replaced: Vec<Extent>,
    /// The runs of the /24 at hand.
    before: Vec<Run<u32>>,
    after: Vec<Run<u32>>,
}

impl Change<'_> {
    /// Applies `edits` inside one slab, and copies it if that changes anything.
    fn slab<E>(
        &mut self,
        slab: Range<u32>,
        edits: &[(Range<u32>, E)],
        f: &mut impl FnMut(&E, Class) -> Class,
    ) {
        let top = (slab.first() >> SLAB_BITS) as usize;
        let mut words = read_slab(self.arena.cells(), self.top[top]);
        let mut changed = false;
        for (block, edits) in Blocks::new(edits, slab, WORD_BITS) {
            let i = (block.first() >> WORD_BITS) as usize % WORDS;
            let old = Word(words[i]);
            let new = self.word(old, block, edits, f);
            if new != old {
                self.stored -= stretches_at(&words, i);
                words[i] = new.0;
                self.stored += stretches_at(&words, i);
                changed = true;
            }
        }
        if changed {
            self.replace_slab(top, &words);
        }
    }

    fn replace_slab(&mut self, top: usize, words: &Slab) {
        if self.top[top] != CLEAR_SLAB {
            self.replaced.push(Extent { line: self.top[top] / LINE as u32, len: SLAB_LINES });
        }
        let clear = words.iter().all(|word| *word == 0);
        self.top[top] = if clear { CLEAR_SLAB } else { self.arena.write(words) * LINE as u32 };
    }

    /// The word of one /24 after `edits`.
    fn word<E>(
        &mut self,
        old: Word,
        block: Range<u32>,
        edits: &[(Range<u32>, E)],
        f: &mut impl FnMut(&E, Class) -> Class,
    ) -> Word {
        if let (Some(class), [(range, edit)]) = (old.as_uniform(), edits)
            && range.covers(block)
        {
            return Word::uniform(f(edit, class));
        }
        self.before.clear();
        self.after.clear();
        old.decode(block.first(), self.arena.cells(), &mut self.before);
        overlay(&self.before, edits, block, f, &mut self.after);
        if self.before == self.after {
            return old;
        }
        let new = encode(block.first(), &self.after, &mut self.arena);
        if let Some(extent) = old.extent() {
            self.replaced.push(extent);
            self.stored -= self.before.len();
        }
        if new.extent().is_some() {
            self.stored += self.after.len();
        }
        new
    }

    fn finish(mut self) -> Wide {
        let token = Arc::new(());
        self.arena.advance(&token, self.replaced);
        Wide {
            top: self.top,
            cells: self.arena.cells().clone(),
            stored: self.stored,
            arena: Arc::clone(&self.old.arena),
            token,
        }
    }
}

/// The blocks of `1 << bits` addresses inside `within` that edits touch, each with those edits.
struct Blocks<'a, E> {
    edits: &'a [(Range<u32>, E)],
    /// What is left to visit.
    within: Option<Range<u32>>,
    bits: u32,
}

impl<'a, E> Blocks<'a, E> {
    fn new(edits: &'a [(Range<u32>, E)], within: Range<u32>, bits: u32) -> Self {
        Self { edits, within: Some(within), bits }
    }
}

impl<'a, E> Iterator for Blocks<'a, E> {
    type Item = (Range<u32>, &'a [(Range<u32>, E)]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let within = self.within?;
        while let Some(((range, _), rest)) = self.edits.split_first()
            && range.last() < within.first()
        {
            self.edits = rest;
        }
        let touched = within.intersect(self.edits.first()?.0)?;
        let block = Range::prefix(touched.first(), 32 - self.bits as u8);
        let touching = self.edits.iter().take_while(|(range, _)| range.first() <= block.last()).count();
        self.within = block.last().checked_add(1).and_then(|next| Range::new(next, within.last()));
        Some((block, &self.edits[..touching]))
    }
}
