//! Spans of requests to a collector: OTLP over HTTP, in protobuf. The only room that names OpenTelemetry's crates.
//!
//! What a request waits for is none of this: spans come out of a queue, and a collector that is slow or away costs
//! spans and nothing else. Their places in traces are those of `traceparent` and of the log, so they are made of what
//! ports keep and not of `tracing`'s own spans, which would have other names.

mod data;
#[cfg(test)]
mod tests;

use crate::web::Role;
use crate::web::metrics::{Counter, Metrics};
use crate::web::spans::Span;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::trace::SpanExporter as _;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Spans in one message to the collector.
const BATCH: usize = 512;
/// How long a span waits for others to go with.
const MOMENT: Duration = Duration::from_secs(1);
/// How long the collector may take for a message.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last ones may take when the service stops.
const LAST: Duration = Duration::from_secs(2);

/// Where spans go, and as whose.
#[derive(Clone, Copy, Debug)]
pub struct Target<'t> {
    /// The collector's OTLP endpoint; `/v1/traces` follows.
    pub endpoint: &'t str,
    /// The service's name.
    pub service: &'t str,
}

/// Whoever tells the collector.
#[derive(Debug)]
pub struct Teller {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Teller {
    /// Starts telling what comes out of `queue`, and counts it in `metrics`.
    ///
    /// # Errors
    /// The endpoint is none, or what the environment says of it (`OTEL_EXPORTER_OTLP_HEADERS`) is wrong.
    pub fn start(target: Target<'_>, queue: mpsc::Receiver<Span>, metrics: &Metrics) -> anyhow::Result<Self> {
        let line = Line {
            exporters: exporters(target)?,
            told: metrics.trace_spans("told"),
            failed: metrics.trace_spans("failed"),
            is_down: false,
        };
        let (end, ended) = oneshot::channel();
        Ok(Self { end, task: tokio::spawn(line.run(queue, ended)) })
    }

    /// Tells what is left, for two seconds at most.
    pub async fn finish(self) {
        let Self { end, mut task } = self;
        drop(end);
        if timeout(LAST, &mut task).await.is_err() {
            tracing::warn!("the last spans did not reach the collector in time");
            task.abort();
        }
    }
}

/// An exporter a role: a role is a resource of its own.
fn exporters(target: Target<'_>) -> anyhow::Result<BTreeMap<Role, SpanExporter>> {
    let redirects = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(redirects).no_proxy().build()?;
    let endpoint = format!("{}/v1/traces", target.endpoint.trim_end_matches('/'));
    let exporter = |role: Role| {
        let http = SpanExporter::builder().with_http().with_http_client(client.clone());
        let mut exporter = http.with_endpoint(&endpoint).with_timeout(PATIENCE).build()?;
        exporter.set_resource(&data::resource(target.service, role));
        Ok((role, exporter))
    };
    Role::ALL.into_iter().map(exporter).collect()
}

/// The line to the collector.
struct Line {
    exporters: BTreeMap<Role, SpanExporter>,
    told: Counter,
    failed: Counter,
    is_down: bool,
}

impl Line {
    async fn run(mut self, mut queue: mpsc::Receiver<Span>, mut ended: oneshot::Receiver<()>) {
        let (mut batch, mut is_ending) = (Vec::with_capacity(BATCH), false);
        loop {
            let more = tokio::select! {
                more = gather(&mut queue, &mut batch) => more,
                _ = &mut ended, if !is_ending => {
                    // What is there comes out all the same.
                    queue.close();
                    is_ending = true;
                    true
                }
            };
            self.tell(std::mem::take(&mut batch)).await;
            if !more {
                return;
            }
        }
    }

    async fn tell(&mut self, batch: Vec<Span>) {
        let mut by_role = BTreeMap::<Role, Vec<Span>>::new();
        for span in batch {
            by_role.entry(span.role).or_default().push(span);
        }
        for (role, spans) in by_role {
            let Some(exporter) = self.exporters.get(&role) else { continue };
            let number = spans.len() as u64;
            let result = exporter.export(spans.into_iter().map(data::span).collect()).await;
            let counter = if result.is_ok() { &self.told } else { &self.failed };
            counter.inc_by(number);
            self.note(result.err());
        }
    }

    /// Says once that the collector is away, and once that it is back.
    fn note(&mut self, error: Option<opentelemetry_sdk::error::OTelSdkError>) {
        match error {
            Some(error) if !self.is_down => {
                tracing::warn!(%error, "the collector does not take spans; they are lost until it does");
                self.is_down = true;
            }
            None if self.is_down => {
                tracing::info!("the collector takes spans again");
                self.is_down = false;
            }
            _ => {}
        }
    }
}

/// Waits for spans, and then a moment for others to go with. False: there will be none.
async fn gather(queue: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) -> bool {
    if queue.recv_many(batch, BATCH).await == 0 {
        return false;
    }
    let fill =
        async { while batch.len() < BATCH && queue.recv_many(batch, BATCH - batch.len()).await > 0 {} };
    // Whether it is full or the moment is over makes no difference.
    let _ = timeout(MOMENT, fill).await;
    true
}
