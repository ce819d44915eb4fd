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
use anyhow::{Context, bail};
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::Path;

/// A table of a configuration file as what the API takes.
fn document(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    toml::from_str(&text).with_context(|| file.display().to_string())
}

/// A word of the command line that is to be what the API takes for a `T`; else clap says what is meant.
pub(super) fn valid<T: DeserializeOwned>(text: &str) -> Result<String, String> {
    let read = serde_json::from_value::<T>(Value::from(text));
    read.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// What is said of a thing that is there, over what it is: what nobody says stays. `usual` is one of the kind, whose
/// fields are those that can be said; `clear` names fields that are to be as usual first, as in `filter.countries`.
async fn changed(
    door: &Door,
    path: &str,
    usual: &impl Serialize,
    clear: &[String],
    said: Map<String, Value>,
) -> anyhow::Result<Value> {
    let shown = door.get(path).await?;
    let Value::Object(mut now) = serde_json::to_value(usual)? else { bail!("it has no fields") };
    now.iter_mut().for_each(|(name, field)| *field = shown[name].clone());
    let mut now = Value::Object(now);
    for name in clear {
        let (outer, last) = name.rsplit_once('.').map_or(("", name.as_str()), |(outer, last)| (outer, last));
        let pointer = if outer.is_empty() { String::new() } else { format!("/{}", outer.replace('.', "/")) };
        let table = now.pointer_mut(&pointer).and_then(Value::as_object_mut);
        table
            .and_then(|table| table.remove(last))
            .with_context(|| format!("--clear {name}: there is no such field"))?;
    }
    lay_over(&mut now, Value::Object(said));
    Ok(now)
}

/// Tables are laid over each other field by field; anything else takes the place of what was there.
fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, field) in above {
                lay_over(below.entry(name).or_insert(Value::Null), field);
            }
        }
        (below, above) => *below = above,
    }
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
