//! Readers that mean no harm and do some, and those that do: they stop reading, never pause, send conditions and ranges
//! of every kind, and each costs itself alone.

use super::house::{House, Plan, until};
use super::http::{self, Answer, connect, head};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const FEED: &str = "/feeds/fortigate.txt";
/// The sockets of a stalled connection hold some megabytes, so that it takes several lists to fill them.
const PIPELINED: usize = 20;

/// Single addresses that do not touch.
fn addresses(count: u32) -> String {
    (0..count).map(|n| format!("{}\n", std::net::Ipv4Addr::from(0x1400_0000 + 2 * n))).collect()
}

fn listed(data: &std::path::Path, count: u32) -> House {
    let house = Plan::new(data).start();
    let path = "/api/v1/blacklist/import?source=partner&replace=true";
    house.post("gateway", path, "text/plain", addresses(count)).ok();
    until("it is published and compressed", || {
        let packed = ask(&house, "GET", &[("accept-encoding", "gzip")]);
        (packed.header("content-encoding") == Some("gzip")).then_some(())
    });
    house
}

fn ask(house: &House, method: &str, headers: &[(&str, &str)]) -> Answer {
    house.ask("blacklist", method, FEED, headers, b"").unwrap()
}

#[test]
fn readers_that_stop_reading_are_let_go_and_cost_the_others_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = listed(folder.path(), 100_000);
    let (length, before) = (ask(&house, "GET", &[]).body.len(), house.memory());
    let one = format!("GET {FEED} HTTP/1.1\r\nhost: {}\r\n\r\n", house.address("blacklist"));
    let stall = |_| {
        let mut stream = connect(house.address("blacklist")).unwrap();
        stream.write_all(one.repeat(PIPELINED).as_bytes()).unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream
    };
    let stalled: Vec<TcpStream> = (0..40).map(stall).collect();
    let began = Instant::now();
    // Thirty seconds is what a reader has that takes nothing.
    until("those who stopped reading are let go", || {
        assert_eq!(ask(&house, "GET", &[]).ok().body.len(), length);
        let grown = house.memory().saturating_sub(before);
        assert!(grown < 64 << 20, "{} MiB more, {length} bytes each are offered", grown >> 20);
        std::thread::sleep(Duration::from_millis(500));
        // One is that which asks.
        (house.connections("blacklist") <= 1).then_some(())
    });
    assert!(began.elapsed() > Duration::from_secs(20), "a reader may be slow");
    for mut stream in stalled {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < PIPELINED * length, "the answers were cut off");
    }
}

#[test]
fn a_reader_that_never_pauses_is_one_line_in_the_book_and_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let house = listed(folder.path(), 1000);
    let tag = ask(&house, "GET", &[]).header("etag").unwrap().to_owned();
    let before = house.memory();
    let poll = |path: &str, count: usize| {
        let host = house.address("blacklist");
        let one = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nif-none-match: {tag}\r\n\r\n");
        let mut stream = connect(house.address("blacklist")).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let read = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = reader.read_to_end(&mut text);
            String::from_utf8(text).unwrap()
        });
        stream.write_all(one.repeat(count - 1).as_bytes()).unwrap();
        let last = head(&house.address("blacklist").to_string(), "GET", path, &[("if-none-match", &tag)]);
        stream.write_all(&last).unwrap();
        read.join().unwrap()
    };
    assert_eq!(poll(FEED, 20_000).matches("HTTP/1.1 304").count(), 20_000);
    // Neither a key nor a name that there is not is remembered.
    for n in 0..200 {
        assert_eq!(poll(&format!("/f/key-{n}/fortigate"), 2).matches("HTTP/1.1 401").count(), 2);
        assert_eq!(poll(&format!("/feeds/fortigate/{}", n + 2), 2).matches("HTTP/1.1 404").count(), 2);
        assert_eq!(poll(&format!("{FEED}?generation={}", n + 2), 2).matches("HTTP/1.1 410").count(), 2);
    }
    let grown = house.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{} KiB more", grown >> 10);
    let pulls = house.look("gateway", "/api/v1/pulls").ok().json();
    assert_eq!((&pulls["total"], &pulls["data"][0]["unchanged"]), (&1.into(), &20_000.into()), "{pulls}");
    assert!(house.stop().success());
    let size = std::fs::metadata(folder.path().join("publishing.redb")).unwrap().len();
    assert!(size < 4 << 20, "{size} bytes");
}

#[test]
fn conditions_of_every_kind_are_answered_with_the_list_or_with_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = listed(folder.path(), 1000);
    let whole = ask(&house, "GET", &[]);
    let (tag, date) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    let (opaque, foreign) = (tag.trim_matches('"'), format!("\"{}\"", "f".repeat(32)));
    let many = (0..500).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
    let lists = [
        format!("{foreign}, {tag}"),
        format!("W/{tag}"),
        format!("\"a,b\",W/\"c\" , {tag}"),
        format!("{many}, {tag}"),
    ];
    for list in [tag, "*"].into_iter().chain(lists.iter().map(String::as_str)) {
        let unchanged = ask(&house, "GET", &[("if-none-match", list)]);
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{list}");
        assert_eq!(unchanged.header("etag"), Some(tag));
        // A tag counts more than a time.
        let both = [("if-none-match", list), ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT")];
        assert_eq!(ask(&house, "GET", &both).status, 304, "{list}");
        assert_eq!(ask(&house, "HEAD", &[("if-none-match", list)]).status, 304, "{list}");
    }
    let packed = format!("\"{opaque}-g1\"");
    for list in [&*foreign, opaque, "", "\"", ",,,", "W/", &packed, &many, "\"*\"", "\u{fc}"] {
        let changed = ask(&house, "GET", &[("if-none-match", list), ("if-modified-since", date)]);
        assert_eq!((changed.status, &changed.body), (200, &whole.body), "{list}");
    }
    for (since, status) in [(date, 304), ("Thu, 01 Jan 1970 00:00:00 GMT", 200), ("soon", 200), ("-1", 200)] {
        assert_eq!(ask(&house, "GET", &[("if-modified-since", since)]).status, status, "{since}");
    }
}

#[test]
fn bytes_are_packed_for_those_alone_who_say_that_they_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let house = listed(folder.path(), 1000);
    let whole = ask(&house, "GET", &[]).body;
    for (accept, coding) in [
        ("gzip", Some("gzip")),
        ("GZIP", Some("gzip")),
        ("gzip;q=0.001, identity;q=0", Some("gzip")),
        ("identity;q=0, zstd", Some("zstd")),
        ("gzip;q=0", None),
        ("gzip;q=0, *;q=0", None),
        ("*;q=0", None),
        ("identity;q=0", None),
        ("identity", None),
        ("", None),
        ("gzip;q=nan", None),
        ("gzip;q=-1", None),
        (";;;,,,=", None),
        ("br, deflate, compress, \u{fc}", None),
        ("gz ip", None),
    ] {
        let answer = ask(&house, "GET", &[("accept-encoding", accept)]).ok();
        assert_eq!(answer.header("content-encoding"), coding, "{accept}");
        let mut text = Vec::new();
        match coding {
            Some("gzip") => drop(flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut text).unwrap()),
            Some(_) => text = zstd::decode_all(&*answer.body).unwrap(),
            None => text = answer.body,
        }
        assert!(text == whole, "{accept}");
    }
    // Who asks for what it cannot read is given a feed that is never packed.
    let add = ["feeds", "add", "old", "--format", "fortigate", "--no-compression", "--reason", "an old one"];
    assert_eq!(super::house::told(&house.run(add)).0, 0);
    let old = until("it is published", || {
        let answer = house.ask("gateway", "GET", "/feeds/old", &[("accept-encoding", "gzip")], b"").unwrap();
        (answer.status == 200).then_some(answer)
    });
    assert_eq!((old.header("content-encoding"), &old.body), (None, &whole));
}

#[test]
fn ranges_are_a_part_the_whole_or_refused_and_never_more() {
    let folder = tempfile::tempdir().unwrap();
    let house = listed(folder.path(), 1000);
    let whole = ask(&house, "GET", &[]);
    let (tag, body) = (whole.header("etag").unwrap(), &whole.body);
    let length = body.len();
    let tail = format!("bytes={}-{}", length - 1, u64::MAX);
    for (range, part) in [("bytes=0-0", 0..1), (&*tail, length - 1..length), ("bytes=-99999999", 0..length)] {
        let answer = ask(&house, "GET", &[("range", range)]);
        assert_eq!((answer.status, &answer.body[..]), (206, &body[part.clone()]), "{range}");
        let told = format!("bytes {}-{}/{length}", part.start, part.end - 1);
        assert_eq!(answer.header("content-range"), Some(&*told));
        let head = ask(&house, "HEAD", &[("range", range)]);
        assert_eq!((head.status, head.body.len()), (200, 0), "{range}");
        assert_eq!(ask(&house, "GET", &[("range", range), ("if-range", tag)]).status, 206);
        assert_eq!(ask(&house, "GET", &[("range", range), ("if-range", "\"other\"")]).ok().body, *body);
    }
    for range in [format!("bytes={length}-"), format!("bytes={length}-{}", u64::MAX), "bytes=-0".to_owned()] {
        let beyond = ask(&house, "GET", &[("range", &range)]);
        let told = format!("bytes */{length}");
        assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(&*told)), "{range}");
    }
    // What overlaps a thousand times would be a thousand times as long; it is sent once.
    let overlapping = format!("bytes={}", vec!["0-"; 1000].join(","));
    let many = format!("bytes={}", (0..1000).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(","));
    for range in
        [&*overlapping, &*many, "bytes=5-2", "bytes=--1", "bytes=a-b", "lines=1-2", "bytes", "\u{fc}"]
    {
        assert_eq!(ask(&house, "GET", &[("range", range)]).ok().body, *body, "{range}");
    }
}

#[test]
fn heads_without_end_are_refused_and_the_next_reader_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let house = listed(folder.path(), 1000);
    let before = house.memory();
    let refused = |headers: &[(&str, &str)]| {
        let answer = http::ask(house.address("blacklist"), "GET", FEED, headers, b"");
        // Who is still sending may see the connection go before the answer.
        assert!(answer.as_ref().map_or(true, |answer| answer.status == 431), "{answer:?}");
    };
    refused(&[("if-none-match", &"\"x\", ".repeat(20_000))]);
    refused(&[("accept-encoding", &"gzip,".repeat(1 << 20))]);
    refused(&vec![("x-nothing", "1"); 5000]);
    let mut stream = connect(house.address("blacklist")).unwrap();
    let sent = stream.write_all(format!("GET {FEED}?{} HTTP/1.1\r\n", "a".repeat(1 << 20)).as_bytes());
    let answer = sent.and_then(|()| http::read(stream, "GET"));
    assert!(answer.as_ref().map_or(true, |answer| matches!(answer.status, 414 | 431)), "{answer:?}");
    let grown = house.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{} KiB more", grown >> 10);
    assert_eq!(ask(&house, "GET", &[]).ok().text().lines().count(), 1000);
}
