//! A collector of traces that reads OTLP's protobuf by itself, and is slow or away when told to.

use super::server::{Asked, Portal, Reply};
use std::collections::BTreeMap;
use std::time::Duration;

/// What it was told of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    /// Of whoever tells it.
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// How it is, and what it was told.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) is_stuck: bool,
    pub(crate) spans: Vec<Span>,
    /// Every byte that it was sent.
    pub(crate) raw: Vec<u8>,
}

pub(crate) fn start() -> Portal<State> {
    Portal::with(State::default(), answer)
}

fn answer(state: &mut State, asked: &Asked) -> Reply {
    if state.is_stuck {
        return Reply::status(200).after(Duration::from_secs(3600));
    }
    assert_eq!(
        (asked.path.as_str(), &asked.headers["content-type"]),
        ("/v1/traces", &"application/x-protobuf".parse().unwrap())
    );
    state.raw.extend_from_slice(&asked.body);
    for of_resource in all(&asked.body, 1) {
        let resource: BTreeMap<_, _> =
            all(of_resource, 1).flat_map(|resource| attributes(resource, 1)).collect();
        for span in all(of_resource, 2).flat_map(|scope| all(scope, 2)) {
            state.spans.push(Span { resource: resource.clone(), ..read(span) });
        }
    }
    Reply::bytes("").header("content-type", "application/x-protobuf")
}

fn read(span: &[u8]) -> Span {
    let one = |number| all(span, number).next().unwrap_or_default();
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Span {
        trace: hexadecimal(one(1)),
        id: hexadecimal(one(2)),
        parent: hexadecimal(one(4)),
        name: String::from_utf8(one(5).to_vec()).unwrap(),
        attributes: attributes(span, 9).collect(),
        ..Span::default()
    }
}

/// Pairs of a key and a value that is a text or a number.
fn attributes(message: &[u8], number: u64) -> impl Iterator<Item = (String, String)> {
    all(message, number).map(|pair| {
        let key = all(pair, 1).next().unwrap();
        let value = all(pair, 2).next().unwrap();
        let text = all(value, 1).next().map(|text| String::from_utf8(text.to_vec()).unwrap());
        let whole = || {
            fields(value).find_map(|(number, field)| match field {
                Field::Number(whole) if number == 3 => Some(whole.to_string()),
                _ => None,
            })
        };
        (String::from_utf8(key.to_vec()).unwrap(), text.or_else(whole).unwrap_or_default())
    })
}

/// A field of a message.
enum Field<'m> {
    Number(u64),
    Bytes(&'m [u8]),
}

/// Every field of that number that has a length.
fn all(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(move |(number, field)| match field {
        Field::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}

/// The fields of a message in protobuf's wire format, with their numbers.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let key = varint(&mut rest);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut rest)),
            1 => Field::Bytes(take(&mut rest, 8)),
            2 => {
                let length = varint(&mut rest) as usize;
                Field::Bytes(take(&mut rest, length))
            }
            5 => Field::Bytes(take(&mut rest, 4)),
            kind => panic!("no kind of field: {kind}"),
        };
        Some((key >> 3, field))
    })
}

fn take<'m>(rest: &mut &'m [u8], length: usize) -> &'m [u8] {
    let (taken, left) = rest.split_at(length);
    *rest = left;
    taken
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}
