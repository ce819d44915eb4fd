//! What is measured of feeds and of the devices that read them, and what health says of the silent ones.

use crate::model::{Device, OutputName, Time};
use crate::publish::{ALL_FEEDS, Feed, Publisher, Pull};
use crate::web::health::Check;
use crate::web::metrics::Metrics;
use crate::web::metrics::table::{
    DEVICE_BEHIND, DEVICE_SILENT, FEED_CUT, FEED_FAULT, FEED_HELD, FEED_HELD_SECONDS, FEED_RELEASE_SECONDS,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads how every feed and every device stands.
pub(super) fn measure(publisher: &Publisher, metrics: &Metrics) {
    let now = publisher.engine().now();
    let feeds = publisher.feeds().all();
    let each = |value: &dyn Fn(&Feed) -> i64| -> Vec<(String, i64)> {
        feeds.iter().map(|(name, feed)| (name.to_string(), value(feed))).collect()
    };
    let held = |feed: &Feed| feed.status().hold.map(|hold| since(now, hold.since));
    let whole = held(publisher.feeds().whole());
    let with_whole = |value: &dyn Fn(Option<i64>) -> i64| {
        let mut all = each(&|feed| value(held(feed)));
        all.push((ALL_FEEDS.to_owned(), value(whole)));
        all
    };
    metrics.published(FEED_HELD, with_whole(&|held| i64::from(held.is_some())));
    metrics.published(FEED_HELD_SECONDS, with_whole(&|held| held.unwrap_or(0)));
    let is_at_fault = |feed: &Feed| i64::from(feed.status().fault.is_some());
    let of_whole = (ALL_FEEDS.to_owned(), is_at_fault(publisher.feeds().whole()));
    metrics.published(FEED_FAULT, each(&is_at_fault).into_iter().chain([of_whole]));
    metrics.published(FEED_CUT, each(&cut));
    let age = |feed: &Feed| Some(since(now, feed.released()?.release.modified));
    let released = feeds.iter().filter_map(|(name, feed)| Some((name.to_string(), age(feed)?)));
    metrics.published(FEED_RELEASE_SECONDS, released);
    let devices = devices(publisher);
    let of_device = |value: fn(&Stands) -> bool| {
        devices.iter().map(move |(name, stands)| (name.to_string(), i64::from(value(stands))))
    };
    metrics.published(DEVICE_BEHIND, of_device(|stands| stands.is_behind));
    metrics.published(DEVICE_SILENT, of_device(|stands| stands.is_silent));
}

fn cut(feed: &Feed) -> i64 {
    let entries = feed.status().cut.map_or(0, |cut| cut.wanted.entries.saturating_sub(cut.taken.entries));
    i64::try_from(entries).unwrap_or(i64::MAX)
}

fn since(now: Time, then: Time) -> i64 {
    (now.unix() - then.unix()).max(0)
}

/// How a device stands.
struct Stands {
    is_behind: bool,
    is_silent: bool,
}

fn devices(publisher: &Publisher) -> BTreeMap<OutputName, Stands> {
    let snapshot = Arc::clone(&publisher.engine().snapshot());
    let pulls = publisher.pulls().all();
    let stands = |device: &Device| {
        let mut own = pulls.iter().filter(|((reader, _), _)| reader == device.name.as_str());
        let is_behind = |document: &str, pull: &Pull| {
            publisher.newest(document).is_some_and(|newest| pull.is_before(&newest.release))
        };
        Stands {
            is_behind: own.any(|((_, document), pull)| is_behind(document, pull)),
            is_silent: publisher.is_silent(device),
        }
    };
    snapshot.devices().map(|device| (device.name.clone(), stands(device))).collect()
}

/// Silent devices: a note and no degradation, for one that is switched off is nobody's fault here.
pub(super) fn check(publisher: &Publisher) -> Check {
    let devices = devices(publisher);
    let silent = devices.iter().filter(|(_, stands)| stands.is_silent).map(|(name, _)| name.as_str());
    let silent: Vec<&str> = silent.collect();
    match silent[..] {
        [] => Check::healthy(""),
        _ => Check::healthy(format!("have not asked for longer than they should: {}", silent.join(", "))),
    }
}
