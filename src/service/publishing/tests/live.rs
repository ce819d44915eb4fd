//! Who follows a feed live.

use super::*;

/// A stream of events.
pub(super) struct Events(Body);

impl Events {
    pub(super) async fn of(house: &House, path: &str, last: Option<&str>) -> Self {
        let request = http::Request::builder().uri(path).header(header::HOST, "a");
        let request = request.header(header::ACCEPT, "text/event-stream");
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        Self(house.app.answer(request.body(Body::empty()).unwrap(), Peer::Local).await.into_body())
    }

    /// The next one; none at the end.
    pub(super) async fn next(&mut self) -> Option<String> {
        use http_body_util::BodyExt as _;
        let frame =
            tokio::time::timeout(std::time::Duration::from_secs(10), self.0.frame()).await.unwrap()?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    }
}

#[tokio::test]
async fn who_listens_hears_of_every_release() {
    let house = house();
    list(&house, 1).await;
    let mut events = Events::of(&house, "/api/v1/changes?since=1", None).await;
    let first = events.next().await.unwrap();
    let (id, rest) = first.strip_prefix("id: ").unwrap().split_once('\n').unwrap();
    assert!(id.ends_with("-1") && rest.starts_with("event: changes\n"), "where it begins: {first}");
    list(&house, 2).await;
    let news = events.next().await.unwrap();
    assert!(news.contains("-2\n") && news.contains(r#""added":["20.0.0.2"]"#), "{news}");
    let mut again = Events::of(&house, "/api/v1/changes?since=0", Some(id)).await;
    assert_eq!(again.next().await.unwrap(), news, "who was away goes on where it was");
}

#[tokio::test]
async fn who_listens_to_a_feed_that_is_withdrawn_is_told_so() {
    let house = house();
    list(&house, 1).await;
    let wish = json!({"reason": "x", "feed": {"name": "edge"}});
    for comes_back in [false, true] {
        assert_eq!(ask(&house, Method::POST, "/api/v1/feeds", wish.clone()).await.0, 200);
        let since = get(&house, "/api/v1/feeds/edge").await["generation"].clone();
        let mut events = Events::of(&house, &format!("/api/v1/changes?since={since}&feed=edge"), None).await;
        assert!(events.next().await.unwrap().contains("event: changes"));
        ask(&house, Method::DELETE, "/api/v1/feeds/edge", json!({"reason": "x"})).await;
        if comes_back {
            ask(&house, Method::POST, "/api/v1/feeds", wish.clone()).await;
        }
        assert_eq!(events.next().await.unwrap(), "event: gone\ndata: {}\n\n");
        assert_eq!(events.next().await, None);
    }
}

/// The event's generation, and its difference.
fn read(event: &str) -> (u64, Value) {
    let id = event.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    (id.rsplit('-').next().unwrap().parse().unwrap(), serde_json::from_str(data).unwrap())
}

#[tokio::test]
async fn who_listens_hears_of_a_consent_that_comes_after_its_generation() {
    let house = house();
    list(&house, 200).await;
    let mut events = Events::of(&house, "/api/v1/changes?since=1", None).await;
    assert_eq!(read(&events.next().await.unwrap()).0, 1);
    list(&house, 10).await;
    let hold = get(&house, "/api/v1/holds").await["data"][0].clone();
    house
        .change(crate::model::Change::Allow(crate::model::Allow {
            range: "20.0.0.0".parse().unwrap(),
            reason: "ours".into(),
            owner: String::new(),
            expires: None,
            since: crate::model::Time::default(),
        }))
        .await;
    let (generation, told) = read(&events.next().await.unwrap());
    assert_eq!(
        (generation, &told["removed"]),
        (3, &json!(["20.0.0.0"])),
        "a held feed tells of an allow: {hold}"
    );
    let word = json!({"reason": "it is right", "generation": 3});
    assert_eq!(ask(&house, Method::POST, "/api/v1/holds/fortigate/consent", word).await.0, 200);
    let (generation, told) = read(&events.next().await.unwrap());
    assert_eq!((generation, &told["since"], told["removed"].as_array().unwrap().len()), (3, &json!(3), 190));
    // Whoever was told of the generation before that, and comes again, hears of it too.
    let mut again = Events::of(&house, "/api/v1/changes?since=3", None).await;
    assert_eq!(read(&again.next().await.unwrap()).1["removed"].as_array().unwrap().len(), 190);
    list(&house, 11).await;
    for events in [&mut events, &mut again] {
        let (generation, told) = read(&events.next().await.unwrap());
        assert_eq!((generation, &told["added"]), (4, &json!(["20.0.0.20"])));
    }
}

#[tokio::test]
async fn who_follows_a_feed_of_which_nothing_is_left_keeps_what_they_have_as_its_readers_do() {
    let house = house();
    list(&house, 2).await;
    let mut events = Events::of(&house, "/api/v1/changes?since=1", None).await;
    assert_eq!(read(&events.next().await.unwrap()).0, 1);
    list(&house, 0).await;
    let refused = ask(&house, Method::GET, "/api/v1/changes?since=1", Value::Null).await;
    assert_eq!((refused.0, &refused.1["code"]), (503, &json!("feed_empty")));
    list(&house, 3).await;
    let (generation, told) = read(&events.next().await.unwrap());
    assert_eq!(
        (generation, &told["added"], &told["removed"]),
        (3, &json!(["20.0.0.4"]), &json!([])),
        "it hears what differs in the end"
    );
}
