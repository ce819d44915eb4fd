//! A receiver of webhooks that checks every signature by itself, and misbehaves when told to.

use super::server::{Asked, Manner, Portal, Reply};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::VecDeque;
use std::time::Duration;

/// How one request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// With this status.
    Status(u16),
    /// With the way to somewhere else.
    Elsewhere(String),
    /// Not at all, for a long time.
    Hang,
    /// With 200 and a body that never ends.
    Endless,
}

/// What it was told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) event: String,
    /// Whose signatures it bears, by their places among the secrets.
    pub(crate) signed: Vec<usize>,
    pub(crate) document: Value,
}

/// Its secrets, how it answers what comes next, and what it was told.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) secrets: Vec<String>,
    pub(crate) moods: VecDeque<Mood>,
    pub(crate) told: Vec<Told>,
}

pub(crate) fn start() -> Portal<State> {
    on(std::net::TcpListener::bind("127.0.0.1:0").unwrap())
}

/// The same with a listener that is there already.
pub(crate) fn on(listener: std::net::TcpListener) -> Portal<State> {
    Portal::on(listener, State::default(), answer)
}

fn answer(state: &mut State, asked: &Asked) -> Reply {
    let header = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
    let document: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(
        (&document["id"], &document["event"]),
        (&header("ironlist-delivery").into(), &header("ironlist-event").into())
    );
    state.told.push(Told {
        id: header("ironlist-delivery"),
        event: header("ironlist-event"),
        signed: signed(&header("ironlist-signature"), &asked.body, &state.secrets),
        document,
    });
    match state.moods.pop_front() {
        None => Reply::bytes("thank you"),
        Some(Mood::Status(status)) => Reply::status(status),
        Some(Mood::Elsewhere(place)) => Reply::redirect(&place),
        Some(Mood::Hang) => Reply::status(200).after(Duration::from_secs(3600)),
        Some(Mood::Endless) => Reply::bytes("and so on \u{1b}[31m").manner(Manner::Endless),
    }
}

/// The secrets by which a signature is right.
fn signed(header: &str, body: &[u8], secrets: &[String]) -> Vec<usize> {
    let (time, macs) = header.split_once(',').unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let macs: Vec<&str> = macs.split(',').map(|mac| mac.strip_prefix("v1=").unwrap()).collect();
    let is_right = |secret: &String| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(&[time.as_bytes(), b".", body].concat());
        let right: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        macs.contains(&right.as_str())
    };
    secrets.iter().enumerate().filter(|(_, secret)| is_right(secret)).map(|(at, _)| at).collect()
}
