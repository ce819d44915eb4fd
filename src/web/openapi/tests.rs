use super::*;
use crate::rights::Right;
use crate::web::{Demand, Json, Path, Problem, Query, Routes};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which things.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// How many.
    limit: usize,
    after: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Thing {
    inner: Option<Box<Thing>>,
}

async fn list(Query(asked): Query<Asked>) -> Json<Vec<usize>> {
    Json(vec![asked.limit, asked.after.map_or(0, |after| after.len())])
}

async fn put(Path(_): Path<u64>, Json(wish): Json<Wish>) -> Result<(StatusCode, Json<Thing>), Problem> {
    wish.reason.ok_or_else(|| Problem::internal("no reason"))?;
    Ok((StatusCode::CREATED, Json(Thing { inner: None })))
}

fn told() -> Value {
    let routes = Routes::<()>::new()
        .get("/api/v1/things", Demand::Open(Right::Read), list, "Lists things.")
        .put("/api/v1/things/{number}", Demand::Of(Right::Admin), put, "Changes a thing.")
        .succeeds(&[201])
        .refuses(&[410]);
    let other = Routes::<()>::new()
        .get("/api/v1/things", Demand::Open(Right::Read), async || Json("other"), "Lists other things.")
        .get("/files/{*name}", Demand::Own, async || "bytes", "A file.")
        .writes(&["text/plain"]);
    let chapter = |role, routes: Routes| Chapter { role, rows: routes.into_rows() };
    let chapters = [chapter(Role::Blacklist, routes), chapter(Role::Collection, other)];
    document(&chapters, &[("number", "Which thing.", "integer", "7")])
}

#[test]
fn parameters_bodies_and_answers_are_those_of_the_handlers_types() {
    let told = told();
    let list = &told["paths"]["/api/v1/things"]["get"];
    let parameters = list["parameters"].as_array().unwrap();
    let named = |name: &str| parameters.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(
        (&named("limit")["required"], &named("limit")["description"]),
        (&json!(true), &json!("How many."))
    );
    assert_eq!(
        (&named("after")["required"], &named("after")["schema"]["type"]),
        (&json!(false), &json!("string"))
    );
    let put = &told["paths"]["/api/v1/things/{number}"]["put"];
    assert_eq!(put["parameters"][0]["example"], 7);
    let body = &put["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["additionalProperties"], false);
    assert!(body.get("required").is_none(), "{body}");
    let answer = &put["responses"]["201"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(answer, "#/components/schemas/Thing");
    assert_eq!(told["components"]["schemas"]["Thing"]["required"], json!(["inner"]));
}

#[test]
fn problems_of_all_and_of_one_are_told_and_lead_somewhere() {
    let told = told();
    let statuses = |path: &str, method: &str| -> Vec<String> {
        told["paths"][path][method]["responses"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(
        statuses("/api/v1/things/{number}", "put"),
        [
            "201", "400", "401", "403", "404", "408", "409", "410", "413", "415", "422", "429", "500", "502",
            "503", "504", "507"
        ]
    );
    assert_eq!(
        statuses("/files/{name}", "get"),
        ["200", "400", "401", "403", "404", "429", "500", "502", "503", "504"]
    );
    let text = told.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(told.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn a_path_of_two_roles_is_told_once_with_what_either_answers() {
    let told = told();
    let list = &told["paths"]["/api/v1/things"]["get"];
    assert_eq!(list["tags"], json!(["blacklist", "collection"]));
    let either = &list["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"];
    assert_eq!(either.as_array().unwrap().len(), 2, "{list}");
}

#[test]
fn who_may_ask_is_told() {
    let told = told();
    let of = |path: &str, method: &str| told["paths"][path][method].clone();
    assert_eq!(of("/api/v1/things", "get")["security"][0], json!({}), "open networks need nothing");
    let put = of("/api/v1/things/{number}", "put");
    assert_eq!((&put["x-right"], &put["security"][0]), (&json!("admin"), &json!({ "bearer": [] })));
    assert_eq!(of("/files/{name}", "get")["security"][3], json!({ "device": [] }));
}
