//! A port beside that of TLS, which leads there and serves nothing.

use crate::web::body::Body;
use crate::web::metrics::Metrics;
use crate::web::{App, Problem, Request, Response, Role, Routes};
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, HOST, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use std::future;
use std::sync::Arc;

/// Where it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// There, as in `https://ironlist.example.com`.
    Origin(String),
    /// The host that was asked for, at this port.
    Port(u16),
}

/// The application of that port.
pub fn redirect(target: Target, metrics: &Arc<Metrics>) -> App {
    App::new(Role::Gateway, Routes::new(), metrics)
        .passing(|_| Some("(redirect)"), move |request, _| future::ready(lead(&target, &request)).boxed())
}

/// 308 keeps the method. What is more than a question was sent in the clear, and is refused so that it is noticed.
fn lead(target: &Target, request: &Request) -> Result<Response, Problem> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Problem::forbidden("tls_required").detail(
            "This port leads to https and takes nothing. What was sent was not encrypted: a key that was in it is \
             to be replaced.",
        ));
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let origin = match (target, host) {
        (Target::Origin(origin), _) => origin.clone(),
        (Target::Port(port), Some(host)) => format!("https://{}", at_port(host, *port)),
        (Target::Port(_), None) => return Err(Problem::bad_request("host", "A request needs a Host.")),
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = HeaderValue::try_from(format!("{origin}{path}")).map_err(Problem::internal)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    // For ever is too long for a port that may change.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The host with this port in place of its own.
fn at_port(host: &str, port: u16) -> String {
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => bare,
        _ => host,
    };
    if port == 443 { bare.to_owned() } else { format!("{bare}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Peer;

    async fn ask(target: Target, method: Method, host: Option<&str>) -> (u16, String) {
        let app = Arc::new(redirect(target, &Arc::new(Metrics::new())));
        let mut request = http::Request::builder().method(method).uri("/feeds/x?y=1");
        if let Some(host) = host {
            request = request.header(HOST, host);
        } else {
            request = request.version(http::Version::HTTP_10);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = app.answer(request, Peer::Tcp(([192, 0, 2, 1], 9).into())).await;
        let location = response.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
        (response.status().as_u16(), location.unwrap_or_default())
    }

    #[tokio::test]
    async fn questions_are_led_to_https_and_nothing_else_is_taken() {
        let there = || Target::Origin("https://ironlist.example.com".to_owned());
        let wanted = (308, "https://ironlist.example.com/feeds/x?y=1".to_owned());
        assert_eq!(ask(there(), Method::GET, Some("evil.example")).await, wanted);
        assert_eq!(ask(there(), Method::HEAD, None).await, wanted);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(ask(there(), method, Some("a")).await, (403, String::new()));
        }
        assert_eq!(ask(Target::Port(443), Method::GET, None).await.0, 400);
    }

    #[tokio::test]
    async fn the_host_stays_and_the_port_is_that_of_tls() {
        for (port, host, expected) in [
            (443, "a.example:80", "https://a.example"),
            (8443, "a.example", "https://a.example:8443"),
            (8443, "192.0.2.1:80", "https://192.0.2.1:8443"),
            (443, "[2001:db8::1]", "https://[2001:db8::1]"),
            (8443, "[2001:db8::1]:80", "https://[2001:db8::1]:8443"),
        ] {
            let led = ask(Target::Port(port), Method::GET, Some(host)).await;
            assert_eq!(led, (308, format!("{expected}/feeds/x?y=1")));
        }
    }
}
