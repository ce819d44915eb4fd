//! `ironlist set`: the algebra of sets on list files, without a store or a daemon.

mod load;
mod print;

use crate::addr::{RangeSet, Word};
use clap::{Args, ValueEnum};
use load::Sets;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Everything was read and the result is written.
const DONE: u8 = 0;
/// A file or a line of one could not be used, or the result not be written.
const FAILED: u8 = 2;

/// Combines list files: IPv4 before IPv6, sorted, nothing twice.
#[derive(Args, Clone, Debug)]
pub struct SetArgs {
    /// What to do with the lists
    #[arg(value_enum)]
    pub operation: Operation,
    /// List files, in any form and packing that `import` reads; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Write the fewest prefixes (the default)
    #[arg(long, group = "form")]
    pub cidr: bool,
    /// Write ranges, `first-last`
    #[arg(long, group = "form")]
    pub ranges: bool,
    /// Write every single address
    #[arg(long, group = "form")]
    pub addresses: bool,
}

/// What to do with the lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Operation {
    /// What is in any of the files
    Union,
    /// What is in all of the files
    Intersect,
    /// What is in the first file and in none of the others
    Subtract,
    /// For each two files, how much is in one only and in both
    Compare,
}

/// How a set is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Cidr,
    Ranges,
    Addresses,
}

impl SetArgs {
    fn form(&self) -> Form {
        match (self.ranges, self.addresses) {
            (true, _) => Form::Ranges,
            (_, true) => Form::Addresses,
            _ => Form::Cidr,
        }
    }
}

/// Runs the command on the process's own streams; gives the exit code, 0 or 2.
pub fn run(args: &SetArgs) -> u8 {
    execute(args, &mut io::stdout().lock(), &mut io::stderr().lock())
}

/// As [`run`], writing to `out` and reporting to `log`.
///
/// A line that is wrong is reported and left out, and the code is 2; a file that is wrong ends the
/// command before it writes anything.
pub fn execute(args: &SetArgs, out: &mut impl Write, log: &mut impl Write) -> u8 {
    let mut rejected = 0;
    let mut lists = Vec::new();
    for name in &args.files {
        match load::file(name) {
            Ok((sets, faults)) => {
                rejected += faults.count;
                // A log that cannot be written has nowhere to be reported.
                let _ = faults.report(name, log);
                lists.push(sets);
            }
            Err(error) => return fail(log, &format_args!("{name}: {error:#}")),
        }
    }
    let written = match args.operation {
        Operation::Compare => compare(&args.files, lists, out),
        operation => print::sets(&combine(operation, lists), args.form(), out),
    };
    match written.and_then(|()| out.flush()) {
        Ok(()) if rejected == 0 => DONE,
        Ok(()) => FAILED,
        // Whoever reads has had enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => DONE,
        Err(error) => fail(log, &error),
    }
}

fn fail(log: &mut impl Write, error: &dyn Display) -> u8 {
    // As above.
    let _ = writeln!(log, "ironlist: {error}");
    FAILED
}

/// The sets of all files made one; the files are not empty, so there is a first.
fn combine(operation: Operation, lists: Vec<Sets>) -> Sets {
    let with = |a: Sets, b: Sets| Sets { v4: pair(operation, a.v4, b.v4), v6: pair(operation, a.v6, b.v6) };
    lists.into_iter().reduce(with).unwrap_or_default()
}

fn pair<W: Word>(operation: Operation, a: Vec<RangeSet<W>>, b: Vec<RangeSet<W>>) -> Vec<RangeSet<W>> {
    let (a, b) = (RangeSet::joined(a), RangeSet::joined(b));
    vec![match operation {
        Operation::Intersect => a.intersect(&b),
        Operation::Subtract => a.subtract(&b),
        Operation::Union | Operation::Compare => a.union(&b),
    }]
}

/// A table between tabs, one line for each two files and family that either of them has.
fn compare(names: &[String], lists: Vec<Sets>, out: &mut impl Write) -> io::Result<()> {
    let lists: Vec<_> =
        lists.into_iter().map(|list| (RangeSet::joined(list.v4), RangeSet::joined(list.v6))).collect();
    writeln!(out, "a\tb\tfamily\tonly_a_ranges\tonly_b_ranges\tboth_ranges\tonly_a\tonly_b\tboth")?;
    for (at, (a, a_name)) in lists.iter().zip(names).enumerate() {
        for (b, b_name) in lists.iter().zip(names).skip(at + 1) {
            compare_pair(&format!("{a_name}\t{b_name}\tipv4"), &a.0, &b.0, out)?;
            compare_pair(&format!("{a_name}\t{b_name}\tipv6"), &a.1, &b.1, out)?;
        }
    }
    Ok(())
}

fn compare_pair<W: Word>(
    label: &str,
    a: &RangeSet<W>,
    b: &RangeSet<W>,
    out: &mut impl Write,
) -> io::Result<()> {
    if a.is_empty() && b.is_empty() {
        return Ok(());
    }
    let sets = [a.subtract(b), b.subtract(a), a.intersect(b)];
    let ranges = sets.each_ref().map(|set| set.ranges().len().to_string()).join("\t");
    let addresses = sets.each_ref().map(|set| set.size().to_string()).join("\t");
    writeln!(out, "{label}\t{ranges}\t{addresses}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::fs;
    use tempfile::TempDir;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        set: SetArgs,
    }

    /// Runs the command line on files of the given content, which are named 0, 1, ….
    fn set(options: &str, lists: &[&str]) -> (u8, String, String) {
        let folder = TempDir::new().unwrap();
        let mut words: Vec<String> =
            ["set"].into_iter().chain(options.split(' ')).map(str::to_owned).collect();
        for (at, list) in lists.iter().enumerate() {
            let path = folder.path().join(at.to_string());
            fs::write(&path, list).unwrap();
            words.push(path.to_str().unwrap().to_owned());
        }
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let code = execute(&Line::parse_from(words).set, &mut out, &mut log);
        let text =
            |bytes| String::from_utf8(bytes).unwrap().replace(&format!("{}/", folder.path().display()), "");
        (code, text(out), text(log))
    }

    const A: &str = "# a list\n192.0.2.0/25\n192.0.2.128-192.0.2.130\n2001:db8::/33\n";
    const B: &str = "192.0.2.64/26 ; remark\n198.51.100.1\n2001:db8:8000::/33\n";

    #[test]
    fn sets_are_combined_and_written_as_prefixes_ranges_or_addresses() {
        let ok = |out: &str| (0, out.to_owned(), String::new());
        assert_eq!(
            set("union", &[A, B]),
            ok("192.0.2.0/25\n192.0.2.128/31\n192.0.2.130\n198.51.100.1\n2001:db8::/32\n")
        );
        assert_eq!(set("intersect", &[A, B]), ok("192.0.2.64/26\n"));
        assert_eq!(
            set("subtract", &[A, B]),
            ok("192.0.2.0/26\n192.0.2.128/31\n192.0.2.130\n2001:db8::/33\n")
        );
        assert_eq!(
            set("subtract --ranges", &["192.0.2.0/24\n", "192.0.2.0/31\n192.0.2.3\n"]),
            ok("192.0.2.2\n192.0.2.4-192.0.2.255\n")
        );
        assert_eq!(
            set("union --addresses", &["192.0.2.0/30\n", "2001:db8::/127\n"]),
            ok("192.0.2.0\n192.0.2.1\n192.0.2.2\n192.0.2.3\n2001:db8::\n2001:db8::1\n")
        );
        assert_eq!(set("intersect", &["192.0.2.1\n", "# nothing\n"]), ok(""));
        assert_eq!(set("union --cidr", &["192.0.2.1\n"]), ok("192.0.2.1\n"));
    }

    #[test]
    fn a_comparison_counts_both_sides_of_every_pair() {
        let (code, out, _) = set("compare", &[A, B, "# none\n"]);
        let lines: Vec<_> = out.lines().skip(1).collect();
        assert_eq!(code, 0);
        assert_eq!(lines[0], "0\t1\tipv4\t2\t1\t1\t67\t1\t64");
        let half = 1_u128 << 95;
        assert_eq!(lines[1], format!("0\t1\tipv6\t1\t1\t0\t{half}\t{half}\t0"));
        assert_eq!(lines[2], "0\t2\tipv4\t1\t0\t0\t131\t0\t0");
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn bad_lines_are_reported_with_their_numbers_and_left_out() {
        let (code, out, log) = set("union", &["192.0.2.1\nexample.com\n", "010.0.0.1\n192.0.2.0\n"]);
        assert_eq!((code, out.as_str()), (2, "192.0.2.0/31\n"));
        let log: Vec<_> = log.lines().collect();
        assert!(log[0].starts_with("0:2: hostname: "), "{log:?}");
        assert!(log[1].starts_with("1:1: leading_zero: "), "{log:?}");
    }

    #[test]
    fn a_file_that_is_no_list_ends_the_command_before_it_writes() {
        let (code, out, log) = set("union", &["192.0.2.1\n", "<html>"]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(log.contains("web page"), "{log}");
        let (code, _, log) = set("union /nonexistent/list", &[]);
        assert_eq!(code, 2);
        assert!(log.contains("/nonexistent/list"), "{log}");
    }

    #[test]
    fn more_addresses_than_anyone_can_want_are_not_written_one_by_one() {
        let (code, out, log) = set("union --addresses", &["2001:db8::/64\n"]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(log.contains("18446744073709551616 addresses"), "{log}");
    }
}
