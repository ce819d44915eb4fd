//! The courier of a process, who tells webhooks: made from the settings, with its metrics and its health.

use super::settings::Settings;
use crate::publish::Publisher;
use crate::publish::webhook::{self, Courier, Observe, Pace, Sources, Told};
use crate::service::collection::Watch;
use crate::vault::Vault;
use crate::web::health::Check;
use crate::web::metrics::Metrics;
use std::sync::Arc;

/// A hook that has failed for so many seconds needs somebody.
const PATIENCE: i64 = 600;

/// The courier of a publisher; `watch` knows how the sources stand that are collected here.
pub(super) fn open(
    publisher: &Arc<Publisher>,
    vault: &Arc<Vault>,
    settings: &Settings,
    metrics: &Arc<Metrics>,
    watch: &Arc<Watch>,
) -> Arc<Courier> {
    let told = Arc::clone(metrics);
    let observe: Observe = Arc::new(move |Told { hook, result }| told.webhook_deliveries(hook, result).inc());
    let watch = Arc::clone(watch);
    let sources: Sources = Arc::new(move || {
        let mut all = Vec::new();
        watch.each(|name, trouble| {
            all.push((name.to_string(), trouble.map(|trouble| trouble.as_str().to_owned())));
        });
        all
    });
    let (networks, ports) = (settings.push.networks.clone(), settings.push.ports.clone());
    let settings = webhook::Settings { networks, ports, pace: Pace::default(), sources };
    Courier::new(Arc::clone(publisher), Arc::clone(vault), settings, observe)
}

/// How far behind each hook is.
pub(super) fn measure(publisher: &Publisher, metrics: &Metrics) {
    let now = publisher.engine().now();
    let all = publisher.hooks().all().into_iter();
    metrics.webhooks_behind(all.map(|(name, kept)| {
        let behind = kept.behind_since().map_or(0, |since| (now.unix() - since.unix()).max(0));
        (name.to_string(), behind)
    }));
}

/// Hooks that fail for long, or were switched off by their receivers.
pub(super) fn check(publisher: &Publisher) -> Check {
    let now = publisher.engine().now();
    let (mut failing, mut cure) = (Vec::new(), None);
    for (name, kept) in publisher.hooks().all() {
        let Some(trouble) = kept.trouble() else { continue };
        if trouble.stopped || now.unix() - trouble.since.unix() > PATIENCE {
            failing.push(format!("{name}: {} (since {})", trouble.what, trouble.since));
            cure = cure.or(Some(trouble.cure));
        }
    }
    match cure {
        None => Check::healthy(""),
        Some(cure) => Check::degraded(format!("webhooks are not told: {}", failing.join("; ")), cure),
    }
}
