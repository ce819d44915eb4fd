//! The analytics role: questions about counts, in today's paths and in the earlier system's.
//!
//! It must not know how an answer is worked out. Every answer is made from the engine as it is at
//! that moment, on a thread that may wait for the disk; there is no cache.

use super::reply::blocking;
use crate::analyze::{
    CountryShare, Granularity, Look, Performance, Period, Realtime, Report, Shares, Sources, Summary,
    ThreatShare, TrendRow, Trends, performance,
};
use crate::engine::{Engine, EngineError};
use crate::rights::Right;
use crate::web::Demand::{self, Earlier};
use crate::web::metrics::Metrics;
use crate::web::{Json, Problem, Query, Routes};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What this role needs.
#[derive(Clone)]
pub struct Analytics {
    /// The blacklist itself, or one that follows it.
    pub engine: Engine,
    /// The metrics of the process, which `performance` reads.
    pub metrics: Arc<Metrics>,
}

/// The earlier system's paths. They pass over parameters that they do not know, as they always did.
fn earlier() -> Routes<Analytics> {
    let reads = Earlier(Right::Read);
    Routes::new()
        .get("/api/v1/trends", reads, earlier_trends, "Counts by time, as the earlier system did.")
        .get("/api/v1/geographic", reads, earlier_geographic, "Counts by country, as the earlier system did.")
        .get(
            "/api/v1/threat-types",
            reads,
            earlier_threat_types,
            "Counts by threat, as the earlier system did.",
        )
        .get("/api/v1/report", reads, earlier_report, "Counts everything, as the earlier system did.")
        .get("/api/v1/realtime", reads, earlier_realtime, "Counts the last hours, as the earlier system did.")
        .get(
            "/api/v1/performance",
            reads,
            earlier_process,
            "Says how the process fares, as the earlier system did.",
        )
}

/// An answer with the word that the earlier system's callers look for.
#[derive(Serialize, JsonSchema)]
struct Success<T> {
    status: &'static str,
    data: T,
}

/// The same, its fields beside that word.
#[derive(Serialize, JsonSchema)]
struct Open<T> {
    status: &'static str,
    #[serde(flatten)]
    answer: T,
}

type Answer<T> = Result<Json<T>, Problem>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfPeriod {
    period: Option<Period>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfTrends {
    period: Option<Period>,
    granularity: Option<Granularity>,
}

/// What the earlier paths take.
#[derive(Deserialize, JsonSchema)]
struct OfEarlier {
    period: Option<Period>,
    granularity: Option<Granularity>,
}

impl Analytics {
    /// The role's routes, those of the earlier system included.
    pub fn routes() -> Routes<Self> {
        let reads = Demand::Open(Right::Read);
        Routes::new()
            .get("/api/v1/analytics/summary", reads, summary, "Sums everything up.")
            .get("/api/v1/analytics/realtime", reads, realtime, "Counts the last hours.")
            .get("/api/v1/analytics/trends", reads, trends, "Counts what came and went by time.")
            .get("/api/v1/analytics/geographic", reads, geographic, "Counts by country.")
            .get("/api/v1/analytics/threat-types", reads, threat_types, "Counts by threat.")
            .get("/api/v1/analytics/sources", reads, sources, "Counts by source.")
            .get("/api/v1/analytics/report", reads, report, "Counts everything over a period.")
            .get("/api/v1/analytics/performance", reads, process, "Says how the process fares.")
            .merge(earlier())
    }

    /// Answers a question about the engine as it is now.
    async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(Look) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let engine = self.engine.clone();
        blocking(move || ask(&engine, question).map_err(Problem::from)).await
    }

    async fn trends(
        &self,
        period: Option<Period>,
        granularity: Option<Granularity>,
    ) -> Result<Trends, Problem> {
        let period = period.unwrap_or(Period::Week);
        let granularity = granularity.unwrap_or(Granularity::Daily);
        self.look(move |look| look.trends(period, granularity)).await
    }

    async fn report(&self, period: Option<Period>) -> Result<Report, Problem> {
        self.look(move |look| look.report(period.unwrap_or(Period::Month))).await
    }

    fn performance(&self) -> Performance {
        performance(&self.metrics.render())
    }
}

fn ask<T>(engine: &Engine, question: impl FnOnce(Look) -> Result<T, redb::Error>) -> Result<T, EngineError> {
    let snapshot = Arc::clone(&engine.snapshot());
    let (now, zone) = (engine.now(), engine.zone());
    engine.view(|view| question(Look { snapshot: &snapshot, view, now, zone }))
}

fn success<T>(data: T) -> Json<Success<T>> {
    Json(Success { status: "success", data })
}

fn open<T>(answer: T) -> Json<Open<T>> {
    Json(Open { status: "success", answer })
}

async fn summary(State(role): State<Analytics>, _: Query<NoParameters>) -> Answer<Success<Summary>> {
    role.look(|look| look.summary()).await.map(success)
}

async fn realtime(State(role): State<Analytics>, _: Query<NoParameters>) -> Answer<Success<Realtime>> {
    role.look(|look| look.realtime()).await.map(success)
}

async fn trends(State(role): State<Analytics>, Query(of): Query<OfTrends>) -> Answer<Open<Trends>> {
    role.trends(of.period, of.granularity).await.map(open)
}

async fn geographic(
    State(role): State<Analytics>,
    _: Query<NoParameters>,
) -> Answer<Open<Shares<CountryShare>>> {
    role.look(|look| look.countries()).await.map(open)
}

async fn threat_types(
    State(role): State<Analytics>,
    _: Query<NoParameters>,
) -> Answer<Open<Shares<ThreatShare>>> {
    role.look(|look| look.threats()).await.map(open)
}

async fn sources(State(role): State<Analytics>, Query(of): Query<OfPeriod>) -> Answer<Open<Sources>> {
    let period = of.period.unwrap_or(Period::Month);
    role.look(move |look| look.sources(period)).await.map(open)
}

async fn report(State(role): State<Analytics>, Query(of): Query<OfPeriod>) -> Answer<Report> {
    role.report(of.period).await.map(Json)
}

async fn process(State(role): State<Analytics>, _: Query<NoParameters>) -> Json<Success<Performance>> {
    success(role.performance())
}

async fn earlier_trends(State(role): State<Analytics>, Query(of): Query<OfEarlier>) -> Answer<Vec<TrendRow>> {
    role.trends(of.period, of.granularity).await.map(|trends| Json(trends.data))
}

async fn earlier_geographic(State(role): State<Analytics>) -> Answer<Vec<CountryShare>> {
    role.look(|look| look.countries()).await.map(|shares| Json(shares.data))
}

async fn earlier_threat_types(State(role): State<Analytics>) -> Answer<Vec<ThreatShare>> {
    role.look(|look| look.threats()).await.map(|shares| Json(shares.data))
}

async fn earlier_report(State(role): State<Analytics>, Query(of): Query<OfEarlier>) -> Answer<Report> {
    role.report(of.period).await.map(Json)
}

async fn earlier_realtime(State(role): State<Analytics>) -> Answer<Success<Realtime>> {
    role.look(|look| look.realtime()).await.map(success)
}

async fn earlier_process(State(role): State<Analytics>) -> Json<Success<Performance>> {
    success(role.performance())
}

#[cfg(test)]
mod tests;
