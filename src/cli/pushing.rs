//! The pusher of a process: made from the settings, with its metrics, its health and that of its devices.

use super::settings::Settings;
use crate::model::Device;
use crate::publish::Publisher;
use crate::publish::push::{self, ListReport, Pace, Pusher, Told};
use crate::vault::Vault;
use crate::web::health::Check;
use crate::web::metrics::Metrics;
use crate::web::metrics::table::DEVICE_REMNANTS;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pusher of a publisher.
pub(super) fn open(
    publisher: &Arc<Publisher>,
    vault: &Arc<Vault>,
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> Arc<Pusher> {
    let (networks, ports) = (settings.push.networks.clone(), settings.push.ports.clone());
    let told = Arc::clone(metrics);
    let observe: push::Observe = Arc::new(move |word| match word {
        Told::Enforced { device, seconds } => {
            seconds.into_iter().for_each(|seconds| told.push_seconds(device).observe(seconds));
        }
        Told::Failed { device, code } => told.push_failures(device, code).inc(),
    });
    let settings = push::Settings { networks, ports, pace: Pace::default() };
    Pusher::new(Arc::clone(publisher), Arc::clone(vault), settings, observe)
}

/// What each device that is pushed to is proven to enforce.
pub(super) fn measure(publisher: &Publisher, metrics: &Metrics) {
    each(publisher, |device, list| {
        if let Some(proof) = &list.enforced {
            let generation = i64::try_from(proof.generation).unwrap_or(i64::MAX);
            metrics.push_generation(device.name.as_str(), list.feed.as_str()).set(generation);
        }
    });
    let mut left: BTreeMap<String, i64> = BTreeMap::new();
    for remnant in publisher.remnants() {
        *left.entry(remnant.device.to_string()).or_default() += 1;
    }
    metrics.published(DEVICE_REMNANTS, left);
}

/// Devices that do not enforce what is released, for longer than they may be silent, and what is enforced although it is
/// pushed no more.
pub(super) fn check(publisher: &Publisher) -> Check {
    let all = [late(publisher), left(publisher)];
    let wrong: Vec<(String, String)> = all.into_iter().flatten().collect();
    let Some((_, cure)) = wrong.first() else { return Check::healthy("") };
    let what: Vec<&str> = wrong.iter().map(|(what, _)| what.as_str()).collect();
    Check::degraded(what.join("; "), cure.clone())
}

/// What is late, and its cure.
fn late(publisher: &Publisher) -> Option<(String, String)> {
    let now = publisher.engine().now();
    let (mut late, mut cure) = (Vec::new(), None);
    each(publisher, |device, list| {
        if list.is_late(now, i64::from(device.silent_minutes) * 60) {
            let what = list.trouble.as_ref().map_or("it is not proven yet", |trouble| &trouble.what);
            late.push(format!("{}, {}: {what}", device.name, list.feed));
            cure = cure.take().or_else(|| list.trouble.as_ref().map(|trouble| trouble.cure.clone()));
        }
    });
    let usual = || "see what the firewall enforces: ironlist device show NAME".to_owned();
    let what = || format!("not enforced what is released: {}", late.join("; "));
    (!late.is_empty()).then(|| (what(), cure.unwrap_or_else(usual)))
}

/// What is left on firewalls, and its cure.
fn left(publisher: &Publisher) -> Option<(String, String)> {
    let all = publisher.remnants();
    let told: Vec<String> =
        all.iter().map(|remnant| format!("{}: {}", remnant.device, remnant.what())).collect();
    all.first().map(|first| (format!("still enforced: {}", told.join("; ")), first.cure()))
}

/// Devices that read a feed in which their own address is.
pub(super) fn blocked(publisher: &Publisher) -> Check {
    let all = publisher.blocked();
    let Some((device, first)) = all.iter().find_map(|(device, found)| Some((device, found.first()?))) else {
        return Check::healthy("");
    };
    let told = all.iter().flat_map(|(device, found)| found.iter().map(move |own| (device, own)));
    let told: Vec<String> =
        told.map(|(device, own)| format!("{device} ({} is in {})", own.address, own.feed)).collect();
    let cure = format!(
        "if that address is its own: ironlist device set {device} --network {} --reason TEXT",
        first.address
    );
    Check::degraded(format!("devices read feeds that list them: {}", told.join("; ")), cure)
}

fn each(publisher: &Publisher, mut look: impl FnMut(&Device, &ListReport)) {
    let snapshot = Arc::clone(&publisher.engine().snapshot());
    for device in snapshot.devices() {
        if let Some(report) = publisher.pushes().report(publisher.feeds(), device) {
            report.lists.iter().for_each(|list| look(device, list));
        }
    }
}
