//! Which document of which feed a path names: pure but for the look at what feeds there are.

use crate::model::{Document, Profile};
use crate::publish::{ALL_PARTS, Feed, Feeds, formats};
use std::borrow::Cow;
use std::sync::Arc;

/// A document that a path names.
pub(super) struct Named {
    pub(super) feed: Arc<Feed>,
    /// What the feed was when it was named.
    pub(super) profile: Arc<Profile>,
    /// 1 to the number of the feed's parts, or [`ALL_PARTS`].
    pub(super) part: u16,
    pub(super) document: Document,
}

impl Named {
    /// What it is called where pulls are noted.
    pub(super) fn label(&self) -> Cow<'_, str> {
        let (list, profile) = (Document::List(self.profile.format), &self.profile);
        let name = profile.name.as_str();
        match (self.part, self.document) {
            (part, document) if document == list && (part == ALL_PARTS || profile.parts == 1) => name.into(),
            (part, document) if document == list => format!("{name}/{part}").into(),
            (_, document) => format!("{name}/{}", formats::file_name(document, name)).into(),
        }
    }
}

/// Without a part the whole is meant, so that a feed may be cut without its readers' knowing.
///
/// `NAME`, `NAME.txt`, `NAME/PART`, `NAME/PART.txt`, or `NAME/` and the file of another document (`manifest.json`).
/// Some readers insist on how an address ends, so `.txt` and the format's own ending may follow.
pub(super) fn named(feeds: &Feeds, rest: &str) -> Option<Named> {
    let slash = memchr::memchr(b'/', rest.as_bytes());
    let (name, file) = slash.map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 1..])));
    let (feed, ending) = with_ending(feeds, name)?;
    let profile = feed.profile();
    let (part, document) = match (file, ending) {
        (None, ending) => (ALL_PARTS, ending_names(&profile, ending)?),
        (Some(file), None) => inside(&profile, file)?,
        (Some(_), Some(_)) => return None,
    };
    (document.format() == profile.format).then_some(Named { feed, profile, part, document })
}

/// A name may hold dots, so the whole counts first.
fn with_ending<'n>(feeds: &Feeds, name: &'n str) -> Option<(Arc<Feed>, Option<&'n str>)> {
    if let Some(feed) = feeds.get(name) {
        return Some((feed, None));
    }
    let (name, ending) = name.rsplit_once('.')?;
    feeds.get(name).map(|feed| (feed, Some(ending)))
}

fn ending_names(profile: &Profile, ending: Option<&str>) -> Option<Document> {
    let list = Document::List(profile.format);
    let Some(ending) = ending else { return Some(list) };
    if ending == "txt" || ending == profile.format.extension() {
        return Some(list);
    }
    let file = format!("{}.{ending}", profile.name);
    profile.format.documents().find(|document| formats::file_name(*document, profile.name.as_str()) == file)
}

fn inside(profile: &Profile, file: &str) -> Option<(u16, Document)> {
    let (number, ending) = match file.split_once('.') {
        Some((number, ending)) => (number, Some(ending)),
        None => (file, None),
    };
    // A part has one path: `01` and `+1` are none.
    let is_number = |part: &u16| part.to_string() == number;
    if let Some(part) = number.parse().ok().filter(is_number) {
        return (1..=profile.parts).contains(&part).then_some((part, ending_names(profile, ending)?));
    }
    let is_named = |document: &Document| formats::file_name(*document, profile.name.as_str()) == file;
    profile.format.documents().find(is_named).map(|document| (ALL_PARTS, document))
}
