//! The collector of a process: made from the settings, and told the accounts of the environment.

use super::settings::Settings;
use crate::collect::collector::{Collector, Configured, Foresee, Observe, Options, Submit};
use crate::collect::run::{Run, State};
use crate::disk::Medium;
use crate::engine::Engine;
use crate::model::{SourceName, Time};
use crate::service::collection::Watch;
use crate::service::journal::Remote;
use crate::vault::{KeySource, Vault};
use crate::web::Role;
use crate::web::metrics::Metrics;
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// What the configuration says of sources that are at work is tried again so often.
const AGAIN: Duration = Duration::from_secs(2);

/// The accounts that earlier deployments kept in the environment.
const ACCOUNTS: [(&str, &str, &str); 2] = [
    ("regtech", "REGTECH_USERNAME", "REGTECH_PASSWORD"),
    ("secudium", "SECUDIUM_USERNAME", "SECUDIUM_PASSWORD"),
];

/// When each source was last collected whole, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct LastSeen(Mutex<BTreeMap<String, Time>>);

impl LastSeen {
    pub(super) fn of(&self, source: &str) -> Option<Time> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(source).copied()
    }

    fn note(&self, run: &Run) {
        if let (State::Done, Some(ended)) = (run.state, run.ended) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run.source.to_string(), ended);
        }
    }
}

/// The vault of the installation; its key is read at the first need.
pub(super) fn vault(settings: &Settings) -> Vault {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Vault::new(KeySource::find(&settings.data, settings.collection.vault_key.as_deref(), variable))
}

/// The collector where the collection role is played; none also when its ledger cannot be used: then
/// everything else goes on without it. Blocks.
pub(super) fn open(
    engine: Option<&Engine>,
    owner: Option<Remote>,
    settings: &Settings,
    vault: &Arc<Vault>,
    metrics: &Arc<Metrics>,
    seen: Arc<LastSeen>,
) -> Option<Collector> {
    let engine = engine.filter(|_| settings.roles.contains(&Role::Collection))?;
    let medium = Medium::folder(&settings.data);
    let collection = &settings.collection;
    let mut options = Options {
        fetch: collection.fetch.clone(),
        configured: collection.sources.clone(),
        slots: collection.slots,
        retention: collection.retention,
        observe: observe(metrics, seen),
        ..Options::new(engine.clone(), medium, Arc::clone(vault))
    };
    if let Some(owner) = owner {
        (options.submit, options.preview) = elsewhere(owner);
    }
    let opened = Collector::open(options);
    opened
        .inspect_err(|error| tracing::error!(%error, "nothing is collected: the ledger cannot be used"))
        .ok()
}

/// The way of batches to the process that has the journal.
fn elsewhere(owner: Remote) -> (Submit, Foresee) {
    let planner = owner.clone();
    let submit: Submit = Arc::new(move |batch| {
        let owner = owner.clone();
        Box::pin(async move { owner.submit(batch).await })
    });
    let preview: Foresee = Arc::new(move |batch| {
        let planner = planner.clone();
        Box::pin(async move { planner.preview(batch).await })
    });
    (submit, preview)
}

fn observe(metrics: &Arc<Metrics>, seen: Arc<LastSeen>) -> Observe {
    let metrics = Arc::clone(metrics);
    Arc::new(move |run| {
        let source = run.source.as_str();
        metrics.collections(source, run.state.as_str()).inc();
        if let Some((started, ended)) = run.started.zip(run.ended) {
            metrics.collection_seconds(source).observe((ended.unix() - started.unix()).max(0) as f64);
        }
        seen.note(run);
    })
}

/// Collects by schedule until `stop`, and ends what is at work then; takes in `sources` as they change.
pub(super) async fn run(
    engine: Engine,
    collector: Collector,
    sources: Receiver<Configured>,
    watch: Arc<Watch>,
    stop: impl Future<Output = ()>,
) {
    tokio::select! {
        () = collector.schedule() => {}
        () = watch.follow(&engine, &collector) => {}
        () = configure(&collector, sources) => {}
        () = stop => {}
    }
    collector.stop().await;
}

/// Takes in what the configuration says of sources, each time that it is read again. What cannot be taken in at
/// once is tried until it can.
async fn configure(collector: &Collector, mut sources: Receiver<Configured>) {
    let mut waits: Option<String> = None;
    loop {
        tokio::select! {
            // Nobody reads the configuration any more on the way down.
            changed = sources.changed() => if changed.is_err() { return pending().await },
            () = tokio::time::sleep(AGAIN), if waits.is_some() => {}
        }
        let said = sources.borrow_and_update().clone();
        let left = match collector.configure(&said).await {
            Ok(busy) if busy.is_empty() => None,
            Ok(busy) => {
                let names: Vec<&str> = busy.iter().map(SourceName::as_str).collect();
                Some(format!("{}: at work; the old definition holds until the run is over", names.join(", ")))
            }
            Err(error) => Some(format!("the old definitions hold: {error}")),
        };
        match &left {
            None => tracing::info!(sources = said.len(), "the sources are as the configuration says"),
            Some(why) if left != waits => {
                tracing::warn!(why, "not all sources are as the configuration says");
            }
            Some(_) => {}
        }
        waits = left;
    }
}

/// Gives the portals the accounts of the environment, where those are others than what is kept.
pub(super) async fn accounts(collector: &Collector, environment: &[(String, String)]) {
    let said = |name: &str| {
        let found = environment.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    for (source, username, password) in ACCOUNTS {
        let (Some(username), Some(password), Ok(name)) = (said(username), said(password), source.parse())
        else {
            continue;
        };
        if let Err(error) = collector.set_account(&name, username, password).await {
            tracing::error!(source, %error, "the account of the environment could not be kept");
        }
    }
}
