//! Messages to a NATS server, each kept by a JetStream stream before it counts as taken.
//!
//! The protocol is lines of text (docs.nats.io/reference/reference-protocols/nats-protocol), and an outlet sends one message and waits
//! for its answer. What a client library does beyond that, to keep messages while the server is away, is the outlet's cursor
//! here; so this speaks for itself, over the TLS that is here already.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kiln_disk as disk;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde::Deserialize;

use super::messages::Message;
use super::random;
use super::tls;
use super::ways::WayError;

/// How long the server may take to be reached, and for an answer.
const REACH: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest line of a server: what it says of itself, with the addresses of a whole cluster.
const LINE_MOST: u64 = 1 << 20;
/// Where servers listen if nothing else is said.
const PORT: u16 = 4222;

/// Both ways of a connection.
trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// How a floor logs in.
#[derive(Clone, PartialEq, Eq)]
enum Login {
    None,
    Token(String),
    User { name: String, password: String },
}

/// A server, and the connection to it while there is one.
pub(crate) struct Nats {
    host: String,
    port: u16,
    /// With what TLS is spoken, if it is.
    tls: Option<Arc<ClientConfig>>,
    login: Login,
    /// Before the floor's name and the kind of message.
    subject: String,
    line: Option<Line>,
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// A connection that is logged in.
struct Line {
    wire: BufReader<Box<dyn Wire>>,
    /// Where answers arrive.
    inbox: String,
    asked: u64,
    largest: usize,
}

/// What a server says of itself.
#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    headers: bool,
    max_payload: usize,
}

/// What a stream answers to a message.
#[derive(Debug, Deserialize)]
struct Taken {
    stream: Option<String>,
    error: Option<Refused>,
}

#[derive(Debug, Deserialize)]
struct Refused {
    description: String,
}

/// What the server sends.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Ping,
    Pong,
    Error(String),
    /// A message, with its headers as they came.
    Message {
        subject: String,
        headers: String,
        body: Vec<u8>,
    },
    Other,
}

impl Nats {
    /// `login` is a file with `user:password` or a token in its first line.
    pub(crate) fn of(
        url: &str,
        subject: &str,
        login: Option<&PathBuf>,
        authority: Option<&PathBuf>,
    ) -> Result<Self, WayError> {
        let address = || WayError::NatsAddress(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(address)?;
        if rest.contains('@') {
            return Err(WayError::NatsLogin);
        }
        let tls = match scheme {
            "nats" => None,
            "tls" => {
                let path = authority.ok_or_else(|| WayError::NoAuthority(url.to_owned()))?;
                Some(Arc::new(tls::client_of(Some(path))?))
            }
            _ => return Err(address()),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
                (host, port.parse().map_err(|_| address())?)
            }
            _ => (rest, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || host.contains(['/', ' ', '?']) {
            return Err(address());
        }
        let is_subject = |part: &str| !part.is_empty() && part == word(part);
        if !subject.split('.').all(is_subject) {
            return Err(WayError::NatsSubject(subject.to_owned()));
        }
        let login = login.map_or(Ok(Login::None), |path| Login::read(path))?;
        Ok(Self { host, port, tls, login, subject: subject.to_owned(), line: None })
    }

    /// Sends a message; it is taken once a stream says that it has it, now or from before.
    pub(crate) fn give(&mut self, floor: &str, message: &Message) -> Result<(), String> {
        let subject =
            format!("{}.{}.{}", self.subject, word(if floor.is_empty() { "floor" } else { floor }), message.kind);
        let sent = match self.line.take() {
            // A server ends a connection on which nothing was said for long; that is no trouble yet.
            Some(mut line) => {
                line.send(&subject, message).map(|answer| (line, answer)).or_else(|_| self.afresh(&subject, message))
            }
            None => self.afresh(&subject, message),
        };
        let (line, answer) = sent.map_err(|error| format!("{}:{}: {error}", self.host, self.port))?;
        self.line = Some(line);
        answer
    }

    fn afresh(&self, subject: &str, message: &Message) -> io::Result<(Line, Result<(), String>)> {
        let mut line = self.reach()?;
        let answer = line.send(subject, message)?;
        Ok((line, answer))
    }

    fn reach(&self) -> io::Result<Line> {
        let mut addresses = (self.host.as_str(), self.port).to_socket_addrs()?;
        let no_address = || io::Error::other("the name has no address");
        let stream = TcpStream::connect_timeout(&addresses.next().ok_or_else(no_address)?, REACH)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut wire: BufReader<Box<dyn Wire>> = BufReader::new(Box::new(stream.try_clone()?));
        let said = line_of(&mut wire)?;
        let info = said.strip_prefix("INFO ").and_then(|info| serde_json::from_str::<Info>(info).ok());
        let info = info.ok_or_else(|| io::Error::other("what answers there is no NATS server"))?;
        if !info.headers {
            return Err(io::Error::other(
                "this server knows no headers, without which messages have no number; 2.2 and newer do",
            ));
        }
        if let Some(config) = &self.tls {
            let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
            let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
            wire = BufReader::new(Box::new(StreamOwned::new(session, stream)));
        } else if info.tls_required {
            return Err(io::Error::other(
                "the server asks for TLS: give its address as tls://HOST:PORT, and --outlet-ca FILE",
            ));
        }
        let inbox = format!("_INBOX.{}", random::secret()?);
        let mut line = Line { wire, inbox, asked: 0, largest: info.max_payload };
        line.log_in(&self.login, self.tls.is_some())?;
        Ok(line)
    }
}

impl Login {
    fn read(path: &Path) -> Result<Self, WayError> {
        let bytes = disk::read(path, 1 << 16).map_err(|source| WayError::Io { path: path.to_owned(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().next().unwrap_or_default().trim();
        Ok(match line.split_once(':') {
            Some((name, password)) => Self::User { name: name.to_owned(), password: password.to_owned() },
            None if line.is_empty() => return Err(WayError::NoLogin(path.to_owned())),
            None => Self::Token(line.to_owned()),
        })
    }
}

impl Line {
    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.get_mut().write_all(bytes)?;
        self.wire.get_mut().flush()
    }

    fn log_in(&mut self, login: &Login, over_tls: bool) -> io::Result<()> {
        let mut connect = serde_json::json!({
            "verbose": false, "pedantic": false, "tls_required": over_tls, "echo": false, "protocol": 1,
            "headers": true, "no_responders": true, "name": "kiln-floor", "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
        });
        match login {
            Login::None => {}
            Login::Token(token) => connect["auth_token"] = token.as_str().into(),
            Login::User { name, password } => {
                connect["user"] = name.as_str().into();
                connect["pass"] = password.as_str().into();
            }
        }
        let inbox = format!("SUB {}.* 1", self.inbox);
        self.say(format!("CONNECT {connect}\r\n{inbox}\r\nPING\r\n").as_bytes())?;
        loop {
            match self.hear()? {
                Heard::Pong => return Ok(()),
                Heard::Error(why) => return Err(io::Error::other(format!("the server refuses the floor: {why}"))),
                _ => {}
            }
        }
    }

    /// Sends a message, and waits for what becomes of it. The outer error is the connection's.
    fn send(&mut self, subject: &str, message: &Message) -> io::Result<Result<(), String>> {
        let headers = format!("NATS/1.0\r\nNats-Msg-Id: {}\r\n\r\n", super::ways::plain(&message.key));
        let total = headers.len() + message.body.len();
        if total > self.largest {
            let why = format!(
                "message {} has {total} bytes, and the server takes {}: raise its max_payload",
                message.key, self.largest
            );
            return Ok(Err(why));
        }
        self.asked += 1;
        let inbox = format!("{}.{}", self.inbox, self.asked);
        let mut bytes = format!("HPUB {subject} {inbox} {} {total}\r\n{headers}", headers.len()).into_bytes();
        bytes.extend_from_slice(&message.body);
        bytes.extend_from_slice(b"\r\n");
        self.say(&bytes)?;
        loop {
            match self.hear()? {
                Heard::Ping => self.say(b"PONG\r\n")?,
                Heard::Error(why) => return Ok(Err(format!("the server refuses {subject}: {why}"))),
                Heard::Message { subject: to, headers, body } if to == inbox => {
                    return Ok(taken(subject, &headers, &body));
                }
                _ => {}
            }
        }
    }

    fn hear(&mut self) -> io::Result<Heard> {
        let line = line_of(&mut self.wire)?;
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default().to_uppercase();
        match word.as_str() {
            "PING" => Ok(Heard::Ping),
            "PONG" => Ok(Heard::Pong),
            "-ERR" => Ok(Heard::Error(line[4..].trim().trim_matches('\'').to_owned())),
            "MSG" | "HMSG" => {
                let words: Vec<&str> = words.collect();
                let strange = || io::Error::other(format!("the server says what is no NATS: {line}"));
                let number = |from_end: usize| {
                    let at = words.len().checked_sub(from_end)?;
                    words.get(at)?.parse::<usize>().ok().filter(|size| (*size as u64) < LINE_MOST)
                };
                let total = number(1).ok_or_else(strange)?;
                let of_headers = if word == "HMSG" { number(2).ok_or_else(strange)? } else { 0 };
                let mut bytes = vec![0; total + 2];
                self.wire.read_exact(&mut bytes)?;
                bytes.truncate(total);
                let body = bytes.split_off(of_headers.min(total));
                let headers = String::from_utf8_lossy(&bytes).into_owned();
                Ok(Heard::Message { subject: words.first().copied().unwrap_or_default().to_owned(), headers, body })
            }
            _ => Ok(Heard::Other),
        }
    }
}

/// What the answer to a message says.
fn taken(subject: &str, headers: &str, body: &[u8]) -> Result<(), String> {
    if headers.starts_with("NATS/1.0 503") {
        return Err(format!(
            "no JetStream stream of the server takes {subject}; make one that does, so that nothing is lost"
        ));
    }
    match serde_json::from_slice::<Taken>(body) {
        Ok(Taken { error: Some(refused), .. }) => Err(format!("the stream refuses {subject}: {}", refused.description)),
        Ok(Taken { stream: Some(_), .. }) => Ok(()),
        _ => Err(format!("what answers to {subject} is no JetStream stream")),
    }
}

fn line_of(wire: &mut BufReader<Box<dyn Wire>>) -> io::Result<String> {
    let mut line = String::new();
    wire.by_ref().take(LINE_MOST).read_line(&mut line)?;
    if line.ends_with('\n') {
        return Ok(line.trim_end().to_owned());
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server ended the connection"))
}

/// A name as one word of a subject, which has no dots, blanks or signs of its own meaning.
fn word(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() || "-_".contains(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_server_or_subject_is_told_so() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("login");
        let of = |url: &str, subject: &str| Nats::of(url, subject, None, None).map(|nats| (nats.host, nats.port));
        for url in ["nats.example", "http://a", "nats://", "nats://a b", "nats://a:port", "nats://:4222"] {
            assert!(matches!(of(url, "kiln"), Err(WayError::NatsAddress(_))), "{url}");
        }
        assert!(matches!(of("nats://me:secret@a", "kiln"), Err(WayError::NatsLogin)));
        assert!(matches!(of("tls://a", "kiln"), Err(WayError::NoAuthority(_))));
        for subject in ["", ".", "kiln.", "kiln.>", "a b", "kiln.*"] {
            assert!(matches!(of("nats://a", subject), Err(WayError::NatsSubject(_))), "{subject}");
        }
        assert_eq!(of("nats://a", "kiln").expect("an address"), ("a".to_owned(), 4222));
        assert_eq!(of("nats://a:1/", "factory.kiln").expect("an address"), ("a".to_owned(), 1));
        assert_eq!(of("nats://[::1]:1", "kiln").expect("an address"), ("::1".to_owned(), 1));
        for (text, login) in [
            ("me:se:cret\n", Login::User { name: "me".to_owned(), password: "se:cret".to_owned() }),
            ("token\n", Login::Token("token".to_owned())),
        ] {
            std::fs::write(&file, text).expect("written");
            assert!(Login::read(&file).is_ok_and(|read| read == login), "{text}");
        }
        std::fs::write(&file, "\n").expect("written");
        assert!(matches!(Login::read(&file), Err(WayError::NoLogin(_))));
    }

    #[test]
    fn only_a_stream_that_has_the_message_has_taken_it() {
        let told = |headers: &str, body: &str| taken("kiln.hall.disposed", headers, body.as_bytes());
        assert_eq!(told("", "{\"stream\":\"KILN\",\"seq\":7}"), Ok(()));
        assert_eq!(told("", "{\"stream\":\"KILN\",\"seq\":7,\"duplicate\":true}"), Ok(()));
        for (headers, body, wanted) in [
            ("NATS/1.0 503\r\n\r\n", "", "no JetStream stream of the server takes kiln.hall.disposed"),
            (
                "",
                "{\"error\":{\"code\":503,\"description\":\"maximum messages exceeded\"}}",
                "maximum messages exceeded",
            ),
            ("", "ok", "is no JetStream stream"),
            ("", "{}", "is no JetStream stream"),
        ] {
            let why = told(headers, body).expect_err(body);
            assert!(why.contains(wanted), "{why}");
        }
        assert_eq!(word("Hall 2.東"), "Hall_2_東");
    }
}
