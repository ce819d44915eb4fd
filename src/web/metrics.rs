//! What the program counts, and its text form for Prometheus. The only file that names that crate.
//!
//! Every metric stands in the table below; its handle is made once, with the [`Metrics`] that own the
//! registry. There are no globals: tests and processes with several roles have their own.

use super::body::{Body, Response};
use super::problem::Problem;
use super::role::Role;
use super::routes::{Demand, Routes};
use crate::rights::Right;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use prometheus::proto::{LabelPair, Metric, MetricFamily};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use std::any::Any;
use std::sync::Arc;

/// A number that only grows.
pub type Counter = prometheus::IntCounter;
/// A number that grows and shrinks.
pub type Gauge = prometheus::IntGauge;
/// Durations by size.
pub type Histogram = prometheus::Histogram;

/// A row of the table: the name ends in the unit, as Prometheus wants it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The full name.
    pub name: &'static str,
    /// What it says to a reader of dashboards.
    pub help: &'static str,
    /// Its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

macro_rules! table {
    ($($constant:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: Row = Row { name: $name, help: $help, labels: &[$($label),*] };)*
        /// Every metric that the program itself registers; process metrics come beside them.
        pub const TABLE: &[Row] = &[$($constant),*];
    };
}

table! {
    HTTP_REQUESTS "ironlist_http_requests_total" ["role", "route", "method", "status"]
        "Answers given, by route template.";
    HTTP_SECONDS "ironlist_http_request_duration_seconds" ["role", "route"]
        "Time from a request's head to the answer's head, in seconds.";
    HTTP_CONNECTIONS "ironlist_http_connections" ["role"]
        "Connections open now.";
    HTTP_ACCEPT_ERRORS "ironlist_http_accept_errors_total" ["role"]
        "Connections that could not be accepted, for instance for want of file descriptors.";
    PRELUDES_FAILED "ironlist_connection_failures_total" ["role"]
        "Connections that ended before HTTP: no TLS came about, or no PROXY header came.";
    TLS_EXPIRES "ironlist_tls_certificate_expiry_timestamp_seconds" []
        "When the certificate that callers are shown ends, in seconds since 1970.";
    HTTP_PANICS "ironlist_http_panics_total" ["role"]
        "Handlers that panicked; each is a bug.";
    TURNED_AWAY "ironlist_gateway_turned_away_total" ["class", "reason"]
        "Requests that the door did not let in: too many of one caller (rate), or too much to do (overload).";
    CACHED "ironlist_gateway_cache_total" ["outcome"]
        "Questions to the gateway's cache: hit, stale (answered from it, and asked anew beside it), miss, or passed by.";
    BUILD_INFO "ironlist_build_info" ["version"]
        "1, with the version of the program.";
    UP "blacklist_up" ["role"]
        "1 while the role runs in this process.";
    ENTRIES "blacklist_entries_total" ["source", "status"]
        "Entries of the blacklist now.";
    COLLECTIONS "blacklist_collections_total" ["source", "status"]
        "Collection runs by outcome.";
    COLLECTION_SECONDS "blacklist_collection_duration_seconds" ["source"]
        "Time a collection run took, in seconds.";
    DNSBL_QUESTIONS "ironlist_dnsbl_questions_total" ["outcome"]
        "Questions to the DNS list, by how they were answered.";
    FRESHNESS_SECONDS "blacklist_data_freshness_seconds" ["source"]
        "Time since the source's last complete run, in seconds.";
    SOURCE_TROUBLE "ironlist_source_trouble" ["source", "trouble"]
        "1 while the source is stopped, held, hindered, late or its list is old, 0 while it is not.";
    DOCUMENT_AGE "ironlist_source_document_age_seconds" ["source"]
        "Time since the date that the source's last list bears itself, in seconds.";
    PUSH_SECONDS "ironlist_push_enforced_seconds" ["device"]
        "Time from a change to the firewall's own word that it enforces it, in seconds.";
    PUSH_GENERATION "ironlist_push_enforced_generation" ["device", "feed"]
        "The generation in which what the firewall enforces appeared.";
    PUSH_FAILURES "ironlist_push_failures_total" ["device", "code"]
        "Pushes that were not proven, by what was wrong.";
    FEED_HELD "ironlist_feed_held" ["feed"]
        "1 while the feed is held and waits for a word, 0 while it follows; _all are all of them together.";
    FEED_HELD_SECONDS "ironlist_feed_held_seconds" ["feed"]
        "Since when the feed is held, in seconds; 0: it is not.";
    FEED_FAULT "ironlist_feed_fault" ["feed"]
        "1 while the feed cannot be made and its last good list is served.";
    FEED_CUT "ironlist_feed_cut_entries" ["feed"]
        "Entries that a budget leaves out of the feed.";
    FEED_RELEASE_SECONDS "ironlist_feed_release_age_seconds" ["feed"]
        "Time since what the feed lists was released, in seconds.";
    DEVICE_BEHIND "ironlist_device_behind" ["device"]
        "1 while the device has an older list than is offered.";
    DEVICE_SILENT "ironlist_device_silent" ["device"]
        "1 while the device has not asked for longer than it should.";
    DEVICE_REMNANTS "ironlist_device_remnants" ["device"]
        "Lists on the device's firewall that were pushed there, are pushed no more, and are still enforced.";
    WEBHOOK_DELIVERIES "ironlist_webhook_deliveries_total" ["hook", "result"]
        "Attempts to tell a webhook something: delivered, or by what was wrong.";
    AUTH_REFUSALS "ironlist_auth_refusals_total" ["reason"]
        "Requests of somebody who was not let in or lacked a right, by the answer's code.";
    AUTH_TOKENS "ironlist_auth_tokens_issued_total" ["how"]
        "Access tokens given: for a password, for one that may be used once, or for a refresh token.";
    WEBHOOK_BEHIND "ironlist_webhook_behind_seconds" ["hook"]
        "Age of the oldest event that waits for a webhook, in seconds; 0: none does.";
}

/// What is read of each feed and each device.
const PUBLISHED: [Row; 8] = [
    FEED_HELD,
    FEED_HELD_SECONDS,
    FEED_FAULT,
    FEED_CUT,
    FEED_RELEASE_SECONDS,
    DEVICE_BEHIND,
    DEVICE_SILENT,
    DEVICE_REMNANTS,
];

/// Names of the earlier system that dashboards still ask for: each shows another metric, relabelled, when
/// it is scraped, so that nothing is counted twice.
const RENAMED: &[(Row, &str)] = &[
    (HTTP_REQUESTS, "blacklist_http_requests_total"),
    (HTTP_SECONDS, "blacklist_http_request_duration_seconds"),
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
    readings: Vec<Reading>,
}

impl Metrics {
    /// Registers every metric of the table, and those of the process.
    pub fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self {
            requests: counters(&registry, HTTP_REQUESTS),
            seconds: histograms(&registry, HTTP_SECONDS, &BUCKETS),
            connections: gauges(&registry, HTTP_CONNECTIONS),
            accept_errors: counters(&registry, HTTP_ACCEPT_ERRORS),
            preludes_failed: counters(&registry, PRELUDES_FAILED),
            tls_expires: gauges(&registry, TLS_EXPIRES),
            panics: counters(&registry, HTTP_PANICS),
            turned_away: counters(&registry, TURNED_AWAY),
            cached: counters(&registry, CACHED),
            up: gauges(&registry, UP),
            entries: gauges(&registry, ENTRIES),
            collections: counters(&registry, COLLECTIONS),
            collection_seconds: histograms(&registry, COLLECTION_SECONDS, &BUCKETS),
            freshness: gauges(&registry, FRESHNESS_SECONDS),
            source_trouble: gauges(&registry, SOURCE_TROUBLE),
            document_age: gauges(&registry, DOCUMENT_AGE),
            push_seconds: histograms(&registry, PUSH_SECONDS, &PUSH_BUCKETS),
            push_generation: gauges(&registry, PUSH_GENERATION),
            push_failures: counters(&registry, PUSH_FAILURES),
            published: PUBLISHED.iter().map(|row| (*row, gauges(&registry, *row))).collect(),
            webhook_deliveries: counters(&registry, WEBHOOK_DELIVERIES),
            webhook_behind: gauges(&registry, WEBHOOK_BEHIND),
            dnsbl_questions: counters(&registry, DNSBL_QUESTIONS),
            auth_refusals: counters(&registry, AUTH_REFUSALS),
            auth_tokens: counters(&registry, AUTH_TOKENS),
            readings: Vec::new(),
            registry,
        };
        gauges(&metrics.registry, BUILD_INFO).with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
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

/// The metrics of one role's HTTP, its handles made.
pub struct HttpMetrics {
    all: Arc<Metrics>,
    role: &'static str,
    /// Connections open now.
    pub connections: Gauge,
    /// Connections that could not be accepted.
    pub accept_errors: Counter,
    /// Connections that ended before HTTP.
    pub preludes_failed: Counter,
    /// Handlers that panicked.
    pub panics: Counter,
}

impl HttpMetrics {
    /// The handles for `role`, which is up from now on.
    pub fn new(all: Arc<Metrics>, role: Role) -> Self {
        let role = role.name();
        all.up.with_label_values(&[role]).set(1);
        Self {
            connections: all.connections.with_label_values(&[role]),
            accept_errors: all.accept_errors.with_label_values(&[role]),
            preludes_failed: all.preludes_failed.with_label_values(&[role]),
            panics: all.panics.with_label_values(&[role]),
            all,
            role,
        }
    }

    /// Counts a panic, and makes a problem of it.
    pub fn panicked(&self, panic: &(dyn Any + Send)) -> Problem {
        self.panics.inc();
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
        tracing::error!(role = self.role, panic = text, "a handler panicked");
        Problem::internal(text)
    }

    /// Counts an answer of a routed request; costs two look-ups of labels.
    pub fn count(&self, route: &str, method: &http::Method, status: http::StatusCode, seconds: f64) {
        self.all.requests.with_label_values(&[self.role, route, method_label(method), status.as_str()]).inc();
        self.all.seconds.with_label_values(&[self.role, route]).observe(seconds);
    }

    /// Handles for a route that is answered so often that looking labels up would be felt.
    pub fn route(self: &Arc<Self>, route: &'static str) -> RouteMetrics {
        let count = |status: u16| {
            let status = status.to_string();
            self.all.requests.with_label_values(&[self.role, route, "GET", status.as_str()])
        };
        RouteMetrics {
            http: Arc::clone(self),
            route,
            seconds: self.all.seconds.with_label_values(&[self.role, route]),
            counts: FREQUENT.map(|status| (status, count(status))),
        }
    }
}

/// Statuses of GET answers whose counters are made beforehand.
const FREQUENT: [u16; 3] = [200, 304, 404];

/// Handles for one route.
pub struct RouteMetrics {
    http: Arc<HttpMetrics>,
    route: &'static str,
    seconds: Histogram,
    counts: [(u16, Counter); FREQUENT.len()],
}

impl RouteMetrics {
    /// Counts an answer: a few relaxed additions in the frequent case.
    pub fn count(&self, method: &http::Method, status: http::StatusCode, seconds: f64) {
        let known = self.counts.iter().find(|(known, _)| *known == status.as_u16());
        match known {
            Some((_, counter)) if *method == http::Method::GET => {
                counter.inc();
                self.seconds.observe(seconds);
            }
            _ => self.http.count(self.route, method, status, seconds),
        }
    }
}

/// Methods are the caller's choice; a label may not have as many values as callers have ideas.
fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
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
