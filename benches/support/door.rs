//! The door and the blacklist behind it, as servers in processes of their own.

use ironlist::addr::{IpRange, Range};
use ironlist::disk::Medium;
use ironlist::engine::{Engine, Options};
use ironlist::gateway::{self, Remote, Rules, Upstream, Upstreams};
use ironlist::model::{Batch, Cause, Change, Detail, Profile, RowsBuilder, Scope};
use ironlist::publish::Publisher;
use ironlist::rights::Right;
use ironlist::service;
use ironlist::service::blacklist::{Blacklist, CHECK, answer_check};
use ironlist::service::feeds::Desk;
use ironlist::web::auth::{Access, Guard};
use ironlist::web::docs::Docs;
use ironlist::web::health::{self, Health};
use ironlist::web::listener::{Limits, Listener, serve};
use ironlist::web::metrics::Metrics;
use ironlist::web::{App, Demand, Role};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(crate) const TARGET: &str = "/api/v1/blacklist/check/203.0.114.7";

/// Serves until standard input ends: `blacklist`, `gateway` over one in the same process, or `far` with one at
/// the URL in the environment. The first line of output is the port.
pub(crate) fn run_server(name: &str) {
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = match name {
            "blacklist" => blacklist().await,
            "gateway" => door(Upstream::local(blacklist().await)),
            _ => {
                let url = std::env::var("IRONLIST_BENCH_UPSTREAM").unwrap();
                let remote = Remote::new(&[url], Duration::from_secs(30)).unwrap();
                door(Upstream::remote(remote.with_key(KEY.parse().unwrap())))
            }
        };
        println!("{port}");
        // On a worker as in the program, not on the thread that blocks here.
        let served = serve(Listener::Tcp(listener), app, Limits::default(), std::future::pending());
        tokio::spawn(served).await.unwrap();
    });
}

fn guard() -> Guard {
    let loopback = [([127, 0, 0, 1].into(), [127, 0, 0, 1].into())].into_iter().collect();
    Guard::new(KEY, Access { open: loopback, ..Access::default() })
}

/// The gateway, with a limit that is counted and told, and never reached.
fn door(blacklist: Upstream) -> Arc<App> {
    let rates = [Some("100000000/s".parse().unwrap()); 6];
    let rules = Rules { rates, cache: 1 << 20, ..Rules::default() };
    let upstreams = Arc::new(Upstreams::from([(Role::Blacklist, blacklist)]));
    let docs = Docs::new(gateway::chapters(service::chapters()), service::PLACES);
    gateway::app(upstreams, guard(), rules, &Arc::new(Metrics::new()), docs)
}

/// The blacklist's port over a million listed addresses.
async fn blacklist() -> Arc<App> {
    let folder = std::env::var_os("IRONLIST_BENCH_FOLDER").unwrap();
    let engine = Engine::open(Options::new(Medium::folder(folder))).unwrap();
    let mut rows = RowsBuilder::default();
    let (detail, first) = (Detail::default(), 0xcb00_7200_u32);
    (0..1_000_000).for_each(|at| rows.push(IpRange::V4(Range::single(first + at * 7)), &detail));
    let change =
        Change::List { source: "bench".parse().unwrap(), rows: rows.finish().0, scope: Scope::Whole };
    let (actor, reason, cause) = ("bench".to_owned(), String::new(), Cause::Import);
    engine.submit(Batch { id: uuid::Uuid::now_v7(), actor, reason, cause, change }).await.unwrap();
    let open = ["127.0.0.0/8".parse::<IpRange>().unwrap()].into_iter().collect();
    let publisher = Publisher::open(engine.clone(), Profile::fortigate(), open).unwrap();
    publisher.refresh();
    let desk = Desk::new(&publisher);
    let routes = Blacklist::routes()
        .with_state(Blacklist::new(engine.clone()))
        .merge(health::routes().with_state(Arc::new(Health::new("blacklist"))))
        .merge(Desk::routes().with_state(Arc::clone(&desk)));
    let app = App::new(Role::Blacklist, routes, &Arc::new(Metrics::new())).fast(
        CHECK,
        Demand::Of(Right::Check),
        move |request, ip, _| answer_check(&engine, request, ip),
    );
    Arc::new(desk.fast(app).guard(guard()))
}
