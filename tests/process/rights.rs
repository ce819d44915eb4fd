//! Every route, from every kind of caller, at its own port and through the gateway, against the table in `tests/data`.

use super::house::{House, Plan};
use super::http::{Answer, ask_from};
use serde_json::{Value, json};

const TABLE: &str = include_str!("../data/rights.txt");
const RIGHTS: [&str; 6] = ["check", "read", "feeds", "metrics", "write", "admin"];

/// Where nobody in particular may read, where the earlier system's callers are, and neither.
const OPEN: [u8; 4] = [127, 0, 0, 1];
const EARLIER: [u8; 4] = [127, 0, 0, 5];
const CLOSED: [u8; 4] = [127, 0, 0, 9];

/// A row of the table.
struct Row<'t> {
    method: &'t str,
    path: String,
    demand: Vec<&'t str>,
    ports: Vec<&'t str>,
}

fn rows() -> Vec<Row<'static>> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let row = |line: &'static str| {
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut demand = vec![words.next().unwrap()];
        demand.extend(matches!(demand[..], ["earlier" | "open"]).then(|| words.next().unwrap()));
        let path =
            [("{ip}", "203.0.113.9"), ("{range}", "203.0.113.0%2F24"), ("{number}", "1"), ("{to}", "1")]
                .into_iter()
                .fold(path.to_owned(), |path, (place, value)| path.replace(place, value));
        let path = path.replace('{', "no-").replace('}', "");
        Row { method, path, demand, ports: words.collect() }
    };
    lines.map(row).collect()
}

/// Who asks: from where, with which key, and what they may do; none: the key is nobody's.
struct Caller {
    name: String,
    from: [u8; 4],
    key: Option<String>,
    rights: Option<Vec<&'static str>>,
}

/// How a request is met at the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Met {
    /// Whatever else was wrong with it.
    LetIn,
    NoKey,
    WrongKey,
    NoRight,
}

fn met(answer: &Answer) -> Met {
    let code = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    match (answer.status, code["code"].as_str().unwrap_or_default()) {
        (401, "key_missing") => Met::NoKey,
        (401, "key_wrong") => Met::WrongKey,
        (403, "right_missing" | "installation_only") => Met::NoRight,
        _ => Met::LetIn,
    }
}

/// What the table says, in words of one syllable.
fn expected(row: &Row<'_>, caller: &Caller) -> Met {
    let Some(rights) = &caller.rights else { return Met::WrongKey };
    let right = match row.demand[..] {
        ["nothing"] => return Met::LetIn,
        ["earlier", _] if caller.key.is_none() && caller.from == EARLIER => return Met::LetIn,
        ["open", _] if caller.key.is_none() && caller.from == OPEN => return Met::LetIn,
        ["installation"] if caller.name == "the installation" => return Met::LetIn,
        ["installation"] if rights.contains(&"admin") => return Met::NoRight,
        ["installation"] => "admin",
        ["earlier" | "open", right] | [right] => right,
        _ => unreachable!(),
    };
    match (rights.contains(&right), &caller.key) {
        (true, _) => Met::LetIn,
        (false, None) => Met::NoKey,
        (false, Some(_)) => Met::NoRight,
    }
}

/// What one says for oneself, on the few routes that ask who somebody is and not what they may do.
fn is_about_oneself(row: &Row<'_>) -> bool {
    row.path.starts_with("/api/v1/auth/me")
}

fn callers(house: &House) -> Vec<Caller> {
    let nobody = |name: &str, from, rights: &[&'static str]| Caller {
        name: name.to_owned(),
        from,
        key: None,
        rights: Some(rights.to_vec()),
    };
    let somebody = |name: &str, key: String, rights: &[&'static str]| Caller {
        name: name.to_owned(),
        from: CLOSED,
        key: Some(key),
        rights: Some(rights.to_vec()),
    };
    let mut all = vec![
        nobody("nobody, from an open network", OPEN, &["check", "metrics"]),
        nobody("nobody, from an earlier network", EARLIER, &[]),
        nobody("nobody, from elsewhere", CLOSED, &[]),
        Caller { name: "a wrong key".to_owned(), from: OPEN, key: Some("wrong".to_owned()), rights: None },
        somebody("the installation", house.key(), &RIGHTS),
        somebody("a user", user(house, "user"), &RIGHTS[..5]),
        somebody("an administrator", user(house, "admin"), &RIGHTS),
    ];
    all.extend(RIGHTS.map(|right| somebody(&format!("a key to {right}"), key(house, right), &[right])));
    all
}

/// A key with one right.
fn key(house: &House, right: &str) -> String {
    let wish = json!({"reason": "test", "key": {"name": format!("only-{right}"), "rights": [right]}});
    let made = house.post("blacklist", "/api/v1/auth/keys", "application/json", wish.to_string()).ok().json();
    made["secret"].as_str().unwrap().to_owned()
}

/// The token of somebody with that role, who has logged in and chosen a password.
fn user(house: &House, role: &str) -> String {
    let post = |path: &str, body: Value| {
        house.post("blacklist", path, "application/json", body.to_string()).ok().json()
    };
    let name = format!("kim-{role}");
    post("/api/v1/auth/users", json!({"name": name, "role": role, "reason": "test"}));
    let password = "long enough to be a password";
    let path = format!("/api/v1/auth/users/{name}/password");
    post(&path, json!({"password": password, "reason": "test"}));
    let session = json!({"username": name, "password": password}).to_string();
    let headers = [("content-type", "application/json")];
    let session = house.ask("blacklist", "POST", "/api/v1/auth/login", &headers, session.as_bytes()).unwrap();
    format!("Bearer {}", session.ok().json()["access_token"].as_str().unwrap())
}

fn ask(house: &House, port: &str, row: &Row<'_>, caller: &Caller) -> Answer {
    let key = caller.key.as_deref().map(|key| match key.starts_with("Bearer ") {
        true => ("authorization", key),
        false => ("x-api-key", key),
    });
    ask_from(caller.from, house.address(port), row.method, &row.path, key.as_slice(), b"").unwrap()
}

#[test]
fn every_route_lets_in_whom_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path())
        .set("IRONLIST_ACCESS_OPEN", "127.0.0.1")
        .set("IRONLIST_ACCESS_LEGACY_NETWORKS", "127.0.0.5")
        .set("IRONLIST_PUBLISH_OPEN", "127.0.0.1")
        // Wrong keys are shown here hundreds of times.
        .set("IRONLIST_RATE_AUTH", "off")
        .start();
    let (callers, rows) = (callers(&house), rows());
    assert!(rows.len() > 100);
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row.demand != ["own"] && !is_about_oneself(row)) {
        for (port, caller) in row.ports.iter().flat_map(|port| callers.iter().map(move |one| (port, one))) {
            let answer = ask(&house, port, row, caller);
            let (found, expected) = (met(&answer), expected(row, caller));
            if found != expected {
                let Row { method, path, .. } = row;
                wrong.push(format!("{port} {method} {path}, {}: {found:?}, not {expected:?}", caller.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn routes_with_keys_of_their_own_let_nobody_in_from_elsewhere_and_know_who_may_read_feeds() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path())
        .set("IRONLIST_ACCESS_LEGACY_NETWORKS", "127.0.0.5")
        .set("IRONLIST_PUBLISH_OPEN", "127.0.0.1")
        // Wrong keys are shown here hundreds of times.
        .set("IRONLIST_RATE_AUTH", "off")
        .start();
    let callers = callers(&house);
    let own =
        rows().into_iter().filter(|row| row.demand == ["own"] && !row.path.starts_with("/api/v1/auth/"));
    let mut wrong = Vec::new();
    for row in own {
        for (port, caller) in row.ports.iter().flat_map(|port| callers.iter().map(move |one| (port, one))) {
            let Row { method, path, .. } = &row;
            // A name that nobody knows is unknown to everybody, and a token in a path is a key.
            if path.contains("/no-") && !path.starts_with("/taxii2") {
                continue;
            }
            let answer = ask(&house, port, &row, caller);
            let is_refused = matches!(answer.status, 401 | 403);
            let bouncer = path.starts_with("/v1/");
            let earlier = ["/api/v1/fortigate", "/api/fortigate", "/api/blacklist/active"];
            let lets_in = match (&caller.rights, &caller.key) {
                (Some(rights), Some(_)) => rights.contains(&"feeds"),
                (Some(_), None) if caller.from == EARLIER => earlier.contains(&path.as_str()),
                (Some(_), None) => caller.from == OPEN && !bouncer,
                (None, _) => false,
            };
            if is_refused == lets_in {
                wrong.push(format!("{port} {method} {path}, {}: {}", caller.name, answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
