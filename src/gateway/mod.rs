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
use crate::web::auth::Guard;
use crate::web::docs::Docs;
use crate::web::entrance::Entrance;
use crate::web::metrics::{self, Metrics};
use crate::web::openapi::Chapter;
use crate::web::tls::Secured;
use crate::web::{App, Body, Caller, Demand, Json, Problem, Request, Response, Role, Routes};
use axum::extract::State;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use survey::{Places, Survey};

/// Where each role is.
pub type Upstreams = BTreeMap<Role, Upstream>;

/// The application of the gateway's port, before roles that judge for themselves what is passed on to them; `docs` tell of
/// what is served there. Look-ups and feeds of roles in this process are answered without the router.
pub fn app(
    upstreams: Upstreams,
    guard: Guard,
    entrance: &Arc<Entrance>,
    all: &Arc<Metrics>,
    docs: Arc<Docs>,
) -> Arc<App> {
    let upstreams = Arc::new(upstreams);
    let survey = Arc::new(Survey::new(Arc::clone(&upstreams)));
    let guard = guard.leaving(&docs.rows());
    let routes = own_routes()
        .otherwise(pass_on)
        .with_state(Arc::clone(&upstreams))
        .merge(survey_routes().with_state(survey))
        .merge(metrics::routes().with_state(Arc::clone(all)))
        .merge(Docs::routes().with_state(docs));
    // How long a body may be is for its role to say, and so is what it asks of its caller.
    let app = App::new(Role::Gateway, routes, all).body_limit("/", u64::MAX).fast(
        "/{*path}",
        Demand::Nothing,
        move |request, _, caller| answer_at_once(&upstreams, request, caller),
    );
    Arc::new(app.entrance(entrance).guard(guard))
}

/// What the gateway serves: its own routes, and those of `behind` that it passes on.
pub fn chapters(behind: Vec<Chapter>) -> Vec<Chapter> {
    let own = [
        own_routes().into_rows(),
        survey_routes().into_rows(),
        metrics::routes().into_rows(),
        Docs::routes().into_rows(),
    ];
    let passed = behind.into_iter().map(|Chapter { role, mut rows }| {
        rows.retain(|row| routes::find(row.path).is_some());
        Chapter { role, rows }
    });
    [Chapter { role: Role::Gateway, rows: own.concat() }].into_iter().chain(passed).collect()
}

fn own_routes() -> Routes<Arc<Upstreams>> {
    let [holds, audit] = both::PATHS;
    let feed = "The usual feed, where the earlier system's door had it.";
    let [usual, active] = routes::EARLIER.map(|(earlier, _)| earlier);
    Routes::new()
        .get(usual, Demand::Own, pass_on, feed)
        .get(active, Demand::Own, pass_on, feed)
        .get(holds, Demand::Of(Right::Read), both::list, "Lists what is kept back, of sources and of feeds.")
        .get(audit, Demand::Of(Right::Admin), both::list, "Lists who did what, and why.")
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

fn survey_routes() -> Routes<Arc<Survey>> {
    let health = async |State(survey): State<Arc<Survey>>| survey.health().await;
    let ready = async |State(survey): State<Arc<Survey>>| survey.readiness().await;
    Routes::new()
        .get("/health", Demand::Nothing, health, "Says what works, what does not, and what cures it.")
        .get("/ready", Demand::Nothing, ready, "Says whether requests may be sent here.")
        .get("/admin/services", Demand::Of(Right::Admin), services, "Shows where the roles are.")
}

async fn services(State(survey): State<Arc<Survey>>) -> Json<Places> {
    survey.services().await
}
