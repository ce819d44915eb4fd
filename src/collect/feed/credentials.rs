//! What a list's server wants to be told before it gives the list.
//!
//! Secrets are in here and in the request, and in no text that anybody prints.

use crate::fetch::Outgoing;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a request says who asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Credentials {
    /// In a header of its own.
    Header {
        /// The header's name.
        name: String,
        /// The secret.
        value: String,
    },
    /// User name and password (RFC 7617).
    Basic {
        /// The user.
        user: String,
        /// The secret.
        password: String,
    },
    /// In the query of the URL.
    Query {
        /// The parameter's name.
        name: String,
        /// The secret.
        value: String,
    },
}

/// The credentials cannot be written into a request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the credentials cannot be sent: {0}; enter them again, without line ends and blanks around them")]
pub struct BadCredentials(&'static str);

impl Credentials {
    /// Writes them into a request, where only the host that is asked gets them.
    ///
    /// # Errors
    /// A name or a value that HTTP has no room for.
    pub fn apply(&self, outgoing: &mut Outgoing) -> Result<(), BadCredentials> {
        let (name, value) = match self {
            Self::Query { name, value } => {
                outgoing.url.query_pairs_mut().append_pair(name, value);
                return Ok(());
            }
            Self::Header { name, value } => {
                let name = name.parse().map_err(|_| BadCredentials("no header has such a name"))?;
                (name, value.clone())
            }
            Self::Basic { user, .. } if user.contains(':') => {
                return Err(BadCredentials("a user name has no colon"));
            }
            Self::Basic { user, password } => {
                let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
                (AUTHORIZATION, format!("Basic {pair}"))
            }
        };
        insert(outgoing, name, &value)
    }
}

fn insert(outgoing: &mut Outgoing, name: HeaderName, value: &str) -> Result<(), BadCredentials> {
    let mut value = HeaderValue::from_str(value).map_err(|_| BadCredentials("no header has such a value"))?;
    value.set_sensitive(true);
    outgoing.secrets.insert(name, value);
    Ok(())
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Header { name, .. } => ("Header", name),
            Self::Basic { user, .. } => ("Basic", user),
            Self::Query { name, .. } => ("Query", name),
        };
        f.debug_tuple(kind).field(name).finish()
    }
}
