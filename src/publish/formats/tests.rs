//! Every format read back by a small reader of its own, and what hostile text does to it: nothing.

mod examples;
mod readers;

use super::*;
use crate::addr::{IpRange, IpSet, Range, RangeSet, Word};
use crate::model::{Families, Lines, Severity, Time};
use crate::publish::{Annotated, Entry, Facts};
use proptest::prelude::*;
use readers::read;

const NOON: Time = Time::from_unix(1_790_000_000);

/// What a stranger would write into a reason if he could choose.
const HOSTILE: [&str; 15] = [
    "=HYPERLINK(\"http://203.0.113.9\")",
    "+1+1",
    "-2",
    "@SUM(A1)",
    "\t=1",
    " =1",
    "\u{feff}=1",
    "a;=1;\"=2\";+3",
    "a\nadd list=\"x\" address=0.0.0.0/1\n0.0.0.0/1",
    "a\r\n0.0.0.0/1\u{2028}1.1.1.1\u{85}2.2.2.2",
    "\"},{\"entry\":\"0.0.0.0/1\"},{\"x\":\"",
    "\"\"\",\"0.0.0.0/1",
    "'] OR [ipv4-addr:value = '0.0.0.0'",
    "\0\u{1b}[2J</si><c/>&amp;]]>",
    "공격 시도, 차단",
];

/// A sheet's own data.
#[derive(Clone, Debug)]
struct Case {
    selection: IpSet,
    annotated: Annotated,
}

impl Case {
    fn sheet(&self, lines: Lines) -> Sheet<'_> {
        let entries = Some(&self.annotated);
        Sheet { feed: "test", generation: 7, time: NOON, lines, selection: &self.selection, entries }
    }

    /// The same with texts that nobody could take amiss.
    fn harmless(&self) -> Self {
        let mut other = self.clone();
        for facts in &mut other.annotated.facts {
            (facts.reason, facts.threat) = (facts.reason.take().map(|_| "x".into()), None);
        }
        other
    }
}

/// Cuts each range of a set at a point or not at all, and gives the pieces facts by turns.
fn cut<W: Word>(set: &RangeSet<W>, points: &[u8], facts: u32) -> Vec<Entry<W>> {
    let mut entries = Vec::new();
    for (at, range) in set.iter().enumerate() {
        let point = points.get(at % points.len().max(1)).copied().unwrap_or_default();
        let middle = W::narrow(range.first().widen().saturating_add(u128::from(point)));
        let halves = match (range.contains(middle), middle.next()) {
            (true, Some(after)) => [Range::new(range.first(), middle), Range::new(after, range.last())],
            _ => [Some(range), None],
        };
        for half in halves.into_iter().flatten() {
            entries.push(Entry { range: half, facts: (entries.len() as u32) % facts });
        }
    }
    entries
}

fn facts() -> impl Strategy<Value = Facts> {
    let text = || proptest::option::of(proptest::sample::select(&HOSTILE[..]).prop_map(Into::into));
    let time = || proptest::option::of((0_i64..4_000_000_000).prop_map(Time::from_unix));
    let severity = proptest::option::of(proptest::sample::select(&Severity::ALL[..]));
    let confidence = proptest::option::of(0_u8..=100);
    (text(), text(), severity, confidence, time(), time(), 0_usize..3).prop_map(
        |(threat, reason, severity, confidence, since, until, sources)| {
            let sources = ["alpha", "beta-2"][..sources].iter().map(|name| name.parse().unwrap()).collect();
            let country = confidence.and_then(|_| crate::model::Country::new("kr"));
            Facts { sources, threat, reason, country, severity, confidence, since, until }
        },
    )
}

/// Some ranges of both families, close together, so that they touch and nest.
fn case() -> impl Strategy<Value = Case> {
    let ranges = || proptest::collection::vec((any::<u16>(), 0_u16..40), 0..12);
    let texts = proptest::collection::vec(facts(), 1..4);
    let points = proptest::collection::vec(0_u8..30, 1..4);
    (ranges(), ranges(), 0_u32..3, texts, points).prop_map(|(v4, v6, place, facts, points)| {
        let base4 = [1 << 24, 0xc000_0200, 0xdfff_0000][place as usize];
        let base6 =
            [1_u128 << 125, 0x2001_0db8 << 96, 0x2a00_0001_0000_0000_0000_0000_0000_0000][place as usize];
        let v4 = v4
            .iter()
            .map(|&(at, len)| Range::new(base4 + u32::from(at), base4 + u32::from(at) + u32::from(len)));
        let v6 = v6
            .iter()
            .map(|&(at, len)| Range::new(base6 + u128::from(at), base6 + u128::from(at) + u128::from(len)));
        let selection = IpSet { v4: v4.map(Option::unwrap).collect(), v6: v6.map(Option::unwrap).collect() };
        let number = facts.len() as u32;
        let (v4, v6) = (cut(&selection.v4, &points, number), cut(&selection.v6, &points, number));
        Case { annotated: Annotated { v4, v6, facts }, selection }
    })
}

fn bytes(document: Document, sheet: &Sheet<'_>) -> (Vec<u8>, Counts) {
    let mut out = Vec::new();
    let counts = write(document, sheet, &mut out).unwrap();
    (out, counts)
}

fn text(document: Document, sheet: &Sheet<'_>) -> String {
    String::from_utf8(bytes(document, sheet).0).unwrap()
}

/// What of the selection the format can carry.
fn carried(format: Format, selection: &IpSet) -> IpSet {
    match format.families() {
        Families::Both => selection.clone(),
        Families::V4 => IpSet { v4: selection.v4.clone(), v6: RangeSet::EMPTY },
        Families::V6 => IpSet { v4: RangeSet::EMPTY, v6: selection.v6.clone() },
    }
}

fn agree(format: Format, lines: Lines, case: &Case) {
    let (out, counts) = bytes(Document::List(format), &case.sheet(lines));
    let entries = read(format, &out);
    let size = entries.iter().map(|range| range.size()).sum::<u128>();
    let count = entries.len() as u64;
    if lines == Lines::Addresses {
        assert!(entries.iter().all(|range| range.size() == 1), "{format} {lines:?}");
    }
    let (v4, v6) = RangeSet::of_families(entries);
    let expected = carried(format, &case.selection);
    assert_eq!(IpSet { v4, v6 }, expected, "{format} {lines:?}");
    assert_eq!(size, expected.size(), "{format} says an address twice");
    assert_eq!(counts, Counts { entries: count, addresses: size }, "{format}");
}

/// All but the workbook, which is no text and slow.
fn texts() -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(|format| *format != Format::Xlsx)
}

proptest! {
    // Each case is written and read in sixty ways.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_format_read_back_is_the_selection_as_far_as_it_can_carry_it(case in case()) {
        for format in texts() {
            for lines in format.lines() {
                agree(format, *lines, &case);
            }
        }
    }

    #[test]
    fn hostile_text_neither_adds_a_line_nor_reaches_what_cannot_quote_it(case in case()) {
        let harmless = case.harmless();
        for document in texts().flat_map(Format::documents) {
            let lines = document.format().lines()[0];
            let (ours, theirs) = (text(document, &harmless.sheet(lines)), text(document, &case.sheet(lines)));
            prop_assert_eq!(ours.lines().count(), theirs.lines().count(), "{:?}", document);
            let breaks = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
            let quotes = matches!(document.format(), Format::Json | Format::Ndjson);
            prop_assert!(quotes || !theirs.contains(breaks), "{:?}", document);
            let tells = matches!(document.format(), Format::Csv | Format::Json | Format::Ndjson | Format::Stix | Format::Misp);
            prop_assert!(tells || ours == theirs, "{:?}", document);
        }
    }

    #[test]
    fn no_cell_of_a_table_is_a_formula_also_where_semicolons_part_cells(case in case()) {
        let table = text(Document::List(Format::Csv), &case.sheet(Lines::Cidrs));
        let formula = |cell: &str| cell.trim_start_matches([' ', '\u{feff}']).starts_with(['=', '+', '-', '@']);
        for line in table.lines() {
            let cells = readers::cells(line);
            prop_assert_eq!(cells.len(), row::COLUMNS.len());
            prop_assert!(!cells.iter().any(|cell| formula(cell)), "{}", line);
            prop_assert!(!line.split(';').any(|cell| formula(cell) || formula(cell.trim_start_matches('"'))), "{}", line);
        }
    }

    #[test]
    fn rows_tell_what_is_known_of_just_their_range(case in case()) {
        let sheet = case.sheet(Lines::Ranges);
        let rows = text(Document::List(Format::Ndjson), &sheet);
        let v4 = case.annotated.v4.iter().map(|entry| (IpRange::V4(entry.range), entry.facts));
        let v6 = case.annotated.v6.iter().map(|entry| (IpRange::V6(entry.range), entry.facts));
        for (line, (range, facts)) in rows.lines().zip(v4.chain(v6)) {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let facts = &case.annotated.facts[facts as usize];
            prop_assert_eq!(row["entry"].as_str().unwrap().parse::<IpRange>().unwrap(), range);
            prop_assert_eq!(row["reason"].as_str(), facts.reason.as_deref());
            prop_assert_eq!(row["confidence"].as_u64(), facts.confidence.map(u64::from));
            prop_assert_eq!(row["until"].as_str().map(str::to_owned), facts.until.map(|time| time.to_string()));
            let sources = row["sources"].as_array().map_or(0, Vec::len);
            prop_assert_eq!(sources, facts.sources.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_workbook_read_back_is_the_selection(case in case()) {
        for lines in Format::Xlsx.lines() {
            agree(Format::Xlsx, *lines, &case);
        }
    }
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is() {
    let selection = IpSet { v4: [Range::prefix(1 << 24, 8)].into_iter().collect(), v6: RangeSet::EMPTY };
    let case = Case { selection, annotated: Annotated::default() };
    let sheet = Sheet { entries: None, ..case.sheet(Lines::Addresses) };
    let mut out = Vec::new();
    let mut fails = |format, sheet: &Sheet<'_>| write(Document::List(format), sheet, &mut out).unwrap_err();
    assert!(matches!(fails(Format::Plain, &sheet), WriteError::TooLong));
    let ranges = Sheet { lines: Lines::Ranges, ..sheet };
    let error = fails(Format::Nginx, &ranges);
    assert_eq!(error.to_string(), "the format nginx takes no ranges, but cidrs or addresses");
    assert!(matches!(fails(Format::Csv, &case.sheet(Lines::Cidrs)), WriteError::Unfit));
    assert!(out.is_empty());
    // Formats that have no place for facts do not look at them.
    assert_eq!(text(Document::List(Format::Plain), &case.sheet(Lines::Cidrs)), "1.0.0.0/8\n");
}

#[test]
fn a_reader_of_bytes_that_fails_ends_the_writing() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let v4 = (0..100_000).map(|at| Range::single(at * 2)).collect();
    let selection = IpSet { v4, v6: RangeSet::EMPTY };
    let case = Case { selection, annotated: Annotated::default() };
    let sheet = Sheet { entries: None, ..case.sheet(Lines::Cidrs) };
    for format in Format::ALL {
        let sheet = Sheet { lines: format.lines()[0], ..sheet };
        let result = write(Document::List(format), &sheet, &mut Full);
        assert!(matches!(result, Err(WriteError::Io(_))), "{format}");
    }
}

#[test]
fn a_long_list_comes_in_blocks_and_whole() {
    let v4: RangeSet<u32> = (0..50_000).map(|at| Range::single(at * 7)).collect();
    let case = Case { selection: IpSet { v4, v6: RangeSet::EMPTY }, annotated: Annotated::default() };
    let sheet = Sheet { entries: None, ..case.sheet(Lines::Cidrs) };
    let (out, counts) = bytes(Document::List(Format::Fortigate), &sheet);
    assert_eq!((counts.entries, counts.addresses), (50_000, 50_000));
    assert_eq!(RangeSet::of_families(read(Format::Fortigate, &out)).0, case.selection.v4);
}

#[test]
fn no_feed_can_have_the_name_of_a_file_of_another() {
    let feed: crate::model::OutputName = "edge".parse().unwrap();
    for document in Format::ALL.into_iter().flat_map(Format::documents) {
        let file = file_name(document, feed.as_str());
        if let Some(ending) = file.strip_prefix("edge.") {
            assert!(file.parse::<crate::model::OutputName>().unwrap().is_with_ending_of(&feed), "{ending}");
        }
    }
    for other in ["edge", "edge.v6", "edgetxt", "edge.txt.txt", "other.txt"] {
        assert!(!other.parse::<crate::model::OutputName>().unwrap().is_with_ending_of(&feed), "{other}");
    }
}
