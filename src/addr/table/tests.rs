//! Every table against one slow model: a sorted list of stretches, cut and mapped edit by edit.

use super::v4::WIDE_FROM;
use super::*;
use crate::addr::Word;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

/// The obviously right table: where each stretch begins, and its class; it lasts to the next.
#[derive(Clone, Debug)]
struct Model<W>(Vec<(W, Class)>);

impl<W: Word> Model<W> {
    fn new() -> Self {
        Self(vec![(W::MIN, Class::CLEAR)])
    }

    fn get(&self, addr: W) -> Class {
        self.0.iter().rev().find(|(first, _)| *first <= addr).unwrap().1
    }

    fn cut(&mut self, at: W) {
        if let Err(i) = self.0.binary_search_by_key(&at, |(first, _)| *first) {
            self.0.insert(i, (at, self.0[i - 1].1));
        }
    }

    fn apply(&mut self, range: Range<W>, f: impl Fn(Class) -> Class) {
        self.cut(range.first());
        range.last().next().into_iter().for_each(|after| self.cut(after));
        for (first, class) in &mut self.0 {
            if range.contains(*first) {
                *class = f(*class);
            }
        }
        self.0.dedup_by_key(|(_, class)| *class);
    }

    fn runs_in(&self, within: Range<W>) -> Vec<Run<W>> {
        let ends = self.0[1..].iter().map(|(first, _)| first.prev().unwrap()).chain([W::MAX]);
        let runs = self.0.iter().zip(ends).map(|((first, class), last)| (Range::new(*first, last), *class));
        runs.filter(|(_, class)| !class.is_clear())
            .filter_map(|(range, class)| Some((range?.intersect(within)?, class)))
            .collect()
    }
}

/// What the engine does with a class: replaces it, ends it, or derives another from it.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Set(u32),
    Clear,
    Toggle(u32),
}

impl Edit {
    fn apply(self, old: Class) -> Class {
        match self {
            Self::Set(number) => class(number),
            Self::Clear => Class::CLEAR,
            Self::Toggle(bits) => class(old.0 ^ bits),
        }
    }
}

fn class(number: u32) -> Class {
    Class::new(number).unwrap()
}

/// Addresses that lie close together, at the ends of the space, and at the seams of blocks.
fn address4() -> impl Strategy<Value = u32> {
    let seams = select(vec![0, 0x0a00_0000, 0x0a00_0100, 0x0a04_0000, 0x0a03_ff00, 0xfffc_0000, 0xffff_ff00]);
    let offset = prop_oneof![6 => 0..256_u32, 2 => 0..2048_u32, 1 => any::<u32>()];
    (seams, offset).prop_map(|(seam, offset): (u32, u32)| seam.wrapping_add(offset))
}

fn address6() -> impl Strategy<Value = u128> {
    let seams = select(vec![0_u128, 0x2001_0db8 << 96, 0x2001_0db9 << 96, u128::MAX - 255]);
    let offset = prop_oneof![4 => 0..64_u128, 2 => (0..8_u128).prop_map(|n| n << 80), 1 => any::<u128>()];
    (seams, offset).prop_map(|(seam, offset)| seam.wrapping_add(offset))
}

fn edit() -> impl Strategy<Value = Edit> {
    let number =
        prop_oneof![4 => 1..4_u32, 2 => 1..300_u32, 1 => 65_500..65_600_u32, 1 => Just(Class::MAX.0)];
    number.prop_flat_map(
        |n| prop_oneof![3 => Just(Edit::Set(n)), 1 => Just(Edit::Clear), 1 => Just(Edit::Toggle(n & 0xff))],
    )
}

/// Sorted disjoint edits: prefixes, mostly narrow, those that overlap an earlier one left out.
fn edits<W: Word>(address: impl Strategy<Value = W>) -> impl Strategy<Value = Vec<(Range<W>, Edit)>> {
    let host_bits = prop_oneof![6 => Just(0), 3 => 0..4_u8, 2 => 4..W::BITS / 2, 1 => Just(W::BITS / 2 + 3)];
    prop::collection::vec((address, host_bits, 0..3_u8, edit()), 0..80).prop_map(|drawn| {
        let ranges = drawn.into_iter().map(|(address, host_bits, more, edit)| {
            let prefix = Range::prefix(address, W::BITS - host_bits);
            // Not only prefixes: some go on for a few addresses.
            let last = (0..more).try_fold(prefix.last(), |last, _| last.next()).unwrap_or(W::MAX);
            (Range::new(prefix.first(), last).unwrap(), edit)
        });
        let mut sorted: Vec<_> = ranges.collect();
        sorted.sort_by_key(|(range, _)| *range);
        let mut kept: Vec<(Range<W>, Edit)> = Vec::new();
        for (range, edit) in sorted {
            if kept.last().is_none_or(|(before, _)| before.last() < range.first()) {
                kept.push((range, edit));
            }
        }
        kept
    })
}

/// A step in the life of a table.
#[derive(Clone, Debug)]
struct Step<W> {
    edits: Vec<(Range<W>, Edit)>,
    /// Which living generation is changed, counted from the newest.
    parent: usize,
    dropped: Option<usize>,
}

fn steps<W: Word>(address: impl Strategy<Value = W>) -> impl Strategy<Value = Vec<Step<W>>> {
    // Mostly the newest is changed, as the engine does; sometimes an older one.
    let parent = prop_oneof![5 => Just(0_usize), 1 => 1..4_usize];
    let step = (edits(address), parent, prop::option::of(0..4_usize));
    prop::collection::vec(step.prop_map(|(edits, parent, dropped)| Step { edits, parent, dropped }), 1..8)
}

/// What the two families' tables have in common, for the laws below.
trait Family: Word {
    type Table: Clone + Default;
    fn get(table: &Self::Table, addr: Self) -> Class;
    fn get_batch(table: &Self::Table, addrs: &[Self]) -> Vec<Class>;
    fn changed(table: &Self::Table, edits: &[(Range<Self>, Edit)]) -> Self::Table;
    fn runs_in(table: &Self::Table, range: Range<Self>) -> Vec<Run<Self>>;
}

macro_rules! family {
    ($word:ty, $table:ty) => {
        impl Family for $word {
            type Table = $table;
            fn get(table: &$table, addr: $word) -> Class {
                table.get(addr)
            }
            fn get_batch(table: &$table, addrs: &[$word]) -> Vec<Class> {
                let mut out = vec![Class::MAX; addrs.len()];
                table.get_batch(addrs, &mut out);
                out
            }
            fn changed(table: &$table, edits: &[(Range<$word>, Edit)]) -> $table {
                table.next(edits, |edit, old| edit.apply(old))
            }
            fn runs_in(table: &$table, range: Range<$word>) -> Vec<Run<$word>> {
                table.runs_in(range).collect()
            }
        }
    };
}

family!(u32, Table4);
family!(u128, Table6);

/// The table answers as the model does, everywhere that an answer could differ.
fn check<W: Family>(table: &W::Table, model: &Model<W>) {
    assert_eq!(W::runs_in(table, Range::ALL), model.runs_in(Range::ALL));
    let firsts = model.0.iter().map(|(first, _)| *first);
    let addrs: Vec<W> =
        firsts.flat_map(|a| [a.prev(), Some(a), a.next()]).flatten().chain([W::MAX]).collect();
    let wanted: Vec<Class> = addrs.iter().map(|addr| model.get(*addr)).collect();
    let got: Vec<Class> = addrs.iter().map(|addr| W::get(table, *addr)).collect();
    assert_eq!(got, wanted);
    assert_eq!(W::get_batch(table, &addrs), wanted);
}

/// Lives through `steps`, and checks every generation that is alive after each.
fn live<W: Family>(steps: Vec<Step<W>>) {
    let mut alive = vec![(W::Table::default(), Model::new())];
    for Step { edits, parent, dropped } in steps {
        let (table, model) = &alive[alive.len() - 1 - parent % alive.len()];
        let (table, mut model) = (W::changed(table, &edits), model.clone());
        for (range, edit) in edits {
            model.apply(range, |old| edit.apply(old));
        }
        alive.push((table, model));
        if let Some(i) = dropped {
            alive.remove(i % alive.len());
        }
        if alive.is_empty() {
            return;
        }
        alive.iter().for_each(|(table, model)| check(table, model));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_living_ipv4_generation_answers_as_the_model(steps in steps(address4())) {
        live(steps);
    }

    #[test]
    fn every_living_ipv6_generation_answers_as_the_model(steps in steps(address6())) {
        live(steps);
    }

    #[test]
    fn runs_inside_a_range_are_cut_at_its_ends(
        edits4 in edits(address4()), a in address4(), b in address4(),
        edits6 in edits(address6()), c in address6(), d in address6(),
    ) {
        check_runs_in(&edits4, Range::new(a.min(b), a.max(b)).unwrap());
        check_runs_in(&edits6, Range::new(c.min(d), c.max(d)).unwrap());
    }
}

fn check_runs_in<W: Family>(edits: &[(Range<W>, Edit)], within: Range<W>) {
    let mut model = Model::new();
    edits.iter().for_each(|(range, edit)| model.apply(*range, |old| edit.apply(old)));
    let table = W::changed(&W::Table::default(), edits);
    assert_eq!(W::runs_in(&table, within), model.runs_in(within));
}

/// `n` single addresses from `base` on, every second one, each of its own class.
fn scattered(base: u32, n: u32, classes: u32) -> Vec<(Range<u32>, Edit)> {
    (0..n).map(|i| (Range::single(base + 2 * i), Edit::Set(1 + i % classes))).collect()
}

#[test]
fn a_slash_24_may_hold_any_number_of_runs_and_classes() {
    let other = scattered(0x0b00_0000, WIDE_FROM as u32, 1);
    for (n, classes) in [(8, 8), (9, 9), (9, 1), (32, 5), (33, 1), (128, 128)] {
        for base in [0x0a00_0000, 0xffff_ff00] {
            let mut edits = scattered(base, n, classes);
            edits.extend(&other);
            edits.sort_by_key(|(range, _)| *range);
            let mut model = Model::new();
            edits.iter().for_each(|(range, edit)| model.apply(*range, |old| edit.apply(old)));
            check(&u32::changed(&Table4::default(), &edits), &model);
        }
    }
}

#[test]
fn a_table_may_be_listed_up_to_both_ends_of_the_space() {
    let all = u32::changed(&Table4::default(), &[(Range::ALL, Edit::Set(1))]);
    assert_eq!(all.runs().collect::<Vec<_>>(), [(Range::ALL, class(1))]);
    let all = u128::changed(&Table6::default(), &[(Range::ALL, Edit::Set(1))]);
    assert_eq!(all.runs().collect::<Vec<_>>(), [(Range::ALL, class(1))]);

    let top = Range::prefix(u32::MAX, 7);
    let wide = u32::changed(&Table4::default(), &scattered(top.first() + 7, 100, 9));
    let wide = wide.next(&[(top, ())], |(), old| class(old.0 + 1));
    assert_eq!((wide.get(top.first()), wide.get(top.first() + 7)), (class(1), class(2)));
    assert_eq!((wide.get(u32::MAX), wide.runs().count()), (class(1), 201));
    assert_eq!(wide.next(&[(top, ())], |(), _| Class::CLEAR).runs().count(), 0);
}

#[test]
fn more_than_65_536_classes_are_told_apart() {
    let edits: Vec<_> = (0..70_000_u32).map(|i| (Range::single(i * 64), i + 1)).collect();
    let table = Table4::default().next(&edits, |number, _| class(*number));
    assert!(edits.iter().all(|(range, number)| table.get(range.first()) == class(*number)));
    assert_eq!(table.runs().count(), 70_000);
    let edits: Vec<_> = edits.iter().map(|(r, n)| (Range::single(u128::from(r.first()) << 96), *n)).collect();
    let table = Table6::default().next(&edits, |number, _| class(*number));
    assert!(edits.iter().all(|(range, number)| table.get(range.first()) == class(*number)));
}

#[test]
fn the_form_follows_the_size_and_does_not_flap() {
    let many = u32::changed(&Table4::default(), &scattered(0, WIDE_FROM as u32, 9));
    let small = Table4::default().bytes();
    assert!(many.bytes() > 20 * small.max(1000), "wide from {WIDE_FROM} on");
    let fewer = many.next(&[(Range::single(0), ())], |(), _| Class::CLEAR);
    assert!(fewer.bytes() >= many.bytes(), "one less does not make it compact");
    let few = many.next(&[(Range::prefix(0, 26), ())], |(), _| Class::CLEAR);
    assert!(few.bytes() < 2000, "a third less does");
    assert_eq!((few.get(2), few.get(66)), (Class::CLEAR, many.get(66)));
}

#[test]
fn a_chain_of_generations_uses_its_lines_again() {
    let mut table = u32::changed(&Table4::default(), &scattered(0, 400, 9));
    let mut bytes = 0;
    for i in 0..2_000_u32 {
        table = u32::changed(&table, &[(Range::single(2 * (i % 256)), Edit::Set(1 + i % 7))]);
        if i == 100 {
            bytes = table.bytes();
        }
    }
    assert_eq!(table.bytes(), bytes);
}

#[test]
fn a_table_that_shrinks_gives_memory_back() {
    let edits: Vec<_> = (0..8_000_u32).map(|i| (Range::single(i << 8 | 1), Edit::Set(1))).collect();
    let large = u32::changed(&Table4::default(), &edits);
    let small = u32::changed(&large, &[(Range::new(200 << 8, 8_000 << 8).unwrap(), Edit::Clear)]);
    let small = u32::changed(&small, &[(Range::single(7), Edit::Set(2))]);
    let small = u32::changed(&small, &[(Range::single(7), Edit::Set(3))]);
    drop(large);
    let small = u32::changed(&small, &[(Range::single(7), Edit::Set(4))]);
    let small = u32::changed(&small, &[(Range::single(7), Edit::Set(5))]);
    assert_eq!(small.runs().count(), 201);
    assert!(small.bytes() < 300_000, "{}", small.bytes());
}

#[test]
fn a_panic_in_the_callers_function_leaves_the_table_usable() {
    let table = u32::changed(&Table4::default(), &scattered(0, 100, 9));
    let broken = std::panic::catch_unwind(|| table.next(&[(Range::single(0), ())], |(), _| panic!("caller")));
    assert!(broken.is_err());
    let next = u32::changed(&table, &[(Range::single(0), Edit::Set(7))]);
    assert_eq!((table.get(0), next.get(0)), (class(1), class(7)));
}

#[test]
fn a_hole_in_a_wide_prefix_costs_a_run_not_a_cascade() {
    let block = Range::prefix(0x2001_0db8_u128 << 96, 32);
    let hole = Range::single(block.first() + 5);
    let table = Table6::default().next(&[(block, ())], |(), _| class(1));
    let table = table.next(&[(hole, ())], |(), _| Class::CLEAR);
    assert_eq!(table.stored(), 2);
    assert_eq!((table.get(block.last()), table.get(hole.first())), (class(1), Class::CLEAR));
}

/// A writer makes generations, all of whose addresses get the generation's number; readers see, in
/// any one table, one number only, and never an older one than before.
#[test]
fn readers_see_whole_generations_while_a_writer_makes_hundreds() {
    let edits: Vec<_> = scattered(0, 2_000, 1);
    let generation = |table: &Table4, number| table.next(&edits, |_, _| class(number));
    let current = Arc::new(RwLock::new(generation(&Table4::default(), 1)));
    let (done, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut newest = Class::CLEAR;
                while !done.load(Ordering::Relaxed) {
                    let table = current.read().unwrap().clone();
                    let first = table.get(0);
                    assert!(first >= newest);
                    newest = first;
                    assert!(edits.iter().all(|(range, _)| table.get(range.first()) == first));
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 2..400 {
            let next = generation(&current.read().unwrap().clone(), number);
            *current.write().unwrap() = next;
        }
        while seen.load(Ordering::Relaxed) < 4 {
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
}
