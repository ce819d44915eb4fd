//! What the program counts, and its text form for Prometheus. The only room that names that crate.
//!
//! Every metric stands in [`table`]; its handle is made once, with the [`Metrics`] that own the
//! registry. There are no globals: tests and processes with several roles have their own.

pub mod requests;
pub mod table;

use super::body::{Body, Response};
use super::routes::{Demand, Routes};
use crate::rights::Right;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use prometheus::proto::{LabelPair, Metric, MetricFamily};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use std::sync::Arc;
use table::{PUBLISHED, Row};

/// A number that only grows.
pub type Counter = prometheus::IntCounter;
/// A number that grows and shrinks.
pub type Gauge = prometheus::IntGauge;
/// Durations by size.
pub type Histogram = prometheus::Histogram;

/// Names of the earlier system that dashboards still ask for: each shows another metric, relabelled, when
/// it is scraped, so that nothing is counted twice.
const RENAMED: &[(Row, &str)] = &[
    (table::HTTP_REQUESTS, "blacklist_http_requests_total"),
    (table::HTTP_SECONDS, "blacklist_http_request_duration_seconds"),
];
const RENAMED_LABELS: &[(&str, &str)] = &[("route", "endpoint"), ("status", "status_code")];

/// Upper bounds of the duration buckets, in seconds: look-ups take microseconds, imports minutes.
const BUCKETS: [f64; 11] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0];
/// The same for pushes: a firewall takes seconds, and may be down for hours.
const PUSH_BUCKETS: [f64; 9] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0];

/// A reading that is taken only when somebody scrapes.
type Reading = Box<dyn Fn(&Metrics) + Send + Sync>;

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    connections: IntGaugeVec,
    accept_errors: IntCounterVec,
    crowded: IntCounterVec,
    preludes_failed: IntCounterVec,
    tls_expires: IntGaugeVec,
    panics: IntCounterVec,
    turned_away: IntCounterVec,
    cached: IntCounterVec,
    up: IntGaugeVec,
    entries: IntGaugeVec,
    collections: IntCounterVec,
    collection_seconds: HistogramVec,
    freshness: IntGaugeVec,
    source_trouble: IntGaugeVec,
    document_age: IntGaugeVec,
    push_seconds: HistogramVec,
    push_generation: IntGaugeVec,
    push_failures: IntCounterVec,
    published: Vec<(Row, IntGaugeVec)>,
    webhook_deliveries: IntCounterVec,
    webhook_behind: IntGaugeVec,
    dnsbl_questions: IntCounterVec,
    auth_refusals: IntCounterVec,
    auth_tokens: IntCounterVec,
    trace_spans: IntCounterVec,
    readings: Vec<Reading>,
}

impl Metrics {
    /// Registers every metric of the table, and those of the process.
    pub fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self {
            requests: counters(&registry, table::HTTP_REQUESTS),
            seconds: histograms(&registry, table::HTTP_SECONDS, &BUCKETS),
            connections: gauges(&registry, table::HTTP_CONNECTIONS),
            accept_errors: counters(&registry, table::HTTP_ACCEPT_ERRORS),
            crowded: counters(&registry, table::HTTP_CROWDED),
            preludes_failed: counters(&registry, table::PRELUDES_FAILED),
            tls_expires: gauges(&registry, table::TLS_EXPIRES),
            panics: counters(&registry, table::HTTP_PANICS),
            turned_away: counters(&registry, table::TURNED_AWAY),
            cached: counters(&registry, table::CACHED),
            up: gauges(&registry, table::UP),
            entries: gauges(&registry, table::ENTRIES),
            collections: counters(&registry, table::COLLECTIONS),
            collection_seconds: histograms(&registry, table::COLLECTION_SECONDS, &BUCKETS),
            freshness: gauges(&registry, table::FRESHNESS_SECONDS),
            source_trouble: gauges(&registry, table::SOURCE_TROUBLE),
            document_age: gauges(&registry, table::DOCUMENT_AGE),
            push_seconds: histograms(&registry, table::PUSH_SECONDS, &PUSH_BUCKETS),
            push_generation: gauges(&registry, table::PUSH_GENERATION),
            push_failures: counters(&registry, table::PUSH_FAILURES),
            published: PUBLISHED.iter().map(|row| (*row, gauges(&registry, *row))).collect(),
            webhook_deliveries: counters(&registry, table::WEBHOOK_DELIVERIES),
            webhook_behind: gauges(&registry, table::WEBHOOK_BEHIND),
            dnsbl_questions: counters(&registry, table::DNSBL_QUESTIONS),
            auth_refusals: counters(&registry, table::AUTH_REFUSALS),
            auth_tokens: counters(&registry, table::AUTH_TOKENS),
            trace_spans: counters(&registry, table::TRACE_SPANS),
            readings: Vec::new(),
            registry,
        };
        gauges(&metrics.registry, table::BUILD_INFO).with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        register(&metrics.registry, prometheus::process_collector::ProcessCollector::for_self());
        metrics
    }

    /// Adds a reading to be taken at every scrape, for gauges that would be dear to keep up to date.
    #[must_use]
    pub fn at_scrape(mut self, reading: impl Fn(&Self) + Send + Sync + 'static) -> Self {
        self.readings.push(Box::new(reading));
        self
    }

    /// Requests of a class of route that the door turned away for that reason.
    pub fn turned_away(&self, class: &str, reason: &str) -> Counter {
        self.turned_away.with_label_values(&[class, reason])
    }

    /// Questions to the gateway's cache that ended so.
    pub fn cached(&self, outcome: &str) -> Counter {
        self.cached.with_label_values(&[outcome])
    }

    /// The number of entries of a source, `status` being `active`, `expired`, `allowed`, `held`.
    pub fn entries(&self, source: &str, status: &str) -> Gauge {
        self.entries.with_label_values(&[source, status])
    }

    /// The runs of a source that ended so.
    pub fn collections(&self, source: &str, status: &str) -> Counter {
        self.collections.with_label_values(&[source, status])
    }

    /// How long the runs of a source took, in seconds.
    pub fn collection_seconds(&self, source: &str) -> Histogram {
        self.collection_seconds.with_label_values(&[source])
    }

    /// When the certificate of the ports ends, in seconds since 1970.
    pub fn tls_expires(&self) -> Gauge {
        self.tls_expires.with_label_values::<&str>(&[])
    }

    /// Seconds since the last complete run of a source.
    pub fn freshness_seconds(&self, source: &str) -> Gauge {
        self.freshness.with_label_values(&[source])
    }

    /// Whether that is the matter with a source: 1 or 0.
    pub fn source_trouble(&self, source: &str, trouble: &str) -> Gauge {
        self.source_trouble.with_label_values(&[source, trouble])
    }

    /// Seconds since the date of a source's last list.
    pub fn document_age(&self, source: &str) -> Gauge {
        self.document_age.with_label_values(&[source])
    }

    /// From a change to the firewall's word that it enforces it, in seconds.
    pub fn push_seconds(&self, device: &str) -> Histogram {
        self.push_seconds.with_label_values(&[device])
    }

    /// The generation of what a firewall enforces of a feed.
    pub fn push_generation(&self, device: &str, feed: &str) -> Gauge {
        self.push_generation.with_label_values(&[device, feed])
    }

    /// Pushes to a device that failed so.
    pub fn push_failures(&self, device: &str, code: &str) -> Counter {
        self.push_failures.with_label_values(&[device, code])
    }

    /// A row of feeds or devices; one that is not named is forgotten.
    pub fn published(&self, row: Row, all: impl IntoIterator<Item = (String, i64)>) {
        let gauges = self.published.iter().find(|(known, _)| known.name == row.name);
        if let Some((_, gauges)) = gauges {
            gauges.reset();
            all.into_iter().for_each(|(name, value)| gauges.with_label_values(&[&name]).set(value));
        }
    }

    /// Attempts to tell a webhook something that ended so.
    pub fn webhook_deliveries(&self, hook: &str, result: &str) -> Counter {
        self.webhook_deliveries.with_label_values(&[hook, result])
    }

    /// How far behind each webhook is, in seconds; one that is not named is forgotten.
    pub fn webhooks_behind(&self, all: impl Iterator<Item = (String, i64)>) {
        self.webhook_behind.reset();
        all.for_each(|(hook, seconds)| self.webhook_behind.with_label_values(&[hook.as_str()]).set(seconds));
    }

    /// Questions to the DNS list that were answered so.
    pub fn dnsbl_questions(&self, outcome: &str) -> Counter {
        self.dnsbl_questions.with_label_values(&[outcome])
    }

    /// Refusals with that code.
    pub fn auth_refusals(&self, reason: &str) -> Counter {
        self.auth_refusals.with_label_values(&[reason])
    }

    /// Access tokens that were given so: `password`, `one_time`, `refresh`.
    pub fn auth_tokens(&self, how: &str) -> Counter {
        self.auth_tokens.with_label_values(&[how])
    }

    /// Spans that ended so: `told`, `full`, `failed`.
    pub fn trace_spans(&self, outcome: &str) -> Counter {
        self.trace_spans.with_label_values(&[outcome])
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        self.readings.iter().for_each(|reading| reading(self));
        let mut families = self.registry.gather();
        let renamed: Vec<_> = RENAMED.iter().filter_map(|row| rename(&families, row)).collect();
        families.extend(renamed);
        // Writing numbers and checked names into a string does not fail.
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn options(row: Row) -> Opts {
    Opts::new(row.name, row.help)
}

#[expect(clippy::expect_used, reason = "the table is constant, and a test makes all of it")]
fn made<T>(result: prometheus::Result<T>) -> T {
    result.expect("every row of the table is valid and there once")
}

fn register(registry: &Registry, collector: impl prometheus::core::Collector + 'static) {
    made(registry.register(Box::new(collector)));
}

fn counters(registry: &Registry, row: Row) -> IntCounterVec {
    let family = made(IntCounterVec::new(options(row), row.labels));
    register(registry, family.clone());
    family
}

fn gauges(registry: &Registry, row: Row) -> IntGaugeVec {
    let family = made(IntGaugeVec::new(options(row), row.labels));
    register(registry, family.clone());
    family
}

fn histograms(registry: &Registry, row: Row, buckets: &[f64]) -> HistogramVec {
    let family =
        made(HistogramVec::new(HistogramOpts::from(options(row)).buckets(buckets.into()), row.labels));
    register(registry, family.clone());
    family
}

fn rename(families: &[MetricFamily], (row, name): &(Row, &str)) -> Option<MetricFamily> {
    let mut family = families.iter().find(|family| family.name() == row.name)?.clone();
    family.set_name((*name).to_owned());
    family.mut_metric().iter_mut().for_each(rename_labels);
    Some(family)
}

fn rename_labels(metric: &mut Metric) {
    let mut labels: Vec<LabelPair> = metric.take_label();
    for label in &mut labels {
        if let Some((_, new)) = RENAMED_LABELS.iter().find(|(old, _)| *old == label.name()) {
            label.set_name((*new).to_owned());
        }
    }
    metric.set_label(labels);
}

/// `GET /metrics`.
pub fn routes() -> Routes<Arc<Metrics>> {
    let scrape = async |State(metrics): State<Arc<Metrics>>| scrape(&metrics).into_response();
    Routes::new()
        .get("/metrics", Demand::Of(Right::Metrics), scrape, "Everything counted, for Prometheus.")
        .writes(&["text/plain"])
}

fn scrape(metrics: &Metrics) -> Response {
    let mut response = Response::new(Body::full(metrics.render()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(prometheus::TEXT_FORMAT));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
