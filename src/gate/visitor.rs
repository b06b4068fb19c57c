//! Who may ask. On loopback: whoever is at this machine, but no other site's page through their browser. Over TLS: people who
//! logged in, each for what their role may do, and agents with a certificate.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use kiln_floor::Rights;

use super::api::failure;
use super::enrol;
use super::random::same;
use super::serve::{Secure, Site};
use super::session;
use super::tls::Peer;

/// The most that a form of a page has.
const FORM_MOST: usize = 64 << 10;

/// Who asks for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// Whoever is at this machine, where no TLS is spoken: names are taken as typed.
    Anyone,
    /// Nobody who has logged in.
    Stranger,
    Person {
        name: String,
        role: Rights,
        /// What each form carries.
        token: String,
    },
}

impl Visitor {
    /// Whether the visitor may do what takes this role.
    pub(crate) fn may(&self, takes: Rights) -> bool {
        match self {
            Self::Anyone => true,
            Self::Stranger => false,
            Self::Person { role, .. } => *role >= takes,
        }
    }

    /// In whose name a form acts.
    pub(crate) fn name(&self, typed: &str) -> Option<String> {
        match self {
            Self::Anyone => super::pages::name(typed),
            Self::Stranger => None,
            Self::Person { name, .. } => Some(name.clone()),
        }
    }

    pub(crate) fn is_person(&self) -> bool {
        matches!(self, Self::Person { .. })
    }
}

/// What a change on a page takes. What is not named here takes the highest role.
fn takes(path: &str) -> Rights {
    let ends = |ends: &[&str]| path.starts_with("/units/") && ends.iter().any(|end| path.ends_with(end));
    match path {
        "/logout" => Rights::Viewer,
        "/scan" => Rights::Operator,
        _ if ends(&["/rework"]) => Rights::Operator,
        _ if ends(&["/free", "/decide", "/agree", "/power-cycle"]) => Rights::Engineer,
        _ => path.strip_prefix("/doors/").map_or(Rights::Admin, takes_at_the_doors),
    }
}

/// What a change on the floor's own page takes.
pub(crate) fn takes_at_the_doors(act: &str) -> Rights {
    match act {
        "agent" | "power" | "scope" | "starts" | "cut" => Rights::Engineer,
        _ => Rights::Admin,
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn changes(request: &Request) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Lets pass who may ask, and says of them who they are.
pub(crate) async fn guard(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let Some(secure) = &site.secure else {
        if let Some(why) = strange(&request) {
            return failure(StatusCode::FORBIDDEN, why).into_response();
        }
        request.extensions_mut().insert(Visitor::Anyone);
        return next.run(request).await;
    };
    match secured(&site, secure, request).await {
        Ok(request) => next.run(request).await,
        Err(refused) => refused,
    }
}

async fn secured(site: &Site, secure: &Secure, mut request: Request) -> Result<Request, Response> {
    let refused = |status, why: &str| failure(status, why).into_response();
    let host = text(request.headers(), header::HOST).unwrap_or_default().to_owned();
    if !secure.names.iter().any(|name| name.eq_ignore_ascii_case(without_port(&host))) {
        return Err(refused(StatusCode::FORBIDDEN, "this floor has another name; see --name of kiln-floor serve"));
    }
    let path = request.uri().path().to_owned();
    if path == "/v1/enrol" {
        return Ok(request);
    }
    if path.starts_with("/v1/") {
        let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| peer.clone());
        let caller = enrol::caller(site, peer.as_ref()).await?;
        request.extensions_mut().insert(caller);
        return Ok(request);
    }
    if changes(&request) && text(request.headers(), header::ORIGIN) != Some(&format!("https://{host}")) {
        return Err(refused(StatusCode::FORBIDDEN, "this was not sent from the floor's own page"));
    }
    if matches!(path.as_str(), "/login" | "/floor.css" | "/floor.js" | "/scanner.js") {
        request.extensions_mut().insert(Visitor::Stranger);
        return Ok(request);
    }
    let reads_figures = |headers: &HeaderMap| {
        let token = text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        token.is_some_and(|token| same(token, &secure.metrics_token))
    };
    if path == "/metrics" && reads_figures(request.headers()) {
        request.extensions_mut().insert(Visitor::Stranger);
        return Ok(request);
    }
    let Some(visitor) = session::person(site, request.headers(), path != "/events") else {
        return Err(match path.as_str() {
            "/events" | "/metrics" => refused(StatusCode::UNAUTHORIZED, "nobody is logged in"),
            _ => Redirect::to("/login").into_response(),
        });
    };
    if changes(&request) {
        if !visitor.may(takes(&path)) {
            return Err(refused(
                StatusCode::FORBIDDEN,
                "this takes another role than yours; ask an engineer or an admin",
            ));
        }
        request = with_token(request, &visitor).await?;
    }
    request.extensions_mut().insert(visitor);
    Ok(request)
}

/// Refuses a form that does not carry the session's own token.
async fn with_token(request: Request, visitor: &Visitor) -> Result<Request, Response> {
    let refused = |status, why: &str| failure(status, why).into_response();
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, FORM_MOST).await;
    let body = body.map_err(|_| refused(StatusCode::PAYLOAD_TOO_LARGE, "no form of this floor is that long"))?;
    let Visitor::Person { token, .. } = visitor else {
        return Err(refused(StatusCode::UNAUTHORIZED, "nobody is logged in"));
    };
    // A token is hexadecimal: it stands in a form as it is.
    let form = String::from_utf8_lossy(&body);
    if !form.split('&').filter_map(|pair| pair.strip_prefix("token=")).any(|sent| same(sent, token)) {
        return Err(refused(StatusCode::FORBIDDEN, "this form is of another session; open the page anew"));
    }
    Ok(Request::from_parts(head, Body::from(body)))
}

/// Why a request to a floor on loopback is not answered: a name that is made to point here is no loopback name, and a page's
/// own address is told by the browser wherever something is changed.
fn strange(request: &Request) -> Option<&'static str> {
    let host = text(request.headers(), header::HOST).unwrap_or_default();
    if !is_loopback(host) {
        return Some("the Host header is no loopback address");
    }
    let own = format!("http://{host}");
    let refused = match text(request.headers(), header::ORIGIN) {
        Some(origin) => changes(request) && origin != own,
        // Browsers always say it here; an agent is no browser.
        None => changes(request) && !request.uri().path().starts_with("/v1/"),
    };
    refused.then_some("this was not sent from the floor's own page")
}

fn without_port(host: &str) -> &str {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    name.map_or(host, |(name, _)| name).trim_start_matches('[').trim_end_matches(']')
}

fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
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

    #[test]
    fn what_no_rule_names_takes_the_highest_role() {
        assert_eq!(takes("/scan"), Rights::Operator);
        assert_eq!(takes("/units/SRV1/rework"), Rights::Operator);
        assert_eq!(takes("/units/SRV1/decide"), Rights::Engineer);
        assert_eq!(takes("/units/SRV1/power-cycle"), Rights::Engineer);
        for path in ["/doors/approve", "/doors/revoke", "/doors/unlock", "/decide", "/anything", "/units/x/other"] {
            assert_eq!(takes(path), Rights::Admin, "{path}");
        }
        let person = |role| Visitor::Person { name: "sato".to_owned(), role, token: String::new() };
        assert!(person(Rights::Engineer).may(Rights::Operator) && !person(Rights::Operator).may(Rights::Engineer));
        assert!(Visitor::Anyone.may(Rights::Admin) && !Visitor::Stranger.may(Rights::Viewer));
    }
}
