//! Lists in pages: how many rows are asked for, and where the page before ended.
//!
//! It must not know what is listed.

use crate::disk::{hex, unhex};
use crate::web::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// Rows of a page unless told otherwise, and at most.
const LIMIT: usize = 100;
const MOST: usize = 10_000;
/// Rows of a page of what is read from the disk, at most.
const MOST_NUMBERED: usize = 1_000;

/// A cursor: what names the last row of a page, in digits that are nobody's business but ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Opaque<K>(pub(super) K);

impl<K: Serialize> Opaque<K> {
    /// The cursor as answers and parameters carry it.
    pub(super) fn text(&self) -> String {
        // Keys are numbers and texts, and those serialize always.
        hex(&serde_json::to_vec(&self.0).unwrap_or_default())
    }
}

impl<K: Serialize> Serialize for Opaque<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Opaque<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = unhex(&text).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        key.map(Self).ok_or_else(|| D::Error::custom("this is no cursor of ours"))
    }
}

impl<K> JsonSchema for Opaque<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Where the next page begins; only ours are understood." })
    }
}

/// The number of rows asked for, `usual` unless told otherwise.
///
/// # Errors
/// 400 for none and for more than `most`.
pub(super) fn limit(asked: Option<usize>, usual: usize, most: usize) -> Result<usize, Problem> {
    match asked.unwrap_or(usual) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(Problem::bad_request("query", format!("limit must be 1 to {most}."))),
    }
}

/// The parameters of a book whose rows are numbered: the newest come first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Newest {
    limit: Option<usize>,
    cursor: Option<Opaque<u64>>,
}

/// A row of such a book.
#[derive(Serialize, JsonSchema)]
pub(super) struct Numbered<T> {
    number: u64,
    #[serde(flatten)]
    row: T,
}

/// A page of it.
#[derive(Serialize, JsonSchema)]
pub(super) struct NumberedPage<T> {
    status: &'static str,
    data: Vec<Numbered<T>>,
    total: u64,
    cursor: Option<Opaque<u64>>,
}

impl Newest {
    /// The page that is asked for, of `usual` rows unless told otherwise. `read` gives up to so many rows below a number,
    /// the highest first, and how many there are in all.
    ///
    /// # Errors
    /// As [`limit`], and what `read` fails with.
    pub(super) fn page<T>(
        self,
        usual: usize,
        read: impl FnOnce(Option<u64>, usize) -> Result<(Vec<(u64, T)>, u64), Problem>,
    ) -> Result<NumberedPage<T>, Problem> {
        let limit = limit(self.limit, usual, MOST_NUMBERED)?;
        let (mut rows, total) = read(self.cursor.map(|Opaque(number)| number), limit + 1)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let cursor = rows.last().filter(|_| more).map(|(number, _)| Opaque(*number));
        let data = rows.into_iter().map(|(number, row)| Numbered { number, row }).collect();
        Ok(NumberedPage { status: "success", data, total, cursor })
    }
}

/// The parameters of a list that is in memory.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "K: DeserializeOwned")]
pub(super) struct Paging<K> {
    pub(super) limit: Option<usize>,
    pub(super) cursor: Option<Opaque<K>>,
}

/// A page of such a list.
#[derive(Serialize, JsonSchema)]
#[serde(bound = "T: Serialize, K: Serialize")]
pub(super) struct Page<T, K> {
    status: &'static str,
    data: Vec<T>,
    /// Rows in all.
    total: usize,
    /// What to ask for the next page with; none on the last.
    cursor: Option<Opaque<K>>,
    generation: u64,
}

impl<K: Ord> Paging<K> {
    /// The page of `rows` that was asked for, by `key`, which no two share: what comes or goes between two
    /// pages moves no other row.
    ///
    /// # Errors
    /// 400 for a limit that is none.
    pub(super) fn page<T>(
        self,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> K,
        generation: u64,
    ) -> Result<Page<T, K>, Problem> {
        rows.sort_by_key(&key);
        let limit = limit(self.limit, LIMIT, MOST)?;
        let total = rows.len();
        let begin = self.cursor.map_or(0, |Opaque(after)| rows.partition_point(|row| key(row) <= after));
        let more = total - begin > limit;
        let data: Vec<T> = rows.into_iter().skip(begin).take(limit).collect();
        let cursor = data.last().filter(|_| more).map(|last| Opaque(key(last)));
        Ok(Page { status: "success", data, total, cursor, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: Option<usize>, after: Option<u32>) -> Result<Page<u32, u32>, Problem> {
        Paging { limit, cursor: after.map(Opaque) }.page(vec![7, 1, 3, 5], |row| *row, 1)
    }

    #[test]
    fn pages_follow_each_other_whatever_was_removed_between() {
        let first = page(Some(2), None).unwrap();
        assert_eq!((first.data, first.total, first.cursor), (vec![1, 3], 4, Some(Opaque(3))));
        let rest = page(Some(2), Some(4)).unwrap();
        assert_eq!((rest.data, rest.cursor), (vec![5, 7], None));
    }

    #[test]
    fn a_page_of_nothing_and_one_of_everything_are_refused() {
        assert_eq!(page(Some(0), None).err().unwrap().code(), "query");
        assert_eq!(page(Some(MOST + 1), None).err().unwrap().code(), "query");
    }

    #[test]
    fn a_cursor_reads_back_and_no_other_text_does() {
        let text = serde_json::to_string(&Opaque((7_u8, "x"))).unwrap();
        assert_eq!(serde_json::from_str::<Opaque<(u8, String)>>(&text).unwrap().0, (7, "x".to_owned()));
        for wrong in ["\"\"", "\"7\"", "\"zz\"", "\"5b\"", "\"é\""] {
            assert!(serde_json::from_str::<Opaque<u8>>(wrong).is_err(), "{wrong}");
        }
    }
}
