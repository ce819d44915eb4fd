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

fn import(house: &super::house::House, text: String) {
    let path = "/api/v1/blacklist/import?source=partner&replace=true";
    house.post("gateway", path, "text/plain", text).ok();
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
    let shown = house.get("gateway", "/api/v1/devices/box").ok().json();
    assert_eq!(shown["budget"]["entries"], 50_000);
    fs::write(&file, "[feeds.edge]\nbudget = { entries = 5 }\n").unwrap();
    house.signal(Signal::HUP);
    until("its budget counts", || (listed() == 5).then_some(()));
    until("the device is gone", || (house.get("gateway", "/api/v1/devices/box").status == 404).then_some(()));
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
    let shown = house.get("gateway", "/api/v1/devices/hq").ok().json();
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
    let device = || house.get("gateway", "/api/v1/devices/hq").ok().json();
    assert_eq!(
        (&device()["networks"], &device()["silent_minutes"], &device()["budget"]["entries"]),
        (&json!(["20.0.0.0/31"]), &json!(5), &json!(168_928))
    );
    let list = house.get("gateway", "/feeds/fortigate").text();
    assert!(!list.lines().any(|line| line == "20.0.0.0"), "the firewall's own address: {list}");
    done("device set hq --model ipset --clear networks --reason replaced");
    assert_eq!(
        (&device()["networks"], &device()["silent_minutes"], &device()["budget"]["entries"]),
        (&json!([]), &json!(5), &json!(65_536))
    );
    done("feeds add lan --not-country KR --confidence 0 --entries 9 --reason pilot");
    done("feeds set lan --lines ranges --not-source a --clear filter.confidence --reason more");
    let feed = house.get("gateway", "/api/v1/feeds/lan").ok().json();
    assert_eq!(
        (&feed["filter"]["not_countries"], &feed["filter"]["not_sources"], &feed["filter"]["confidence"]),
        (&json!(["KR"]), &json!(["a"]), &Value::Null)
    );
    assert_eq!((&feed["lines"], &feed["budget"]["entries"]), (&json!("ranges"), &json!(9)));
    assert_eq!(run("feeds set lan --clear colour --reason x").0, 2);
    for wrong in [
        "feeds add x --format nosuch --reason x",
        "feeds add x --lines wavy --reason x",
        "feeds add x --parts 0 --reason x",
        "feeds add x --country Korea --reason x",
        "feeds add ../x --reason x",
        "device add x --network 10.0.0/8 --reason x",
        "allow add 10.0.0 --reason x",
        "suppression add nonsense --reason x",
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
            let holds = house.get("gateway", "/api/v1/holds").ok().json();
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
    let (code, _, err) =
        told(&house.run(["hold", "consent", "fortigate", "--reason", "the partner has tidied up"]));
    assert_eq!(code, 0, "{err}");
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
