//! The main job, from a list file to a firewall, over restarts and crashes.

use super::house::{House, Plan, told, until};
use super::http::Answer;
use super::lists::{Feed, List};
use flate2::read::GzDecoder;
use std::io::Read;
use std::net::Ipv4Addr;

const FEED: &str = "/api/v1/blacklist/fortigate";
const BULK: &str = "/api/v1/blacklist/ips/bulk";
const CHECK: &str = "/api/v1/blacklist/check";

/// Lists the whole list by command, and two more addresses by HTTP; gives the file's own.
fn filled(house: &House, folder: &std::path::Path) -> List {
    let list = List::real_looking();
    let file = folder.join("attackers.txt");
    std::fs::write(&file, &list.text).unwrap();
    let import = ["import", file.to_str().unwrap(), "--source", "week", "--reason", "brute force"];
    let (code, out, errors) = told(&house.run(import));
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains(&format!(" {} rejected", list.bad)), "{out}");
    assert!(errors.contains("attackers.txt:") && errors.contains("leading_zero"), "{errors}");
    let bulk =
        "{\"ip\":\"203.0.114.7\",\"reason\":\"scanner\"}\n{\"ip\":\"203.0.114.9\"}\n{\"ip\":\"nonsense\"}\n";
    let answer = house.post("gateway", BULK, "application/x-ndjson", bulk).ok().json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&2.into(), &1.into()));
    assert_eq!(answer["errors"][0]["line"], 3);
    list
}

/// The feed as soon as it has exactly so many IPv4 addresses.
fn feed_of(house: &House, addresses: usize) -> (Answer, Feed) {
    until("the feed is up to date", || {
        let answer = house.get("gateway", FEED);
        let feed = (answer.status == 200).then(|| Feed::of(answer.text()))?;
        (feed.v4.len() == addresses).then_some((answer, feed))
    })
}

/// The addresses, of those asked for, that are listed.
fn listed(house: &House, role: &str, asked: &[Ipv4Addr]) -> Vec<String> {
    let lines: String = asked.iter().map(|address| format!("{address}\n")).collect();
    let answer = house.ask(role, "POST", CHECK, &[("content-type", "text/plain")], lines.as_bytes());
    let answer = answer.unwrap().ok();
    let mut found: Vec<String> = answer.text().lines().map(str::to_owned).collect();
    let last = found.pop().unwrap();
    assert_eq!(last, format!("# checked {} listed {} invalid 0", asked.len(), found.len()));
    found
}

#[test]
fn a_list_goes_in_and_look_ups_and_a_feed_come_out_over_restarts_and_crashes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let house = Plan::new(&data).start();
    let list = filled(&house, folder.path());
    look_ups_agree(&house, &list);
    the_story_is_told(&house, &list);
    let (_, feed) = feed_of(&house, list.v4.len() + 2);
    let before = until("its date has come", || settled(&house));
    assert_eq!(feed.v6, list.v6);
    assert!(list.v4.is_subset(&feed.v4));
    polling_is_cheap(&house, &before);
    let (_, allowed) = an_allowed_address_leaves_the_feed(&house, &list, &before, feed);
    let after = until("its date has come", || settled(&house));

    let generation = house.generation();
    assert!(house.stop().success());
    let house = Plan::new(&data).start();
    same_as_before(&house, &after, generation);
    house.kill();
    let house = Plan::new(&data).start();
    same_as_before(&house, &after, generation);
    let asked = [allowed, Ipv4Addr::new(203, 0, 114, 7), Ipv4Addr::new(203, 0, 114, 8)];
    assert_eq!(listed(&house, "gateway", &asked), ["203.0.114.7"]);
}

fn look_ups_agree(house: &House, list: &List) {
    let neighbours = list.v4.iter().flat_map(|address| [*address, Ipv4Addr::from(u32::from(*address) ^ 64)]);
    let asked: Vec<Ipv4Addr> = neighbours.collect();
    let expected: Vec<String> =
        asked.iter().filter(|a| list.v4.contains(a)).map(ToString::to_string).collect();
    for role in ["blacklist", "gateway"] {
        assert_eq!(listed(house, role, &asked), expected);
        for (ip, is_listed) in [("2a0b:2::1", true), ("2a0b:1::1", false), ("::ffff:203.0.114.7", true)] {
            let answer = house.get(role, &format!("{CHECK}/{ip}")).ok().json();
            assert_eq!(answer["listed"], is_listed, "{ip} {answer}");
        }
        assert_eq!(house.get(role, &format!("{CHECK}/203.0.114.07")).problem(), (400, "leading_zero".into()));
    }
}

fn the_story_is_told(house: &House, list: &List) {
    let address = list.v4.first().unwrap();
    let story = house.get("gateway", &format!("/api/v1/blacklist/ips/{address}")).ok().json();
    assert_eq!((&story["listed"], &story["sources"][0]), (&true.into(), &"week".into()));
    assert_eq!(story["listings"][0]["reason"], "brute force");
    assert!(story["listings"][0]["first_seen"].is_string(), "{story}");
}

fn polling_is_cheap(house: &House, whole: &Answer) {
    let poll = |method: &str, name: &str, value: &str| {
        house.ask("gateway", method, FEED, &[(name, value)], b"").unwrap()
    };
    let etag = whole.header("etag").unwrap();
    let modified = whole.header("last-modified").unwrap();
    for (name, value) in [("if-none-match", etag), ("if-modified-since", modified)] {
        let unchanged = poll("GET", name, value);
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
        assert_eq!(unchanged.header("etag"), Some(etag));
    }
    assert_eq!(poll("GET", "if-none-match", "\"another\"").body, whole.body);
    let head = poll("HEAD", "accept", "*/*");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(whole.body.len().to_string().as_str()));
    let packed = poll("GET", "accept-encoding", "gzip");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < whole.body.len() / 2);
    let mut unpacked = Vec::new();
    GzDecoder::new(&*packed.body).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, whole.body);
}

/// Allows one address in the middle of a range: the feed loses it, and nothing else.
fn an_allowed_address_leaves_the_feed(
    house: &House,
    list: &List,
    before: &Answer,
    mut feed: Feed,
) -> (Answer, Ipv4Addr) {
    let inside = |address: &&Ipv4Addr| {
        let number = u32::from(**address);
        (number - 8..=number + 8).all(|near| list.v4.contains(&Ipv4Addr::from(near)))
    };
    let allowed = *list.v4.iter().find(inside).unwrap();
    let body = format!("{{\"range\":\"{allowed}\",\"reason\":\"a customer\"}}");
    let answer = house.post("gateway", "/api/v1/blacklist/allowlist", "application/json", body).ok().json();
    assert_eq!(answer["frees"], 1);
    let (after, smaller) = feed_of(house, feed.v4.len() - 1);
    assert!(feed.v4.remove(&allowed));
    assert_eq!(smaller, feed);
    assert_ne!(after.header("etag"), before.header("etag"));
    let check = house.get("gateway", &format!("{CHECK}/{allowed}")).ok().json();
    assert_eq!((&check["listed"], &check["exempt"]), (&false.into(), &"allowlist".into()));
    (after, allowed)
}

/// The feed, once its date is behind us: of two releases within one second the later one is of the next, and until then its
/// readers are told of now.
fn settled(house: &House) -> Option<Answer> {
    let feed = house.get("gateway", FEED).ok();
    let [now, modified] =
        ["date", "last-modified"].map(|name| httpdate::parse_http_date(feed.header(name).unwrap()).unwrap());
    (now > modified).then_some(feed)
}

fn same_as_before(house: &House, feed: &Answer, generation: u64) {
    let now = house.get("gateway", FEED).ok();
    assert_eq!(now.body, feed.body);
    for header in ["etag", "last-modified", "x-total-ips"] {
        assert_eq!(now.header(header), feed.header(header));
    }
    assert_eq!(house.generation(), generation);
}
