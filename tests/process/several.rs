//! The roles in processes of their own, as on several machines.

use super::bad_input::endless;
use super::house::{House, Plan, ironlist, run, told, until};
use super::tls::Pair;
use std::path::Path;

/// Starts roles in a data folder of their own, with the key of `first`.
fn beside(first: &House, data: &Path, roles: &str, upstreams: &[(&str, &House)]) -> House {
    std::fs::create_dir(data).unwrap();
    std::fs::copy(first.data().join("admin.key"), data.join("admin.key")).unwrap();
    let plan = upstreams.iter().fold(Plan::new(data).roles(roles), |plan, (role, house)| {
        let url = format!("http://{}", house.address(role));
        plan.set(&format!("IRONLIST_UPSTREAM_{}", role.to_uppercase()), &url)
    });
    plan.start()
}

fn list(gateway: &House, ip: &str) {
    let body = format!("{{\"ip\":\"{ip}\",\"reason\":\"brute force\"}}");
    gateway.post("gateway", "/api/v1/blacklist/ips", "application/json", body).ok();
}

fn is_listed(house: &House, role: &str, ip: &str) -> bool {
    house.get(role, &format!("/api/v1/blacklist/check/{ip}")).ok().json()["listed"] == true
}

/// Waits until the gateway's analytics have counted so many entries.
fn counted(gateway: &House, entries: u64) {
    until("analytics follow", || {
        let answer = gateway.get("gateway", "/api/v1/analytics/summary");
        (answer.status == 200 && answer.json()["data"]["entries"] == entries).then_some(())
    });
}

#[test]
fn roles_in_three_processes_work_as_one_and_each_goes_on_without_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let blacklist = Plan::new(&at("blacklist")).roles("blacklist");
    let blacklist = blacklist.set("IRONLIST_LIMITS_IMPORT_BODY", "2 MiB").start();
    let analytics = beside(&blacklist, &at("analytics"), "analytics", &[("blacklist", &blacklist)]);
    let others = [("blacklist", &blacklist), ("analytics", &analytics)];
    let gateway = beside(&blacklist, &at("gateway"), "gateway", &others);

    list(&gateway, "45.1.2.3");
    assert!(is_listed(&gateway, "gateway", "45.1.2.3") && is_listed(&blacklist, "blacklist", "45.1.2.3"));
    counted(&gateway, 1);
    assert_eq!(told(&gateway.run(["check", "45.1.2.3"])).0, 1);
    let add = ["allow", "add", "45.1.2.3", "--reason", "a customer"];
    let (code, _, errors) = told(&gateway.run(add));
    assert_eq!(code, 0, "{errors}");
    assert!(!is_listed(&gateway, "gateway", "45.1.2.3"));
    let health = gateway.get("gateway", "/health").ok().json();
    assert_eq!(health["services"]["analytics"]["healthy"], true, "{health}");
    let (answer, sent) = endless(&gateway, "gateway");
    // The role elsewhere closes when it has refused; the gateway may see that before the refusal itself.
    assert!(matches!(answer.problem().0, 413 | 502), "{answer:?}");
    assert!(sent < 1000, "{sent} pieces were taken");

    analytics.kill();
    let health = until("the role that is down is named", || {
        let health = gateway.get("gateway", "/health").ok().json();
        (health["checks"]["analytics"]["status"] == "unhealthy").then_some(health)
    });
    // What is listed is allowed, so the feed is empty: the role is well, and says that.
    assert_eq!(
        (&health["status"], &health["services"]["blacklist"]["healthy"]),
        (&"degraded".into(), &true.into()),
        "{health}"
    );
    assert!(health["checks"]["analytics"]["cure"].is_string());
    let (status, _) = gateway.get("gateway", "/api/v1/analytics/summary").problem();
    assert!((502..=504).contains(&status));
    list(&gateway, "45.1.2.5");
    assert!(is_listed(&gateway, "gateway", "45.1.2.5"));

    let data = at("analytics");
    let analytics = Plan::new(&data)
        .roles("analytics")
        .set("IRONLIST_UPSTREAM_BLACKLIST", &format!("http://{}", blacklist.address("blacklist")));
    let analytics = analytics.start();
    until("what was missed is caught up with", || {
        let answer = analytics.get("analytics", "/api/v1/analytics/summary").ok().json();
        (answer["data"]["entries"] == 2).then_some(())
    });
    blacklist.kill();
    assert_eq!(analytics.get("analytics", "/api/v1/analytics/summary").ok().json()["data"]["entries"], 2);
    until("without a blacklist the door is not healthy", || {
        (gateway.get("gateway", "/health").status == 503).then_some(())
    });
}

#[test]
fn what_one_process_collects_another_lists() {
    let server = super::feed::FeedServer::start();
    server.serve("/list.txt", super::feed::Answer::list("45.1.2.3\n45.1.2.4\n"));
    let folder = tempfile::tempdir().unwrap();
    let blacklist = Plan::new(&folder.path().join("blacklist")).roles("blacklist").start();
    let collection = collecting(&blacklist, folder.path(), &server);
    until("it is listed there", || is_listed(&blacklist, "blacklist", "45.1.2.3").then_some(()));
    until("the run has ended", || {
        let runs = collection.look("collection", "/api/v1/collection/runs").ok().json();
        (runs["data"][0]["state"] == "done" && runs["data"][0]["counts"]["new"] == 2).then_some(())
    });
}

/// Starts the collection role beside the blacklist, with one source from `url`.
fn collecting(blacklist: &House, folder: &Path, server: &super::feed::FeedServer) -> House {
    let data = folder.join("collection");
    std::fs::create_dir(&data).unwrap();
    std::fs::copy(blacklist.data().join("admin.key"), data.join("admin.key")).unwrap();
    let config = folder.join("ironlist.toml");
    let url = server.url("/list.txt");
    let source = format!("[source.list]\nkind = \"feed\"\nurl = \"{url}\"\nevery = \"1h\"\n");
    let fetch = format!("[fetch]\nexceptions = [\"127.0.0.0/8\"]\nports = [{}]\n", server.port());
    std::fs::write(&config, fetch + &source).unwrap();
    let url = format!("http://{}", blacklist.address("blacklist"));
    let plan = Plan::new(&data).roles("collection").set("IRONLIST_UPSTREAM_BLACKLIST", &url);
    plan.argument("--config").argument(&config).start()
}

#[test]
fn what_is_taken_back_in_one_process_stays_back_in_the_one_that_collects() {
    let server = super::feed::FeedServer::start();
    let serve = |list: &str| server.serve("/list.txt", super::feed::Answer::list(list));
    serve("45.1.2.3\n45.1.2.4\n");
    let folder = tempfile::tempdir().unwrap();
    let blacklist = Plan::new(&folder.path().join("blacklist")).roles("blacklist").start();
    let collection = collecting(&blacklist, folder.path(), &server);
    let listed = |ip: &str| is_listed(&blacklist, "blacklist", ip).then_some(());
    until("the first list is there", || listed("45.1.2.3"));
    let good = blacklist.generation();
    serve("45.1.2.3\n45.1.2.4\n45.9.9.9\n");
    let trigger = || {
        let body = "{\"source\":\"list\"}";
        collection.post("collection", "/api/v1/collection/trigger", "application/json", body)
    };
    until("it may run again", || (trigger().status == 202).then_some(()));
    until("the second list is there", || listed("45.9.9.9"));
    let wish = "{\"source\":\"list\",\"reason\":\"the second one was wrong\"}";
    let back = format!("/api/v1/generations/{good}/rollback");
    blacklist.post("blacklist", &back, "application/json", wish).ok();
    assert!(
        !is_listed(&blacklist, "blacklist", "45.9.9.9") && is_listed(&blacklist, "blacklist", "45.1.2.3")
    );
    let check = || collection.get("collection", "/health").json()["checks"]["rollback"].clone();
    let told = until("the one that collects hears of it", || {
        Some(check()).filter(|check| check["status"] == "degraded")
    });
    assert!(told["detail"].as_str().unwrap().contains("list (back at generation"), "{told}");
    let refused = trigger();
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(!is_listed(&blacklist, "blacklist", "45.9.9.9"));
    let key = collection.key();
    let enable = "/api/v1/collection/sources/list/enable";
    let enabled = collection.ask("collection", "PUT", enable, &[("x-api-key", &key)], b"").unwrap();
    assert_eq!(enabled.status, 200, "{enabled:?}");
    until("it is released", || (check()["status"] == "healthy").then_some(()));
    until("it may run again", || (trigger().status == 202).then_some(()));
    until("its list is taken in again", || listed("45.9.9.9"));
}

/// A table of addresses, each with words of which nothing can be packed: two megabytes.
fn wordy(seed: u64) -> String {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut words = || (0..26).map(|_| format!("{:016x}", dice.u64(..))).collect::<String>();
    let row = |n: u32| format!("{},{}\n", std::net::Ipv4Addr::from(0x1400_0000 + 2 * n), words());
    std::iter::once("ip,reason\n".to_owned()).chain((0..10_000).map(row)).collect()
}

#[test]
fn who_comes_late_begins_with_the_checkpoint_and_all_agree_across_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let plan = || Plan::new(&at("blacklist")).roles("blacklist").set("IRONLIST_JOURNAL_KEEP_SIZE", "1 MiB");
    let blacklist = plan().start();
    let import = |house: &House, list: String| {
        let path = "/api/v1/blacklist/import?source=a&replace=true";
        house.post("blacklist", path, "text/csv", list).ok();
    };
    import(&blacklist, "ip\n45.1.2.3\n".to_owned());
    let gone = |house: &House| house.look("blacklist", "/api/v1/generations/1").status == 410;
    for seed in 0..10 {
        if gone(&blacklist) {
            break;
        }
        import(&blacklist, wordy(seed));
        // Records move, and go, when it is quiet for a second.
        std::thread::sleep(std::time::Duration::from_millis(1300));
    }
    until("the oldest records are gone", || gone(&blacklist).then_some(()));
    let newest = blacklist.generation();
    let late = beside(&blacklist, &at("analytics"), "analytics,gateway", &[("blacklist", &blacklist)]);
    late.logged("begun with a checkpoint");
    counted(&late, 10_000);
    let summary = |house: &House| house.look("gateway", "/api/v1/generations").ok().json();
    let before = summary(&late);
    assert!(before["oldest"].as_u64().unwrap() > 1, "{before}");
    let address = blacklist.address("blacklist");
    blacklist.kill();
    let blacklist = plan().set("IRONLIST_LISTEN_BLACKLIST", &address.to_string()).start();
    assert_eq!((blacklist.generation(), gone(&blacklist)), (newest, true));
    assert!(
        !is_listed(&blacklist, "blacklist", "45.1.2.3") && is_listed(&blacklist, "blacklist", "20.0.0.2")
    );
    assert_eq!(summary(&late)["data"], before["data"]);
    list(&late, "45.1.2.5");
    counted(&late, 10_001);
}

#[test]
fn what_changed_since_a_generation_is_told_across_restarts_and_adds_up_to_the_list() {
    use std::collections::BTreeSet;
    let folder = tempfile::tempdir().unwrap();
    let mut house = Plan::new(folder.path()).start();
    let lists = ["20.0.0.1 20.0.0.3", "20.0.0.1 20.0.0.3 20.0.0.5", "20.0.0.3 20.0.0.7", "20.0.0.9 20.0.0.3"];
    let lines = |list: &str| list.split(' ').map(str::to_owned).collect::<BTreeSet<String>>();
    let changes = |house: &House, since: usize| {
        let answer = house.look("gateway", &format!("/api/v1/changes?since={since}"));
        // Before the first release there is no list that could have changed.
        let told = (answer.status != 503).then(|| answer.ok().json())?;
        let set = |key: &str| -> BTreeSet<String> {
            told[key].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
        };
        Some((told["generation"].as_u64().unwrap(), set("added"), set("removed")))
    };
    for (at, list) in lists.iter().enumerate() {
        let path = "/api/v1/blacklist/import?source=a&replace=true";
        house.post("gateway", path, "text/plain", list.replace(' ', "\n")).ok();
        let newest = at as u64 + 1;
        until("it is released", || changes(&house, at).filter(|(generation, ..)| *generation == newest));
        // Once with a last word, once without.
        match at % 2 {
            0 => assert!(house.stop().success()),
            _ => house.kill(),
        }
        house = Plan::new(folder.path()).start();
        for since in 0..=at {
            let (generation, added, removed) = changes(&house, since).expect("it is offered from the start");
            let before = if since == 0 { BTreeSet::new() } else { lines(lists[since - 1]) };
            let after = before.difference(&removed).chain(&added).cloned().collect::<BTreeSet<_>>();
            assert_eq!((generation, after), (newest, lines(list)), "since {since}");
            assert!(removed.is_subset(&before) && added.is_disjoint(&before));
        }
    }
    let told = run(folder.path(), ["feeds", "changes", "fortigate", "--since", "2"]);
    let text = String::from_utf8(told.stdout).unwrap();
    let (told, end) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(told, "- 20.0.0.1\n- 20.0.0.5\n+ 20.0.0.9");
    let epoch = end.strip_prefix("# generation 4 epoch ").unwrap();
    let again = ["feeds", "changes", "fortigate", "--since", "4", "--epoch"];
    assert!(run(folder.path(), again.iter().chain(&[epoch])).status.success());
    let (code, _, errors) = super::house::told(&run(folder.path(), again.iter().chain(&["0"])));
    assert!(code == 2 && errors.contains("generation_gone"), "{errors}");
    let ahead = house.look("gateway", "/api/v1/changes?since=99");
    assert_eq!(ahead.problem(), (422, "generation_ahead".to_owned()));
}

#[test]
fn a_role_elsewhere_follows_and_asks_over_tls_and_believes_only_whom_it_is_told_to() {
    let (folder, pair, another) =
        (tempfile::tempdir().unwrap(), Pair::of("localhost"), Pair::of("localhost"));
    let at = |name: &str| folder.path().join(name);
    let [certificate, key] = pair.write(folder.path());
    let blacklist = Plan::new(&at("blacklist"))
        .roles("blacklist")
        .set("IRONLIST_TLS_CERTIFICATE", certificate.to_str().unwrap())
        .set("IRONLIST_TLS_KEY", key.to_str().unwrap())
        .set("IRONLIST_TLS_CLIENTS", "ask")
        .encrypted("blacklist")
        .start();
    let url = format!("https://localhost:{}", blacklist.address("blacklist").port());
    let beside = |name: &str, believed: &Path| {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::copy(at("blacklist").join("admin.key"), at(name).join("admin.key")).unwrap();
        let plan = Plan::new(&at(name)).roles("analytics").set("IRONLIST_UPSTREAM_BLACKLIST", &url);
        plan.set("IRONLIST_UPSTREAM_CA_FILE", believed.to_str().unwrap())
            .set("IRONLIST_UPSTREAM_CERT_FILE", certificate.to_str().unwrap())
            .set("IRONLIST_UPSTREAM_KEY_FILE", key.to_str().unwrap())
    };
    let analytics = beside("analytics", &certificate).start();
    let add = ["allow", "add", "198.51.100.7", "--reason", "a customer"];
    assert_eq!(told(&blacklist.run(add)).0, 0);
    let generation = |house: &House| {
        let health = house.get("analytics", "/health").json();
        health["checks"]["follows"]["detail"].as_str().unwrap().to_owned()
    };
    until("it follows", || generation(&analytics).starts_with("generation 1, ").then_some(()));
    // Whose a key is, it asks there, too.
    let wrong = [("x-api-key", "nobody's")];
    let (status, code) =
        analytics.ask("analytics", "GET", "/api/v1/analytics/summary", &wrong, b"").unwrap().problem();
    assert_eq!((status, code.as_str()), (401, "key_wrong"));

    std::fs::create_dir(at("other")).unwrap();
    let [other, _] = another.write(&at("other"));
    let stranger = beside("stranger", &other).start();
    until("it says whom it does not believe", || generation(&stranger).contains("certificate").then_some(()));
    let mut careless = ironlist(&at("careless"));
    careless.args(["serve", "--roles", "analytics"]).env("IRONLIST_UPSTREAM_BLACKLIST", &url);
    let (code, _, errors) = told(&careless.output().unwrap());
    assert!(code == 2 && errors.contains("upstream.ca_file"), "{code} {errors}");
}
