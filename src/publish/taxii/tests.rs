use super::*;
use crate::addr::{Range, RangeSet};
use crate::model::{Document, Format, Lines, Profile};
use crate::publish::{Annotated, Entry, Facts, Packed, Release, Released};
use proptest::prelude::*;
use serde_json::Value;

const NOON: i64 = 1_790_000_000;

/// The collection after these releases, a minute apart, of which the first is before all that is remembered.
fn collection(releases: &[IpSet], lines: Lines) -> Collection {
    let steps: Vec<Step> =
        releases.windows(2).zip(1_i64..).map(|(pair, at)| step(&pair[0], &pair[1], at)).collect();
    let profile = Profile { lines: Some(lines), ..Profile::fortigate() };
    let last = releases.last().unwrap();
    let release = Release::new(releases.len() as u64, Time::from_unix(NOON), last);
    let released = Released::new(release, Arc::new(profile));
    Collection::new(Arc::new(Roll::new(Arc::new(released), Annotated::default()).unwrap()), &steps)
}

fn step(before: &IpSet, after: &IpSet, at: i64) -> Step {
    let (removed, added) = (Packed::of(&before.subtract(after)), Packed::of(&after.subtract(before)));
    let time = Time::from_unix(NOON + 60 * at);
    Step { generation: at as u64 + 1, modified: Time::default(), late: false, time, removed, added }
}

fn set(ranges: &[&str]) -> IpSet {
    ranges.iter().map(|range| range.parse::<IpRange>().unwrap()).collect()
}

fn texts(items: &[Item<'_>]) -> Vec<String> {
    let sign = |item: &Item<'_>| if item.is_new { '+' } else { '-' };
    items
        .iter()
        .map(|item| format!("{}{} {}", sign(item), item.line.range, item.added.unix() - NOON))
        .collect()
}

fn all(collection: &Collection, filter: &Filter) -> Vec<String> {
    texts(&collection.page(filter, None, usize::MAX).0)
}

#[test]
fn objects_come_in_the_order_in_which_they_were_added_and_gone_ones_are_told() {
    let releases = [
        set(&["20.0.0.0/24", "30.0.0.1"]),
        set(&["20.0.0.0/25", "30.0.0.1"]),
        set(&["20.0.0.0/25", "2a00::1"]),
    ];
    let collection = collection(&releases, Lines::Cidrs);
    let expected = ["-20.0.0.0/24 60", "+20.0.0.0/25 60", "-30.0.0.1 120", "+2a00::1 120"];
    assert_eq!(all(&collection, &Filter::default()), expected);
    let after = |seconds| Filter { after: Some(Time::from_unix(NOON + seconds)), ..Filter::default() };
    assert_eq!(all(&collection, &after(60)), expected[2..]);
    assert_eq!(all(&collection, &after(120)), [""; 0]);
    let ids = Some(vec![indicator_id("fortigate", "30.0.0.1")]);
    assert_eq!(all(&collection, &Filter { ids, ..Filter::default() }), expected[2..3]);
}

#[test]
fn an_object_is_the_one_of_the_bundle_and_one_that_left_is_revoked() {
    let collection = collection(&[set(&["20.0.0.1"]), set(&["20.0.0.2"])], Lines::Cidrs);
    let (items, _) = collection.page(&Filter::default(), None, 9);
    let [gone, new] =
        [0, 1].map(|at| serde_json::from_slice::<Value>(&collection.object(&items[at])).unwrap());
    assert_eq!((&gone["revoked"], &new["revoked"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(gone["pattern"], "[ipv4-addr:value = '20.0.0.1']");
    assert_eq!((&new["spec_version"], &new["modified"]), (&"2.1".into(), &"2026-09-21T14:14:20.000Z".into()));
    let record = serde_json::to_value(collection.record(&items[1])).unwrap();
    assert_eq!(
        (&record["id"], &record["version"], &record["date_added"]),
        (&new["id"], &new["modified"], &new["modified"])
    );
    let pieces: Vec<u8> = bundle(Arc::clone(collection.roll())).flatten().collect();
    let bundle: Value = serde_json::from_slice(&pieces).unwrap();
    assert_eq!((&bundle["spec_version"], bundle["objects"].as_array().unwrap().len()), (&"2.0".into(), 2));
    assert_eq!(
        (&bundle["objects"][1]["id"], &bundle["objects"][1]["spec_version"]),
        (&new["id"], &Value::Null)
    );
}

#[test]
fn no_object_has_an_end_because_what_is_over_is_told_and_an_end_may_move() {
    let list = set(&["20.0.0.1"]);
    let facts = Facts { until: Some(Time::from_unix(NOON + 86_400)), ..Facts::default() };
    let v4 = list.v4.iter().map(|range| Entry { range, facts: 0 }).collect();
    let notes = Annotated { v4, v6: Vec::new(), facts: vec![facts] };
    let released = Released::new(
        Release::new(1, Time::from_unix(NOON), &list),
        Arc::new(Profile { format: Format::Stix, ..Profile::fortigate() }),
    );
    let released = Arc::new(released);
    let roll = Arc::new(Roll::new(Arc::clone(&released), notes.clone()).unwrap());
    let collection = Collection::new(Arc::clone(&roll), &[]);
    let (items, _) = collection.page(&Filter::default(), None, 9);
    let object: Value = serde_json::from_slice(&collection.object(&items[0])).unwrap();
    assert_eq!((&object["name"], object.get("valid_until")), (&"20.0.0.1".into(), None));
    let pieces = String::from_utf8(bundle(roll).flatten().collect()).unwrap();
    assert!(!pieces.contains("valid_until"), "{pieces}");
    // A feed of that form is taken whole each time, and tells it.
    let written = released.make(1, Document::List(Format::Stix), &list, Some(&notes)).unwrap().unwrap();
    assert!(String::from_utf8_lossy(written.text()).contains("valid_until"));
}

#[test]
fn a_place_reads_back_and_nothing_else_is_one() {
    for text in ["1790000000~n~20.0.0.0/24", "0~g~2a00::1"] {
        assert_eq!(text.parse::<Behind>().unwrap().to_string(), text);
    }
    for text in ["", "1~n", "x~n~20.0.0.1", "1~x~20.0.0.1", "1~n~nothing", "-1~n~20.0.0.1"] {
        assert_eq!(text.parse::<Behind>(), Err(NoPlace), "{text}");
    }
}

#[test]
fn steps_that_would_take_too_long_are_forgotten_and_what_they_brought_is_told_anew() {
    let all: Vec<IpSet> = (0..30).map(|at| set(&[&format!("20.0.0.{}", at * 2), "30.0.0.1"])).collect();
    let steps: Vec<Step> =
        all.windows(2).zip(1_i64..).map(|(pair, at)| step(&pair[0], &pair[1], at)).collect();
    let roll = collection(&all, Lines::Cidrs).roll().clone();
    let told = |most_work| all_of(&Collection::within(most_work, Arc::clone(&roll), &steps));
    assert_eq!(told(MOST_WORK).len(), 31);
    assert_eq!(told(0), ["+30.0.0.1 1680", "-20.0.0.56 1740", "+20.0.0.58 1740"]);
}

fn all_of(collection: &Collection) -> Vec<String> {
    all(collection, &Filter::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn pages_put_together_are_the_whole(
        releases in proptest::collection::vec(proptest::collection::vec(0..60_u8, 0..40), 1..5),
        limit in 1..7_usize,
        addresses in any::<bool>(),
    ) {
        let lines = if addresses { Lines::Addresses } else { Lines::Cidrs };
        let sets: Vec<IpSet> = releases.iter().map(|addresses| {
            let v4: RangeSet<u32> = addresses.iter().map(|address| Range::single(u32::from(*address))).collect();
            let v6 = addresses.iter().map(|address| Range::single(u128::from(*address / 2)));
            IpSet { v4, v6: v6.collect() }
        }).collect();
        let collection = collection(&sets, lines);
        let (whole, _) = collection.page(&Filter::default(), None, usize::MAX);
        prop_assert!(whole.is_sorted_by_key(|item| (item.added, item.is_new, item.line.range)));
        let (mut told, mut behind) = (Vec::new(), None);
        loop {
            let (items, more) = collection.page(&Filter::default(), behind, limit);
            told.extend(texts(&items));
            prop_assert!(items.len() == limit || !more);
            behind = items.last().map(Item::behind).or(behind);
            if !more {
                break;
            }
        }
        prop_assert_eq!(told, texts(&whole));
    }
}
