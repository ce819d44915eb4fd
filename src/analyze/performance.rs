//! What the process measures of itself, read from its metrics in Prometheus' text form.

use schemars::JsonSchema;
use serde::Serialize;

/// Measured values, in the earlier system's words; what this process does not measure is none.
#[derive(Clone, PartialEq, Debug, Default, Serialize, JsonSchema)]
pub struct Performance {
    /// Mean time of the blacklist role's answers in milliseconds; none where that role runs in
    /// another process, or has not answered yet.
    pub blacklist_service_response_time_ms: Option<f64>,
    /// Mean time of this role's own answers in milliseconds.
    pub analytics_processing_time_ms: Option<f64>,
    /// Always none: analytics keeps no cache.
    pub cache_hit_rate: Option<f64>,
    /// Resident memory of the process in MiB.
    pub memory_usage_mb: Option<f64>,
}

/// Reads them from what a scrape shows.
pub fn performance(scrape: &str) -> Performance {
    let memory = sum(scrape, "process_resident_memory_bytes", "");
    Performance {
        blacklist_service_response_time_ms: mean_ms(scrape, "role=\"blacklist\""),
        analytics_processing_time_ms: mean_ms(scrape, "role=\"analytics\""),
        cache_hit_rate: None,
        memory_usage_mb: memory.map(|bytes| super::rounded(bytes / f64::from(1 << 20))),
    }
}

fn mean_ms(scrape: &str, label: &str) -> Option<f64> {
    let seconds = sum(scrape, "ironlist_http_request_duration_seconds_sum", label)?;
    let answers = sum(scrape, "ironlist_http_request_duration_seconds_count", label)?;
    // Microseconds: look-ups take a few.
    (answers > 0.0).then(|| (seconds / answers * 1e6).round() / 1e3)
}

/// The sum of a metric's series that carry `label`; none if there is no such series.
fn sum(scrape: &str, name: &str, label: &str) -> Option<f64> {
    let series = scrape.lines().filter_map(|line| line.strip_prefix(name));
    let ours = series.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
    ours.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).reduce(|a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_taken_over_the_routes_of_a_role() {
        let scrape = "# HELP process_resident_memory_bytes x\nprocess_resident_memory_bytes 3145728\n\
            ironlist_http_request_duration_seconds_sum{role=\"analytics\",route=\"/a\"} 0.003\n\
            ironlist_http_request_duration_seconds_count{role=\"analytics\",route=\"/a\"} 1\n\
            ironlist_http_request_duration_seconds_sum{role=\"analytics\",route=\"/b\"} 0.001\n\
            ironlist_http_request_duration_seconds_count{role=\"analytics\",route=\"/b\"} 3\n";
        let measured = performance(scrape);
        assert_eq!(measured.analytics_processing_time_ms, Some(1.0));
        assert_eq!(measured.memory_usage_mb, Some(3.0));
        assert_eq!(measured.blacklist_service_response_time_ms, None);
        assert_eq!(performance(""), Performance::default());
    }
}
