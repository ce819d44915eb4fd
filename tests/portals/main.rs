//! The clients of the portals against portals that misbehave in every way that is known.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

#[path = "../fakes/mod.rs"]
mod fakes;
mod regtech;
mod regtech_logins;

use ironlist::collect::fetch::{FetchSettings, Reach};
use ironlist::model::Time;
use std::time::Duration;

/// How a fake is fetched from: it may be, although it is on the loopback, and it answers soon.
fn fetch(server: &fakes::server::Server) -> FetchSettings {
    let port = server.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let exceptions = vec!["127.0.0.0/8".parse().unwrap()];
    let reach = Reach { ports: vec![port, 1], exceptions, ..Reach::default() };
    FetchSettings { reach, timeout: Duration::from_secs(5), ..FetchSettings::default() }
}

fn now() -> Time {
    chrono::Utc::now().into()
}
