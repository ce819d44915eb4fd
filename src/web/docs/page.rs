//! The document as one HTML page: operations by role, each with what it takes, what it answers and how to ask it.
//!
//! Its style and its script stand in it, and the policy names them by their digests: nothing else runs, and nothing is
//! fetched.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};
use std::sync::OnceLock;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The `Content-Security-Policy` of the page.
pub(super) fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text));
    POLICY.get_or_init(|| {
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            digest(STYLE),
            digest(SCRIPT)
        )
    })
}

/// The page of a document.
pub(super) fn write(document: &Value) -> String {
    let mut page = String::with_capacity(1 << 19);
    // Writing into a string does not fail.
    let _ = whole(&mut page, document);
    page
}

fn whole(page: &mut String, document: &Value) -> fmt::Result {
    let info = &document["info"];
    write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width\"><title>{title} API</title><style>{STYLE}</style>\
         <h1>{title} {version}</h1><p>{description}</p>\
         <p><a href=openapi.json>openapi.json</a> · <a href=#shapes>Schemas · 스키마</a></p><nav>",
        title = text(&info["title"]),
        version = text(&info["version"]),
        description = text(&info["description"]),
    )?;
    let tags: Vec<&str> = list(&document["tags"]).iter().filter_map(|tag| tag["name"].as_str()).collect();
    for tag in &tags {
        write!(page, "<a href=#{tag}>{tag}</a>")?;
    }
    page.push_str("</nav><p><input id=search type=search placeholder=\"search · 검색\" hidden>");
    for tag in &tags {
        write!(page, "<h2 id={tag}>{tag}</h2>")?;
        for (path, item) in members(&document["paths"]) {
            for (method, operation) in members(item) {
                if list(&operation["tags"]).iter().any(|own| own == tag) {
                    one(page, path, method, operation)?;
                }
            }
        }
    }
    page.push_str("<h2 id=shapes>Schemas · 스키마</h2>");
    for (name, schema) in members(&document["components"]["schemas"]) {
        write!(
            page,
            "<details id=\"shape-{0}\"><summary>{0}</summary><div>{1}</div></details>",
            escaped(name),
            pretty(schema)
        )?;
    }
    write!(page, "<script>{SCRIPT}</script>")
}

fn one(page: &mut String, path: &str, method: &str, operation: &Value) -> fmt::Result {
    let tag = text(&list(&operation["tags"])[0]);
    write!(
        page,
        "<details id=\"{tag}-{id}\"><summary><b>{method}</b><code>{path}</code> {summary}<i>{right}</i></summary><div>",
        id = text(&operation["operationId"]),
        path = escaped(path),
        summary = text(&operation["summary"]),
        right = text(&operation["x-right"]),
    )?;
    parameters(page, list(&operation["parameters"]))?;
    if operation["requestBody"].is_object() {
        page.push_str("<h4>Body · 본문</h4>");
        contents(page, &operation["requestBody"]["content"])?;
    }
    page.push_str("<h4>Answers · 응답</h4><table>");
    for (status, answer) in members(&operation["responses"]) {
        write!(page, "<tr><th>{status}<td>")?;
        match answer["$ref"].as_str() {
            Some(_) => page.push_str("a problem (<a href=#shape-Problem>Problem</a>)"),
            None => {
                page.push_str(&text(&answer["description"]));
                contents(page, &answer["content"])?;
            }
        }
    }
    write!(
        page,
        "</table><h4>Example · 예</h4><pre>{}</pre></div></details>",
        escaped(&curl(path, method, operation))
    )
}

fn parameters(page: &mut String, all: &[Value]) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    page.push_str("<h4>Parameters · 매개변수</h4><table>");
    for parameter in all {
        let must = if parameter["required"] == true { "required" } else { "" };
        write!(
            page,
            "<tr><th>{}<td>{} {must}<td>{}<td><code>{}</code>",
            text(&parameter["name"]),
            text(&parameter["in"]),
            text(&parameter["description"]),
            escaped(&parameter["schema"].to_string()),
        )?;
    }
    page.push_str("</table>");
    Ok(())
}

fn contents(page: &mut String, content: &Value) -> fmt::Result {
    for (kind, told) in members(content) {
        write!(page, "<p><code>{}</code>{}", escaped(kind), pretty(&told["schema"]))?;
    }
    Ok(())
}

/// How to ask with the usual tool.
fn curl(path: &str, method: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    for parameter in list(&operation["parameters"]).iter().filter(|one| one["in"] == "path") {
        let example = &parameter["example"];
        let example = example.as_str().map_or_else(|| example.to_string(), |text| text.replace('/', "%2F"));
        path = path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap_or_default()), &example);
    }
    let mut line = String::from("curl");
    if method != "get" {
        line += &format!(" -X {}", method.to_uppercase());
    }
    if !list(&operation["security"]).is_empty() {
        line += " -H \"X-API-Key: $KEY\"";
    }
    if let Some(kind) = operation["requestBody"]["content"].as_object().and_then(|kinds| kinds.keys().next())
    {
        line += &format!(" -H 'Content-Type: {kind}' --data-binary @FILE");
    }
    format!("{line} 'http://127.0.0.1:8080{path}'")
}

/// A schema as it is, with its references as links.
fn pretty(schema: &Value) -> String {
    let plain = escaped(&serde_json::to_string_pretty(schema).unwrap_or_default());
    let mut parts = plain.split("#/components/schemas/");
    let mut linked = format!("<pre>{}", parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once('&').unwrap_or((part, ""));
        linked += &format!("<a href=\"#shape-{name}\">{name}</a>&{rest}");
    }
    linked + "</pre>"
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
