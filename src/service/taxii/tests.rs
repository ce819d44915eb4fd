//! What readers of collections are answered.

use super::super::fixture::{House, STRANGER, from};
use super::*;
use crate::model::{Change, Output, Profile};
use crate::web::auth::{Access, Guard};
use crate::web::metrics::Metrics;
use crate::web::{App, Peer, Role};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST};

fn house() -> House {
    House::new(|publisher| {
        let rolls = Arc::new(Rolls::new(publisher.engine().clone()));
        let taxii = Taxii::new(Arc::clone(publisher), rolls);
        let guard = Guard::new("admin", Access::default());
        App::new(Role::Blacklist, Taxii::routes().with_state(Arc::new(taxii)), &Arc::new(Metrics::new()))
            .guard(guard)
    })
}

/// A minute later the source lists these.
async fn list(house: &House, list: &[&str]) {
    house.later(60);
    house.list(list).await;
}

async fn ask(house: &House, path: &str, accept: &str) -> Response {
    let request = http::Request::builder().uri(path).header(HOST, "a").header(ACCEPT, accept);
    house.app.answer(request.body(Body::empty()).unwrap(), Peer::Local).await
}

async fn get(house: &House, path: &str) -> Value {
    let response = ask(house, path, TAXII_21).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[CONTENT_TYPE]),
        (200, &TAXII_21.parse().unwrap())
    );
    read(response).await
}

async fn read(response: Response) -> Value {
    serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap()
}

const FEED: &str = "/taxii2/feeds/collections/fortigate";

#[tokio::test]
async fn a_reader_finds_its_way_from_discovery_to_objects() {
    let house = house();
    list(&house, &["20.0.0.1", "2a00::/64"]).await;
    let root = get(&house, "/taxii2/").await["default"].as_str().unwrap().to_owned();
    assert_eq!(get(&house, &root).await["versions"][0], TAXII_21);
    let collections = get(&house, &format!("{root}collections/")).await;
    let id = collections["collections"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(get(&house, &format!("{root}collections/{id}/")).await["title"], "fortigate");
    let objects = get(&house, &format!("{root}collections/{id}/objects/")).await;
    assert_eq!((&objects["more"], objects["objects"].as_array().unwrap().len()), (&false.into(), 2));
    let first = objects["objects"][0]["id"].as_str().unwrap();
    let one = get(&house, &format!("{FEED}/objects/{first}/")).await;
    assert_eq!((&one["objects"][0], one["objects"].as_array().unwrap().len()), (&objects["objects"][0], 1));
    let manifest = get(&house, &format!("{FEED}/manifest?match[id]={first}")).await;
    assert_eq!(manifest["objects"][0]["id"], *first);
    assert_eq!(ask(&house, "/taxii2/feeds/collections/other/objects/", TAXII_21).await.status(), 404);
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_came_and_what_left_since() {
    let house = house();
    list(&house, &["20.0.0.1", "30.0.0.1"]).await;
    let first = ask(&house, &format!("{FEED}/objects/"), TAXII_21).await;
    let seen = first.headers()[&LAST].to_str().unwrap().to_owned();
    assert_eq!(first.headers()[&FIRST], seen);
    list(&house, &["20.0.0.1", "40.0.0.1"]).await;
    let objects = get(&house, &format!("{FEED}/objects/?added_after={seen}")).await;
    let told: Vec<(&str, bool)> = objects["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| (object["name"].as_str().unwrap(), object["revoked"] == true))
        .collect();
    assert_eq!(told, [("30.0.0.1", true), ("40.0.0.1", false)]);
    let none = get(&house, &format!("{FEED}/objects/?added_after=2030-01-01T00:00:00.000Z")).await;
    assert_eq!(none, json!({ "more": false }));
}

#[tokio::test]
async fn pages_follow_each_other_also_when_the_list_changes_meanwhile() {
    let house = house();
    list(&house, &["20.0.0.1", "30.0.0.1", "40.0.0.1"]).await;
    let page = get(&house, &format!("{FEED}/objects/?limit=2")).await;
    assert_eq!((&page["more"], page["objects"].as_array().unwrap().len()), (&true.into(), 2));
    list(&house, &["20.0.0.1", "30.0.0.1", "40.0.0.1", "21.0.0.1"]).await;
    let next = page["next"].as_str().unwrap();
    let page = get(&house, &format!("{FEED}/objects/?limit=2&next={next}")).await;
    let names: Vec<&Value> =
        page["objects"].as_array().unwrap().iter().map(|object| &object["name"]).collect();
    assert_eq!(names, ["40.0.0.1", "21.0.0.1"]);
    for wrong in ["limit=0", "limit=x", "next=x", "added_after=x"] {
        assert_eq!(ask(&house, &format!("{FEED}/objects/?{wrong}"), TAXII_21).await.status(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_reader_of_version_2_0_gets_a_bundle_of_it_and_no_refusal() {
    let house = house();
    assert_eq!(ask(&house, &format!("{FEED}/objects/"), STIX_20).await.status(), 503, "no empty list");
    list(&house, &["20.0.0.1", "2a00::/64"]).await;
    let response = ask(&house, &format!("{FEED}/objects/"), STIX_20).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[CONTENT_TYPE]),
        (200, &STIX_20.parse().unwrap())
    );
    let bundle: Value = serde_json::from_slice(&response.into_body().read().await.unwrap()).unwrap();
    assert_eq!((&bundle["type"], &bundle["spec_version"]), (&"bundle".into(), &"2.0".into()));
    assert_eq!(bundle["objects"].as_array().unwrap().len(), 3, "with who says so");
}

/// Asks with a value of Authorization, from an address.
async fn ask_as(house: &House, path: &str, key: Option<&str>, from: Peer) -> Response {
    let mut request = http::Request::builder().uri(path).header(HOST, "a").header(ACCEPT, TAXII_21);
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, key);
    }
    house.app.answer(request.body(Body::empty()).unwrap(), from).await
}

#[tokio::test]
async fn whoever_may_read_a_feed_reads_its_collection_and_nobody_else() {
    let house = house();
    house.change(Change::Publish(Output::Feed(Profile::new("edge".parse().unwrap())))).await;
    let keys = house.device("box", &["edge"]).await;
    list(&house, &["20.0.0.1"]).await;
    let basic = format!("Basic {}", STANDARD.encode(format!("box:{}", keys.password)));
    let bearer = format!("Bearer {}", keys.token);
    let (edge, other) = ("/taxii2/feeds/collections/edge/objects/", format!("{FEED}/objects/"));
    for key in [&*basic, &*bearer, "Bearer admin"] {
        assert_eq!(ask_as(&house, edge, Some(key), from(STRANGER)).await.status(), 200, "{key}");
    }
    assert_eq!(ask_as(&house, edge, None, from([127, 0, 0, 1])).await.status(), 200, "an open network");
    let paths = ["/taxii2/", "/taxii2/feeds/", "/taxii2/feeds/collections/", edge, &*other];
    for path in paths {
        let none = ask_as(&house, path, None, from(STRANGER)).await;
        assert_eq!((none.status().as_u16(), none.headers().contains_key("www-authenticate")), (401, true));
        for key in ["Bearer other", "Basic b3RoZXI6b3RoZXI="] {
            assert_eq!(ask_as(&house, path, Some(key), from([127, 0, 0, 1])).await.status(), 401, "{path}");
        }
    }
    assert_eq!(ask_as(&house, &other, Some(&basic), from(STRANGER)).await.status(), 403, "not its feed");
    let collections = ask_as(&house, "/taxii2/feeds/collections/", Some(&basic), from(STRANGER)).await;
    let titles = read(collections).await["collections"].as_array().unwrap().clone();
    assert_eq!((titles.len(), &titles[0]["title"]), (1, &json!("edge")));
    let generation = house.engine().snapshot().generation;
    let (device, address) = ("box".to_owned(), "address 127.0.0.1".to_owned());
    let document = || "edge/taxii".to_owned();
    assert_eq!(house.pulls(), [(address, document(), generation, 1), (device, document(), generation, 2)]);
}
