//! The feeds that settings name, and whether they are there. One that is missing is no reason not to start: it may come
//! at any time, and what needs it says 503 until then.

use super::settings::Settings;
use crate::model::OutputName;
use crate::publish::Feeds;
use crate::web::health::Check;

/// What can be done.
const CURE: &str = "make the feed: ironlist feeds add NAME --reason WHY; or name another one and restart";

/// Settings and the feeds that they name.
#[derive(Clone, Debug)]
pub(super) struct Named(Vec<(&'static str, OutputName)>);

impl Named {
    pub(super) fn of(settings: &Settings) -> Self {
        let dnsbl = settings.dnsbl.as_ref().map(|dnsbl| ("dnsbl.feed", dnsbl.feed.clone()));
        Self([("crowdsec.feed", settings.crowdsec.feed.clone())].into_iter().chain(dnsbl).collect())
    }

    /// Those of which there is no feed now, in words.
    fn missing(&self, feeds: &Feeds) -> Vec<String> {
        let missing = self.0.iter().filter(|(_, feed)| feeds.get(feed.as_str()).is_none());
        missing.map(|(key, feed)| format!("{key} names {feed}, and there is no such feed")).collect()
    }

    pub(super) fn check(&self, feeds: &Feeds) -> Check {
        let missing = self.missing(feeds);
        if missing.is_empty() { Check::healthy("") } else { Check::degraded(missing.join("; "), CURE) }
    }

    /// Tells the log of what is missing.
    pub(super) fn tell(&self, feeds: &Feeds) {
        self.missing(feeds).iter().for_each(|what| tracing::warn!(cure = CURE, "{what}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Profile, Time};
    use crate::web::health::Status;

    #[test]
    fn a_feed_that_is_not_there_is_told_with_its_setting_and_its_cure() {
        let folder = tempfile::tempdir().unwrap();
        let feeds = Feeds::open(folder.path(), Profile::fortigate(), Time::default()).unwrap();
        let named = |name: &str| ("dnsbl.feed", name.parse().unwrap());
        assert_eq!(Named(vec![named("fortigate")]).check(&feeds), Check::healthy(""));
        let check = Named(vec![named("fortigate"), named("other")]).check(&feeds);
        assert_eq!((check.status, &*check.cure), (Status::Degraded, CURE));
        assert_eq!(check.detail, "dnsbl.feed names other, and there is no such feed");
    }
}
