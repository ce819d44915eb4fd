//! The list as HTML pages. Pure: a page's text in, its rows out.

use super::tables::{self, Line, Table};
use serde::Serialize;

/// The table's own title.
const CAPTION: &str = "요주의IP목록";
/// The class of what says how many rows there are.
const TOTAL: &str = "total_num";
/// What opens a record: its first argument is the record's id.
const OPEN: &str = "goView(";

/// A row as the page shows it. Its names are those that the reader of lists knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Row {
    /// The address, not yet read.
    pub ip: String,
    /// Two letters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub country: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The day of listing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listed: String,
    /// The day of release.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expires: String,
    /// The record's id on the portal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uuid: String,
}

impl Row {
    /// What tells rows apart.
    pub fn key(&self) -> String {
        match self.uuid.as_str() {
            "" => format!("{} {} {}", self.ip, self.listed, self.reason),
            uuid => uuid.to_owned(),
        }
    }
}

/// A page of the list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// Its rows; none: the list has ended.
    pub rows: Vec<Row>,
    /// How many rows the portal counts on all pages.
    pub total: Option<u64>,
}

/// Reads a page; `None`: it does not hold the list, whatever else it is.
pub fn page(html: &str) -> Option<Page> {
    let read = tables::read(html, TOTAL)?;
    let is_list = |table: &&Table| squeezed(&table.caption).contains(CAPTION);
    let table = read.tables.iter().find(is_list)?;
    let columns = Columns::of(table)?;
    let rows = table.lines.iter().filter_map(|line| columns.row(line)).collect();
    Some(Page { rows, total: read.marked.as_deref().and_then(number) })
}

/// The same rows as a list that can be read again: a JSON value a line. No rows are an empty array,
/// since an empty file would be no list.
pub fn ndjson(rows: &[Row]) -> Vec<u8> {
    if rows.is_empty() {
        return b"[]\n".to_vec();
    }
    let mut lines = Vec::new();
    for row in rows {
        // Texts alone: neither they nor the memory behind them can refuse to be written.
        if serde_json::to_writer(&mut lines, row).is_ok() {
            lines.push(b'\n');
        }
    }
    lines
}

/// Where the columns are, by the names over them.
struct Columns {
    count: usize,
    ip: usize,
    country: Option<usize>,
    reason: Option<usize>,
    listed: Option<usize>,
    expires: Option<usize>,
}

impl Columns {
    fn of(table: &Table) -> Option<Self> {
        let names: Vec<String> = table.names.iter().map(|name| squeezed(name)).collect();
        let at = |name: &str| names.iter().position(|known| known == name);
        let (country, reason) = (at("국가"), at("등록사유"));
        let (listed, expires) = (at("등록일"), at("해제일"));
        Some(Self { count: names.len(), ip: at("IP")?, country, reason, listed, expires })
    }

    /// A row of the list; a line that says that there is nothing is none.
    fn row(&self, Line { cells, links }: &Line) -> Option<Row> {
        if cells.is_empty() || (cells.len() < 2 && self.count > 1) {
            return None;
        }
        let text =
            |at: Option<usize>| at.and_then(|at| cells.get(at)).map(|text| shown(text)).unwrap_or_default();
        Some(Row {
            ip: text(Some(self.ip)),
            country: text(self.country),
            reason: text(self.reason),
            listed: text(self.listed),
            expires: text(self.expires),
            uuid: links.iter().find_map(|link| id(link)).unwrap_or_default(),
        })
    }
}

/// The id in `javascript:goView('<id>','blacklist')`.
fn id(link: &str) -> Option<String> {
    let (_, arguments) = link.split_once(OPEN)?;
    let first = arguments.trim_start();
    let quote = first.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (id, _) = first[1..].split_once(quote)?;
    (!id.is_empty() && id.len() <= 64).then(|| id.to_owned())
}

/// The number in `총  130,144  건`.
fn number(total: &str) -> Option<u64> {
    let digits: String = total.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The text with single blanks.
fn shown(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text without blanks.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = r#"
        <!DOCTYPE html><table><caption>보안권고문 목록</caption><tr><td>1.1.1.1</td></tr></table>
        <span class="total_num">총 <em> 130,144 </em> 건</span>
        <table><caption>요주의 IP 목록</caption>
        <thead><tr><th>IP</th><th>국가</th><th>등록 사유</th><th>등록일</th><th>해제일</th><th>조회수</th></tr></thead>
        <tbody><tr><td> 203.0.113.7 </td><td>CN</td>
        <td><a href="javascript:goView(&#39;9f1c-1&#39;,'blacklist')">SSH &amp;
          공격 탐지</a></td><td>2026-06-01</td><td>2026-09-01</td><td>3</td></tr></tbody></table>"#;

    fn row() -> Row {
        Row {
            ip: "203.0.113.7".to_owned(),
            country: "CN".to_owned(),
            reason: "SSH & 공격 탐지".to_owned(),
            listed: "2026-06-01".to_owned(),
            expires: "2026-09-01".to_owned(),
            uuid: "9f1c-1".to_owned(),
        }
    }

    #[test]
    fn rows_are_read_by_the_names_of_the_columns() {
        assert_eq!(page(HTML), Some(Page { rows: vec![row()], total: Some(130_144) }));
        let swapped = HTML.replace("<th>IP</th><th>국가</th>", "<th>국가</th><th>IP</th>");
        assert_eq!(page(&swapped).unwrap().rows[0].ip, "CN");
    }

    #[test]
    fn an_empty_list_is_a_list_and_a_page_without_the_table_is_none() {
        let start = HTML.find("<tr><td> 203").unwrap();
        let empty = format!(
            "{}<tr><td colspan=6>등록된 데이터가 없습니다.</td></tr></tbody></table>",
            &HTML[..start]
        );
        assert_eq!(page(&empty).unwrap().rows, []);
        assert_eq!(page(&HTML.replace("요주의 IP 목록", "공지")), None);
        assert_eq!(page(&HTML.replace("<th>IP</th>", "")), None);
        assert_eq!(page(""), None);
    }

    #[test]
    fn rows_without_an_id_are_told_apart_by_what_they_say() {
        let page = page(&HTML.replace("goView", "other")).unwrap();
        assert_eq!(
            (page.rows[0].uuid.as_str(), page.rows[0].key().as_str()),
            ("", "203.0.113.7 2026-06-01 SSH & 공격 탐지")
        );
        assert_eq!(row().key(), "9f1c-1");
    }

    #[test]
    fn a_window_without_rows_is_written_as_a_list_that_can_be_read() {
        use crate::collect::formats::Options;
        use crate::collect::{Terms, read};
        let terms = Terms::new(Default::default(), &Default::default());
        let intake = read(&ndjson(&[]), &Options::default(), &terms).unwrap();
        assert_eq!((intake.read, intake.rejected), (0, 0));
    }

    #[test]
    fn rows_are_written_as_the_reader_of_lists_knows_them() {
        use crate::collect::formats::Options;
        use crate::collect::{Terms, read};
        let terms = Terms::new(Default::default(), &Default::default());
        let intake = read(&ndjson(&[row()]), &Options::default(), &terms).unwrap();
        let (range, detail) = intake.rows.iter().next().unwrap();
        assert_eq!(range.to_string(), "203.0.113.7");
        assert_eq!(
            (detail.reason.as_deref(), detail.upstream_id.as_deref()),
            (Some("SSH & 공격 탐지"), Some("9f1c-1"))
        );
        assert_eq!(detail.listed.unwrap().to_string(), "2026-06-01");
        assert_eq!(detail.expires.unwrap().to_string(), "2026-09-01T15:00:00Z");
    }
}
