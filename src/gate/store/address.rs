//! Where a PostgreSQL database is, and how it is known and logged in to: what a person gives, looked at before anything is called.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use kiln_disk as disk;
use rustls::ClientConfig;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::tls::{KnownByError, client_of};

/// How long one server may take to be reached.
const REACH: Duration = Duration::from_secs(3);
/// How long bytes may go unacknowledged before a connection counts as gone; TCP alone waits for a quarter of an hour.
const UNHEARD: Duration = Duration::from_secs(5);
/// An idle connection is asked after so long whether it is still there, and so often.
const IDLE: Duration = Duration::from_secs(10);
const ASKED: u32 = 3;

#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("`{url}` is no address of a database, as postgres://USER@HOST/DATABASE is one: {why}")]
    Form { url: String, why: String },
    #[error(
        "the address of the database has a password in it, which everybody on this machine can read while kiln-floor runs; write it \
         into a file that only kiln-floor reads and give that with --store-password FILE, or set PGPASSWORD"
    )]
    Password,
    #[error(
        "{0} is another machine, and nobody vouches for it: give the certificate of the authority of its PostgreSQL with --store-ca \
         FILE, or add sslmode=disable to the address if all on the way may read and alter what the floor keeps"
    )]
    Unproven(String),
    #[error("the address of the database says sslmode=disable, and --store-ca asks for TLS; leave one of the two out")]
    Both,
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    KnownBy(#[from] KnownByError),
}

/// A database, as it is reached.
#[derive(Debug, Clone)]
pub struct Address {
    pub(super) config: Config,
    tls: ClientConfig,
    name: String,
}

impl Address {
    /// `password` is a file with the password in its first line; without one, PGPASSWORD of the environment is taken if it is there.
    pub fn of(url: &str, password: Option<&Path>, authority: Option<&Path>) -> Result<Self, AddressError> {
        let form = |why: &str| AddressError::Form { url: url.to_owned(), why: why.to_owned() };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(form("it does not begin with postgres://"));
        }
        let parsed = Config::from_str(url);
        // Before anything of it is repeated in an error.
        if parsed.as_ref().is_ok_and(|config| config.get_password().is_some()) {
            return Err(AddressError::Password);
        }
        let mut config = parsed.map_err(|error| form(&causes(&error)))?;
        let database = config.get_dbname().ok_or_else(|| form("which database? it stands behind the host and a /"))?;
        if config.get_user().is_none() {
            return Err(form("as which user? it stands before the host and an @"));
        }
        if config.get_hosts().is_empty() {
            return Err(form("on which host? for a socket on this machine add ?host=/run/postgresql"));
        }
        let name = format!("{}/{database}", hosts(&config));
        let far = config.get_hosts().iter().find_map(|host| match host {
            Host::Tcp(name) => (!is_here(name)).then(|| name.clone()),
            Host::Unix(_) => None,
        });
        match (far, authority, config.get_ssl_mode()) {
            (_, Some(_), SslMode::Disable) => return Err(AddressError::Both),
            (_, Some(_), _) => drop(config.ssl_mode(SslMode::Require)),
            (_, None, SslMode::Disable) => {}
            (Some(host), None, _) => return Err(AddressError::Unproven(host)),
            (None, None, SslMode::Require) => return Err(AddressError::Unproven(hosts(&config))),
            (None, None, _) => drop(config.ssl_mode(SslMode::Disable)),
        }
        if let Some(password) = secret(password)? {
            config.password(password);
        }
        config
            .connect_timeout(REACH)
            .tcp_user_timeout(UNHEARD)
            .keepalives_idle(IDLE)
            .keepalives_interval(UNHEARD)
            .keepalives_retries(ASKED)
            // A server that only follows another one keeps nothing; of several, the one that does is taken.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config, tls: client_of(authority)?, name })
    }

    /// What errors call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    pub(super) fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    pub(super) fn connector(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new(self.tls.clone())
    }
}

/// The password from its file, or from the environment.
fn secret(file: Option<&Path>) -> Result<Option<Vec<u8>>, AddressError> {
    let Some(path) = file else {
        return Ok(std::env::var("PGPASSWORD").ok().map(String::into_bytes));
    };
    let bytes = disk::read(path, 1 << 16).map_err(|source| AddressError::Io { path: path.to_owned(), source })?;
    Ok(bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().map(<[u8]>::to_vec))
}

/// Whether a host is this machine whatever a network says.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn hosts(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let host = |(at, host): (usize, &Host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(at)),
        Host::Unix(path) => path.display().to_string(),
    };
    config.get_hosts().iter().enumerate().map(host).collect::<Vec<_>>().join(",")
}

/// An error with all that caused it: the outermost alone says little.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_or_unsafe_is_told_with_what_to_do() {
        for (url, wanted) in [
            ("mysql://kiln@db/kiln", "does not begin with postgres://"),
            ("postgres://db/kiln", "as which user?"),
            ("postgres://kiln@localhost", "which database?"),
            ("postgres://kiln@/kiln", "on which host?"),
            ("postgres://kiln@localhost:port/kiln", "is no address of a database"),
            ("postgres://kiln@localhost/kiln?sslmood=x", "sslmood"),
            ("postgres://kiln:secret@localhost/kiln", "--store-password FILE"),
            ("postgres://kiln@localhost/kiln?password=secret", "--store-password FILE"),
            ("postgres://kiln@db.example/kiln", "db.example is another machine"),
            ("postgres://kiln@localhost,db.example/kiln", "db.example is another machine"),
            ("postgres://kiln@localhost/kiln?sslmode=require", "--store-ca FILE"),
        ] {
            let told = Address::of(url, None, None).expect_err(url).to_string();
            assert!(told.contains(wanted) && !told.contains("secret"), "{url}: {told}");
        }
        for url in [
            "postgres://kiln@localhost/kiln",
            "postgresql://kiln@127.0.0.1:5433/kiln",
            "postgres://kiln@[::1]/kiln",
            "postgres://kiln@/kiln?host=/run/postgresql",
            "postgres://kiln@db.example/kiln?sslmode=disable",
        ] {
            Address::of(url, None, None).unwrap_or_else(|error| panic!("{url}: {error}"));
        }
        let two = Address::of("postgres://kiln@127.0.0.1:1,127.0.0.1:2/kiln", None, None).expect("two servers");
        assert_eq!(two.name(), "127.0.0.1:1,127.0.0.1:2/kiln");
    }

    #[test]
    fn files_that_hold_no_password_or_certificate_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        let url = "postgres://kiln@localhost/kiln";
        let told = Address::of(url, Some(&file), None).expect_err("not there").to_string();
        assert!(told.contains(&file.display().to_string()), "{told}");
        std::fs::write(&file, "s3cret\n").expect("written");
        let address = Address::of(url, Some(&file), None).expect("an address");
        assert_eq!(address.config.get_password(), Some(&b"s3cret"[..]));
        assert!(!format!("{address:?}").contains("s3cret"));
        assert!(matches!(
            Address::of(url, None, Some(&file)),
            Err(AddressError::KnownBy(KnownByError::NoCertificate(_)))
        ));
        let disabled = Address::of(&format!("{url}?sslmode=disable"), None, Some(&file));
        assert!(matches!(disabled, Err(AddressError::Both)));
    }
}
