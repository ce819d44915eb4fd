//! Batches that cross a real socket to the process that owns the journal.

use super::*;
use crate::analyze::fixture::{House, plain};
use crate::disk::Medium;
use crate::engine::{Options, Refusal};
use crate::journal::Keep;
use crate::model::{Cause, Change, Day, Detail, RowsBuilder, Scope};
use crate::web::auth::{Access, Guard};
use crate::web::listener::{self, Limits, Listener};
use crate::web::metrics::Metrics;
use crate::web::{App, Role};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const KEY: &str = "open sesame";

/// Serves the journal of `engine` on a socket until the runtime ends.
async fn serve(engine: &Engine, socket: TcpListener) -> SocketAddr {
    let address = socket.local_addr().unwrap();
    let app = App::new(Role::Blacklist, routes().with_state(engine.clone()), &Arc::new(Metrics::new()));
    let app = Arc::new(app.guard(Guard::new(KEY, Access::everywhere())).body_limit("/", 4096));
    let never = std::future::pending();
    tokio::spawn(listener::serve(Listener::Tcp(socket), app, Limits::default(), never));
    address
}

async fn socket() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn remote(address: SocketAddr, key: &str) -> Remote {
    Remote::new(&format!("http://{address}"), key, None).unwrap().persisting(Duration::from_secs(3))
}

/// A process that owns a journal, and the way to it from another.
async fn pair() -> (House, Remote) {
    let house = House::new();
    let address = serve(house.engine(), socket().await).await;
    (house, remote(address, KEY))
}

fn batch(change: Change) -> Batch {
    let (id, actor, reason) = (Uuid::now_v7(), "collector".to_owned(), "run 7".to_owned());
    Batch { id, actor, reason, cause: Cause::Run, change }
}

fn list(ranges: &[&str], scope: Scope) -> Change {
    let mut rows = RowsBuilder::default();
    plain(ranges).iter().for_each(|(range, detail)| rows.push(*range, detail));
    Change::List { source: "regtech".parse().unwrap(), rows: rows.finish().0, scope }
}

#[tokio::test]
async fn a_batch_from_elsewhere_is_carried_out_once_and_comes_back_with_the_records() {
    let (house, remote) = pair().await;
    let wish = batch(list(&["20.0.0.1", "2a00::/32"], Scope::Whole));
    let first = remote.submit(wish.clone()).await.unwrap();
    assert_eq!((first.generation, first.added), (1, 2));
    assert_eq!(remote.submit(wish.clone()).await.unwrap(), first);
    assert_eq!(house.engine().submit(wish).await.unwrap(), first);
    let follower = House::following();
    follower.engine().follow(remote.sealed(0).await.unwrap()).await.unwrap();
    assert!(follower.engine().snapshot().check("20.0.0.1".parse().unwrap()).is_listed());
}

#[tokio::test]
async fn a_preview_from_elsewhere_counts_and_changes_nothing() {
    let (house, remote) = pair().await;
    let mut rows = RowsBuilder::default();
    for (range, day) in [("20.0.0.1", 1), ("20.0.0.2", 2), ("20.0.0.3", 2)] {
        let listed = Some(Day::from_number(day));
        rows.push(range.parse().unwrap(), &Detail { listed, ..Detail::default() });
    }
    let (source, rows) = ("regtech".parse().unwrap(), rows.finish().0);
    house.submit(Change::List { source, rows, scope: Scope::Part }).await;
    let window = Scope::Window { first: Day::from_number(2), last: Day::from_number(3) };
    let preview = remote.preview(batch(list(&["20.0.0.9"], window))).await.unwrap();
    let receipt = Receipt { generation: 1, added: 1, removed: 2, ..Receipt::default() };
    assert_eq!(preview, Preview { receipt, before: 2, ending: 0 });
    assert_eq!(house.engine().snapshot().generation, 1);
}

#[tokio::test]
async fn what_the_engine_refuses_it_refuses_elsewhere_in_the_same_words() {
    let (house, remote) = pair().await;
    house.submit(list(&["20.0.0.1"], Scope::Part)).await;
    let source = || "regtech".parse().unwrap();
    let ranges = vec!["20.0.0.1".parse().unwrap(), "20.0.0.2".parse().unwrap()];
    for change in [
        Change::Seen { source: "nobody".parse().unwrap() },
        Change::Unlist { source: source(), ranges },
        Change::Disallow("20.0.0.1".parse().unwrap()),
        Change::Unsuppress { range: "20.0.0.1".parse().unwrap(), source: Some(source()) },
    ] {
        let here = house.engine().submit(batch(change.clone())).await.unwrap_err();
        assert!(matches!(here, EngineError::Refused(_)));
        assert_eq!(remote.submit(batch(change.clone())).await.unwrap_err(), here);
        assert_eq!(remote.preview(batch(change)).await.unwrap_err(), here);
    }
    let refusal = EngineError::Refused(Refusal::UnknownSource("nobody".parse().unwrap()));
    assert!(serde_json::to_string(&refusal).unwrap().contains("unknown_source"));
    house.engine().stop();
    assert_eq!(remote.submit(batch(Change::Expire)).await.unwrap_err(), EngineError::Stopped);
}

#[tokio::test]
async fn a_wrong_key_a_long_body_and_nonsense_are_told_by_name() {
    let (house, mine) = pair().await;
    let address = serve(house.engine(), socket().await).await;
    let error = remote(address, "wrong").submit(batch(Change::Expire)).await.unwrap_err();
    assert!(error.to_string().contains("the same there and here"), "{error}");
    let many: Vec<String> = (0..4096).map(|n| format!("20.0.{}.{}", n / 256 * 2, n % 256)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let error = mine.submit(batch(list(&many, Scope::Whole))).await.unwrap_err();
    assert!(error.to_string().contains("at most 4096 bytes"), "{error}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST {BATCHES} HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-length: 3\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\nabc").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("bad_batch"), "{answer}");
    assert_eq!(house.engine().snapshot().generation, 0);
}

#[tokio::test]
async fn a_process_that_starts_late_is_waited_for_and_one_that_never_does_is_named() {
    let free = socket().await.local_addr().unwrap();
    let error = remote(free, KEY).persisting(Duration::ZERO).submit(batch(Change::Expire)).await.unwrap_err();
    assert!(matches!(error, EngineError::Remote(_)), "{error}");
    let house = House::new();
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        serve(house.engine(), TcpListener::bind(free).await.unwrap()).await
    };
    let remote = remote(free, KEY);
    let (receipt, _) = tokio::join!(remote.submit(batch(list(&["20.0.0.1"], Scope::Part))), later);
    assert_eq!(receipt.unwrap().added, 1);
}

/// Hands connections on to `to`; of the first one the answer is lost.
async fn lossy(door: TcpListener, to: SocketAddr) {
    for number in 0.. {
        let (mut client, _) = door.accept().await.unwrap();
        let mut server = TcpStream::connect(to).await.unwrap();
        if number > 0 {
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
            continue;
        }
        let (mut from, mut there) = (client, server);
        let (mut reading, mut writing) = there.split();
        tokio::select! {
            _ = tokio::io::copy(&mut from, &mut writing) => {}
            // The answer has begun: the batch is carried out.
            _ = reading.read_u8() => {}
        }
    }
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_sent_again_and_counts_once() {
    let house = House::new();
    let address = serve(house.engine(), socket().await).await;
    let door = socket().await;
    let remote = remote(door.local_addr().unwrap(), KEY);
    tokio::spawn(lossy(door, address));
    let receipt = remote.submit(batch(list(&["20.0.0.1"], Scope::Part))).await.unwrap();
    assert_eq!((receipt.generation, receipt.added), (1, 1));
    assert_eq!(house.engine().snapshot().generation, 1);
}

#[tokio::test]
async fn who_is_too_far_behind_is_told_so_and_begins_with_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let open = |keep| Engine::open(Options { keep, ..Options::new(Medium::folder(folder.path())) }).unwrap();
    for number in 1..=3 {
        let engine = open(Keep { bytes: 0, segment: 1, ..Keep::default() });
        engine.submit(batch(list(&[&format!("20.0.0.{number}")], Scope::Whole))).await.unwrap();
        engine.stop();
    }
    let engine = open(Keep::default());
    let remote = remote(serve(&engine, socket().await).await, KEY);
    assert_eq!(remote.sealed(0).await, Err(EngineError::Gone { generation: 0, oldest: 2 }));
    let follower = House::following();
    assert_eq!(follower.engine().adopt(remote.checkpoint().await.unwrap()).await.unwrap(), 2);
    let is_listed = |address: &str| follower.engine().snapshot().check(address.parse().unwrap()).is_listed();
    assert!(is_listed("20.0.0.2"));
    assert_eq!(follower.engine().follow(remote.sealed(2).await.unwrap()).await.unwrap(), 3);
    assert!(is_listed("20.0.0.3") && !is_listed("20.0.0.2"));

    let (_young, remote) = pair().await;
    let EngineError::Remote(why) = remote.checkpoint().await.unwrap_err() else { panic!("it has none") };
    assert!(why.contains("404"), "{why}");
}
