//! What a reader shows for itself: a token in the path, HTTP's Basic scheme, or where it asks from.

use crate::model::OutputName;
use crate::publish::{Claim, Denied, Publisher, Reader, Refused};
use crate::web::auth::X_API_KEY;
use crate::web::{Caller, Peer, Problem};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// So long a reader waits until its key can be looked up, in seconds.
const SOON: u32 = 60;

/// No name and password are longer, in bytes.
const LONGEST: usize = 512;

/// Who asks for `feed`, if they may read it.
///
/// # Errors
/// 401 for a key that is wrong or missing, 403 for a feed that the device does not read. A passing fault is a 503: on a
/// 401 some firewalls stop enforcing.
pub(super) fn reader(
    publisher: &Publisher,
    headers: &HeaderMap,
    token: Option<&str>,
    caller: Caller,
    feed: &OutputName,
) -> Result<Reader, Problem> {
    let Peer::Tcp(from) = caller.peer else { return Ok(Reader::Administrator) };
    if caller.admin {
        return Ok(Reader::Administrator);
    }
    // The administrator's key, had it been right, has been found by now.
    if headers.contains_key(X_API_KEY) {
        return Err(wrong());
    }
    let pair = basic(headers).map_err(|()| wrong())?;
    let claim = match (token, &pair) {
        (Some(token), _) => Claim::Token(token),
        (None, Some(pair)) => Claim::Basic(pair),
        (None, None) => Claim::Nothing,
    };
    publisher.admit(claim, from.ip().to_canonical(), feed).map_err(|refused| match refused {
        Refused::Unknown => Problem::unavailable("keys_unknown", SOON).detail("Keys cannot be looked up now."),
        Refused::Denied(Denied::WrongKey) => wrong(),
        Refused::Denied(Denied::NoKey) => Problem::unauthorized("key_missing", REALM).detail(
            "This feed needs a key: /f/TOKEN/NAME, or a name and a password. `ironlist device key NAME` makes them.",
        ),
        Refused::Denied(Denied::OtherFeed) => {
            Problem::forbidden("other_feed").detail("This device does not read this feed.")
        }
    })
}

const REALM: &str = r#"Basic realm="ironlist", charset="UTF-8""#;

fn wrong() -> Problem {
    Problem::unauthorized("key_wrong", REALM).detail("The key is wrong.")
}

/// The name and password of a request; an error for a claim of another kind, which is no less a claim.
fn basic(headers: &HeaderMap) -> Result<Option<Vec<u8>>, ()> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let (scheme, pair) = value.as_bytes().split_at_checked(6).ok_or(())?;
    if values.next().is_some() || !scheme.eq_ignore_ascii_case(b"basic ") || pair.len() > LONGEST {
        return Err(());
    }
    STANDARD.decode(pair.trim_ascii()).map(Some).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(values: &[&'static str]) -> Result<Option<Vec<u8>>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        basic(&headers)
    }

    #[test]
    fn only_a_well_formed_pair_is_one() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["Basic ZWRnZTp3b3Jk"]), Ok(Some(b"edge:word".to_vec())));
        assert_eq!(read(&["bAsIc ZWRnZTp3b3Jk "]), Ok(Some(b"edge:word".to_vec())));
        for other in ["Bearer x", "Basic", "Basic !", "Basicx ZWRnZTp3b3Jk", "Digest username=\"x\""] {
            assert_eq!(read(&[other]), Err(()), "{other}");
        }
        assert_eq!(read(&["Basic ZWRnZTp3b3Jk", "Basic ZWRnZTp3b3Jk"]), Err(()));
    }
}
