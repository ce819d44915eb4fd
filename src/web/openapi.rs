//! The document of what a port serves (OpenAPI 3.1), made from its routes: their rows, and the types of their handlers.
//!
//! Statuses that every operation has are said here, once. It must not know what operations mean.

mod operation;

use super::role::Role;
use super::routes::Row;
use operation::operation;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What stands between braces in paths: its name, what it is, its type, and an example.
pub type Place = (&'static str, &'static str, &'static str, &'static str);

/// Routes of one role.
pub struct Chapter {
    /// The role, as a tag.
    pub role: Role,
    /// Its routes.
    pub rows: Vec<Row>,
}

/// Makes schemas: those of answers are named, so that each is told once; those of requests are small and stand where
/// they are used, because what must be there differs between the two.
struct Shapes {
    answers: SchemaGenerator,
    requests: SchemaGenerator,
}

impl Shapes {
    fn new() -> Self {
        let settings = |settings: &mut SchemaSettings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        };
        let answers = SchemaSettings::draft2020_12().for_serialize().with(settings);
        let requests = SchemaSettings::draft2020_12().for_deserialize().with(|plain| {
            settings(plain);
            plain.inline_subschemas = true;
        });
        Self { answers: answers.into_generator(), requests: requests.into_generator() }
    }
}

/// The document of a port that serves these chapters. Where two roles serve one path, it is told once, with what
/// either may answer.
pub fn document(chapters: &[Chapter], places: &[Place]) -> Value {
    let mut shapes = Shapes::new();
    let mut operations = BTreeMap::<(String, &str), Vec<(Role, &Row)>>::new();
    for chapter in chapters {
        for row in &chapter.rows {
            let method = method_name(row);
            operations.entry((plain(row.path), method)).or_default().push((chapter.role, row));
        }
    }
    let mut paths = Map::new();
    for ((path, method), rows) in &operations {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[*method] = operation(path, method, rows, places, &mut shapes);
    }
    let mut schemas = shapes.answers.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ironlist",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE") },
            "description": "One deduplicated blacklist of IP addresses, in which every entry can be explained. \
                `x-right` is the right that an operation asks for.",
        },
        "tags": chapters.iter().map(|chapter| json!({ "name": chapter.role.name() })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": operation::problems(),
            "headers": { "request_id": {
                "description": "The request's name in the log.", "schema": { "type": "string" },
            } },
            "securitySchemes": schemes(),
        },
    })
}

fn method_name(row: &Row) -> &'static str {
    match row.method.as_str() {
        "POST" => "post",
        "PUT" => "put",
        "DELETE" => "delete",
        _ => "get",
    }
}

/// A template without the mark of what takes the rest of a path, which OpenAPI does not have.
fn plain(path: &str) -> String {
    path.replace("{*", "{")
}

/// RFC 9457, with our members.
fn problem() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "Why a request was not served (RFC 9457).",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": text("A URI for the kind of problem."),
            "title": text("The status in words."),
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": text("What was wrong, for a person."),
            "code": text("What was wrong, for a program: it stays the same."),
            "request_id": text("The request's name in the log."),
        },
    })
}

fn schemes() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "A key, or a token from a login." },
        "key": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key." },
        "device": { "type": "http", "scheme": "basic", "description": "A device's name and password." },
        "certificate": { "type": "mutualTLS", "description": "A client certificate that is known." },
    })
}

#[cfg(test)]
mod tests;
