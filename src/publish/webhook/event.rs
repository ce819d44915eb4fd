//! What is told: kinds of events, and the document that goes out. Its fields may grow, and none changes its meaning
//! without another [`SCHEMA`].

use crate::model::Time;
use crate::publish::Mark;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The form of the document.
pub const SCHEMA: u32 = 1;

/// What can happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// Nothing: somebody tests the hook.
    #[serde(rename = "ping")]
    Ping,
    /// A feed lists something else.
    #[serde(rename = "feed.released")]
    Released,
    /// A feed, or all together, goes on with what it has until a person consents.
    #[serde(rename = "feed.held")]
    Held,
    /// It follows again.
    #[serde(rename = "feed.unheld")]
    Unheld,
    /// A feed cannot be made or kept; readers get what it had.
    #[serde(rename = "feed.failed")]
    Failed,
    /// It can again.
    #[serde(rename = "feed.recovered")]
    Recovered,
    /// A device has not asked for longer than it should.
    #[serde(rename = "device.silent")]
    Silent,
    /// It asks again.
    #[serde(rename = "device.heard")]
    Heard,
    /// A device that is pushed to does not enforce what is released, for longer than it should take.
    #[serde(rename = "device.behind")]
    Behind,
    /// It does again.
    #[serde(rename = "device.enforces")]
    Enforces,
    /// A list that was pushed to a device's firewall is pushed no more, and still there.
    #[serde(rename = "device.left_behind")]
    LeftBehind,
    /// Nothing of that is there any more, or somebody has said that it does not matter.
    #[serde(rename = "device.cleared")]
    Cleared,
    /// Nothing of a source comes in: it is stopped, held or late.
    #[serde(rename = "source.troubled")]
    Troubled,
    /// It does again.
    #[serde(rename = "source.well")]
    Well,
}

impl Kind {
    /// The name, as it goes out.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Released => "feed.released",
            Self::Held => "feed.held",
            Self::Unheld => "feed.unheld",
            Self::Failed => "feed.failed",
            Self::Recovered => "feed.recovered",
            Self::Silent => "device.silent",
            Self::Heard => "device.heard",
            Self::Behind => "device.behind",
            Self::Enforces => "device.enforces",
            Self::LeftBehind => "device.left_behind",
            Self::Cleared => "device.cleared",
            Self::Troubled => "source.troubled",
            Self::Well => "source.well",
        }
    }

    /// What it is about: `feed`, `device` or `source`.
    pub(super) fn about(self) -> &'static str {
        self.as_str().split('.').next().unwrap_or_default()
    }

    /// The kind that begins what this one ends, or itself: of both only the newest counts.
    pub(super) fn matter(self) -> Self {
        let begins = Self::LASTING.into_iter().find(|(_, over)| *over == self);
        begins.map_or(self, |(begins, _)| begins)
    }

    /// The kind that ends what this one begins, or itself.
    pub(super) fn over(self) -> Self {
        let ends = Self::LASTING.into_iter().find(|(begins, _)| *begins == self);
        ends.map_or(self, |(_, over)| over)
    }

    /// What lasts: how it begins and how it ends.
    const LASTING: [(Self, Self); 6] = [
        (Self::Held, Self::Unheld),
        (Self::Failed, Self::Recovered),
        (Self::Silent, Self::Heard),
        (Self::Behind, Self::Enforces),
        (Self::LeftBehind, Self::Cleared),
        (Self::Troubled, Self::Well),
    ];
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// To which feed, device or source; `_all` is all feeds together.
    pub subject: String,
    /// When it was noticed.
    pub at: Time,
    /// More about it.
    pub news: News,
    /// Of a release: the one that was told before, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Mark>,
}

/// More about an event; what does not belong to its kind is not there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct News {
    /// What a feed lists now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Renewed>,
    /// Why it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Held>,
    /// What is wrong, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

/// A release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Renewed {
    /// The generation in which it appeared.
    pub generation: u64,
    /// The generation of the release that was told before; 0: none was.
    pub since: u64,
    /// Its `Last-Modified`.
    pub modified: Time,
    /// Where it is read.
    pub path: String,
    /// The list's `ETag`; none where nobody has asked for the list yet, and where it comes in parts.
    pub etag: Option<String>,
    /// Whether readers get it. An empty list is not offered: they get 503, and keep what they have.
    pub offered: bool,
    /// Addresses listed.
    pub addresses: u128,
    /// Lines of the list, in its form; none where it cannot be written in it.
    pub lines: Option<u64>,
    /// Addresses that came since; all where none was told before; none: nobody knows any more.
    pub added: Option<u128>,
    /// Addresses that went since; likewise.
    pub removed: Option<u128>,
}

/// A hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Since when.
    pub since: Time,
    /// The generation that is held back.
    pub generation: u64,
    /// Why.
    pub grounds: Vec<String>,
    /// Lines that consent would take away.
    pub gone: u64,
    /// Lines that consent would bring.
    pub new: u64,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    id: Uuid,
    event: Kind,
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    feed: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    /// Events that this one stands for, itself among them.
    stands_for: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a Renewed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a Held>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'a str>,
}

impl Event {
    /// What goes out: the same bytes at each attempt.
    pub(super) fn document(&self, id: Uuid, stands_for: u32) -> Vec<u8> {
        let subject = |about: &str| (self.kind.about() == about).then_some(self.subject.as_str());
        let News { release, hold, what } = &self.news;
        let document = Document {
            schema: SCHEMA,
            id,
            event: self.kind,
            time: self.at,
            feed: subject("feed"),
            device: subject("device"),
            source: subject("source"),
            stands_for,
            release: release.as_ref(),
            hold: hold.as_ref(),
            what: what.as_deref(),
        };
        // Plain data: there is nothing in it that could fail to serialise.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}
