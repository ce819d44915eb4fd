//! The roles in processes of their own, as on several machines.

use super::bad_input::endless;
use super::house::{House, Plan, told, until};
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
    let at = |name: &str| folder.path().join(name);
    let blacklist = Plan::new(&at("blacklist")).roles("blacklist").start();
    std::fs::create_dir(at("collection")).unwrap();
    std::fs::copy(blacklist.data().join("admin.key"), at("collection").join("admin.key")).unwrap();
    let config = folder.path().join("ironlist.toml");
    let source =
        format!("[source.list]\nkind = \"feed\"\nurl = \"{}\"\nevery = \"1h\"\n", server.url("/list.txt"));
    let fetch = format!("[fetch]\nexceptions = [\"127.0.0.0/8\"]\nports = [{}]\n", server.port());
    std::fs::write(&config, fetch + &source).unwrap();
    let url = format!("http://{}", blacklist.address("blacklist"));
    let collection =
        Plan::new(&at("collection")).roles("collection").set("IRONLIST_UPSTREAM_BLACKLIST", &url);
    let collection = collection.argument("--config").argument(&config).start();
    until("it is listed there", || is_listed(&blacklist, "blacklist", "45.1.2.3").then_some(()));
    until("the run has ended", || {
        let runs = collection.get("collection", "/api/v1/collection/runs").ok().json();
        (runs["data"][0]["state"] == "done" && runs["data"][0]["counts"]["new"] == 2).then_some(())
    });
}
