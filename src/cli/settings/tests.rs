use super::*;
use crate::model::{Output, OutputName};
use futures_util::FutureExt;
use std::fs;
use tempfile::TempDir;

/// Loads settings from the text of a file, a text in `conf.d`, an environment and flags.
fn load(
    file: &str,
    more: &str,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &'static str, &str)],
) -> Result<Settings, SettingsError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ironlist.toml");
    fs::write(&path, file).unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    fs::write(folder.path().join("conf.d/50-more.toml"), more).unwrap();
    fs::write(folder.path().join("conf.d/ignored.bak"), "no settings").unwrap();
    Settings::load(&Inputs {
        config: Some(path),
        environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        flags: flags.iter().map(|(key, flag, text)| (*key, *flag, (*text).to_owned())).collect(),
    })
}

fn refusal(file: &str) -> String {
    load(file, "", &[], &[]).unwrap_err().to_string()
}

/// The effective values without their origins.
fn values(settings: &Settings) -> Vec<String> {
    TABLE.iter().map(|setting| settings.layers.entry(setting.key).unwrap().0.to_string()).collect()
}

#[test]
fn nothing_configured_is_four_roles_on_loopback() {
    let settings = load("", "", &[], &[]).unwrap();
    assert_eq!(settings.roles, Role::ALL);
    assert_eq!(settings.data, PathBuf::from("./ironlist-data"));
    for (role, port) in Role::ALL.into_iter().zip([8000, 8001, 8002, 8080]) {
        assert_eq!(settings.listen(role), ([127, 0, 0, 1], port).into());
        assert_eq!(settings.upstream(role), None);
    }
    assert_eq!((settings.limits.body, settings.limits.import_body), (1 << 20, 1 << 30));
    assert_eq!(settings.zone, chrono_tz::Asia::Seoul);
}

#[test]
fn each_layer_overrides_the_one_below_and_values_know_their_origin() {
    let file =
        "[data]\ndir = \"/file\"\n[limits]\nconnections = 1\nbody = \"2 KiB\"\n[log]\nlevel = \"warn\"\n";
    let more = "[limits]\nconnections = 2\nbody = 3000\n[log]\nlevel = \"error\"\n";
    let environment =
        [("IRONLIST_LIMITS_CONNECTIONS", "3"), ("IRONLIST_DATA", "/environment"), ("PATH", "/bin")];
    let flags = [("data.dir", "--data", "/flag"), ("roles.run", "--roles", "gateway, blacklist")];
    let settings = load(file, more, &environment, &flags).unwrap();
    assert_eq!(settings.data, PathBuf::from("/flag"));
    assert_eq!(settings.roles, [Role::Blacklist, Role::Gateway]);
    assert_eq!((settings.limits.connections, settings.limits.body), (3, 3000));
    assert_eq!(settings.log.level, "error");
    let shown = settings.show();
    for line in [
        "dir = \"/flag\"  # flag --data",
        "connections = 3  # environment IRONLIST_LIMITS_CONNECTIONS",
        "insecure = false  # default",
        "conf.d/50-more.toml",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
}

#[test]
fn what_is_open_by_default_is_closed_in_the_environment_and_never_by_accident() {
    for (name, key) in [
        ("IRONLIST_ACCESS_LEGACY_NETWORKS", "legacy_networks"),
        ("IRONLIST_ACCESS_OPEN", "open"),
        ("IRONLIST_PUBLISH_OPEN", "open"),
    ] {
        for text in ["none", "[]", " [ ] "] {
            let shown = load("", "", &[(name, text)], &[]).unwrap().show();
            assert!(shown.contains(&format!("{key} = []  # environment {name}")), "{text}: {shown}");
        }
        let error = load("", "", &[(name, "")], &[]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("say none"), "{error}");
    }
    let shown = load("", "", &[("IRONLIST_ACCESS_OPEN", r#"["10.0.0.0/8", "::1"]"#)], &[]).unwrap().show();
    assert!(shown.contains(r#"open = ["10.0.0.0/8", "::1"]"#), "as in the file: {shown}");
}

#[test]
fn names_of_earlier_deployments_are_understood_below_the_own_ones() {
    let url =
        [("BLACKLIST_SERVICE_URL", "http://old:1"), ("LOG_LEVEL", "DEBUG"), ("IRONLIST_LOG_FORMAT", "")];
    let settings = load("", "", &url, &[]).unwrap();
    assert_eq!(settings.upstream(Role::Blacklist), Some("http://old:1"));
    assert_eq!(settings.log.level, "debug");
    let both = [url[0], ("IRONLIST_UPSTREAM_BLACKLIST", "http://new:2")];
    assert_eq!(load("", "", &both, &[]).unwrap().upstream(Role::Blacklist), Some("http://new:2"));
}

#[test]
fn a_stray_key_is_refused_in_every_table_of_the_example() {
    let example = example();
    assert!(refusal("stray = 1").contains("there is no setting stray"));
    let sections: Vec<&str> = example.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(sections.len(), 23);
    for section in sections {
        let file = example.replace(&format!("\n{section}\n"), &format!("\n{section}\nstray = 1\n"));
        let refusal = refusal(&file);
        assert!(refusal.contains("ironlist.toml: there is no setting"), "{refusal}");
        assert!(refusal.contains(".stray"), "{refusal}");
    }
    assert!(refusal("[strays]").contains("there is no setting strays"));
    assert!(load("", "[log]\nstray = 1", &[], &[]).unwrap_err().to_string().contains("50-more.toml"));
}

#[test]
fn a_misspelt_key_is_answered_with_the_right_one() {
    assert!(refusal("[listen]\ngatway = \"127.0.0.1:1\"").ends_with("was listen.gateway meant?"));
    assert!(
        refusal("[lisen]\ngateway = \"127.0.0.1:1\"").ends_with("lisen.gateway; was listen.gateway meant?")
    );
    let misspelt = load("", "", &[("IRONLIST_LISTEN_GATWAY", "127.0.0.1:1")], &[]).unwrap_err().to_string();
    assert!(misspelt.ends_with("was IRONLIST_LISTEN_GATEWAY meant?"), "{misspelt}");
}

#[test]
fn what_kubernetes_says_about_a_service_of_this_name_is_no_setting() {
    let names = [
        ("IRONLIST_SERVICE_HOST", "10.0.0.1"),
        ("IRONLIST_GATEWAY_SERVICE_PORT_HTTP", "8080"),
        ("IRONLIST_PORT", "tcp://10.0.0.1:8080"),
        ("IRONLIST_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(load("", "", &names, &[]).is_ok());
}

#[test]
fn the_example_means_the_defaults_with_and_without_its_comment_signs() {
    let defaults = load("", "", &[], &[]).unwrap();
    let example = example();
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let uncommented = load(&uncommented.join("\n"), "", &[], &[]).unwrap();
    assert_eq!(values(&load(&example, "", &[], &[]).unwrap()), values(&defaults));
    assert_eq!(values(&uncommented), values(&defaults));
    let from_file =
        |setting: &table::Setting| uncommented.layers.entry(setting.key).unwrap().1 != Origin::Default;
    assert!(TABLE.iter().all(from_file));
}

#[test]
fn what_is_shown_reads_again_as_the_same() {
    let environment = [("IRONLIST_ROLES_RUN", "blacklist"), ("IRONLIST_LOG_LEVEL", "info,ironlist=debug")];
    let settings = load("[time]\ndisplay_zone = \"UTC\"", "", &environment, &[]).unwrap();
    let again = load(&settings.show(), "", &[], &[]).unwrap();
    assert_eq!(values(&again), values(&settings));
}

#[test]
fn every_setting_refuses_a_value_of_another_kind_and_says_where_it_was() {
    for setting in TABLE {
        let (section, name) = setting.parts();
        let refusal = refusal(&format!("[{section}]\n{name} = 1.5"));
        assert!(refusal.contains(&format!("{} = 1.5", setting.key)), "{refusal}");
        assert!(refusal.contains("ironlist.toml") && refusal.contains("meant"), "{refusal}");
    }
    assert!(refusal("[roles]\nrun = [\"colection\"]").contains("none of collection"));
    assert!(refusal("[roles]\nrun = []").contains("at least one"));
    assert!(refusal("[log\n").contains("ironlist.toml"));
}

#[test]
fn a_listener_for_the_network_wants_to_be_declared() {
    let open = "[listen]\ngateway = \"0.0.0.0:8080\"\n";
    assert!(refusal(open).contains("--insecure-listen"));
    let flag = [("listen.insecure", "--insecure-listen", "true")];
    assert!(load(open, "", &[], &flag).unwrap().insecure);
    let elsewhere = [("roles.run", "--roles", "blacklist")];
    assert!(load(open, "", &[], &elsewhere).is_ok());
}

#[test]
fn tls_or_a_declared_proxy_with_tls_opens_a_listener() {
    let open = "[listen]\ngateway = \"[::]:8443\"\n";
    let files = "certificate = \"/c.pem\"\nkey = \"/k.pem\"\n";
    for cure in ["tls.certificate", "proxy.trusted", "--insecure-listen"] {
        assert!(refusal(open).contains(cure), "{cure}");
    }
    let encrypted = load(&format!("{open}[tls]\n{files}"), "", &[], &[]).unwrap();
    assert!(encrypted.is_encrypted(Role::Gateway));
    let behind = format!("{open}[proxy]\ntrusted = [\"10.0.0.1\"]\ntls = true\n");
    assert!(load(&behind, "", &[], &[]).unwrap().proxy.trusted.contains("10.0.0.1".parse().unwrap()));
    for insufficient in [
        format!("{open}[tls]\n{files}roles = [\"blacklist\"]\n"),
        format!("{open}[proxy]\ntrusted = [\"10.0.0.1\"]\n"),
        format!("{open}[proxy]\ntrusted = [\"10.0.0.1\"]\nprotocol = true\n"),
    ] {
        assert!(refusal(&insufficient).contains("is not on loopback"), "{insufficient}");
    }
    assert!(load("[listen]\ngateway = \"[::ffff:127.0.0.1]:1\"", "", &[], &[]).is_ok());
}

#[test]
fn halves_of_tls_and_of_proxies_are_refused() {
    for (half, missing) in [
        ("[tls]\ncertificate = \"/c.pem\"", "tls.key"),
        ("[tls]\nkey = \"/k.pem\"", "tls.certificate"),
        ("[tls]\nredirect = \"127.0.0.1:80\"", "tls.certificate"),
        ("[tls]\ncertificate = \"/c\"\nkey = \"/k\"\nclient_ca = \"/ca\"", "tls.clients"),
        ("[tls]\norigin = \"http://a\"", "https://"),
        ("[proxy]\ntls = true", "proxy.trusted"),
        ("[proxy]\nprotocol = true", "proxy.trusted"),
        ("[cors]\norigins = [\"*\"]", "https://"),
    ] {
        assert!(refusal(half).contains(missing), "{}", refusal(half));
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let inputs = Inputs { config: Some("/nonexistent/ironlist.toml".into()), ..Inputs::default() };
    assert!(Settings::load(&inputs).unwrap_err().to_string().starts_with("/nonexistent/ironlist.toml: "));
}

const SOURCE: &str = "[source.mine]\nkind = \"feed\"\nurl = \"https://lists.example/a\"\nevery = \"1h\"\n";

#[test]
fn sources_stand_in_any_file_and_are_shown_so_that_they_read_again() {
    let more = "[source.mine]\nkind = \"feed\"\nurl = \"https://lists.example/b\"\n[source.other]\nkind = \"upload\"\n";
    let settings = load(SOURCE, more, &[], &[]).unwrap();
    let sources = &settings.collection.sources;
    let names: Vec<&str> = sources.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["mine", "other"]);
    assert_eq!(sources["mine"].url.as_deref(), Some("https://lists.example/b"));
    assert_eq!(&load(&settings.show(), "", &[], &[]).unwrap().collection.sources, sources);
}

#[test]
fn feeds_and_devices_stand_in_any_file_and_are_shown_so_that_they_read_again() {
    let file = "[feeds.edge]\nformat = \"cisco\"\nfilter = { confidence = 70, countries = [\"kp\"] }\n\
                [devices.box]\nmodel = \"fortigate-vm02\"\nfeeds = [\"edge\"]\nnetworks = [\"10.0.0.1\"]\n";
    let settings = load(file, "[feeds.edge]\nformat = \"csv\"\n", &[], &[]).unwrap();
    let [Output::Feed(feed), Output::Device(device)] = &settings.outputs[..] else { panic!("feeds first") };
    assert_eq!((feed.format, feed.filter.confidence), (crate::model::Format::Csv, None));
    assert_eq!(device.budget.entries, Some(168_928), "the preset's");
    assert_eq!(load(&settings.show(), "", &[], &[]).unwrap().outputs, settings.outputs);
    for (file, says) in [
        ("[feeds.edge]\nformt = \"csv\"\n", "feeds.edge: "),
        ("[feeds.edge]\nparts = 0\n", "parts must be"),
        ("[devices.\"../x\"]\n", "is no name"),
        ("feeds = 1\n", "a table is meant"),
    ] {
        assert!(refusal(file).contains(says), "{}", refusal(file));
    }
}

#[test]
fn a_source_that_is_none_is_refused_with_its_place() {
    for (more, says) in [("evry = \"1h\"", "evry"), ("cron = \"0 0 * * *\"", "one of them")] {
        let refusal = refusal(&format!("{SOURCE}{more}\n"));
        assert!(refusal.contains("ironlist.toml: source.mine: ") && refusal.contains(says), "{refusal}");
    }
    assert!(refusal("source = 1").contains("[source.NAME]"));
}

#[test]
fn what_fetching_may_reach_is_said_in_the_file_or_the_environment() {
    let variables = [("IRONLIST_FETCH_PORTS", "443,8443"), ("IRONLIST_FETCH_PROXY_HOSTS", "*.example.com")];
    let file = "[fetch]\nexceptions = [\"10.0.0.0/8\", \"intranet\"]\nproxy = \"http://proxy:3128\"\n";
    let fetch = load(file, "", &variables, &[]).unwrap().collection.fetch;
    assert_eq!((fetch.reach.ports, fetch.reach.exceptions.len()), (vec![443, 8443], 2));
    assert_eq!(fetch.reach.proxy.unwrap().hosts.len(), 1);
    assert!(refusal("[fetch]\nports = [70000]").contains("ports"));
    assert!(refusal("[fetch]\nproxy = \"no url\"").contains("http://host:port"));
}

#[test]
fn the_memory_of_documents_is_what_is_said() {
    for (said, fits) in [("", true), ("[collection]\nmemory = \"16 MiB\"", false)] {
        let memory = load(said, "", &[], &[]).unwrap().collection.fetch.memory;
        let all = memory.take(16 << 20).now_or_never();
        assert_eq!((all.is_some(), memory.take(8 << 20).now_or_never().is_some()), (true, fits));
    }
}

#[test]
fn the_key_of_the_vault_is_no_setting_that_could_be_shown() {
    assert!(load("", "", &[("IRONLIST_VAULT_KEY", "00")], &[]).is_ok());
}

#[test]
fn the_feed_is_written_as_the_settings_say() {
    let lines = |text: &str| {
        load(&format!("[feed]\nlines = \"{text}\"\n"), "", &[], &[]).map(|settings| settings.lines)
    };
    assert_eq!(load("", "", &[], &[]).unwrap().lines, Lines::Cidrs);
    assert_eq!(lines("ranges").unwrap(), Lines::Ranges);
    assert_eq!(lines("addresses").unwrap(), Lines::Addresses);
    assert!(lines("cidr").is_err());
}

#[test]
fn a_dns_list_has_a_zone_or_is_none() {
    assert!(load("", "", &[], &[]).unwrap().dnsbl.is_none());
    let listen = "[dnsbl]\nlisten = \"127.0.0.1:5300\"\n";
    let dnsbl = load(&format!("{listen}zone = \"bl.example.com\"\n"), "", &[], &[]).unwrap().dnsbl.unwrap();
    assert_eq!((dnsbl.listen.port(), dnsbl.feed), (5300, OutputName::fortigate()));
    for zone in ["", "zone = \"no zone\"\n", "zone = \"a\"\nname_server = \"..\"\n"] {
        assert!(refusal(&format!("{listen}{zone}")).contains("dnsbl.zone = "), "{zone}");
    }
    assert!(refusal("[dnsbl]\nnetworks = [\"all\"]\n").contains("dnsbl.networks"));
}

#[test]
fn settings_name_what_differs_and_not_where_it_was_said() {
    let one = load("[limits]\nbody = 7\n[log]\nlevel = \"warn\"\n", "", &[], &[]).unwrap();
    let other = load("[limits]\nbody = 8\n", "", &[("LOG_LEVEL", "warn")], &[]).unwrap();
    assert_eq!(one.changed(&other), ["limits.body"]);
}

#[test]
fn what_is_shown_holds_no_account_of_the_proxy() {
    let settings = load("[fetch]\nproxy = \"http://me:secret@proxy.example:3128\"\n", "", &[], &[]).unwrap();
    let shown = settings.show();
    assert!(
        shown.contains("proxy = \"http://***@proxy.example:3128/\"") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn what_is_shown_of_sources_holds_no_query_of_a_url() {
    let text = "[source.mine]\nkind = \"feed\"\nurl = \"https://lists.example/a?key=secret\"\n\
                [source.regtech]\nkind = \"regtech\"\nregtech = { base_url = \"https://me:secret@portal.example\" }\n";
    let shown = load(text, "", &[], &[]).unwrap().show();
    assert!(shown.contains("url = \"https://lists.example/a?***\""), "{shown}");
    assert!(shown.contains("https://***@portal.example/") && !shown.contains("secret"), "{shown}");
}

#[test]
fn a_wish_that_nobody_would_fulfil_is_refused() {
    let ca = "ca_file = \"/ca.pem\"\n";
    let (chain, key) = ("cert_file = \"/own.pem\"\n", "key_file = \"/own.key\"\n");
    assert!(load(&format!("[upstream]\n{ca}{chain}{key}"), "", &[], &[]).is_ok());
    for (file, says) in [
        (format!("[upstream]\n{ca}{chain}"), "upstream.key_file is meant"),
        (format!("[upstream]\n{ca}{key}"), "upstream.cert_file is meant"),
        (format!("[upstream]\n{chain}{key}"), "upstream.ca_file is meant"),
        ("[tls]\nclients = \"demand\"".to_owned(), "tls.clients"),
        ("[tls]\nclient_ca = \"/ca.pem\"".to_owned(), "tls.client_ca"),
        ("[tls]\norigin = \"https://a.example\"".to_owned(), "tls.origin"),
        ("[identity]\ntoken_minutes = 1441".to_owned(), "at most 1440"),
        ("[identity]\nidle_days = 367".to_owned(), "at most 366"),
        ("[identity]\nsession_days = 367".to_owned(), "at most 366"),
        ("[identity]\nsigning_days = 367".to_owned(), "at most 366"),
    ] {
        let refusal = refusal(&file);
        assert!(refusal.contains(says), "{file}: {refusal}");
    }
}
