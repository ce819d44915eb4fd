//! List files to sets, on all cores.

use crate::addr::{Buckets, IpRange, RangeSet, Room, Word};
use crate::collect::formats::{Fields, Limits, Options, Refused, RowFault, Sink, read_in_parts};
use anyhow::Context;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Lines reported for each file; what is wrong with a thousand more is the same.
const REPORTED: usize = 20;

/// The addresses of a list: each family's set in parts that follow each other, as they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    pub(super) v4: Vec<RangeSet<u32>>,
    pub(super) v6: Vec<RangeSet<u128>>,
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
        self.first.sort_by_key(|(line, ..)| *line);
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
    v4: Buckets<u32>,
    v6: Buckets<u128>,
    faults: Faults,
}

impl Sink for Part {
    #[inline]
    fn row(&mut self, _: u64, range: IpRange, _: &Fields<'_>) -> Result<(), Refused> {
        match range {
            IpRange::V4(range) => self.v4.push(range),
            IpRange::V6(range) => self.v6.push(range),
        }
        Ok(())
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
    // Whoever gives a file here has it already; only what an archive makes of itself is bounded.
    let limits = Limits { size: 1 << 40, ..Limits::default() };
    let options = Options { name: Some(name.to_owned()), limits, ..Options::default() };
    let (_, parts) = match name {
        "-" => read_in_parts(io::stdin(), &options, Part::default),
        path => read_in_parts(File::open(path).context("cannot be opened")?, &options, Part::default),
    }?;
    let mut faults = Faults::default();
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for part in parts {
        faults.add(part.faults);
        v4.push(part.v4);
        v6.push(part.v6);
    }
    Ok((Sets { v4: sets(v4), v6: sets(v6) }, faults))
}

/// The set of all ranges; every core takes one bucket after the other.
fn sets<W: Word>(parts: Vec<Buckets<W>>) -> Vec<RangeSet<W>> {
    let cores = parts.len();
    let lists: Vec<_> = Buckets::regroup(parts).collect();
    let mut made = vec![Vec::new(); lists.len()];
    let work = Mutex::new(lists.into_iter().zip(&mut made));
    let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let mut room = Room::default();
                while let Some((pieces, sets)) = next() {
                    *sets = pieces.into_sets(&mut room);
                }
            });
        }
    });
    let mut sets: Vec<_> = made.into_iter().flatten().collect();
    RangeSet::close_seams(&mut sets);
    sets
}
