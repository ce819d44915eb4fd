//! A request's span in OpenTelemetry's words (semantic conventions for HTTP servers).
//!
//! What is named here leaves the house: no header, no query, no name of a person, no path with a token.

use crate::web::Role;
use crate::web::spans::Span;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// A role of this service.
pub(super) fn resource(service: &str, role: Role) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let role = KeyValue::new("ironlist.role", role.name());
    Resource::builder().with_service_name(service.to_owned()).with_attributes([version, role]).build()
}

/// The span as exporters take it.
pub(super) fn span(span: Span) -> SpanData {
    let Span { trace, method, route, status, .. } = &span;
    let (own, flags) = (SpanId::from(trace.span), TraceFlags::SAMPLED);
    let is_fault = status.is_server_error();
    let mut attributes = vec![
        KeyValue::new("http.request.method", method.to_string()),
        KeyValue::new("http.route", route.clone()),
        KeyValue::new("url.path", span.path.clone()),
        KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
    ];
    if is_fault {
        let kind = span.problem.map_or_else(|| status.as_str().to_owned(), str::to_owned);
        attributes.push(KeyValue::new("error.type", kind));
    }
    SpanData {
        span_context: SpanContext::new(trace.trace.into(), own, flags, false, TraceState::default()),
        parent_span_id: trace.parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: trace.parent.is_some(),
        span_kind: SpanKind::Server,
        name: format!("{method} {route}").into(),
        start_time: span.began,
        end_time: span.began + span.took,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        // What a caller did wrong is no fault of a server.
        status: if is_fault { Status::error("") } else { Status::Unset },
        instrumentation_scope: InstrumentationScope::builder("ironlist").build(),
    }
}
