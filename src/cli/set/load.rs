//! List files to sets, on all cores.

use crate::addr::{IpRange, Range, RangeSet, Word};
use crate::collect::formats::{Fields, Options, RowFault, Sink, read_in_parts};
use anyhow::Context;
use std::fs;
use std::io::{self, Read, Write};
use std::thread;

/// Lines reported for each file; what is wrong with a thousand more is the same.
const REPORTED: usize = 20;

/// The addresses of a list.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    pub(super) v4: RangeSet<u32>,
    pub(super) v6: RangeSet<u128>,
}

/// The lines of a list that could not be read.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) count: u64,
    first: Vec<(u64, String, RowFault)>,
}

impl Faults {
    fn add(&mut self, next: Self) {
        self.count += next.count;
        self.first.extend(next.first);
        self.first.truncate(REPORTED);
    }

    /// Writes `file:line: code: what is wrong: value`, and how many more there are.
    pub(super) fn report(&self, name: &str, log: &mut impl Write) -> io::Result<()> {
        for (line, value, fault) in &self.first {
            writeln!(log, "{name}:{line}: {}: {fault}: {value:?}", fault.code())?;
        }
        match self.count - self.first.len() as u64 {
            0 => Ok(()),
            more => writeln!(log, "{name}: {more} more lines could not be read"),
        }
    }
}

/// What a part of a list held, as it came.
#[derive(Default)]
struct Part {
    v4: Vec<Range<u32>>,
    v6: Vec<Range<u128>>,
    faults: Faults,
}

impl Sink for Part {
    #[inline]
    fn row(&mut self, _: u64, range: IpRange, _: &Fields<'_>) {
        match range {
            IpRange::V4(range) => self.v4.push(range),
            IpRange::V6(range) => self.v6.push(range),
        }
    }

    fn reject(&mut self, line: u64, value: &str, fault: RowFault) {
        self.faults.count += 1;
        if self.faults.first.len() < REPORTED {
            self.faults.first.push((line, value.chars().take(80).collect(), fault));
        }
    }
}

/// Reads a list file, or standard input for `-`.
pub(super) fn file(name: &str) -> anyhow::Result<(Sets, Faults)> {
    let input = if name == "-" { standard_input() } else { fs::read(name) }.context("cannot be read")?;
    let options = Options { name: Some(name.to_owned()), ..Options::default() };
    let (_, parts) = read_in_parts(&input, &options, Part::default)?;
    // The text may be as large as all that follows.
    drop(input);
    let mut faults = Faults::default();
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for part in parts {
        faults.add(part.faults);
        v4.push(part.v4);
        v6.push(part.v6);
    }
    Ok((Sets { v4: union(v4), v6: union(v6) }, faults))
}

fn standard_input() -> io::Result<Vec<u8>> {
    let mut input = Vec::new();
    io::stdin().lock().read_to_end(&mut input)?;
    Ok(input)
}

/// The set of all ranges, each part sorted by a thread of its own.
fn union<W: Word>(parts: Vec<Vec<Range<W>>>) -> RangeSet<W> {
    thread::scope(|scope| {
        let sorting: Vec<_> =
            parts.into_iter().map(|ranges| scope.spawn(|| RangeSet::from_ranges(ranges))).collect();
        let sorted = sorting.into_iter().map(|part| match part.join() {
            Ok(set) => set,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        sorted.reduce(|a, b| a.union(&b)).unwrap_or_default()
    })
}
