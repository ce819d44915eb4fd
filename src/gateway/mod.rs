//! The only door to the outside: it finds the role that answers a request and passes it on.
//!
//! Architecture invariant: it knows the roles' names and paths, and nothing of what they answer. A role in
//! this process is a call away, a role elsewhere an HTTP request; nobody behind the door sees which.

mod both;
mod routes;
mod survey;
mod upstream;

#[cfg(test)]
mod tests;

pub use upstream::{Remote, Upstream, UpstreamError};

use crate::rights::Right;
use crate::web::app::Route;
use crate::web::entrance::Entrance;
use crate::web::metrics::{self, Metrics};
use crate::web::tls::Secured;
use crate::web::{App, Body, Caller, Problem, Request, Response, Role, auth::Guard};
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use survey::Survey;

/// Where each role is.
pub type Upstreams = BTreeMap<Role, Upstream>;

/// The application of the gateway's port. Changes need what `guard` demands; look-ups and feeds of roles in
/// this process are answered without the router.
pub fn app(
    upstreams: Upstreams,
    guard: Option<Guard>,
    entrance: &Arc<Entrance>,
    all: &Arc<Metrics>,
) -> Arc<App> {
    let upstreams = Arc::new(upstreams);
    let survey = Arc::new(Survey::new(Arc::clone(&upstreams)));
    let router = Router::new()
        .route("/", any(pass_on))
        .route("/{*path}", any(pass_on))
        .route(both::PATHS[0], get(both::list))
        .route(both::PATHS[1], get(both::list))
        .with_state(Arc::clone(&upstreams))
        .merge(survey_routes(survey))
        .merge(metrics::routes(Arc::clone(all)));
    // How long a body may be is for its role to say.
    let app = App::new(Role::Gateway, router, all)
        .body_limit("/", u64::MAX)
        .entrance(entrance)
        .fast("/{*path}", move |request, _, caller| answer_at_once(&upstreams, request, caller));
    Arc::new(match guard {
        Some(guard) => app.guard(guard),
        None => app,
    })
}

fn answer_at_once(upstreams: &Upstreams, request: &Request, caller: &Caller) -> Option<Response> {
    let (_, role) = routes::find(request.uri().path())?;
    match upstreams.get(&role)? {
        Upstream::Local(app) => app.try_fast(request, caller),
        Upstream::Remote(_) => None,
    }
}

async fn pass_on(
    State(upstreams): State<Arc<Upstreams>>,
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
    let upstream = upstreams.get(&role).ok_or_else(|| {
        Problem::unavailable("role_missing", 30).detail(format!("The {} role is not set up.", role.name()))
    })?;
    let mut response = upstream.call(request, caller.peer).await?;
    response.extensions_mut().insert(Route(Cow::Borrowed(prefix)));
    Ok(response)
}

fn survey_routes(survey: Arc<Survey>) -> Router {
    Router::new()
        .route("/health", get(async |State(survey): State<Arc<Survey>>| survey.health().await))
        .route("/ready", get(async |State(survey): State<Arc<Survey>>| survey.readiness().await))
        .route("/admin/services", get(services))
        .with_state(survey)
}

async fn services(
    State(survey): State<Arc<Survey>>,
    axum::Extension(caller): axum::Extension<Caller>,
) -> Result<impl IntoResponse, Problem> {
    caller.demand(Right::Admin)?;
    Ok(survey.services().await)
}
