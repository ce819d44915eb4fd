//! A run: one collection of one source, from its trigger to its outcome. Plain data.

use super::LineError;
use super::told::told;
use crate::model::{Day, Receipt, Scope, SourceName, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Examples of rejected lines that a run keeps; all are counted.
pub const EXAMPLES: usize = 20;

/// How a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// It is at work.
    Running,
    /// A person must say the code that the portal has sent.
    AwaitingOtp,
    /// All that it brought is in.
    Done,
    /// It ended early; the fault says why.
    Failed,
    /// Something that it brought waits for a person's word.
    Held,
    /// It brought nothing but what a person has rejected before.
    Rejected,
    /// A person ended it.
    Cancelled,
}

impl State {
    /// The state's name, in answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::AwaitingOtp => "awaiting_otp",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing follows on this state by itself.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::AwaitingOtp)
    }
}

/// What made a run begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Its time had come.
    Schedule,
    /// The run before it failed in a way that may have passed.
    Retry,
    /// A person asked for it.
    Person,
    /// A person brought the file.
    Upload,
    /// The bytes of an earlier run are read again.
    Again,
}

impl Trigger {
    /// Whether such a run asks the source, so that its failure says something of the source.
    pub const fn asks_source(self) -> bool {
        matches!(self, Self::Schedule | Self::Retry | Self::Person)
    }
}

/// What a run is asked to do beyond the usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wish {
    /// The first day to ask for, where the source knows days.
    pub first: Option<Day>,
    /// The last day, included.
    pub last: Option<Day>,
    /// Ask for everything, whatever is remembered, and although the source is cooling down.
    pub force: bool,
    /// Read the bytes of this run again instead of asking the source.
    pub again: Option<Uuid>,
}

impl Wish {
    /// Whether nothing is asked for beyond the usual.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether only some days are asked for, so that the usual is still to be done.
    pub const fn is_partial(&self) -> bool {
        self.first.is_some() || self.last.is_some()
    }
}

/// What a run came to, in listings and lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Lines that gave a listing.
    pub read: u64,
    /// Listings that are new.
    pub new: u64,
    /// Listings that say something else now.
    pub changed: u64,
    /// Listings that were there already.
    pub unchanged: u64,
    /// Listings that the source has dropped.
    pub expired: u64,
    /// Lines that gave no listing.
    pub rejected: u64,
}

impl Counts {
    /// Takes in what a batch did.
    pub fn add(&mut self, receipt: &Receipt) {
        self.new += receipt.added;
        self.changed += receipt.changed;
        self.unchanged += receipt.unchanged;
        self.expired += receipt.removed;
    }
}

/// One of the first lines that gave no listing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// The delivery it was in.
    pub delivery: String,
    /// Counted from 1.
    pub line: u64,
    /// The beginning of what stood there.
    pub value: String,
    /// The stable code.
    pub code: String,
    /// The same for a person.
    pub detail: String,
}

impl Example {
    /// A line of the delivery called `label`.
    pub fn of(label: &str, error: &LineError) -> Self {
        let LineError { line, value, code, detail } = error;
        Self {
            delivery: label.to_owned(),
            line: *line,
            value: value.clone(),
            code: code.clone().into_owned(),
            detail: detail.clone(),
        }
    }
}

/// Why a run, or a source, stands still.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// The stable code.
    pub code: String,
    /// The same for a person, with the cure.
    pub detail: String,
}

impl Fault {
    /// A fault with a code and its explanation, which may quote others: it is cut to what may be told.
    pub fn new(code: &str, detail: impl AsRef<str>) -> Self {
        Self { code: code.to_owned(), detail: told(detail.as_ref()) }
    }
}

/// A document that a run brought.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// What it is at its source: a period, an attachment's name.
    pub label: String,
    /// Its file's name, a hint for its format.
    pub name: Option<String>,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub digest: String,
    /// What its silence means.
    pub scope: Option<Scope>,
    /// Its own date.
    pub dated: Option<Time>,
    /// The day of listing of all its rows that do not say one.
    pub posted: Option<Day>,
    /// Whether its bytes are kept with this run: those of an unchanged document are with the run that
    /// first brought them.
    pub kept: bool,
    /// Whether it was left out, because a person has rejected just this before.
    #[serde(default)]
    pub rejected: bool,
}

/// One collection of one source.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its id; later runs have greater ones.
    pub id: Uuid,
    /// Whose.
    pub source: SourceName,
    /// What made it begin.
    pub trigger: Trigger,
    /// Who, for what a person began.
    pub actor: String,
    /// What was asked for.
    pub wish: Wish,
    /// The how-manieth retry in a row it is; 0 for none.
    pub attempt: u16,
    /// The run that it goes on with, however many retries lie between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Uuid>,
    /// How it stands.
    pub state: State,
    /// When it was asked for.
    pub queued: Time,
    /// When it began to work.
    pub started: Option<Time>,
    /// When it ended.
    pub ended: Option<Time>,
    /// What it came to.
    pub counts: Counts,
    /// The last generation that it made or saw.
    pub generation: Option<u64>,
    /// Some of what could not be read.
    pub examples: Vec<Example>,
    /// What it brought, in order.
    pub documents: Vec<Document>,
    /// Why it ended early.
    pub fault: Option<Fault>,
    /// What waits for a person's word.
    pub hold: Option<Uuid>,
    /// What somebody should know of what it brought, though it is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Run {
    /// A run that waits for its turn.
    pub fn new(source: SourceName, trigger: Trigger, actor: String, wish: Wish, now: Time) -> Self {
        Self {
            id: Uuid::now_v7(),
            source,
            trigger,
            actor,
            wish,
            attempt: 0,
            of: None,
            state: State::Queued,
            queued: now,
            started: None,
            ended: None,
            counts: Counts::default(),
            generation: None,
            examples: Vec::new(),
            documents: Vec::new(),
            fault: None,
            hold: None,
            warnings: Vec::new(),
        }
    }

    /// The run that was begun for this: itself, or the one of which it is a retry.
    pub fn origin(&self) -> Uuid {
        self.of.unwrap_or(self.id)
    }

    /// Adds examples while there is room for them.
    pub fn note(&mut self, label: &str, errors: &[LineError]) {
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(errors.iter().take(room).map(|error| Example::of(label, error)));
    }
}
