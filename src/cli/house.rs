//! The roles of one process, put together: what the service listens with, and what the command
//! line calls when no service runs.

mod apps;
mod checks;

use super::collecting::{self, LastSeen};
use super::follow::Following;
use super::identifying::Identities;
use super::reload::LiveLimits;
use super::settings::{self, Settings};
use super::{hooking, owner, published, pushing};
use crate::collect::collector::Collector;
use crate::engine::Engine;
use crate::gateway::Upstreams;
use crate::model::Profile;
use crate::publish::push::Pusher;
use crate::publish::webhook::Courier;
use crate::publish::{Feeds, Publisher};
use crate::service::collection::{Trouble, Watch};
use crate::service::dnsbl::Dnsbl;
use crate::service::journal::Remote;
use crate::web::health::Latch;
use crate::web::metrics::Metrics;
use crate::web::spans::{Span, Spans};
use crate::web::tls::Tls;
use crate::web::trace::Sampling;
use crate::web::{App, Role};
use apps::Front;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// Spans that may wait to be told: a second of so many requests that are kept.
const SPANS: usize = 2048;

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
    /// The process that is followed, where the blacklist role is not played.
    pub(super) owner: Option<Remote>,
    /// How that goes.
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
    /// What is kept of requests and waits to be told, where somebody is told.
    pub(super) spans: Option<Receiver<Span>>,
    /// What each role answers.
    pub(super) apps: BTreeMap<Role, Arc<App>>,
}

impl House {
    /// Puts the roles that `settings` name together; `key` is the administrator's, and of the `troubles` of the
    /// start health will tell.
    ///
    /// # Errors
    /// A role's URL is none, what proves it cannot be read, or the feeds' folder cannot be made.
    pub(super) fn build(
        engine: Option<Engine>,
        key: &str,
        settings: &Settings,
        troubles: Vec<String>,
        tls: Option<Arc<Tls>>,
    ) -> anyhow::Result<Self> {
        let (seen, watch) = (Arc::new(LastSeen::default()), Arc::<Watch>::default());
        let publisher = publisher(engine.as_ref(), settings)?;
        let metrics = measured(engine.clone(), publisher.clone(), Arc::clone(&seen), Arc::clone(&watch));
        let metrics = certificate(metrics, tls.clone());
        let (metrics, vault) = (Arc::new(metrics), Arc::new(collecting::vault(settings)));
        let owner = owner::find(settings, key)?;
        let collector = collecting::open(engine.as_ref(), owner.clone(), settings, &vault, &metrics, seen);
        let pusher = publisher.as_ref().map(|publisher| pushing::open(publisher, &vault, settings, &metrics));
        let tell = |publisher| hooking::open(publisher, &vault, settings, &metrics, &watch);
        let courier = publisher.as_ref().map(tell);
        let identities = Identities::open(owner.clone(), settings, &vault, &metrics, engine.as_ref());
        let feeds = publisher.as_ref().map(|publisher| publisher.feeds());
        let dnsbl = dnsbl(engine.as_ref(), feeds, settings, &metrics);
        let (spans, waiting) = traced(settings, &metrics);
        let mut house = Self {
            engine,
            publisher,
            pusher,
            courier,
            owner,
            following: Arc::default(),
            ready: Latch::default(),
            identities,
            collector,
            watch,
            dnsbl,
            limits: LiveLimits::new(settings),
            upstreams: Arc::default(),
            metrics,
            spans: waiting,
            apps: BTreeMap::new(),
        };
        let front = Front::new(key, settings, &house.identities, troubles, tls).telling(spans);
        for role in settings.roles.iter().filter(|role| **role != Role::Gateway) {
            let app = front.role(&house, *role)?;
            house.apps.insert(*role, app);
        }
        if settings.roles.contains(&Role::Gateway) {
            house.upstreams = Arc::new(front.behind(&house)?);
            let door = front.door(&house);
            house.apps.insert(Role::Gateway, door);
        }
        Ok(house)
    }
}

fn publisher(engine: Option<&Engine>, settings: &Settings) -> anyhow::Result<Option<Arc<Publisher>>> {
    let Some(engine) = engine.filter(|_| settings.roles.contains(&Role::Blacklist)) else { return Ok(None) };
    let usual = Profile { lines: Some(settings.lines), ..Profile::fortigate() };
    let open = settings.open.iter().copied().collect();
    Ok(Some(Publisher::open(engine.clone(), usual, open)?))
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

/// The queue of what is kept of requests.
fn traced(settings: &Settings, metrics: &Metrics) -> (Option<Spans>, Option<Receiver<Span>>) {
    let Some(otlp) = &settings.otlp else { return (None, None) };
    let (spans, waiting) = Spans::new(Sampling::share(otlp.share), SPANS, metrics.trace_spans("full"));
    (Some(spans), Some(waiting))
}

/// Tells of the certificate at each scrape.
fn certificate(metrics: Metrics, tls: Option<Arc<Tls>>) -> Metrics {
    match tls {
        Some(tls) => metrics.at_scrape(move |metrics| metrics.tls_expires().set(tls.ends())),
        None => metrics,
    }
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
