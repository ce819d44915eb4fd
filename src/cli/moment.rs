//! Moments as people type them: `90d`, `12h`, a day, or RFC 3339.

use crate::collect::parse_until;
use crate::model::Time;
use anyhow::Context;
use chrono_tz::Tz;

/// The moment that `text` means, if there is one; days are those of `zone`.
pub(super) fn optional(text: Option<&str>, zone: Tz) -> anyhow::Result<Option<Time>> {
    let now = Time::from(chrono::Utc::now());
    let wrong = |text| move || format!("{text:?}: write 90d, 12h, 5m, 2026-11-22 or 2026-11-22T00:00:00Z");
    text.map(|text| parse_until(text, now, zone).with_context(wrong(text))).transpose()
}
