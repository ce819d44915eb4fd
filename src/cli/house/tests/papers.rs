//! What every port says of itself, against what it does.

use super::house;
use crate::cli::tests::House as Place;
use crate::web::routes::{Row, Templates};
use crate::web::{Body, Peer, Role};
use http::Method;
use http::header::HOST;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A row a route: its method, its path, what it asks for, and the ports that serve it.
const TABLE: &str = include_str!("../../../../tests/data/rights.txt");

async fn ask(app: &Arc<crate::web::App>, method: &str, path: &str) -> (u16, String, Value) {
    let request = http::Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    let request = request.header(HOST, "a").body(Body::empty()).unwrap();
    let response = app.answer(request, Peer::Local).await;
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let (status, kind) = (response.status().as_u16(), kind.unwrap_or_default().to_owned());
    let bytes = response.into_body().read().await.unwrap();
    (status, kind, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Every operation of a document: method and path, and what is told of it.
fn operations(document: &Value) -> BTreeMap<(String, String), &Value> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'_ Value)| {
        let item = item.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        item.into_iter().map(|method| (path.clone(), method)).collect::<Vec<_>>()
    };
    let named = paths.iter().flat_map(of_path);
    named.map(|(path, method)| ((path.clone(), method.to_uppercase()), &paths[&path][&method])).collect()
}

#[tokio::test]
async fn the_table_of_rights_is_what_the_ports_ask_for() {
    let place = Place::new();
    let house = house(&place);
    let mut told = BTreeMap::<(String, String, String), BTreeSet<&str>>::new();
    for (role, app) in &house.apps {
        let (_, _, document) = ask(app, "GET", "/openapi.json").await;
        for ((path, method), operation) in operations(&document) {
            let right = operation["x-right"].as_str().unwrap().to_owned();
            told.entry((path, method, right)).or_default().insert(role.name());
        }
    }
    let line = |((path, method, right), roles): (&(String, String, String), &BTreeSet<&str>)| {
        let roles: Vec<&str> = roles.iter().copied().collect();
        format!("{method:<7}{path:<58}{right:<14}{}", roles.join(" "))
    };
    let lines: Vec<String> = told.iter().map(line).collect();
    let known: Vec<&str> =
        TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::trim_end).collect();
    assert_eq!(lines, known, "tests/data/rights.txt should read:\n{}", lines.join("\n"));
}

/// What is counted, logged and noted of a request goes by the template of its path.
#[test]
fn every_path_is_named_by_the_template_of_its_own_route() {
    let chapters = crate::gateway::chapters(crate::service::chapters());
    let rows: Vec<Row> = chapters.into_iter().flat_map(|chapter| chapter.rows).collect();
    let templates = Templates::of(&rows);
    let of_segments =
        |path: &str, name: fn(&str) -> &str| path.split('/').map(name).collect::<Vec<_>>().join("/");
    // Two roles may call the same part of a path by different names.
    let nameless = |path: &str| of_segments(path, |part| if part.starts_with('{') { "{}" } else { part });
    for row in &rows {
        let path = of_segments(row.path, |part| if part.starts_with('{') { "x-1" } else { part });
        assert_eq!(templates.find(&path).map(nameless), Some(nameless(row.path)), "{path}");
    }
    assert_eq!(templates.find("/feeds/edge/1.txt"), Some("/feeds/{*name}"));
    assert_eq!(templates.find("/nowhere"), None);
}

#[tokio::test]
async fn every_operation_of_a_document_is_served_and_told_in_full() {
    let place = Place::new();
    let house = house(&place);
    for (role, app) in &house.apps {
        let (status, kind, document) = ask(app, "GET", "/openapi.json").await;
        assert_eq!((status, kind.as_str()), (200, "application/json"), "{role:?}");
        let mut names = BTreeSet::new();
        for ((path, method), operation) in operations(&document) {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} is there twice");
            assert!(operation["summary"].as_str().unwrap().len() > 10, "{name}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let is_path = parameter["in"] == "path";
                assert!(!is_path || parameter["description"] != "", "{name}: {parameter}");
            }
            let good =
                operation["responses"].as_object().unwrap().iter().find(|(code, _)| code.starts_with('2'));
            assert!(good.is_some(), "{name}");
            let asked = path.replace("{number}", "1").replace("{to}", "2").replace(['{', '}'], "");
            // Those that wait for news, for good reason, are not waited for.
            if path.starts_with("/internal/") {
                continue;
            }
            let (status, _, answer) = ask(app, &method, &asked).await;
            let code = answer["code"].as_str().unwrap_or_default();
            assert!(status != 405 && code != "unknown_path", "{role:?} {method} {asked}: {status} {answer}");
            let documented = operation["responses"].get(status.to_string()).is_some();
            assert!(documented, "{role:?} {method} {asked}: {status} {answer}");
        }
    }
}

#[tokio::test]
async fn the_page_for_people_tells_every_operation_and_runs_nothing_that_it_does_not_name() {
    let place = Place::new();
    let house = house(&place);
    let app = &house.apps[&Role::Gateway];
    let (_, _, document) = ask(app, "GET", "/openapi.json").await;
    let request = http::Request::builder().uri("/docs").header(HOST, "a").body(Body::empty()).unwrap();
    let response = app.answer(request, Peer::Local).await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"));
    let page = String::from_utf8(response.into_body().read().await.unwrap().to_vec()).unwrap();
    for ((path, _), operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(page.contains(&format!("-{name}\"")) && page.contains(&path), "{name}");
    }
    for fetched in [" src=", "href=\"http", "@import", "url(", " onclick"] {
        assert!(!page.contains(fetched), "{fetched}");
    }
}
