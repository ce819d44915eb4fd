//! A listing as answers show it.

use crate::model::{Country, Day, Detail, Severity, Source, Time};
use schemars::JsonSchema;
use serde::Serialize;

/// One source's statement about one range.
#[derive(Serialize, JsonSchema)]
pub(super) struct Listing {
    source: String,
    range: String,
    reason: Option<Box<str>>,
    threat_type: Option<Box<str>>,
    severity: Option<Severity>,
    country: Option<Country>,
    /// Its own, or its source's.
    confidence: Option<u8>,
    detected: Option<Day>,
    listed: Option<Day>,
    /// When it ends: by its own word, or unless its source is seen again.
    expires: Option<Time>,
    first_seen: Time,
    /// The source's last complete run, which still had it.
    last_seen: Option<Time>,
    upstream_id: Option<Box<str>>,
    /// Whether a person ended it.
    suppressed: bool,
}

impl Listing {
    pub(super) fn new(source: &Source, range: String, detail: Detail, suppressed: bool) -> Self {
        Self {
            source: source.name.to_string(),
            range,
            confidence: source.confidence_of(&detail),
            expires: source.expiry_of(&detail),
            reason: detail.reason,
            threat_type: detail.threat,
            severity: detail.severity,
            country: detail.country,
            detected: detail.detected,
            listed: detail.listed,
            first_seen: detail.first_seen,
            last_seen: source.last_seen,
            upstream_id: detail.upstream_id,
            suppressed,
        }
    }
}
