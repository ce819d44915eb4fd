//! Feeds in parts: which path is which, and readers of several who stay with what they began with.

use super::*;
use crate::addr::{IpRange, Range};

async fn read(house: &House, path: &str) -> (u16, Vec<u8>) {
    let response = ask(&house.app, Method::GET, path, &[]).await;
    (response.status().as_u16(), response.into_body().read().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_reader_of_parts_stays_with_one_generation() {
    let house = listed().await;
    publish(&house, "p", Format::Plain, 2).await;
    let before = ask(&house.app, Method::GET, "/feeds/p/1.txt", &[]).await;
    let generation = before.headers()["x-generation"].to_str().unwrap().to_owned();
    let both = async |query: &str| {
        let mut text = Vec::new();
        for part in ["1", "2"] {
            let response = ask(&house.app, Method::GET, &format!("/feeds/p/{part}{query}"), &[]).await;
            assert_eq!(response.status(), 200);
            text.extend_from_slice(&response.into_body().read().await.unwrap());
        }
        let mut lines: Vec<_> = String::from_utf8(text).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(both("").await, ["20.0.0.0/24", "30.0.0.7"]);
    house.list(&["40.0.0.1", "30.0.0.7", "20.0.0.0/24"]).await;
    assert_eq!(both(&format!("?generation={generation}")).await, ["20.0.0.0/24", "30.0.0.7"]);
    assert_eq!(both("").await, ["20.0.0.0/24", "30.0.0.7", "40.0.0.1"]);
    house.list(&["50.0.0.1"]).await;
    let gone = ask(&house.app, Method::GET, &format!("/feeds/p/1?generation={generation}"), &[]).await;
    assert_eq!(gone.status(), 410);
    let odd = ask(&house.app, Method::GET, "/feeds/p/1?generatoin=1", &[]).await;
    assert_eq!(odd.status(), 422);
}

#[tokio::test]
async fn whoever_does_not_know_that_a_feed_is_cut_gets_all_of_it() {
    let house = listed().await;
    for format in [Format::Plain, Format::Csv] {
        publish(&house, "p", format, 1).await;
        let before = ask(&house.app, Method::GET, "/feeds/p", &[]).await.into_body().read().await.unwrap();
        publish(&house, "p", format, 3).await;
        for _ in 0..2 {
            for path in ["/feeds/p", "/feeds/p.txt"] {
                let whole = ask(&house.app, Method::GET, path, &[]).await;
                assert_eq!(whole.into_body().read().await.unwrap(), before, "{format:?} {path}");
            }
        }
        assert_eq!(ask(&house.app, Method::GET, "/feeds/p/0", &[]).await.status(), 404);
    }
    house.list(&["20.0.0.0/24", "30.0.0.7", "40.0.0.1"]).await;
    let released = house.publisher.feeds().get("p").unwrap().released().unwrap();
    let list = Document::List(Format::Csv);
    assert!(released.get(crate::publish::ALL_PARTS, list).is_some(), "who polls it finds it ready");
    let pulls = house.publisher.pulls().all();
    assert_eq!((pulls.len(), pulls[0].0.1.as_str()), (1, "p"), "one document, by its feed's name");
}

/// So many addresses, no two of which are neighbours, in many blocks.
async fn list(house: &House, count: u32) {
    house.list_ranges((0..count).map(|n| IpRange::V4(Range::single(0x1400_0000 + n * 0x1_0001)))).await;
}

#[tokio::test]
async fn two_releases_of_one_generation_are_never_mixed() {
    let house = house();
    publish(&house, "p", Format::Plain, 2).await;
    list(&house, 400).await;
    list(&house, 10).await;
    let first = ask(&house.app, Method::GET, "/feeds/p/1", &[]).await;
    let header = |name: &str| first.headers()[name].to_str().unwrap().to_owned();
    let (generation, release) = (header("x-generation"), header("x-release"));
    let other = ["1", "2"].map(|part| format!("/feeds/p/{part}?release={release}"));
    let before = [read(&house, &other[0]).await, read(&house, &other[1]).await];
    // An allow is one more release, and the consent that follows another one in its generation.
    house
        .change(Change::Allow(crate::model::Allow {
            range: "20.0.0.0".parse().unwrap(),
            reason: "ours".into(),
            owner: String::new(),
            expires: None,
            since: Time::default(),
        }))
        .await;
    let feed = house.publisher.feeds().get("p").unwrap();
    let allowed = feed.released().unwrap().name().to_owned();
    let half = read(&house, "/feeds/p/1").await;
    assert_eq!([read(&house, &other[0]).await, read(&house, &other[1]).await], before, "it lies there still");
    let consent = |name: Option<&crate::model::OutputName>, generation| {
        house.publisher.feeds().consent(name, generation, house.engine()).unwrap();
    };
    consent(None, house.publisher.feeds().whole().status().hold.unwrap().generation);
    consent(Some(&"p".parse().unwrap()), feed.status().hold.unwrap().generation);
    let consented = feed.released().unwrap();
    assert!(allowed.starts_with(&format!("{}-", consented.release.generation)), "of one generation");
    assert_ne!(consented.name(), allowed);
    assert_eq!(read(&house, &format!("/feeds/p/1?release={allowed}")).await, half);
    let gone = read(&house, &other[1]).await;
    assert!(gone.0 == 410 && String::from_utf8_lossy(&gone.1).contains("\"code\":\"release_gone\""));
    assert_eq!(read(&house, &format!("/feeds/p/1?generation={generation}")).await.0, 410);
}

#[tokio::test]
async fn a_part_has_one_path_and_what_is_no_release_is_said_so() {
    let house = listed().await;
    publish(&house, "p", Format::Plain, 2).await;
    let whole = ask(&house.app, Method::GET, "/feeds/fortigate", &[]).await;
    assert!(!whole.headers().contains_key("x-release"), "it comes in one piece");
    for path in ["/feeds/p/1", "/feeds/p/2.txt", "/feeds/p.txt"] {
        assert_eq!(read(&house, path).await.0, 200, "{path}");
    }
    for path in ["+1", "01", "1.", "1..txt", "0", "3", "1.2", "", "+1.txt"] {
        assert_eq!(read(&house, &format!("/feeds/p/{path}")).await.0, 404, "{path}");
    }
    assert_eq!(read(&house, "/feeds/p.").await.0, 404);
    for query in
        ["release=", "release=7", "release=7-0123456789ABCDEF", "release=1&generation=1", "generation=x"]
    {
        assert_eq!(read(&house, &format!("/feeds/p/1?{query}")).await.0, 422, "{query}");
    }
}

#[tokio::test]
async fn who_is_pinned_to_what_lies_ready_waits_for_no_writer() {
    let mut kept = None;
    let house = House::new(|publisher| {
        let desk = Desk::new(publisher);
        kept = Some(Arc::clone(&desk));
        App::new(Role::Blacklist, Desk::routes().with_state(desk), &Arc::new(Metrics::new()))
    });
    house.list(&["20.0.0.0/24", "30.0.0.7"]).await;
    let desk = kept.unwrap();
    let _busy = desk.writers.acquire_many(WRITERS as u32).await.unwrap();
    let asked = ask(&house.app, Method::GET, "/feeds/fortigate?generation=1", &[]);
    let answer = tokio::time::timeout(std::time::Duration::from_secs(10), asked).await.unwrap();
    assert_eq!(answer.into_body().read().await.unwrap(), LIST);
}
