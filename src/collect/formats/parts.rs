//! Large plain lists on all cores, block by block.

use super::rows::{Count, Sink, Tally};
use super::{Format, Options, ReadError, Summary, plain, text};
use memchr::{memchr_iter, memrchr};
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What a thread takes at a time: enough to outweigh the lock, small enough to stay in the cache.
pub(super) const BLOCK: u64 = 1 << 20;

/// Reads the lines of `input`, within the size limit of `options`, with a thread and a sink for each core.
pub(super) fn read<S: Sink + Send>(
    input: impl Read + Send,
    options: &Options,
    new_sink: impl Fn() -> S,
) -> Result<(Summary, Vec<S>), ReadError> {
    let size = options.limits.size;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut sinks: Vec<S> = (0..cores).map(|_| new_sink()).collect();
    let blocks = Mutex::new(Blocks { input, left: size, size, line: 1, carry: Vec::new() });
    let mut total = Count::default();
    thread::scope(|scope| {
        let running: Vec<_> =
            sinks.iter_mut().map(|sink| scope.spawn(|| read_blocks(&blocks, options, sink))).collect();
        for part in running {
            total.add(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, ReadError>(())
    })?;
    Ok((total.finish(Format::Plain, options.tolerant)?, sinks))
}

fn read_blocks<S: Sink>(
    blocks: &Mutex<Blocks<impl Read>>,
    options: &Options,
    sink: &mut S,
) -> Result<Count, ReadError> {
    let mut rows = Tally::new(sink);
    let mut block = Vec::new();
    loop {
        // Poisoned by a panic of another thread, which ends the reading anyway.
        let next = blocks.lock().unwrap_or_else(PoisonError::into_inner).next(&mut block)?;
        let Some(line) = next else { return Ok(rows.count()) };
        plain::read(&text::without_mark(&block), line, &options.layout, &mut rows);
    }
}

/// The input cut into whole lines.
struct Blocks<R> {
    input: R,
    size: u64,
    left: u64,
    line: u64,
    carry: Vec<u8>,
}

impl<R: Read> Blocks<R> {
    /// Fills `block` and gives the number of its first line; `None` at the end.
    fn next(&mut self, block: &mut Vec<u8>) -> Result<Option<u64>, ReadError> {
        block.clear();
        block.append(&mut self.carry);
        loop {
            let read = self.input.by_ref().take(BLOCK).read_to_end(block)? as u64;
            self.left = self.left.checked_sub(read).ok_or(ReadError::TooLarge { limit: self.size })?;
            if let Some(end) = memrchr(b'\n', block).filter(|_| read > 0) {
                self.carry.extend_from_slice(&block[end + 1..]);
                block.truncate(end + 1);
            } else if read > 0 {
                continue;
            }
            let first = self.line;
            if first == 1 && block.starts_with("\u{feff}".as_bytes()) {
                block.drain(..3);
            }
            self.line += memchr_iter(b'\n', block).count() as u64;
            return Ok((!block.is_empty()).then_some(first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::IpRange;
    use crate::collect::formats::{Fields, Limits, Refused, RowFault};

    #[derive(Default)]
    struct Lines(Vec<(u64, String)>);

    impl Sink for Lines {
        fn row(&mut self, line: u64, range: IpRange, _: &Fields<'_>) -> Result<(), Refused> {
            self.0.push((line, range.to_string()));
            Ok(())
        }
        fn reject(&mut self, line: u64, value: &str, _: RowFault) {
            self.0.push((line, value.to_owned()));
        }
    }

    #[test]
    fn blocks_hold_every_line_once_under_its_number() {
        let line = |n: u32| match n % 1000 {
            7 => format!("bad{n}"),
            8 => "#".repeat(n as usize % 5000),
            _ => format!("10.{}.{}.1", n >> 8 & 255, n & 255),
        };
        let lines: Vec<_> = (0..200_000).map(line).collect();
        let (summary, sinks) =
            read(lines.join("\n").as_bytes(), &Options::default(), Lines::default).unwrap();
        let mut read: Vec<_> = sinks.into_iter().flat_map(|sink| sink.0).collect();
        read.sort();
        let expected: Vec<_> =
            (1..).zip(lines).filter(|(_, line)| !line.starts_with('#') && !line.is_empty()).collect();
        assert_eq!(summary.rows + summary.rejected, read.len() as u64);
        assert!(read == expected);
    }

    #[test]
    fn an_endless_line_stops_at_the_size_limit() {
        let endless = std::io::repeat(b'1');
        let limits = Limits { size: 5 << 20, ..Limits::default() };
        let options = Options { limits, ..Options::default() };
        assert!(matches!(read(endless, &options, Lines::default), Err(ReadError::TooLarge { .. })));
    }
}
