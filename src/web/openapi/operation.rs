//! One operation of the document: its parameters, its body, and everything that it may answer.

use super::{Place, Shapes};
use crate::rights::Right;
use crate::web::role::Role;
use crate::web::routes::{Demand, Row};
use crate::web::sketch::Shape;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The statuses of problems, and when they come.
const PROBLEMS: [(u16, &str); 19] = [
    (400, "The request is not understood."),
    (401, "A key or login is missing, wrong or over."),
    (403, "It is known who asks, and this is not for them."),
    (404, "There is no such thing."),
    (406, "What is asked for is in none of the accepted forms."),
    (408, "The body came too slowly."),
    (409, "It does not fit what is there now."),
    (410, "It was there, and is no more."),
    (412, "A condition of the request does not hold."),
    (413, "The body is too long."),
    (415, "The body is of a type that is not taken."),
    (416, "No such part."),
    (422, "The body is understood, and cannot be done."),
    (429, "Too much was asked for; Retry-After says when to come again."),
    (500, "A bug; it is in the log."),
    (502, "The role behind the gateway broke off."),
    (503, "It cannot be done now; Retry-After says when to try again."),
    (504, "The role behind the gateway took too long."),
    (507, "The disk is full."),
];

/// What every operation may answer.
const ALWAYS: [u16; 6] = [400, 401, 429, 500, 502, 503];
/// What one that takes a body may answer beside that.
const OF_BODY: [u16; 4] = [408, 413, 415, 422];
/// What one that changes something may answer beside that.
const OF_CHANGE: [u16; 3] = [409, 422, 507];

/// The answers of problems, by the names under which operations refer to them.
pub(super) fn problems() -> Value {
    let one = |(status, description): &(u16, &str)| {
        let answer = json!({
            "description": description,
            "headers": { "X-Request-ID": { "$ref": "#/components/headers/request_id" } },
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        (format!("problem_{status}"), answer)
    };
    Value::Object(PROBLEMS.iter().map(one).collect())
}

/// An operation that `rows` serve, one of each role that does.
pub(super) fn operation(
    path: &str,
    method: &str,
    rows: &[(Role, &Row)],
    places: &[Place],
    shapes: &mut Shapes,
) -> Value {
    let all: Vec<&Row> = rows.iter().map(|(_, row)| *row).collect();
    let first = all[0];
    let mut told = json!({
        "operationId": name(path, method),
        "summary": first.text,
        "tags": rows.iter().map(|(role, _)| role.name()).collect::<BTreeSet<_>>(),
        "security": security(first.demand),
        "x-right": first.demand.to_string(),
        "responses": answers(path, method, &all, shapes),
    });
    let parameters = parameters(path, &all, places, shapes);
    if !parameters.is_empty() {
        told["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = body(&all, shapes) {
        told["requestBody"] = body;
    }
    told
}

/// The method and the path's words, as one.
fn name(path: &str, method: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    let slash = if path.len() > 1 && path.ends_with('/') { "Slash" } else { "" };
    format!("{method}{}{slash}", words.map(capital).collect::<String>())
}

fn security(demand: Demand) -> Value {
    let somebody = json!([{ "bearer": [] }, { "key": [] }, { "certificate": [] }]);
    let anybody = json!([{}, { "bearer": [] }, { "key": [] }, { "certificate": [] }]);
    match demand {
        Demand::Nothing => json!([]),
        Demand::Own => json!([{}, { "bearer": [] }, { "key": [] }, { "device": [] }]),
        Demand::Of(Right::Check | Right::Metrics) | Demand::Open(_) | Demand::Earlier(_) => anybody,
        Demand::Of(_) | Demand::Installation => somebody,
    }
}

fn parameters(path: &str, rows: &[&Row], places: &[Place], shapes: &mut Shapes) -> Vec<Value> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut all: Vec<Value> = names
        .map(|name| {
            let place = places.iter().find(|(known, ..)| *known == name);
            let (_, description, kind, example) = place.copied().unwrap_or((name, "", "string", ""));
            json!({
                "name": name, "in": "path", "required": true, "description": description,
                "schema": { "type": kind }, "example": example_of(kind, example),
            })
        })
        .collect();
    let mut known = BTreeSet::new();
    for query in rows.iter().filter_map(|row| row.sketch.query) {
        let schema = query(&mut shapes.requests);
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let members = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, mut shape) in members {
            if !known.insert(name.clone()) {
                continue;
            }
            let description = shape.as_object_mut().and_then(|shape| shape.remove("description"));
            all.push(json!({
                "name": name, "in": "query", "required": required.contains(&json!(name)),
                "description": description.unwrap_or_default(), "schema": without_null(shape),
            }));
        }
    }
    all
}

fn example_of(kind: &str, text: &str) -> Value {
    if kind == "integer" { json!(text.parse::<u64>().unwrap_or_default()) } else { json!(text) }
}

/// A parameter is there or not; it is never null.
fn without_null(mut shape: Value) -> Value {
    if let Some(kinds) = shape.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [kind] = &kinds[..] {
            shape["type"] = kind.clone();
        }
    }
    if let Some(any) = shape.get_mut("anyOf").and_then(Value::as_array_mut) {
        any.retain(|one| *one != json!({ "type": "null" }));
        if let [one] = &any[..] {
            return one.clone();
        }
    }
    shape
}

fn body(rows: &[&Row], shapes: &mut Shapes) -> Option<Value> {
    let kinds = media(rows.iter().map(|row| &row.sketch.body), &mut shapes.requests);
    (!kinds.is_empty()).then(|| json!({ "required": true, "content": kinds }))
}

fn answers(path: &str, method: &str, rows: &[&Row], shapes: &mut Shapes) -> Value {
    let content = media(rows.iter().map(|row| &row.sketch.answer), &mut shapes.answers);
    let good: BTreeSet<u16> = rows.iter().flat_map(|row| good(row)).collect();
    let mut all = Map::new();
    for status in good {
        let mut answer = json!({
            "description": if status == 304 { "Nothing has changed." } else { "Done." },
            "headers": { "X-Request-ID": { "$ref": "#/components/headers/request_id" } },
        });
        if !content.is_empty() && !matches!(status, 204 | 304) {
            answer["content"] = Value::Object(content.clone());
        }
        all.insert(status.to_string(), answer);
    }
    for status in bad(path, method, rows) {
        all.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/problem_{status}") }));
    }
    Value::Object(all)
}

fn good(row: &Row) -> Vec<u16> {
    if row.sketch.good.is_empty() { vec![200] } else { row.sketch.good.to_vec() }
}

fn bad(path: &str, method: &str, rows: &[&Row]) -> BTreeSet<u16> {
    let mut all: BTreeSet<u16> =
        ALWAYS.into_iter().chain(rows.iter().flat_map(|row| row.sketch.bad).copied()).collect();
    if rows.iter().any(|row| row.demand != Demand::Nothing) {
        all.insert(403);
    }
    if path.contains('{') {
        all.insert(404);
    }
    if rows.iter().any(|row| !row.sketch.body.is_empty()) {
        all.extend(OF_BODY);
    }
    if method != "get" {
        all.extend(OF_CHANGE);
    }
    all.insert(504);
    let good: BTreeSet<u16> = rows.iter().flat_map(|row| good(row)).collect();
    all.retain(|status| !good.contains(status));
    all
}

/// The media types of all, each with any of its shapes.
fn media<'r>(
    all: impl Iterator<Item = &'r BTreeMap<&'static str, Option<Shape>>>,
    generator: &mut SchemaGenerator,
) -> Map<String, Value> {
    let mut kinds = BTreeMap::<&str, Vec<Value>>::new();
    for (kind, shape) in all.flatten() {
        let schema = match shape {
            Some(shape) => shape(generator).to_value(),
            None => unshaped(kind),
        };
        let known = kinds.entry(kind).or_default();
        if !known.contains(&schema) {
            known.push(schema);
        }
    }
    let told = |(kind, mut schemas): (&str, Vec<Value>)| {
        let schema = if schemas.len() > 1 { json!({ "anyOf": schemas }) } else { schemas.remove(0) };
        (kind.to_owned(), json!({ "schema": schema }))
    };
    kinds.into_iter().map(told).collect()
}

/// What can be said of a type that has no shape.
fn unshaped(kind: &str) -> Value {
    match kind {
        "multipart/form-data" => json!({
            "type": "object", "required": ["file"], "additionalProperties": false,
            "properties": { "file": { "type": "string", "contentMediaType": "application/octet-stream" } },
        }),
        kind if kind.contains("json") && !kind.contains("nd") => json!({}),
        _ => json!({ "type": "string" }),
    }
}
