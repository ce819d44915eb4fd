//! `GET …/check/{ip}`: listed, by whom, exempted by what.

use super::super::reply::bad_address;
use super::Blacklist;
use crate::addr::{parse_address, write_address};
use crate::engine::{Engine, Snapshot, Standing};
use crate::model::Exemption;
use crate::web::{Body, Path, Problem, Response};
use axum::extract::State;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use schemars::{Schema, SchemaGenerator, json_schema};
use std::net::IpAddr;

/// The answer to a well-formed question, straight from the snapshot; anything else is the router's.
pub(super) fn fast(engine: &Engine, ip: &str) -> Option<Response> {
    let address = parse_address(ip.as_bytes()).ok()?;
    Some(answer(&engine.snapshot(), address))
}

pub(super) async fn one(State(role): State<Blacklist>, Path(ip): Path<String>) -> Result<Response, Problem> {
    let address = parse_address(ip.as_bytes()).map_err(|fault| bad_address(&ip, fault))?;
    Ok(answer(&role.engine.snapshot(), address))
}

/// The shape of the answer, which is written by hand.
pub(super) fn verdict(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["ip", "listed", "sources", "exempt", "generation"],
        "properties": {
            "ip": { "type": "string", "description": "The address in its canonical form." },
            "listed": { "type": "boolean", "description": "Some source lists it, and nothing exempts it." },
            "sources": { "type": "array", "items": { "type": "string" }, "description": "Who lists it." },
            "exempt": { "type": ["string", "null"], "enum": ["guard", "allowlist", "device", null] },
            "generation": { "type": "integer", "minimum": 0 },
        },
    })
}

fn answer(snapshot: &Snapshot, address: IpAddr) -> Response {
    let mut json = Vec::with_capacity(160);
    json.extend_from_slice(b"{\"ip\":\"");
    put_address(&mut json, address);
    json.extend_from_slice(b"\",");
    put_standing(&mut json, snapshot.check(address));
    json.extend_from_slice(b",\"generation\":");
    put_number(&mut json, snapshot.generation);
    json.push(b'}');
    let mut response = Response::new(Body::full(json));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An address in its canonical form.
pub(super) fn put_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => write_address(out, address.to_bits()),
        IpAddr::V6(address) => write_address(out, address.to_bits()),
    }
}

/// `"listed":…,"sources":[…],"exempt":…` of a standing. Written by hand: names of sources need no
/// escapes, and serde's way through a struct costs as much as the look-up.
pub(super) fn put_standing(json: &mut Vec<u8>, standing: &Standing) {
    json.extend_from_slice(if standing.is_listed() { b"\"listed\":true" } else { b"\"listed\":false" });
    json.extend_from_slice(b",\"sources\":[");
    for (at, source) in standing.sources.iter().enumerate() {
        json.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        json.extend_from_slice(source.as_str().as_bytes());
        json.push(b'"');
    }
    json.extend_from_slice(b"],\"exempt\":");
    json.extend_from_slice(match standing.exempt() {
        None => b"null",
        // A device's networks are a person's word as well. Programs know two grounds; the story tells of the third.
        Some(Exemption::Allowlist | Exemption::Device) => b"\"allowlist\"",
        Some(Exemption::Guard) => b"\"guard\"",
    });
}

/// `format!` takes as long as the look-up.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    let begin = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[begin..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_does() {
        for number in [0, 7, 10, 99, 100, 1_234_567_890, u64::MAX] {
            let mut out = b"x".to_vec();
            put_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{number}"));
        }
    }
}
