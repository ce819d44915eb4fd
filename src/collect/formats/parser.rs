//! What an operator may say about a source's form, as it is written in a configuration or an API's body.

use super::layout::{Column, Layout, Separator};
use super::role::Role;
use super::{Format, Options};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How to read a source's list, where it does not explain itself. Nothing needs to be said.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parser {
    /// What the list is written in.
    pub format: Format,
    /// For tables: what stands between columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<Separator>,
    /// For tables and workbooks: whether the first record names the columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Which column, or JSON key, holds what.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<Role, Column>,
    /// What begins a comment, in place of `#`, `;` and `//`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<Vec<String>>,
    /// For JSON: where the values are, as keys between dots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// For workbooks: the sheet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Rows that count for less are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Minimum>,
}

/// A column of numbers, and the least of them that is enough.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Minimum {
    /// Where the number stands.
    pub column: Column,
    /// The least that is taken.
    pub least: u64,
}

/// Settings that contradict each other.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadParser {
    /// A setting that means nothing in this format.
    #[error("{setting} means nothing for the format {format}; leave one of both out")]
    Useless {
        /// The setting.
        setting: &'static str,
        /// The format.
        format: Format,
    },
    /// Columns by name where nothing names them.
    #[error("columns have no names without a header; give their numbers, or leave header out")]
    NoNames,
    /// JSON keys have no numbers.
    #[error("JSON has no numbered columns; give the names of keys")]
    NoNumbers,
    /// A range with one end.
    #[error("a range needs both columns, first and last")]
    HalfRange,
    /// A mark or a key without characters.
    #[error("{0} holds an empty text")]
    Empty(&'static str),
}

impl Parser {
    /// The options for reading; limits and the reader of workbooks are the caller's.
    ///
    /// # Errors
    /// The settings contradict each other.
    pub fn options(&self) -> Result<Options, BadParser> {
        self.check()?;
        let told = self.columns.iter().map(|(role, column)| (*role, column.clone()));
        let counted = self.minimum.iter().map(|minimum| (Role::Count, minimum.column.clone()));
        let mut layout = Layout {
            columns: told.chain(counted).collect(),
            header: self.header,
            separator: self.separator,
            least: self.minimum.as_ref().map(|minimum| minimum.least),
            ..Layout::default()
        };
        if let Some(marks) = &self.comments {
            layout.comments.clone_from(marks);
        }
        let (path, sheet) = (self.path.clone(), self.sheet.clone());
        Ok(Options { format: self.format, path, sheet, layout, ..Options::default() })
    }

    fn check(&self) -> Result<(), BadParser> {
        let format = self.format;
        let (text, json) = (matches!(format, Format::Csv | Format::Tsv), is_json(format));
        let book = matches!(format, Format::Xlsx | Format::Xls);
        let table = self.header.is_some() || !self.columns.is_empty() || self.minimum.is_some();
        let useless = [
            ("separator", self.separator.is_some(), text),
            ("header", self.header.is_some(), text || book),
            ("a column", table, text || book || json),
            ("path", self.path.is_some(), json),
            ("sheet", self.sheet.is_some(), book),
            ("a comment mark", self.comments.is_some(), !json && !book),
        ];
        let wrong = |(_, said, fits): &(_, bool, bool)| *said && !fits && format != Format::Auto;
        if let Some((setting, ..)) = useless.into_iter().find(wrong) {
            return Err(BadParser::Useless { setting, format });
        }
        let columns = || self.columns.values().chain(self.minimum.iter().map(|minimum| &minimum.column));
        if self.header == Some(false) && columns().any(|column| matches!(column, Column::Name(_))) {
            return Err(BadParser::NoNames);
        }
        if (json || self.path.is_some()) && columns().any(|column| matches!(column, Column::At(_))) {
            return Err(BadParser::NoNumbers);
        }
        if self.columns.contains_key(&Role::First) != self.columns.contains_key(&Role::Last) {
            return Err(BadParser::HalfRange);
        }
        match (&self.comments, &self.path) {
            (Some(marks), _) if marks.iter().any(String::is_empty) => Err(BadParser::Empty("comments")),
            (_, Some(path)) if path.split('.').any(str::is_empty) => Err(BadParser::Empty("path")),
            _ => Ok(()),
        }
    }
}

fn is_json(format: Format) -> bool {
    matches!(format, Format::Json | Format::Ndjson)
}

#[cfg(test)]
mod tests {
    use super::super::tests::read_with;
    use super::super::unpack::tests::gzip;
    use super::*;

    fn parser(text: &str) -> Parser {
        toml::from_str(text).unwrap()
    }

    /// Reads with these settings and expects the rows, and nothing rejected.
    #[track_caller]
    fn reads(settings: &str, input: impl AsRef<[u8]>, rows: &[&str]) {
        let (_, read) = read_with(input, &parser(settings).options().unwrap()).unwrap();
        assert_eq!(read.rejected, Vec::<String>::new(), "{settings}");
        assert_eq!(read.rows, rows, "{settings}");
    }

    #[test]
    fn columns_are_told_by_number() {
        reads("columns = { address = 2 }", "a,192.0.2.1\nb,192.0.2.2\n", &["1: 192.0.2.1", "2: 192.0.2.2"]);
        // Two columns of addresses, of which the second is meant; and a heading that is no header.
        let text = "Our list of today\n192.0.2.1;192.0.2.9;KR;why not\n";
        let expected = ["2: 192.0.2.9 reason=why not country=KR"];
        reads("columns = { address = 2, country = 3, reason = 4 }", text, &expected);
        reads("columns = { first = 1, last = 2 }", text, &["2: 192.0.2.1-192.0.2.9"]);
    }

    #[test]
    fn columns_are_told_by_name() {
        let text = "when,victim,attacker\n2026-11-22,192.0.2.1,192.0.2.9\n";
        reads("columns = { address = \"attacker\" }", text, &["2: 192.0.2.9"]);
        let named = "columns = { address = \"attacker\", detected = \"when\" }";
        reads(named, text, &["2: 192.0.2.9 detected=2026-11-22"]);
        // What is told takes the place of what a name would mean.
        let known = "ip,real\n192.0.2.1,192.0.2.9\n";
        reads("columns = { address = \"real\" }", known, &["2: 192.0.2.9"]);
        let missing = parser("columns = { address = \"nowhere\" }").options().unwrap();
        assert_eq!(read_with(text, &missing).map(|_| ()).unwrap_err().code(), "no_address_column");
    }

    #[test]
    fn a_header_is_there_or_not_as_is_said() {
        let text = "host,seen\n192.0.2.1,today\n";
        reads("header = true\ncolumns = { address = 1 }", text, &["2: 192.0.2.1"]);
        let text = "ip,192.0.2.8\n192.0.2.1,192.0.2.9\n";
        reads("header = true", text, &["2: 192.0.2.1"]);
        reads("header = false\ncolumns = { address = 2 }", text, &["1: 192.0.2.8", "2: 192.0.2.9"]);
    }

    #[test]
    fn separators_are_told() {
        reads(
            "separator = \"#\"\ncolumns = { address = 1, threat = 4, country = 5 }",
            "192.0.2.1#4#2#Malicious Host;Scanning Host#US#Ashburn#39.04,-77.48#3;2\n",
            &["1: 192.0.2.1 threat=Malicious Host;Scanning Host country=US"],
        );
        reads(
            "separator = \"blanks\"\ncolumns = { address = 1, country = 3 }",
            "192.0.2.1   443\tDE\n",
            &["1: 192.0.2.1 country=DE"],
        );
        reads("separator = \"tab\"\ncolumns = { address = 2 }", "x, y\t192.0.2.1\n", &["1: 192.0.2.1"]);
        reads("separator = \"^\"", "x^192.0.2.1\n", &["1: 192.0.2.1"]);
    }

    #[test]
    fn comment_marks_are_told() {
        reads(
            "comments = [\"!\", \"--\"]",
            "! a list\n192.0.2.1 -- why\n-- 192.0.2.2\n#1 Corp:192.0.2.4-192.0.2.5\n",
            &["2: 192.0.2.1 reason=why", "4: 192.0.2.4/31 reason=#1 Corp"],
        );
    }

    #[test]
    fn rows_that_count_for_too_little_are_left_out() {
        let text = "# ip\tnumber\n192.0.2.1\t10\n192.0.2.2\t3\n192.0.2.3\t2\n";
        let settings = "columns = { address = 1 }\nminimum = { column = 2, least = 3 }";
        reads(settings, text, &["2: 192.0.2.1", "3: 192.0.2.2"]);
        let json = r#"{"data":[{"ip":"192.0.2.1","hits":9},{"ip":"192.0.2.2","hits":1}]}"#;
        reads("minimum = { column = \"hits\", least = 5 }", json, &["1: 192.0.2.1"]);
        let options = parser(settings).options().unwrap();
        let (_, read) = read_with("192.0.2.1\tmany\n192.0.2.2\t9\n", &options).unwrap();
        assert_eq!((read.rejected, read.rows.len()), (vec!["1: malformed".to_owned()], 1));
    }

    #[test]
    fn json_is_read_by_path_and_key() {
        let text = r#"{"a":{"rows":[{"ip":"192.0.2.1","host":"192.0.2.9","remark":"scan"}]}}"#;
        reads("path = \"a.rows\"", text, &["1: 192.0.2.1"]);
        reads(
            "path = \"a.rows\"\ncolumns = { address = \"host\", reason = \"remark\" }",
            text,
            &["1: 192.0.2.9 reason=scan"],
        );
        reads(
            "columns = { address = \"host\" }",
            "{\"host\":\"192.0.2.1\"}\n{\"host\":\"192.0.2.2\"}\n",
            &["1: 192.0.2.1", "2: 192.0.2.2"],
        );
        reads("columns = { address = 2 }", gzip(b"a,192.0.2.1\n"), &["1: 192.0.2.1"]);
    }

    #[test]
    fn a_mostly_bad_file_gives_its_good_lines_to_who_has_consented() {
        let text = "one line of prose\n".repeat(40) + "192.0.2.1\n";
        let options = parser("").options().unwrap();
        assert_eq!(read_with(&text, &options).map(|_| ()).unwrap_err().code(), "mostly_bad");
        let (_, read) = read_with(&text, &Options { tolerant: true, ..options }).unwrap();
        assert_eq!((read.rows.len(), read.rejected.len()), (1, 40));
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        for (settings, part) in [
            ("format = \"plain\"\nseparator = \",\"", "separator means nothing"),
            ("format = \"json\"\nheader = true", "header means nothing"),
            ("format = \"csv\"\npath = \"a\"", "path means nothing"),
            ("format = \"csv\"\nsheet = \"a\"", "sheet means nothing"),
            ("format = \"xlsx\"\ncomments = [\"#\"]", "comment mark means nothing"),
            ("format = \"plain\"\ncolumns = { address = 1 }", "a column means nothing"),
            ("header = false\ncolumns = { address = \"ip\" }", "no names"),
            ("format = \"json\"\ncolumns = { address = 1 }", "no numbered"),
            ("columns = { first = 1 }", "both columns"),
            ("comments = [\"\"]", "comments holds an empty"),
            ("path = \"a..b\"", "path holds an empty"),
        ] {
            let error = parser(settings).options().unwrap_err().to_string();
            assert!(error.contains(part), "{settings}: {error}");
        }
    }

    #[test]
    fn what_is_mistyped_is_named() {
        for (settings, part) in [
            ("columns = { adress = 1 }", "unknown variant `adress`"),
            ("columns = { address = 0 }", "a column's name, or its number from 1"),
            ("columns = { address = -1 }", "a column's name, or its number from 1"),
            ("columns = { address = true }", "a column's name, or its number from 1"),
            ("separator = \"abc\"", "separates nothing"),
            ("separator = \".\"", "separates nothing"),
            ("colums = {}", "unknown field `colums`"),
            ("minimum = { column = 1 }", "missing field `least`"),
            ("format = \"word\"", "unknown variant `word`"),
        ] {
            let error = toml::from_str::<Parser>(settings).unwrap_err().to_string();
            assert!(error.contains(part), "{settings}: {error}");
        }
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let text = "format = \"csv\"\nseparator = \"tab\"\nheader = false\ncomments = [\"!\"]\n\
                    columns = { address = 2, reason = 5 }\nminimum = { column = 3, least = 2 }\n";
        let settings = parser(text);
        assert_eq!(parser(&toml::to_string(&settings).unwrap()), settings);
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Parser>(&json).unwrap(), settings);
        assert_eq!(Parser::default(), parser(""));
    }
}
