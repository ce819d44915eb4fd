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
mod whose;
mod wire;

#[cfg(test)]
mod tests;

pub use cache::Generation;
pub use instance::{UpstreamError, Way};
pub use limits::{BadRate, Class, Rate, Rates};
pub use pool::{Balance, Remote};
pub use upstream::Upstream;
pub use watch::watch;

use crate::rights::Right;
use crate::web::auth::Guard;
use crate::web::body::SHORT;
use crate::web::docs::Docs;
use crate::web::entrance::Entrance;
use crate::web::metrics::{self, Metrics};
use crate::web::openapi::Chapter;
use crate::web::routes::Templates;
use crate::web::spans::Spans;
use crate::web::tls::{Secured, Tls, UpstreamTls};
use crate::web::{App, Body, Caller, Demand, Json, Problem, Request, Response, Role, Routes};
use axum::Extension;
use axum::extract::State;
use cache::Cache;
use door::Door;
use futures_util::FutureExt;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use survey::{Places, Survey};
use upstream::Place;

/// Where each role is.
pub type Upstreams = BTreeMap<Role, Upstream>;

/// What holds at the door.
#[derive(Clone, Default)]
pub struct Rules {
    /// How often one caller may ask for what.
    pub rates: Rates,
    /// Whether callers are turned away while there is more to do than can be done.
    pub sheds: bool,
    /// Bytes that answers may take which are kept for others who ask the same.
    pub cache: u64,
    /// The generation of the blacklist, where it is in this process.
    pub generation: Option<Generation>,
    /// What stands before the port.
    pub entrance: Arc<Entrance>,
    /// The TLS of this process's ports, for health.
    pub tls: Option<Arc<Tls>>,
    /// What instances elsewhere are shown, for health.
    pub shown: Option<UpstreamTls>,
    /// Where what is kept of requests goes.
    pub spans: Option<Spans>,
}

/// What the router needs.
#[derive(Clone)]
struct Desk {
    upstreams: Arc<Upstreams>,
    door: Arc<Door>,
    cache: Arc<Cache>,
    survey: Arc<Survey>,
}

/// The application of the gateway's port, before roles that judge for themselves what is passed on to them; `docs` tell of
/// what is served there. Look-ups and feeds of roles in this process are answered without the router.
pub fn app(
    upstreams: Arc<Upstreams>,
    guard: Guard,
    rules: Rules,
    all: &Arc<Metrics>,
    docs: Arc<Docs>,
) -> Arc<App> {
    let door = Arc::new(Door::new(&rules, all));
    let desk = Desk {
        cache: Arc::new(Cache::new(rules.cache, rules.generation, all)),
        survey: Arc::new(Survey::new(Arc::clone(&upstreams), rules.tls, rules.shown)),
        upstreams: Arc::clone(&upstreams),
        door: Arc::clone(&door),
    };
    let rows = docs.rows();
    let (guard, templates) = (guard.leaving(&rows), Templates::of(&rows));
    let routes = own_routes()
        .with_state(desk.clone())
        .merge(metrics::routes().with_state(Arc::clone(all)))
        .merge(Docs::routes().with_state(docs));
    let [admitting, denying, doubting] = [&door, &door, &door].map(Arc::clone);
    // How long a body may be is for its role to say, and so is what it asks of its caller; but nobody holds a role's place
    // with a login that never ends.
    let app = App::new(Role::Gateway, routes, all)
        .body_limit(routes::AUTH, SHORT)
        .body_limit("/", u64::MAX)
        .entrance(&rules.entrance)
        .spans(rules.spans)
        .door(
            move |request, caller| admitting.admit(request, caller),
            move |caller| denying.deny(caller),
            move |caller| doubting.doubt(caller),
        )
        .passing(
            move |request| {
                let (prefix, _) = routes::find(request.uri().path())?;
                Some(templates.find(request.uri().path()).unwrap_or(prefix))
            },
            move |request, caller| pass_on(desk.clone(), request, caller).boxed(),
        );
    Arc::new(with_fast_paths(app, &upstreams, &door).guard(guard))
}

/// What the gateway serves: its own routes, and those of `behind` that it passes on.
pub fn chapters(behind: Vec<Chapter>) -> Vec<Chapter> {
    let own = [own_routes().into_rows(), metrics::routes().into_rows(), Docs::routes().into_rows()];
    let passed = behind.into_iter().map(|Chapter { role, mut rows }| {
        rows.retain(|row| routes::find(row.path).is_some());
        Chapter { role, rows }
    });
    [Chapter { role: Role::Gateway, rows: own.concat() }].into_iter().chain(passed).collect()
}

fn own_routes() -> Routes<Desk> {
    let [holds, audit] = both::PATHS;
    let feed = "The usual feed, where the earlier system's door had it.";
    let [usual, active] = routes::EARLIER.map(|(earlier, _)| earlier);
    let (nothing, admin) = (Demand::Nothing, Demand::Of(Right::Admin));
    let health =
        async |State(desk): State<Desk>, caller: Extension<Caller>| desk.survey.health(&caller).await;
    let ready = async |State(desk): State<Desk>| desk.survey.readiness().await;
    Routes::new()
        .get(usual, Demand::Own, earlier, feed)
        .get(active, Demand::Own, earlier, feed)
        .get(holds, Demand::Of(Right::Read), both::list, "Lists what is kept back, of sources and of feeds.")
        .get(audit, admin, both::list, "Lists who did what, and why.")
        .get("/health", nothing, health, "Says what works, what does not, and what cures it.")
        .get("/ready", nothing, ready, "Says whether requests may be sent here.")
        .get("/admin/services", admin, services, "Shows where the roles are.")
        .post("/admin/cache/clear", admin, clear_cache, "Forgets the answers that are kept.")
}

/// What roles in this process know by heart is a call away.
fn with_fast_paths(app: App, upstreams: &Upstreams, door: &Arc<Door>) -> App {
    let local = upstreams.values().filter_map(|upstream| match upstream.place() {
        Place::Local(role) => Some(role),
        Place::Remote(_) => None,
    });
    let paths = local.flat_map(|role| role.fast_templates().map(move |template| (template, role)));
    paths.filter(|(template, _)| routes::find(template).is_some()).fold(app, |app, (template, role)| {
        let (role, door) = (Arc::clone(role), Arc::clone(door));
        app.fast(template, Demand::Nothing, move |request, _, caller| {
            let answer = role.try_fast(request, caller)?;
            door.note(Door::reader(request, caller), answer.status());
            Some(answer)
        })
    })
}

/// A path of the earlier system's door, which has another name today.
async fn earlier(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
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
    pass_on(desk, request, caller).await
}

async fn pass_on(desk: Desk, request: Request, caller: Caller) -> Result<Response, Problem> {
    let (_, role) = routes::find(request.uri().path())
        .ok_or_else(|| Problem::not_found("unknown_path", "There is nothing at this path."))?;
    let reader = Door::reader(&request, &caller);
    let response = desk.cache.answer(&desk.upstreams, role, request, &caller).await?;
    desk.door.note(reader, response.status());
    Ok(response)
}

async fn services(State(desk): State<Desk>) -> Json<Places> {
    desk.survey.services().await
}

/// How many answers were forgotten.
#[derive(Serialize, JsonSchema)]
struct Cleared {
    status: &'static str,
    cleared: u64,
}

async fn clear_cache(State(desk): State<Desk>) -> Json<Cleared> {
    Json(Cleared { status: "success", cleared: desk.cache.clear() })
}
