//! The roles of one process, put together: what the service listens with, and what the command
//! line calls when no service runs.

use super::collecting::{self, LastSeen};
use super::follow::Following;
use super::hooking;
use super::identifying::{self, Identities};
use super::named::Named;
use super::published;
use super::pushing;
use super::settings::{self, Behind, CrowdSec, Settings};
use crate::collect::collector::Collector;
use crate::engine::{Condition, Engine};
use crate::gateway::{self, Generation, Remote, Rules, Upstream, UpstreamTls, Upstreams, Way};
use crate::model::Profile;
use crate::publish::push::Pusher;
use crate::publish::webhook::Courier;
use crate::publish::{Feed, Feeds, Offer, Publisher, Rolls};
use crate::service::analytics::Analytics;
use crate::service::blacklist::{self, Blacklist, IMPORT_PATH};
use crate::service::collection::{self, Collection, Trouble, Watch};
use crate::service::decisions::{self, Decisions};
use crate::service::dnsbl::Dnsbl;
use crate::service::feeds::{Desk, OWN_LOCKS};
use crate::service::identity;
use crate::service::journal;
use crate::service::publishing::{Hooking, Publishing, Pushing};
use crate::service::taxii::{self, Taxii};
use crate::web::auth::{Guard, Keys};
use crate::web::entrance::Entrance;
use crate::web::health::{self, Check, Health, Latch};
use crate::web::metrics::{self, Metrics};
use crate::web::proxy::Proxies;
use crate::web::tls::Tls;
use crate::web::{App, Limit, Role};
use anyhow::{Context, bail};
use axum::Router;
use http::HeaderValue;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// The limits that may change while the service runs.
pub(super) struct LiveLimits {
    body: Limit,
    import_body: Limit,
}

impl LiveLimits {
    fn new(settings: &Settings) -> Self {
        Self { body: settings.limits.body.into(), import_body: settings.limits.import_body.into() }
    }

    /// Applies what is set now.
    pub(super) fn apply(&self, settings: &Settings) {
        self.body.set(settings.limits.body);
        self.import_body.set(settings.limits.import_body);
    }
}

/// The applications of a process, and what they share.
pub(super) struct House {
    /// The blacklist; none in a process that is nothing but a gateway.
    pub(super) engine: Option<Engine>,
    /// What is published, where the blacklist role is played.
    pub(super) publisher: Option<Arc<Publisher>>,
    /// Who pushes it to firewalls, there too.
    pub(super) pusher: Option<Arc<Pusher>>,
    /// Who tells webhooks, there too.
    pub(super) courier: Option<Arc<Courier>>,
    /// How the following of another process goes, where the blacklist role is not played.
    pub(super) following: Arc<Following>,
    /// Opened once everything that readers may ask for is there, and shut when the service stops.
    pub(super) ready: Latch,
    /// Who knows people and keys: in this process, or in the one with the blacklist role.
    pub(super) identities: Identities,
    /// Who collects, where the collection role is played and its ledger can be used.
    pub(super) collector: Option<Collector>,
    /// How its sources stand.
    pub(super) watch: Arc<Watch>,
    /// Who answers questions to the DNS list, where there is one.
    pub(super) dnsbl: Option<Arc<Dnsbl>>,
    /// How long bodies may be.
    pub(super) limits: LiveLimits,
    /// Where the gateway, if it is played here, finds the others.
    pub(super) upstreams: Arc<Upstreams>,
    /// What is counted.
    pub(super) metrics: Arc<Metrics>,
    /// What each role answers.
    pub(super) apps: BTreeMap<Role, Arc<App>>,
}

impl House {
    /// Puts the roles that `settings` name together; `key` is the administrator's, and of the `troubles` of the
    /// start health will tell.
    ///
    /// # Errors
    /// A role's URL is none, or the feeds' folder cannot be made.
    pub(super) fn build(
        engine: Option<Engine>,
        key: &str,
        settings: &Settings,
        troubles: Vec<String>,
        tls: Option<Arc<Tls>>,
    ) -> anyhow::Result<Self> {
        let (ready, limits, troubles) = (Latch::default(), LiveLimits::new(settings), Arc::new(troubles));
        let following = Arc::<Following>::default();
        let follows = !settings.roles.contains(&Role::Blacklist);
        let seen = Arc::new(LastSeen::default());
        let watch = Arc::<Watch>::default();
        let publisher = publisher(engine.as_ref(), settings)?;
        let metrics = measured(engine.clone(), publisher.clone(), Arc::clone(&seen), Arc::clone(&watch));
        let metrics = certificate(metrics, tls.clone());
        let (metrics, vault) = (Arc::new(metrics), Arc::new(collecting::vault(settings)));
        let collector = collecting::open(engine.as_ref(), key, settings, &vault, &metrics, seen);
        let pusher = publisher.as_ref().map(|publisher| pushing::open(publisher, &vault, settings, &metrics));
        let tell = |publisher| hooking::open(publisher, &vault, settings, &metrics, &watch);
        let courier = publisher.as_ref().map(tell);
        let identities = Identities::open(key, settings, &vault, &metrics);
        let guard = || {
            let guard = Guard::new(key, blacklist::QUESTIONS).leaving(OWN_LOCKS);
            let guard = guard.leaving(&[decisions::PREFIX, taxii::PREFIX, identity::PREFIX]);
            match identities.authority() {
                Some(authority) => guard.believing(authority),
                None => guard,
            }
        };
        let entrance = Arc::new(entrance(settings));
        let mut apps = BTreeMap::new();
        let mut upstreams = Arc::default();
        for role in settings.roles.iter().filter(|role| **role != Role::Gateway) {
            let engine = engine.clone().context("a role without its store")?;
            let health = health(*role, &engine, publisher.as_ref(), &troubles).latch("start", &ready);
            let health = match role {
                Role::Blacklist => identities.health(names(health, publisher.as_ref(), settings)),
                Role::Collection => taken_back(collects(health, collector.is_some(), &watch), &engine),
                _ => health,
            };
            let health = if follows { follows_check(health, &engine, &following) } else { health };
            let health = encrypted(health, tls.clone());
            let router = health::routes(Arc::new(health)).merge(metrics::routes(Arc::clone(&metrics)));
            let app = match role {
                Role::Blacklist => {
                    let router = router.merge(protocols(publisher.as_ref(), settings)?);
                    let router = router.merge(outward(publisher.as_ref(), pusher.as_ref(), courier.as_ref()));
                    let router = router.merge(identifying::routes(&identities, publisher.as_ref()));
                    blacklist_app(engine, router, publisher.as_ref(), &metrics, &limits.import_body)
                }
                Role::Analytics => {
                    let router = router.merge(Analytics { engine, metrics: Arc::clone(&metrics) }.router());
                    App::new(*role, router, &metrics)
                }
                _ => {
                    let role = Collection { engine, collector: collector.clone() };
                    App::new(Role::Collection, router.merge(role.router()), &metrics)
                        .body_limit(collection::UPLOAD_PATH, limits.import_body.clone())
                }
            };
            let app = app.guard(guard()).entrance(&entrance).body_limit("/", limits.body.clone());
            apps.insert(*role, Arc::new(app));
        }
        if settings.roles.contains(&Role::Gateway) {
            upstreams = Arc::new(behind(&apps, key, settings)?);
            let rules = Rules { tls, ..rules(engine.as_ref(), settings, &entrance) };
            let upstreams = Arc::clone(&upstreams);
            let door = gateway::app(upstreams, Some(guard()), rules, &metrics);
            apps.insert(Role::Gateway, door);
        }
        let feeds = publisher.as_ref().map(|publisher| publisher.feeds());
        let dnsbl = dnsbl(engine.as_ref(), feeds, settings, &metrics);
        Ok(Self {
            engine,
            publisher,
            pusher,
            courier,
            following,
            ready,
            identities,
            collector,
            watch,
            dnsbl,
            limits,
            upstreams,
            metrics,
            apps,
        })
    }
}

/// What stands before the ports.
fn entrance(settings: &Settings) -> Entrance {
    Entrance {
        proxies: Proxies::new(settings.proxy.trusted.clone()),
        is_secured: settings.proxy.tls,
        pages: settings.origins.0.iter().map(String::as_str).collect(),
    }
}

fn publisher(engine: Option<&Engine>, settings: &Settings) -> anyhow::Result<Option<Arc<Publisher>>> {
    let Some(engine) = engine.filter(|_| settings.roles.contains(&Role::Blacklist)) else { return Ok(None) };
    let usual = Profile { lines: Some(settings.lines), ..Profile::fortigate() };
    let open = settings.open.iter().copied().collect();
    Ok(Some(Publisher::open(engine.clone(), usual, open)?))
}

/// The ways out that are no plain feeds.
fn protocols(publisher: Option<&Arc<Publisher>>, settings: &Settings) -> anyhow::Result<Router> {
    let Some(publisher) = publisher else { return Ok(Router::new()) };
    let rolls = Arc::new(Rolls::new(publisher.engine().clone()));
    let CrowdSec { feed, keys_file, window, hold } = settings.crowdsec.clone();
    let keys = keys_file.as_deref().map(bouncers).transpose()?.unwrap_or_default();
    let taxii = Taxii::new(Arc::clone(publisher), Arc::clone(&rolls));
    let decisions = Decisions::new(Arc::clone(publisher), rolls, feed, keys, (window, hold));
    Ok(decisions.router().merge(taxii.router()))
}

/// The ways out on which this program makes the first step.
fn outward(
    publisher: Option<&Arc<Publisher>>,
    pusher: Option<&Arc<Pusher>>,
    courier: Option<&Arc<Courier>>,
) -> Router {
    let role = |publisher: &Arc<Publisher>| Publishing(Arc::clone(publisher));
    let push = publisher.zip(pusher).map(|(own, pusher)| Pushing(role(own), Arc::clone(pusher)).router());
    let hooks = publisher.zip(courier).map(|(own, courier)| Hooking(role(own), Arc::clone(courier)).router());
    push.unwrap_or_default().merge(hooks.unwrap_or_default())
}

fn dnsbl(
    engine: Option<&Engine>,
    feeds: Option<&Arc<Feeds>>,
    settings: &Settings,
    metrics: &Metrics,
) -> Option<Arc<Dnsbl>> {
    let settings::Dnsbl { feed, zone, .. } = settings.dnsbl.clone()?;
    let (engine, feeds) = (engine?.clone(), Arc::clone(feeds?));
    Some(Arc::new(Dnsbl::new(engine, feeds, feed, zone, metrics)))
}

/// The keys of a file, one a line.
fn bouncers(file: &Path) -> anyhow::Result<Keys> {
    let place = || format!("the keys of bouncers, {}", file.display());
    let mode = std::fs::metadata(file).with_context(place)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{} may be read by others than its owner: chmod 600", place());
    }
    let text = std::fs::read_to_string(file).with_context(place)?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect())
}

fn blacklist_app(
    engine: Engine,
    router: Router,
    publisher: Option<&Arc<Publisher>>,
    metrics: &Arc<Metrics>,
    large: &Limit,
) -> App {
    let desk = publisher.map(Desk::new);
    let feeds = publisher.map(|publisher| Arc::clone(publisher.feeds()));
    let role = Blacklist { feeds, import_limit: large.clone(), ..Blacklist::new(engine.clone()) };
    let desk_routes = desk.as_ref().map(Desk::routes).unwrap_or_default();
    let people = publisher.map(|publisher| Publishing(Arc::clone(publisher)).router()).unwrap_or_default();
    let router =
        router.merge(role.router()).merge(desk_routes).merge(people).merge(journal::routes(engine.clone()));
    let app = App::new(Role::Blacklist, router, metrics)
        .fast(blacklist::CHECK, move |request, ip, _| blacklist::answer_check(&engine, request, ip))
        .body_limit(IMPORT_PATH, large.clone())
        .body_limit("/api/v1/blacklist/ips/bulk", large.clone())
        .body_limit("/api/v1/bulk-insert", large.clone())
        .body_limit(journal::BATCHES, large.clone())
        .body_limit(journal::PREVIEW, large.clone())
        // Lines are answered while they come, however many; JSON has a limit of its own.
        .body_limit("/api/v1/blacklist/check", u64::MAX);
    match desk {
        Some(desk) => desk.fast(app),
        None => app,
    }
}

/// Where the gateway finds each role: in this process, or where the settings say.
fn behind(apps: &BTreeMap<Role, Arc<App>>, key: &str, settings: &Settings) -> anyhow::Result<Upstreams> {
    let key = HeaderValue::try_from(key).context("the administrator's key holds what no header can")?;
    let Behind { balance, timeout, at_work, ca_file, certificate, .. } = &settings.behind;
    let own = certificate.as_ref().map(|(chain, key)| (&**chain, &**key));
    let tls = ca_file.as_ref().map(|authorities| UpstreamTls::read(authorities, own)).transpose()?;
    let way = Way { patience: *timeout, tls, ..Way::default() };
    let mut upstreams = Upstreams::new();
    for role in Role::ALL {
        if let Some(app) = apps.get(&role) {
            upstreams.insert(role, Upstream::local(Arc::clone(app)).room(*at_work));
        } else if !settings.upstreams(role).is_empty() {
            let remote =
                Remote::over(settings.upstreams(role), &way)?.with_key(key.clone()).balanced(*balance);
            upstreams.insert(role, Upstream::remote(remote).room(*at_work));
        }
    }
    Ok(upstreams)
}

/// What holds at the gateway's door.
fn rules(engine: Option<&Engine>, settings: &Settings, entrance: &Arc<Entrance>) -> Rules {
    let of = |engine: &Engine| -> Generation {
        let engine = engine.clone();
        Arc::new(move || engine.snapshot().generation)
    };
    let entrance = Arc::clone(entrance);
    let (rates, cache, generation) = (settings.rates, settings.behind.cache, engine.map(of));
    Rules { rates, cache, generation, entrance, tls: None }
}

fn health(
    role: Role,
    engine: &Engine,
    publisher: Option<&Arc<Publisher>>,
    troubles: &Arc<Vec<String>>,
) -> Health {
    let (store, clock) = (engine.clone(), engine.clone());
    let health = Health::new(role.name())
        .check("store", move || condition(&store))
        .check("expiry", move || expiry(&clock));
    if role == Role::Blacklist
        && let Some(publisher) = publisher
    {
        let (feeds, publisher) = (Arc::clone(publisher.feeds()), Arc::clone(publisher));
        let [hooks, readers, silent] = std::array::from_fn(|_| Arc::clone(&publisher));
        let (troubles, engine) = (Arc::clone(troubles), engine.clone());
        return health
            .check("push", move || pushing::check(&publisher))
            .check("devices", move || pushing::blocked(&readers))
            .check("webhooks", move || hooking::check(&hooks))
            .check("silent_devices", move || published::check(&silent))
            .check("feeds", move || released(&feeds, &engine))
            .check("import", move || imported(&troubles));
    }
    health
}

/// The feeds that settings name; one that is missing may come at any time.
fn names(health: Health, publisher: Option<&Arc<Publisher>>, settings: &Settings) -> Health {
    let Some(publisher) = publisher else { return health };
    let (named, feeds) = (Named::of(settings), Arc::clone(publisher.feeds()));
    health.check("named_feeds", move || named.check(&feeds))
}

fn collects(health: Health, is_open: bool, watch: &Arc<Watch>) -> Health {
    let watch = Arc::clone(watch);
    health.check("sources", move || watch.check()).check("ledger", move || match is_open {
        true => Check::healthy(""),
        false => Check::degraded(
            "the ledger of collection cannot be used; nothing is fetched",
            "the log says why: restore collection.redb from a backup, or move it away and define sources anew",
        ),
    })
}

/// The sources that were taken back to an earlier generation, and wait for an administrator.
fn taken_back(health: Health, engine: &Engine) -> Health {
    let engine = engine.clone();
    health.check("rollback", move || {
        let snapshot = engine.snapshot();
        let held = snapshot.sources.values().filter_map(|source| {
            let held = source.held.as_ref()?;
            let generation = held.generation;
            Some(format!("{} (back at generation {generation} since {})", source.name, held.since))
        });
        let held: Vec<String> = held.collect();
        if held.is_empty() {
            return Check::healthy("");
        }
        let cure = "when its lists are right again: ironlist source enable NAME";
        Check::degraded(format!("held, nothing of it is taken in: {}", held.join(", ")), cure)
    })
}

fn encrypted(health: Health, tls: Option<Arc<Tls>>) -> Health {
    match tls {
        Some(tls) => health.check("tls", move || tls.check()),
        None => health,
    }
}

/// Tells of the certificate at each scrape.
fn certificate(metrics: Metrics, tls: Option<Arc<Tls>>) -> Metrics {
    match tls {
        Some(tls) => metrics.at_scrape(move |metrics| metrics.tls_expires().set(tls.ends())),
        None => metrics,
    }
}

fn follows_check(health: Health, engine: &Engine, following: &Arc<Following>) -> Health {
    let (engine, following) = (engine.clone(), Arc::clone(following));
    health.check("follows", move || following.check(engine.snapshot().generation))
}

fn condition(engine: &Engine) -> Check {
    match engine.condition() {
        Condition::Writable => Check::healthy(format!("generation {}", engine.snapshot().generation)),
        Condition::Failing(why) => Check::degraded(why, "it is tried again at the next change; see the log"),
        Condition::Stopped(why) => Check::degraded(why, "restart ironlist, and report what its log says"),
        Condition::ReadOnly { why, cure } => Check::degraded(why, cure),
    }
}

fn expiry(engine: &Engine) -> Check {
    if engine.expiry_is_held() {
        let cure = "set the clock right, or let it run: PUT /api/v1/blacklist/expire";
        return Check::degraded("the wall clock jumped; what is due waits", cure);
    }
    Check::healthy("")
}

fn imported(troubles: &[String]) -> Check {
    if troubles.is_empty() {
        return Check::healthy("");
    }
    Check::degraded(troubles.join("; "), "what was there before is served; correct it, then start again")
}

/// Before the first source nothing is expected of a feed; from then on an empty one is worth a look.
fn released(feeds: &Feeds, engine: &Engine) -> Check {
    let all = feeds.all();
    let faults = all.iter().filter_map(|(name, feed)| {
        let fault = feed.status().fault?;
        Some(format!("{name}: {} (since {})", fault.what, fault.since))
    });
    let faults: Vec<String> = faults.collect();
    if !faults.is_empty() {
        return Check::degraded(
            faults.join("; "),
            "the last good list is served; it is tried again by itself",
        );
    }
    let whole = feeds.whole().status().hold.map(|hold| format!("all feeds together (since {})", hold.since));
    let holds = all.iter().filter_map(|(name, feed)| {
        let hold = feed.status().hold.filter(|hold| hold.rejected.is_none())?;
        Some(format!("{name} (since {})", hold.since))
    });
    let holds: Vec<String> = whole.into_iter().chain(holds).collect();
    if !holds.is_empty() {
        return Check::degraded(
            format!("held, with the last good list served: {}", holds.join(", ")),
            "look what would change, then consent or reject: ironlist hold list",
        );
    }
    let is_empty = |feed: &Arc<Feed>| matches!(&**feed.offer(), Offer::Empty(_));
    let cut = all.iter().filter(|(_, feed)| is_empty(feed) && feed.status().cut.is_some());
    let cut: Vec<&str> = cut.map(|(name, _)| name.as_str()).collect();
    if !cut.is_empty() {
        return Check::degraded(
            format!("nothing is left of what a budget cuts, so that readers get 503: {}", cut.join(", ")),
            "give the device or the feed more room, or the feed another priority: ironlist feeds report NAME",
        );
    }
    if all.values().any(is_empty) && !engine.snapshot().sources.is_empty() {
        let cure = "import a list, or see what expired or was allowed: ironlist generation list";
        return Check::degraded("nothing is listed: readers get 503 and keep their last list", cure);
    }
    Check::healthy("")
}

/// The metrics of the process, with what is read from the blacklist at each scrape.
fn measured(
    engine: Option<Engine>,
    publisher: Option<Arc<Publisher>>,
    seen: Arc<LastSeen>,
    watch: Arc<Watch>,
) -> Metrics {
    let Some(engine) = engine else { return Metrics::new() };
    Metrics::new().at_scrape(move |metrics| {
        let snapshot = engine.snapshot();
        let now = engine.now();
        for (id, source) in snapshot.sources.iter() {
            let listed = snapshot.coverage.get(id).map_or(0, |coverage| coverage.len());
            let name = source.name.as_str();
            metrics.entries(name, "active").set(i64::try_from(listed).unwrap_or(i64::MAX));
            // The blacklist knows the day, whoever has collected since the start the moment.
            if let Some(seen) = source.last_seen.max(seen.of(name)) {
                metrics.freshness_seconds(name).set(now.unix() - seen.unix());
            }
        }
        if let Some(publisher) = &publisher {
            published::measure(publisher, metrics);
            pushing::measure(publisher, metrics);
            hooking::measure(publisher, metrics);
        }
        watch.each(|name, found| {
            for trouble in Trouble::ALL {
                let is_so = i64::from(found == Some(trouble));
                metrics.source_trouble(name.as_str(), trouble.as_str()).set(is_so);
            }
        });
        watch.dates(|name, dated| metrics.document_age(name.as_str()).set(now.unix() - dated.unix()));
    })
}

#[cfg(test)]
mod tests;
