//! The clients of the portals against portals that misbehave in every way that is known.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

#[path = "../fakes/mod.rs"]
mod fakes;
mod regtech;
mod regtech_logins;
mod secudium;
mod secudium_logins;

use ironlist::collect::formats::{Options, ReadError, SheetReader};
use ironlist::collect::{Intake, Terms, read};
use ironlist::fetch::{FetchSettings, Reach};
use ironlist::model::{Detail, Policy, Time};
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

/// Reads a download as a run would: workbooks in a process of their own.
fn read_by_program(bytes: &[u8], detail: Detail) -> Result<Intake, ReadError> {
    let program = Some(env!("CARGO_BIN_EXE_ironlist").into());
    let options =
        Options { sheet_reader: SheetReader { program, ..SheetReader::default() }, ..Options::default() };
    read(bytes, &options, &Terms::new(detail, &Policy::default()))
}
