//! The only door to the outside: it finds the role that answers a request and passes it on.
//!
//! Architecture invariant: it knows the roles' names and paths, and nothing of what they answer. A role in
//! this process is a call away, a role elsewhere an HTTP request; nobody behind the door sees which.

mod both;
mod breaker;
mod buckets;
mod budget;
mod bulkhead;
mod cache;
mod door;
mod hop;
mod instance;
mod limits;
mod overload;
mod pool;
mod quota;
mod routes;
mod survey;
mod tls;
mod upstream;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

pub use cache::Generation;
pub use instance::UpstreamError;
pub use limits::{BadRate, Class, Rate, Rates};
pub use pool::{Balance, Remote, Way};
pub use tls::{TlsError, UpstreamTls};
pub use upstream::Upstream;
pub use watch::watch;

use crate::rights::Right;
use crate::web::app::Route;
use crate::web::entrance::Entrance;
use crate::web::metrics::{self, Metrics};
use crate::web::tls::{Secured, Tls};
use crate::web::{App, Body, Caller, Json, Problem, Request, Response, Role, auth::Guard};
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use cache::Cache;
use door::Door;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use survey::Survey;
use upstream::Place;

/// Where each role is.
pub type Upstreams = BTreeMap<Role, Upstream>;

/// What holds at the door.
#[derive(Clone, Default)]
pub struct Rules {
    /// How often one caller may ask for what.
    pub rates: Rates,
    /// Bytes that answers may take which are kept for others who ask the same.
    pub cache: u64,
    /// The generation of the blacklist, where it is in this process.
    pub generation: Option<Generation>,
    /// What stands before the port.
    pub entrance: Arc<Entrance>,
    /// The TLS of this process's ports, for health.
    pub tls: Option<Arc<Tls>>,
}

/// What the router needs.
#[derive(Clone)]
struct Desk {
    upstreams: Arc<Upstreams>,
    cache: Arc<Cache>,
    survey: Arc<Survey>,
}

/// The application of the gateway's port. Changes need what `guard` demands; look-ups and feeds of roles in
/// this process are answered without the router.
pub fn app(upstreams: Arc<Upstreams>, guard: Option<Guard>, rules: Rules, all: &Arc<Metrics>) -> Arc<App> {
    let door = Door::new(&rules.rates, all);
    let desk = Desk {
        cache: Arc::new(Cache::new(rules.cache, rules.generation, all)),
        survey: Arc::new(Survey::new(Arc::clone(&upstreams), rules.tls)),
        upstreams: Arc::clone(&upstreams),
    };
    let router = Router::new()
        .route("/", any(pass_on))
        .route("/{*path}", any(pass_on))
        .route(both::PATHS[0], get(both::list))
        .route(both::PATHS[1], get(both::list))
        .route("/health", get(async |State(desk): State<Desk>| desk.survey.health().await))
        .route("/ready", get(async |State(desk): State<Desk>| desk.survey.readiness().await))
        .route("/admin/services", get(services))
        .route("/admin/cache/clear", post(clear_cache))
        .with_state(desk)
        .merge(metrics::routes(Arc::clone(all)));
    // How long a body may be is for its role to say.
    let app = App::new(Role::Gateway, router, all)
        .body_limit("/", u64::MAX)
        .entrance(&rules.entrance)
        .door(move |request, caller| door.admit(request, caller))
        .fast("/{*path}", move |request, _, caller| answer_at_once(&upstreams, request, caller));
    Arc::new(match guard {
        Some(guard) => app.guard(guard),
        None => app,
    })
}

fn answer_at_once(upstreams: &Upstreams, request: &Request, caller: &Caller) -> Option<Response> {
    let (_, role) = routes::find(request.uri().path())?;
    match upstreams.get(&role)?.place() {
        Place::Local(app) => app.try_fast(request, caller),
        Place::Remote(_) => None,
    }
}

async fn pass_on(
    State(desk): State<Desk>,
    axum::Extension(caller): axum::Extension<Caller>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let mut request: Request = request.map(Body::from);
    // What this router found in the path is none of the next one's business: axum keeps it here.
    let secured = request.extensions_mut().remove::<Secured>();
    request.extensions_mut().clear();
    if let Some(secured) = secured {
        request.extensions_mut().insert(secured);
    }
    routes::rewrite(&mut request);
    let path = request.uri().path();
    let (prefix, role) = routes::find(path)
        .ok_or_else(|| Problem::not_found("unknown_path", "There is nothing at this path."))?;
    let mut response = desk.cache.answer(&desk.upstreams, role, request, &caller).await?;
    response.extensions_mut().insert(Route(Cow::Borrowed(prefix)));
    Ok(response)
}

async fn services(
    State(desk): State<Desk>,
    axum::Extension(caller): axum::Extension<Caller>,
) -> Result<impl IntoResponse, Problem> {
    caller.demand(Right::Admin)?;
    Ok(desk.survey.services().await)
}

async fn clear_cache(
    State(desk): State<Desk>,
    axum::Extension(caller): axum::Extension<Caller>,
) -> Result<impl IntoResponse, Problem> {
    caller.demand(Right::Admin)?;
    let cleared = desk.cache.clear();
    Ok(Json(serde_json::json!({"status": "success", "cleared": cleared})))
}
