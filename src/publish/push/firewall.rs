//! The client of one firewall's API: commands out, counts in. Knows FortiOS' paths and words, and nothing of feeds.

use super::target::Target;
use crate::fetch::{Exception, FetchError, Fetcher, Url};
use crate::publish::outgoing::{self, Unreached};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

const BASE: &str = "api/v2/monitor/system/external-resource/";
/// Entries of one command: a firewall's API takes long over long ones, and a break costs one chunk.
const CHUNK: usize = 2_000;
/// The longest answer: counts are short, and nothing else is read.
const LONGEST: u64 = 1 << 20;

/// Why a push did not succeed, by what can be done about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PushFault {
    /// No answer.
    #[error(transparent)]
    Unreached(Unreached),
    /// The key is wrong, or may not do this.
    #[error("the firewall refuses the key (status {0})")]
    Token(u16),
    /// The firewall has no list of that name.
    #[error("the firewall has no list {0:?}")]
    NoList(String),
    /// Another status.
    #[error("the firewall answers with status {0}")]
    Status(u16),
    /// What it answers is not understood.
    #[error("the firewall's counts cannot be read: {0}")]
    Unread(&'static str),
    /// The firewall has another number of entries than it was sent.
    #[error("{sent} entries were sent, and the firewall has {valid} valid and {} invalid ones", told(*invalid))]
    Mismatch {
        /// How many were sent.
        sent: u64,
        /// How many it enforces.
        valid: u64,
        /// How many it could not read, where it tells.
        invalid: Option<u64>,
    },
    /// The firewall has no room for the list.
    #[error("{sent} entries are more than the firewall takes: it enforces {valid}")]
    Overflow {
        /// How many were sent.
        sent: u64,
        /// How many it enforces.
        valid: u64,
    },
    /// Its counts fit, and nothing says that they are of what it was sent.
    #[error(
        "the firewall took the command, and has written no list since: its {valid} entries may be older ones"
    )]
    Unproven {
        /// How many it enforces.
        valid: u64,
    },
    /// It says of itself that it could not take the list.
    #[error("the firewall says that its last update of the list went wrong (status {0})")]
    Update(u16),
    /// Nothing is listed any more, which may be an accident, or cannot be told so that no accident could say the same.
    #[error("nothing is listed any more, and the firewall still enforces {valid} entries")]
    Emptied {
        /// How many it enforces.
        valid: u64,
    },
    /// The list cannot be made, the key not be opened or the push not be written down.
    #[error("{0}")]
    Ours(String),
}

impl PushFault {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreached(unreached) => unreached.code(),
            Self::Token(_) => "token_refused",
            Self::NoList(_) => "list_missing",
            Self::Status(_) => "firewall_status",
            Self::Unread(_) => "counts_unread",
            Self::Mismatch { .. } => "counts_differ",
            Self::Overflow { .. } => "list_overflow",
            Self::Unproven { .. } => "unproven",
            Self::Update(_) => "update_failed",
            Self::Emptied { .. } => "list_emptied",
            Self::Ours(_) => "not_pushed",
        }
    }

    /// What an operator can do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Unreached(unreached) => unreached.cure(),
            Self::Token(_) => {
                "give the key of an API administrator that may write external resources, and whose trusted hosts hold this machine"
            }
            Self::NoList(_) => {
                "make an external connector of type IP address with that name and the update method push, or set names"
            }
            Self::Status(_) | Self::Unread(_) => "it is tried again; see the firewall's own log",
            Self::Mismatch { .. } => {
                "see the invalid entries on the firewall; perhaps somebody else writes to the list, or it does not read this form of lines"
            }
            Self::Overflow { .. } => {
                "give the device the budget of its model, so that the best entries are kept"
            }
            Self::Unproven { .. } => {
                "see the connector's last update on the firewall; in the mode refresh it has to fetch the feed with the device's keys"
            }
            Self::Update(_) => "see the connector's status on the firewall; it is tried again",
            Self::Emptied { .. } => {
                "see why nothing is listed; what may go is taken away in the mode changes once it is suppressed or allowed, or with allow_empty in the feed"
            }
            Self::Ours(_) => "see the log",
        }
    }

    /// Whether nothing helps but another target or a person's word. A wrong key locks administrators out.
    pub fn stops(&self) -> bool {
        matches!(self, Self::Token(_))
    }

    /// Whether to try again soon is no use: everything is done that can be before something else is listed.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Emptied { .. })
    }
}

impl From<FetchError> for PushFault {
    fn from(error: FetchError) -> Self {
        Self::Unreached(error.into())
    }
}

/// What a firewall says of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub(super) valid: u64,
    /// None where it tells no such count.
    pub(super) invalid: Option<u64>,
    pub(super) overflow: bool,
    pub(super) status: u16,
    /// When the list was written last, by its clock.
    pub(super) updated: Option<u64>,
}

impl Counts {
    pub(super) fn are(&self, entries: u64) -> bool {
        self.valid == entries && self.invalid.unwrap_or(0) == 0 && !self.overflow
    }

    /// Whether the firewall calls its last update a success; 0 and nothing say nothing.
    pub(super) fn went_well(&self) -> bool {
        matches!(self.status, 0 | 200..=299 | 304)
    }

    /// What is wrong with them after `sent` entries.
    pub(super) fn fault(&self, sent: u64) -> PushFault {
        let Self { valid, invalid, .. } = *self;
        if self.overflow {
            PushFault::Overflow { sent, valid }
        } else if !self.went_well() {
            PushFault::Update(self.status)
        } else if self.are(sent) {
            PushFault::Unproven { valid }
        } else {
            PushFault::Mismatch { sent, valid, invalid }
        }
    }
}

/// A count for people.
fn told(count: Option<u64>) -> String {
    count.map_or_else(|| "nobody knows how many".to_owned(), |count| count.to_string())
}

/// What is done with a list.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Command {
    Add,
    Remove,
    Snapshot,
}

#[derive(Serialize)]
struct Commands<'a> {
    commands: [Entries<'a>; 1],
}

#[derive(Serialize)]
struct Entries<'a> {
    name: &'a str,
    command: Command,
    entries: &'a [&'a str],
}

/// A firewall.
pub(super) struct Firewall {
    fetcher: Fetcher,
    base: String,
    vdom: Option<String>,
    authorization: HeaderValue,
}

impl Firewall {
    /// The firewall of a target with its key; nothing is asked yet.
    ///
    /// # Errors
    /// The key or the authority cannot be used.
    pub(super) fn new(
        target: &Target,
        key: &[u8],
        networks: &[Exception],
        ports: &[u16],
        timeout: Duration,
    ) -> Result<Self, PushFault> {
        let settings = outgoing::settings(networks, ports, target.trust(), timeout, LONGEST);
        let header = HeaderValue::from_bytes(&[b"Bearer ", key].concat());
        let mut authorization = header.map_err(|_| PushFault::Ours("the key is none".to_owned()))?;
        authorization.set_sensitive(true);
        let base = format!("{}/{BASE}", target.url.as_str().trim_end_matches('/'));
        Ok(Self { fetcher: Fetcher::new(settings)?, base, vdom: target.vdom.clone(), authorization })
    }

    /// Replaces the list in one step, so that there is no moment without it.
    pub(super) async fn snapshot(&self, name: &str, entries: &[&str]) -> Result<(), PushFault> {
        self.command(name, Command::Snapshot, entries).await
    }

    /// Adds, and then removes: what both lists block is blocked all the time.
    pub(super) async fn change(&self, name: &str, added: &[&str], removed: &[&str]) -> Result<(), PushFault> {
        for chunk in added.chunks(CHUNK) {
            self.command(name, Command::Add, chunk).await?;
        }
        for chunk in removed.chunks(CHUNK) {
            self.command(name, Command::Remove, chunk).await?;
        }
        Ok(())
    }

    async fn command(&self, name: &str, command: Command, entries: &[&str]) -> Result<(), PushFault> {
        let commands = Commands { commands: [Entries { name, command, entries }] };
        let body = serde_json::to_vec(&commands).map_err(|error| PushFault::Ours(error.to_string()))?;
        self.ask(name, "dynamic", &[], Some(body)).await.map(drop)
    }

    /// Tells the firewall to fetch the list now.
    pub(super) async fn refresh(&self, name: &str) -> Result<(), PushFault> {
        let body = serde_json::json!({"mkey": name}).to_string().into_bytes();
        self.ask(name, "refresh", &[], Some(body)).await.map(drop)
    }

    /// What it has of the list.
    pub(super) async fn counts(&self, name: &str) -> Result<Counts, PushFault> {
        let query = [("mkey", name), ("counts_only", "true")];
        let (status, body) = self.ask(name, "entry-list", &query, None).await?;
        let document: Value = serde_json::from_slice(&body).map_err(|_| PushFault::Unread("no JSON"))?;
        counts(&document, status)
    }

    async fn ask(
        &self,
        name: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<(u16, bytes::Bytes), PushFault> {
        let wrong = |_| PushFault::Ours("the URL is none".to_owned());
        let mut url: Url = format!("{}{path}", self.base).parse().map_err(wrong)?;
        for (key, value) in query.iter().copied().chain(self.vdom.as_deref().map(|vdom| ("vdom", vdom))) {
            url.query_pairs_mut().append_pair(key, value);
        }
        self.fetcher.check(&url)?;
        let client = self.fetcher.client();
        let request = match body {
            None => client.get(url),
            Some(body) => client.post(url).header(CONTENT_TYPE, "application/json").body(body),
        };
        let answer = request.header(AUTHORIZATION, &self.authorization).send().await;
        let answer = answer.map_err(FetchError::from)?;
        match answer.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(PushFault::Token(answer.status().as_u16()))
            }
            StatusCode::NOT_FOUND => Err(PushFault::NoList(name.to_owned())),
            status if status.is_success() => Ok((status.as_u16(), self.fetcher.read(answer).await?)),
            status => Err(PushFault::Status(status.as_u16())),
        }
    }
}

/// The counts in an answer. Versions differ in whether they stand in `results` or in `results.counts`.
fn counts(document: &Value, status: u16) -> Result<Counts, PushFault> {
    let results = document.get("results").unwrap_or(document);
    let counts = results.get("counts").unwrap_or(results);
    let number = |of: &Value, keys: [&str; 2]| keys.iter().find_map(|key| of.get(key)?.as_u64());
    let valid = number(counts, ["valid", "valid_count"]).ok_or(PushFault::Unread("no valid count"))?;
    let told = number(results, ["http_status_code", "http_status"]).and_then(|code| u16::try_from(code).ok());
    let overflow = results.get("overflow").or_else(|| counts.get("overflow"));
    Ok(Counts {
        valid,
        invalid: number(counts, ["invalid", "invalid_count"]),
        overflow: overflow
            .is_some_and(|overflow| overflow.as_bool() == Some(true) || overflow.as_u64() > Some(0)),
        status: told.unwrap_or(status),
        updated: number(results, ["last_content_update_time", "last_update_time"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_found_where_versions_put_them_and_missed_where_they_are_not() {
        let flat = json!({"results": {"valid": 3, "invalid": 1, "overflow": true, "http_status_code": 304}});
        let found = counts(&flat, 200).unwrap();
        assert_eq!((found.valid, found.invalid, found.overflow, found.status), (3, Some(1), true, 304));
        let nested = json!({"results": {"counts": {"valid": 3}, "last_content_update_time": 7}});
        assert_eq!(counts(&nested, 200).unwrap().updated, Some(7));
        assert!(!counts(&nested, 200).unwrap().overflow);
        assert_eq!(counts(&nested, 200).unwrap().invalid, None, "what it does not tell is not none");
        assert!(counts(&json!({"results": {}}), 200).is_err());
    }
}
