//! From the portals to the firewall: the service against portals and lists that behave as the real ones
//! do, across crashes, wrong passwords, codes and holds.

use super::fakes::books;
use super::fakes::data::{Row, rows};
use super::fakes::regtech::{self, Fault, Regtech};
use super::fakes::secudium::{self, Post, Secudium, TimeForm, cells};
use super::fakes::server::{Manner, Reply, Server};
use super::feed::{Answer, FeedServer};
use super::house::{House, Plan, ironlist, told, until};
use chrono::{Days, NaiveDate, Utc};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// A data folder, and a configuration that lets fakes on the loopback be fetched.
struct Place {
    folder: TempDir,
    config: PathBuf,
}

impl Place {
    fn new(ports: &[u16], sources: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("ironlist.toml");
        let text = format!("[fetch]\nexceptions = [\"127.0.0.0/8\"]\nports = {ports:?}\n{sources}");
        std::fs::write(&config, text).unwrap();
        Self { folder, config }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn plan(&self) -> Plan {
        Plan::new(&self.data()).argument("--config").argument(&self.config)
    }

    fn regtech(portal: &Regtech) -> Self {
        let url = portal.server.url();
        Self::new(
            &[port(&portal.server)],
            &format!("[source.regtech]\nkind = \"regtech\"\nurl = \"{url}\"\nregtech = {{ pause_ms = 0 }}\n"),
        )
    }
}

fn port(server: &Server) -> u16 {
    server.url().rsplit_once(':').unwrap().1.parse().unwrap()
}

fn today() -> NaiveDate {
    Utc::now().with_timezone(&chrono_tz::Asia::Seoul).date_naive()
}

/// Rows of so many days, up to the day before yesterday.
fn recent(days: u64, a_day: u32) -> Vec<Row> {
    let last = today() - Days::new(2);
    rows(last - Days::new(days - 1), last, a_day)
}

/// The last run of a source, when it is over.
fn last_run(house: &House, source: &str) -> Value {
    until("the run ends", || {
        let path = format!("/api/v1/collection/runs?source={source}&limit=1");
        let runs = house.get("collection", &path).ok().json();
        let run = runs["data"][0].clone();
        (!run["ended"].is_null()).then_some(run)
    })
}

fn trigger(house: &House, source: &str) -> (u16, Value) {
    let body = json!({"source": source}).to_string();
    let answer = house.post("gateway", "/api/v1/collection/trigger", "application/json", body);
    (answer.status, answer.json())
}

fn account(plan: Plan, password: &str) -> Plan {
    plan.set("REGTECH_USERNAME", regtech::USER).set("REGTECH_PASSWORD", password)
}

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
fn a_wrong_password_is_sent_once_whatever_happens() {
    let portal = Regtech::start(recent(10, 5));
    let place = Place::regtech(&portal);
    for _ in 0..3 {
        let house = account(place.plan(), "wrong").start();
        until("it has been tried", || (portal.wrong_logins().0 == 1).then_some(()));
        let run = last_run(&house, "regtech");
        assert_eq!((&run["state"], &run["fault"]["code"]), (&json!("failed"), &json!("wrong_credentials")));
        assert_eq!(trigger(&house, "regtech").0, 409);
        house.kill();
    }
    assert_eq!(portal.wrong_logins(), (1, false));
    let house = account(place.plan(), regtech::PASSWORD).start();
    until("the right one works", || (last_run(&house, "regtech")["state"] == "done").then_some(()));
}

#[test]
fn a_crash_in_the_midst_of_a_login_is_not_followed_by_another() {
    let portal = Regtech::start(recent(10, 5));
    // The portal never answers the first step: whether the password was heard is not known.
    portal.set(|state| state.login_faults.push_back((regtech::FIND_MEMBER, 500)));
    let place = Place::regtech(&portal);
    let house = account(place.plan(), regtech::PASSWORD).start();
    let run = last_run(&house, "regtech");
    assert_eq!(run["fault"]["code"], "login_unanswered", "{run}");
    house.kill();
    let house = account(place.plan(), regtech::PASSWORD).start();
    let (status, refusal) = trigger(&house, "regtech");
    assert_eq!((status, &refusal["code"]), (409, &json!("login_unanswered")), "{refusal}");
    let before = portal.server.count(regtech::FIND_MEMBER);
    assert_eq!(before, 1);
    let set = json!({"username": regtech::USER, "password": regtech::PASSWORD}).to_string();
    let key = house.key();
    let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
    let path = "/api/v1/collection/sources/regtech/credentials";
    assert_eq!(house.ask("gateway", "PUT", path, &headers, set.as_bytes()).unwrap().status, 200);
    until("they work", || (last_run(&house, "regtech")["state"] == "done").then_some(()));
}

/// A SECUDIUM whose answer to the next login never ends.
fn hold_login(portal: &Secudium) -> usize {
    let endless = Reply::json(&json!({"response": {}})).manner(Manner::Drip(1, Duration::from_secs(600)));
    portal.set(|state| state.login_faults.push_back(endless));
    portal.server.count(secudium::LOGIN)
}

#[test]
fn a_service_that_is_killed_in_a_login_sends_an_unproven_password_no_more_and_a_proven_one_three_times() {
    let portal = Secudium::start(Vec::new());
    let url = portal.server.url();
    let source =
        format!("[source.secudium]\nkind = \"secudium\"\nurl = \"{url}\"\nsecudium = {{ pause_ms = 0 }}\n");
    let place = Place::new(&[port(&portal.server)], &source);
    let start = || {
        let plan = place.plan().set("SECUDIUM_USERNAME", secudium::USER);
        plan.set("SECUDIUM_PASSWORD", secudium::PASSWORD).start()
    };
    let die = |house: House, logins: usize| {
        until("the login is held", || (portal.server.count(secudium::LOGIN) > logins).then_some(()));
        house.kill();
    };
    let refused = |house: &House, cure: &str| {
        let before = portal.server.count(secudium::LOGIN);
        let (status, refusal) = trigger(house, "secudium");
        assert_eq!((status, &refusal["code"]), (409, &json!("login_unanswered")), "{refusal}");
        assert!(refusal["detail"].as_str().unwrap().contains(cure), "{refusal}");
        assert_eq!(last_run(house, "secudium")["fault"]["code"], "interrupted");
        assert_eq!(portal.server.count(secudium::LOGIN), before);
    };

    let before = hold_login(&portal);
    die(start(), before);
    let house = start();
    refused(&house, "never been accepted");
    set_account(&place.data(), &place.config, "secudium", secudium::USER, secudium::PASSWORD);
    until("they work", || (last_run(&house, "secudium")["state"] == "done").then_some(()));
    house.kill();

    for _ in 0..3 {
        let before = hold_login(&portal);
        let house = start();
        assert_eq!(trigger(&house, "secudium").0, 202);
        die(house, before);
    }
    let house = start();
    refused(&house, "switch the source on again");
    let (code, out, err) = told(&house.run(["source", "enable", "secudium"]));
    assert_eq!(code, 0, "{out}{err}");
    until("a person has looked", || (last_run(&house, "secudium")["state"] == "done").then_some(()));
    assert_eq!(portal.state().wrong, 0);
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

fn attachment(day: NaiveDate) -> Vec<u8> {
    books::poi(&[books::Sheet { name: "Sheet1", rows: cells(&rows(day, day, 30), TimeForm::Text) }])
}

#[test]
fn a_code_that_a_portal_asks_for_is_said_on_the_command_line() {
    let day = today() - Days::new(3);
    let portal =
        Secudium::start(vec![Post::new(1, &day.to_string(), Some(("Black IP.xls", attachment(day))))]);
    portal.set(|state| state.needs_code = true);
    let url = portal.server.url();
    let source =
        format!("[source.secudium]\nkind = \"secudium\"\nurl = \"{url}\"\nsecudium = {{ pause_ms = 0 }}\n");
    let place = Place::new(&[port(&portal.server)], &source);
    let house = place.plan().start();
    set_account(&place.data(), &place.config, "secudium", secudium::USER, secudium::PASSWORD);
    // A source that is new is collected as soon as it has an account.
    let id = until("a run begins", || {
        let runs = house.get("collection", "/api/v1/collection/runs?source=secudium").ok().json();
        runs["data"][0]["id"].as_str().map(str::to_owned)
    });
    let path = format!("/api/v1/collection/runs/{id}");
    until("it waits for a code", || {
        (house.get("gateway", &path).ok().json()["state"] == "awaiting_otp").then_some(())
    });
    let (code, out, err) = told(&house.run(["run", "otp", &id, secudium::CODE]));
    assert_eq!(code, 0, "{out}{err}");
    let run = last_run(&house, "secudium");
    assert_eq!((&run["state"], &run["counts"]["new"]), (&json!("done"), &json!(30)), "{run}");
    let state = portal.state();
    assert_eq!((state.codes_sent, state.wrong, state.token), (1, 0, None), "one code, and logged out");
    // Attachments that were read are not fetched again.
    portal.set(|state| state.needs_code = false);
    let before = portal.server.count(secudium::DOWNLOAD);
    assert_eq!(trigger(&house, "secudium").0, 202);
    until("it ends", || (last_run(&house, "secudium")["id"] != run["id"]).then_some(()));
    assert_eq!(portal.server.count(secudium::DOWNLOAD), before);
}

/// Sets an account as a person does: the secret through a pipe.
fn set_account(data: &Path, config: &Path, source: &str, user: &str, password: &str) {
    let mut command = ironlist(data);
    command.arg("--config").arg(config).args(["source", "credentials", source, "--username", user]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{password}\n").as_bytes()).unwrap();
    let (code, out, err) = told(&child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{out}{err}");
    assert!(!out.contains(password) && !err.contains(password));
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
    let holds = house.get("gateway", "/api/v1/holds").ok().json();
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
    let run = |arguments: &[&str]| {
        let mut command = ironlist(&place.data());
        told(&command.arg("--config").arg(&place.config).args(arguments).output().unwrap())
    };
    let (code, out, err) = run(&["run", "start", "feed"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("new: 50"), "{out}");
    let (code, out, _) = run(&["check", "20.0.0.1"]);
    assert_eq!(code, 1, "{out}");
}
