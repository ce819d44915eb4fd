//! How the roles behind the gateway are: asked as anybody could ask them, at most once a second.
//!
//! It must not judge what a role says of itself, only whether it says it.

use super::Upstreams;
use super::breaker::Standing;
use super::instance::Instance;
use super::pool::Remote;
use super::upstream::{Place, Upstream};
use super::watch::ANYBODY;
use crate::web::health::{self, Check, Report, Status};
use crate::web::tls::{Tls, UpstreamTls};
use crate::web::{Body, Caller, Json, Peer, Problem, Request, Response as Answer, Role};
use axum::response::Response;
use futures_util::future::join_all;
use http::header::HOST;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(2);
const KEPT: Duration = Duration::from_secs(1);

/// What the gateway knows of its roles.
pub(super) struct Survey {
    upstreams: Arc<Upstreams>,
    tls: Option<Arc<Tls>>,
    shown: Option<UpstreamTls>,
    last: Mutex<Option<(Instant, Arc<Vec<Finding>>)>>,
}

/// What one role said.
struct Finding {
    role: Role,
    health: Check,
    ready: bool,
    at: String,
    seats: Vec<Seat>,
}

/// One instance of a role, as an administrator sees it.
#[derive(Clone, Serialize, JsonSchema)]
struct Seat {
    url: String,
    health: Check,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<Standing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<usize>,
}

/// `/health` of the gateway: its own report, and the earlier system's `services` beside it.
#[derive(Serialize, JsonSchema)]
struct Document {
    #[serde(flatten)]
    report: Report,
    services: BTreeMap<&'static str, Service>,
}

#[derive(Serialize, JsonSchema)]
struct Service {
    healthy: bool,
    last_check: String,
}

/// What `/admin/services` answers.
#[derive(Serialize, JsonSchema)]
pub(super) struct Places {
    services: BTreeMap<&'static str, Row>,
}

/// A row of it.
#[derive(Serialize, JsonSchema)]
struct Row {
    /// Of the first instance.
    url: String,
    healthy: bool,
    last_check: String,
    /// Seconds; none in this process, where calls have no timeout.
    timeout: Option<u64>,
    instances: Vec<Seat>,
}

impl Survey {
    pub(super) fn new(upstreams: Arc<Upstreams>, tls: Option<Arc<Tls>>, shown: Option<UpstreamTls>) -> Self {
        Self { upstreams, tls, shown, last: Mutex::new(None) }
    }

    /// `/health`: every role with its cause.
    pub(super) async fn health(&self, caller: &Caller) -> Response {
        let findings = self.findings().await;
        let mut report = report(findings.iter().map(|finding| (finding.role, finding.health.clone())));
        let tls = self.tls.as_ref().map(|tls| ("tls", tls.check()));
        let shown = self.shown.as_ref().map(|shown| ("upstream_tls", shown.check()));
        for (name, check) in tls.into_iter().chain(shown) {
            report.status = report.status.max(check.status);
            report.checks.insert(Cow::Borrowed(name), check);
        }
        let services = findings.iter().map(|finding| {
            let healthy = finding.health.status != Status::Unhealthy;
            (finding.role.name(), Service { healthy, last_check: finding.at.clone() })
        });
        let report = report.as_told_to(caller);
        health::document(report.status, &Document { services: services.collect(), report })
    }

    /// `/ready`: whether there is anything to serve behind the door.
    pub(super) async fn readiness(&self) -> Report {
        let state = |ready| match ready {
            true => Check::healthy(""),
            false => Check::unhealthy("not ready", "see the role's own /ready"),
        };
        report(self.findings().await.iter().map(|finding| (finding.role, state(finding.ready))))
    }

    /// `/admin/services`: where the roles are.
    pub(super) async fn services(&self) -> Json<Places> {
        let findings = self.findings().await;
        let places = findings.iter().filter_map(|finding| {
            let upstream = self.upstreams.get(&finding.role)?;
            let row = Row {
                url: finding.seats.first().map(|seat| seat.url.clone()).unwrap_or_default(),
                healthy: finding.health.status != Status::Unhealthy,
                last_check: finding.at.clone(),
                timeout: match upstream.place() {
                    Place::Remote(remote) => Some(remote.patience().as_secs()),
                    Place::Local(_) => None,
                },
                instances: finding.seats.clone(),
            };
            Some((finding.role.name(), row))
        });
        Json(Places { services: places.collect() })
    }

    /// The lock is held while asking: those who come meanwhile share the answer.
    async fn findings(&self) -> Arc<Vec<Finding>> {
        let mut last = self.last.lock().await;
        if let Some((at, findings)) = &*last
            && at.elapsed() < KEPT
        {
            return Arc::clone(findings);
        }
        let findings = join_all(self.upstreams.iter().map(|(role, upstream)| ask(*role, upstream))).await;
        let findings = Arc::new(findings);
        *last = Some((Instant::now(), Arc::clone(&findings)));
        findings
    }
}

/// The worst of the roles, where only the blacklist's absence is fatal: look-ups and feeds go on without the others.
fn report(checks: impl Iterator<Item = (Role, Check)>) -> Report {
    let checks: BTreeMap<_, _> = checks.map(|(role, check)| (Cow::Borrowed(role.name()), check)).collect();
    let vital = checks.get(Role::Blacklist.name()).map_or(Status::Unhealthy, |check| check.status);
    let mut report = Report::new(Role::Gateway.name(), checks);
    report.status = vital.max(report.status.min(Status::Degraded));
    report
}

async fn ask(role: Role, upstream: &Upstream) -> Finding {
    let seats = match upstream.place() {
        Place::Local(app) => {
            let asked = |path| async move { Ok(app.answer(question(path), Peer::Local).await) };
            vec![seat("in-process".to_owned(), asked).await]
        }
        Place::Remote(remote) => join_all(remote.instances().iter().map(|at| elsewhere(remote, at))).await,
    };
    let ready = seats.iter().any(|seat| seat.ready);
    Finding { role, health: together(&seats), ready, at: health::now(), seats }
}

async fn elsewhere(remote: &Remote, instance: &Instance) -> Seat {
    let seat = seat(instance.url(), |path| remote.look(instance, question(path), ANYBODY)).await;
    Seat { breaker: Some(instance.standing()), in_flight: Some(instance.in_flight()), ..seat }
}

async fn seat<F>(url: String, ask: impl Fn(&'static str) -> F) -> Seat
where
    F: Future<Output = Result<Answer, Problem>>,
{
    let (health, ready) = tokio::join!(said("/health", ask("/health")), said("/ready", ask("/ready")));
    let health = health.map_or_else(unreachable, |report| summary(&report));
    let ready = ready.is_ok_and(|report| report.status != Status::Unhealthy);
    Seat { url, health, ready, breaker: None, in_flight: None }
}

/// Asked without a key: how a role is, is nobody's secret in this house, and a role with another key is well.
fn question(path: &'static str) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static(path);
    request.headers_mut().insert(HOST, http::HeaderValue::from_static("localhost"));
    request
}

async fn said(path: &str, answer: impl Future<Output = Result<Answer, Problem>>) -> Result<Report, String> {
    let read = async {
        let answer = answer.await.map_err(|problem| problem.code().to_owned())?;
        let bytes = answer.into_body().read().await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("its {path} is not a health document: {error}"))
    };
    timeout(PATIENCE, read).await.unwrap_or_else(|_| Err("no answer within two seconds".to_owned()))
}

fn unreachable(cause: String) -> Check {
    Check::unhealthy(cause, "start the role, or correct its URL")
}

/// A role's report in one check: what its checks found, the bad first, and the cures.
fn summary(report: &Report) -> Check {
    let mut checks: Vec<_> = report.checks.iter().filter(|(_, check)| !check.detail.is_empty()).collect();
    checks.sort_by_key(|(_, check)| std::cmp::Reverse(check.status));
    let details: Vec<_> = checks.iter().map(|(name, check)| format!("{name}: {}", check.detail)).collect();
    let bad = report.checks.values().filter(|check| check.status != Status::Healthy);
    let cures: Vec<_> = bad.map(|check| &*check.cure).filter(|cure| !cure.is_empty()).collect();
    Check { status: report.status, detail: details.join("; ").into(), cure: cures.join("; ").into() }
}

/// A role serves while one of its instances does, and needs attention while one does not.
fn together(seats: &[Seat]) -> Check {
    let [seat] = seats else {
        let best = seats.iter().map(|seat| seat.health.status).min().unwrap_or(Status::Unhealthy);
        let worst = seats.iter().map(|seat| seat.health.status).max().unwrap_or(Status::Unhealthy);
        let status = best.max(worst.min(Status::Degraded));
        let told = |seat: &Seat, text: &str| (!text.is_empty()).then(|| format!("{}: {text}", seat.url));
        let details: Vec<_> = seats.iter().filter_map(|seat| told(seat, &seat.health.detail)).collect();
        let cures: Vec<_> = seats.iter().filter_map(|seat| told(seat, &seat.health.cure)).collect();
        return Check { status, detail: details.join("; ").into(), cure: cures.join("; ").into() };
    };
    seat.health.clone()
}
