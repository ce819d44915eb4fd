//! The names of people and of keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes.
const LONGEST: usize = 64;

/// The name of a user or of a key: small letters, digits, `.`, `_`, `-` and `@`. Capitals are taken and made small, so
/// that no two people differ by them alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// It is no name. What was said is not repeated: people type passwords where a name is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is no name: use 1 to 64 of a-z, 0-9, '.', '_', '-' and '@', beginning with a letter or digit")]
pub struct BadName;

impl Name {
    /// The first administrator's.
    pub fn admin() -> Self {
        Self("admin".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-' | b'@');
        let begins = text.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if begins && text.len() <= LONGEST && text.bytes().all(fits) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(BadName)
        }
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_small() {
        assert_eq!("Kim.Min-ji@SOC_1".parse::<Name>().unwrap().as_str(), "kim.min-ji@soc_1");
        assert_eq!("admin".parse(), Ok(Name::admin()));
        for wrong in ["", ".a", "-a", "@a", "a b", "a/b", "a\n", "김", &"a".repeat(65)] {
            assert_eq!(wrong.parse::<Name>(), Err(BadName), "{wrong}");
        }
    }
}
