//! What the ledger keeps of a source beside its definition. Plain data.

use crate::collect::gate::Ground;
use crate::collect::run::{Fault, Wish};
use crate::collect::schedule::Occurrence;
use crate::model::{Receipt, SourceName, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a source stands: all that a restart must not forget.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// The SHA-256 of the definition that the rest was made under, where the configuration file has it.
    pub defined: Option<String>,
    /// The rule by which the next occurrence waits.
    pub rule: Option<String>,
    /// What a person said after the definition was written: on or off.
    pub enabled: Option<bool>,
    /// What the environment said of the account at the last start: its digest, sealed.
    pub environment: Option<Vec<u8>>,
    /// The occurrence that waits.
    pub next: Option<Occurrence>,
    /// The retry that waits.
    pub retry: Option<Retrying>,
    /// What was brought and is still to be taken in.
    pub resume: Option<Resume>,
    /// Why it fetches nothing until a person has acted.
    pub stopped: Option<Stopped>,
    /// What somebody may have to mend, though it is tried again by itself.
    pub hindered: Option<Hindrance>,
    /// What is known of its last delivery that was believed.
    pub memory: Memory,
    /// How far the craft has come; its own words.
    pub checkpoint: serde_json::Value,
    /// The run that began the checkpoint: its retries go on with it, and any other run begins its own.
    pub begun: Option<Uuid>,
    /// Its last complete run.
    pub last_success: Option<Time>,
    /// Its last run.
    pub last_run: Option<Uuid>,
}

impl Standing {
    /// The source is defined anew. What was remembered was remembered of something else, and what it stood still for
    /// may be mended.
    pub fn redefine(&mut self, rule: String, now: Time) {
        self.memory = Memory::default();
        self.keep_rule(rule, now);
        self.hindered = None;
        let mended = self.stopped.take_if(|stopped| !stopped.credentials && stopped.is_of_definition());
        self.retry = mended.map(|_| Retrying::now(now)).or(self.retry);
    }

    /// The rule is this one. What waits by another one waits no more, unless its time has come: that it is due was not
    /// seen to yet.
    pub fn keep_rule(&mut self, rule: String, now: Time) {
        if self.rule.as_ref() != Some(&rule) {
            self.next = self.next.filter(|next| next.due <= now);
            self.rule = Some(rule);
        }
    }
}

/// A retry that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Retrying {
    /// When.
    pub at: Time,
    /// The how-manieth.
    pub attempt: u16,
    /// Whether the source has had enough, so that nobody else should ask it before.
    pub cooling: bool,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Wish::is_usual")]
    pub wish: Wish,
    /// The run that it goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Uuid>,
}

impl Retrying {
    /// The usual, at once: whoever mends a source wants to see that it works again.
    pub fn now(at: Time) -> Self {
        Self { at, attempt: 0, cooling: false, wish: Wish::default(), of: None }
    }
}

/// Bytes that are to be read, because the run that was at it was interrupted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Resume {
    /// The run that has them.
    pub run: Uuid,
    /// Who wanted them to be read.
    pub actor: String,
    /// When.
    pub at: Time,
    /// The how-manieth try.
    pub attempt: u16,
}

/// Why a source fetches nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// Since when.
    pub since: Time,
    /// Whether only new credentials help; else it is enough to switch it on again.
    pub credentials: bool,
    /// What happened, with the cure.
    pub fault: Fault,
}

/// Codes of what is wrong with where a definition says that the source is.
const OF_DEFINITION: [&str; 6] =
    ["bad_url", "url_credentials", "scheme_denied", "port_denied", "address_denied", "host_denied"];

impl Stopped {
    fn is_of_definition(&self) -> bool {
        OF_DEFINITION.contains(&self.fault.code.as_str())
    }
}

/// What keeps runs from being whole, and may need somebody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hindrance {
    /// Since when.
    pub since: Time,
    /// What it is, with the cure.
    pub fault: Fault,
}

/// What is known of the last delivery that was believed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Its SHA-256, in hexadecimal digits.
    pub digest: Option<String>,
    /// Its own date.
    pub dated: Option<Time>,
    /// Listings whose expiry the runner sets were last put off then.
    pub stamped: Option<Time>,
    /// The SHA-256 of documents that a person did not believe, and of what they say, the newest last.
    pub rejected: Vec<String>,
}

/// Digests of rejected documents that are remembered of a source.
const REJECTED: usize = 200;

impl Memory {
    /// A person does not believe a document.
    pub fn reject(&mut self, digest: &str) {
        self.believe(digest);
        self.rejected.push(digest.to_owned());
        self.rejected.drain(..self.rejected.len().saturating_sub(REJECTED));
    }

    /// A person believes it after all.
    pub fn believe(&mut self, digest: &str) {
        self.rejected.retain(|known| known != digest);
    }
}

/// Something that waits for a person's word, or has had it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Its id.
    pub id: Uuid,
    /// The run whose bytes are held.
    pub run: Uuid,
    /// Whose.
    pub source: SourceName,
    /// Since when.
    pub since: Time,
    /// What is held.
    pub documents: Vec<Held>,
    /// What became of it.
    pub settled: Option<Settled>,
}

/// A document that is held.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Its place among the run's documents.
    pub index: usize,
    /// What it is at its source.
    pub label: String,
    /// Its SHA-256, in hexadecimal digits.
    #[serde(default)]
    pub digest: String,
    /// The SHA-256 of its rows: files that say the same may differ. Empty, where it cannot be read.
    #[serde(default)]
    pub content: String,
    /// Why.
    pub grounds: Vec<Ground>,
    /// What consent would change, as it was shown last.
    pub shown: Receipt,
}

impl Hold {
    /// What consent would change in all, as it was shown last.
    pub fn shown(&self) -> u64 {
        let weight = |receipt: &Receipt| receipt.added + receipt.changed + receipt.removed;
        self.documents.iter().map(|held| weight(&held.shown)).sum()
    }
}

/// The end of a hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Settled {
    /// When.
    pub at: Time,
    /// How.
    pub how: How,
    /// By whom.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// How a hold ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// A person believes it.
    Consented,
    /// A person does not.
    Rejected,
    /// A newer run of the source took its place.
    Superseded,
}

/// Who did what, when and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// What, such as `hold.consent`.
    pub action: String,
    /// To which source.
    pub source: SourceName,
    /// Why.
    pub reason: String,
    /// More of what happened.
    pub detail: String,
}
