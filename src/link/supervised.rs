//! Who started the agent and watches over it: a service manager that is told by datagrams that the agent works, as
//! `sd_notify(3)` describes them. One that is not told in time kills the agent and starts it again; its run goes on meanwhile.
//!
//! The socket and the time are in the environment, and are nobody else's: a run is no part of the service.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// The socket's address; one that begins with `@` is in the abstract namespace (`sd_notify(3)`).
pub const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
/// How long the agent may say nothing, in microseconds (`sd_watchdog_enabled(3)`).
pub const WATCHDOG_VARIABLE: &str = "WATCHDOG_USEC";

/// Tells a service manager. Trouble on the way to it is no trouble of the agent's: if it matters, the manager acts.
#[derive(Debug)]
pub struct Supervised {
    socket: UnixDatagram,
    to: SocketAddr,
    /// Between two messages: a quarter of the time, so that one that is late is no end.
    every: Option<Duration>,
    told: Option<Duration>,
}

impl Supervised {
    /// By the values of both variables; None where nobody watches. A relative address is nobody's.
    pub fn of(address: Option<&OsStr>, within: Option<&OsStr>) -> io::Result<Option<Self>> {
        let Some(address) = address.filter(|address| !address.is_empty()) else { return Ok(None) };
        let to = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None if Path::new(address).is_absolute() => SocketAddr::from_pathname(address)?,
            None => return Ok(None),
        };
        let socket = UnixDatagram::unbound()?;
        // The manager's queue may be full; the agent does not wait for it.
        socket.set_nonblocking(true)?;
        let micros = within.and_then(OsStr::to_str).and_then(|text| text.parse::<u64>().ok());
        let every = micros.filter(|micros| *micros > 0).map(|micros| Duration::from_micros(micros) / 4);
        Ok(Some(Self { socket, to, every, told: None }))
    }

    /// The agent works at `now`: the first time that it is ready, then that it is alive as often as it is watched.
    pub fn alive(&mut self, now: Duration) {
        let text = match (self.told, self.every) {
            (None, _) => "READY=1\nSTATUS=at work\nWATCHDOG=1",
            (Some(told), Some(every)) if now >= told + every => "WATCHDOG=1",
            _ => return,
        };
        if self.socket.send_to_addr(text.as_bytes(), &self.to).is_ok() {
            self.told = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(manager: &UnixDatagram) -> Vec<String> {
        manager.set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 256];
        std::iter::from_fn(|| manager.recv(&mut buffer).ok().map(|read| buffer[..read].to_vec()))
            .map(|bytes| String::from_utf8(bytes).expect("text"))
            .collect()
    }

    #[test]
    fn a_manager_hears_that_the_agent_is_ready_and_then_four_times_in_its_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        let within = OsStr::new("8000000");
        let mut supervised = Supervised::of(Some(path.as_os_str()), Some(within)).expect("reached").expect("watched");
        (0..=100).for_each(|tick| supervised.alive(Duration::from_millis(100 * tick)));
        let told = heard(&manager);
        assert!(told[0].starts_with("READY=1\n"), "{told:?}");
        assert_eq!(told[1..], ["WATCHDOG=1"; 5], "every two of ten seconds");
    }

    #[test]
    fn an_abstract_address_is_reached_and_without_a_time_only_readiness_is_told() {
        let name = format!("kiln-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let manager = UnixDatagram::bind_addr(&address).expect("a socket");
        let written = format!("@{name}");
        let mut supervised = Supervised::of(Some(OsStr::new(&written)), None).expect("reached").expect("watched");
        (0..100).for_each(|second| supervised.alive(Duration::from_secs(second)));
        assert_eq!(heard(&manager).len(), 1);
    }

    #[test]
    fn who_is_not_watched_tells_nobody_and_a_manager_that_is_gone_does_no_harm() {
        assert!(Supervised::of(None, Some(OsStr::new("1"))).expect("asked").is_none());
        assert!(Supervised::of(Some(OsStr::new("relative")), None).expect("asked").is_none());
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("nobody");
        let mut supervised = Supervised::of(Some(path.as_os_str()), None).expect("made").expect("watched");
        supervised.alive(Duration::ZERO);
        assert_eq!(supervised.told, None, "it is told again");
    }
}
