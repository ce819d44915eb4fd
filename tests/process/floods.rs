//! HTTP/2 as those send it who mean harm: with frames of one's own making, as fast as they are taken. Others are
//! answered meanwhile, memory stays where it was, and the connection ends or costs next to nothing.

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, NONE, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, frame, get, greet, literal,
};
use super::house::{Plan, until};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const LOOK_UP: &str = "/api/v1/blacklist/check/192.0.2.1";
const FEED: &str = "/feeds/fortigate.txt";

/// Reads and forgets what comes, so that nothing is held up for want of a reader.
fn drain(stream: &TcpStream) {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while stream.read(&mut bytes).is_ok_and(|read| read > 0) {}
    });
}

/// Sends one flood over several connections while others ask, and sees what it costs.
fn flood(
    name: &str,
    reads: bool,
    opening: &[u8],
    frames: impl FnMut(SocketAddr, u32) -> Vec<u8> + Send + Clone,
) {
    let folder = tempfile::tempdir().unwrap();
    // Whoever asks here waits for nobody, and on a quick machine that is more than one caller may ask.
    let house = Plan::new(folder.path()).set("IRONLIST_RATE_CHECK", "off").start();
    let lines: String =
        (0..20_000_u32).map(|n| format!("{}\n", std::net::Ipv4Addr::from(0x1400_0000 + 2 * n))).collect();
    house.post("gateway", "/api/v1/blacklist/import?source=partner&replace=true", "text/plain", lines).ok();
    until("it is published", || (house.get("blacklist", FEED).status == 200).then_some(()));
    let (before, began) = (house.memory(), Instant::now());
    let streams: Vec<TcpStream> = (0..4).map(|_| greet(&house, opening)).collect();
    let sent: Vec<u32> = std::thread::scope(|scope| {
        let flooding: Vec<_> = streams
            .iter()
            .map(|stream| {
                let (mut stream, mut frames) = (stream.try_clone().unwrap(), frames.clone());
                let to = house.address("blacklist");
                if reads {
                    drain(&stream);
                }
                stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
                scope.spawn(move || {
                    let sends = |count: &u32| {
                        let batch: Vec<u8> =
                            (count * 100..(count + 1) * 100).flat_map(|n| frames(to, n)).collect();
                        began.elapsed() < Duration::from_secs(2) && stream.write_all(&batch).is_ok()
                    };
                    (0..10_000).take_while(sends).count() as u32
                })
            })
            .collect();
        while !flooding.iter().all(|one| one.is_finished()) {
            let asked = Instant::now();
            house.get("blacklist", LOOK_UP).ok();
            house.get("gateway", LOOK_UP).ok();
            let waited = asked.elapsed();
            assert!(waited < Duration::from_secs(2), "{name}: a look-up took {waited:?}");
        }
        flooding.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let grown = house.memory().saturating_sub(before);
    assert!(grown < 48 << 20, "{name}: {} KiB more after {sent:?} hundred frames", grown >> 10);
    assert!(sent.iter().all(|count| *count > 0) || name.contains("bomb"), "{name}: {sent:?}");
    streams.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    until("the connections are gone", || (house.connections("blacklist") <= 1).then_some(()));
    let panics = "ironlist_http_panics_total{role=\"blacklist\"} 0";
    assert!(house.get("blacklist", "/metrics").text().contains(panics), "{name}");
    assert!(house.stop().success());
}

/// The number of a client's stream.
fn stream(n: u32) -> u32 {
    2 * n + 1
}

#[test]
fn frames_of_our_own_making_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let mut one = greet(&house, b"");
    one.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get(house.address("blacklist"), LOOK_UP)))
        .unwrap();
    let mut answer = String::new();
    until("the verdict comes", || {
        let mut bytes = [0; 4096];
        let read = one.read(&mut bytes).unwrap();
        answer += &String::from_utf8_lossy(&bytes[..read]);
        answer.contains("\"listed\":false").then_some(())
    });
}

#[test]
fn streams_that_are_begun_and_reset_at_once_cost_nobody_else() {
    flood("rapid reset", true, b"", |to, n| {
        let cancelled = frame(RST_STREAM, NONE, stream(n), &8_u32.to_be_bytes());
        [frame(HEADERS, END_HEADERS | END_STREAM, stream(n), &get(to, FEED)), cancelled].concat()
    });
}

#[test]
fn a_head_that_never_ends_is_given_up() {
    let filler = literal(Err("x-filler"), &"x".repeat(100)).repeat(20);
    flood("continuation", true, b"", move |to, n| match n {
        0 => frame(HEADERS, NONE, 1, &get(to, FEED)),
        _ => frame(CONTINUATION, NONE, 1, &filler),
    });
    flood("empty continuation", true, b"", |to, n| match n {
        0 => frame(HEADERS, NONE, 1, &get(to, FEED)),
        _ => frame(CONTINUATION, NONE, 1, b""),
    });
}

#[test]
fn frames_that_want_an_answer_are_not_answered_without_end() {
    for reads in [true, false] {
        flood("settings", reads, b"", |_, _| frame(SETTINGS, NONE, 0, &[0, 3, 0, 0, 0, 1].repeat(20)));
        flood("pings", reads, b"", |_, _| frame(PING, NONE, 0, b"01234567"));
    }
}

#[test]
fn frames_that_say_nothing_are_cheap_or_the_last() {
    let opened = |n: u32, more: Vec<u8>| match n {
        0 => {
            let post =
                [vec![0x83, 0x86], literal(Ok(4), "/api/v1/blacklist/check"), literal(Ok(1), "localhost")];
            frame(HEADERS, END_HEADERS, 1, &post.concat())
        }
        _ => more,
    };
    flood("empty data", true, b"", move |_, n| opened(n, frame(DATA, NONE, 1, b"")));
    flood("priorities", true, b"", |_, n| frame(PRIORITY, NONE, stream(n), &[0, 0, 0, 0, 1]));
    flood("windows", true, b"", |_, _| frame(WINDOW_UPDATE, NONE, 0, &1_u32.to_be_bytes()));
}

#[test]
fn readers_that_open_no_window_hold_no_memory() {
    // SETTINGS_INITIAL_WINDOW_SIZE 0: answers are asked for and never taken.
    flood("no window", true, &[0, 4, 0, 0, 0, 0], |to, n| {
        frame(HEADERS, END_HEADERS | END_STREAM, stream(n), &get(to, FEED))
    });
}

#[test]
fn a_small_head_that_unpacks_into_a_large_one_is_refused() {
    // One header of 4,000 bytes goes into the table (RFC 7541, 6.2.1); then each byte stands for all of it.
    let name = "x-bomb";
    let value = "x".repeat(4000);
    // The length as an integer with a prefix of seven bits (RFC 7541, 5.1).
    let length = [0x7F, 0x80 | ((4000 - 127) & 0x7F) as u8, ((4000 - 127) >> 7) as u8];
    let entry = [&[0x40, name.len() as u8][..], name.as_bytes(), &length, value.as_bytes()].concat();
    flood("bomb", true, b"", move |to, n| {
        let first = if n == 0 { entry.clone() } else { Vec::new() };
        let head = [get(to, FEED), first, vec![0xBE; 8000]].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, stream(n), &head)
    });
}
