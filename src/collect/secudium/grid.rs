//! The list of posts: the JSON that the portal's table widget is given. Pure.
//!
//! Nothing in it is an address that threatens: a title or an author may hold the poster's own.

use crate::collect::parse_day;
use crate::collect::portal::Scalar;
use crate::model::Day;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// What the button does when it is pressed.
const DOWNLOAD: &str = "download(";
/// More of a title is not kept.
const LONGEST_TITLE: usize = 200;

/// A post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Post {
    /// Its id on the portal.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The day on which it was posted: that of listing for all that its attachment lists.
    pub posted: Option<Day>,
    /// Its attachment, if there is a button for one.
    pub attachment: Option<Attachment>,
}

impl Post {
    /// What tells posts apart.
    pub fn key(&self) -> String {
        self.id.clone()
    }
}

/// A file that hangs on a post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// Its name on the server, which never changes.
    pub uuid: String,
    /// Its name for people; its extension proves nothing.
    pub name: String,
}

/// A page of the list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grid {
    /// How many posts there are on all pages.
    pub total: Option<u64>,
    /// Those of this page.
    pub posts: Vec<Post>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    total_count: Scalar,
    rows: Vec<RawRow>,
}

#[derive(Deserialize)]
struct RawRow {
    id: Scalar,
    #[serde(default)]
    data: Cells,
}

/// The cells of a row that are of use: the third, the fifth and the sixth. Of the others nothing is kept, however
/// many there are.
#[derive(Default)]
struct Cells {
    title: String,
    posted: String,
    button: String,
}

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CellsVisitor)
    }
}

struct CellsVisitor;

impl<'de> Visitor<'de> for CellsVisitor {
    type Value = Cells;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cells of a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<Cells, A::Error> {
        let mut used: [String; 6] = Default::default();
        for cell in &mut used {
            match row.next_element::<Scalar>()? {
                Some(Scalar(text)) => *cell = text,
                None => break,
            }
        }
        while row.next_element::<IgnoredAny>()?.is_some() {}
        let [_, _, title, _, posted, button] = used;
        Ok(Cells { title, posted, button })
    }
}

/// Reads a page; `None`: it is not the list, whatever else it is.
pub fn grid(json: &[u8]) -> Option<Grid> {
    let raw: Raw = serde_json::from_slice(json).ok()?;
    let posts = raw.rows.into_iter().map(post).collect::<Option<_>>()?;
    Some(Grid { total: raw.total_count.0.trim().parse().ok(), posts })
}

fn post(row: RawRow) -> Option<Post> {
    let Cells { title, posted, button } = row.data;
    let id = Some(row.id.0).filter(|id| !id.is_empty())?;
    Some(Post {
        id,
        title: title.trim().chars().take(LONGEST_TITLE).collect(),
        posted: parse_day(posted.trim()),
        attachment: attachment(button.trim()),
    })
}

/// The arguments of `download("<uuid>","<file name>")` in the button's HTML.
fn attachment(button: &str) -> Option<Attachment> {
    let button = button.replace("&quot;", "\"").replace("&#39;", "'").replace("&#34;", "\"");
    let (_, arguments) = button.split_once(DOWNLOAD)?;
    let (uuid, rest) = quoted(arguments)?;
    let (name, _) = quoted(rest.trim_start().strip_prefix(',')?)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_id = !uuid.is_empty() && uuid.len() <= 128 && uuid.chars().all(is_plain);
    is_id.then(|| Attachment { uuid: uuid.to_owned(), name: name.replace("&amp;", "&") })
}

/// A text between quotes at the beginning, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start().trim_start_matches('\\');
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (inside, rest) = text[1..].split_once(quote)?;
    Some((inside.trim_end_matches('\\'), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"total_count":2,"pos":0,"rows":[
        {"id":7412,"data":["","","06/24 Black IP 10.20.30.40","관제","2026-06-24 09:10:11",
          "<button onclick='download(\"8c1f-2a\",\"Black IP_0624.xlsx\")'>받기</button>",12,"N"],"userData":{"x":1}},
        {"id":"7411","data":["","","공지","203.0.113.5","2026-06-23 09:00:00","",1,"N"],"userData":{}}]}"#;

    #[test]
    fn posts_are_read_with_and_without_a_button() {
        let Grid { total, posts } = grid(JSON.as_bytes()).unwrap();
        assert_eq!(total, Some(2));
        let attachment = Attachment { uuid: "8c1f-2a".to_owned(), name: "Black IP_0624.xlsx".to_owned() };
        assert_eq!((posts[0].id.as_str(), posts[0].attachment.as_ref()), ("7412", Some(&attachment)));
        assert_eq!(posts[0].posted.unwrap().to_string(), "2026-06-24");
        assert_eq!((posts[1].key().as_str(), posts[1].attachment.as_ref()), ("7411", None));
    }

    #[test]
    fn a_button_is_read_however_its_quotes_are_written() {
        let wanted = Some(Attachment { uuid: "a-1".to_owned(), name: "b & c.xls".to_owned() });
        for button in [
            r#"<a href='javascript:download("a-1","b & c.xls")'>"#,
            r#"<a onclick="download('a-1', 'b &amp; c.xls');">"#,
            r#"<a onclick="download(&quot;a-1&quot;,&quot;b &amp; c.xls&quot;)">"#,
            r#"<a onclick=\"download(\"a-1\",\"b & c.xls\")\">"#,
        ] {
            assert_eq!(attachment(button), wanted, "{button}");
        }
        for none in [
            "",
            "<button>",
            "download()",
            "download(a,b)",
            "download('a')",
            "download('../x','y')",
            "download('','y')",
        ] {
            assert_eq!(attachment(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_not_the_list_is_none() {
        for wrong in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"rows":{}}"#,
            r#"{"rows":[{"id":null}]}"#,
            r#"{"response":{"error":true}}"#,
            r#"{"rows":[{"id":[1]}]}"#,
        ] {
            assert_eq!(grid(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(grid(br#"{"total_count":"0","rows":[]}"#), Some(Grid { total: Some(0), posts: vec![] }));
        assert_eq!(grid(br#"{"rows":[{"id":1}]}"#).unwrap().posts.len(), 1);
    }
}
