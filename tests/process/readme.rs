//! What the README tells an operator who has just received portal accounts, done word by word.

use super::fakes::regtech::{self, Regtech};
use super::feed::{Answer, FeedServer};
use super::house::{House, until};
use super::place::{Place, last_run, port, recent, source};
use std::path::Path;

/// The commands of a section.
fn steps(readme: &str, heading: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(readme);
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let commands = section.lines().filter_map(|line| line.strip_prefix("    ironlist "));
    let words = |line: &str| line.split(" #").next().unwrap().split_whitespace().map(str::to_owned).collect();
    commands.map(words).collect()
}

/// What an operator puts in place of an example's words.
fn own(words: &[String], house: &House, list: &str, file: &str) -> String {
    let mut line = Vec::new();
    for word in words {
        let before = line.last().map(String::as_str);
        line.push(match (before, word.as_str()) {
            (Some("--username"), _) => regtech::USER.to_owned(),
            (Some("--url"), _) => list.to_owned(),
            (_, "ID") => last_run(house, "regtech")["id"].as_str().unwrap().to_owned(),
            (_, "bad.csv") => file.to_owned(),
            (_, other) => other.to_owned(),
        });
    }
    line.join(" ")
}

#[test]
fn the_steps_for_new_accounts_hold_in_both_languages() {
    for (readme, heading) in
        [("README.md", "You have just received portal accounts"), ("README.ko.md", "포털 계정을 막 받았다면")]
    {
        let (portal, server) = (Regtech::start(recent(10, 5)), FeedServer::start());
        server.serve("/bad.csv", Answer::list("ip\n20.0.0.1\n"));
        let place = Place::new(&[port(&portal.server), server.port()], "");
        place.configure(&source("regtech", portal.server.url(), "pause_ms = 0"));
        let file = place.file("bad.csv", "ip\n20.0.0.1\n20.0.0.2\n");
        let house = place.plan().start();
        let steps = steps(readme, heading);
        assert!(steps.len() > 5, "{readme}: {steps:?}");
        for words in steps {
            let line = own(&words, &house, &server.url("/bad.csv"), &file);
            let is_secret = line.starts_with("source credentials");
            let (code, out, err) =
                if is_secret { place.say(&line, regtech::PASSWORD) } else { place.run(&line) };
            assert_eq!(code, 0, "{readme}: {line}: {out}{err}");
            let begun = if is_secret { Some("regtech") } else { line.strip_prefix("source add ") };
            if let Some(name) = begun.and_then(|line| line.split(' ').next()) {
                // What is new is collected at once.
                assert_eq!(last_run(&house, name)["state"], "done", "{readme}: {line}");
            }
        }
        assert_eq!(portal.wrong_logins().0, 0);
        until("all is well", || (place.run("status").0 == 0).then_some(()));
        let (_, out, _) = place.run("check 20.0.0.2");
        assert!(out.contains("partners"), "{readme}: {out}");
    }
}
