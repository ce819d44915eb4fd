//! From the portals to the firewall: the service against portals and lists that behave as the real ones
//! do, across crashes, lost sessions and holds.

use super::fakes::regtech::{self, Fault, Regtech};
use super::feed::{Answer, FeedServer};
use super::house::{House, told, until};
use super::place::{Place, account, last_run, recent, trigger};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The addresses of the feed, without those that portals do not list.
fn feed(house: &House) -> Vec<String> {
    let text = house.get("gateway", "/api/v1/blacklist/fortigate").ok().text().to_owned();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_the_portal_lists_is_on_the_firewall_by_itself() {
    let all = recent(30, 40);
    let portal = Regtech::start(all.clone());
    let place = Place::regtech(&portal);
    let house = account(place.plan(), regtech::PASSWORD).start();
    let run = last_run(&house, "regtech");
    assert_eq!((&run["state"], &run["counts"]["new"]), (&json!("done"), &json!(1_200)), "{run}");
    let path = format!("/api/v1/blacklist/check/{}", all[0].ip);
    let check = house.get("gateway", &path).ok().json();
    assert_eq!((&check["listed"], &check["sources"]), (&json!(true), &json!(["regtech"])));
    let listed = until("the feed is released", || Some(feed(&house)).filter(|feed| !feed.is_empty()));
    assert!(listed.contains(&all[0].ip) || listed.iter().any(|line| line.contains('/')), "{}", listed.len());
    assert_eq!((portal.state().logins.len(), portal.wrong_logins().0), (1, 0));
    let (_, table, _) = told(&house.run(["run", "list"]));
    assert!(table.contains("regtech") && table.contains("done"), "{table}");
}

#[test]
fn a_backfill_that_is_killed_goes_on_where_it_was() {
    let all = recent(80, 10);
    let portal = Regtech::start(all.clone());
    let place = Place::regtech(&portal);
    let mut starts = 0;
    for windows in [2, 5, 8] {
        let before = portal.server.count(regtech::WORKBOOK);
        let house = account(place.plan(), regtech::PASSWORD).start();
        starts += 1;
        if starts > 1 {
            trigger(&house, "regtech");
        }
        until("it reads", || (portal.server.count(regtech::WORKBOOK) >= before + windows).then_some(()));
        house.kill();
    }
    let house = account(place.plan(), regtech::PASSWORD).start();
    trigger(&house, "regtech");
    let run = last_run(&house, "regtech");
    assert_eq!(run["state"], "done", "{run}");
    let statistics = house.get("gateway", "/api/v1/blacklist/active?limit=1").ok().json();
    assert_eq!(statistics["total"], json!(all.len()), "nothing is lost");
    assert!(portal.state().logins.len() <= 4, "one login a start at most");
    assert_eq!(portal.wrong_logins().0, 0);
}

#[test]
fn a_session_that_is_lost_is_made_again_once_and_the_list_stands_in_for_the_workbook() {
    let portal = Regtech::start(recent(20, 10));
    portal.misbehave([Fault::SessionOver(302)]);
    let place = Place::regtech(&portal);
    let house = account(place.plan(), regtech::PASSWORD).start();
    let run = last_run(&house, "regtech");
    assert_eq!((&run["state"], portal.state().logins.len()), (&json!("done"), 2), "{run}");
    portal.misbehave([Fault::NoSheets]);
    assert_eq!(trigger(&house, "regtech").0, 202);
    let run = until("the second ends", || {
        Some(last_run(&house, "regtech")).filter(|run| run["trigger"] == "person")
    });
    assert_eq!(run["state"], "done", "{run}");
    let names: Vec<&str> = run["documents"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|document| document["name"].as_str())
        .collect();
    assert!(names.iter().any(|name| name.ends_with(".ndjson")), "{names:?}");
    assert!(portal.server.count(regtech::LIST) > 0);
}

fn list(count: u32) -> String {
    (0..count).map(|n| format!("20.{}.{}.{}\n", n / 62_500, n / 250 % 250, n % 250 + 1)).collect()
}

fn feed_place(server: &FeedServer) -> Place {
    let url = server.url("/list.txt");
    Place::new(
        &[server.port()],
        &format!("[source.feed]\nkind = \"feed\"\nurl = \"{url}\"\nevery = \"1h\"\n"),
    )
}

#[test]
fn an_unchanged_list_costs_nothing_and_a_shrunk_one_waits_for_consent() {
    let server = FeedServer::start();
    server.serve("/list.txt", Answer::list(list(5_000)).header("ETag", "\"a\""));
    let place = feed_place(&server);
    let house = place.plan().start();
    assert_eq!(last_run(&house, "feed")["counts"]["new"], 5_000);
    let generation = house.generation();
    for _ in 0..3 {
        let (code, out, err) = told(&house.run(["run", "start", "feed"]));
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("unchanged: 5000"), "{out}");
    }
    assert_eq!(house.generation(), generation, "not one record");
    server.serve("/list.txt", Answer::list(list(10)).header("ETag", "\"b\""));
    let (code, out, _) = told(&house.run(["run", "start", "feed"]));
    assert_eq!(code, 1, "held: {out}");
    let holds = house.look("gateway", "/api/v1/holds").ok().json();
    assert_eq!((&holds["total"], &holds["data"][0]["difference"]), (&json!(1), &json!(4_990)), "{holds}");
    let (_, table, _) = told(&house.run(["hold", "list"]));
    assert!(table.contains("from 5000 to 10"), "{table}");
    let id = holds["data"][0]["id"].as_str().unwrap();
    let (code, out, err) = told(&house.run(["hold", "consent", id, "--reason", "the owner says so"]));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(house.get("gateway", "/api/v1/blacklist/active?limit=1").ok().json()["total"], 10);
    let audit = house.ask("gateway", "GET", "/api/v1/audit", &[("x-api-key", &house.key())], b"").unwrap();
    assert_eq!(audit.json()["data"][0]["action"], "hold.consent");
}

#[test]
fn a_list_that_puts_an_end_to_itself_takes_nothing_from_the_firewall_without_a_word() {
    let server = FeedServer::start();
    let rows = |expires: &str| -> String {
        // No two of them make one line: few lines may always go.
        let rows = (0..500).map(|n| format!("20.0.{}.{},{expires}\n", n / 125, n % 125 * 2 + 1));
        format!("ip,expires\n{}", rows.collect::<String>())
    };
    server.serve("/list.csv", Answer::list(rows("2099-01-01T00:00:00Z")));
    let place = Place::new(
        &[server.port()],
        &format!("[source.feed]\nkind = \"feed\"\nurl = \"{}\"\nevery = \"1h\"\n", server.url("/list.csv")),
    );
    let house = place.plan().start();
    assert_eq!(last_run(&house, "feed")["counts"]["new"], 500);
    let released =
        || house.look("gateway", "/api/v1/feeds/fortigate").ok().json()["released"]["addresses"].clone();
    until("the feed is released", || (released() == 500).then_some(()));
    let soon = chrono::Utc::now() + chrono::TimeDelta::seconds(8);
    server.serve("/list.csv", Answer::list(rows(&soon.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))));
    let (code, out, _) = told(&house.run(["run", "start", "feed"]));
    assert_eq!(code, 1, "the gate for sources takes such an end for what is gone: {out}");
    let hold = |house: &House| house.look("gateway", "/api/v1/holds").ok().json()["data"][0].clone();
    let id = hold(&house)["id"].as_str().unwrap().to_owned();
    let (code, out, err) = told(&house.run(["hold", "consent", &id, "--reason", "a slip"]));
    assert_eq!(code, 0, "{out}{err}");
    until("all of it is over", || {
        (house.look("gateway", "/api/v1/blacklist/active?limit=1").ok().json()["total"] == 0).then_some(())
    });
    let held = until("the feed is held", || Some(hold(&house)).filter(|hold| hold["id"] == "fortigate"));
    assert_eq!((&held["difference"], feed(&house).is_empty()), (&json!(500), false), "{held}");
    assert_eq!(released(), 500, "the firewall has what it had");
    let generation = held["generation"].to_string();
    let consent = ["hold", "consent", "fortigate", "--reason", "it is meant", "--generation", &generation];
    assert_eq!(told(&house.run(consent)).0, 0);
    let empty = house.get("gateway", "/feeds/fortigate");
    assert_eq!(empty.problem(), (503, "feed_empty".to_owned()), "never an empty list");
}

#[test]
fn a_list_that_turns_into_a_page_or_breaks_off_changes_nothing() {
    let server = FeedServer::start();
    server.serve("/list.txt", Answer::list(list(500)));
    let place = feed_place(&server);
    let house = place.plan().start();
    assert_eq!(last_run(&house, "feed")["state"], "done");
    let generation = house.generation();
    for (answer, state, code) in [
        (Answer::page(), "held", Value::Null),
        (Answer::list(""), "held", Value::Null),
        (Answer::list(list(500)).short_by(100), "failed", json!("answer_truncated")),
        (Answer::status(404), "failed", json!("feed_missing")),
        (Answer::status(503), "failed", json!("feed_busy")),
    ] {
        server.serve("/list.txt", answer);
        let before = last_run(&house, "feed")["id"].clone();
        trigger(&house, "feed");
        let run = until("it ends", || Some(last_run(&house, "feed")).filter(|run| run["id"] != before));
        assert_eq!((&run["state"], &run["fault"]["code"]), (&json!(state), &code), "{run}");
    }
    assert_eq!(house.generation(), generation);
    assert_eq!(house.get("gateway", "/api/v1/blacklist/active?limit=1").ok().json()["total"], 500);
}

#[test]
fn the_command_line_collects_without_a_service_too() {
    let server = FeedServer::start();
    server.serve("/list.txt", Answer::list(list(50)));
    let place = feed_place(&server);
    std::fs::create_dir(place.data()).unwrap();
    let (code, out, err) = place.run("run start feed");
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("new: 50"), "{out}");
    let (code, out, _) = place.run("check 20.0.0.1");
    assert_eq!(code, 1, "{out}");
}

#[test]
fn sources_come_change_and_go_with_the_configuration() {
    let server = FeedServer::start();
    server.serve("/a.txt", Answer::list(list(50)));
    server.serve("/b.txt", Answer::list(list(60)));
    let source = |name: &str, path: &str| {
        let url = server.url(path);
        format!("[source.{name}]\nkind = \"feed\"\nurl = \"{url}\"\nevery = \"1h\"\n")
    };
    let place = Place::new(&[server.port()], &source("first", "/a.txt"));
    let house = place.plan().start();
    assert_eq!(last_run(&house, "first")["counts"]["new"], 50);
    place.configure(&format!("{}{}", source("first", "/b.txt"), source("second", "/b.txt")));
    house.signal(Signal::HUP);
    assert_eq!(last_run(&house, "second")["counts"]["new"], 60, "a new one is collected at once");
    let (code, out, err) = place.run("run start first");
    assert!(code == 0 && out.contains("new: 10"), "{out}{err}");
    place.configure(&source("second", "/b.txt").replace("every", "evry"));
    house.signal(Signal::HUP);
    house.logged("the configuration is wrong; the one in use stays");
    assert_eq!(house.look("gateway", "/api/v1/collection/sources/second").ok().json()["kind"], "feed");
    place.configure(&source("second", "/b.txt"));
    house.signal(Signal::HUP);
    until("the first is not collected any more", || {
        let first = house.look("gateway", "/api/v1/collection/sources/first").ok().json();
        first["kind"].is_null().then_some(())
    });
    // Files may still be brought to it.
    let (status, refusal) = trigger(&house, "first");
    assert_eq!((status, &refusal["code"]), (422, &json!("not_fetched")), "{refusal}");
    let (_, out, _) = place.run("check 20.0.0.1");
    assert!(out.contains("first"), "what it listed stays until it ends: {out}");
    assert!(house.stop().success());
}
