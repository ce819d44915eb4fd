//! Every form of list, read from a small sample.

use super::unpack::tests::{gzip, zip};
use super::*;
use crate::addr::IpRange;

/// What a reading gave, as text: a row is its range and then the fields it has.
#[derive(Default)]
pub(super) struct Read {
    pub(super) rows: Vec<String>,
    pub(super) rejected: Vec<String>,
}

impl Sink for Read {
    fn row(&mut self, line: u64, range: IpRange, fields: &Fields<'_>) -> Result<(), Refused> {
        let mut text = format!("{line}: {range}");
        let Fields {
            reason,
            threat_type,
            severity,
            country,
            confidence,
            detected,
            listed,
            expires,
            upstream_id,
        } = *fields;
        let confidence = confidence.map(|c| c.to_string());
        for (name, value) in [
            ("reason", reason),
            ("threat", threat_type),
            ("severity", severity),
            ("country", country),
            ("confidence", confidence.as_deref()),
            ("detected", detected),
            ("listed", listed),
            ("expires", expires),
            ("id", upstream_id),
        ] {
            text.extend(value.map(|value| format!(" {name}={value}")));
        }
        self.rows.push(text);
        Ok(())
    }

    fn reject(&mut self, line: u64, _: &str, fault: RowFault) {
        self.rejected.push(format!("{line}: {}", fault.code()));
    }
}

pub(super) fn read_with(input: impl AsRef<[u8]>, options: &Options) -> Result<(Format, Read), ReadError> {
    let mut sink = Read::default();
    let summary = read(input.as_ref(), options, &mut sink)?;
    assert_eq!((summary.rows, summary.rejected), (sink.rows.len() as u64, sink.rejected.len() as u64));
    Ok((summary.format, sink))
}

/// Reads without any hint and expects the format and the rows, and nothing rejected.
#[track_caller]
fn reads(input: impl AsRef<[u8]>, format: Format, rows: &[&str]) {
    let (found, sink) = read_with(input, &Options::default()).unwrap();
    assert_eq!(sink.rejected, Vec::<String>::new());
    assert_eq!(sink.rows, rows);
    assert_eq!(found, format);
}

/// Reads and expects exactly these rejected lines.
#[track_caller]
fn rejects(input: impl AsRef<[u8]>, rejected: &[&str]) -> Vec<String> {
    let (_, sink) = read_with(input, &Options::default()).unwrap();
    assert_eq!(sink.rejected, rejected);
    sink.rows
}

#[track_caller]
fn fails(input: impl AsRef<[u8]>, code: &str) {
    match read_with(input, &Options::default()) {
        Ok((format, sink)) => panic!("read as {format}: {:?}", sink.rows),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

#[test]
fn plain_lines_of_every_form() {
    reads(
        "\u{feff}# a list\r\n192.0.2.1\r\n192.0.2.0/25\r\n\r\n; more\n// and more\n2001:db8::/32\n\
         192.0.2.7/255.255.255.0\n192.0.2.7 255.255.255.0\n192.0.2.1-192.0.2.5\n192.0.2.1 - 192.0.2.5\n\
         \t192.0.2.9\t\n::ffff:192.0.2.9",
        Format::Plain,
        &[
            "2: 192.0.2.1",
            "3: 192.0.2.0/25",
            "7: 2001:db8::/32",
            "8: 192.0.2.0/24",
            "9: 192.0.2.0/24",
            "10: 192.0.2.1-192.0.2.5",
            "11: 192.0.2.1-192.0.2.5",
            "12: 192.0.2.9",
            "13: 192.0.2.9",
        ],
    );
}

#[test]
fn remarks_behind_a_value_are_its_reason() {
    reads(
        "192.0.2.1 # scanner\n192.0.2.2 // again\n192.0.2.3#seen\n192.0.2.0/24 ; SBL123456\n192.0.2.4 brute force\n192.0.2.5 2025.06.24 scan\n",
        Format::Plain,
        &[
            "1: 192.0.2.1 reason=scanner",
            "2: 192.0.2.2 reason=again",
            "3: 192.0.2.3 reason=seen",
            "4: 192.0.2.0/24 id=SBL123456",
            "5: 192.0.2.4 reason=brute force",
            "6: 192.0.2.5 reason=2025.06.24 scan",
        ],
    );
}

#[test]
fn the_forms_of_well_known_lists() {
    reads("# ip\tcount\n192.0.2.1\t10\n192.0.2.2\t9\n", Format::Plain, &["2: 192.0.2.1", "3: 192.0.2.2"]);
    reads(
        "192.0.2.1#4#2#Malicious Host;Scanning Host#US#Ashburn#39.04,-77.48#3;2\n192.0.2.2#4#2#Spamming###0.0,0.0#12",
        Format::Plain,
        &[
            "1: 192.0.2.1 threat=Malicious Host;Scanning Host country=US confidence=40",
            "2: 192.0.2.2 threat=Spamming confidence=40",
        ],
    );
    reads(
        "ExitNode 00FF\nPublished 2024-02-01 10:00:00\nLastStatus 2024-02-01 11:00:00\nExitAddress 192.0.2.1 2024-02-01 12:00:00\n",
        Format::Plain,
        &["4: 192.0.2.1 detected=2024-02-01 12:00:00"],
    );
    reads(
        "Some Corp; #1: Paris:192.0.2.1-192.0.2.9\nOther:192.0.2.0-192.0.2.255\n",
        Format::Plain,
        &["1: 192.0.2.1-192.0.2.9 reason=Some Corp; #1: Paris", "2: 192.0.2.0/24 reason=Other"],
    );
    reads(
        "access-list bad deny ip 192.0.2.0 255.255.255.0 any\naccess-list bad extended deny ip host 192.0.2.9 any\n\
         access-list bad permit ip any any\n",
        Format::Plain,
        &["1: 192.0.2.0/24", "2: 192.0.2.9"],
    );
    reads("[192.0.2.1,192.0.2.2/31]\n", Format::Plain, &["1: 192.0.2.1", "1: 192.0.2.2/31"]);
    reads(
        "alert ip [192.0.2.1,192.0.2.2] any -> $HOME_NET any (msg:\"x\";)\n",
        Format::Plain,
        &["1: 192.0.2.1", "1: 192.0.2.2"],
    );
    reads(
        "192.0.2.1, 192.0.2.2,192.0.2.3,\n",
        Format::Plain,
        &["1: 192.0.2.1", "1: 192.0.2.2", "1: 192.0.2.3"],
    );
    reads("192.0.2.0\t192.0.2.255\t24\t1500\n", Format::Plain, &["1: 192.0.2.0/24"]);
}

#[test]
fn tables_are_read_by_their_header() {
    reads(
        "# block list\nStart\tEnd\tNetblock\tAttacks\tName\tCountry\temail\n192.0.2.0\t192.0.2.255\t24\t99\tEXAMPLE\tUS\tx@example.net\n",
        Format::Tsv,
        &["3: 192.0.2.0/24 country=US"],
    );
    reads(
        "\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"last_online\",\"malware\"\n\"2024-01-02 03:04:05\",\"192.0.2.1\",\"443\",\"2024-02-03\",\"QakBot\"\n",
        Format::Csv,
        &["2: 192.0.2.1 threat=QakBot detected=2024-02-03 listed=2024-01-02 03:04:05"],
    );
    reads(
        "#\n# Firstseen,DstIP,DstPort\n2024-01-02,192.0.2.1,443\n",
        Format::Csv,
        &["3: 192.0.2.1 listed=2024-01-02"],
    );
    reads(
        "IP,국가,등록사유,등록일,해제일,조회수\n192.0.2.1,CN,\"SSH 공격, 탐지\",2025-06-01,2025-09-01,3\n",
        Format::Csv,
        &["2: 192.0.2.1 reason=SSH 공격, 탐지 country=CN listed=2025-06-01 expires=2025-09-01"],
    );
    reads(
        "탐지시간;공격유형;심각도;공격종류;공격 IP;공격 국가;URL\n2025-06-24 00:30:00.0;Hacking;CRITICAL;규칙;192.0.2.1;KR;-\n",
        Format::Csv,
        &[
            "2: 192.0.2.1 reason=규칙 threat=Hacking severity=CRITICAL country=KR detected=2025-06-24 00:30:00.0",
        ],
    );
    reads(
        "ip_address,reason,threat_type,detection_date,confidence\n192.0.2.1,\"said \"\"no\"\"\",scan,2025-01-01,75\n",
        Format::Csv,
        &["2: 192.0.2.1 reason=said \"no\" threat=scan confidence=75 detected=2025-01-01"],
    );
    reads("id;ip\n;192.0.2.1\n; 192.0.2.2\n", Format::Csv, &["2: 192.0.2.1", "3: 192.0.2.2"]);
    reads("network,mask\n192.0.2.0,255.255.255.128\n", Format::Csv, &["2: 192.0.2.0/25"]);
}

#[test]
fn tables_without_a_header_are_read_by_their_column_of_addresses() {
    reads("evil,192.0.2.1,x\nworse,192.0.2.2,y\n", Format::Csv, &["1: 192.0.2.1", "2: 192.0.2.2"]);
    let rows = rejects("192.0.2.1,a\nb,192.0.2.2\n192.0.2.3,c\n", &["2: hostname"]);
    assert_eq!(rows, ["1: 192.0.2.1", "3: 192.0.2.3"]);
    let csv = Options { format: Format::Csv, ..Options::default() };
    assert_eq!(read_with("a,b\nc,d\n", &csv).map(|_| ()).unwrap_err().code(), "no_address_column");
}

#[test]
fn quoted_cells_hold_line_ends_and_an_open_quote_costs_one_line() {
    reads(
        "ip,reason\n192.0.2.1,\"one\ntwo\"\n192.0.2.2,x\n",
        Format::Csv,
        &["2: 192.0.2.1 reason=one\ntwo", "4: 192.0.2.2 reason=x"],
    );
    let rest = "192.0.2.3,fine\n".repeat(400);
    let rows = rejects(format!("ip,reason\n192.0.2.1,\"open\n192.0.2.2,x\n{rest}"), &["2: malformed"]);
    assert_eq!(rows.len(), 401);
}

#[test]
fn json_documents_of_every_shape() {
    reads(r#"["192.0.2.1", "192.0.2.0/24"]"#, Format::Json, &["1: 192.0.2.1", "2: 192.0.2.0/24"]);
    reads(
        r#"[{"ip_address":"192.0.2.1","port":443,"as_number":64500,"country":"DE","first_seen":"2024-01-02","malware":"QakBot"}]"#,
        Format::Json,
        &["1: 192.0.2.1 threat=QakBot country=DE listed=2024-01-02"],
    );
    reads(
        r#"{"meta":{"generatedAt":"x"},"data":[{"ipAddress":"192.0.2.1","abuseConfidenceScore":100,"countryCode":"CN","lastReportedAt":"2024-01-02T03:04:05+00:00"}]}"#,
        Format::Json,
        &["1: 192.0.2.1 country=CN confidence=100 detected=2024-01-02T03:04:05+00:00"],
    );
    reads(
        r#"{"list":["192.0.2.1"],"matching_attributes":["ip-src"],"name":"x","type":"cidr","version":1}"#,
        Format::Json,
        &["1: 192.0.2.1"],
    );
    reads(
        r#"{"prefixes":[{"ip_prefix":"192.0.2.0/24"}],"ipv6_prefixes":[{"ipv6_prefix":"2001:db8::/32"}]}"#,
        Format::Json,
        &["1: 192.0.2.0/24", "2: 2001:db8::/32"],
    );
    reads("{\n\"data\": []\n}", Format::Json, &[]);
    reads("{\n \"ip\": \"192.0.2.1\"\n}", Format::Json, &["1: 192.0.2.1"]);
    fails("{\n\"other\": [\"192.0.2.1\"]\n}", "no_list");
    fails("[\"192.0.2.1\", ", "broken_json");
}

#[test]
fn a_path_leads_into_a_json_document() {
    let path = |path: &str| Options { path: Some(path.to_owned()), ..Options::default() };
    let text = r#"{"a":{"b":[{"hosts":[{"ip":"192.0.2.1"},"192.0.2.2"],"ip":"192.0.2.9"}]}}"#;
    assert_eq!(read_with(text, &path("a.b.hosts")).unwrap().1.rows, ["1: 192.0.2.1", "2: 192.0.2.2"]);
    assert_eq!(read_with(text, &path("a.b.hosts.ip")).unwrap().1.rows, ["1: 192.0.2.1"]);
    assert_eq!(read_with(text, &path("a.b")).unwrap().1.rows, ["1: 192.0.2.9"]);
    assert_eq!(read_with(text, &path("a.c")).map(|_| ()).unwrap_err().code(), "no_list");
}

#[test]
fn json_lines_lose_only_the_lines_that_are_wrong() {
    reads(
        "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL1\",\"rir\":\"apnic\"}\n{\"type\":\"metadata\",\"timestamp\":1,\"size\":2}\n",
        Format::Ndjson,
        &["1: 192.0.2.0/24 id=SBL1"],
    );
    let rows = rejects(
        "{\"ip\":\"192.0.2.1\"}\n{\"ip\":\n{\"x\":1}\n{\"ip\":\"192.0.2.2\"}",
        &["2: malformed", "3: no_address"],
    );
    assert_eq!(rows, ["1: 192.0.2.1", "4: 192.0.2.2"]);
}

#[test]
fn all_values_of_a_json_line_have_that_lines_number() {
    let lines = Options { format: Format::Ndjson, ..Options::default() };
    let text = "{\"ip\":\"192.0.2.1\"}\n[\"192.0.2.2\",\"192.0.2.3\"]\n{\"ip\":\"192.0.2.4\"}";
    let (_, sink) = read_with(text, &lines).unwrap();
    assert_eq!(sink.rows, ["1: 192.0.2.1", "2: 192.0.2.2", "2: 192.0.2.3", "3: 192.0.2.4"]);
}

#[test]
fn packed_lists_read_as_if_they_were_not() {
    reads(gzip(b"192.0.2.1\n"), Format::Plain, &["1: 192.0.2.1"]);
    reads(
        zip(&[("a.txt", b"192.0.2.1"), ("b.txt", b"192.0.2.2")]),
        Format::Plain,
        &["1: 192.0.2.1", "2: 192.0.2.2"],
    );
    reads(gzip(b"ip,cc\n192.0.2.1,KR\n"), Format::Csv, &["2: 192.0.2.1 country=KR"]);
}

#[test]
fn bad_lines_are_reported_and_the_others_kept() {
    let long = "1".repeat(5000);
    let text = format!(
        "192.0.2.1\n010.0.0.1\nexample.com\n0.0.0.0/0\n192.0.2.300\n{long}\n176.221.42.3254.174.140.223\n\
         192.0.2.9-192.0.2.1\n192.0.2.1 - 192.0.2.x\n192.0.2.2\n"
    );
    let rows = rejects(
        text,
        &[
            "2: leading_zero",
            "3: hostname",
            "4: zero_prefix",
            "5: octet_too_large",
            "6: line_too_long",
            "7: glued",
            "8: reversed",
            "9: hostname",
        ],
    );
    assert_eq!(rows, ["1: 192.0.2.1", "10: 192.0.2.2"]);
}

#[test]
fn files_that_are_no_lists_are_refused_whole() {
    fails("", "empty_file");
    fails("\r\n<!DOCTYPE html>\n<html>192.0.2.1</html>", "html_page");
    fails(b"\x7fELF\x02\x01\x01\0\0\0", "binary_file");
    fails(gzip(b"<html>"), "html_page");
    let prose = "one line of prose\n".repeat(11) + &"192.0.2.1\n".repeat(10);
    fails(prose, "mostly_bad");
    let mut sink = Read::default();
    let error = read(b"a b\n".repeat(20).as_slice(), &Options::default(), &mut sink).unwrap_err();
    assert!(
        matches!(error, ReadError::MostlyBad { rows: 0, rejected: 20, ref examples } if examples.len() == 5)
    );
}

#[test]
fn a_list_of_comments_alone_is_a_list_without_rows() {
    reads("# nothing today\n", Format::Plain, &[]);
}

#[test]
fn a_named_format_is_not_guessed() {
    let plain = Options { format: "plain".parse().unwrap(), ..Options::default() };
    let (format, sink) = read_with("ip,reason\n192.0.2.1 x,y\n", &plain).unwrap();
    assert_eq!((format, sink.rows.len()), (Format::Plain, 1));
    assert!("word".parse::<Format>().is_err());
}
