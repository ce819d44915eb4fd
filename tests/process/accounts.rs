//! Accounts at portals: sent once when they are wrong, asked for codes, and told about on the command line.

use super::fakes::books;
use super::fakes::data::rows;
use super::fakes::regtech::{self, Regtech};
use super::fakes::secudium::{self, Post, Secudium, TimeForm, cells};
use super::fakes::server::{Manner, Reply};
use super::house::{House, until};
use super::place::{Place, account, last_run, recent, source, today, trigger};
use chrono::{Days, NaiveDate};
use rustix::process::Signal;
use serde_json::json;
use std::io::{Read, Write};
use std::time::Duration;

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
    let place = Place::secudium(&portal);
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
    place.set_account("secudium", secudium::USER, secudium::PASSWORD);
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
    let (code, out, err) = place.run("source enable secudium");
    assert_eq!(code, 0, "{out}{err}");
    until("a person has looked", || (last_run(&house, "secudium")["state"] == "done").then_some(()));
    assert_eq!(portal.state().wrong, 0);
}

fn post(day: NaiveDate) -> Post {
    let sheet = books::Sheet { name: "Sheet1", rows: cells(&rows(day, day, 30), TimeForm::Text) };
    Post::new(1, &day.to_string(), Some(("Black IP.xls", books::poi(&[sheet]))))
}

fn secudium() -> Secudium {
    Secudium::start(vec![post(today() - Days::new(3))])
}

/// The run of a source that waits for a code.
fn awaiting(house: &House, source: &str) -> String {
    until("a run waits for a code", || {
        let path = format!("/api/v1/collection/runs?source={source}&limit=1");
        let run = house.look("gateway", &path).ok().json()["data"][0].clone();
        (run["state"] == "awaiting_otp").then(|| run["id"].as_str().unwrap().to_owned())
    })
}

#[test]
fn a_code_that_a_portal_asks_for_is_said_on_the_command_line() {
    let portal = secudium();
    portal.set(|state| state.needs_code = true);
    let place = Place::secudium(&portal);
    let house = place.plan().start();
    // A source that is new is collected as soon as it has an account.
    place.set_account("secudium", secudium::USER, secudium::PASSWORD);
    let id = awaiting(&house, "secudium");
    let (code, _, err) = place.run(&format!("run otp {id} {}", secudium::CODE));
    assert_eq!(code, 64, "everybody on the machine sees arguments: {err}");
    let (code, out, err) = place.say(&format!("run otp {id}"), secudium::CODE);
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

#[test]
fn a_code_that_is_typed_is_not_shown() {
    let portal = secudium();
    portal.set(|state| state.needs_code = true);
    let place = Place::secudium(&portal);
    let house = place.plan().start();
    place.set_account("secudium", secudium::USER, secudium::PASSWORD);
    let id = awaiting(&house, "secudium");
    let mut terminal = place.on_terminal(&format!("run otp {id}"));
    let (mut keys, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("one-time code (it is not shown): ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        shown.extend(byte);
    }
    keys.write_all(format!("{}\n", secudium::CODE).as_bytes()).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(terminal.wait().unwrap().success() && !shown.contains(secudium::CODE), "{shown}");
    assert_eq!(last_run(&house, "secudium")["state"], "done");
}

#[test]
fn somebody_elses_session_is_told_and_ended_only_where_the_operator_says_so() {
    let portal = secudium();
    portal.set(|state| state.somebody = true);
    let place = Place::secudium(&portal);
    let house = place.plan().start();
    place.set_account("secudium", secudium::USER, secudium::PASSWORD);
    assert_eq!(last_run(&house, "secudium")["fault"]["code"], "already_logged_in");
    let (code, out, err) = place.run("run start secudium");
    assert!(code == 2 && out.contains("somebody is logged in with this account"), "{code} {out}{err}");
    assert!(out.contains("take_over_session"), "the cure: {out}");
    let (_, table, _) = place.run("run list --source secudium");
    assert_eq!(table.matches("already_logged_in").count(), 2, "{table}");
    let state = portal.state();
    assert_eq!((state.thrown_out, state.wrong, state.somebody), (0, 0, true));
    let url = portal.server.url();
    place.configure(&source("secudium", url, "pause_ms = 0, take_over_session = true"));
    house.signal(Signal::HUP);
    house.logged("the sources are as the configuration says");
    let (code, out, err) = place.run("run start secudium");
    assert!(code == 0 && out.contains("new: 30"), "{out}{err}");
    assert_eq!((portal.state().thrown_out, portal.state().token), (1, None));
}

#[test]
fn a_wrong_password_for_secudium_stops_it_until_another_is_set() {
    let portal = secudium();
    let place = Place::secudium(&portal);
    let house = place.plan().start();
    place.set_account("secudium", secudium::USER, "wrong");
    assert_eq!(last_run(&house, "secudium")["fault"]["code"], "login_refused");
    house.kill();
    let house = place.plan().start();
    for line in ["run start secudium", "run start secudium --force", "source test secudium"] {
        let (code, out, err) = place.run(line);
        assert!(
            code == 2 && err.contains("were refused") && err.contains("set the right ones"),
            "{out}{err}"
        );
    }
    let (code, out, _) = place.run("source enable secudium");
    assert!(code == 0 && out.contains("stands still until its credentials are set anew"), "{out}");
    let (code, out, _) = until("health tells", || Some(place.run("status")).filter(|(code, ..)| *code == 1));
    assert!(out.contains("secudium stands still since"), "{code} {out}");
    assert!(out.contains("ironlist source credentials secudium --username NAME"), "the cure: {out}");
    let metrics = house.get("collection", "/metrics").ok();
    let trouble = "ironlist_source_trouble{source=\"secudium\",trouble=\"stopped\"}";
    assert!(metrics.text().contains(&format!("{trouble} 1\n")), "{}", metrics.text());
    assert_eq!(portal.state().wrong, 1, "sent once");
    place.set_account("secudium", secudium::USER, secudium::PASSWORD);
    until("the right one works", || (last_run(&house, "secudium")["state"] == "done").then_some(()));
    let (code, out, err) = place.run("source test secudium");
    assert!(code == 0 && out.contains("accepted: true"), "{out}{err}");
    until("all is well again", || (place.run("status").0 == 0).then_some(()));
}
