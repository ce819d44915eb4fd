//! What is kept of a traced request once it is answered, and the queue in which it waits for whoever tells a collector.
//!
//! Nobody who asks waits for that queue: what has no room in it is lost, and counted. It must not know collectors.

use super::metrics::Counter;
use super::role::Role;
use super::trace::{Sampling, Trace};
use http::{Method, StatusCode};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// A request that was answered. It holds no header, no query, and no path but one whose token is struck out.
#[derive(Clone, Debug)]
pub struct Span {
    /// Who answered.
    pub role: Role,
    /// Where it belongs.
    pub trace: Trace,
    /// What was asked.
    pub method: Method,
    /// Where, without what may open something.
    pub path: String,
    /// The route's template.
    pub route: String,
    /// How it ended.
    pub status: StatusCode,
    /// The answer's code, when it was a problem.
    pub problem: Option<&'static str>,
    /// When it came.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
}

/// Where ports put their spans.
#[derive(Clone, Debug)]
pub struct Spans {
    sampling: Sampling,
    queue: mpsc::Sender<Span>,
    lost: Counter,
}

impl Spans {
    /// A queue with so much room; what finds none is counted by `lost`. Of the traces that begin here those of `sampling`
    /// are kept.
    pub fn new(sampling: Sampling, room: usize, lost: Counter) -> (Self, mpsc::Receiver<Span>) {
        let (queue, waiting) = mpsc::channel(room);
        (Self { sampling, queue, lost }, waiting)
    }

    pub(super) fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// Keeps what is known of a request that was answered just now; costs no waiting.
    pub fn keep(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.lost.inc();
        }
    }
}
