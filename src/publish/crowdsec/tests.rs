use super::*;
use crate::addr::{IpSet, Range};
use crate::model::Time;
use crate::model::{Lines, Profile};
use crate::publish::{Annotated, Entry, Facts, Release, Released};
use serde_json::Value;

const NOW: Time = Time::from_unix(1_790_000_000);
const TERMS: Terms = Terms { now: NOW, hold: 7 * 86_400, window: 3600 };

/// How long a line holds, as it is written.
fn left(line: &str) -> String {
    let seconds = TERMS.left(line.parse().unwrap());
    format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The first entry ends in an hour, and a stranger says why.
fn roll(list: &[&str], lines: Lines) -> Arc<Roll> {
    let set: IpSet = list.iter().map(|range| range.parse::<IpRange>().unwrap()).collect();
    let told = Facts {
        reason: Some("ssh:bruteforce \"]}\n".into()),
        until: Some(NOW.plus(3600)),
        sources: ["b".parse().unwrap()].into_iter().collect(),
        ..Facts::default()
    };
    let plain = Facts { sources: ["a", "b"].map(|name| name.parse().unwrap()).into(), ..Facts::default() };
    let entry = |(at, range): (usize, Range<u32>)| Entry { range, facts: u32::from(at > 0) };
    let v4 = set.v4.iter().enumerate().map(entry).collect();
    let profile = Profile { lines: Some(lines), ..Profile::fortigate() };
    let released = Released::new(Release::new(1, NOW, &set), Arc::new(profile));
    let notes = Annotated { v4, v6: Vec::new(), facts: vec![told, plain] };
    Arc::new(Roll::new(Arc::new(released), notes).unwrap())
}

fn read(stream: Stream) -> Value {
    let bytes: Vec<u8> = stream.flatten().collect();
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
}

fn texts(decisions: &Value, key: &str) -> Vec<String> {
    decisions.as_array().unwrap().iter().map(|decision| decision[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_bouncer_that_begins_gets_every_line_with_why() {
    let all = read(Stream::everything(
        roll(&["20.0.0.1", "20.0.1.0-20.0.1.2", "2a00::/64"], Lines::Cidrs),
        TERMS,
        Wanted::default(),
    ));
    assert_eq!(texts(&all["new"], "value"), ["20.0.0.1", "20.0.1.0/31", "20.0.1.2", "2a00::/64"]);
    assert_eq!(texts(&all["new"], "scope"), ["Ip", "Range", "Ip", "Range"]);
    assert_eq!(texts(&all["new"], "scenario"), ["ssh:bruteforce \"]} ", "a+b", "a+b", "ironlist"]);
    assert_eq!(all["deleted"], Value::Array(Vec::new()));
    let first = &all["new"][0];
    assert_eq!((&first["origin"], &first["type"]), (&"ironlist".into(), &"ban".into()));
    assert_eq!(first["duration"], left("20.0.0.1"), "its entry's end moves with every run of its source");
    assert_eq!(first["id"], 7_278_613_042_039_370_u64, "the same for ever");
}

#[test]
fn what_changed_is_told_with_what_has_gone_at_no_duration() {
    let recent = Recent {
        gone: vec!["20.0.9.0/24".parse().unwrap(), "20.0.8.1".parse().unwrap()],
        new: ["20.0.0.1".parse::<IpRange>().unwrap()].into_iter().collect(),
    };
    let told = |wanted| {
        let roll = roll(&["20.0.0.1", "20.0.1.0/24"], Lines::Cidrs);
        read(Stream::changes(roll, TERMS, Arc::new(recent.clone()), wanted))
    };
    let all = told(Wanted::default());
    assert_eq!(texts(&all["new"], "value"), ["20.0.0.1"]);
    assert_eq!(texts(&all["deleted"], "value"), ["20.0.9.0/24", "20.0.8.1"]);
    assert_eq!(texts(&all["deleted"], "duration"), ["0h0m0s", "0h0m0s"]);
    let addresses = told(Wanted { scopes: Some(vec!["ip".into()]), ..Wanted::default() });
    assert_eq!(texts(&addresses["deleted"], "value"), ["20.0.8.1"]);
    let others = told(Wanted { origins: Some(vec!["capi".into()]), ..Wanted::default() });
    assert_eq!(others, serde_json::json!({"new": [], "deleted": []}));
}

#[test]
fn a_bouncer_gets_only_the_scopes_and_scenarios_that_it_names() {
    let values = |wanted| {
        let roll = roll(&["20.0.0.1", "20.0.1.0/24", "20.0.2.1"], Lines::Cidrs);
        texts(&read(Stream::array(roll, TERMS, wanted)), "value")
    };
    let list = |text: &str| Some(vec!["nothing".to_owned(), text.to_owned()]);
    assert_eq!(values(Wanted { scopes: list("Range"), ..Wanted::default() }), ["20.0.1.0/24"]);
    assert_eq!(values(Wanted { containing: list("ssh"), ..Wanted::default() }), ["20.0.0.1"]);
    assert_eq!(
        values(Wanted { not_containing: list("ssh"), ..Wanted::default() }),
        ["20.0.1.0/24", "20.0.2.1"]
    );
    assert_eq!(values(Wanted { origins: list("IRONLIST"), ..Wanted::default() }).len(), 3);
    assert_eq!(values(Wanted { kind: Some("captcha".into()), ..Wanted::default() }), [""; 0]);
    let inside = Some("20.0.0.0/23".parse().unwrap());
    assert_eq!(values(Wanted { inside, ..Wanted::default() }), ["20.0.0.1", "20.0.1.0/24"]);
}

#[test]
fn one_address_is_told_with_the_end_of_its_entry() {
    let roll = roll(&["20.0.0.1", "20.0.1.0/24"], Lines::Cidrs);
    let ask = |text: &str, wanted: &Wanted| -> Value {
        serde_json::from_slice(&about(&roll, text.parse().unwrap(), wanted, TERMS)).unwrap()
    };
    let any = Wanted::default();
    assert_eq!(ask("20.0.0.1", &any)[0]["duration"], "1h0m0s");
    assert_eq!(ask("20.0.1.7", &any)[0]["value"], "20.0.1.0/24");
    assert_eq!(ask("20.0.1.64/26", &any)[0]["duration"], left("20.0.1.0/24"));
    let later = Terms { now: TERMS.now.plus(3600), ..TERMS };
    let told: Value =
        serde_json::from_slice(&about(&roll, "20.0.0.1".parse().unwrap(), &any, later)).unwrap();
    let seconds = later.left("20.0.0.1".parse().unwrap());
    let duration = format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60);
    assert_eq!(told[0]["duration"], duration, "its end has passed, and it is listed still");
    for (asked, wanted) in [
        ("20.0.0.2", any.clone()),
        ("20.0.0.0/31", any.clone()),
        ("2a00::1", any),
        ("20.0.0.1", Wanted { kind: Some("captcha".into()), ..Wanted::default() }),
        ("20.0.0.1", Wanted { scopes: Some(vec!["range".into()]), ..Wanted::default() }),
    ] {
        assert_eq!(ask(asked, &wanted), Value::Null, "{asked}");
    }
}

#[test]
fn a_long_list_comes_in_pieces_also_when_nobody_wants_most_of_it() {
    let roll = roll(&["20.0.0.0/15"], Lines::Addresses);
    let pieces: Vec<Vec<u8>> = Stream::everything(Arc::clone(&roll), TERMS, Wanted::default()).collect();
    assert!(pieces.len() > 100 && pieces.iter().all(|piece| piece.len() < PIECE + 1024));
    let all: Value = serde_json::from_slice(&pieces.concat()).unwrap();
    assert_eq!(all["new"].as_array().unwrap().len(), 1 << 17);
    let wanted = Wanted { not_containing: Some(vec!["ssh".into()]), ..Wanted::default() };
    let pieces: Vec<Vec<u8>> = Stream::everything(roll, TERMS, wanted).collect();
    assert!(pieces.len() > 20, "each is little work");
    let none: Value = serde_json::from_slice(&pieces.concat()).unwrap();
    assert_eq!(none, serde_json::json!({"new": [], "deleted": []}));
}
