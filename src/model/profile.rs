//! A feed as people describe it: what it takes of the blacklist, how it is written, and how much it may change without a
//! word. Plain data with its invariants; it knows not how a feed is made.

use super::{Country, Families, Format, Lines, OutputName, Severity, SourceName, TooBroad};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which listings a feed takes: all conditions must hold; an empty one holds always.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Of these sources.
    pub sources: Vec<SourceName>,
    /// Of none of these.
    pub not_sources: Vec<SourceName>,
    /// Of sources whose licence is one of these, by their exact words.
    pub licences: Vec<String>,
    /// At least so sure, 0 to 100; a listing that does not say is not.
    pub confidence: Option<u8>,
    /// At least so grave; a listing that does not say is not.
    pub severity: Option<Severity>,
    /// Of these kinds of threat, in any case.
    pub threats: Vec<String>,
    /// In these countries, by the source.
    pub countries: Vec<Country>,
    /// In none of these.
    pub not_countries: Vec<Country>,
    /// Learned of at most so many days ago, in days of the display zone at the generation's time.
    pub max_age_days: Option<u16>,
}

impl Filter {
    /// Whether it asks only who lists, so that the look-up table can tell without the store.
    pub fn is_by_source(&self) -> bool {
        self.confidence.is_none()
            && self.severity.is_none()
            && self.threats.is_empty()
            && self.countries.is_empty()
            && self.not_countries.is_empty()
            && self.max_age_days.is_none()
    }
}

/// How much a reader can take; none is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Lines.
    pub entries: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

impl Budget {
    /// Whether nothing fits it.
    pub(super) fn is_nothing(self) -> bool {
        self.entries == Some(0) || self.bytes == Some(0)
    }
}

/// What counts when a feed must leave something out, the better first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// The surest.
    Confidence,
    /// The gravest.
    Severity,
    /// The newest.
    Recency,
    /// What most sources list.
    Sources,
}

impl Preference {
    /// The usual order.
    pub const USUAL: [Self; 4] = [Self::Confidence, Self::Severity, Self::Recency, Self::Sources];
}

/// How much a feed may change from one release to the next without a person's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GateLimits {
    /// The share of its lines, or of the addresses they hold, that may go at once, in percent.
    pub shrink_percent: u32,
    /// How much longer it may become at once, in percent.
    pub grow_percent: u32,
    /// Fewer lines than this that go or come are never judged by their share.
    pub few: u64,
    /// The share of all IPv4 addresses that it may hold, in percent.
    pub space_percent: u32,
    /// What is broader may not come without a word.
    pub too_broad: TooBroad,
}

impl Default for GateLimits {
    /// Half may go, the double may come, a twentieth of the IPv4 Internet may be blocked.
    fn default() -> Self {
        let too_broad = TooBroad::default();
        Self { shrink_percent: 50, grow_percent: 100, few: 100, space_percent: 5, too_broad }
    }
}

impl GateLimits {
    /// What either of them lets through.
    #[must_use]
    pub fn looser(self, other: Self) -> Self {
        let (a, b) = (self.too_broad, other.too_broad);
        Self {
            shrink_percent: self.shrink_percent.max(other.shrink_percent),
            grow_percent: self.grow_percent.max(other.grow_percent),
            few: self.few.max(other.few),
            space_percent: self.space_percent.max(other.space_percent),
            too_broad: TooBroad { v4: a.v4.min(b.v4), v6: a.v6.min(b.v6) },
        }
    }
}

/// A feed: what it takes of the blacklist, and how it is written. Equal profiles have equal bytes in each generation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name in paths.
    pub name: OutputName,
    /// Who is to read it.
    #[serde(default = "plain")]
    pub format: Format,
    /// The form of its lines, where the format leaves a choice; none: what suits its readers best.
    #[serde(default)]
    pub lines: Option<Lines>,
    /// What it carries.
    #[serde(default = "both")]
    pub families: Families,
    /// What it takes.
    #[serde(default)]
    pub filter: Filter,
    /// How much its readers can take.
    #[serde(default)]
    pub budget: Budget,
    /// What counts when that is not enough.
    #[serde(default = "usual_preference")]
    pub prefer: Vec<Preference>,
    /// Into so many parts it is cut, 1 to 256, so that a change touches one of them.
    #[serde(default = "one")]
    pub parts: u16,
    /// Where devices share a budget, the feeds with the lower number are served first.
    #[serde(default = "usual_priority")]
    pub priority: u16,
    /// How much may change without a person's word.
    #[serde(default)]
    pub gate: GateLimits,
    /// Whether an empty list may be published: whoever reads it then blocks nothing.
    #[serde(default)]
    pub allow_empty: bool,
    /// Whether who asks for compressed bytes gets them. Some firewalls ask and cannot read them.
    #[serde(default = "yes")]
    pub compress: bool,
}

const fn yes() -> bool {
    true
}

const fn both() -> Families {
    Families::Both
}

const fn plain() -> Format {
    Format::Plain
}

const fn one() -> u16 {
    1
}

const fn usual_priority() -> u16 {
    100
}

fn usual_preference() -> Vec<Preference> {
    Preference::USUAL.to_vec()
}

pub(super) const NOTHING: &str = "a budget of nothing would publish nothing; leave it out for no limit";
pub(super) const UNCOUNTED: &str = "its format tells more than addresses, so that its length follows from what sources say: \
                         give it a budget of entries instead of bytes";

/// The most parts of a feed.
pub const MOST_PARTS: u16 = 256;

impl Profile {
    /// A feed of everything, in the usual form.
    pub fn new(name: OutputName) -> Self {
        Self {
            name,
            format: Format::Plain,
            lines: None,
            families: Families::Both,
            filter: Filter::default(),
            budget: Budget::default(),
            prefer: usual_preference(),
            parts: one(),
            priority: usual_priority(),
            gate: GateLimits::default(),
            allow_empty: false,
            compress: yes(),
        }
    }

    /// The default feed: the fewest prefixes of both families, which every FortiGate since 6.2 reads. It is there
    /// without anybody's doing.
    pub fn fortigate() -> Self {
        Self { format: Format::Fortigate, ..Self::new(OutputName::fortigate()) }
    }

    /// The form of its lines.
    pub fn lines(&self) -> Lines {
        let usual = self.format.lines().first().copied().unwrap_or(Lines::Cidrs);
        self.lines.unwrap_or(usual)
    }

    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<&'static str> {
        if uuid::Uuid::try_parse(self.name.as_str()).is_ok() {
            return Some(
                "the hold of a feed is known by its name, and that name is the number of a run's hold",
            );
        }
        if !(1..=MOST_PARTS).contains(&self.parts) {
            return Some("parts must be 1 to 256");
        }
        if self.lines.is_some_and(|lines| !self.format.lines().contains(&lines)) {
            return Some("its format has no lines of that form");
        }
        if self.filter.confidence.is_some_and(|least| least > 100) {
            return Some("confidence is 0 to 100");
        }
        if self.budget.is_nothing() {
            return Some(NOTHING);
        }
        if self.budget.bytes.is_some() && self.format.needs_facts() {
            return Some(UNCOUNTED);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_by_the_parts_that_are_said_and_nothing_else() {
        let profile: Profile =
            serde_json::from_str(r#"{"name":"edge","filter":{"countries":["kp"]},"budget":{"entries":9}}"#)
                .unwrap();
        let filter = Filter { countries: vec![Country::new("KP").unwrap()], ..Filter::default() };
        let budget = Budget { entries: Some(9), bytes: None };
        assert_eq!(profile, Profile { filter, budget, ..Profile::new("edge".parse().unwrap()) });
        assert_eq!(profile, serde_json::from_value(serde_json::to_value(&profile).unwrap()).unwrap());
        assert!(serde_json::from_str::<Profile>(r#"{"name":"edge","budgets":{}}"#).is_err());
        assert!(serde_json::from_str::<Profile>(r#"{"name":"../edge"}"#).is_err());
    }

    #[test]
    fn only_a_filter_that_asks_who_lists_needs_no_store() {
        let by_source = Filter {
            sources: vec!["a".parse().unwrap()],
            not_sources: vec!["b".parse().unwrap()],
            licences: vec!["CC0".into()],
            ..Filter::default()
        };
        assert!(by_source.is_by_source() && Filter::default().is_by_source());
        for other in [
            Filter { confidence: Some(1), ..Filter::default() },
            Filter { severity: Some(Severity::Minor), ..Filter::default() },
            Filter { threats: vec!["c2".into()], ..Filter::default() },
            Filter { countries: vec![Country::new("KP").unwrap()], ..Filter::default() },
            Filter { not_countries: vec![Country::new("KR").unwrap()], ..Filter::default() },
            Filter { max_age_days: Some(30), ..Filter::default() },
        ] {
            assert!(!other.is_by_source(), "{other:?}");
        }
    }

    #[test]
    fn the_default_feed_is_a_feed_that_could_be() {
        assert_eq!(Profile::fortigate().fault(), None);
    }

    #[test]
    fn what_no_reader_could_use_is_a_fault() {
        let good = Profile::new("a".parse().unwrap());
        assert_eq!(good.fault(), None);
        let name = "0190a1b2-c3d4-7e5f-8061-728394a5b6c7".parse().unwrap();
        assert!(Profile { name, ..good.clone() }.fault().unwrap().contains("hold"));
        assert!(Profile { parts: 0, ..good.clone() }.fault().is_some());
        assert!(Profile { parts: 257, ..good.clone() }.fault().is_some());
        let budget = Budget { entries: Some(0), bytes: None };
        assert!(Profile { budget, ..good }.fault().is_some());
    }
}
