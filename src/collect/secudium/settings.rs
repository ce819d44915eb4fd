//! What may be set about the portal: it changes without notice, and tests run against another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the portal is reached and read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where it is.
    pub base_url: String,
    /// Where on it things are.
    pub paths: Paths,
    /// Posts of a page of the list.
    pub page_size: u16,
    /// Milliseconds between two requests.
    pub pause_ms: u64,
    /// Days of posts that a run looks at.
    pub days: u16,
    /// End the session of whoever is logged in with this account.
    pub take_over_session: bool,
}

/// Paths on the portal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// Makes a session.
    pub login: String,
    /// Says whose session it is.
    pub myinfo: String,
    /// Ends it.
    pub logout: String,
    /// The posts.
    pub list: String,
    /// Their attachments.
    pub download: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_url: "https://secudium.skinfosec.co.kr".to_owned(),
            paths: Paths::default(),
            page_size: 100,
            pause_ms: 1_000,
            days: 90,
            take_over_session: false,
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            login: "/isap-api/loginProcess".to_owned(),
            myinfo: "/isap-api/myinfo".to_owned(),
            logout: "/isap-api/tokenout".to_owned(),
            list: "/isap-api/secinfo/list/black_ip".to_owned(),
            download: "/isap-api/file/SECINFO/download".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_thrown_out_unless_the_operator_says_so() {
        let said: Settings = toml::from_str("take_over_session = true\n[paths]\nlist = '/l'").unwrap();
        assert!(said.take_over_session && !Settings::default().take_over_session);
        assert_eq!((said.paths.list.as_str(), said.paths.login), ("/l", Paths::default().login));
        assert!(toml::from_str::<Settings>("takeover = true").is_err());
    }
}
