//! A PostgreSQL of the tests' own, from what Debian's `postgresql` installs: on loopback, in a folder that goes with the process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Of the role `kiln`, to which every database of a test belongs.
pub(crate) const PASSWORD: &str = "a pass phrase of tests";

/// Begins, says where it lies, and ends once nobody holds its stdin any more, by whatever end. `fsync` is off since nobody pulls
/// the plug of a test.
const SCRIPT: &str = r#"
set -e
newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
PATH="$newest:$PATH"
folder=$(mktemp -d)
trap 'kill -QUIT "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$folder"' EXIT
initdb -D "$folder/data" -U postgres -E UTF8 --locale=C --auth-local=trust --auth-host=scram-sha-256 --no-sync --no-instructions >/dev/null
umask 077
printf '%s' "$CERTIFICATE" >"$folder/data/server.crt"
printf '%s' "$KEY" >"$folder/data/server.key"
postgres -D "$folder/data" -c listen_addresses=localhost -c port="$PORT" -c unix_socket_directories="$folder" -c fsync=off \
  -c ssl=on -c max_connections=60 -c shared_buffers=16MB >"$folder/log" 2>&1 &
server=$!
tries=0
until psql -h "$folder" -p "$PORT" -U postgres -qc '' 2>/dev/null; do
  kill -0 "$server" 2>/dev/null && [ "$tries" -lt 600 ] || { cat "$folder/log" >&2; exit 1; }
  tries=$((tries + 1))
  sleep 0.1
done
psql -h "$folder" -p "$PORT" -U postgres -qc "CREATE ROLE kiln LOGIN PASSWORD '$PASSWORD'"
echo "$folder"
cat >/dev/null
"#;

/// A server of databases, one for all tests of a process.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) port: u16,
    /// The certificate that the server shows, in PEM.
    pub(crate) certificate: String,
    folder: PathBuf,
    made: AtomicU32,
    /// Holds the server's life.
    _server: Child,
}

/// The server, started by the first test that needs it.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start)
}

impl Cluster {
    fn start() -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        // A server does not run as root; Debian's package has a user for it.
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.starts_with(b"0\n"));
        let mut command = Command::new(if is_root { "setpriv" } else { "sh" });
        if is_root {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
        }
        command.args(["-c", SCRIPT]).current_dir("/").env("PORT", port.to_string()).env("PASSWORD", PASSWORD);
        command.env("CERTIFICATE", own.cert.pem()).env("KEY", own.signing_key.serialize_pem());
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut server = spawned.expect("a shell");
        let (mut line, mut said) = (String::new(), String::new());
        BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        if line.is_empty() {
            server.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
            panic!("this test did NOT run: no PostgreSQL could be started; `ci/test` installs it (postgresql): {said}");
        }
        let folder = PathBuf::from(line.trim());
        Self { port, certificate: own.cert.pem(), folder, made: AtomicU32::new(0), _server: server }
    }

    /// A database of its own for a test; its name.
    pub(crate) fn database(&self) -> String {
        let name = format!("floor_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER kiln"));
        name
    }

    /// As `kiln-floor --store` takes it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://kiln@localhost:{}/{database}", self.port)
    }

    /// Does something as the server's administrator; what came of it.
    pub(crate) fn sql(&self, database: &str, text: &str) -> String {
        let mut psql = Command::new("psql");
        psql.args(["-qtAX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", text]);
        let out = psql.arg("-h").arg(&self.folder).arg("-p").arg(self.port.to_string()).output().expect("psql");
        assert!(out.status.success(), "{text}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Ends every session that a floor has with a database.
    pub(crate) fn cut(&self, database: &str) {
        let cut = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name LIKE 'kiln-floor%'";
        assert_eq!(self.sql(database, cut), "1", "there is a session to end");
    }

    /// A file with the password, as `--store-password` takes it.
    pub(crate) fn password_in(folder: &Path) -> PathBuf {
        let file = folder.join("password");
        std::fs::write(&file, format!("{PASSWORD}\n")).expect("written");
        file
    }
}
