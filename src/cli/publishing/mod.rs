//! `ironlist feeds`, `device` and `webhook`: what is published, to whom, and who is told.

mod devices;
mod feeds;
mod push;
mod webhooks;

pub(super) use devices::{DeviceCommand, device};
pub(super) use feeds::{FeedsCommand, feeds};
pub(super) use webhooks::{WebhookCommand, webhook};

use super::door::{Door, json};
use crate::web::Body;
use anyhow::Context;
use http::Method;
use serde_json::{Map, Value};
use std::path::Path;

/// A table of a configuration file as what the API takes.
fn document(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    toml::from_str(&text).with_context(|| file.display().to_string())
}

/// Sends a document with PUT, and takes one.
async fn put(door: &Door, path: &str, document: &Value) -> anyhow::Result<Value> {
    json(door.ask(Method::PUT, path, "application/json", Body::full(document.to_string())).await?).await
}

/// Says a field only where something is said.
fn say(document: &mut Map<String, Value>, key: &str, value: Value) {
    let is_nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    if !is_nothing {
        document.insert(key.to_owned(), value);
    }
}
