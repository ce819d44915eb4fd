//! Who somebody is to this program, and what they may do: plain data that the door, the roles and the keeper of
//! identities share.
//!
//! It must not know how somebody proves who they are, nor which path asks for which right.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What somebody may do. None implies another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Right {
    /// Ask whether addresses are listed, one or many, and why.
    Check,
    /// Read everything that is nobody's secret: lists, statistics, analytics, sources, runs, generations.
    Read,
    /// Read every feed, whatever device it is for.
    Feeds,
    /// Read the metrics.
    Metrics,
    /// List, allow and suppress by hand; start, feed and cancel runs.
    Write,
    /// Set up sources, feeds, devices and people; consent, roll back, read the audit.
    Admin,
}

impl Right {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Check, Self::Read, Self::Feeds, Self::Metrics, Self::Write, Self::Admin];

    /// Its name, in the API and in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Read => "read",
            Self::Feeds => "feeds",
            Self::Metrics => "metrics",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is the name of no right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no right: there are check, read, feeds, metrics, write and admin")]
pub struct BadRight(String);

impl FromStr for Right {
    type Err = BadRight;

    fn from_str(name: &str) -> Result<Self, BadRight> {
        Self::ALL.into_iter().find(|right| right.name() == name).ok_or_else(|| BadRight(name.to_owned()))
    }
}

/// A set of rights; as JSON a list of their names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u8);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// Every right there is.
    pub const ALL: Self = Self::of(&Right::ALL);
    /// What people have who work with the blacklist.
    pub const USER: Self = Self::of(&[Right::Check, Right::Read, Right::Feeds, Right::Metrics, Right::Write]);

    /// These rights.
    pub const fn of(rights: &[Right]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < rights.len() {
            bits |= 1 << rights[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Whether `right` is among them.
    pub const fn has(self, right: Right) -> bool {
        self.0 & 1 << right as u8 != 0
    }

    /// Those of either set.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those of both sets.
    #[must_use]
    pub const fn within(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Each of them, in their order.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, |all, right| all.and(Self::of(&[right])))
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Self {
        rights.into_iter().collect()
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        rights.iter().collect()
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What kind of somebody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Whoever holds the installation itself: its key, or the socket in its folder.
    Installation,
    /// A person who has logged in.
    User,
    /// A program with a key or a certificate of its own.
    Key,
}

/// Somebody who has proved who they are. Kind and name together are one somebody and no other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// What kind of somebody.
    pub kind: Kind,
    /// The name among all of that kind: letters, digits, `_`, `-`, `.` and `@`.
    pub name: String,
    /// What they may do.
    pub rights: Rights,
}

impl Identity {
    /// Whoever holds the installation; may do everything.
    pub fn installation() -> Self {
        Self { kind: Kind::Installation, name: "administrator".to_owned(), rights: Rights::ALL }
    }
}

/// As journal and audit name them.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Key => write!(f, "key {}", self.name),
            Kind::Installation | Kind::User => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_of_and_nothing_else() {
        let some = Rights::of(&[Right::Read, Right::Admin]);
        let has: Vec<bool> = Right::ALL.into_iter().map(|right| some.has(right)).collect();
        assert_eq!(has, [false, true, false, false, false, true]);
        assert_eq!(some, some.iter().collect());
        assert_eq!(some.within(Rights::USER), Rights::of(&[Right::Read]));
        assert_eq!(Rights::USER.and(Rights::of(&[Right::Admin])), Rights::ALL);
        assert!(Right::ALL.into_iter().all(|right| !Rights::NONE.has(right)));
    }

    #[test]
    fn a_set_is_a_list_of_names() {
        let some = Rights::of(&[Right::Write, Right::Check]);
        let json = serde_json::to_string(&some).unwrap();
        assert_eq!(json, r#"["check","write"]"#);
        assert_eq!(serde_json::from_str::<Rights>(&json).unwrap(), some);
        assert!(serde_json::from_str::<Rights>(r#"["everything"]"#).is_err());
        assert!(Right::ALL.into_iter().all(|right| right.name().parse() == Ok(right)));
        assert!("everything".parse::<Right>().is_err());
    }
}
