//! Reading lists of each form, and rendering one: one thread, in memory.
//!
//! `cargo bench --bench lists` takes 1,000,000 lines of each; `-- --smoke` takes 10,000.

#![allow(clippy::print_stdout, reason = "a benchmark reports on the screen")]

use ironlist::addr::{IpRange, write_ip_range};
use ironlist::collect::formats::{Fields, Options, Refused, RowFault, Sink, read};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const RUNS: usize = 5;

#[derive(Default)]
struct Ranges(Vec<IpRange>);

impl Sink for Ranges {
    fn row(&mut self, _: u64, range: IpRange, _: &Fields<'_>) -> Result<(), Refused> {
        self.0.push(range);
        Ok(())
    }
    fn reject(&mut self, _: u64, _: &str, _: RowFault) {}
}

fn main() {
    let lines = if std::env::args().any(|argument| argument == "--smoke") { 10_000 } else { 1_000_000 };
    let mut random = fastrand::Rng::with_seed(20_261);
    let ranges: Vec<_> = (0..lines).map(|_| random.u32(..)).collect();
    let v4 = |n: u32| std::net::Ipv4Addr::from_bits(n);
    let v6 = |n: u32| std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(n) << 40 | u128::from(n));
    let forms: [(&str, String); 6] = [
        ("plain", joined(&ranges, |out, n| writeln!(out, "{}", v4(n)))),
        ("plain, IPv6", joined(&ranges, |out, n| writeln!(out, "{}", v6(n)))),
        ("plain with remarks", joined(&ranges, |out, n| writeln!(out, "{} # seen {}", v4(n), n % 100))),
        (
            "csv",
            format!(
                "ip,country,reason\n{}",
                joined(&ranges, |out, n| writeln!(out, "{},KR,\"scan, {n}\"", v4(n)))
            ),
        ),
        (
            "ndjson",
            joined(&ranges, |out, n| {
                writeln!(out, r#"{{"ip":"{}","country":"KR","score":{}}}"#, v4(n), n % 100)
            }),
        ),
        ("json", format!("[{}\"192.0.2.1\"]", joined(&ranges, |out, n| write!(out, "\"{}\",", v4(n))))),
    ];
    for (name, text) in forms {
        let mut sink = Ranges::default();
        let time = best(|| {
            sink.0.clear();
            read(text.as_bytes(), &Options::default(), &mut sink).expect("a good list");
        });
        assert!(sink.0.len() >= lines);
        println!("reading {name}: {}", each(time, lines));
        if name.starts_with("plain") {
            let mut out = Vec::new();
            let time = best(|| {
                out.clear();
                for range in &sink.0 {
                    write_ip_range(&mut out, *range);
                    out.push(b'\n');
                }
            });
            println!("rendering {name}: {}", each(time, lines));
        }
    }
}

fn joined(ranges: &[u32], write: impl Fn(&mut String, u32) -> std::fmt::Result) -> String {
    let mut text = String::new();
    for range in ranges {
        write(&mut text, *range).expect("writing to a string does not fail");
    }
    text
}

fn best(mut run: impl FnMut()) -> Duration {
    let times = (0..RUNS).map(|_| {
        let begin = Instant::now();
        run();
        begin.elapsed()
    });
    times.min().unwrap_or_default()
}

fn each(time: Duration, lines: usize) -> String {
    format!("{time:.1?}, {:.1} ns a line", time.as_secs_f64() * 1e9 / lines as f64)
}
