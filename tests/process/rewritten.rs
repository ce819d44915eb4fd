//! Requests of HTTP/2 that the gateway writes anew as HTTP/1 for a role elsewhere: each arrives as one, whole, or not at all.

use super::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, NONE, RST_STREAM, frame, greet_at, literal};
use super::house::Plan;
use super::smuggling::Echo;
use std::io::{Read as _, Write as _};
use std::time::Duration;

/// What is sent of a body over HTTP/2, which has no length but what it says and where it ends.
struct Framed<'c> {
    lengths: &'c [&'c str],
    data: &'c str,
    /// Trailers, which end it.
    trailer: Option<(&'c str, &'c str)>,
    is_cut: bool,
    /// The body that arrives, if one does.
    arrives: Option<&'c str>,
}

#[test]
fn what_comes_over_http2_is_written_anew_as_one_request_or_not_at_all() {
    const HIDDEN: &str = "GET /api/v1/blacklist/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let folder = tempfile::tempdir().unwrap();
    let (echo, address) = Echo::start();
    let plan = Plan::new(&folder.path().join("data")).roles("gateway");
    let house = plan.set("IRONLIST_UPSTREAM_BLACKLIST", &format!("http://{address}")).start();
    let to = house.address("gateway");
    let good = |lengths, data| Framed { lengths, data, trailer: None, is_cut: false, arrives: Some(data) };
    let bad = |lengths, data| Framed { arrives: None, ..good(lengths, data) };
    let cases = [
        good(&["5"], "hello"),
        good(&[], "hello"),
        good(&[], HIDDEN),
        Framed { arrives: Some(""), ..bad(&["0"], HIDDEN) },
        bad(&["3"], "hello"),
        bad(&["10"], "hello"),
        bad(&["5", "3"], "hello"),
        bad(&["-5"], "hello"),
        bad(&["0x5"], "hello"),
        bad(&["5, 5"], "hello"),
        Framed { trailer: Some(("x", "y")), ..good(&[], "hello") },
        Framed { trailer: Some(("content-length", "0")), ..good(&[], "hello") },
        Framed { trailer: Some((":path", "/api/v1/blacklist/hidden")), ..good(&[], "hello") },
        Framed { is_cut: true, ..bad(&["10"], "hello") },
        Framed { is_cut: true, ..bad(&[], HIDDEN) },
    ];
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let path = format!("/api/v1/blacklist/framed-{number:02}");
        let host = to.to_string();
        let lengths = case.lengths.iter().map(|length| ("content-length", *length));
        let head = [(":method", "POST"), (":scheme", "http"), (":path", &*path), (":authority", &*host)];
        let head = head.into_iter().chain(lengths).flat_map(|(name, value)| literal(Err(name), value));
        let mut stream = greet_at(to, b"");
        let mut sent = frame(HEADERS, END_HEADERS, 1, &head.collect::<Vec<_>>());
        let is_end = case.trailer.is_none() && !case.is_cut;
        sent.extend(frame(DATA, if is_end { END_STREAM } else { NONE }, 1, case.data.as_bytes()));
        if let Some((name, value)) = case.trailer {
            sent.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &literal(Err(name), value)));
        }
        if case.is_cut {
            sent.extend(frame(RST_STREAM, NONE, 1, &8_u32.to_be_bytes()));
        }
        let _ = stream.write_all(&sent);
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        while let Ok(1..) = stream.read(&mut [0; 4096]) {}
        let victim = format!("/api/v1/blacklist/victim-framed-{number}");
        let answer = house.ask("gateway", "GET", &victim, &[], b"").unwrap().ok();
        assert_eq!(answer.text(), format!("<<{victim} >>"), "{number}");
        let own: Vec<Vec<u8>> =
            echo.of(&format!("/framed-{number:02}")).into_iter().map(|seen| seen.body).collect();
        let expected: Vec<Vec<u8>> = case.arrives.iter().map(|body| body.as_bytes().to_vec()).collect();
        if own != expected {
            wrong.push(format!(
                "{number}: {:?}",
                own.iter().map(|body| String::from_utf8_lossy(body)).collect::<Vec<_>>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(echo.of("hidden").is_empty() && echo.of("not a request").is_empty());
}
