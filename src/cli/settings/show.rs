//! The configuration as a file: the commented example, and what is in effect.

use super::Settings;
use super::table::{Setting, TABLE};
use crate::fetch::Url;
use toml::Value;

/// A file with every setting and its default, all of it commented out.
pub(in crate::cli) fn example() -> String {
    let head = "# Ironlist's settings with their defaults. Remove the # before a setting to change it.\n\
                # More files beside this one, conf.d/*.toml, are read after it in the order of their names;\n\
                # the environment overrides both, and flags override all.\n";
    let settings = sections(head, |setting| {
        let (_, name) = setting.parts();
        let doc = setting.doc.replace('\n', "\n# ");
        let mut names = vec![setting.variable()];
        names.extend(setting.aliases.iter().map(|&alias| alias.to_owned()));
        format!("# {doc}\n# Environment: {}\n#{name} = {}\n", names.join(", "), setting.default)
    });
    settings + SOURCE
}

/// What a source looks like; every part but kind and url may be left out.
const SOURCE: &str = "
# A source that is fetched, one table each. kind is feed, regtech, secudium or upload; a schedule is either
# every = \"1h\" or cron = \"0 6 * * *\" (minute, hour, day, month, weekday in the policy's zone).
#[source.example]
#kind = \"feed\"
#url = \"https://lists.example.com/drop.txt\"
#enabled = false
#every = \"1h\"
#jitter = \"5m\"
#missed = \"run_once\"
#freshness = \"3d\"
#policy = { mode = \"snapshot\", zone = \"UTC\", confidence = 80, expires_days = 30, licence = \"CC0-1.0\" }
#parser = { format = \"plain\" }
#gate = { shrink_percent = 50, grow_percent = 100, bad_percent = 25, few = 100, protected = 10 }

# The portals are known without a table; one is for what is to be otherwise. release_days is when a row of REGTECH
# without a release day ends, in days after its day of listing.
#[source.regtech]
#kind = \"regtech\"
#regtech = { pause_ms = 5000, release_days = 90 }
#[source.secudium]
#kind = \"secudium\"
#secudium = { pause_ms = 1000, days = 90, take_over_session = false }

# Feeds and devices that the file sets up. What people set up otherwise stays beside them.
#[feeds.edge]
#format = \"palo-alto\"
#filter = { confidence = 70, not_countries = [\"KR\"] }
#budget = { entries = 50000 }
#[devices.hq-firewall]
#model = \"fortigate-7.4.4-mid\"
#feeds = [\"fortigate\"]
#networks = [\"10.1.0.1\"]

# Webhooks, which are told what happens. Without a file a secret is made; `ironlist webhook secret` shows another one.
#[webhooks.ops]
#url = \"https://hooks.example.com/ironlist\"
#events = [\"feed.released\", \"feed.held\", \"feed.unheld\"]
#feeds = [\"fortigate\"]
#secret_file = \"/etc/ironlist/ops.secret\"
";

impl Settings {
    /// The effective values as a file that means the same, each with its origin.
    pub(in crate::cli) fn show(&self) -> String {
        let settings = sections("", |setting| {
            let (_, name) = setting.parts();
            match self.layers.entry(setting.key) {
                Some((value, origin)) => format!("{name} = {}  # {origin}\n", masked(value)),
                None => String::new(),
            }
        });
        settings + &self.show_sources() + &self.show_outputs()
    }
}

/// A value without the account and the query of a URL, wherever one is in it: what is shown is pasted into mails.
pub(super) fn masked(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(masked_url(text).unwrap_or_else(|| text.clone())),
        Value::Array(values) => Value::Array(values.iter().map(masked).collect()),
        Value::Table(table) => {
            Value::Table(table.iter().map(|(name, value)| (name.clone(), masked(value))).collect())
        }
        other => other.clone(),
    }
}

/// A URL without its secrets; none: it has none, or is no URL.
fn masked_url(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok().filter(Url::has_host)?;
    let has_account = !url.username().is_empty() || url.password().is_some();
    if !has_account && url.query().is_none() {
        return None;
    }
    if has_account {
        // Only a URL without a host refuses these.
        let _ = url.set_username("***");
        let _ = url.set_password(None);
    }
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    Some(url.to_string())
}

fn sections(head: &str, show: impl Fn(&Setting) -> String) -> String {
    let mut text = head.to_owned();
    let mut section = "";
    for setting in TABLE {
        let (own, _) = setting.parts();
        if own != section {
            let space = if text.is_empty() { "" } else { "\n" };
            text += &format!("{space}[{own}]\n");
            section = own;
        }
        text += &show(setting);
    }
    text
}
