//! What somebody who knows a list says of its columns and comments, in place of what its names and
//! values show.
//!
//! Without a word said it is the layout of every list that explains itself.

use super::role::{Role, role_of};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// How a list is laid out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Which column holds what; what is not told is found out.
    pub(super) columns: Vec<(Role, Column)>,
    /// Whether the first record names the columns.
    pub(super) header: Option<bool>,
    /// What stands between columns.
    pub(super) separator: Option<Separator>,
    /// What begins a comment.
    pub(super) comments: Vec<String>,
    /// Rows with less than this in their column of counts are left out.
    pub(super) least: Option<u64>,
}

impl Default for Layout {
    fn default() -> Self {
        let comments = ["#", ";", "//"].map(str::to_owned).to_vec();
        Self { columns: Vec::new(), header: None, separator: None, comments, least: None }
    }
}

impl Layout {
    /// Whether the list is a table, since somebody speaks of its columns.
    pub(super) fn is_of_table(&self) -> bool {
        !self.columns.is_empty() || self.header.is_some() || self.separator.is_some()
    }

    /// Whether columns are told by their names.
    pub(super) fn names_columns(&self) -> bool {
        self.columns.iter().any(|(_, column)| matches!(column, Column::Name(_)))
    }

    /// What a column or a key of this name holds: a told one only what was told.
    pub(super) fn role_of(&self, name: &str) -> Option<Role> {
        let named = |column: &Column| matches!(column, Column::Name(told) if told == name);
        let told = self.columns.iter().find(|(_, column)| named(column)).map(|(role, _)| *role);
        told.or_else(|| role_of(name).filter(|role| !self.tells(*role)))
    }

    /// Whether the column of `role` is told.
    pub(super) fn tells(&self, role: Role) -> bool {
        self.columns.iter().any(|(told, _)| *told == role)
    }

    /// Whether the whole line is one.
    pub(super) fn is_comment(&self, line: &str) -> bool {
        self.comments.iter().any(|mark| line.starts_with(mark))
    }

    /// The value and the comment after it; the `//` of a URL begins no comment.
    pub(super) fn split_comment<'a>(&self, line: &'a str) -> (&'a str, &'a str) {
        let begins = |at: usize| {
            let rest = &line[at..];
            let mark = self.comments.iter().find(|mark| rest.starts_with(*mark))?;
            (mark != "//" || !line[..at].ends_with(':')).then_some((at, mark.len()))
        };
        match line.char_indices().find_map(|(at, _)| begins(at)) {
            Some((at, len)) => (line[..at].trim_end(), line[at + len..].trim()),
            None => (line, ""),
        }
    }
}

/// A column: its number, counted from 1, or its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Column {
    /// Counted from 0, unlike outside.
    At(usize),
    /// As the header or the JSON key writes it.
    Name(String),
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(at) => serializer.serialize_u64(*at as u64 + 1),
            Self::Name(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ColumnVisitor)
    }
}

impl JsonSchema for Column {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Column".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A column's name, or its number.",
            "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "integer", "minimum": 1, "maximum": 1000 }],
        })
    }
}

struct ColumnVisitor;

impl Visitor<'_> for ColumnVisitor {
    type Value = Column;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column's name, or its number from 1 to 1000")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Column, E> {
        match usize::try_from(number) {
            Ok(number @ 1..=1000) => Ok(Column::At(number - 1)),
            _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Column, E> {
        let wrong = || E::invalid_value(Unexpected::Signed(number), &self);
        number.try_into().map_err(|_| wrong()).and_then(|number| self.visit_u64(number))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Column, E> {
        match name.trim() {
            "" => Err(E::invalid_value(Unexpected::Str(name), &self)),
            name => Ok(Column::Name(name.to_owned())),
        }
    }
}

/// What stands between columns: a character, or any number of blanks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Separator(pub(super) char);

impl Separator {
    /// Blanks and tabs, however many.
    pub(super) const BLANKS: char = ' ';
}

impl TryFrom<String> for Separator {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut chars = text.chars();
        match (text.as_str(), chars.next(), chars.next()) {
            ("tab", ..) => Ok(Self('\t')),
            ("blanks", ..) => Ok(Self(Self::BLANKS)),
            (_, Some(c), None) if !c.is_alphanumeric() && !matches!(c, '.' | ':' | '/' | '"' | '\n') => {
                Ok(Self(c))
            }
            _ => Err(format!(
                "{text:?} separates nothing: write one character that no address holds, \"tab\" or \"blanks\""
            )),
        }
    }
}

impl From<Separator> for String {
    fn from(Separator(mark): Separator) -> Self {
        match mark {
            '\t' => "tab".to_owned(),
            Separator::BLANKS => "blanks".to_owned(),
            mark => mark.to_string(),
        }
    }
}
