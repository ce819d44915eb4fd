//! Lists as their real readers take them: those that Debian and PyPI have. `tests/run` installs them; a test
//! whose reader is missing fails and says so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod exchange;
mod kernel;
mod names;
mod web;

use ironlist::addr::IpSet;
use ironlist::addr::{IpRange, Range};
use ironlist::model::{Document, Format, Lines, Severity, Time};
use ironlist::publish::formats::{Counts, Sheet, file_name, write};
use ironlist::publish::{Annotated, Entry, Facts};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Something to publish, and a folder to publish it into.
struct List {
    selection: IpSet,
    annotated: Annotated,
    folder: TempDir,
}

impl List {
    /// So many prefixes of each family, other ones for each seed, and some awkward ranges; with a stranger's text.
    fn new(seed: u64, size: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut v4: Vec<Range<u32>> =
            (0..size).map(|_| Range::prefix(random.u32(1 << 24..0xe000_0000), random.u8(18..=32))).collect();
        let mut v6: Vec<Range<u128>> = (0..size)
            .map(|_| Range::prefix((0x2a00 << 112) | random.u128(..) >> 16, random.u8(20..=128)))
            .collect();
        let texts = [
            "192.0.2.0-192.0.2.2",
            "192.0.2.255-192.0.3.0",
            "2001:db8::/126",
            "2001:db8:5::",
            "2001:db8:0:6:0:0:7:0-2001:db8:0:6:0:0:7:5",
        ];
        let (known4, known6) = IpRange::by_family(texts.map(|text| text.parse().unwrap()));
        v4.extend(known4);
        v6.extend(known6);
        let selection = IpSet { v4: v4.into_iter().collect(), v6: v6.into_iter().collect() };
        let facts = vec![hostile(), Facts::default()];
        let v4 =
            selection.v4.iter().zip([0, 1].into_iter().cycle()).map(|(range, facts)| Entry { range, facts });
        let v6 =
            selection.v6.iter().zip([0, 1].into_iter().cycle()).map(|(range, facts)| Entry { range, facts });
        let annotated = Annotated { v4: v4.collect(), v6: v6.collect(), facts };
        Self { selection, annotated, folder: tempfile::tempdir().unwrap() }
    }

    /// Nothing at all.
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { selection: IpSet::default(), annotated: Annotated::default(), folder }
    }

    /// Writes the list in a format, and tells the file's name and what is in it.
    fn publish(&self, format: Format, lines: Lines) -> (PathBuf, Counts) {
        self.publish_document(Document::List(format), lines)
    }

    /// The same for any document.
    fn publish_document(&self, document: Document, lines: Lines) -> (PathBuf, Counts) {
        let (feed, time) = ("1-test.x_y", Time::from_unix(1_790_000_000));
        let (selection, entries) = (&self.selection, Some(&self.annotated));
        let sheet = Sheet { feed, generation: 7, time, lines, selection, entries };
        let file = self.folder.path().join(file_name(document, feed));
        let mut out = std::fs::File::create(&file).unwrap();
        let counts = write(document, &sheet, &mut out).unwrap();
        (file, counts)
    }

    fn lists(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.selection.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.selection.v6.contains(address.to_bits()),
        }
    }

    /// The addresses at and just beyond both ends of every tenth range and of the last ones.
    fn probes(&self) -> Vec<IpAddr> {
        fn ends<W: ironlist::addr::Word>(ranges: &[Range<W>]) -> Vec<IpAddr> {
            let some = ranges.iter().step_by(10).chain(ranges.iter().rev().take(9));
            let ends =
                some.flat_map(|r| [r.first().prev(), Some(r.first()), Some(r.last()), r.last().next()]);
            ends.flatten().map(ironlist::addr::Word::ip).collect()
        }
        [ends(self.selection.v4.ranges()), ends(self.selection.v6.ranges())].concat()
    }

    /// Asks the reader about all probes, and about two addresses that no list here has.
    fn agrees(&self, mut ask: impl FnMut(IpAddr) -> bool) {
        for address in
            self.probes().into_iter().chain(["9.9.9.9", "2620:fe::9"].map(|text| text.parse().unwrap()))
        {
            assert_eq!(ask(address), self.lists(address), "{address}");
        }
    }
}

/// What is known of every other entry.
fn hostile() -> Facts {
    let text = "'] } ;\n\"), $ORIGIN evil.\r\n0.0.0.0/1 1;\u{2028}=1";
    Facts {
        sources: ["alpha"].iter().map(|name| name.parse().unwrap()).collect(),
        threat: Some(text.into()),
        reason: Some(text.into()),
        severity: Some(Severity::Critical),
        confidence: Some(90),
        since: Some(Time::from_unix(1_780_000_000)),
        until: Some(Time::from_unix(1_800_000_000)),
        ..Facts::default()
    }
}

/// Runs a program to its end; it must be there.
fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|error| panic!("{name}: {error}; tests/run installs it"))
}

/// Runs a program that must succeed, and gives what it said.
fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A program that runs until it is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        Self(command.spawn().unwrap_or_else(|error| panic!("{name}: {error}; tests/run installs it")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which its test has noticed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tries until there is an answer, or fails.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if let Some(found) = look() {
            return found;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("in vain: {what}");
}
