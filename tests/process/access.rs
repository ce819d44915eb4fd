//! Who is given what is published: one and the same key on every way out, through a gateway of its own as through one in
//! the process, and what becomes of settings that name a feed which is not there.

use super::house::{House, Plan, told, until};
use super::http::{self, Answer, basic};
use serde_json::{Value, json};
use std::net::SocketAddr;

const TAXII: &str = "/taxii2/feeds/collections/fortigate/objects/";

/// Asks from an address of this machine.
fn ask_from(from: [u8; 4], to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    http::ask_from(from, to, "GET", path, headers, b"").unwrap()
}

fn list(house: &House) {
    house.post("blacklist", "/api/v1/blacklist/import?source=a", "text/plain", "20.0.0.1\n20.0.0.3\n").ok();
    until("it is published", || {
        let key = house.key();
        let answer = house.ask("blacklist", "GET", "/feeds/fortigate", &[("x-api-key", &key)], b"");
        (answer.unwrap().status == 200).then_some(())
    });
}

/// A device, and its keys: token, and the value of Authorization with its password.
fn device(house: &House, network: &str) -> (String, String) {
    let add = ["device", "add", "hq", "--feed", "fortigate", "--network", network, "--reason", "test"];
    let (code, _, err) = told(&house.run(add));
    assert_eq!(code, 0, "{err}");
    let wish = json!({"reason": "test"}).to_string();
    let keys = house.post("blacklist", "/api/v1/devices/hq/keys", "application/json", wish).ok().json();
    let password = keys["password"].as_str().unwrap();
    (keys["token"].as_str().unwrap().to_owned(), basic("hq", password))
}

#[test]
fn every_way_out_asks_for_the_same_keys() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).set("IRONLIST_PUBLISH_OPEN", "192.0.2.0/24").start();
    list(&house);
    let (token, pair) = device(&house, "127.0.0.77");
    let (bearer, admin) = (format!("Bearer {token}"), house.key());
    for role in ["gateway", "blacklist"] {
        for path in ["/feeds/fortigate", TAXII, "/taxii2/feeds/collections/"] {
            let ask = |headers: &[(&str, &str)]| house.ask(role, "GET", path, headers, b"").unwrap().status;
            assert_eq!(ask(&[]), 401, "{role} {path}");
            for right in [
                ("authorization", &*pair),
                ("authorization", &bearer),
                ("x-api-key", &token),
                ("x-api-key", &admin),
            ] {
                assert_eq!(ask(&[right]), 200, "{role} {path} {right:?}");
            }
            for wrong in [("authorization", "Bearer x"), ("authorization", "Basic eDp4"), ("x-api-key", "x")]
            {
                assert_eq!(ask(&[wrong]), 401, "{role} {path} {wrong:?}");
            }
            let from_its_network = ask_from([127, 0, 0, 77], house.address(role), path, &[]);
            assert_eq!(from_its_network.status, 200, "{role} {path}");
        }
        for path in ["/v1/decisions", "/v1/decisions/stream?startup=true"] {
            let ask = |key: &str| house.ask(role, "GET", path, &[("x-api-key", key)], b"").unwrap().status;
            assert_eq!([&token, &admin, "x"].map(ask), [200, 200, 401], "{role} {path}");
        }
    }
    let pulls = house.look("gateway", "/api/v1/pulls").ok().json();
    let rows: Vec<(&Value, &Value)> =
        pulls["data"].as_array().unwrap().iter().map(|row| (&row["reader"], &row["document"])).collect();
    let documents = ["fortigate", "fortigate/decisions", "fortigate/taxii"].map(Value::from);
    let hq = Value::from("hq");
    assert_eq!(rows, documents.iter().map(|document| (&hq, document)).collect::<Vec<_>>());
    assert_eq!(told(&house.run(["device", "remove", "hq", "--reason", "test"])).0, 0);
    for path in ["/feeds/fortigate", TAXII, "/v1/decisions"] {
        let answer = house.ask("gateway", "GET", path, &[("x-api-key", &token)], b"").unwrap();
        assert!(matches!(answer.status, 401 | 403), "{path} {answer:?}");
    }
}

#[test]
fn a_gateway_of_its_own_speaks_for_its_callers_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let blacklist = Plan::new(&at("blacklist")).roles("blacklist");
    let blacklist = blacklist.set("IRONLIST_PUBLISH_OPEN", "127.0.0.1").start();
    list(&blacklist);
    device(&blacklist, "127.0.0.77");
    let data = at("gateway");
    std::fs::create_dir(&data).unwrap();
    std::fs::copy(blacklist.data().join("admin.key"), data.join("admin.key")).unwrap();
    let url = format!("http://{}", blacklist.address("blacklist"));
    let gateway = Plan::new(&data).roles("gateway").set("IRONLIST_UPSTREAM_BLACKLIST", &url).start();
    for path in ["/feeds/fortigate", TAXII] {
        let ask = |from| ask_from(from, gateway.address("gateway"), path, &[]).status;
        // One that is open, one that is the device's, and one that is neither.
        assert_eq!([[127, 0, 0, 1], [127, 0, 0, 77], [127, 0, 0, 9]].map(ask), [200, 200, 401], "{path}");
    }
    let pulls = blacklist.look("blacklist", "/api/v1/pulls").ok().json();
    let rows = pulls["data"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["reader"] == "hq" && row["from"] == "127.0.0.77"), "{pulls}");
    // Whoever is neither says that it is, and that it is a gateway.
    let claims = [("x-forwarded-for", "127.0.0.1"), ("x-ironlist-gateway", "00")];
    for to in [blacklist.address("blacklist"), gateway.address("gateway")] {
        for claims in [&claims[..1], &claims] {
            assert_eq!(
                ask_from([127, 0, 0, 9], to, "/feeds/fortigate", claims).status,
                401,
                "{to} {claims:?}"
            );
        }
    }
}

#[test]
fn a_setting_that_names_no_feed_is_told_until_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).set("IRONLIST_CROWDSEC_FEED", "later").start();
    house.logged("crowdsec.feed names later, and there is no such feed");
    list(&house);
    let check = || house.get("blacklist", "/health").ok().json()["checks"]["named_feeds"].clone();
    let told_so = check();
    assert_eq!(told_so["status"], "degraded");
    assert!(told_so["cure"].as_str().unwrap().contains("ironlist feeds add"), "{told_so}");
    assert_eq!(house.get("gateway", "/ready").status, 200);
    let key = house.key();
    let ask = || house.ask("gateway", "GET", "/v1/decisions", &[("x-api-key", &key)], b"").unwrap();
    assert_eq!(ask().problem(), (503, "feed_missing".to_owned()));
    assert_eq!(told(&house.run(["feeds", "add", "later", "--reason", "test"])).0, 0);
    assert_eq!((&check()["status"], ask().status), (&json!("healthy"), 200));
}

#[test]
fn a_firewalls_own_address_counts_as_allowed_and_the_story_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    list(&house);
    device(&house, "20.0.0.1");
    let told = |path: &str| house.get("gateway", path).ok().json();
    let verdict = told("/api/v1/blacklist/check/20.0.0.1");
    assert_eq!((&verdict["listed"], &verdict["exempt"]), (&json!(false), &json!("allowlist")));
    assert_eq!(told("/api/v1/blacklist/ips/20.0.0.1")["exempt"], "device");
    assert_eq!(told("/api/v1/blacklist/check/20.0.0.3")["listed"], true);
}
