//! Large plain lists on all cores.

use super::rows::{Count, Sink, Tally};
use super::{Format, ReadError, Summary, plain};
use memchr::{memchr, memchr_iter};
use std::thread;

/// Below this a thread costs more than it brings.
const SMALLEST: usize = 1 << 20;

/// Reads `text` cut into as many parts as there are cores.
pub(super) fn read<S: Sink + Send>(
    text: &str,
    new_sink: impl Fn() -> S,
) -> Result<(Summary, Vec<S>), ReadError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let parts = cut(text, cores.min(text.len() / SMALLEST).max(1));
    let mut sinks: Vec<S> = parts.iter().map(|_| new_sink()).collect();
    let mut total = Count::default();
    thread::scope(|scope| {
        let mut line = 1;
        let mut running = Vec::new();
        for (part, sink) in parts.iter().zip(&mut sinks) {
            let first = line;
            running.push(scope.spawn(move || {
                let mut rows = Tally::new(sink);
                plain::read(part, first, &mut rows);
                rows.count()
            }));
            line += memchr_iter(b'\n', part.as_bytes()).count() as u64;
        }
        for part in running {
            match part.join() {
                Ok(count) => total.add(count),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    Ok((total.finish(Format::Plain)?, sinks))
}

/// About equal parts of whole lines.
fn cut(text: &str, parts: usize) -> Vec<&str> {
    let mut cut = Vec::with_capacity(parts);
    let mut rest = text;
    for left in (1..=parts).rev() {
        let bytes = rest.as_bytes();
        let about = bytes.len() / left;
        let end = if left == 1 { None } else { memchr(b'\n', &bytes[about..]) };
        let (part, after) = rest.split_at(end.map_or(bytes.len(), |at| about + at + 1));
        cut.push(part);
        rest = after;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;
    use crate::collect::formats::{Fields, RowFault};

    #[derive(Default)]
    struct Lines(Vec<(u64, String)>);

    impl Sink for Lines {
        fn row(&mut self, line: u64, range: IpRange, _: &Fields<'_>) {
            self.0.push((line, range.to_string()));
        }
        fn reject(&mut self, line: u64, value: &str, _: RowFault) {
            self.0.push((line, value.to_owned()));
        }
    }

    #[test]
    fn parts_hold_every_line_once_under_its_number() {
        for text in ["", "\n", "a\nb", "a\n\nb\nc\n", "one line that is long"] {
            for parts in 1..6 {
                let cut = cut(text, parts);
                assert_eq!((cut.len(), cut.concat().as_str()), (parts, text));
                let whole = |part: &&str| part.is_empty() || part.ends_with('\n') || text.ends_with(part);
                assert!(cut.iter().all(whole));
            }
        }
        let line = |n: u32| {
            if n % 1000 == 7 { format!("bad{n}") } else { format!("10.{}.{}.1", n >> 8 & 255, n & 255) }
        };
        let lines: Vec<_> = (0..u32::from(u16::MAX)).chain(0..200_000).map(line).collect();
        let (summary, sinks) = read(&lines.join("\n"), Lines::default).unwrap();
        let read: Vec<_> = sinks.into_iter().flat_map(|sink| sink.0).collect();
        let expected: Vec<_> = (1..).zip(lines).collect();
        assert_eq!(summary.rows + summary.rejected, read.len() as u64);
        assert!(read == expected);
    }
}
