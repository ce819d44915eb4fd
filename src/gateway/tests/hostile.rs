//! Instances that hang, reset, dribble and lie about their length. What a client gets is an error or a connection that
//! is cut, and never a wrong body for a whole one.

use super::*;
use crate::web::body::Pace;

/// What a connection that a client made is given until it is closed or cut.
async fn whole(front: &str, target: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(front.trim_start_matches("http://")).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    drop(tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap());
    answer
}

/// Whether a client would take `answer` for whole, and the body it would take.
fn taken(answer: &[u8]) -> Option<Vec<u8>> {
    if answer.starts_with(b"HTTP/1.1 502") {
        return None;
    }
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    if let Some(length) = head.split("content-length: ").nth(1) {
        let length: usize = length.split('\r').next()?.parse().ok()?;
        return (answer.len() - end >= length).then(|| answer[end..end + length].to_vec());
    }
    let (mut rest, mut body) = (&answer[end..], Vec::new());
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        if size == 0 {
            return rest.ends_with(b"0\r\n\r\n").then_some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 4 + size..)?;
    }
}

/// An instance that answers each request on each connection with `parts`, a pause between two, and then closes or
/// waits for the next.
async fn scripted(parts: &[&[u8]], pause: Duration, closes: bool) -> String {
    let parts: Arc<Vec<Vec<u8>>> = Arc::new(parts.iter().map(|part| part.to_vec()).collect());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let parts = Arc::clone(&parts);
            tokio::spawn(async move {
                while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                    for part in &*parts {
                        drop(stream.write_all(part).await);
                        tokio::time::sleep(pause).await;
                    }
                    if closes {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// A door in front of an instance with little patience.
async fn front(url: &str) -> String {
    let pace = Pace { grace: Duration::from_millis(300), bytes_per_second: 1 << 20 };
    let remote =
        Remote::over(&[url], &Way { patience: Duration::from_millis(300), pace, tls: None }).unwrap();
    elsewhere(door(Upstream::remote(remote))).await
}

const TARGET: &str = "/api/v1/blacklist/fortigate";

#[tokio::test]
async fn a_body_that_is_too_short_dribbles_or_has_a_bad_chunk_is_cut() {
    let long = Duration::from_secs(5);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases: [(&[&[u8]], Duration, bool); 7] = [
        (&[b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n192.0.2.1\n"], Duration::ZERO, true),
        (&[b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", b"192.0.2.1\n"], long, false),
        (&[chunked, b"a\r\n192.0.2.1\n\r\n"], Duration::from_millis(5), true),
        (&[chunked, b"a\r\n192.0.2.1\n\r\n", b"0\r\n\r\n"], long, false),
        (&[chunked, b"a\r\n192.0.2.1\n\r\nzz\r\n"], Duration::from_millis(5), false),
        (&[chunked, b"ffffffffffffffffff\r\n192.0.2.1\n"], Duration::from_millis(5), false),
        (&[chunked, b"3\r\n192.0.2.1\n\r\n0\r\n\r\n"], Duration::from_millis(5), false),
    ];
    for (parts, pause, closes) in cases {
        let answer = whole(&front(&scripted(parts, pause, closes).await).await, TARGET).await;
        assert_eq!(taken(&answer), None, "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn what_would_have_been_kept_is_a_502_instead() {
    let short: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n192.0.2.1\n"];
    let door = door(remote(&scripted(short, Duration::ZERO, true).await));
    for _ in 0..2 {
        assert_eq!(code(&door, "/api/v1/blacklist/active").await, (502, "role_broke_off".into()));
    }
}

#[tokio::test]
async fn what_comes_beyond_the_length_is_nobodys_answer() {
    let liar = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n192.0.2.1\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let front = front(&scripted(&[liar], Duration::ZERO, false).await).await;
    for _ in 0..20 {
        assert_eq!(taken(&whole(&front, TARGET).await).as_deref(), Some(&b"192.0.2.1\n"[..]));
    }
}

#[tokio::test]
async fn a_head_that_dribbles_is_a_504_and_one_that_never_ends_a_502() {
    let slow: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n", b"A: 1\r\n", b"B: 1\r\n", b"C: 1\r\n", b"D: 1\r\n"];
    let door = door(remote(&scripted(slow, Duration::from_millis(100), false).await));
    assert_eq!(code(&door, TARGET).await, (504, "role_timeout".into()));
    let endless: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\nA: ", &[b'a'; 1 << 20]];
    let door = super::door(remote(&scripted(endless, Duration::ZERO, false).await));
    assert_eq!(code(&door, TARGET).await, (502, "role_broke_off".into()));
}

#[tokio::test]
async fn a_reset_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let door = door(remote(&format!("http://{}", listener.local_addr().unwrap())));
    tokio::spawn(async move {
        loop {
            // Closing with something unread resets.
            drop(listener.accept().await.unwrap());
        }
    });
    let (status, _) = code(&door, TARGET).await;
    assert_eq!(status, 502);
}

#[tokio::test]
async fn others_do_not_notice_a_role_that_hangs() {
    let hanging = Remote::new(&[fake(b"", true).await], Duration::from_secs(5)).unwrap();
    let upstreams = Upstreams::from([
        (Role::Analytics, Upstream::remote(hanging).room(2)),
        (Role::Blacklist, remote(&elsewhere(blacklist()).await)),
    ]);
    let door = before(upstreams);
    let stuck: Vec<_> = (0..4)
        .map(|last| {
            let door = Arc::clone(&door);
            tokio::spawn(async move { code_from(&door, last, "/api/v1/analytics/summary").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        code(&door, "/api/v1/analytics/summary").await,
        (503, "role_busy".into()),
        "no room, no queue"
    );
    assert_eq!(
        code_from(&door, 1, "/api/v1/analytics/summary?period=7d").await,
        (429, "too_many_at_once".into()),
        "a caller has a share of the room"
    );
    assert_eq!(ask(&door, "/api/v1/blacklist/fortigate").await.1, "192.0.2.1\n");
    stuck.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_role_that_is_full_still_says_how_it_is_and_gives_its_lists() {
    let held = async || tokio::time::sleep(Duration::from_secs(60)).await;
    let routes = Routes::new()
        .get("/api/v1/blacklist/held", Demand::Nothing, held, "Takes its time.")
        .get("/feeds/edge", Demand::Own, async || "192.0.2.1\n", "A feed.")
        .merge(health::routes().with_state(Arc::new(Health::new("blacklist"))));
    let role = App::new(Role::Blacklist, routes, &Arc::new(Metrics::new())).guard(guard());
    let door = door(Upstream::local(Arc::new(role)).room(1));
    let stuck: Vec<_> = (0..2)
        .map(|last| {
            let door = Arc::clone(&door);
            tokio::spawn(async move { ask_from(&door, last, "/api/v1/blacklist/held").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(code(&door, "/api/v1/blacklist/held").await, (503, "role_busy".into()));
    assert_eq!(ask(&door, "/feeds/edge").await.1, "192.0.2.1\n");
    let (status, health) = ask(&door, "/health").await;
    assert_eq!((status.as_u16(), health.contains("role_busy")), (200, false), "{health}");
    stuck.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_single_instance_that_keeps_failing_is_left_alone_for_a_second() {
    let url = fake(b"SSH-2.0\r\n", false).await;
    let door = door(remote(&url));
    for _ in 0..3 {
        assert_eq!(code(&door, TARGET).await.0, 502);
    }
    assert_eq!(code(&door, TARGET).await, (503, "role_resting".into()));
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(code(&door, TARGET).await.0, 502, "one tries");
    assert_eq!(code(&door, TARGET).await, (503, "role_resting".into()));
}
