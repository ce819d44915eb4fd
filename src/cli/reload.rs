//! Reading the configuration again while the service runs.

use super::settings::{Inputs, Settings, Webhooks};
use crate::collect::collector::Configured;
use crate::model::Output;
use crate::web::Limit;
use crate::web::log::Filter;
use crate::web::tls::Tls;
use std::sync::Arc;
use tokio::sync::watch::Sender;

/// What counts at once, `source` being all tables of sources, `feeds` those of feeds and devices, and `webhooks` those of
/// webhooks; listeners, roles, folders and what is made of them need a restart.
const LIVE: [&str; 10] = [
    "log.level",
    "limits.body",
    "limits.import_body",
    "source",
    "feeds",
    "webhooks",
    "tls.certificate",
    "tls.key",
    "tls.clients",
    "tls.client_ca",
];

/// The limits that may change while the service runs.
pub(super) struct LiveLimits {
    pub(super) body: Limit,
    pub(super) import_body: Limit,
}

impl LiveLimits {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { body: settings.limits.body.into(), import_body: settings.limits.import_body.into() }
    }

    /// Applies what is set now.
    pub(super) fn apply(&self, settings: &Settings) {
        self.body.set(settings.limits.body);
        self.import_body.set(settings.limits.import_body);
    }
}

/// What a running service was configured with, and what of it can be changed.
pub(super) struct Reload<'h> {
    pub(super) settings: Settings,
    pub(super) inputs: Inputs,
    pub(super) filter: Filter,
    /// Whoever collects is told by it.
    pub(super) sources: Sender<Configured>,
    /// Whoever publishes is told by it.
    pub(super) outputs: Sender<(Vec<Output>, Webhooks)>,
    /// The certificate of the ports, if they have one.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) limits: &'h LiveLimits,
}

impl Reload<'_> {
    /// Reads everything again and applies what can be applied. A configuration that is wrong changes nothing.
    pub(super) fn again(&mut self) {
        match Settings::load(&self.inputs) {
            Ok(settings) => self.apply(settings),
            Err(error) => tracing::error!(%error, "the configuration is wrong; the one in use stays"),
        }
    }

    fn apply(&mut self, settings: Settings) {
        if let Some((tls, wanted)) = self.tls.as_ref().zip(settings.tls.as_ref()) {
            // Also when nothing is said otherwise: what the files hold may have changed.
            tls.follow(wanted.files.clone());
        }
        let changed = self.settings.changed(&settings);
        if changed.is_empty() {
            return tracing::info!("the configuration is as it was");
        }
        if let Err(error) = self.filter.set(&settings.log.level) {
            tracing::error!(%error, "the log goes on as before");
        }
        self.limits.apply(&settings);
        self.sources.send_if_modified(|sources| {
            let differ = *sources != settings.collection.sources;
            sources.clone_from(&settings.collection.sources);
            differ
        });
        self.outputs.send_if_modified(|outputs| {
            let said = (settings.outputs.clone(), settings.webhooks.clone());
            let differ = *outputs != said;
            *outputs = said;
            differ
        });
        // Ports begin with TLS or without, and stay so.
        let turned = self.tls.is_some() != settings.tls.is_some();
        let is_live = |key: &&str| LIVE.contains(key) && !(turned && key.starts_with("tls."));
        let (live, later): (Vec<&str>, Vec<&str>) = changed.into_iter().partition(is_live);
        tracing::info!(applied = live.join(", "), "the configuration was read again");
        if !later.is_empty() {
            tracing::warn!(settings = later.join(", "), "restart to apply these");
        }
        // What needs a restart is told at each change, and not again at the next one.
        self.settings = settings;
    }
}
