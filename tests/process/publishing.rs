//! Publishing by the real program: set up in the file and on the command line, read by devices, held and released.

use super::house::{Plan, told, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;

const FILE: &str =
    "[feeds.edge]\nformat = \"palo-alto\"\n[devices.box]\nfeeds = [\"edge\"]\nmodel = \"palo-alto-50k\"\n";

fn addresses(count: u32) -> String {
    (0..count).map(|n| format!("20.0.{}.{}\n", n / 100, 2 * (n % 100))).collect()
}

fn import(house: &super::house::House, text: String) -> Value {
    let path = "/api/v1/blacklist/import?source=partner&replace=true";
    house.post("gateway", path, "text/plain", text).ok().json()
}

/// Fifteen neighbours, each as broad as a source is believed: more of IPv4 than a feed may hold.
fn wide() -> String {
    (41..56).map(|n| format!("{n}.0.0.0/8\n")).collect()
}

#[test]
fn feeds_and_devices_come_change_and_go_with_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ironlist.toml");
    fs::write(&file, FILE).unwrap();
    let plan = || Plan::new(&folder.path().join("data")).argument("--config").argument(&file);
    let house = plan().start();
    import(&house, addresses(20));
    let listed = || house.get("gateway", "/feeds/edge.txt").text().lines().count();
    until("it is published", || (listed() == 20).then_some(()));
    let shown = house.look("gateway", "/api/v1/devices/box").ok().json();
    assert_eq!(shown["budget"]["entries"], 50_000);
    fs::write(&file, "[feeds.edge]\nbudget = { entries = 5 }\n").unwrap();
    house.signal(Signal::HUP);
    until("its budget counts", || (listed() == 5).then_some(()));
    until("the device is gone", || {
        (house.look("gateway", "/api/v1/devices/box").status == 404).then_some(())
    });
    assert!(house.stop().success());
    fs::write(&file, "").unwrap();
    let house = plan().start();
    assert_eq!(house.get("gateway", "/feeds/edge.txt").status, 404);
}

#[test]
fn an_operator_sets_up_a_device_and_sees_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    import(&house, addresses(20));
    let run = |line: &str| {
        let (code, out, err) = told(&house.run(line.split(' ')));
        assert_eq!(code, 0, "{line}: {err}");
        out
    };
    run("feeds add lan --format plain --lines ranges --not-country KR --reason pilot");
    run("device add hq --feed lan --model fortigate-vm02 --reason pilot");
    let key = run("device key hq --reason pilot");
    let token = key.lines().find_map(|line| line.trim().strip_prefix("token:")).unwrap().trim().to_owned();
    let path = format!("/f/{token}/lan.txt");
    let pulled =
        until("it is published", || Some(house.get("gateway", &path)).filter(|answer| answer.status == 200));
    assert_eq!(pulled.text().lines().count(), 20);
    let devices = run("device list");
    assert!(devices.contains("hq") && devices.contains("lan"), "{devices}");
    assert!(run("device pulls").contains("lan"));
    assert!(run("feeds report lan").contains("guard"));
    // What was pulled is known after a restart, too.
    assert!(house.stop().success());
    let house = Plan::new(folder.path()).start();
    let shown = house.look("gateway", "/api/v1/devices/hq").ok().json();
    assert_eq!((&shown["pulls"][0]["document"], &shown["silent"]), (&json!("lan"), &json!(false)));
    assert_eq!(house.get("gateway", &path).status, 200, "and the key holds");
    assert_eq!(house.get("gateway", "/f/wrong/lan.txt").status, 401);
}

#[test]
fn what_is_not_said_of_a_feed_or_a_device_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    import(&house, addresses(20));
    let run = |line: &str| told(&house.run(line.split(' ')));
    let done = |line: &str| assert_eq!(run(line).0, 0, "{line}: {}", run(line).2);
    done("device add hq --feed fortigate --network 20.0.0.0/31 --model fortigate-vm02 --reason pilot");
    done("device set hq --silent-minutes 5 --reason hasty");
    let health = house.get("blacklist", "/health").text().to_owned();
    assert!(health.contains("have not asked for longer than they should: hq"), "{health}");
    let metrics = house.get("gateway", "/metrics").text().to_owned();
    assert!(metrics.contains("ironlist_device_silent{device=\"hq\"} 1\n"), "{metrics}");
    let device = || house.look("gateway", "/api/v1/devices/hq").ok().json();
    assert_eq!(
        (&device()["networks"], &device()["silent_minutes"], &device()["budget"]["entries"]),
        (&json!(["20.0.0.0/31"]), &json!(5), &json!(168_928))
    );
    let list = house.get("gateway", "/feeds/fortigate").text().to_owned();
    assert!(!list.lines().any(|line| line == "20.0.0.0"), "the firewall's own address: {list}");
    done("device set hq --model ipset --clear networks --reason replaced");
    assert_eq!(
        (&device()["networks"], &device()["silent_minutes"], &device()["each"]["entries"]),
        (&json!([]), &json!(5), &json!(65_536))
    );
    assert!(device()["budget"]["entries"].is_null(), "that of the model before: {}", device());
    done("feeds add lan --not-country KR --confidence 0 --entries 9 --reason pilot");
    done("feeds set lan --lines ranges --not-source a --clear filter.confidence --reason more");
    let feed = house.look("gateway", "/api/v1/feeds/lan").ok().json();
    assert_eq!(
        (&feed["filter"]["not_countries"], &feed["filter"]["not_sources"], &feed["filter"]["confidence"]),
        (&json!(["KR"]), &json!(["a"]), &Value::Null)
    );
    assert_eq!((&feed["lines"], &feed["budget"]["entries"]), (&json!("ranges"), &json!(9)));
    done(
        "feeds set lan --prefer recency,sources --priority 7 --allow-empty --licence CC0 --gate-few 5 --gate-broad 12 --reason more",
    );
    let feed = house.look("gateway", "/api/v1/feeds/lan").ok().json();
    assert_eq!(
        (&feed["prefer"], &feed["priority"], &feed["allow_empty"], &feed["filter"]["licences"]),
        (&json!(["recency", "sources"]), &json!(7), &json!(true), &json!(["CC0"]))
    );
    assert_eq!((&feed["gate"]["few"], &feed["gate"]["too_broad"]), (&json!(5), &json!({"v4": 12, "v6": 19})));
    done("feeds set lan --gate-shrink 80 --clear allow_empty --reason less");
    let feed = house.look("gateway", "/api/v1/feeds/lan").ok().json();
    assert_eq!(
        (&feed["gate"]["shrink_percent"], &feed["gate"]["few"], &feed["allow_empty"]),
        (&json!(80), &json!(5), &json!(false))
    );
    import(&house, "2a00::/32\n".to_owned());
    let (_, report, _) = run("feeds report lan");
    assert!(report.contains("filter: 79228162514264337593543950336\n"), "{report}");
    let (code, _, err) = run("hold consent nosuch --reason x");
    assert!(code == 2 && err.contains("unknown_hold"), "{err}");
    let (code, _, err) = run("device add presets --reason x");
    assert!(code == 2 && err.contains("choose another one"), "{err}");
    assert_eq!(run("feeds set lan --clear colour --reason x").0, 2);
    for wrong in [
        "feeds add x --format nosuch --reason x",
        "feeds add x --lines wavy --reason x",
        "feeds add x --parts 0 --reason x",
        "feeds add x --prefer luck --reason x",
        "feeds add x --country Korea --reason x",
        "feeds add ../x --reason x",
        "device add x --network 10.0.0/8 --reason x",
        "allow add 10.0.0 --reason x",
        "suppression add nonsense --reason x",
        "suppression add 20.0.0.1 --source ../x --reason x",
        "import list.txt --source a/b",
    ] {
        assert_eq!(run(wrong).0, 64, "{wrong}");
    }
}

#[test]
fn a_collapse_is_held_across_a_crash_until_an_operator_consents() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    import(&house, addresses(1000));
    let lines = |house: &super::house::House| {
        house.get("gateway", "/api/v1/blacklist/fortigate").text().lines().count()
    };
    until("it is published", || (lines(&house) == 1000).then_some(()));
    import(&house, addresses(5));
    let held = |house: &super::house::House| {
        until("it is held", || {
            let holds = house.look("gateway", "/api/v1/holds").ok().json();
            (holds["total"] == 1).then(|| holds["data"][0].clone())
        })
    };
    assert_eq!(held(&house)["difference"], 995);
    until("health says so", || {
        let health: Value = house.get("gateway", "/health").json();
        health.to_string().contains("ironlist hold list").then_some(())
    });
    house.kill();
    let house = Plan::new(folder.path()).start();
    assert_eq!((lines(&house), &held(&house)["id"]), (1000, &json!("fortigate")));
    let (code, out, _) = told(&house.run(["hold", "list"]));
    assert!(code == 0 && out.contains("995 of 1000 lines would go"), "{out}");
    assert!(out.contains("fortigate: 995 addresses would go (partner 995): 20.0."), "{out}");
    let metrics = house.get("gateway", "/metrics").text().to_owned();
    for line in ["held{feed=\"fortigate\"} 1", "held{feed=\"_all\"} 0", "fault{feed=\"fortigate\"} 0"] {
        assert!(metrics.contains(&format!("ironlist_feed_{line}\n")), "{line}: {metrics}");
    }
    let consent = ["hold", "consent", "fortigate", "--reason", "the partner has tidied up"];
    let (code, _, err) = told(&house.run(consent));
    assert!(code == 64 && err.contains("goes to generation"), "{err}");
    assert_eq!(lines(&house), 1000, "nobody was asked");
    let generation = held(&house)["generation"].to_string();
    let (code, _, err) = told(&house.run([&consent[..], &["--generation", &generation]].concat()));
    assert!(code == 0, "{err}");
    assert_eq!(lines(&house), 5);
    let audit = house.get("gateway", "/api/v1/audit");
    assert_eq!(audit.status, 401, "the audit is the administrator's");
    let key = house.key();
    let audit =
        house.ask("gateway", "GET", "/api/v1/audit", &[("x-api-key", &key)], b"").unwrap().ok().json();
    assert_eq!(audit["data"][0]["reason"], "the partner has tidied up");
}

#[test]
fn a_crash_between_the_journal_and_a_feed_leaves_no_feed_behind() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=5_u32 {
        let house = Plan::new(folder.path()).start();
        import(&house, addresses(10 + round));
        // The import is durable; whether the feed has followed is a matter of luck.
        house.kill();
        let house = Plan::new(folder.path()).start();
        let feed = house.get("gateway", "/feeds/fortigate").ok();
        assert_eq!(feed.text().lines().count() as u32, 10 + round);
        let generation: u64 = feed.header("x-generation").unwrap().parse().unwrap();
        assert!(generation >= u64::from(round));
        house.kill();
    }
}

#[test]
fn a_device_that_leaves_takes_its_keys_and_its_push_target_along() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ironlist.toml");
    let device = "[devices.box]\nfeeds = [\"fortigate\"]\n";
    fs::write(&file, device).unwrap();
    let house = Plan::new(&folder.path().join("data")).argument("--config").argument(&file).start();
    let run = |line: &str| {
        let (code, out, err) = told(&house.run(line.split(' ')));
        assert_eq!(code, 0, "{line}: {err}");
        out
    };
    let shown = || house.look("gateway", "/api/v1/devices/box");
    let gone = || until("it is gone", || (shown().status == 404).then_some(()));
    let went: [&dyn Fn(); 2] = [&|| drop(run("device remove box --reason test")), &|| {
        fs::write(&file, "").unwrap();
        house.signal(Signal::HUP);
    }];
    for (round, leave) in went.into_iter().enumerate() {
        run("device key box --reason test");
        let (code, _, err) =
            house.say("device push-to box --url https://192.0.2.1 --reason test", "its-api-key");
        assert_eq!(code, 0, "{err}");
        let before = shown().ok().json();
        assert!(before["keys_since"].is_string() && before["push"].is_object(), "{before}");
        leave();
        gone();
        match round {
            0 => drop(run("device add box --feed fortigate --reason test")),
            _ => {
                fs::write(&file, device).unwrap();
                house.signal(Signal::HUP);
            }
        }
        let after = until("it is back", || Some(shown()).filter(|shown| shown.status == 200)).json();
        assert_eq!((&after["keys_since"], &after["push"]), (&Value::Null, &Value::Null));
    }
}

/// Whether the feed holds the address, in whatever form its lines are.
fn holds(feed: &str, address: &str) -> bool {
    let address: std::net::Ipv4Addr = address.parse().unwrap();
    feed.lines().any(|line| {
        let (first, length) = line.split_once('/').unwrap_or((line, "32"));
        let Ok(first) = first.parse::<std::net::Ipv4Addr>() else { return false };
        let bits = 32 - length.parse::<u32>().unwrap();
        u64::from(u32::from(first)) >> bits == u64::from(u32::from(address)) >> bits
    })
}

#[test]
fn a_poisoned_list_blocks_neither_the_operator_nor_the_firewall_nor_half_the_internet() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let run = |arguments: &[&str]| {
        let (code, _, err) = told(&house.run(arguments));
        assert_eq!(code, 0, "{arguments:?}: {err}");
    };
    run(&["device", "add", "hq", "--network", "50.0.0.7", "--feed", "fortigate", "--reason", "test"]);
    run(&["allow", "add", "40.0.0.0/24", "--reason", "our own"]);
    import(&house, addresses(1000));
    until("it is published", || {
        (house.get("gateway", "/feeds/fortigate").text().lines().count() == 1000).then_some(())
    });
    for absurd in ["0.0.0.0/1", "0.0.0.0/0", "128.0.0.0/2"] {
        let generation = house.generation();
        let told = import(&house, format!("{}{absurd}\n", addresses(1000)));
        assert_eq!((&told["accepted"], &told["rejected"]), (&json!(1000), &json!(1)), "{absurd}: {told}");
        assert_eq!(house.generation(), generation, "{absurd} is no line of a list");
    }
    let held = || house.look("gateway", "/api/v1/holds").ok().json()["total"].clone();
    for (poison, holds_it) in [
        ("10.0.0.0/8", 0),
        ("127.0.0.0/8", 0),
        ("40.0.0.9", 0),
        ("50.0.0.7", 0),
        ("50.0.0.0/24", 0),
        (wide().as_str(), 1),
    ] {
        import(&house, format!("{}{poison}\n", addresses(1000)));
        let generation = house.generation();
        until("the feeds have looked at it", || {
            let feed = house.look("gateway", "/api/v1/feeds/fortigate").ok().json();
            (feed["generation"] == generation).then_some(())
        });
        for path in ["/feeds/fortigate", "/api/v1/blacklist/fortigate", "/api/fortigate"] {
            let feed = house.get("gateway", path).ok();
            assert!(feed.text().starts_with("20.0.0.0\n") || feed.text().contains("\n20.0.0.0\n"), "{path}");
            let theirs =
                ["10.1.2.3", "127.0.0.1", "40.0.0.9", "50.0.0.7", "8.8.8.8", "192.0.2.9", "41.1.2.3"];
            for safe in theirs {
                assert!(!holds(feed.text(), safe), "{safe} by {poison} at {path}");
            }
            assert!(holds(feed.text(), "20.0.0.2"), "{poison} opened something");
        }
        assert_eq!(held(), holds_it, "{poison}");
    }
}

/// What a TAXII client has read after the last page of the default feed.
fn collected(house: &super::house::House) -> Vec<String> {
    let accept = [("accept", "application/taxii+json;version=2.1")];
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let path = format!("/taxii2/feeds/collections/fortigate/objects/?limit=500{next}");
        let page = house.ask("gateway", "GET", &path, &accept, b"").unwrap().ok().json();
        let objects = page["objects"].as_array().unwrap().iter();
        names.extend(objects.map(|object| object["name"].as_str().unwrap().to_owned()));
        if page["more"] != true {
            return names;
        }
        next = format!("&next={}", page["next"].as_str().unwrap());
    }
}

#[test]
fn a_held_feed_gives_the_list_from_before_on_every_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(folder.path()).set("IRONLIST_DNSBL_LISTEN", "127.0.0.1:0");
    let house = plan.set("IRONLIST_DNSBL_ZONE", "bl.test").start();
    import(&house, addresses(1000));
    let decided = || -> Vec<String> {
        let told = house.look("gateway", "/v1/decisions/stream?startup=true").ok().json();
        let new = told["new"].as_array().unwrap().iter();
        new.map(|decision| decision["value"].as_str().unwrap().to_owned()).collect()
    };
    let asked = |name: &str| super::dnsbl::short(&house, &[&format!("{name}.bl.test")]);
    until("it is published", || (house.get("gateway", "/feeds/fortigate").status == 200).then_some(()));
    until("questions are answered from it", || (asked("198.9.0.20") == "127.0.0.2").then_some(()));
    let mut before = [decided(), collected(&house)];
    import(&house, format!("{}{}", addresses(5), wide()));
    until("it is held", || {
        let holds = house.look("gateway", "/api/v1/holds").ok().json();
        (holds["total"] == 1).then_some(())
    });
    let mut now = [decided(), collected(&house)];
    before.iter_mut().chain(&mut now).for_each(|list| list.sort());
    assert_eq!(before[0].len(), 1000);
    assert!(now == before && before[0] == before[1], "bouncers and TAXII have what was released");
    let changes = house.look("gateway", "/v1/decisions/stream?startup=false").ok().json();
    assert!(!changes.to_string().contains("\"41."), "{changes}");
    assert_eq!(changes["deleted"], json!([]));
    assert_eq!((asked("198.9.0.20"), asked("3.2.1.41")), ("127.0.0.2".into(), String::new()));
}

#[test]
fn a_device_for_300_000_entries_gets_no_more_and_hears_what_was_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    let add =
        ["device", "add", "hq", "--model", "fortigate-7.4.4-mid", "--feed", "fortigate", "--reason", "test"];
    assert_eq!(told(&house.run(add)).0, 0);
    let address = |n: u32| std::net::Ipv4Addr::from(0x1400_0000 + 2 * n);
    let list = |count: u32| (0..count).map(|n| format!("{}\n", address(n))).collect::<String>();
    for (count, left_out) in [(300_000, None), (300_001, Some(1))] {
        import(&house, list(count));
        let cut = left_out.map(|_| json!(300_001)).unwrap_or_default();
        until("it is published", || {
            let feed = house.look("gateway", "/api/v1/feeds/fortigate").ok().json();
            let is_cut = feed["cut"]["wanted_entries"] == cut;
            (feed["generation"] == house.generation() && is_cut).then_some(())
        });
        let lines = house.get("blacklist", "/feeds/fortigate.txt").ok();
        assert_eq!(lines.text().lines().count(), 300_000);
        assert_eq!(lines.header("x-total-ips"), Some("300000"));
        let report = house.look("gateway", "/api/v1/feeds/fortigate/report").ok().json();
        let left = report["feed"]["cut"]["addresses_left_out"].as_u64();
        assert_eq!(left, left_out, "{report}");
    }
}

#[test]
fn whoever_is_told_of_an_allow_finds_it_in_the_feed() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    import(&house, addresses(20));
    until("it is published", || (house.get("gateway", "/feeds/fortigate").status == 200).then_some(()));
    for n in 0..10 {
        let wish = json!({"range": format!("20.0.0.{}", 2 * n), "reason": "ours"}).to_string();
        house.post("gateway", "/api/v1/blacklist/allowlist", "application/json", wish).ok();
        assert_eq!(house.get("gateway", "/feeds/fortigate").text().lines().count(), 19 - n);
    }
}

#[test]
fn a_device_has_what_it_was_sent_to_the_end_and_only_of_what_there_still_is() {
    let folder = tempfile::tempdir().unwrap();
    let house = Plan::new(folder.path()).start();
    import(&house, addresses(20));
    let run = |line: &str| assert_eq!(told(&house.run(line.split(' '))).0, 0, "{line}");
    run("feeds add lan --parts 2 --reason pilot");
    run("device add hq --feed lan --network 127.0.0.1 --reason pilot");
    let parts = || ["1", "2"].map(|part| house.get("gateway", &format!("/feeds/lan/{part}")).status);
    until("it is published", || (parts() == [200, 200]).then_some(()));
    let behind =
        || house.look("gateway", "/api/v1/devices/hq").ok().json()["behind"].as_array().unwrap().len();
    assert_eq!(behind(), 0);
    import(&house, addresses(30));
    until("it follows", || (behind() == 1).then_some(()));
    for (method, header) in
        [("HEAD", ("accept", "*/*")), ("GET", ("range", "bytes=0-0")), ("GET", ("if-none-match", "*"))]
    {
        for part in ["/feeds/lan/1", "/feeds/lan/2"] {
            house.ask("gateway", method, part, &[header], b"").unwrap();
        }
        assert_eq!(behind(), 1, "{method} {header:?}");
    }
    let stale = [("if-match", "\"stale\""), ("range", "bytes=1-2")];
    assert_eq!(
        house.ask("gateway", "GET", "/feeds/lan/1", &stale, b"").unwrap().problem(),
        (412, "feed_changed".to_owned())
    );
    assert_eq!((parts(), behind()), ([200, 200], 0));
    import(&house, addresses(40));
    until("it follows", || (behind() == 1).then_some(()));
    run("feeds set lan --parts 1 --reason simpler");
    until("parts that are no more hold nobody back", || (behind() == 0).then_some(()));
}
