//! Lists in JSON: arrays of strings or records, wherever in a document they are, and a record a
//! line.
//!
//! Documents are walked as they are parsed; nothing of them is kept but the record at hand.

use super::error::RowFault;
use super::role::{Role, role_of};
use super::rows::{Sink, Tally};
use super::table::Values;
use super::{LONGEST_LINE, Layout, Options, ReadError};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The keys under which documents keep their lists.
const LISTS: [&str; 11] = [
    "data",
    "list",
    "ips",
    "items",
    "results",
    "entries",
    "addresses",
    "prefixes",
    "ipv6_prefixes",
    "networks",
    "blacklist",
];

/// Reads a document. The path says where the values are; without it, a root that is no array is
/// searched for the usual keys.
pub(super) fn read_document<S: Sink>(
    text: &str,
    options: &Options,
    rows: &mut Tally<'_, S>,
) -> Result<(), ReadError> {
    let path = keys(options);
    let mut walk = Walk::new(rows, &options.layout, 1);
    walk.value(text, &path, true)?;
    if walk.found { Ok(()) } else { Err(ReadError::NoList) }
}

/// Reads a value a line; a line that is no JSON costs that line.
pub(super) fn read_lines<S: Sink>(text: &str, options: &Options, rows: &mut Tally<'_, S>) {
    let path = keys(options);
    let mut walk = Walk::new(rows, &options.layout, 0);
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        walk.number = number;
        if line.len() > LONGEST_LINE {
            walk.rows.reject(number, line, RowFault::LineTooLong);
        } else if !line.is_empty() && walk.value(line, &path, false).is_err() {
            walk.rows.reject(number, line, RowFault::Malformed);
        }
    }
}

fn keys(options: &Options) -> Vec<&str> {
    options.path.as_ref().map(|path| path.split('.').collect()).unwrap_or_default()
}

/// Whether `line` is one complete JSON object, and then whether it names an address.
pub(super) fn is_record(line: &str) -> Option<bool> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let names = |role| object.keys().any(|key| role_of(key) == Some(role));
    Some(names(Role::Address) || (names(Role::First) && names(Role::Last)))
}

/// Where the rows go, and what is known on the way.
struct Walk<'w, 's, S> {
    rows: &'w mut Tally<'s, S>,
    layout: &'w Layout,
    names: Names<'w>,
    /// The record, counted, or the line.
    number: u64,
    /// How much further the next record is: lines may hold several.
    step: u64,
    /// Whether there was a list at all, if only an empty one.
    found: bool,
}

impl<'w, 's, S: Sink> Walk<'w, 's, S> {
    fn new(rows: &'w mut Tally<'s, S>, layout: &'w Layout, step: u64) -> Self {
        Self { rows, layout, names: Names { layout, known: Vec::new() }, number: 0, step, found: false }
    }

    fn value(&mut self, text: &str, path: &[&str], root: bool) -> Result<(), serde_json::Error> {
        let mut document = serde_json::Deserializer::from_str(text);
        Node { walk: self, path, root }.deserialize(&mut document)?;
        document.end()
    }

    fn record(&mut self, values: &[(Role, Cow<'_, str>)], root: bool) {
        let mut row = Values::default();
        for (role, value) in values {
            row.set(*role, value);
        }
        let names_address = row.get(Role::Address).or(row.get(Role::First)).is_some();
        // Lists of a record a line describe themselves in one of them.
        let describes_list = row.get(Role::Threat) == Some("metadata");
        self.number += self.step;
        if names_address || !(root || describes_list) {
            self.found = true;
            row.put(self.number, self.layout.least, self.rows);
        }
    }
}

/// What a key is for.
#[derive(Clone, Copy)]
enum Key {
    List,
    Value(Role),
    Other,
}

/// The keys met so far: a list has a dozen and repeats them a million times.
struct Names<'l> {
    layout: &'l Layout,
    known: Vec<(String, Key)>,
}

impl Names<'_> {
    const MOST: usize = 64;

    fn key(&mut self, name: &str) -> Key {
        if let Some((_, key)) = self.known.iter().find(|(known, _)| known == name) {
            return *key;
        }
        let key = match self.layout.role_of(name) {
            _ if LISTS.contains(&name) => Key::List,
            Some(role) => Key::Value(role),
            None => Key::Other,
        };
        if self.known.len() < Self::MOST {
            self.known.push((name.to_owned(), key));
        }
        key
    }
}

impl<'de> DeserializeSeed<'de> for &mut Names<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Key, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut Names<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(self.key(name))
    }
}

/// One value of the document, on its way to the values of the list or one of them.
struct Node<'n, 'w, 's, S> {
    walk: &'n mut Walk<'w, 's, S>,
    /// The keys still to follow.
    path: &'n [&'n str],
    /// Whether this may be what the list is wrapped in.
    root: bool,
}

impl<'de, S: Sink> DeserializeSeed<'de> for Node<'_, '_, '_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for Node<'_, '_, '_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.path.is_empty() {
            self.walk.found = true;
            self.walk.number += self.walk.step;
            let mut values = Values::default();
            values.set(Role::Address, text);
            values.put(self.walk.number, None, self.walk.rows);
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        self.walk.found |= self.path.is_empty();
        while array.next_element_seed(Node { walk: self.walk, path: self.path, root: false })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Some((key, rest)) = self.path.split_first() else {
            return self.visit_record(object);
        };
        while let Some(name) = object.next_key::<Cow<'de, str>>()? {
            if name == *key {
                object.next_value_seed(Node { walk: self.walk, path: rest, root: rest.is_empty() })?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<S: Sink> Node<'_, '_, '_, S> {
    /// A record, or at the root what the list is wrapped in.
    fn visit_record<'de, A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut values: Vec<(Role, Cow<'de, str>)> = Vec::new();
        let mut wrapped = false;
        while let Some(key) = object.next_key_seed(&mut self.walk.names)? {
            match key {
                Key::List if self.root => {
                    object.next_value_seed(Node { walk: self.walk, path: &[], root: false })?;
                    wrapped = true;
                }
                Key::Value(role) => {
                    values.extend(object.next_value_seed(Scalar)?.map(|value| (role, value)));
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !wrapped {
            self.walk.record(&values, self.root);
        }
        Ok(())
    }
}

/// A value that can stand in a column, as text; of anything else nothing is kept.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
