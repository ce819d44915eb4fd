//! What may be set about the portal: it changes without notice, and tests run against another.

use super::windows::Plan;
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
    /// Rows of a page of the list: 10, 30 or 50; more is not honoured.
    pub page_size: u16,
    /// Milliseconds between two requests.
    pub pause_ms: u64,
    /// Block signals in a row that end a run.
    pub signals: u32,
    /// Codes with which the first step of a login lets a password pass; the empty one is that of an answer whose code
    /// is null.
    pub pass_codes: Vec<String>,
    /// Days after its listing on which a row without a release day ends.
    pub release_days: u16,
    /// Which periods are read when.
    pub plan: Plan,
}

/// Paths on the portal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// The page with the login form.
    pub login_page: String,
    /// The first step, which names what is wrong.
    pub find_member: String,
    /// The second step, which makes the session.
    pub add_login: String,
    /// The list, as pages.
    pub list: String,
    /// The list, as a workbook.
    pub workbook: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_url: "https://regtech.fsec.or.kr".to_owned(),
            paths: Paths::default(),
            page_size: 50,
            pause_ms: 5_000,
            signals: 3,
            pass_codes: ["", "OK", "SUCCESS"].map(str::to_owned).to_vec(),
            release_days: 90,
            plan: Plan::default(),
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            login_page: "/login/loginForm".to_owned(),
            find_member: "/member/findOneMember".to_owned(),
            add_login: "/login/addLogin".to_owned(),
            list: "/fcti/securityAdvisory/advisoryList".to_owned(),
            workbook: "/fcti/securityAdvisory/advisoryListDownloadXlsx".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_the_portal_is_known_and_what_is_unknown_is_refused() {
        let said: Settings =
            toml::from_str("page_size = 30\n[paths]\nlist = '/l'\n[plan]\noverlap_days = 3").unwrap();
        assert_eq!((said.page_size, said.paths.list.as_str(), said.plan.overlap_days), (30, "/l", 3));
        assert_eq!(said.paths.workbook, Paths::default().workbook);
        for wrong in ["page_sise = 30", "[paths]\nlst = '/l'", "[plan]\nweeks = 3"] {
            assert!(toml::from_str::<Settings>(wrong).is_err(), "{wrong}");
        }
        let all = Settings::default();
        assert_eq!(all, toml::from_str(&toml::to_string(&all).unwrap()).unwrap());
    }
}
