//! What a message may carry from one process to the next, both ways.
//!
//! It must not know where it goes.

use crate::web::claim::{self, Credentials, X_API_KEY};
use crate::web::edge::{is_internal, strip_all, strip_hop_headers};
use crate::web::tls::Secured;
use crate::web::vouch::{self, X_DEADLINE, X_FORWARDED_FOR};
use crate::web::{Body, Peer, Problem, Request, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Extensions, HeaderMap, Uri, Version};
use std::time::Duration;

/// Headers for one hop only (RFC 9110, 7.6.1), and what is said anew at each hop.
const HOP: [HeaderName; 10] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    X_FORWARDED_FOR,
];

/// What this process says of itself to roles elsewhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Hop {
    key: Option<HeaderValue>,
    /// What the role believes when it is told for whom is asked.
    word: Option<HeaderValue>,
}

impl Hop {
    /// With the administrator's key.
    pub(super) fn with_key(mut key: HeaderValue) -> Self {
        key.set_sensitive(true);
        // Hexadecimal digits fit a header.
        let word = HeaderValue::try_from(vouch::word(key.as_bytes())).ok().map(|mut word| {
            word.set_sensitive(true);
            word
        });
        Self { key: Some(key), word }
    }

    /// Makes a request ready for the next process: who asks.
    ///
    /// # Errors
    /// For a request whose headers cannot go on.
    pub(super) fn prepare(&self, request: &mut Request, peer: Peer) -> Result<(), Problem> {
        let secured = request.extensions().get::<Secured>().copied();
        let headers = request.headers_mut();
        strip(headers)?;
        match (peer, &self.key) {
            (Peer::Tcp(_) | Peer::Behind(_), _) => {
                vouch::introduce(headers, peer, secured, self.word.as_ref());
            }
            // Who shows a key of their own asks as whoever that is.
            (Peer::Local, Some(key)) if claim::credentials(headers) == Ok(Credentials::Nothing) => {
                headers.insert(X_API_KEY, key.clone());
            }
            (Peer::Local, _) => {}
        }
        *request.version_mut() = Version::HTTP_11;
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        Ok(())
    }
}

/// A question with the headers of another and what its connection has shown, and without a body: whoever may ask
/// one may ask the other.
pub(super) fn copy(headers: &HeaderMap, shown: &Extensions, target: Uri) -> Request {
    let mut copy = Request::new(Body::empty());
    *copy.uri_mut() = target;
    copy.headers_mut().clone_from(headers);
    if let Some(secured) = shown.get::<Secured>() {
        copy.extensions_mut().insert(*secured);
    }
    copy
}

/// Names the instance that a request goes to, and tells one that believes this process how long it is waited for.
pub(super) fn address(request: &mut Request, authority: &Authority, patience: Duration) {
    if request.headers().contains_key(vouch::X_GATEWAY) {
        request.headers_mut().insert(X_DEADLINE, HeaderValue::from(patience.as_millis() as u64));
    }
    // An authority is a valid header.
    if let Ok(host) = HeaderValue::try_from(authority.as_str()) {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// The answer to hand on.
///
/// # Errors
/// What is wrong with its headers.
pub(super) fn received(mut answer: Response) -> Result<Response, String> {
    strip(answer.headers_mut()).map_err(|problem| problem.code().to_owned())?;
    *answer.version_mut() = Version::HTTP_11;
    Ok(answer)
}

fn strip(headers: &mut HeaderMap) -> Result<(), Problem> {
    strip_hop_headers(headers)?;
    strip_all(headers, |name| HOP.contains(name) || is_internal(name));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;

    #[test]
    fn over_the_socket_whoever_shows_a_key_of_their_own_asks_with_that_alone() {
        let hop = Hop::with_key(HeaderValue::from_static("the installation's"));
        let sent = |own: Option<(HeaderName, &'static str)>| {
            let mut request = Request::new(Body::empty());
            request.headers_mut().extend(own.map(|(name, key)| (name, HeaderValue::from_static(key))));
            hop.prepare(&mut request, Peer::Local).unwrap();
            [AUTHORIZATION, X_API_KEY].map(|name| {
                request.headers().get(name).map_or_else(String::new, |key| key.to_str().unwrap().to_owned())
            })
        };
        assert_eq!(sent(None), ["", "the installation's"]);
        assert_eq!(sent(Some((X_API_KEY, "kim's"))), ["", "kim's"]);
        assert_eq!(sent(Some((AUTHORIZATION, "Bearer kim's"))), ["Bearer kim's", ""]);
        assert_eq!(sent(Some((AUTHORIZATION, "Digest x"))), ["Digest x", ""], "which is refused there");
    }
}
