//! What leaves the house of a request, and what becomes of it when nobody takes it.

use super::*;
use crate::web::metrics::Metrics;
use crate::web::spans::Spans;
use crate::web::trace::{Sampling, Trace};
use http::{Method, StatusCode};
use opentelemetry::trace::{SpanKind, Status};
use std::time::SystemTime;

fn span(status: u16, problem: Option<&'static str>) -> Span {
    Span {
        role: Role::Gateway,
        trace: Trace { trace: 7, parent: Some(8), span: 9, sampled: true },
        method: Method::GET,
        path: "/f/***/fortigate.txt".to_owned(),
        route: "/f/{token}/{name}".to_owned(),
        status: StatusCode::from_u16(status).unwrap(),
        problem,
        began: SystemTime::UNIX_EPOCH,
        took: Duration::from_millis(3),
    }
}

#[test]
fn a_span_bears_the_places_of_the_log_and_nothing_but_what_is_listed() {
    let data = data::span(span(404, Some("unknown_path")));
    let place = (data.span_context.trace_id(), data.span_context.span_id(), data.parent_span_id);
    assert_eq!(place, (7.into(), 9.into(), 8.into()));
    assert_eq!((&*data.name, &data.span_kind), ("GET /f/{token}/{name}", &SpanKind::Server));
    assert_eq!(data.end_time.duration_since(data.start_time).unwrap(), Duration::from_millis(3));
    let told: Vec<String> =
        data.attributes.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect();
    let expected = [
        "http.request.method=GET",
        "http.route=/f/{token}/{name}",
        "url.path=/f/***/fortigate.txt",
        "http.response.status_code=404",
    ];
    assert_eq!((told.as_slice(), data.status), (&expected.map(str::to_owned)[..], Status::Unset));
}

#[test]
fn only_what_went_wrong_here_is_an_error() {
    let error = |status, problem| {
        let data = data::span(span(status, problem));
        let kind = data.attributes.iter().find(|pair| pair.key.as_str() == "error.type");
        (matches!(data.status, Status::Error { .. }), kind.map(|pair| pair.value.to_string()))
    };
    assert_eq!(error(401, Some("key_missing")), (false, None));
    assert_eq!(error(503, Some("store_busy")), (true, Some("store_busy".to_owned())));
    assert_eq!(error(500, None), (true, Some("500".to_owned())));
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_no_time() {
    let metrics = Metrics::new();
    let (spans, queue) = Spans::new(Sampling::share(1.0), 2, metrics.trace_spans("full"));
    for _ in 0..5 {
        spans.keep(span(200, None));
    }
    // Nobody listens at a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target { endpoint: &format!("http://{free}"), service: "test" };
    let teller = Teller::start(target, queue, &metrics).unwrap();
    teller.finish().await;
    let text = metrics.render();
    assert!(text.contains("ironlist_trace_spans_total{outcome=\"full\"} 3\n"), "{text}");
    assert!(text.contains("ironlist_trace_spans_total{outcome=\"failed\"} 2\n"), "{text}");
    drop(spans);
}
