//! Logging in by badge and PIN, and what follows from it until somebody logs out.
//!
//! A session is a secret in a cookie that no script reads and no other site's page sends. Forms carry a second secret of the
//! same session, so that not even a page of the same site under another name can act in a person's place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use kiln_floor::{Input, Rights};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::api::{ApiError, on_disk};
use super::desk::now;
use super::pages::{Asked, back, page, told};
use super::people::{Person, take_as_long};
use super::phrase::Phrase;
use super::random;
use super::serve::Site;
use super::tls::sha256;
use super::visitor::Visitor;

/// The prefix binds it to this host, to TLS, and to all paths (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "__Host-kiln";
/// A terminal that nobody used for so long is anybody's.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// A shift, and its handing over.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// A screen on the wall changes nothing, and stays.
const WALL: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const MOST: usize = 4096;
/// So many wrong PINs, and another person has to let this one in again.
const MISSES: u32 = 5;

#[derive(Debug, Clone)]
struct Session {
    name: String,
    token: String,
    born: Instant,
    used: Instant,
}

/// Who is logged in, by the digest of the cookie.
#[derive(Debug)]
pub(crate) struct Sessions {
    all: Mutex<BTreeMap<String, Session>>,
    misses: Mutex<BTreeMap<String, u32>>,
    /// A look at a PIN takes 19 MiB and a core for a moment: not a hundred at once.
    looking: Semaphore,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { all: Mutex::default(), misses: Mutex::default(), looking: Semaphore::new(2) }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// The secret for the cookie of a person who has logged in.
    fn begin(&self, name: &str) -> std::io::Result<String> {
        let (secret, token) = (random::secret()?, random::secret()?);
        let session = Session { name: name.to_owned(), token, born: now(), used: now() };
        let mut all = locked(&self.all);
        all.retain(|_, session| now().duration_since(session.born) < WALL);
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone());
            oldest.and_then(|id| all.remove(&id));
        }
        all.insert(sha256(secret.as_bytes()), session);
        Ok(secret)
    }

    fn end(&self, secret: &str) {
        locked(&self.all).remove(&sha256(secret.as_bytes()));
    }

    fn name_and_token(&self, secret: &str) -> Option<(String, String, Instant, Instant)> {
        let all = locked(&self.all);
        let session = all.get(&sha256(secret.as_bytes()))?;
        Some((session.name.clone(), session.token.clone(), session.born, session.used))
    }

    fn used(&self, secret: &str) {
        if let Some(session) = locked(&self.all).get_mut(&sha256(secret.as_bytes())) {
            session.used = now();
        }
    }

    /// Counts a try before it is looked at, so that many at once are no more tries; whether there was one left.
    fn tries(&self, name: &str) -> bool {
        let mut misses = locked(&self.misses);
        let count = misses.entry(name.to_owned()).or_default();
        *count += 1;
        *count <= MISSES
    }

    fn tries_left(&self, name: &str) -> bool {
        locked(&self.misses).get(name).is_none_or(|count| *count < MISSES)
    }

    /// Forgets wrong PINs: the right one was typed, or another person lets this one in again.
    pub(crate) fn forgive(&self, name: &str) {
        locked(&self.misses).remove(name);
    }
}

fn secret_of(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Who asks, by the cookie; somebody whose session has ended or who was taken out is nobody. `acts` keeps a session awake,
/// which a page that only listens does not.
pub(crate) fn person(site: &Site, headers: &HeaderMap, acts: bool) -> Option<Visitor> {
    let (secure, secret) = (site.secure.as_ref()?, secret_of(headers)?);
    let (name, token, born, used) = secure.sessions.name_and_token(secret)?;
    let role = secure.people.by_name(&name).ok()??.role;
    let (longest, idle) = if role == Rights::Viewer { (WALL, WALL) } else { (LONGEST, IDLE) };
    if now().duration_since(born) > longest || now().duration_since(used) > idle {
        secure.sessions.end(secret);
        return None;
    }
    if acts {
        secure.sessions.used(secret);
    }
    Some(Visitor::Person { name, role, token })
}

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/login", get(form)).route("/login", post(login)).route("/logout", post(logout))
}

async fn form(State(site): State<Arc<Site>>, Query(asked): Query<Asked>) -> Response {
    let language = asked.language(&site);
    page(&site, language, "/login", told(&asked, language), &Visitor::Stranger, |html| {
        let say = |phrase: Phrase| phrase.say(language);
        html.raw("<form class=\"act\" method=\"post\" action=\"/login?lang=").text(language.code()).raw("\"><label>");
        html.text(say(Phrase::Badge))
            .raw("<input name=\"badge\" required maxlength=\"80\" autofocus data-scan=\"keep\" ");
        html.raw("autocomplete=\"off\" spellcheck=\"false\"></label><label>").text(say(Phrase::Pin));
        html.raw("<input name=\"pin\" type=\"password\" required maxlength=\"64\" inputmode=\"numeric\" ");
        html.raw("autocomplete=\"off\"></label><button>").text(say(Phrase::LogIn)).raw("</button></form>");
    })
}

#[derive(Debug, Deserialize)]
struct Sent {
    badge: String,
    pin: String,
}

async fn login(
    State(site): State<Arc<Site>>,
    Query(asked): Query<Asked>,
    Form(form): Form<Sent>,
) -> Result<Response, ApiError> {
    let language = asked.language(&site);
    let told = |told: &str| Ok(back("/login", language, Some((told, ""))));
    let Some(secure) = &site.secure else { return Ok(Redirect::to("/").into_response()) };
    let person = match secure.people.by_badge(&form.badge) {
        Ok(person) => person,
        Err(error) => return Ok(back("/login", language, Some(("refused", &error.to_string())))),
    };
    let Ok(_turn) = secure.sessions.looking.acquire().await else { return told("login") };
    let pin = form.pin.trim().to_owned();
    let Some(person) = person else {
        on_disk(move || take_as_long(&pin)).await?;
        return told("login");
    };
    let name = person.name.clone();
    let is_locked = site.desk.look(move |floor, _| floor.state().locked.contains(&name)).await?;
    if is_locked || !secure.sessions.tries(&person.name) {
        return told("locked");
    }
    let (is_right, person) = on_disk(move || (person.has(&pin), person)).await?;
    if !is_right {
        if !secure.sessions.tries_left(&person.name) {
            site.desk.tell(Input::Locked(person.name)).await?;
            return told("locked");
        }
        return told("login");
    }
    secure.sessions.forgive(&person.name);
    // Nobody acts here before the events say that they may.
    match secure.people.listed() {
        Ok(people) => drop(site.desk.tell(Input::People(people)).await?),
        Err(error) => return Ok(back("/login", language, Some(("refused", &error.to_string())))),
    }
    Ok(logged_in(&site, &person, language)?)
}

fn logged_in(site: &Site, person: &Person, language: kiln_report::Language) -> std::io::Result<Response> {
    let Some(secure) = &site.secure else { return Err(std::io::Error::other("there are no sessions")) };
    let secret = secure.sessions.begin(&person.name)?;
    let lasts = if person.role == Rights::Viewer { WALL } else { LONGEST }.as_secs();
    let cookie = format!("{COOKIE}={secret}; Path=/; Max-Age={lasts}; Secure; HttpOnly; SameSite=Strict");
    let to = if person.role == Rights::Viewer { "/building" } else { "/" };
    let mut response = back(to, language, None);
    let value = header::HeaderValue::from_str(&cookie).map_err(std::io::Error::other)?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(response)
}

async fn logout(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let (Some(secure), Some(secret)) = (&site.secure, secret_of(&headers)) {
        secure.sessions.end(secret);
    }
    let gone = format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict");
    ([(header::SET_COOKIE, gone)], Redirect::to("/login")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_before_they_are_looked_at() {
        let sessions = Sessions::default();
        let tried: Vec<bool> = (0..=MISSES).map(|_| sessions.tries("sato")).collect();
        assert_eq!(tried.iter().filter(|left| **left).count(), MISSES as usize);
        assert!(!sessions.tries_left("sato") && sessions.tries("mori"));
        sessions.forgive("sato");
        assert!(sessions.tries("sato"));
    }

    #[test]
    fn a_cookie_is_found_among_others_and_only_by_its_whole_name() {
        let cookie = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, text.parse().expect("a header"));
            secret_of(&headers).map(str::to_owned)
        };
        assert_eq!(cookie("a=b; __Host-kiln=cd; e=f").as_deref(), Some("cd"));
        assert_eq!(cookie("x__Host-kiln=cd"), None);
        let sessions = Sessions::default();
        let secret = sessions.begin("sato").expect("random");
        assert_eq!(sessions.name_and_token(&secret).map(|found| found.0).as_deref(), Some("sato"));
        assert!(sessions.name_and_token(&"0".repeat(64)).is_none());
        sessions.end(&secret);
        assert!(sessions.name_and_token(&secret).is_none());
    }
}
