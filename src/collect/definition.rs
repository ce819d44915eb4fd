//! What an operator says of a source, in the configuration file or over the API: where it is, how it
//! is read, when, and how far it is trusted. Secrets are no part of it.
//!
//! Plain data with its checks; it does not know how a source is fetched.

use super::catalog::Entry;
use super::formats::{BadParser, Parser};
use super::gate::Limits;
use super::schedule::{BadSchedule, Missed, Schedule};
use super::span::Span;
use super::told::told;
use super::{regtech, secudium};
use crate::fetch;
use crate::model::{Mode, Policy, SourceName, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Occurrences without a complete run after which a source is late; what fails once mends itself.
const OVERDUE: usize = 3;
const DAY: i64 = 86_400;

/// The craft that fetches a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A list at a URL.
    Feed,
    /// The REGTECH portal.
    Regtech,
    /// The SECUDIUM portal.
    Secudium,
    /// Files that people bring.
    Upload,
}

impl Kind {
    /// The kind's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Regtech => "regtech",
            Self::Secudium => "secudium",
            Self::Upload => "upload",
        }
    }

    /// Whether it is a portal, of which nothing comes without an account.
    pub const fn is_portal(self) -> bool {
        matches!(self, Self::Regtech | Self::Secudium)
    }
}

/// A source as an operator describes it; what is not said is as usual for its kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Said")]
pub struct Definition {
    /// The craft.
    pub kind: Kind,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether it is fetched by itself; a person's later word counts more.
    pub enabled: bool,
    /// When it is fetched: a pattern of five fields in the policy's zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// When it is fetched, otherwise: an interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// Runs begin up to so much later than that, so that not all begin together.
    pub jitter: Span,
    /// What is done about runs that were missed.
    pub missed: Missed,
    /// How long it may go without a complete run before health tells of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Span>,
    /// What its listings mean.
    pub policy: Policy,
    /// How its documents are read.
    pub parser: Parser,
    /// How much may change at once.
    pub gate: Limits,
    /// How the REGTECH portal is reached and read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regtech: Option<regtech::Settings>,
    /// How the SECUDIUM portal is reached and read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secudium: Option<secudium::Settings>,
}

/// A definition as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    kind: Kind,
    url: Option<String>,
    enabled: Option<bool>,
    cron: Option<String>,
    every: Option<Span>,
    jitter: Option<Span>,
    missed: Option<Missed>,
    freshness: Option<Span>,
    policy: Option<serde_json::Map<String, serde_json::Value>>,
    parser: Option<Parser>,
    gate: Option<Limits>,
    regtech: Option<regtech::Settings>,
    secudium: Option<secudium::Settings>,
}

impl TryFrom<Said> for Definition {
    type Error = serde_json::Error;

    fn try_from(said: Said) -> Result<Self, Self::Error> {
        let usual = Self::new(said.kind);
        let policy = completed(&usual.policy, said.policy.unwrap_or_default())?;
        let usual_cron = usual.cron.filter(|_| said.every.is_none());
        Ok(Self {
            kind: said.kind,
            url: said.url,
            enabled: said.enabled.unwrap_or(usual.enabled),
            cron: said.cron.or(usual_cron),
            every: said.every,
            jitter: said.jitter.unwrap_or(usual.jitter),
            missed: said.missed.unwrap_or_default(),
            freshness: said.freshness,
            policy,
            parser: said.parser.unwrap_or_default(),
            gate: said.gate.unwrap_or_default(),
            regtech: said.regtech,
            secudium: said.secudium,
        })
    }
}

/// A policy of which only a part is said; the rest is as usual for the kind.
fn completed(
    usual: &Policy,
    said: serde_json::Map<String, serde_json::Value>,
) -> Result<Policy, serde_json::Error> {
    let mut policy = serde_json::to_value(usual)?;
    if let Some(fields) = policy.as_object_mut() {
        fields.extend(said);
    }
    serde_json::from_value(policy)
}

/// Why a definition is none.
#[derive(Debug, thiserror::Error)]
pub enum BadDefinition {
    /// A feed without a URL, or with one that is none.
    #[error("url: http://… or https://… is meant{}", .0.as_deref().map(|url| format!(", not {:?}", told(url))).unwrap_or_default())]
    Url(Option<String>),
    /// A secret in what everybody may read.
    #[error("url: an account has no place in a URL; set it as the source's credentials")]
    Account,
    /// Two schedules.
    #[error("cron and every: one of them is meant")]
    TwoSchedules,
    /// No schedule that could be followed.
    #[error(transparent)]
    Schedule(#[from] BadSchedule),
    /// Listings that would never end.
    #[error("policy.expires_days: absence from this source says nothing, so its listings need an end")]
    Endless,
    /// A portal's listings mean what they mean.
    #[error("policy.mode: {kind} is a source of the mode {mode}", kind = .0.as_str(), mode = if *.0 == Kind::Regtech { "window" } else { "append" })]
    Mode(Kind),
    /// The name of what people list by hand.
    #[error("name: manual holds what people list by hand, which a list that is fetched would end")]
    Manual,
    /// Contradictions about the form.
    #[error("parser: {0}")]
    Parser(#[from] BadParser),
    /// A number beyond its bounds.
    #[error("{0}")]
    Bounds(&'static str),
}

impl Definition {
    /// A list of the catalogue, switched off.
    ///
    /// # Errors
    /// The catalogue's own settings are wrong, which a test rules out.
    pub fn of_catalog(entry: &Entry) -> Result<Self, toml::de::Error> {
        Ok(Self {
            url: Some(entry.url.to_owned()),
            enabled: false,
            every: Some(Span::seconds(entry.every.as_secs())),
            jitter: Span::minutes(5),
            policy: entry.policy(),
            parser: entry.parser()?,
            ..Self::new(Kind::Feed)
        })
    }

    /// A source of that kind of which nothing else is said. Portals are asked in the morning, and give a
    /// listing without a release day ninety days; a list that is fetched mostly is complete.
    pub fn new(kind: Kind) -> Self {
        let (cron, mode, expires_days) = match kind {
            Kind::Regtech => (Some("0 6 * * *"), Mode::Window, Some(90)),
            Kind::Secudium => (Some("30 6 * * *"), Mode::Append, Some(90)),
            Kind::Feed | Kind::Upload => (None, Mode::Snapshot, None),
        };
        Self {
            kind,
            url: None,
            enabled: true,
            cron: cron.map(str::to_owned),
            every: None,
            jitter: if kind.is_portal() { Span::minutes(20) } else { Span::default() },
            missed: Missed::default(),
            freshness: None,
            policy: Policy { mode, expires_days, ..Policy::default() },
            parser: Parser::default(),
            gate: Limits::default(),
            regtech: None,
            secudium: None,
        }
    }

    /// When it is fetched; none: only when somebody asks.
    ///
    /// # Errors
    /// Neither pattern nor interval make a schedule.
    pub fn schedule(&self) -> Result<Option<Schedule>, BadDefinition> {
        let schedule = match (&self.cron, self.every) {
            (None, None) => return Ok(None),
            (Some(pattern), None) => Schedule::cron(pattern, self.policy.zone)?,
            (None, Some(interval)) => Schedule::every(interval)?,
            (Some(_), Some(_)) => return Err(BadDefinition::TwoSchedules),
        };
        Ok(Some(schedule.jitter(self.jitter).missed(self.missed)))
    }

    /// All that its schedule depends on: what waits by another rule waits for nothing.
    pub fn rule(&self) -> String {
        let Self { cron, every, jitter, missed, policy, .. } = self;
        format!("{cron:?} {every:?} {jitter:?} {missed:?} {}", policy.zone)
    }

    /// Days after its day of listing on which a row ends that does not say when; none: the source has no such rule,
    /// and its policy alone decides.
    pub fn lasts(&self) -> Option<u16> {
        match self.kind {
            Kind::Regtech => {
                Some(self.regtech.as_ref().map_or_else(
                    || regtech::Settings::default().release_days,
                    |settings| settings.release_days,
                ))
            }
            Kind::Secudium => self.policy.expires_days,
            Kind::Feed | Kind::Upload => None,
        }
    }

    /// The moment from which a source that was last collected whole at `last` is late: as long after that as its
    /// freshness says; else when several of its occurrences have passed, and a day. None: it has neither.
    pub fn late_from(&self, name: &SourceName, last: Time) -> Option<Time> {
        if let Some(freshness) = self.freshness {
            return Some(last.plus(freshness.as_seconds()));
        }
        let schedule = self.schedule().ok()??;
        let next = |at, _| Some(schedule.next(name.as_str(), at)?.due);
        Some((0..OVERDUE).try_fold(last, next)?.max(last.plus(DAY)))
    }

    /// Checks what no type can say.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), BadDefinition> {
        self.schedule()?;
        self.parser.options()?;
        self.check_url()?;
        let policy = &self.policy;
        if policy.confidence.is_some_and(|confidence| confidence > 100) {
            return Err(BadDefinition::Bounds("policy.confidence: 0 to 100 is meant"));
        }
        if policy.too_broad.v4 > 32 || policy.too_broad.v6 > 128 {
            return Err(BadDefinition::Bounds("policy.too_broad: at most 32 for v4 and 128 for v6 is meant"));
        }
        if self.kind.is_portal() && policy.mode != Self::new(self.kind).policy.mode {
            return Err(BadDefinition::Mode(self.kind));
        }
        let lasts = policy.mode == Mode::Append && self.kind != Kind::Upload;
        if (lasts || self.kind.is_portal()) && policy.expires_days.is_none() {
            return Err(BadDefinition::Endless);
        }
        if self.gate.shrink_percent > 100 || self.gate.bad_percent > 100 {
            return Err(BadDefinition::Bounds("gate: shrink_percent and bad_percent are at most 100"));
        }
        Ok(())
    }

    /// Checks it for a source of that name.
    ///
    /// # Errors
    /// As [`Self::check`], and a name that is people's own.
    pub fn check_as(&self, name: &SourceName) -> Result<(), BadDefinition> {
        if name.as_str() == SourceName::MANUAL && self.kind != Kind::Upload {
            return Err(BadDefinition::Manual);
        }
        self.check()
    }

    fn check_url(&self) -> Result<(), BadDefinition> {
        let is_http = |url: &String| {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            rest.is_some_and(|rest| !rest.is_empty()) && !url.chars().any(char::is_whitespace)
        };
        // A URL is shown to everybody, and a password in it with it.
        let has_account = |url: &String| {
            fetch::Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
        };
        if self.url.as_ref().is_some_and(has_account) {
            return Err(BadDefinition::Account);
        }
        match (&self.url, self.kind) {
            (None, Kind::Feed) => Err(BadDefinition::Url(None)),
            (Some(url), _) if !is_http(url) => Err(BadDefinition::Url(self.url.clone())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Definition, String> {
        let definition: Definition = toml::from_str(text).map_err(|error| error.to_string())?;
        definition.check().map_err(|error| error.to_string())?;
        Ok(definition)
    }

    const FEED: &str = "kind = 'feed'\nurl = 'https://lists.example/drop.txt'\n";

    #[test]
    fn two_lines_are_a_feed_and_it_comes_back_as_it_was() {
        let feed = read(FEED).unwrap();
        assert_eq!((feed.policy.mode, feed.enabled, feed.schedule().unwrap()), (Mode::Snapshot, true, None));
        let more = "every = '1h'\njitter = '5m'\n[policy]\nmode = 'append'\nexpires_days = 30\n[parser]\nformat = 'csv'\n[gate]\nshrink_percent = 20\n";
        let feed = read(&format!("{FEED}{more}")).unwrap();
        assert_eq!((feed.gate.shrink_percent, feed.parser.format.as_str()), (20, "csv"));
        assert!(feed.schedule().unwrap().is_some());
        let again: Definition = serde_json::from_value(serde_json::to_value(&feed).unwrap()).unwrap();
        assert_eq!(again, feed);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_setting_that_is_wrong() {
        for (more, says) in [
            ("cron = '0 6 * * *'\nevery = '1h'", "one of them"),
            ("cron = 'daily'", "five fields"),
            ("every = '5s'", "minute"),
            ("every = '1'", "90d"),
            ("[policy]\nmode = 'append'", "expires_days"),
            ("[policy]\nconfidence = 101", "confidence"),
            ("[policy]\nzone = 'Mars'", "zone"),
            ("[policy]\ntoo_broad = { v4 = 33 }", "too_broad"),
            ("[gate]\nshrink_percent = 101", "shrink_percent"),
            ("[gate]\nshrinks = 1", "shrinks"),
            ("[parser]\nformat = 'csv'\npath = 'data'", "parser: path"),
            ("password = 'x'", "password"),
            ("[policy]\nmodus = 'append'", "modus"),
        ] {
            let refusal = read(&format!("{FEED}{more}\n")).unwrap_err();
            assert!(refusal.contains(says), "{more}: {refusal}");
        }
        for url in ["", "url = 'ftp://a/b'", "url = 'https://'", "url = 'https://a b'"] {
            assert!(read(&format!("kind = 'feed'\n{url}")).unwrap_err().contains("url"), "{url}");
        }
    }

    #[test]
    fn portals_and_uploads_need_no_url_and_have_what_is_usual_for_them() {
        for (kind, mode, scheduled) in [
            ("regtech", Mode::Window, true),
            ("secudium", Mode::Append, true),
            ("upload", Mode::Snapshot, false),
        ] {
            let definition = read(&format!("kind = '{kind}'")).unwrap();
            assert_eq!(
                (definition.policy.mode, definition.schedule().unwrap().is_some()),
                (mode, scheduled),
                "{kind}"
            );
        }
        let often = read("kind = 'regtech'\nevery = '6h'\nregtech = { pause_ms = 0 }").unwrap();
        assert_eq!(often.cron, None);
        assert!(read("kind = 'regtech'\npolicy = { mode = 'snapshot' }").unwrap_err().contains("window"));
        let partly = read("kind = 'secudium'\npolicy = { mode = 'append', confidence = 70 }").unwrap();
        assert_eq!((partly.policy.expires_days, partly.policy.confidence), (Some(90), Some(70)));
        let endless = r#"{"kind": "secudium", "policy": {"expires_days": null}}"#;
        let endless: Definition = serde_json::from_str(endless).unwrap();
        assert!(matches!(endless.check(), Err(BadDefinition::Endless)));
    }

    #[test]
    fn a_source_is_late_after_three_occurrences_and_a_day_or_when_it_is_said() {
        let (name, last): (SourceName, Time) =
            ("a".parse().unwrap(), "2026-06-01T06:00:00Z".parse().unwrap());
        let hours = |text: &str| {
            let late = read(&format!("{FEED}{text}")).unwrap().late_from(&name, last)?;
            Some((late.unix() - last.unix()) / 3_600)
        };
        assert_eq!(hours("every = '1h'"), Some(24));
        assert_eq!(hours("cron = '0 6 * * *'\npolicy = { zone = 'UTC' }"), Some(72));
        assert_eq!(hours("every = '1h'\nfreshness = '2h'"), Some(2));
        assert_eq!((hours(""), hours("freshness = '7d'")), (None, Some(168)));
    }

    #[test]
    fn what_everybody_may_read_holds_no_account_and_manual_is_nothing_that_is_fetched() {
        let refusal = read("kind = 'feed'\nurl = 'https://me:secret@lists.example/a'").unwrap_err();
        assert!(refusal.contains("credentials") && !refusal.contains("secret"), "{refusal}");
        assert!(read("kind = 'feed'\nurl = 'https://lists.example/a?mail=me@here'").is_ok());
        let manual = "manual".parse().unwrap();
        assert!(matches!(read(FEED).unwrap().check_as(&manual), Err(BadDefinition::Manual)));
        assert!(Definition::new(Kind::Upload).check_as(&manual).is_ok());
    }
}
