//! The door and the blacklist behind it, as servers in processes of their own, and somebody whom they know.

use ironlist::addr::{IpRange, Range};
use ironlist::disk::Medium;
use ironlist::engine::{Engine, Options};
use ironlist::gateway::{self, Remote, Rules, Upstream, Upstreams};
use ironlist::identity::{ADMIN_PASSWORD, Keeper, KeyWish, Options as Keeping, Shown};
use ironlist::model::{Batch, Cause, Change, Detail, Profile, RowsBuilder, Scope};
use ironlist::publish::Publisher;
use ironlist::rights::{Right, Rights};
use ironlist::service;
use ironlist::service::blacklist::{Blacklist, CHECK, answer_check};
use ironlist::service::feeds::Desk;
use ironlist::service::identity::Local;
use ironlist::vault::{KeySource, Vault};
use ironlist::web::auth::{Access, Guard};
use ironlist::web::docs::Docs;
use ironlist::web::health::{self, Health};
use ironlist::web::listener::{Limits, Listener, bind, serve};
use ironlist::web::metrics::Metrics;
use ironlist::web::{App, Demand, Role};
use secrecy::ExposeSecret;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(crate) const TARGET: &str = "/api/v1/blacklist/check/203.0.114.7";

/// Serves until standard input ends: `blacklist`, `gateway` over one in the same process, `shedding` and `refusing`, which are the
/// same and turn callers away under load or always, or `far` with one at the URL in the environment. The first line of output is the port, a key and
/// a token.
pub(crate) fn run_server(name: &str) {
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let somebody = Somebody::new();
        let app = match name {
            "blacklist" => blacklist(&somebody).await,
            "gateway" => door(Upstream::local(blacklist(&somebody).await), &somebody, OFTEN),
            "shedding" => {
                let blacklist = Upstream::local(blacklist(&somebody).await);
                gateway(blacklist, &somebody, Rules { sheds: true, ..rules(OFTEN) })
            }
            "refusing" => door(Upstream::local(blacklist(&somebody).await), &somebody, "1/h"),
            _ => {
                let url = std::env::var("IRONLIST_BENCH_UPSTREAM").unwrap();
                let remote = Remote::new(&[url], Duration::from_secs(30)).unwrap();
                door(Upstream::remote(remote.with_key(KEY.parse().unwrap())), &somebody, OFTEN)
            }
        };
        println!("{port} {} {}", somebody.key, somebody.token);
        // On a worker as in the program, not on the thread that blocks here.
        let served = serve(Listener::Tcp(listener), app, Limits::default(), std::future::pending());
        tokio::spawn(served).await.unwrap();
    });
}

/// A limit that is counted and told, and never reached.
const OFTEN: &str = "100000000/s";

/// Somebody with a key and a token, and the keeper who knows them.
struct Somebody {
    keeper: Arc<Keeper>,
    key: String,
    token: String,
}

impl Somebody {
    fn new() -> Self {
        let folder = PathBuf::from(std::env::var_os("IRONLIST_BENCH_FOLDER").unwrap());
        let vault = Arc::new(Vault::new(KeySource::find(&folder, None, |_| None)));
        let (keeper, password) = Keeper::open(Keeping::new(Medium::folder(&folder), vault)).unwrap();
        let wish = KeyWish {
            name: "bench".parse().unwrap(),
            rights: Rights::of(&[Right::Check]),
            networks: Vec::new(),
            expires: None,
            certificate: None,
        };
        let key = keeper.add_key(wish, "bench").unwrap().secret.unwrap();
        let here = [127, 0, 0, 1].into();
        let attempt = || keeper.attempt("admin", here).unwrap();
        let first = keeper.log_in(&attempt(), &password.unwrap()).unwrap();
        let proved = keeper.prove(Shown::key(first.access_token.expose_secret()), here).unwrap();
        let chosen = "long enough to be a password".to_owned().into();
        let session = keeper.change_password(&attempt(), &proved, None, &chosen).unwrap();
        assert!(!folder.join(ADMIN_PASSWORD).exists());
        let [key, token] = [key, session.access_token].map(|secret| secret.expose_secret().to_owned());
        Self { keeper: Arc::new(keeper), key, token }
    }

    fn guard(&self) -> Guard {
        let loopback = [([127, 0, 0, 1].into(), [127, 0, 0, 1].into())].into_iter().collect();
        let access = Access { open: loopback, ..Access::default() };
        Guard::new(KEY, access).believing(Arc::new(Local(Some(Arc::clone(&self.keeper)))))
    }
}

fn rules(rate: &str) -> Rules {
    Rules { rates: [Some(rate.parse().unwrap()); 6], cache: 1 << 20, ..Rules::default() }
}

/// The gateway, with that limit.
fn door(blacklist: Upstream, somebody: &Somebody, rate: &str) -> Arc<App> {
    gateway(blacklist, somebody, rules(rate))
}

fn gateway(blacklist: Upstream, somebody: &Somebody, rules: Rules) -> Arc<App> {
    let upstreams = Arc::new(Upstreams::from([(Role::Blacklist, blacklist)]));
    let docs = Docs::new(gateway::chapters(service::chapters()), service::PLACES);
    gateway::app(upstreams, somebody.guard(), rules, &Arc::new(Metrics::new()), docs)
}

/// The blacklist's port over a million listed addresses.
async fn blacklist(somebody: &Somebody) -> Arc<App> {
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
    Arc::new(desk.fast(app).guard(somebody.guard()))
}
