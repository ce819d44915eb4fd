//! `ironlist set union` against FireHOL's `iprange`, whole processes on the same files.
//!
//! `cargo bench --bench set` takes 10,000,000 lines; `-- --smoke` takes 100,000 and is done in a
//! second. Says the best times of three runs, the ratio, and whether both wrote the same bytes; exits
//! with 1 if they did not. Without `iprange` installed only our own times are said.

#![allow(clippy::print_stdout, reason = "a benchmark reports on the screen")]

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 3;

fn main() -> ExitCode {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let lines = if smoke { 100_000 } else { 10_000_000 };
    let folder = tempfile::tempdir().expect("a folder for the lists");
    let mut same = true;
    for (name, list) in
        [("addresses", addresses as fn(&mut fastrand::Rng) -> String), ("clustered", clustered)]
    {
        let path = folder.path().join(name);
        let mut random = fastrand::Rng::with_seed(20_261);
        let text: String = std::iter::repeat_with(|| list(&mut random)).take(lines).collect();
        std::fs::write(&path, text).expect("room for the list");
        same &= compare(name, lines, &path);
    }
    if same { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Addresses anywhere: the worst case, in which hardly anything merges.
fn addresses(random: &mut fastrand::Rng) -> String {
    line(random.u32(1 << 24..223 << 24), 32)
}

/// Addresses and prefixes crowded into a thousandth of the space, as in real lists.
fn clustered(random: &mut fastrand::Rng) -> String {
    let block = random.u32(0..16_384).wrapping_mul(0x9e37_79b1) >> 16 << 16 | 1 << 24;
    let len = if random.u8(..) < 200 { 32 } else { random.u8(20..32) };
    line((block % (223 << 24)) | random.u32(..1 << 16), len)
}

fn line(address: u32, len: u8) -> String {
    let mut line =
        std::net::Ipv4Addr::from_bits(address >> (32 - u32::from(len)) << (32 - u32::from(len))).to_string();
    let _ = if len < 32 { writeln!(line, "/{len}") } else { writeln!(line) };
    line
}

/// Both programs on one file; whether they wrote the same.
fn compare(name: &str, lines: usize, list: &Path) -> bool {
    let theirs_out = list.with_extension("theirs");
    let ours_out = list.with_extension("ours");
    let mut ours = Command::new(env!("CARGO_BIN_EXE_ironlist"));
    ours.args(["set", "union"]).arg(list);
    let mut theirs = Command::new("iprange");
    theirs.arg(list);
    let (mut our_time, mut their_time) = (Duration::MAX, Duration::MAX);
    for _ in 0..RUNS {
        our_time = our_time.min(timed(&mut ours, &ours_out).expect("the program runs"));
        match timed(&mut theirs, &theirs_out) {
            Some(time) => their_time = their_time.min(time),
            None => {
                println!("{name}: {lines} lines: ironlist {our_time:.2?}; iprange is not installed");
                return true;
            }
        }
    }
    let same = std::fs::read(&ours_out).ok() == std::fs::read(&theirs_out).ok();
    let ratio = their_time.as_secs_f64() / our_time.as_secs_f64();
    println!(
        "{name}: {lines} lines: ironlist {our_time:.2?}, iprange {their_time:.2?}: {ratio:.1} times; same bytes: {same}"
    );
    same
}

fn timed(command: &mut Command, output: &Path) -> Option<Duration> {
    let output = File::create(output).expect("room for the output");
    let begin = Instant::now();
    let status = command.stdout(Stdio::from(output)).status().ok()?;
    assert!(status.success(), "{command:?} ended with {status}");
    Some(begin.elapsed())
}
