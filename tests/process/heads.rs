//! Heads over HTTP/2 that RFC 9113 forbids, or that would be two requests once they are written as HTTP/1.

use super::frames::{END_HEADERS, END_STREAM, HEADERS, frame, greet, literal};
use super::house::{House, Plan};
use std::io::{Read as _, Write as _};
use std::time::Duration;

const LOOK_UP: &str = "/api/v1/blacklist/check/192.0.2.1";

/// What comes back for a head, until nothing more does.
fn answer(house: &House, head: &[(&str, &str)]) -> String {
    let mut stream = greet(house, b"");
    let block: Vec<u8> = head.iter().flat_map(|(name, value)| literal(Err(name), value)).collect();
    stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let (mut bytes, mut more) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut more) {
        bytes.extend_from_slice(&more[..read]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn heads_that_are_forbidden_over_http2_are_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let (method, scheme, path) = ((":method", "GET"), (":scheme", "http"), (":path", LOOK_UP));
    let here: &str = Box::leak(house.address("blacklist").to_string().into_boxed_str());
    let authority = (":authority", here);
    let good = [method, scheme, path, authority];
    assert!(answer(&house, &good).contains("\"listed\":false"), "a good one is answered");
    let also = |more: (&'static str, &'static str)| [&good[..], &[more]].concat();
    let but = |other: (&'static str, &'static str)| {
        let head = good.iter().map(|pair| if pair.0 == other.0 { other } else { *pair });
        head.collect::<Vec<_>>()
    };
    let inside: &str = Box::leak(format!("{LOOK_UP} HTTP/1.1\r\nX: y").into_boxed_str());
    let absolute: &str = Box::leak(format!("http://other{LOOK_UP}").into_boxed_str());
    for head in [
        vec![scheme, path, authority],
        vec![method, scheme, authority],
        vec![method, scheme, path],
        also(path),
        also(method),
        also(authority),
        also((":status", "200")),
        also((":x", "y")),
        also(("host", "other")),
        also(("X-Upper", "y")),
        also(("connection", "close")),
        also(("keep-alive", "1")),
        also(("proxy-connection", "close")),
        also(("transfer-encoding", "chunked")),
        also(("upgrade", "h2c")),
        also(("te", "gzip")),
        also(("content-length", "5")),
        also(("x", "a\r\nX-Second: b")),
        also(("x", "a\0b")),
        also(("x y", "z")),
        also(("x:y", "z")),
        also(("", "z")),
        vec![method, scheme, path, ("x", "y"), authority],
        but((":path", "*")),
        but((":path", "")),
        but((":path", &LOOK_UP[1..])),
        but((":path", inside)),
        but((":path", absolute)),
        but((":authority", "u:p@localhost")),
        but((":authority", "localhost\r\nX: y")),
        but((":method", "CONNECT")),
        but((":method", "GE T")),
        but((":method", "TRACE")),
    ] {
        assert!(!answer(&house, &head).contains("\"listed\""), "{head:?}");
    }
    assert!(answer(&house, &good).contains("\"listed\":false"), "and the next one, too");
    assert!(house.stop().success());
}
