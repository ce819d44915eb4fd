//! What people decide about publishing, and see of it: feeds, devices, holds, differences. The bytes themselves are
//! `feeds`'.

mod changes;
mod devices;
mod feeds;
mod holds;
mod push;
mod remnants;
mod webhooks;

pub(super) use holds::note;
pub use webhooks::Hooking;

use super::reply::{actor, blocking};
use crate::engine::Engine;
use crate::model::{Batch, Cause, Change, Device, Output, OutputKey, OutputName, Receipt};
use crate::publish::push::Pusher;
use crate::publish::{Audit, Feed, Publisher};
use crate::rights::Right;
use crate::service::{AUDIT, HOLDS};
use crate::web::Demand::Of;
use crate::web::sketch::shape;
use crate::web::{Caller, Json, Path, Problem, Routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// What the handlers share.
#[derive(Clone)]
pub struct Publishing(pub Arc<Publisher>);

/// What the handlers of pushes share.
#[derive(Clone)]
pub struct Pushing(pub Publishing, pub Arc<Pusher>);

impl Publishing {
    /// The routes.
    pub fn routes() -> Routes<Self> {
        let (reads, writes, admin) = (Of(Right::Read), Of(Right::Write), Of(Right::Admin));
        Routes::new()
            .get("/api/v1/feeds", reads, feeds::list, "Lists the feeds and how they fare.")
            .post("/api/v1/feeds", admin, feeds::add, "Sets a feed up.")
            .get("/api/v1/feeds/{name}", reads, feeds::show, "Shows a feed and how it fares.")
            .put("/api/v1/feeds/{name}", admin, feeds::put, "Sets a feed up, or changes it.")
            .delete("/api/v1/feeds/{name}", admin, feeds::remove, "Takes a feed away.")
            .get(
                "/api/v1/feeds/{name}/report",
                reads,
                feeds::report,
                "Says what of a feed was cut or held back, and who has which generation.",
            )
            .post(
                "/api/v1/feeds/{name}/preview",
                writes,
                feeds::preview,
                "Works out what a feed would list, for its next generation or another profile.",
            )
            .get("/api/v1/devices", reads, devices::list, "Lists the devices and what they have.")
            .post("/api/v1/devices", admin, devices::add, "Sets a device up.")
            .get(
                "/api/v1/devices/presets",
                reads,
                devices::presets,
                "Lists what is known of makes of devices.",
            )
            .get("/api/v1/devices/{name}", reads, devices::show, "Shows a device and what it has.")
            .put("/api/v1/devices/{name}", admin, devices::put, "Sets a device up, or changes it.")
            .delete("/api/v1/devices/{name}", admin, devices::remove, "Takes a device away, with its keys.")
            .post(
                "/api/v1/devices/{name}/keys",
                admin,
                devices::make_keys,
                "Makes new keys for a device, shown this once.",
            )
            .delete("/api/v1/devices/{name}/keys", admin, devices::drop_keys, "Takes a device's keys away.")
            .get("/api/v1/pulls", reads, devices::pulls, "Lists who read what last.")
            .get(HOLDS, reads, holds::list, "Lists what is kept back from feeds.")
            .post("/api/v1/holds/{id}/consent", admin, holds::consent, "Releases what is kept back.")
            .post("/api/v1/holds/{id}/reject", admin, holds::reject, "Has a feed stay as it is.")
            .get(AUDIT, admin, holds::audit, "Lists who did what, and why.")
            .get(
                "/api/v1/changes",
                reads,
                changes::since,
                "Says what a feed's list changed since a generation, or follows it as events.",
            )
            .shows(shape::<changes::Told<'static>>)
            .writes(&["application/x-ndjson", "text/event-stream"])
            .refuses(&[404, 410, 422])
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

    fn device(&self, name: &OutputName) -> Result<Device, Problem> {
        let snapshot = self.engine().snapshot();
        let device = snapshot.devices().find(|device| device.name == *name).cloned();
        device.ok_or_else(|| Problem::not_found("unknown_device", format!("There is no device {name}.")))
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
#[derive(Serialize, JsonSchema)]
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
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: String,
}

#[cfg(test)]
mod tests;
