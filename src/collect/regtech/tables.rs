//! The tables of a page, read as its tags come by. Pure.
//!
//! No tree is built: that of a browser takes a hundred times the page, or, where tags are left open, the square of
//! it. Here nothing is larger than the page, and one that takes long to read is left.

use html5ever::LocalName;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::{RawKind, Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{
    BufferQueue, CharacterTokens, EndTag, StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult,
    Tokenizer,
};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// So much is read before the clock is looked at.
const PIECE: usize = 16 << 10;
/// A page is read in milliseconds; one that takes longer is made to.
const PATIENCE: Duration = Duration::from_secs(2);
/// More of a text is not kept, in bytes.
const LONGEST: usize = 4 << 10;
/// More cells, names or links of a line are not looked at.
const WIDEST: usize = 64;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The tables, in the order of their ends; those that hold others end where the others begin.
    pub(super) tables: Vec<Table>,
    /// The text of the first element of the class that was asked for.
    pub(super) marked: Option<String>,
}

/// A table.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Its own title.
    pub(super) caption: String,
    /// What stands over its columns.
    pub(super) names: Vec<String>,
    /// Its lines, empty ones too.
    pub(super) lines: Vec<Line>,
}

/// A line of a table.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The texts of its cells.
    pub(super) cells: Vec<String>,
    /// Where its links lead.
    pub(super) links: Vec<String>,
}

/// Reads the tables of a page, and the text of the first element of class `mark`; `None`: it takes too long.
pub(super) fn read(html: &str, mark: &str) -> Option<Read> {
    let reader = Reader(RefCell::new(State { mark: mark.to_owned(), ..State::default() }));
    let (tokenizer, began) = (Tokenizer::new(reader, Default::default()), Instant::now());
    let mut rest = html;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(PIECE));
        let input = BufferQueue::default();
        input.push_back(StrTendril::from_slice(piece));
        // It stops at the end of each script, as if there were one to be run.
        while !input.is_empty() {
            let _ = tokenizer.feed(&input);
        }
        if began.elapsed() > PATIENCE {
            return None;
        }
        rest = more;
    }
    tokenizer.end();
    let mut state = tokenizer.sink.0.into_inner();
    state.end_table();
    Some(state.read)
}

struct Reader(RefCell<State>);

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.0.borrow_mut();
        match token {
            TagToken(tag) if tag.kind == StartTag => {
                state.begin(&tag);
                return raw(&tag.name).map_or(TokenSinkResult::Continue, TokenSinkResult::RawData);
            }
            TagToken(Tag { kind: EndTag, name, .. }) => state.end(&name),
            CharacterTokens(text) => state.text(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// How the inside of an element is read that holds no tags.
fn raw(name: &str) -> Option<RawKind> {
    match name {
        "script" => Some(ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => Some(Rawtext),
        "textarea" | "title" => Some(Rcdata),
        _ => None,
    }
}

/// Where a text belongs.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Nowhere,
    Caption,
    Name,
    Cell,
}

#[derive(Default)]
struct State {
    read: Read,
    table: Option<Table>,
    place: Place,
    mark: String,
    /// The element whose text is the marked one, until it ends.
    marked: Option<LocalName>,
}

impl State {
    fn begin(&mut self, tag: &Tag) {
        let value = |name: &str| tag.attrs.iter().find(|it| &*it.name.local == name).map(|it| &*it.value);
        let is_marked =
            value("class").is_some_and(|all| all.split_whitespace().any(|class| class == self.mark));
        if is_marked && self.read.marked.is_none() {
            (self.read.marked, self.marked) = (Some(String::new()), Some(tag.name.clone()));
        }
        if &*tag.name == "table" {
            self.end_table();
            self.table = Some(Table::default());
        }
        let Some(table) = &mut self.table else { return };
        match (&*tag.name, table.lines.last_mut()) {
            ("caption", _) => self.place = Place::Caption,
            ("th", _) if table.names.len() < WIDEST => {
                table.names.push(String::new());
                self.place = Place::Name;
            }
            ("tr", _) => {
                table.lines.push(Line::default());
                self.place = Place::Nowhere;
            }
            ("td", Some(line)) if line.cells.len() < WIDEST => {
                line.cells.push(String::new());
                self.place = Place::Cell;
            }
            ("td" | "th", _) => self.place = Place::Nowhere,
            ("a", Some(line)) if line.links.len() < WIDEST => {
                line.links
                    .extend(value("href").map(|link| link[..link.floor_char_boundary(LONGEST)].to_owned()));
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &LocalName) {
        if self.marked.as_ref() == Some(name) {
            self.marked = None;
        }
        match &**name {
            "table" => self.end_table(),
            "caption" | "th" | "td" | "tr" => self.place = Place::Nowhere,
            _ => {}
        }
    }

    fn end_table(&mut self) {
        self.read.tables.extend(self.table.take());
        self.place = Place::Nowhere;
    }

    fn text(&mut self, text: &str) {
        if let (Some(_), Some(marked)) = (&self.marked, &mut self.read.marked) {
            push(marked, text);
        }
        let Some(table) = &mut self.table else { return };
        let of = match self.place {
            Place::Nowhere => None,
            Place::Caption => Some(&mut table.caption),
            Place::Name => table.names.last_mut(),
            Place::Cell => table.lines.last_mut().and_then(|line| line.cells.last_mut()),
        };
        of.into_iter().for_each(|of| push(of, text));
    }
}

fn push(of: &mut String, text: &str) {
    let room = LONGEST.saturating_sub(of.len());
    of.push_str(&text[..text.floor_char_boundary(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_whether_their_tags_are_closed_or_not() {
        let html = "<style><table></style><script>'<table>'</script><b class='a total x'>7<i>8</i></b>9\
            <table><tr><td>outer<table><caption>T</caption><tr><th>A<th>B<tr><td>1 &amp; 2<td><a href='x'>3</a>\
            </table></table>";
        let read = read(html, "total").unwrap();
        assert_eq!((read.marked.as_deref(), read.tables.len()), (Some("78"), 2));
        let table = &read.tables[1];
        assert_eq!((table.caption.as_str(), &table.names[..]), ("T", &["A".to_owned(), "B".to_owned()][..]));
        assert_eq!(
            (&table.lines[1].cells[..], &table.lines[1].links[..]),
            (&["1 & 2".to_owned(), "3".to_owned()][..], &["x".to_owned()][..])
        );
    }

    #[test]
    fn a_page_that_is_made_to_take_long_or_much_is_read_soon_or_left() {
        let began = Instant::now();
        let open: String = (0..60_000).map(|n| format!("<b a={n}><p>")).collect();
        assert_eq!(
            read(&open, "x").unwrap().tables.len(),
            0,
            "a browser would make billions of elements of it"
        );
        let attributes: String = (0..400_000).map(|n| format!(" a{n}")).collect();
        let _ = read(&format!("<p{attributes}>"), "x");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
