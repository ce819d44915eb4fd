//! Files on their way into a request: read piece by piece, never whole.

use crate::web::Body;
use anyhow::Context;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Bytes whose sending a person would notice.
const LONG: u64 = 16 << 20;

/// An opened file, or standard input.
pub(super) struct Input {
    file: File,
    /// How long it is, where that is known.
    length: Option<u64>,
    /// For messages, and as a hint for its format.
    pub(super) name: String,
}

impl Input {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            return Ok(Self { file, length: None, name: "standard input".to_owned() });
        }
        let named = || path.display().to_string();
        let file = File::open(path).with_context(named)?;
        let about = file.metadata().with_context(named)?;
        anyhow::ensure!(!about.is_dir(), "{} is a folder", named());
        let name = path.file_name().map_or_else(named, |name| name.to_string_lossy().into_owned());
        Ok(Self { file, length: about.is_file().then_some(about.len()), name })
    }

    /// The whole content as text.
    pub(super) fn text(mut self) -> anyhow::Result<String> {
        let mut text = String::new();
        self.file.read_to_string(&mut text).with_context(|| self.name)?;
        Ok(text)
    }

    /// The content as a body, behind `before`; `bar` follows how much of it has been sent.
    pub(super) fn into_body(self, before: Vec<u8>, bar: ProgressBar) -> Body {
        let first = (!before.is_empty()).then(|| Bytes::from(before));
        let pieces = stream::unfold((first, Some(self.file)), move |(first, file)| {
            let bar = bar.clone();
            async move {
                if let Some(first) = first {
                    return Some((Ok(Frame::data(first)), (None, file)));
                }
                let (piece, file) = piece(file?).await?;
                bar.inc(piece.as_ref().map_or(0, Bytes::len) as u64);
                Some((piece.map(Frame::data), (None, file)))
            }
        });
        Body::stream(StreamBody::new(Box::pin(pieces)))
    }

    /// A progress bar on a terminal; elsewhere a line to `log`, if it may take long.
    pub(super) fn progress(&self, log: &mut dyn Write) -> io::Result<ProgressBar> {
        if !io::stderr().is_terminal() {
            if self.length.is_none_or(|length| length > LONG) {
                writeln!(log, "{}: sending", self.name)?;
            }
            return Ok(ProgressBar::hidden());
        }
        let bar = self.length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match self.length {
            Some(_) => "{prefix} {bar:30} {bytes}/{total_bytes}",
            None => "{prefix} {spinner} {bytes}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Ok(bar.with_style(style).with_prefix(self.name.clone()))
    }
}

type Piece = (io::Result<Bytes>, Option<File>);

/// The next piece of a file, on a thread that may block; `None` at its end. After an error there is no file.
async fn piece(mut file: File) -> Option<Piece> {
    let read = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; PIECE];
        let length = file.read(&mut buffer)?;
        buffer.truncate(length);
        Ok::<_, io::Error>((buffer, file))
    });
    match read.await.map_err(io::Error::other).flatten() {
        Ok((buffer, _)) if buffer.is_empty() => None,
        Ok((buffer, file)) => Some((Ok(buffer.into()), Some(file))),
        Err(error) => Some((Err(error), None)),
    }
}
