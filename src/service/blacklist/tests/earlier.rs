//! The earlier system's paths.

use super::*;

#[tokio::test]
async fn the_earlier_systems_paths_keep_their_shapes() {
    let house = House::new();
    let rows = json!([
        {"ip":"20.0.0.1","source":"regtech","detection_date":"2026-11-20","country":"CN"},
        {"ip":"300.0.0.1","source":"regtech","detection_date":"2026-11-20"},
    ]);
    let (_, told) = house.json(Method::POST, "/api/v1/bulk-insert", rows).await;
    assert_eq!((&told["data"]["success_count"], &told["data"]["error_count"]), (&json!(1), &json!(1)));
    let (_, found) = house.json(Method::POST, "/api/v1/search", json!({"ips":["20.0.0.1","8.8.8.8"]})).await;
    assert_eq!((&found[0]["found"], &found[1]["found"]), (&json!(true), &json!(false)));
    let (_, entry) = house.get("/api/v1/ips/20.0.0.1").await;
    assert_eq!((&entry["source"], &entry["detection_date"]), (&json!("regtech"), &json!("2026-11-20")));
    assert_eq!(house.get("/api/v1/ips/8.8.8.8").await.0, 404);
    let (_, statistics) = house.get("/api/v1/statistics").await;
    assert_eq!(statistics["data"]["sources"], json!({"regtech":1}));
    let new = json!({"ip":"20.0.0.2","source":"x","detection_date":"2026-11-20"});
    assert_eq!(house.json(Method::POST, "/api/v1/ips", new).await.1["is_active"], true);
    assert_eq!(house.json(Method::DELETE, "/api/v1/cleanup", Value::Null).await.1["status"], "success");
}

#[tokio::test]
async fn active_addresses_come_by_limit_and_offset() {
    let house = House::new();
    house.import("source=a", "20.0.0.1\n20.0.0.3\n20.0.0.5\n").await;
    let (status, page) = house.get("/api/v1/active-ips?limit=10000&offset=0&page=1").await;
    let all = json!({"status":"success","count":3,"data":["20.0.0.1","20.0.0.3","20.0.0.5"]});
    assert_eq!((status, page), (200, all));
    let (_, page) = house.get("/api/v1/active-ips?limit=1&offset=1").await;
    assert_eq!(page["data"], json!(["20.0.0.3"]));
    assert_eq!(house.get("/api/v1/active-ips?offset=7").await.1["data"], json!([]));
}

#[tokio::test]
async fn an_entry_is_active_by_its_own_listing() {
    let house = House::new();
    house.import("source=a", "20.0.0.1\n").await;
    house.import("source=b", "20.0.0.0/24\n").await;
    let end = json!({"range":"20.0.0.1","source":"a","reason":"a customer"});
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/suppressions", end).await.0, 200);
    let (_, entry) = house.get("/api/v1/ips/20.0.0.1").await;
    assert_eq!((&entry["source"], &entry["is_active"]), (&json!("b"), &json!(true)));
    let end = json!({"range":"20.0.0.0/24","source":"b","reason":"another"});
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/suppressions", end).await.0, 200);
    assert_eq!(house.get("/api/v1/ips/20.0.0.1").await.1["is_active"], false);
    let (_, found) = house.json(Method::POST, "/api/v1/search", json!({"ips":["20.0.0.1"]})).await;
    assert_eq!(found[0]["found"], false);
}

#[tokio::test]
async fn a_search_for_more_addresses_than_are_answered_is_refused() {
    let house = House::new();
    let ips = |count| json!({"ips": vec!["8.8.8.8"; count]});
    let (status, problem) = house.json(Method::POST, "/api/v1/search", ips(1001)).await;
    assert_eq!((status, &problem["code"]), (413, &json!("too_many")));
    let (status, found) = house.json(Method::POST, "/api/v1/search", ips(1000)).await;
    assert_eq!((status, found.as_array().unwrap().len()), (200, 1000));
}

#[tokio::test]
async fn statistics_tell_what_ends_soon_and_the_commonest_countries_only() {
    let house = House::new();
    house.import("source=a&expires=3d", "20.0.0.1\n20.0.0.2\n").await;
    house.import("source=b&expires=30d", "20.0.0.1\n").await;
    let letters = || "ABCDE".chars();
    let rows = letters().flat_map(|a| letters().map(move |b| (a, b))).enumerate();
    let rows: String = rows.map(|(n, (a, b))| format!("30.0.0.{n},{a}{b}\n")).collect();
    house.import("source=c", &format!("ip,country\n30.1.0.1,EE\n{rows}")).await;
    let (_, told) = house.get("/api/v1/statistics").await;
    assert_eq!((&told["data"]["expiring_soon"], &told["data"]["held"]), (&json!(2), &json!(0)));
    let countries = told["data"]["top_countries"].as_object().unwrap();
    assert_eq!((countries.len(), &countries["EE"]), (20, &json!(2)));
}

#[tokio::test]
async fn what_is_wrong_in_one_source_costs_no_other_and_every_row_is_counted() {
    let house = House::new();
    let row = |ip: String, source: &str| json!({"ip": ip, "source": source, "detection_date": "2026-11-20"});
    let mut rows =
        vec![row("20.0.0.1".into(), "aaa"), row("20.0.0.2".into(), "ccc"), row("20.0.0.2".into(), "ccc")];
    rows.extend((0..20).map(|n| row(format!("300.0.0.{n}"), "bbb")));
    rows.push(json!({"ip": 7}));
    rows.push(row("0.0.0.0/1".into(), "ccc"));
    let (status, told) = house.json(Method::POST, "/api/v1/bulk-insert", json!(rows)).await;
    assert_eq!(status, 200, "{told}");
    let counts = &told["data"];
    assert_eq!((&counts["success_count"], &counts["error_count"]), (&json!(3), &json!(22)));
    assert_eq!(counts["errors"].as_array().unwrap().len(), 10);
    let (_, statistics) = house.get("/api/v1/statistics").await;
    assert_eq!(statistics["data"]["sources"], json!({"aaa":1,"ccc":1}));
}

#[tokio::test]
async fn words_of_the_earlier_system_are_understood() {
    let house = House::new();
    let new = json!({"ip":"20.0.0.1","source":" REGTECH ","detection_date":"2026-11-20T09:00:00","country":"China",
        "threat_type":"scan","is_active":true});
    let (status, entry) = house.json(Method::POST, "/api/v1/ips", new).await;
    assert_eq!((status, &entry["source"], &entry["country"]), (200, &json!("regtech"), &Value::Null));
    assert_eq!((&entry["detection_date"], &entry["threat_type"]), (&json!("2026-11-20"), &json!("scan")));
    let question = json!({"ips":["20.0.0.1"],"include_inactive":false});
    assert_eq!(house.json(Method::POST, "/api/v1/search", question).await.1[0]["found"], true);
}
