//! Where a device's lists are pushed to, what it is proven to enforce, and a push by hand.

use super::super::reason::{Removal, reason};
use super::super::reply::aside;
use super::{Publishing, Pushing, named, remnants};
use crate::engine::EngineError;
use crate::model::{OutputName, Time};
use crate::publish::push::{Mode, NotKept, NotNow, Proof, Report, Wish};
use crate::publish::{Trouble, Verify};
use crate::rights::Right;
use crate::web::Demand::Of;
use crate::web::{Caller, Json, Path, Problem, Routes};
use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const PATH: &str = "/api/v1/devices/{name}/push";
const REMNANTS: &str = "/api/v1/remnants";

impl Pushing {
    /// The routes.
    pub fn routes() -> Routes<Self> {
        let admin = Of(Right::Admin);
        Routes::new()
            .get(PATH, Of(Right::Read), show, "Shows what a device is proven to enforce.")
            .put(PATH, admin, set, "Says where and how a device is pushed to.")
            .delete(PATH, admin, remove, "Has a device pushed to no more.")
            .post(PATH, admin, now, "Pushes to a device at once.")
            .succeeds(&[202])
            .get(REMNANTS, Of(Right::Read), remnants::list, "Lists what was pushed and is pushed no more.")
            .post(
                "/api/v1/remnants/{id}/clear",
                admin,
                remnants::clear,
                "Empties a list on its firewall that is pushed no more.",
            )
            .delete(
                "/api/v1/remnants/{id}",
                admin,
                remnants::drop,
                "Forgets a list that is pushed no more, whatever its firewall has.",
            )
    }
}

/// A target and what is proven to be there. The key is not shown.
#[derive(Serialize, JsonSchema)]
pub(super) struct Row {
    url: String,
    vdom: Option<String>,
    verify: Option<Verify>,
    names: BTreeMap<OutputName, String>,
    mode: Mode,
    since: Time,
    lists: Vec<ListRow>,
}

#[derive(Serialize, JsonSchema)]
struct ListRow {
    feed: OutputName,
    /// The firewall's name of it.
    name: String,
    /// The generation of what is released, an empty list too; none before the first.
    released: Option<u64>,
    /// The firewall's last word.
    enforced: Option<Proof>,
    behind_since: Option<Time>,
    trouble: Option<Trouble>,
}

impl From<Report> for Row {
    fn from(Report { target, lists }: Report) -> Self {
        let one = |list: crate::publish::push::ListReport| ListRow {
            feed: list.feed,
            name: list.name,
            released: list.released,
            enforced: list.enforced,
            behind_since: list.behind_since,
            trouble: list.trouble,
        };
        Self {
            url: target.url.to_string(),
            vdom: target.vdom,
            verify: target.verify,
            names: target.names,
            mode: target.mode,
            since: target.since,
            lists: lists.into_iter().map(one).collect(),
        }
    }
}

async fn show(State(Pushing(role, _)): State<Pushing>, name: Path<String>) -> Result<Json<Row>, Problem> {
    let device = role.device(&named(name)?)?;
    let report = role.0.pushes().report(role.0.feeds(), &device);
    let none = || Problem::not_found("no_push_target", "Nothing is pushed to that device.");
    report.map(|report| Json(report.into())).ok_or_else(none)
}

async fn set(
    State(Pushing(role, pusher)): State<Pushing>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    Json(mut said): Json<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    let device = role.device(&named(name)?)?;
    let why = said.remove("reason");
    let why = reason(why.as_ref().and_then(Value::as_str))?;
    let wish = Wish::read(said).map_err(|why| Problem::unprocessable("body_shape", why))?;
    let audit = role.audit(&caller, "device.push.set", device.name.as_str(), &why);
    let name = device.name.clone();
    aside(move || pusher.set_target(&device, wish, &audit).map_err(not_kept)).await?;
    Ok(Json(done(&role, &name)))
}

fn not_kept(error: NotKept) -> Problem {
    match error {
        NotKept::Bad(bad) => Problem::unprocessable("bad_push_target", format!("{bad}.")),
        NotKept::Vault(error) => Problem::unavailable("vault", 60).detail(error.to_string()),
        NotKept::Disk(error) => EngineError::from(error).into(),
    }
}

async fn remove(
    State(Pushing(role, _)): State<Pushing>,
    Extension(caller): Extension<Caller>,
    name: Path<String>,
    removal: Removal,
) -> Result<Json<Value>, Problem> {
    let name = named(name)?;
    let audit = role.audit(&caller, "device.push.drop", name.as_str(), &removal.of_all()?);
    let (publisher, device) = (Arc::clone(&role.0), name.clone());
    aside(move || publisher.drop_target(&device, &audit).map_err(|error| EngineError::from(error).into()))
        .await?;
    Ok(Json(done(&role, &name)))
}

fn done(role: &Publishing, device: &OutputName) -> Value {
    json!({"status": "success", "warnings": remnants::warnings(role, device)})
}

async fn now(
    State(Pushing(role, pusher)): State<Pushing>,
    name: Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let device = role.device(&named(name)?)?;
    let refused = |why: NotNow| match why {
        NotNow::NoTarget => Problem::conflict("no_push_target", format!("{why}; PUT sets one.")),
        NotNow::Busy => Problem::conflict("push_running", format!("{why}.")),
    };
    pusher.push_now(&device.name).map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(json!({"status": "accepted"}))))
}
