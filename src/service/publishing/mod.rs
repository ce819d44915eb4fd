//! What people decide about publishing, and see of it: feeds, devices, holds, differences. The bytes themselves are
//! `feeds`'.

mod changes;
mod devices;
mod feeds;
mod holds;
mod push;
mod webhooks;

pub use holds::WHOLE;
pub(super) use holds::note;
pub use push::Pushing;
pub use webhooks::Hooking;

use super::reply::{actor, blocking};
use crate::engine::Engine;
use crate::model::{Batch, Cause, Change, Output, OutputKey, OutputName, Receipt};
use crate::publish::{Audit, Feed, Publisher};
use crate::web::{Caller, Json, Path, Problem};
use axum::Router;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// What the handlers share.
#[derive(Clone)]
pub struct Publishing(pub Arc<Publisher>);

impl Publishing {
    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/v1/feeds", get(feeds::list).post(feeds::add))
            .route("/api/v1/feeds/{name}", get(feeds::show).put(feeds::put).delete(feeds::remove))
            .route("/api/v1/feeds/{name}/report", get(feeds::report))
            .route("/api/v1/feeds/{name}/preview", post(feeds::preview))
            .route("/api/v1/devices", get(devices::list).post(devices::add))
            .route("/api/v1/devices/presets", get(devices::presets))
            .route("/api/v1/devices/{name}", get(devices::show).put(devices::put).delete(devices::remove))
            .route("/api/v1/devices/{name}/keys", post(devices::make_keys).delete(devices::drop_keys))
            .route("/api/v1/pulls", get(devices::pulls))
            .route("/api/v1/holds", get(holds::list))
            .route("/api/v1/holds/{id}/consent", post(holds::consent))
            .route("/api/v1/holds/{id}/reject", post(holds::reject))
            .route("/api/v1/audit", get(holds::audit))
            .route("/api/v1/changes", get(changes::since))
            .with_state(self)
    }

    fn engine(&self) -> &Engine {
        self.0.engine()
    }

    /// The generation of what is listed.
    pub(super) fn generation(&self) -> u64 {
        self.engine().snapshot().generation
    }

    fn feed(&self, name: &OutputName) -> Result<Arc<Feed>, Problem> {
        let feed = self.0.feeds().get(name.as_str());
        feed.ok_or_else(|| Problem::not_found("unknown_feed", format!("There is no feed {name}.")))
    }

    /// Submits a change, and brings the feeds there before anybody is told.
    async fn submit(&self, caller: &Caller, reason: String, change: Change) -> Result<Receipt, Problem> {
        let batch = Batch { id: Uuid::now_v7(), actor: actor(caller), reason, cause: Cause::Manual, change };
        let receipt = self.0.submit(batch).await?;
        let publisher = Arc::clone(&self.0);
        blocking(move || {
            publisher.refresh();
            Ok(())
        })
        .await?;
        Ok(receipt)
    }

    async fn publish(
        &self,
        caller: &Caller,
        reason: String,
        output: Output,
    ) -> Result<Json<Changed>, Problem> {
        let receipt = self.submit(caller, reason, Change::Publish(output)).await?;
        Ok(Json(Changed::by(receipt)))
    }

    async fn withdraw(
        &self,
        caller: &Caller,
        reason: String,
        key: OutputKey,
    ) -> Result<Json<Changed>, Problem> {
        let receipt = self.submit(caller, reason, Change::Withdraw(key)).await?;
        Ok(Json(Changed::by(receipt)))
    }

    pub(super) fn audit(&self, caller: &Caller, action: &str, subject: &str, reason: &str) -> Audit {
        Audit {
            at: self.engine().now(),
            actor: actor(caller),
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason: reason.to_owned(),
            detail: String::new(),
        }
    }
}

/// What a change came to.
#[derive(Serialize)]
struct Changed {
    status: &'static str,
    generation: u64,
    /// Whether anything differs from before.
    changed: bool,
    /// Addresses that are blocked no more, of a device's networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    frees: Option<u64>,
    /// What a device's budget leaves of its feeds, where it cuts something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cuts: Vec<devices::CutFeed>,
    /// What is odd, and may be meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl Changed {
    fn by(receipt: Receipt) -> Self {
        Self {
            status: "success",
            generation: receipt.generation,
            changed: receipt.unchanged == 0,
            frees: None,
            cuts: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// A name in a path.
fn named(Path(name): Path<String>) -> Result<OutputName, Problem> {
    name.parse().map_err(|error| Problem::not_found("unknown_output", format!("{error}.")))
}

/// The fields of a thing that somebody wishes for; they are its type's to judge.
type Fields = serde_json::Map<String, serde_json::Value>;

/// The thing of these fields, named as the path says; none is a name in the body. And the reason for it.
fn read<T: serde::de::DeserializeOwned>(
    fields: Fields,
    reason: &str,
    name: Option<&OutputName>,
) -> Result<(T, String), Problem> {
    let (fields, reason) = (name_in(fields, name)?, super::reason::reason(Some(reason))?);
    let read = serde_json::from_value(fields.into());
    read.map(|thing| (thing, reason))
        .map_err(|error| Problem::unprocessable("body_shape", format!("{error}.")))
}

/// The fields, the name among them.
fn name_in(mut fields: Fields, name: Option<&OutputName>) -> Result<Fields, Problem> {
    let Some(name) = name else { return Ok(fields) };
    let said = fields.insert("name".into(), name.as_str().into());
    if said.is_some_and(|said| said != name.as_str()) {
        return Err(Problem::unprocessable("name_mismatch", "The path and the body name different things."));
    }
    Ok(fields)
}

/// Why something is made anew.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: String,
}

#[cfg(test)]
mod tests;
