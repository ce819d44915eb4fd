//! Lists, page by page.

use super::*;

const ACTIVE: &str = "/api/v1/blacklist/active";

#[tokio::test]
async fn active_entries_are_paged_and_filtered() {
    let house = House::new();
    house.import("source=a&country=KR", "20.0.0.1\n20.0.0.2\n20.0.0.3\n").await;
    house.import("source=b", "20.0.0.3\n30.0.0.0/8\n").await;
    let (_, first) = house.get("/api/v1/blacklist/active?limit=2").await;
    assert_eq!((&first["data"], &first["total"]), (&json!(["20.0.0.1", "20.0.0.2"]), &json!(4)));
    let cursor = first["cursor"].as_str().unwrap();
    let (_, rest) = house.get(&format!("/api/v1/blacklist/active?limit=2&cursor={cursor}")).await;
    assert_eq!((&rest["data"], &rest["total"]), (&json!(["20.0.0.3", "30.0.0.0/8"]), &json!(4)));
    assert_eq!(rest["cursor"], Value::Null);
    let (_, b) = house.get("/api/v1/blacklist/active?source=b").await;
    assert_eq!(b["data"], json!(["20.0.0.3", "30.0.0.0/8"]));
    let (_, kr) = house.get("/api/v1/blacklist/active?country=KR").await;
    assert_eq!(kr["count"], 3);
    assert_eq!(house.get("/api/v1/blacklist/active?source=nobody").await.0, 404);
    assert_eq!(house.get("/api/v1/blacklist/active?cursor=zz").await.0, 400);
}

#[tokio::test]
async fn all_pages_of_a_list_are_of_one_generation() {
    let house = House::new();
    house.import("source=a", "20.0.0.1\n20.0.0.2\n20.0.0.3\n").await;
    let (_, first) = house.get(&format!("{ACTIVE}?limit=2")).await;
    let cursor = first["cursor"].as_str().unwrap();
    let question = |cursor: Option<&str>| json!({"source": "a", "limit": 2, "cursor": cursor});
    let search = async |cursor| house.json(Method::POST, "/api/v1/blacklist/search", question(cursor)).await;
    let (_, found) = search(None).await;
    assert_eq!(search(found["cursor"].as_str()).await.0, 200);
    house.import("source=a", "20.0.0.2\n20.0.0.4\n").await;
    for form in ["json", "text", "json&limit=2"] {
        let (status, problem) =
            house.ask(Method::GET, &format!("{ACTIVE}?format={form}&cursor={cursor}"), "", "").await;
        assert_eq!(status, 410, "{form}: {problem}");
        assert!(problem.contains("generation_gone") && problem.contains("Begin again"), "{problem}");
    }
    assert_eq!(search(found["cursor"].as_str()).await.0, 410);
}

/// All pages of a list, asked for `limit` rows at a time.
async fn walk(house: &House, path: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = house.get(&format!("{path}?limit={limit}{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= limit);
        rows.extend(data.iter().cloned());
        match page["cursor"].as_str() {
            None => {
                assert_eq!(page["total"], rows.len());
                return rows;
            }
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
}

#[tokio::test]
async fn an_entry_with_holes_is_cut_between_its_parts() {
    let house = House::new();
    house.import("source=a", "20.0.0.0/29\n20.0.0.9\n2a00::/127\n").await;
    for hole in ["20.0.0.1", "20.0.0.3", "20.0.0.5"] {
        let allow = json!({"range": hole, "reason": "ours"});
        assert_eq!(house.json(Method::POST, "/api/v1/blacklist/allowlist", allow).await.0, 200);
    }
    let all = ["20.0.0.0", "20.0.0.2", "20.0.0.4", "20.0.0.6/31", "20.0.0.9", "2a00::/127"];
    let (_, whole) = house.get(ACTIVE).await;
    assert_eq!((&whole["data"], &whole["count"], &whole["total"]), (&json!(all), &json!(6), &json!(6)));
    for limit in 1..=7 {
        assert_eq!(walk(&house, ACTIVE, limit).await, all, "{limit}");
    }
    let (_, text) = house.ask(Method::GET, &format!("{ACTIVE}?format=text"), "", "").await;
    assert_eq!(text, all.map(|line| format!("{line}\n")).concat());
}

#[tokio::test]
async fn a_text_that_is_cut_says_where_it_goes_on() {
    let house = House::new();
    house.import("source=a", "20.0.0.1\n20.0.0.3\n20.0.0.5\n").await;
    let response = house.send(Method::GET, &format!("{ACTIVE}?format=text&limit=2"), "", "").await;
    let cursor = response.headers()["x-next-cursor"].to_str().unwrap().to_owned();
    assert_eq!(response.into_body().read().await.unwrap(), "20.0.0.1\n20.0.0.3\n");
    let rest =
        house.send(Method::GET, &format!("{ACTIVE}?format=text&limit=2&cursor={cursor}"), "", "").await;
    assert!(!rest.headers().contains_key("x-next-cursor"));
    assert_eq!(rest.into_body().read().await.unwrap(), "20.0.0.5\n");
}

#[tokio::test]
async fn a_limit_of_nothing_is_refused_in_either_form() {
    let house = House::new();
    for query in ["limit=0", "limit=0&format=text", "limit=50001"] {
        assert_eq!(house.get(&format!("{ACTIVE}?{query}")).await.0, 400, "{query}");
    }
    assert_eq!(house.json(Method::POST, "/api/v1/blacklist/search", json!({"limit":0})).await.0, 400);
}

#[tokio::test]
async fn a_text_of_a_damaged_store_is_a_problem_and_not_a_list_that_breaks_off() {
    let house = House::new();
    house.import("source=a", "20.0.0.1\n").await;
    let folder = house.close();
    std::fs::write(folder.path().join("journal.redb"), "ruined").unwrap();
    let house = House::over(folder);
    let (status, text) = house.ask(Method::GET, &format!("{ACTIVE}?format=text"), "", "").await;
    assert_eq!(status, 503, "{text}");
}

#[tokio::test]
async fn a_search_by_place_finds_what_a_search_of_everything_would() {
    let house = House::new();
    house.import("source=a", "20.0.0.0/24\n20.0.0.0/25\n20.0.0.0\n20.0.0.255\n20.0.1.0\n2a00::/32\n").await;
    house.import("source=b", "20.0.0.0\n0.0.0.1-0.0.0.9\n2a00::1\n").await;
    let found = async |question: Value| {
        let (_, page) = house.json(Method::POST, "/api/v1/blacklist/search", question).await;
        let hits = page["data"].as_array().unwrap().iter();
        let hits: Vec<_> = hits
            .map(|hit| {
                format!("{} {}", hit["range"].as_str().unwrap(), hit["listings"].as_array().unwrap().len())
            })
            .collect();
        assert_eq!(page["total"], hits.len());
        hits
    };
    let of_a_24 = ["20.0.0.0 2", "20.0.0.0/25 1", "20.0.0.0/24 1", "20.0.0.255 1"];
    assert_eq!(found(json!({"prefix":"20.0.0.0/24"})).await, of_a_24);
    assert_eq!(found(json!({"prefix":"20.0.0.0/24","source":"b"})).await, of_a_24[..1]);
    assert_eq!(found(json!({"prefix":"2a00::/16"})).await, ["2a00::/32 1", "2a00::1 1"]);
    assert_eq!(found(json!({"prefix":"0.0.0.0/8"})).await, ["0.0.0.1-0.0.0.9 1"]);
    assert_eq!(found(json!({"address":"20.0.0.0"})).await, of_a_24[..3]);
    assert_eq!(found(json!({"address":"20.0.0.128/25"})).await, ["20.0.0.0/24 1"]);
    assert_eq!(found(json!({"address":"2a00::1","prefix":"2a00::/64"})).await, ["2a00::1 1"]);
    let first = json!({"address":"20.0.0.0","limit":2});
    let (_, first) = house.json(Method::POST, "/api/v1/blacklist/search", first).await;
    assert_eq!((&first["count"], &first["total"]), (&json!(2), &json!(3)));
    let rest = json!({"address":"20.0.0.0","limit":2,"cursor":first["cursor"]});
    let (_, rest) = house.json(Method::POST, "/api/v1/blacklist/search", rest).await;
    assert_eq!((&rest["data"][0]["range"], &rest["cursor"]), (&json!("20.0.0.0/24"), &Value::Null));
}

#[tokio::test]
async fn what_people_decided_is_paged() {
    let house = House::new();
    house.import("source=a", "20.0.0.1\n").await;
    for (path, source) in
        [("allowlist", Value::Null), ("suppressions", json!("a")), ("suppressions", Value::Null)]
    {
        for last in [9, 1, 5] {
            let mut new = json!({"range": format!("20.0.0.{last}"), "reason": "x"});
            if source.is_string() {
                new["source"] = source.clone();
            }
            assert_eq!(house.json(Method::POST, &format!("/api/v1/blacklist/{path}"), new).await.0, 200);
        }
    }
    let ranges = async |path: &str| {
        let rows = walk(&house, &format!("/api/v1/blacklist/{path}"), 2).await;
        rows.iter().map(|row| row["range"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ranges("allowlist").await, ["20.0.0.1", "20.0.0.5", "20.0.0.9"]);
    let twice = ["20.0.0.1", "20.0.0.1", "20.0.0.5", "20.0.0.5", "20.0.0.9", "20.0.0.9"];
    assert_eq!(ranges("suppressions").await, twice);
}

#[tokio::test]
async fn generations_are_paged_from_the_newest_to_the_first() {
    let house = House::new();
    for last in 1..=5 {
        house.import("source=a", &format!("20.0.0.{last}\n")).await;
    }
    for limit in 1..=6 {
        let rows = walk(&house, "/api/v1/generations", limit).await;
        let numbers: Vec<_> = rows.iter().map(|row| row["generation"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [5, 4, 3, 2, 1], "{limit}");
    }
    assert_eq!(house.get("/api/v1/generations?limit=0").await.0, 400);
}
