//! `POST …/check`: many addresses at once, as JSON or as lines that are answered while they come.

use super::Blacklist;
use super::check::{put_address, put_standing};
use crate::addr::{Class, leading_v4, parse_address, parse_v4};
use crate::engine::{Snapshot, Standing};
use crate::web::{Body, Problem, Query, Request, Response};
use axum::extract::State;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyStream, StreamBody};
use hyper::body::{Body as _, Frame};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Addresses that are looked up together, so that their cache misses overlap.
const GROUP: usize = 64;
/// A line that is longer holds no address.
const LONGEST_LINE: usize = 4096;
/// A text of at most so many bytes is answered whole.
const SHORT: u64 = 1 << 20;
/// At most so many addresses in one JSON body; text has no such limit, because it streams.
const MOST: usize = 1_000_000;
/// Nobody's million of addresses is longer, in bytes; a JSON body is in memory as a whole.
const LONGEST_JSON: u64 = 64 << 20;

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    #[serde(default)]
    all: bool,
}

pub(super) async fn many(
    State(role): State<Blacklist>,
    Query(parameters): Query<Parameters>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let request: Request = request.map(Body::from);
    let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let snapshot = Arc::clone(&role.engine.snapshot());
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => {
            let mut body = request.into_body();
            body.limit_to(LONGEST_JSON).map_err(|error| Problem::of_body(&error))?;
            json(&snapshot, &body.read().await?)
        }
        "text/plain" => text(snapshot, parameters.all, request.into_body()).await,
        _ => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type")
            .detail("Send {\"ips\":[…]} as application/json, or one address a line as text/plain.")),
    }
}

/// A JSON text that is borrowed where it has no escapes.
#[derive(Deserialize, JsonSchema)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question<'a> {
    #[serde(borrow)]
    ips: Vec<Text<'a>>,
}

fn json(snapshot: &Snapshot, body: &[u8]) -> Result<Response, Problem> {
    let shape = |error: &dyn std::fmt::Display| {
        Problem::unprocessable("body_shape", format!("Send {{\"ips\":[…]}}: {error}."))
    };
    // As a whole, which is quicker than each text by itself.
    let body = std::str::from_utf8(body).map_err(|error| shape(&error))?;
    let question: Question = serde_json::from_str(body).map_err(|error| shape(&error))?;
    if question.ips.len() > MOST {
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many")
            .detail("At most 1,000,000 addresses at once; text/plain has no limit."));
    }
    let mut answer = Vec::with_capacity(128 + question.ips.len() * 72);
    let (generation, checked) = (snapshot.generation, question.ips.len());
    answer.extend_from_slice(
        format!("{{\"generation\":{generation},\"checked\":{checked},\"results\":[").as_bytes(),
    );
    let mut told = Told::default();
    let mut listed = 0_u64;
    for texts in question.ips.chunks(GROUP) {
        let mut group = Group::default();
        texts.iter().for_each(|text| group.push(text.0.as_bytes()));
        group.look_up(snapshot, |line, found| {
            listed += u64::from(found.as_ref().is_ok_and(|entry| entry.standing.is_listed()));
            put_result(&mut answer, &mut told, line, found);
        });
    }
    // The last result's comma.
    answer.pop_if(|last| *last == b',');
    answer.extend_from_slice(format!("],\"listed\":{listed}}}").as_bytes());
    Ok(of_type(Body::full(answer), "application/json"))
}

/// The shape of the answer, which is written by hand: what is no address has an error instead of a verdict.
pub(super) fn verdicts(_: &mut SchemaGenerator) -> Schema {
    let number = json!({ "type": "integer", "minimum": 0 });
    json_schema!({
        "type": "object",
        "required": ["generation", "checked", "listed", "results"],
        "properties": {
            "generation": number,
            "checked": number,
            "listed": number,
            "results": { "type": "array", "items": {
                "type": "object",
                "required": ["ip"],
                "properties": {
                    "ip": { "type": "string" },
                    "listed": { "type": "boolean" },
                    "sources": { "type": "array", "items": { "type": "string" } },
                    "exempt": { "type": ["string", "null"], "enum": ["guard", "allowlist", "device", null] },
                    "error": { "type": "string", "description": "Why it is no address." },
                },
            } },
        },
    })
}

/// What is known of one address.
struct Entry<'s> {
    address: IpAddr,
    /// Whether the line is its canonical form; an IPv4 address is written in one way only.
    is_canonical: bool,
    standing: &'s Standing,
}

/// What is known of one line, or why it is no address.
type Found<'s> = Result<Entry<'s>, &'static str>;

/// The last standings as JSON: a list of addresses has few, and writing one costs more than looking an address up.
#[derive(Default)]
struct Told([(usize, Vec<u8>); 16]);

impl Told {
    /// What follows the address in a result.
    fn of(&mut self, standing: &Standing) -> &[u8] {
        let place = std::ptr::from_ref(standing).addr();
        // Standings lie some dozens of bytes apart.
        let (known, json) = &mut self.0[(place >> 5) % 16];
        if *known != place {
            *known = place;
            json.clear();
            json.extend_from_slice(b"\",");
            put_standing(json, standing);
        }
        json
    }
}

fn put_result(json: &mut Vec<u8>, told: &mut Told, ip: &[u8], found: Found<'_>) {
    json.extend_from_slice(b"{\"ip\":");
    match found {
        Ok(Entry { address, is_canonical, standing }) => {
            json.push(b'"');
            match is_canonical {
                true => json.extend_from_slice(ip),
                false => put_address(json, address),
            }
            json.extend_from_slice(told.of(standing));
        }
        Err(code) => {
            let shown: String = String::from_utf8_lossy(ip).chars().take(80).collect();
            // A string serializes always.
            json.extend_from_slice(&serde_json::to_vec(&shown).unwrap_or_default());
            json.extend_from_slice(b",\"error\":\"");
            json.extend_from_slice(code.as_bytes());
            json.push(b'"');
        }
    }
    json.extend_from_slice(b"},");
}

/// Lines that are looked up together, with the IPv4 addresses that are in them.
struct Group<'l> {
    len: usize,
    lines: [&'l [u8]; GROUP],
    addresses: [u32; GROUP],
    /// Whether there is one; any other line is looked at again.
    plain: [bool; GROUP],
}

impl Default for Group<'_> {
    fn default() -> Self {
        Self { len: 0, lines: [b""; GROUP], addresses: [0; GROUP], plain: [false; GROUP] }
    }
}

impl<'l> Group<'l> {
    fn push(&mut self, line: &'l [u8]) {
        self.push_parsed(line, parse_v4(line));
    }

    #[inline]
    fn push_parsed(&mut self, line: &'l [u8], address: Option<u32>) {
        self.lines[self.len] = line;
        self.addresses[self.len] = address.unwrap_or(0);
        self.plain[self.len] = address.is_some();
        self.len += 1;
    }

    fn is_full(&self) -> bool {
        self.len == GROUP
    }

    /// Looks up each line, IPv4 in one batch, tells what was found in the order of the lines, and is empty then.
    fn look_up(&mut self, snapshot: &Snapshot, mut tell: impl FnMut(&'l [u8], Found<'_>)) {
        let mut classes = [Class::CLEAR; GROUP];
        snapshot.table.v4.get_batch(&self.addresses[..self.len], &mut classes[..self.len]);
        for (at, line) in self.lines[..self.len].iter().enumerate() {
            if self.plain[at] {
                let address = Ipv4Addr::from_bits(self.addresses[at]).into();
                tell(
                    line,
                    Ok(Entry { address, is_canonical: true, standing: snapshot.standing(classes[at]) }),
                );
            } else {
                let entry =
                    |address| Entry { address, is_canonical: false, standing: snapshot.check(address) };
                let found = parse_address(line).map(entry);
                tell(line, found.map_err(|fault| fault.code()));
            }
        }
        self.len = 0;
    }
}

/// A question that is known to be short is answered whole: half the packets, and no chunks. Any other
/// is answered line by line while it comes.
async fn text(snapshot: Arc<Snapshot>, all: bool, body: Body) -> Result<Response, Problem> {
    let mut answers = Answers { snapshot, all, carry: Vec::new(), checked: 0, listed: 0, invalid: 0 };
    if body.size_hint().exact().is_some_and(|length| length <= SHORT) {
        let mut out = Vec::from(answers.chunk(&body.read().await?));
        out.extend_from_slice(&answers.finish());
        return Ok(of_type(Body::full(out), "text/plain; charset=utf-8"));
    }
    let frames = BodyStream::new(body);
    let stream = stream::unfold(Some((frames, answers)), |state| async move {
        let (mut frames, mut answers) = state?;
        loop {
            match frames.next().await {
                None => return Some((Ok(Frame::data(answers.finish())), None)),
                // The answer breaks off where the question did: nobody takes it for the whole.
                Some(Err(error)) => return Some((Err(error), None)),
                Some(Ok(frame)) => {
                    let out = frame.into_data().map(|data| answers.chunk(&data)).unwrap_or_default();
                    if !out.is_empty() {
                        return Some((Ok(Frame::data(out)), Some((frames, answers))));
                    }
                }
            }
        }
    });
    Ok(of_type(Body::stream(StreamBody::new(stream)), "text/plain; charset=utf-8"))
}

/// Answers lines as they come, however they are cut into chunks.
struct Answers {
    snapshot: Arc<Snapshot>,
    all: bool,
    /// The beginning of a line whose end has not come.
    carry: Vec<u8>,
    checked: u64,
    listed: u64,
    invalid: u64,
}

impl Answers {
    fn chunk(&mut self, data: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(if self.all { data.len() * 2 } else { data.len() / 4 });
        let Some(end) = memchr::memrchr(b'\n', data) else {
            self.carry(data);
            return Bytes::new();
        };
        let (mut whole, rest) = data.split_at(end + 1);
        if !self.carry.is_empty()
            && let Some(cut) = memchr::memchr(b'\n', whole)
        {
            self.carry(&whole[..=cut]);
            let line = std::mem::take(&mut self.carry);
            self.lines(&line, &mut out);
            whole = &whole[cut + 1..];
        }
        self.lines(whole, &mut out);
        self.carry(rest);
        out.into()
    }

    fn carry(&mut self, data: &[u8]) {
        // The rest of a line that is too long is not kept: it is invalid already.
        let room = (LONGEST_LINE + 1).saturating_sub(self.carry.len());
        self.carry.extend_from_slice(&data[..data.len().min(room)]);
    }

    fn lines(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let mut group = Group::default();
        let mut rest = text;
        while !rest.is_empty() {
            // Nearly every line is an address and nothing else: no need to look for its end first.
            if let Some((address, used)) = leading_v4(rest)
                && rest.get(used) == Some(&b'\n')
            {
                group.push_parsed(&rest[..used], Some(address));
                rest = &rest[used + 1..];
            } else {
                let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let line = rest[..end].trim_ascii();
                rest = rest.get(end + 1..).unwrap_or_default();
                if line.is_empty() || line[0] == b'#' {
                    continue;
                }
                group.push(line);
            }
            if group.is_full() {
                self.group(&mut group, out);
            }
        }
        self.group(&mut group, out);
    }

    fn group(&mut self, group: &mut Group<'_>, out: &mut Vec<u8>) {
        let Self { snapshot, all, listed, invalid, checked, .. } = self;
        *checked += group.len as u64;
        group.look_up(snapshot, |line, found| {
            let found = found.map(|entry| entry.standing);
            let state: &[u8] = match found {
                Err(_) => b"invalid",
                Ok(standing) if standing.is_listed() => b"listed",
                Ok(standing) if standing.exempt().is_some() => b"exempt",
                Ok(_) => b"clear",
            };
            let is_listed = found.is_ok_and(Standing::is_listed);
            *listed += u64::from(is_listed);
            *invalid += u64::from(found.is_err());
            if *all {
                put_line(out, line, state, found.ok());
            } else if is_listed {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        });
    }

    fn finish(mut self) -> Bytes {
        let mut out = Vec::new();
        let line = std::mem::take(&mut self.carry);
        self.lines(&line, &mut out);
        let Self { checked, listed, invalid, .. } = self;
        out.extend_from_slice(format!("# checked {checked} listed {listed} invalid {invalid}\n").as_bytes());
        out.into()
    }
}

fn put_line(out: &mut Vec<u8>, line: &[u8], state: &[u8], standing: Option<&Standing>) {
    out.extend_from_slice(line);
    out.push(b'\t');
    out.extend_from_slice(state);
    out.push(b'\t');
    for (at, source) in standing.into_iter().flat_map(|standing| &standing.sources).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(source.as_str().as_bytes());
    }
    out.push(b'\n');
}

fn of_type(body: Body, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
