//! What is counted of requests: how many, how they ended, how long they took (by role and route's template).

use super::{Counter, Gauge, Histogram, Metrics};
use crate::web::problem::Problem;
use crate::web::role::Role;
use std::any::Any;
use std::sync::Arc;

/// The metrics of one role's HTTP, its handles made.
pub struct HttpMetrics {
    all: Arc<Metrics>,
    role: &'static str,
    /// Connections open now.
    pub connections: Gauge,
    /// Connections that could not be accepted.
    pub accept_errors: Counter,
    /// Connections that were closed at once: their address had its share.
    pub crowded: Counter,
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
            crowded: all.crowded.with_label_values(&[role]),
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
    /// The route's template.
    pub fn template(&self) -> &'static str {
        self.route
    }

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
