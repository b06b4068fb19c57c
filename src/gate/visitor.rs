//! Who may ask: browsers on other sites can reach a server on loopback, and must not be able to act through it.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::api::failure;

/// Refuses what another site's page could have a browser send. A name that is made to point here is no loopback name, and
/// a page's own address is told by the browser wherever something is changed.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    match strange(&request) {
        Some(why) => failure(StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    }
}

/// Why a request is not answered.
fn strange(request: &Request) -> Option<&'static str> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if !is_loopback(host) {
        return Some("the Host header is no loopback address");
    }
    let own = format!("http://{host}");
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let refused = match text(header::ORIGIN) {
        Some(origin) => changes && origin != own,
        // Browsers always say it here; an agent is no browser.
        None => changes && !request.uri().path().starts_with("/v1/"),
    };
    refused.then_some("this was not sent from the floor's own page")
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["127.0.0.1:80", "127.0.0.1", "localhost:8080", "[::1]:80", "127.8.8.8:1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "example.com", "127.0.0.1.example.com:80", "10.0.0.1:80", "localhost.example.com"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
