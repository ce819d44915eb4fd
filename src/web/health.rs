//! `/health` and `/ready`: what works, what does not, and what cures it.
//!
//! A check is a cheap look at state that its owner keeps; it must not do the work that it judges.

use super::caller::Caller;
use super::extract::Json;
use super::routes::{Demand, Routes};
use super::sketch::{Gives, Sketch};
use crate::rights::Right;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{SecondsFormat, Utc};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How well something works. Ordered: the worst check gives the whole its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Healthy,
    /// It serves, and something needs attention.
    Degraded,
    /// It does not serve what it is for.
    Unhealthy,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// How well it works.
    pub status: Status,
    /// What was found.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub detail: Cow<'static, str>,
    /// What an operator can do about it.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub cure: Cow<'static, str>,
}

impl Check {
    /// It works.
    pub fn healthy(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Healthy, detail: detail.into(), cure: Cow::Borrowed("") }
    }

    /// It serves, but.
    pub fn degraded(detail: impl Into<Cow<'static, str>>, cure: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Degraded, detail: detail.into(), cure: cure.into() }
    }

    /// It does not work.
    pub fn unhealthy(detail: impl Into<Cow<'static, str>>, cure: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Unhealthy, detail: detail.into(), cure: cure.into() }
    }
}

/// The document that `/health` and `/ready` answer with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The worst of the checks.
    pub status: Status,
    /// The role that answers.
    pub service: Cow<'static, str>,
    /// When it was made, RFC 3339.
    pub timestamp: String,
    /// The version of the program.
    pub version: Cow<'static, str>,
    /// Every check by name.
    pub checks: BTreeMap<Cow<'static, str>, Check>,
}

impl Report {
    /// A report over `checks`, made now.
    pub fn new(service: &'static str, checks: BTreeMap<Cow<'static, str>, Check>) -> Self {
        Self {
            status: checks.values().map(|check| check.status).max().unwrap_or(Status::Healthy),
            service: Cow::Borrowed(service),
            timestamp: now(),
            version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
            checks,
        }
    }
}

impl Report {
    /// The same for `caller`: what is the matter with what, by name, is for those who may read.
    #[must_use]
    pub fn as_told_to(mut self, caller: &Caller) -> Self {
        if !caller.rights.has(Right::Read) && !caller.is_open {
            for check in self.checks.values_mut() {
                *check = Check { status: check.status, detail: Cow::Borrowed(""), cure: Cow::Borrowed("") };
            }
        }
        self
    }
}

/// 503 when it does not serve, 200 otherwise; never kept by a cache.
impl IntoResponse for Report {
    fn into_response(self) -> Response {
        document(self.status, &self)
    }
}

impl Gives for Report {
    fn note(sketch: &mut Sketch) {
        <Json<Self> as Gives>::note(sketch);
        sketch.good = &[200, 503];
    }
}

/// A health document of a given status as an answer.
pub fn document(status: Status, document: &impl Serialize) -> Response {
    let mut response = Json(document).into_response();
    if status == Status::Unhealthy {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The present moment, RFC 3339 in UTC.
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// One precondition of being ready; it starts shut, and whoever brings the precondition about opens it.
#[derive(Clone, Debug, Default)]
pub struct Latch(Arc<AtomicBool>);

impl Latch {
    /// From now on it holds.
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// It no longer holds; a role that drains is not ready.
    pub fn shut(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether it holds.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Looks at one thing.
type Look = Box<dyn Fn() -> Check + Send + Sync>;

/// The checks of one role.
pub struct Health {
    service: &'static str,
    checks: Vec<(&'static str, Look)>,
    latches: Vec<(&'static str, Latch)>,
}

impl Health {
    /// A service without checks: healthy and ready.
    pub fn new(service: &'static str) -> Self {
        Self { service, checks: Vec::new(), latches: Vec::new() }
    }

    /// Adds a check; it runs at every `/health`.
    #[must_use]
    pub fn check(mut self, name: &'static str, check: impl Fn() -> Check + Send + Sync + 'static) -> Self {
        self.checks.push((name, Box::new(check)));
        self
    }

    /// Adds a precondition of being ready.
    #[must_use]
    pub fn latch(mut self, name: &'static str, latch: &Latch) -> Self {
        self.latches.push((name, latch.clone()));
        self
    }

    /// How well the service works.
    pub fn report(&self) -> Report {
        let checks = self.checks.iter().map(|(name, check)| (Cow::Borrowed(*name), check()));
        Report::new(self.service, checks.collect())
    }

    /// Whether the service may be sent requests.
    pub fn readiness(&self) -> Report {
        let state = |latch: &Latch| match latch.is_open() {
            true => Check::healthy(""),
            false => Check::unhealthy("not yet", "wait; the log says what it waits for"),
        };
        let checks = self.latches.iter().map(|(name, latch)| (Cow::Borrowed(*name), state(latch)));
        Report::new(self.service, checks.collect())
    }
}

/// `GET /health` and `GET /ready` of a role.
pub fn routes() -> Routes<Arc<Health>> {
    let health = async |State(health): State<Arc<Health>>, caller: Extension<Caller>| {
        health.report().as_told_to(&caller)
    };
    let ready = async |State(health): State<Arc<Health>>| health.readiness();
    Routes::new()
        .get("/health", Demand::Nothing, health, "Says what works, what does not, and what cures it.")
        .get("/ready", Demand::Nothing, ready, "Says whether requests may be sent here.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_gives_the_status() {
        let health = Health::new("blacklist")
            .check("snapshot", || Check::healthy("generation 7"))
            .check("store", || Check::degraded("read-only", "ironlist doctor"));
        let report = health.report();
        assert_eq!(report.status, Status::Degraded);
        assert_eq!(report.checks["store"].cure, "ironlist doctor");
        assert_eq!(report.into_response().status(), 200);
        let down = Health::new("x").check("store", || Check::unhealthy("gone", "restore")).report();
        assert_eq!(down.into_response().status(), 503);
    }

    #[test]
    fn causes_are_for_those_who_may_read() {
        let health = Health::new("x").check("store", || Check::degraded("/var/lib/x is full", "make room"));
        let nobody = Caller { who: None, rights: crate::rights::Rights::NONE, ..Caller::local() };
        let veiled = health.report().as_told_to(&nobody);
        assert_eq!((veiled.status, &*veiled.checks["store"].detail), (Status::Degraded, ""));
        assert_eq!(health.report().as_told_to(&Caller::local()).checks["store"].cure, "make room");
    }

    #[test]
    fn a_service_is_ready_once_every_latch_is_open() {
        let (snapshot, feeds) = (Latch::default(), Latch::default());
        let health = Health::new("blacklist").latch("snapshot", &snapshot).latch("feeds", &feeds);
        snapshot.open();
        assert_eq!(health.readiness().status, Status::Unhealthy);
        feeds.open();
        assert_eq!(health.readiness().status, Status::Healthy);
        snapshot.shut();
        assert_eq!(health.readiness().checks["snapshot"].status, Status::Unhealthy);
    }
}
