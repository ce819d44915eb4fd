//! The journal as people see it: one generation, two of them, and the way back.

use super::*;
use http::header::ACCEPT;

const GENERATIONS: &str = "/api/v1/generations";

/// Three generations of a list, and something of everything else behind them.
async fn lived() -> House {
    let house = House::new();
    house.import("source=feed&replace=true&reason=scan", "20.0.0.1\n20.0.0.2\n2a00::1\n").await;
    house.import("source=feed&replace=true&reason=scan", "20.0.0.2\n20.0.0.3\n").await;
    house.import("source=feed&replace=true&reason=spam", "20.0.0.2\n20.0.0.4\n").await;
    let allow = json!({"range": "20.9.0.0/24", "reason": "ours"});
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/allowlist", allow).await.0, 200);
    let suppression = json!({"range": "20.0.0.4", "source": "feed", "reason": "wrong"});
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/suppressions", suppression).await.0, 200);
    house
}

/// What changed, in one line a row.
fn told(page: &Value) -> Vec<String> {
    let side = |row: &Value, side: &str| row[side]["reason"].as_str().unwrap_or("-").to_owned();
    let line = |row: &Value| {
        let words = [&row["change"], &row["what"], &row["source"], &row["range"]];
        let words: Vec<&str> = words.iter().filter_map(|word| word.as_str()).collect();
        format!("{} {}>{}", words.join(" "), side(row, "before"), side(row, "after"))
    };
    page["data"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn a_generation_is_told_in_full() {
    let house = lived().await;
    let (status, second) = house.get(&format!("{GENERATIONS}/2")).await;
    assert_eq!(
        (status, &second["cause"], &second["actor"]),
        (200, &json!("import"), &json!("administrator (local)"))
    );
    let expected = [
        "described source feed ->-",
        "removed listing feed 20.0.0.1 scan>-",
        "added listing feed 20.0.0.3 ->scan",
        "removed listing feed 2a00::1 scan>-",
    ];
    assert_eq!((told(&second), &second["total"]), (expected.map(str::to_owned).to_vec(), &json!(4)));
    assert_eq!(second["changes"][1], json!({"what":"listings","source":"feed","removed":2,"added":1}));
    let (_, fourth) = house.get(&format!("{GENERATIONS}/4")).await;
    assert_eq!(told(&fourth), ["added allow 20.9.0.0/24 ->ours"]);
    assert_eq!(fourth["data"][0]["after"]["owner"], "administrator (local)");
    for (path, status, code) in [
        ("0", 404, "unknown_generation"),
        ("6", 404, "unknown_generation"),
        ("x", 400, "path"),
        ("1?limit=0", 400, "query"),
        ("1?source=nobody", 404, "unknown_source"),
    ] {
        let (found, problem) = house.get(&format!("{GENERATIONS}/{path}")).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{path}");
    }
}

#[tokio::test]
async fn any_two_generations_are_compared_either_way() {
    let house = lived().await;
    let (status, there) = house.get(&format!("{GENERATIONS}/1/diff/5")).await;
    let expected = [
        "removed listing feed 20.0.0.1 scan>-",
        "changed listing feed 20.0.0.2 scan>spam",
        "added listing feed 20.0.0.4 ->spam",
        "removed listing feed 2a00::1 scan>-",
        "added allow 20.9.0.0/24 ->ours",
        "added suppression feed 20.0.0.4 ->wrong",
    ];
    assert_eq!((status, told(&there)), (200, expected.map(str::to_owned).to_vec()));
    let counts = json!({"listings": {"feed": {"added":1,"removed":2,"changed":1}},
        "allowlist": {"added":1,"removed":0,"changed":0}, "suppressions": {"added":1,"removed":0,"changed":0},
        "outputs": {"added":0,"removed":0,"changed":0}});
    assert_eq!((&there["counts"], &there["total"]), (&counts, &json!(6)));
    let (_, back) = house.get(&format!("{GENERATIONS}/5/diff/1?source=feed")).await;
    let expected = [
        "added listing feed 20.0.0.1 ->scan",
        "changed listing feed 20.0.0.2 spam>scan",
        "removed listing feed 20.0.0.4 spam>-",
        "added listing feed 2a00::1 ->scan",
    ];
    assert_eq!(told(&back), expected);
    assert_eq!(house.get(&format!("{GENERATIONS}/3/diff/3")).await.1["total"], 0);
    assert_eq!(house.get(&format!("{GENERATIONS}/3/diff/6")).await.0, 404);
}

#[tokio::test]
async fn pages_of_a_difference_stay_what_they_are_whatever_comes_later() {
    let house = lived().await;
    let path = format!("{GENERATIONS}/1/diff/5");
    let (_, whole) = house.get(&path).await;
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = house.get(&format!("{path}?limit=4{cursor}")).await;
        assert_eq!((status, &page["total"]), (200, &json!(6)));
        rows.extend(page["data"].as_array().unwrap().iter().cloned());
        house.import("source=feed&replace=true", "20.0.0.9\n").await;
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        let (status, problem) = house.get(&format!("{GENERATIONS}/1/diff/4?{cursor}")).await;
        assert_eq!((status, &problem["code"]), (400, &json!("query")), "a cursor is of its generations");
    }
    assert_eq!(json!(rows), whole["data"]);
}

#[tokio::test]
async fn lines_tell_all_of_it() {
    let house = lived().await;
    let list: String =
        (0..50_000).map(|n| format!("21.{}.{}.{}\n", n >> 16, n >> 8 & 255, n & 255)).collect();
    house.import("source=large", &list).await;
    for (path, rows) in [(format!("{GENERATIONS}/6"), 50_001), (format!("{GENERATIONS}/6/diff/0"), 50_004)] {
        let request =
            http::Request::builder().uri(&path).header(HOST, "test").header(ACCEPT, "application/x-ndjson");
        let response = house.app.answer(request.body(Body::empty()).unwrap(), Peer::Local).await;
        assert_eq!(response.headers()[CONTENT_TYPE], "application/x-ndjson");
        let text = String::from_utf8(response.into_body().read().await.unwrap().to_vec()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines[0]["total"].as_u64(), lines.len()), (Some(rows), rows as usize + 1), "{path}");
        assert!(lines[1..].iter().all(|line| line["what"].is_string()));
    }
}

#[tokio::test]
async fn a_source_goes_back_with_a_reason_and_is_held() {
    let house = lived().await;
    let path = format!("{GENERATIONS}/1/rollback");
    let wanted = |more: Value| {
        let mut wanted = json!({"source": "feed", "reason": "poisoned"});
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        wanted
    };
    let (status, dry) = house.json(Method::POST, &path, wanted(json!({"dry_run": true}))).await;
    assert_eq!(
        (status, &dry["added"], &dry["changed"], &dry["removed"]),
        (200, &json!(2), &json!(1), &json!(1))
    );
    assert_eq!((&dry["generation"], &dry["held"]), (&json!(5), &json!(true)), "and nothing has changed");
    let (status, done) = house.json(Method::POST, &path, wanted(json!({}))).await;
    assert_eq!((status, &done["generation"], &done["back_to"]), (200, &json!(6), &json!(1)));
    let (_, sixth) = house.get(&format!("{GENERATIONS}/6")).await;
    assert_eq!((&sixth["cause"], &sixth["reason"]), (&json!("rollback"), &json!("poisoned")));
    let (_, rest) = house.get(&format!("{GENERATIONS}/1/diff/6?source=feed")).await;
    assert_eq!(rest["total"], 0, "also the moment at which each was first seen");
    assert_eq!(house.get("/api/v1/blacklist/allowlist").await.1["total"], 1, "an allow stays");
    assert_eq!(house.get("/api/v1/blacklist/suppressions").await.1["total"], 1);
    for (path, body, status, code) in [
        (path.clone(), json!({"source": "feed"}), 422, "reason_missing"),
        (path.clone(), json!({"source": "nobody", "reason": "x"}), 404, "unknown_source"),
        (path.clone(), json!({"source": "feed", "reason": "x", "dry": 1}), 422, "body_shape"),
        (format!("{GENERATIONS}/7/rollback"), wanted(json!({})), 404, "unknown_generation"),
        (format!("{GENERATIONS}/6/rollback"), wanted(json!({})), 422, "nothing_to_undo"),
    ] {
        let (found, problem) = house.json(Method::POST, &path, body).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{path}");
    }
}
