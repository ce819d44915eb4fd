//! Every setting there is: its key, its default and what it means. The example file, the names in
//! the environment and the check for unknown keys are all made from this table.

use toml::Value;

/// One setting.
pub(super) struct Setting {
    /// `section.name`.
    pub(super) key: &'static str,
    /// The default, as TOML; it also says of which type the value is.
    pub(super) default: &'static str,
    /// For the example file.
    pub(super) doc: &'static str,
    /// Other names in the environment, of earlier deployments or for short.
    pub(super) aliases: &'static [&'static str],
}

const fn setting(key: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting { key, default, doc, aliases: &[] }
}

impl Setting {
    const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// The name in the environment: `IRONLIST_SECTION_KEY`.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_uppercase().replace('.', "_"))
    }

    /// The default as a value.
    pub(super) fn default_value(&self) -> Value {
        // A test reads every default; an unreadable one would be refused by its type.
        self.default.parse().unwrap_or(Value::Boolean(false))
    }

    /// The section and the name in it.
    pub(super) fn parts(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').unwrap_or(("", self.key))
    }
}

/// How names in the environment begin.
pub(super) const PREFIX: &str = "IRONLIST_";

pub(super) const TABLE: &[Setting] = &[
    setting("data.dir", r#""./ironlist-data""#, "The folder in which everything is kept.")
        .also(&["IRONLIST_DATA"]),
    setting(
        "listen.collection",
        r#""127.0.0.1:8000""#,
        "Where the collection role listens; port 0 takes any free one.",
    ),
    setting("listen.blacklist", r#""127.0.0.1:8001""#, "Where the blacklist role listens."),
    setting("listen.analytics", r#""127.0.0.1:8002""#, "Where the analytics role listens."),
    setting(
        "listen.gateway",
        r#""127.0.0.1:8080""#,
        "Where the gateway listens: the door for everybody else.",
    ),
    setting(
        "listen.insecure",
        "false",
        "Listen on other addresses than loopback although nothing encrypts: only where the network itself is\nprotected, as that of a container is.",
    ),
    setting(
        "listen.names",
        "[]",
        "The names by which browsers reach the ports without TLS (\"ironlist.corp\"). By another name no browser is let in\nfor its network alone: a page of elsewhere can give itself any name, and have it lead here.",
    ),
    setting(
        "tls.certificate",
        r#""""#,
        "The certificate of the ports, and what leads from it to its authority (PEM); empty: no TLS. It is read again by\nitself when the file changes.",
    ),
    setting("tls.key", r#""""#, "Its private key (PEM)."),
    setting(
        "tls.roles",
        r#"["collection", "blacklist", "analytics", "gateway"]"#,
        "The roles whose ports speak TLS.",
    ),
    setting(
        "tls.clients",
        r#""no""#,
        "Whether callers are asked for a certificate: no, ask, or demand (without one there is no connection).",
    ),
    setting(
        "tls.client_ca",
        r#""""#,
        "The authorities (PEM) that sign callers' certificates; empty: any is taken from whoever has its key, and known\nby its SHA-256.",
    ),
    setting(
        "tls.redirect",
        r#""""#,
        "A port without TLS that leads to the gateway's (\"0.0.0.0:80\"); empty: none.",
    ),
    setting(
        "tls.origin",
        r#""""#,
        "Where it leads (https://host:port); empty: to the host that was asked for, at the gateway's port.",
    ),
    setting(
        "proxy.trusted",
        "[]",
        "The networks of the proxies before the ports. They alone are believed for whom they ask (X-Forwarded-For,\nForwarded); what comes through any other is open to nobody without a key.",
    ),
    setting(
        "proxy.tls",
        "false",
        "Callers reach these proxies over TLS: so listeners may be on other addresses than loopback.",
    ),
    setting(
        "proxy.protocol",
        "false",
        "Each of their connections begins with a PROXY header, version 1 or 2.",
    ),
    setting(
        "cors.origins",
        "[]",
        "The pages of elsewhere that may use the API in a browser (\"https://soc.example.com\").",
    ),
    setting(
        "roles.run",
        r#"["collection", "blacklist", "analytics", "gateway"]"#,
        "The roles that this process plays; the others are found under [upstream].",
    ),
    setting(
        "upstream.collection",
        r#""""#,
        "Where the collection role runs (http://host:port) when it is not played here. Several instances stand in brackets,\nor with commas between them; changes go to the first one.",
    )
    .also(&["COLLECTION_SERVICE_URL"]),
    setting("upstream.blacklist", r#""""#, "Where the blacklist role runs.").also(&["BLACKLIST_SERVICE_URL"]),
    setting("upstream.analytics", r#""""#, "Where the analytics role runs.").also(&["ANALYTICS_SERVICE_URL"]),
    setting(
        "upstream.balance",
        r#""round_robin""#,
        "Which instance of several is asked: round_robin (each in its turn) or least_loaded (where the fewest wait).",
    ),
    setting("upstream.timeout_seconds", "30", "So long the gateway waits for the head of an answer from elsewhere."),
    setting("upstream.check_seconds", "3", "About so often every instance is asked whether it is ready."),
    setting(
        "upstream.ca_file",
        r#""""#,
        "The certificates (PEM) that instances at https URLs are believed by: one of them has signed theirs.",
    ),
    setting(
        "upstream.cert_file",
        r#""""#,
        "The certificate (PEM) that the gateway shows to them, where they ask for one, and the file with its key.",
    ),
    setting("upstream.key_file", r#""""#, "The key (PEM) of that certificate."),
    setting(
        "upstream.at_work",
        "1024",
        "Requests at work in each role at once; as many wait for two seconds at most, and more are sent away (503).",
    ),
    setting(
        "log.level",
        r#""info""#,
        "error, warn, info, debug or trace; for parts too: \"info,ironlist::engine=debug\".",
    )
    .also(&["LOG_LEVEL"]),
    setting("log.format", r#""auto""#, "text, json, or auto: text on a terminal and JSON elsewhere."),
    setting(
        "otlp.endpoint",
        r#""""#,
        "Where traces of requests go: the OTLP endpoint of a collector (\"http://127.0.0.1:4318\"), over HTTP in protobuf;\nempty: nowhere. Only a program built with the feature otlp can.",
    ),
    setting(
        "otlp.share",
        "0.01",
        "Of the requests with which a trace begins here, the share that is kept, from 0 to 1. Where others began it,\ntheir word counts.",
    ),
    setting("otlp.service", r#""ironlist""#, "What this service is called in traces."),
    setting("limits.connections", "4096", "Connections at once on each port; more wait. One address may have a quarter of them, but for a declared proxy."),
    setting("limits.body", r#""1 MiB""#, "The longest request body."),
    setting("limits.import_body", r#""1 GiB""#, "The longest list that is taken in, as sent and unpacked."),
    setting(
        "cache.size",
        r#""64 MiB""#,
        "The memory that the gateway may take to keep answers about statistics, analytics and short active lists; 0 keeps\nnone.",
    ),
    setting(
        "rate.check",
        r#""2000/s""#,
        "How often one caller may ask at the gateway, by identity, else by address (IPv6: by /64): \"100/s\", \"600/m\",\n\"1000/h\" or \"off\". This one is for single look-ups.",
    ),
    setting("rate.bulk", r#""300/m""#, "The same for look-ups of many at once, searches and bulk imports."),
    setting(
        "rate.feeds",
        r#""600/m""#,
        "The same for feeds, of those who have not been given one within the hour; devices are never limited.",
    ),
    setting("rate.read", r#""1200/m""#, "The same for everything else that is only read."),
    setting("rate.write", r#""600/m""#, "The same for changes."),
    setting("rate.auth", r#""60/m""#, "The same for logins and what belongs to them."),
    setting(
        "rate.shed",
        "true",
        "Turns callers away (503) while there is more to do than the processor can, or than its control group may: what can\nwait first, single look-ups last, feeds and health never.",
    ),
    setting(
        "journal.keep_days",
        "400",
        "Days for which changes can be looked up, compared and gone back to; what is listed stays, however old.",
    ),
    setting(
        "journal.keep_size",
        r#""4 GiB""#,
        "The most that old changes may take on the disk; the oldest go first.",
    ),
    setting("collection.slots", "20", "Collection runs at work at once; more wait for their turn."),
    setting(
        "collection.memory",
        r#""512 MiB""#,
        "The memory that large documents may take at once, of all runs together; more wait for their turn.",
    ),
    setting("collection.raw_days", "30", "Days for which the bytes that runs fetched are kept."),
    setting(
        "collection.raw_size",
        r#""2 GiB""#,
        "The most that they may take on the disk; the oldest go first.",
    ),
    setting(
        "collection.vault_key",
        r#""""#,
        "The file with the key that seals credentials (32 bytes, or 64 hexadecimal digits). Where none is named it is\nsystemd's credential ironlist-key, then IRONLIST_VAULT_KEY, then a file that is made in the data folder.",
    ),
    setting(
        "identity.token_minutes",
        "15",
        "So long an access token holds; with its refresh token the session goes on.",
    ),
    setting("identity.idle_days", "7", "So long a session lasts that nobody uses."),
    setting("identity.session_days", "30", "So long a session lasts in any case."),
    setting(
        "identity.signing_days",
        "30",
        "After so many days another key signs tokens; what the one before has signed holds to its end.",
    ),
    setting(
        "fetch.contact",
        r#""""#,
        "How owners of lists reach you, told with every download: an address or a URL.",
    ),
    setting("fetch.size", r#""256 MiB""#, "The largest document that is fetched."),
    setting("fetch.ports", "[80, 443, 8080, 8443]", "The ports that are fetched from."),
    setting(
        "fetch.exceptions",
        "[]",
        "Hosts and networks that may be fetched from although their addresses are not public.",
    ),
    setting("fetch.ca_file", r#""""#, "Certificates (PEM) that are trusted beside the system's."),
    setting(
        "fetch.proxy",
        r#""""#,
        "The proxy for everything that is fetched (http://host:port). Names are resolved beyond it, so the list of\nhosts below takes the place of the check of addresses.",
    ),
    setting(
        "fetch.proxy_hosts",
        "[]",
        "The hosts that may be fetched through the proxy; *.example.com is one, too.",
    ),
    setting(
        "feed.lines",
        r#""cidrs""#,
        "How the FortiGate feed writes what is listed: cidrs (the fewest prefixes), ranges (first-last), or\naddresses (every single one, a million at most).",
    ),
    setting(
        "access.open",
        r#"["127.0.0.0/8", "::1"]"#,
        "The networks from which everybody may look addresses up, read statistics, analytics and what is listed, and scrape\nmetrics without a key; from elsewhere that takes one with the right to. In the environment, none closes it.",
    ),
    setting(
        "access.legacy_networks",
        r#"["127.0.0.0/8", "::1"]"#,
        "The networks from which everybody may use the earlier system's paths as ever, those that change something, too.\nWith a proxy on this machine that is not in proxy.trusted, name none: its callers would come from here.",
    ),
    setting(
        "publish.open",
        r#"["127.0.0.0/8", "::1"]"#,
        "The networks from which everybody may read every feed; from elsewhere a device shows its key, or is known by\nits own networks.",
    ),
    setting(
        "push.networks",
        "[]",
        "Hosts and networks that lists may be pushed to, and webhooks be told at, although their addresses are not\npublic: those of your firewalls.",
    ),
    setting(
        "push.ports",
        "[443, 8443, 10443]",
        "The ports that lists may be pushed to, and webhooks be told at.",
    ),
    setting(
        "crowdsec.feed",
        r#""fortigate""#,
        "The feed whose list CrowdSec's bouncers get as decisions. Bouncers for nftables know single addresses only:\ngive them a feed whose lines are addresses.",
    ),
    setting(
        "crowdsec.keys_file",
        r#""""#,
        "The file with the keys of bouncers, one a line, that nobody but its owner may read (chmod 600). The\nadministrator's key is always one.",
    ),
    setting(
        "crowdsec.window_minutes",
        "60",
        "So long what is new is told to bouncers, which nobody tells apart; longer than any of them waits between two\nquestions, and at most a day.",
    ),
    setting(
        "crowdsec.hold_days",
        "7",
        "So long a bouncer that hears nothing more blocks what it was told, 1 to 23 days. What is listed no more is told\nfor as long, so that a bouncer that was away lets it go.",
    ),
    setting(
        "dnsbl.listen",
        r#""""#,
        "Where questions to the DNS list are answered, over UDP and TCP (\"127.0.0.1:5353\"); empty: nowhere. The blacklist\nrole must be played here.",
    ),
    setting("dnsbl.zone", r#""""#, "The zone of the DNS list, as in \"bl.example.com\"."),
    setting("dnsbl.name_server", r#""localhost""#, "The name server that the zone names."),
    setting("dnsbl.feed", r#""fortigate""#, "The feed whose list is answered from."),
    setting(
        "dnsbl.networks",
        r#"["127.0.0.0/8", "::1"]"#,
        "The networks that may ask; all others are refused.",
    ),
    setting("dnsbl.ttl_seconds", "300", "So long an answer may be kept, also one that nothing is listed."),
    setting(
        "time.display_zone",
        r#""Asia/Seoul""#,
        "The zone in whose days statistics are counted, and of the days of a list that says none.",
    ),
];

/// The setting of that key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.key == key)
}

/// The known key that `key` was probably meant to be.
pub(super) fn closest(key: &str) -> Option<&'static str> {
    let score = |known: &str| {
        let name = known.rsplit('.').next().unwrap_or(known);
        strsim::jaro_winkler(key, known).max(strsim::jaro_winkler(key, name))
    };
    let scored = TABLE.iter().map(|setting| (score(setting.key), setting.key));
    scored.filter(|(score, _)| *score > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, key)| key)
}
