//! People and keys from the first password to the last word, in one process and across two.

use super::house::{House, Plan, ironlist, say, told, until};
use super::http;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PASSWORD: &str = "correct horse battery";
/// What a login is sent as.
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Asks with a key or token, and gives status and document.
fn ask(house: &House, role: &str, key: &str, call: &str, body: &Value) -> (u16, Value) {
    let (method, path) = call.split_once(' ').unwrap();
    let authorization = format!("Bearer {key}");
    let mut headers = vec![("content-type", "application/json")];
    headers.extend((!key.is_empty()).then_some(("authorization", authorization.as_str())));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = house.ask(role, method, path, &headers, body.as_bytes()).unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn token(session: &Value) -> String {
    session["access_token"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned()
}

fn log_in(house: &House, role: &str, username: &str, password: &str) -> Value {
    let body = json!({"username": username, "password": password});
    ask(house, role, "", "POST /api/v1/auth/login", &body).1
}

fn choose(house: &House, role: &str, session: &Value) -> Value {
    let body = json!({"new_password": PASSWORD});
    ask(house, role, &token(session), "PUT /api/v1/auth/me/password", &body).1
}

fn list(house: &House, role: &str, key: &str, ip: &str) -> u16 {
    let body = json!({"ip": ip, "reason": "brute force"});
    ask(house, role, key, "POST /api/v1/blacklist/ips", &body).0
}

/// A gateway of its own before the process with the blacklist role.
fn gateway(owner: &House, data: &std::path::Path) -> House {
    std::fs::create_dir(data).unwrap();
    std::fs::copy(owner.data().join("admin.key"), data.join("admin.key")).unwrap();
    let url = format!("http://{}", owner.address("blacklist"));
    Plan::new(data).roles("gateway").set("IRONLIST_UPSTREAM_BLACKLIST", &url).start()
}

#[test]
fn from_the_first_password_to_a_users_write_and_a_logout_that_every_process_hears_of() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let owner = Plan::new(&at("owner")).roles("blacklist").start();
    let door = gateway(&owner, &at("door"));
    let file = owner.data().join("admin.password");
    let first = std::fs::read_to_string(&file).unwrap();
    assert!(!owner.has_logged(first.trim()));

    let limited = log_in(&door, "gateway", "admin", first.trim());
    assert_eq!(limited["must_change_password"], true, "{limited}");
    assert_eq!(list(&door, "gateway", &token(&limited), "45.1.2.3"), 403);
    let admin = token(&choose(&door, "gateway", &limited));
    until("the file is gone", || (!file.exists()).then_some(()));
    assert_eq!(log_in(&door, "gateway", "admin", first.trim())["code"], "login_wrong");

    let body = json!({"name": "kim", "reason": "a colleague"});
    let (_, made) = ask(&door, "gateway", &admin, "POST /api/v1/auth/users", &body);
    let kim = choose(
        &door,
        "gateway",
        &log_in(&door, "gateway", "kim", made["one_time_password"].as_str().unwrap()),
    );
    assert_eq!(list(&door, "gateway", &token(&kim), "45.1.2.3"), 200);
    assert_eq!(list(&owner, "blacklist", &token(&kim), "45.1.2.4"), 200, "every port believes the same");
    let (_, batches) = ask(&owner, "blacklist", &admin, "GET /api/v1/generations", &Value::Null);
    assert!(batches.to_string().contains("kim (127.0.0.1)"), "{batches}");

    let (status, _) = ask(&owner, "blacklist", &token(&kim), "POST /api/v1/auth/logout", &Value::Null);
    assert_eq!(status, 200);
    assert_eq!(list(&owner, "blacklist", &token(&kim), "45.1.2.5"), 401, "at once in this process");
    let begin = Instant::now();
    until("the other process hears of it", || {
        (ask(&door, "gateway", &token(&kim), "GET /api/v1/feeds", &Value::Null).0 == 401).then_some(())
    });
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let refused = until("its refusals are told", || {
        let (_, refusals) = ask(&owner, "blacklist", &admin, "GET /api/v1/auth/refusals", &Value::Null);
        let text = refusals.to_string();
        (text.contains("/api/v1/feeds") && text.contains("login_wrong")).then_some(text)
    });
    assert!(!refused.contains(&token(&kim)) && !refused.contains(first.trim()));

    // Across a restart without a last word.
    owner.kill();
    let (status, answer) = ask(&door, "gateway", &admin, "GET /api/v1/feeds", &Value::Null);
    assert!(status == 503 || status == 502, "an owner that is away is no wrong key: {answer}");
    until("nobody is called wrong whom nobody knows", || {
        let (status, answer) = ask(&door, "gateway", &admin, "GET /health", &Value::Null);
        assert_ne!(status, 401, "{answer}");
        (answer["code"] == "identity_unknown").then_some(())
    });
    let owner = Plan::new(&at("owner")).roles("blacklist").start();
    assert_eq!(list(&owner, "blacklist", &token(&kim), "45.1.2.6"), 401, "what was ended stays ended");
    let again = log_in(&owner, "blacklist", "kim", PASSWORD);
    assert_eq!(list(&owner, "blacklist", &token(&again), "45.1.2.6"), 200);
}

#[test]
fn the_command_line_makes_people_and_keys_known_and_prints_a_secret_once() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let run = |line: &str| {
        let (code, out, err) = told(&house.run(line.split(' ')));
        assert_eq!(code, 0, "{line}: {err}");
        out
    };
    let value = |out: &str, name: &str| {
        let line = out.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{out}")).to_owned()
    };
    let one_time = value(&run("user add kim --role admin --reason test"), "one_time_password");
    assert_eq!(log_in(&house, "gateway", "kim", &one_time)["must_change_password"], true);
    let (code, out, err) = house.say("user password kim --password-stdin --reason test", PASSWORD);
    assert_eq!(code, 0, "{out}{err}");
    let session = log_in(&house, "gateway", "kim", PASSWORD);
    assert_eq!(session["must_change_password"], false, "{session}");
    assert!(run("user list").contains("kim") && run("user show kim").contains("role: admin"));

    let made = run("key add siem --right check --right read --expires 90d --reason test");
    let key = value(&made, "secret");
    assert_eq!(ask(&house, "gateway", &key, "GET /api/v1/auth/me", &Value::Null).1["name"], "siem");
    assert_eq!(list(&house, "gateway", &key, "45.1.2.3"), 403);
    assert!(!run("key show siem").contains(&key) && run("key list").contains("check, read"));
    let next = value(&run("key rotate siem --overlap-hours 0 --reason test"), "secret");
    for (key, expected) in [(&key, 401), (&next, 200)] {
        assert_eq!(ask(&house, "gateway", key, "GET /api/v1/feeds", &Value::Null).0, expected);
    }
    run("key remove siem --reason test");
    assert_eq!(ask(&house, "gateway", &next, "GET /api/v1/feeds", &Value::Null).0, 401);

    let refusals = run("user refusals");
    assert!(refusals.contains("key_wrong") && refusals.contains("right_missing"), "{refusals}");
    // The gateway, too, says what was asked of whoever is behind it.
    assert!(refusals.contains("GET /api/v1/feeds") && !refusals.contains("(no route here)"), "{refusals}");
    run("user rotate-signing --reason test");
    assert_eq!(ask(&house, "gateway", &token(&session), "GET /api/v1/auth/me", &Value::Null).0, 200);
    run("user logout kim --reason test");
    assert_eq!(ask(&house, "gateway", &token(&session), "GET /api/v1/feeds", &Value::Null).0, 401);
    run("user set kim --disabled true --reason test");
    assert_eq!(log_in(&house, "gateway", "kim", PASSWORD)["code"], "login_wrong");
    let remove = ["user", "remove", "admin", "--reason", "test"];
    let (code, _, err) = told(&house.run(remove));
    assert!(code == 2 && err.contains("last_administrator"), "{err}");
    assert!(house.stop().success());

    // The same without a service: over the store itself.
    let mut command = ironlist(folder.path());
    command.args("user password admin --password-stdin --reason forgotten".split(' '));
    assert_eq!(say(command, PASSWORD).0, 0);
    assert!(!folder.path().join("admin.password").exists());
    let house = Plan::new(folder.path()).start();
    let admin = token(&log_in(&house, "gateway", "admin", PASSWORD));
    let audit = ask(&house, "gateway", &admin, "GET /api/v1/audit", &Value::Null).1.to_string();
    for action in
        ["user.add", "user.password", "user.logout", "user.set", "key.add", "key.rotate", "key.remove"]
    {
        assert!(audit.contains(action), "{action} is not in {audit}");
    }
    assert!(!audit.contains(PASSWORD) && !audit.contains(&next));
}

#[test]
fn a_flood_of_logins_from_everywhere_keeps_out_neither_who_was_there_before_nor_who_has_a_password_for_once()
{
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).roles("blacklist").start();
    let first = std::fs::read_to_string(house.data().join("admin.password")).unwrap();
    let admin = choose(&house, "blacklist", &log_in(&house, "blacklist", "admin", first.trim()));
    let body = json!({"name": "kim", "reason": "a colleague"});
    let made = ask(&house, "blacklist", &token(&admin), "POST /api/v1/auth/users", &body).1;
    let once = made["one_time_password"].as_str().unwrap();
    let over = AtomicBool::new(false);
    let to = house.address("blacklist");
    std::thread::scope(|scope| {
        let flood = |thread: u32| {
            let over = &over;
            scope.spawn(move || {
                // A network of its own for each attempt, and the names of those who are there.
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let [_, b, c, d] = (thread * 1_000_003 + n * 7919_u32).to_be_bytes();
                    let name = ["admin", "kim", "lee", "max"][n as usize % 4];
                    let body = json!({"username": name, "password": "guessed and wrong"}).to_string();
                    let from = [127, b.max(1), c, d.clamp(1, 250)];
                    let _ = http::ask_from(from, to, "POST", "/api/v1/auth/login", &JSON, body.as_bytes());
                }
            })
        };
        let flooding: Vec<_> = (1..=8).map(flood).collect();
        std::thread::sleep(Duration::from_secs(1));
        for _ in 0..10 {
            let session = log_in(&house, "blacklist", "admin", PASSWORD);
            assert!(
                session["access_token"].is_string(),
                "from where the administrator was before: {session}"
            );
        }
        let body = json!({"username": "kim", "password": once}).to_string();
        let from = [127, 200, 0, 1];
        let kim = http::ask_from(from, to, "POST", "/api/v1/auth/login", &JSON, body.as_bytes()).unwrap();
        assert_eq!(
            kim.status, 200,
            "whoever has a password for once, from a place that nobody knows: {kim:?}"
        );
        over.store(true, Ordering::Relaxed);
        flooding.into_iter().for_each(|one| one.join().unwrap());
    });
}

/// Follows a feed live with a key, on a thread of its own: what came until the stream ended.
fn follow(house: &House, role: &str, key: &str) -> std::thread::JoinHandle<String> {
    let mut stream = http::connect(house.address(role)).unwrap();
    let headers = [("x-api-key", key), ("accept", "text/event-stream")];
    let path = "/api/v1/changes?since=1&feed=fortigate";
    stream.write_all(&http::head("localhost", "GET", path, &headers)).unwrap();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[test]
fn a_stream_that_is_followed_ends_with_the_key_that_opened_it_here_and_through_a_gateway_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let owner = Plan::new(&folder.path().join("owner")).roles("blacklist").start();
    let door = gateway(&owner, &folder.path().join("door"));
    let listed = |list: &str| {
        let path = "/api/v1/blacklist/import?source=partner&replace=true";
        owner.post("blacklist", path, "text/plain", list).ok();
    };
    listed("45.1.2.3\n");
    until("it is published", || (owner.get("blacklist", "/feeds/fortigate").status == 200).then_some(()));
    let wish = json!({"reason": "test", "key": {"name": "strm", "rights": ["read"]}}).to_string();
    let made = owner.post("blacklist", "/api/v1/auth/keys", "application/json", wish).ok().json();
    let key = made["secret"].as_str().unwrap();
    let streams = [follow(&owner, "blacklist", key), follow(&door, "gateway", key)];
    listed("45.1.2.3\n45.1.2.4\n");
    std::thread::sleep(Duration::from_secs(2));
    assert!(streams.iter().all(|stream| !stream.is_finished()), "with its key it goes on");
    let (code, _, err) = told(&owner.run("key remove strm --reason stolen".split(' ')));
    assert_eq!(code, 0, "{err}");
    let removed = Instant::now();
    listed("45.1.2.3\n45.66.77.88\n");
    for stream in streams {
        let told = stream.join().unwrap();
        assert!(removed.elapsed() < Duration::from_secs(6), "{:?}", removed.elapsed());
        assert!(
            told.contains("200 OK") && told.contains("45.1.2.4") && !told.contains("45.66.77.88"),
            "{told}"
        );
    }
}

#[test]
fn a_flood_of_logins_does_not_keep_look_ups_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).roles("blacklist").start();
    let look = || {
        let begin = Instant::now();
        house.get("blacklist", "/api/v1/blacklist/check/192.0.2.1").ok();
        begin.elapsed()
    };
    let [over, delayed] = [(); 2].map(|()| AtomicBool::new(false));
    let before = house.most_memory();
    std::thread::scope(|scope| {
        let flood: Vec<_> = (0..16)
            .map(|n| {
                let (house, over, delayed) = (&house, &over, &delayed);
                scope.spawn(move || {
                    let mut statuses = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let body = json!({"username": format!("user{n}"), "password": "guessed"});
                        let status = ask(house, "blacklist", "", "POST /api/v1/auth/login", &body).0;
                        delayed.fetch_or(status == 429, Ordering::Relaxed);
                        statuses.push(status);
                    }
                    statuses
                })
            })
            .collect();
        let mut times: Vec<Duration> = (0..100).map(|_| look()).collect();
        until("a place that tries many names has to wait", || delayed.load(Ordering::Relaxed).then_some(()));
        over.store(true, Ordering::Relaxed);
        times.sort_unstable();
        let statuses: Vec<u16> = flood.into_iter().flat_map(|one| one.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| matches!(status, 401 | 429 | 503)), "{statuses:?}");
        // On a machine that does much else: a hash takes longer than this look-up.
        assert!(times[90] < Duration::from_millis(500), "{times:?}");
    });
    // A password takes 19 MiB to check, and two are checked at once: sixteen would take 300. Some it had taken before.
    let taken = (house.most_memory() - before) >> 20;
    assert!(taken < 80, "{taken} MiB");
}

/// Everything in a folder and those within, as bytes.
fn kept(folder: &std::path::Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let bytes = entries.filter(|path| path.is_dir() || path.is_file()).map(|path| match path.is_dir() {
        true => kept(&path),
        false => std::fs::read(path).unwrap(),
    });
    bytes.flatten().collect()
}

#[test]
fn no_secret_is_kept_in_a_form_that_can_be_read_back_and_no_two_installations_share_one() {
    let folder = tempfile::tempdir().unwrap();
    let [mine, other] = ["mine", "other"].map(|name| folder.path().join(name));
    let house = Plan::new(&mine).roles("blacklist").start();
    let secrets = |data: &std::path::Path| {
        ["admin.key", "admin.password", "vault.key"].map(|name| std::fs::read(data.join(name)).unwrap())
    };
    let first = secrets(&mine);
    let one_time = String::from_utf8(first[1].clone()).unwrap();
    let limited = log_in(&house, "blacklist", "admin", one_time.trim());
    let session = choose(&house, "blacklist", &limited);
    let body = json!({"reason": "test", "key": {"name": "siem", "rights": ["check"]}});
    let (status, key) = ask(&house, "blacklist", &token(&session), "POST /api/v1/auth/keys", &body);
    assert!(matches!(status, 200 | 201), "{key}");
    assert!(house.stop().success());

    let kept = kept(&mine);
    let has = |secret: &str| kept.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
    assert!(has("siem"), "what is kept is looked through");
    let refresh = session["refresh_token"].as_str().unwrap();
    let secret = key["secret"].as_str().unwrap();
    for (what, secret) in [
        ("the password", PASSWORD),
        ("the first password", one_time.trim()),
        ("the access token", &token(&session)),
        ("the refresh token", &refresh[refresh.len() - 40..]),
        ("the key", &secret[secret.len() - 40..]),
    ] {
        assert!(!has(secret), "{what} is kept");
    }

    Plan::new(&other).roles("blacklist").start().kill();
    let second = secrets(&other);
    assert!(first.iter().zip(&second).all(|(mine, other)| mine != other && other.len() > 16));
}
