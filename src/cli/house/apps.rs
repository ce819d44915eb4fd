//! What the ports of a process serve: each role's application, and the gateway's before them.

use super::{House, checks};
use crate::cli::identifying::{self, Identities};
use crate::cli::owner;
use crate::cli::settings::{Behind, CrowdSec, Settings};
use crate::engine::Engine;
use crate::gateway::{self, Generation, Remote, Rules, Upstream, Upstreams, Way};
use crate::publish::Rolls;
use crate::rights::Right;
use crate::service::analytics::Analytics;
use crate::service::blacklist::{self, Blacklist, IMPORT_PATH};
use crate::service::collection::{self, Collection};
use crate::service::decisions::Decisions;
use crate::service::feeds::Desk;
use crate::service::publishing::{Hooking, Publishing, Pushing};
use crate::service::taxii::Taxii;
use crate::service::{self, journal};
use crate::web::auth::Guard;
use crate::web::body::SHORT;
use crate::web::claim::Keys;
use crate::web::docs::Docs;
use crate::web::entrance::Entrance;
use crate::web::health::{self, Health};
use crate::web::metrics;
use crate::web::proxy::Proxies;
use crate::web::spans::Spans;
use crate::web::tls::{Tls, UpstreamTls};
use crate::web::{App, Demand, Role, Routes};
use anyhow::{Context, bail};
use http::HeaderValue;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// What all ports of a process have in common.
pub(super) struct Front<'s> {
    key: &'s str,
    settings: &'s Settings,
    guard: Guard,
    entrance: Arc<Entrance>,
    /// What went wrong at the start, and health tells.
    troubles: Arc<Vec<String>>,
    tls: Option<Arc<Tls>>,
    /// Where what is kept of requests goes.
    spans: Option<Spans>,
}

impl<'s> Front<'s> {
    /// The front that `settings` describe; `key` is the administrator's.
    pub(super) fn new(
        key: &'s str,
        settings: &'s Settings,
        identities: &Identities,
        troubles: Vec<String>,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        let guard = Guard::new(key, settings.access.clone());
        let guard = match identities.authority() {
            Some(authority) => guard.believing(authority),
            None => guard,
        };
        let entrance = Entrance {
            proxies: Proxies::new(settings.proxy.trusted.clone()),
            is_secured: settings.proxy.tls,
            is_open: settings.insecure,
            pages: settings.origins.0.iter().map(String::as_str).collect(),
            names: settings.names.0.clone(),
            ..Entrance::default()
        };
        let (entrance, troubles) = (Arc::new(entrance), Arc::new(troubles));
        Self { key, settings, guard, entrance, troubles, tls, spans: None }
    }

    /// Puts what is kept of requests there.
    pub(super) fn telling(self, spans: Option<Spans>) -> Self {
        Self { spans, ..self }
    }

    /// The application of a role that is played in `house`.
    ///
    /// # Errors
    /// The house has no store, or the keys of bouncers cannot be read.
    pub(super) fn role(&self, house: &House, role: Role) -> anyhow::Result<Arc<App>> {
        let engine = house.engine.clone().context("a role without its store")?;
        let health = health::routes().with_state(Arc::new(self.health(house, &engine, role)));
        let metrics = metrics::routes().with_state(Arc::clone(&house.metrics));
        let routes = health.merge(metrics).merge(Docs::routes().with_state(docs(role)));
        let app = match role {
            Role::Blacklist => self.blacklist(house, engine, routes)?,
            Role::Analytics => analytics(house, engine, routes),
            _ => collection(house, engine, routes),
        };
        let app = app.guard(self.guard.clone()).entrance(&self.entrance).spans(self.spans.clone());
        Ok(Arc::new(app.body_limit("/", house.limits.body.clone())))
    }

    fn health(&self, house: &House, engine: &Engine, role: Role) -> Health {
        let publisher = house.publisher.as_ref();
        let health = checks::of_role(role, engine, publisher, &self.troubles).latch("start", &house.ready);
        let health = match role {
            Role::Blacklist => house.identities.health(checks::names(health, publisher, self.settings)),
            Role::Collection => {
                let collects = checks::collects(health, house.collector.is_some(), &house.watch);
                checks::taken_back(collects, engine)
            }
            _ => health,
        };
        let health = match self.settings.roles.contains(&Role::Blacklist) {
            true => health,
            false => checks::follows(health, engine, &house.following),
        };
        checks::encrypted(health, self.tls.clone(), self.shown())
    }

    /// What other processes are shown; with files that cannot be read nothing has begun.
    fn shown(&self) -> Option<UpstreamTls> {
        owner::tls(self.settings).ok().flatten()
    }

    fn blacklist(&self, house: &House, engine: Engine, routes: Routes) -> anyhow::Result<App> {
        let (publisher, large) = (house.publisher.as_ref(), &house.limits.import_body);
        let desk = publisher.map(Desk::new);
        let feeds = publisher.map(|publisher| Arc::clone(publisher.feeds()));
        let role = Blacklist { feeds, import_limit: large.clone(), ..Blacklist::new(engine.clone()) };
        let desk_routes = desk.clone().map(|desk| Desk::routes().with_state(desk)).unwrap_or_default();
        let people =
            publisher.map(|publisher| Publishing::routes().with_state(Publishing(Arc::clone(publisher))));
        let routes = routes
            .merge(protocols(house, self.settings)?)
            .merge(outward(house))
            .merge(identifying::routes(&house.identities, publisher))
            .merge(Blacklist::routes().with_state(role))
            .merge(desk_routes)
            .merge(people.unwrap_or_default())
            .merge(journal::routes().with_state(engine.clone()));
        let app = App::new(Role::Blacklist, routes, &house.metrics)
            .fast(blacklist::CHECK, Demand::Of(Right::Check), move |request, ip, _| {
                blacklist::answer_check(&engine, request, ip)
            })
            .body_limit(IMPORT_PATH, large.clone())
            .body_limit("/api/v1/blacklist/ips/bulk", large.clone())
            .body_limit("/api/v1/bulk-insert", large.clone())
            .body_limit(journal::BATCHES, large.clone())
            .body_limit("/api/v1/auth/", SHORT)
            .body_limit(journal::PREVIEW, large.clone())
            // Lines are answered while they come, however many; JSON has a limit of its own.
            .body_limit("/api/v1/blacklist/check", u64::MAX);
        Ok(match desk {
            Some(desk) => desk.fast(app),
            None => app,
        })
    }

    /// Where the gateway finds each role: in this process, or where the settings say.
    ///
    /// # Errors
    /// A role's URL is none, or what proves it cannot be read.
    pub(super) fn behind(&self, house: &House) -> anyhow::Result<Upstreams> {
        let key =
            HeaderValue::try_from(self.key).context("the administrator's key holds what no header can")?;
        let Behind { balance, timeout, at_work, .. } = &self.settings.behind;
        let way = Way { patience: *timeout, tls: owner::tls(self.settings)?, ..Way::default() };
        let mut upstreams = Upstreams::new();
        for role in Role::ALL {
            let elsewhere = self.settings.upstreams(role);
            if let Some(app) = house.apps.get(&role) {
                upstreams.insert(role, Upstream::local(Arc::clone(app)).room(*at_work));
            } else if !elsewhere.is_empty() {
                let remote = Remote::over(elsewhere, &way)?.with_key(key.clone()).balanced(*balance);
                upstreams.insert(role, Upstream::remote(remote).room(*at_work));
            }
        }
        Ok(upstreams)
    }

    /// The gateway before the house's `upstreams`.
    pub(super) fn door(&self, house: &House) -> Arc<App> {
        let of = |engine: &Engine| -> Generation {
            let engine = engine.clone();
            Arc::new(move || engine.snapshot().generation)
        };
        let rules = Rules {
            sheds: self.settings.sheds,
            rates: self.settings.rates,
            cache: self.settings.behind.cache,
            generation: house.engine.as_ref().map(of),
            entrance: Arc::clone(&self.entrance),
            tls: self.tls.clone(),
            shown: self.shown(),
            spans: self.spans.clone(),
        };
        let docs = Docs::new(gateway::chapters(service::chapters()), service::PLACES);
        gateway::app(Arc::clone(&house.upstreams), self.guard.clone(), rules, &house.metrics, docs)
    }
}

fn analytics(house: &House, engine: Engine, routes: Routes) -> App {
    let state = Analytics { engine, metrics: Arc::clone(&house.metrics) };
    App::new(Role::Analytics, routes.merge(Analytics::routes().with_state(state)), &house.metrics)
}

fn collection(house: &House, engine: Engine, routes: Routes) -> App {
    let state = Collection { engine, collector: house.collector.clone() };
    App::new(Role::Collection, routes.merge(Collection::routes().with_state(state)), &house.metrics)
        .body_limit(collection::UPLOAD_PATH, house.limits.import_body.clone())
}

/// The documents of a role's own port.
fn docs(role: Role) -> Arc<Docs> {
    let own = service::chapters().into_iter().filter(|chapter| chapter.role == role);
    let with_docs = own.map(|mut chapter| {
        chapter.rows.extend(Docs::routes().into_rows());
        chapter
    });
    Docs::new(with_docs.collect(), service::PLACES)
}

/// The ways out that are no plain feeds.
fn protocols(house: &House, settings: &Settings) -> anyhow::Result<Routes> {
    let Some(publisher) = &house.publisher else { return Ok(Routes::new()) };
    let rolls = Arc::new(Rolls::new(publisher.engine().clone()));
    let CrowdSec { feed, keys_file, window, hold } = settings.crowdsec.clone();
    let keys = keys_file.as_deref().map(bouncers).transpose()?.unwrap_or_default();
    let taxii = Taxii::new(Arc::clone(publisher), Arc::clone(&rolls));
    let decisions = Decisions::new(Arc::clone(publisher), rolls, feed, keys, (window, hold));
    let decisions = Decisions::routes().with_state(Arc::new(decisions));
    Ok(decisions.merge(Taxii::routes().with_state(Arc::new(taxii))))
}

/// The ways out on which this program makes the first step.
fn outward(house: &House) -> Routes {
    let role = house.publisher.as_ref().map(|publisher| Publishing(Arc::clone(publisher)));
    let push = role.clone().zip(house.pusher.clone()).map(|(role, pusher)| Pushing(role, pusher));
    let hooks = role.zip(house.courier.clone()).map(|(role, courier)| Hooking(role, courier));
    let push = push.map(|state| Pushing::routes().with_state(state));
    let hooks = hooks.map(|state| Hooking::routes().with_state(state));
    push.unwrap_or_default().merge(hooks.unwrap_or_default())
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
