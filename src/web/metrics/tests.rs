//! That what is counted is told, once.

use super::requests::HttpMetrics;
use super::table::{FEED_HELD, HTTP_REQUESTS, TABLE};
use super::*;
use crate::web::Role;
use http::{Method, StatusCode};

fn blacklist(all: &Arc<Metrics>) -> Arc<HttpMetrics> {
    Arc::new(HttpMetrics::new(Arc::clone(all), Role::Blacklist))
}

#[test]
fn names_are_unique_and_end_in_their_unit() {
    let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TABLE.len());
    assert!(names.iter().all(|name| name.starts_with("ironlist_") || name.starts_with("blacklist_")));
}

#[test]
fn both_ways_of_counting_lead_to_one_series() {
    let all = Arc::new(Metrics::new());
    let http = blacklist(&all);
    let route = http.route("/check/{ip}");
    route.count(&Method::GET, StatusCode::OK, 0.000_01);
    http.count("/check/{ip}", &Method::GET, StatusCode::OK, 0.000_01);
    route.count(&Method::HEAD, StatusCode::OK, 0.000_01);
    let text = all.render();
    let series = |name, method, count| {
        format!(
            "{name}{{method=\"{method}\",role=\"blacklist\",route=\"/check/{{ip}}\",status=\"200\"}} {count}\n"
        )
    };
    assert!(text.contains(&series(HTTP_REQUESTS.name, "GET", 2)), "{text}");
    assert!(text.contains(&series(HTTP_REQUESTS.name, "HEAD", 1)), "{text}");
    assert!(text.contains(
        "ironlist_http_request_duration_seconds_count{role=\"blacklist\",route=\"/check/{ip}\"} 3\n"
    ));
}

#[test]
fn the_earlier_names_show_the_same_numbers() {
    let all = Arc::new(Metrics::new());
    blacklist(&all).count("/x", &Method::from_bytes(b"BREW").unwrap(), StatusCode::NOT_FOUND, 0.2);
    let text = all.render();
    assert!(text.contains("blacklist_up{role=\"blacklist\"} 1\n"));
    assert!(text.contains("blacklist_http_requests_total{method=\"other\",role=\"blacklist\",endpoint=\"/x\",status_code=\"404\"} 1\n"));
    assert!(
        text.contains(
            "blacklist_http_request_duration_seconds_count{role=\"blacklist\",endpoint=\"/x\"} 1\n"
        )
    );
    assert!(text.contains("process_resident_memory_bytes"));
}

#[test]
fn readings_are_taken_at_the_scrape() {
    let metrics = Metrics::new().at_scrape(|metrics| metrics.entries("regtech", "active").set(7));
    assert!(metrics.render().contains("blacklist_entries_total{source=\"regtech\",status=\"active\"} 7\n"));
}

#[test]
fn what_is_published_no_more_is_measured_no_more() {
    let metrics = Metrics::new();
    metrics.published(FEED_HELD, [("edge".to_owned(), 1), ("lan".to_owned(), 0)]);
    metrics.published(FEED_HELD, [("lan".to_owned(), 1)]);
    let text = metrics.render();
    assert!(text.contains("ironlist_feed_held{feed=\"lan\"} 1\n") && !text.contains("edge"), "{text}");
}
