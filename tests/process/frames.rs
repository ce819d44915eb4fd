//! As much of HTTP/2 as is needed to send frames that no client sends.

use super::house::House;
use super::http::connect;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113, 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
/// Flags.
pub(crate) const NONE: u8 = 0;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame of that kind with these flags.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header without the tables of HPACK (RFC 7541, 6.2.2), its name by its number or written out.
pub(crate) fn literal(name: Result<u8, &str>, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    match name {
        Ok(number) => [vec![number], text(value)].concat(),
        Err(name) => [vec![0], text(name), text(value)].concat(),
    }
}

/// A GET of `path` at `to`: `:method GET`, `:scheme http`, `:path`, `:authority`.
pub(crate) fn get(to: SocketAddr, path: &str) -> Vec<u8> {
    [vec![0x82, 0x86], literal(Ok(4), path), literal(Ok(1), &to.to_string())].concat()
}

/// Says what everybody says first.
pub(crate) fn greet(house: &House, settings: &[u8]) -> TcpStream {
    greet_at(house.address("blacklist"), settings)
}

/// The same at that address.
pub(crate) fn greet_at(to: SocketAddr, settings: &[u8]) -> TcpStream {
    let mut stream = connect(to).unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, NONE, 0, settings)].concat()).unwrap();
    stream
}
