//! Every route, from every kind of caller, at its own port and through the gateway, against the table in `tests/data`.

use super::house::{House, Plan, until};
use super::http::{Answer, ask_from};
use super::tls::{Pair, everywhere, exchange};
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
        let path = path.replace("/feeds/{name}", "/feeds/fortigate");
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

/// None: nobody was met, since there was too much to do, or something broke.
fn met(answer: &Answer) -> Option<Met> {
    if answer.status == 429 || answer.status >= 500 {
        return None;
    }
    let code = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    Some(match (answer.status, code["code"].as_str().unwrap_or_default()) {
        (401, "key_missing") => Met::NoKey,
        (401, "key_wrong") => Met::WrongKey,
        (403, "right_missing" | "installation_only") => Met::NoRight,
        _ => Met::LetIn,
    })
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
        somebody("a password for once", once(house), &[]),
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

fn post(house: &House, path: &str, body: &Value) -> Value {
    house.post("blacklist", path, "application/json", body.to_string()).ok().json()
}

/// The token of somebody with that role, who has logged in and chosen a password.
fn user(house: &House, role: &str) -> String {
    let name = format!("kim-{role}");
    post(house, "/api/v1/auth/users", &json!({"name": name, "role": role, "reason": "test"}));
    let password = "long enough to be a password";
    let path = format!("/api/v1/auth/users/{name}/password");
    post(house, &path, &json!({"password": password, "reason": "test"}));
    log_in(house, &name, password)
}

/// The token of somebody who has yet to choose a password, and may do nothing else.
fn once(house: &House) -> String {
    let wish = json!({"name": "lee", "role": "admin", "reason": "test"});
    let made = post(house, "/api/v1/auth/users", &wish);
    log_in(house, "lee", made["one_time_password"].as_str().unwrap())
}

/// The token of a device that reads the usual feed, once there is one.
fn device(house: &House) -> String {
    let list = house.post("blacklist", "/api/v1/blacklist/import?source=a", "text/plain", "45.1.2.3\n");
    list.ok();
    until("it is published", || (house.look("blacklist", "/feeds/fortigate").status == 200).then_some(()));
    let add = "device add hq --feed fortigate --reason test";
    assert!(house.run(add.split(' ')).status.success());
    let keys = post(house, "/api/v1/devices/hq/keys", &json!({"reason": "test"}));
    keys["token"].as_str().unwrap().to_owned()
}

fn log_in(house: &House, name: &str, password: &str) -> String {
    let session = json!({"username": name, "password": password}).to_string();
    let headers = [("content-type", "application/json")];
    let session = house.ask("blacklist", "POST", "/api/v1/auth/login", &headers, session.as_bytes()).unwrap();
    format!("Bearer {}", session.ok().json()["access_token"].as_str().unwrap())
}

fn ask(house: &House, port: &str, row: &Row<'_>, caller: &Caller, body: &[u8]) -> Answer {
    let key = caller.key.as_deref().map(|key| match key.starts_with("Bearer ") {
        true => ("authorization", key),
        false => ("x-api-key", key),
    });
    let headers = [key.as_slice(), &[("content-type", "application/json")]].concat();
    ask_from(caller.from, house.address(port), row.method, &row.path, &headers, body).unwrap()
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
            let answer = ask(&house, port, row, caller, b"");
            let (found, expected) = (met(&answer), expected(row, caller));
            if found != Some(expected) {
                let Row { method, path, .. } = row;
                wrong.push(format!(
                    "{port} {method} {path}, {}: {found:?}, not {expected:?}, {}",
                    caller.name, answer.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_certificate_is_let_in_where_the_key_is_that_it_stands_for() {
    let (folder, own) = (tempfile::tempdir().unwrap(), Pair::new());
    let plan = everywhere(Plan::new(&folder.path().join("data")), folder.path(), &own);
    let elsewhere = ["IRONLIST_ACCESS_OPEN", "IRONLIST_ACCESS_LEGACY_NETWORKS"];
    let plan = elsewhere.iter().fold(plan, |plan, name| plan.set(name, "192.0.2.0/24"));
    let house = plan.unasked().set("IRONLIST_TLS_CLIENTS", "ask").start();
    let known: Vec<(Pair, Caller)> =
        ["read", "admin"].into_iter().map(|right| certified(&house, right)).collect();
    let nobody = Caller { name: "a stranger".to_owned(), from: CLOSED, key: None, rights: Some(Vec::new()) };
    let shown = known.into_iter().chain([(Pair::new(), nobody)]).collect::<Vec<_>>();
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|row| row.demand != ["own"] && !is_about_oneself(row)) {
        for (port, (pair, caller)) in
            row.ports.iter().flat_map(|port| shown.iter().map(move |one| (port, one)))
        {
            let answer =
                exchange((house.address(port), &own, Some(pair)), row.method, &row.path, b"").unwrap();
            let (found, expected) = (met(&answer), expected(row, caller));
            if found != Some(expected) {
                let (Row { method, path, .. }, status) = (row, answer.status);
                wrong.push(format!(
                    "{port} {method} {path}, {}: {found:?}, not {expected:?}, {status}",
                    caller.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A certificate that stands for a key with one right.
fn certified(house: &House, right: &'static str) -> (Pair, Caller) {
    let pair = Pair::new();
    let add = format!("key add cert-{right} --right {right} --certificate {} --reason test", pair.digest());
    assert!(house.run(add.split(' ')).status.success());
    let (name, key) = (format!("a certificate to {right}"), Some(pair.digest()));
    (pair, Caller { name, from: OPEN, key, rights: Some(vec![right]) })
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
    let mut callers = callers(&house);
    let key = Some(device(&house));
    let rights = Some(vec!["feeds"]);
    callers.push(Caller { name: "a device".to_owned(), from: CLOSED, key, rights });
    // Logins and tokens in paths have tests of their own.
    let others = ["/api/v1/auth/", "/f/"];
    let is_here =
        |row: &Row<'_>| row.demand == ["own"] && !others.iter().any(|other| row.path.starts_with(other));
    let own = rows().into_iter().filter(is_here);
    let mut wrong = Vec::new();
    for row in own {
        for (port, caller) in row.ports.iter().flat_map(|port| callers.iter().map(move |one| (port, one))) {
            let Row { method, path, .. } = &row;
            let answer = ask(&house, port, &row, caller, b"");
            let is_refused = match answer.status {
                401 | 403 => true,
                429 | 500.. => panic!("{port} {method} {path}, {}: {answer:?}", caller.name),
                _ => false,
            };
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

#[test]
fn a_token_in_a_path_is_the_key_and_nothing_else_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).set("IRONLIST_PUBLISH_OPEN", "127.0.0.1").start();
    let token = device(&house);
    for port in ["blacklist", "gateway"] {
        let status = |token: &str, from| {
            let path = format!("/f/{token}/fortigate");
            ask_from(from, house.address(port), "GET", &path, &[], b"").unwrap().status
        };
        assert_eq!([status(&token, CLOSED), status(&token, OPEN)], [200; 2], "{port}");
        assert_eq!(status("made-up", CLOSED), 401, "{port}");
    }
}

#[test]
fn whoever_logs_in_needs_no_key_and_who_one_is_is_told_to_those_who_are_somebody() {
    let folder = tempfile::tempdir().unwrap();
    // Wrong keys are shown here dozens of times.
    let house = Plan::new(folder.path()).set("IRONLIST_RATE_AUTH", "off").start();
    let (callers, mut wrong) = (callers(&house), Vec::new());
    let is_about_logins = |row: &Row<'_>| row.path.starts_with("/api/v1/auth/") && row.demand == ["own"];
    let rows: Vec<_> =
        rows().into_iter().filter(|row| is_about_logins(row) || is_about_oneself(row)).collect();
    assert_eq!(rows.len(), 5);
    for row in &rows {
        for (port, caller) in row.ports.iter().flat_map(|port| callers.iter().map(move |one| (port, one))) {
            // What is said is no login and no password, so that whoever is let in is told that.
            let found = ask(&house, port, row, caller, b"{\"nonsense\":1}").status;
            let expected = match (row.method, &caller.rights, &caller.key) {
                _ if is_about_logins(row) => 422,
                (_, None, _) | ("GET", _, None) => 401,
                ("GET", ..) => 200,
                _ => 422,
            };
            if found != expected {
                wrong.push(format!(
                    "{port} {} {}, {}: {found}, not {expected}",
                    row.method, row.path, caller.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
