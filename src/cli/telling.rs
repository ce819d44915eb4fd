//! Who tells a collector of requests: somebody in a program with the feature `otlp`, and nobody in another.

#[cfg(feature = "otlp")]
pub(super) use crate::otlp::Teller;

use super::settings::Settings;
use crate::web::metrics::Metrics;
use crate::web::spans::Span;
use tokio::sync::mpsc::Receiver;

/// Starts telling what comes out of the queue, if there is one.
///
/// # Errors
/// The collector's endpoint is none.
#[cfg(feature = "otlp")]
pub(super) fn start(
    queue: Option<Receiver<Span>>,
    settings: &Settings,
    metrics: &Metrics,
) -> anyhow::Result<Option<Teller>> {
    use anyhow::Context as _;
    let Some((queue, otlp)) = queue.zip(settings.otlp.as_ref()) else { return Ok(None) };
    let target = crate::otlp::Target { endpoint: otlp.endpoint.as_str(), service: &otlp.service };
    Teller::start(target, queue, metrics).map(Some).context("otlp.endpoint")
}

/// Nobody.
#[cfg(not(feature = "otlp"))]
pub(super) enum Teller {}

#[cfg(not(feature = "otlp"))]
impl Teller {
    #[expect(clippy::unused_async, reason = "the other one waits")]
    pub(super) async fn finish(self) {
        match self {}
    }
}

/// Settings that name a collector are refused, so there is no queue.
#[cfg(not(feature = "otlp"))]
pub(super) fn start(_: Option<Receiver<Span>>, _: &Settings, _: &Metrics) -> anyhow::Result<Option<Teller>> {
    Ok(None)
}
