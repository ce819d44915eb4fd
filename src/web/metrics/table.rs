//! Every metric that the program has, with what it says: the words of dashboards and alerts.
//!
//! Rows only. It must not know who counts.

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
    HTTP_CROWDED "ironlist_http_connections_refused_total" ["role"]
        "Connections closed at once, since their address had a quarter of all already.";
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
    TRACE_SPANS "ironlist_trace_spans_total" ["outcome"]
        "Spans of requests: told to the collector, lost for want of room (full), or not taken by it (failed).";
    WEBHOOK_BEHIND "ironlist_webhook_behind_seconds" ["hook"]
        "Age of the oldest event that waits for a webhook, in seconds; 0: none does.";
}

/// What is read of each feed and each device.
pub(super) const PUBLISHED: [Row; 8] = [
    FEED_HELD,
    FEED_HELD_SECONDS,
    FEED_FAULT,
    FEED_CUT,
    FEED_RELEASE_SECONDS,
    DEVICE_BEHIND,
    DEVICE_SILENT,
    DEVICE_REMNANTS,
];
