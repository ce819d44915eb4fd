//! A FortiGate as far as lists go: it polls one with its ETag and Basic, takes pushes, and tells what it has.

use super::server::{Asked, Portal, Reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) const TOKEN: &str = "rest-api-key";
const BASE: &str = "/api/v2/monitor/system/external-resource/";

/// What it has, and how it behaves.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// The lists, by name.
    pub(crate) lists: BTreeMap<String, Vec<String>>,
    /// The key that it takes; another one is refused.
    pub(crate) token: String,
    /// More entries than this are cut off without a word.
    pub(crate) capacity: Option<usize>,
    /// Entries that begin so are not understood.
    pub(crate) misread: Option<String>,
    /// So many requests are answered with this status.
    pub(crate) fails: Vec<u16>,
    /// So many looks show what was there before the last command.
    pub(crate) slow: usize,
    /// Whether commands are answered and nothing is done.
    pub(crate) ignores: bool,
    /// What it says of its last update, if that is not 200.
    pub(crate) says: Option<u16>,
    /// Commands that were taken, with how many entries.
    pub(crate) commands: Vec<(String, usize)>,
    /// Where it fetches a list when it is told to: host and port, path, the value of Authorization.
    pub(crate) poll: Option<(String, String, String)>,
    /// The tag of what it fetched last.
    pub(crate) etag: Option<String>,
    /// The statuses of what it fetched.
    pub(crate) polled: Vec<u16>,
    shown: BTreeMap<String, Vec<String>>,
    looks: usize,
    /// When it wrote a list last.
    pub(crate) updated: u64,
}

/// A firewall with lists of these names.
pub(crate) fn start(names: &[&str]) -> Portal<State> {
    on(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), names)
}

/// The same with a listener that is there already.
pub(crate) fn on(listener: std::net::TcpListener, names: &[&str]) -> Portal<State> {
    let lists = names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
    Portal::on(listener, State { lists, token: TOKEN.to_owned(), updated: 1, ..State::default() }, answer)
}

fn answer(state: &mut State, asked: &Asked) -> Reply {
    if let Some(status) = state.fails.pop() {
        return Reply::status(status);
    }
    let key = asked.headers.get("authorization").and_then(|value| value.to_str().ok());
    if key != Some(&format!("Bearer {}", state.token)) {
        return Reply::status(401);
    }
    match asked.path.strip_prefix(BASE) {
        Some("dynamic") => command(state, &asked.body),
        Some("entry-list") => look(state, asked.value("mkey")),
        Some("refresh") => refresh(state, &asked.body),
        _ => Reply::status(404),
    }
}

fn command(state: &mut State, body: &[u8]) -> Reply {
    let document: Value = serde_json::from_slice(body).unwrap();
    for command in document["commands"].as_array().unwrap() {
        let entries = command["entries"].as_array().unwrap().iter();
        let entries: Vec<String> = entries.map(|entry| entry.as_str().unwrap().to_owned()).collect();
        let what = command["command"].as_str().unwrap().to_owned();
        let name = command["name"].as_str().unwrap();
        let Some(list) = state.lists.get_mut(name) else { return Reply::status(404) };
        if state.ignores {
            continue;
        }
        state.shown.insert(name.to_owned(), list.clone());
        state.commands.push((what.clone(), entries.len()));
        match &*what {
            // It does not look for doubles.
            "add" => list.extend(entries),
            "remove" => list.retain(|entry| !entries.contains(entry)),
            "snapshot" => *list = entries,
            _ => return Reply::status(400),
        }
    }
    state.looks = 0;
    state.updated += u64::from(!state.ignores);
    Reply::json(&json!({"status": "success"}))
}

fn look(state: &mut State, name: &str) -> Reply {
    state.looks += 1;
    let is_old = state.looks <= state.slow;
    let Some(list) = (if is_old { state.shown.get(name) } else { None }).or_else(|| state.lists.get(name))
    else {
        return Reply::status(404);
    };
    let misread = |entry: &&String| state.misread.as_ref().is_some_and(|prefix| entry.starts_with(prefix));
    let invalid = list.iter().filter(misread).count();
    let room = state.capacity.unwrap_or(usize::MAX);
    let valid = (list.len() - invalid).min(room);
    Reply::json(&json!({"http_method": "GET", "results": {
        "valid": valid,
        "invalid": invalid,
        "overflow": list.len() > room,
        "http_status_code": state.says.unwrap_or(200),
        "last_content_update_time": state.updated - u64::from(is_old),
    }}))
}

fn refresh(state: &mut State, body: &[u8]) -> Reply {
    let document: Value = serde_json::from_slice(body).unwrap();
    if state.ignores {
        return Reply::json(&json!({"status": "success"}));
    }
    let Some((host, path, authorization)) = state.poll.clone() else { return Reply::status(400) };
    let (status, etag, text) = fetch(&host, &path, &authorization, state.etag.as_deref());
    state.polled.push(status);
    if status == 200 {
        let lines = text.lines().map(str::to_owned).collect();
        state.lists.insert(document["mkey"].as_str().unwrap().to_owned(), lines);
        state.etag = etag;
        state.updated += 1;
    }
    Reply::json(&json!({"status": "success"}))
}

/// One poll: a connection of its own, closed afterwards.
fn fetch(host: &str, path: &str, authorization: &str, etag: Option<&str>) -> (u16, Option<String>, String) {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let condition = etag.map(|etag| format!("if-none-match: {etag}\r\n")).unwrap_or_default();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {authorization}\r\nconnection: close\r\n{condition}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ").map(str::to_owned));
    (status, etag, body.to_owned())
}
