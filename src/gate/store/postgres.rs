//! The events of a floor in PostgreSQL, for floors that must outlive their machine.
//!
//! One floor leads: it holds an advisory lock for as long as its session lasts, and its lead has a number, the epoch, that every
//! insert checks. The lock alone is not enough: a floor that was paused, or whose session the server gave up, does not know that
//! another one leads by now, and its next insert must fail. A session that was lost is made again, and leads again only if the
//! epoch is still its own.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use kiln_floor::Stamped;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_postgres::error::{Error, SqlState};

use super::address::{Address, causes};
use super::{Chain, Kept, READ_FROM, Store, StoreError, VERSION, end_of, linked, lock, plain};

/// How long the server may work at one statement, and wait for another one's lock. Then it has decided, and says so.
const SETTINGS: &str = "SET statement_timeout = '8s'; SET lock_timeout = '5s'; \
    SET default_transaction_isolation = 'read committed'; SET synchronous_commit = 'on'; \
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";
/// A floor that is paused or cut off loses its session after so long, and with it the lead; it says something far oftener.
const SILENT_MOST: &str = "SET idle_session_timeout = '30s'";
/// How long an answer may take. Longer than the server may work: what is heard of nothing more is decided over there.
const PATIENCE: Duration = Duration::from_secs(10);
/// The server that frees itself of a session takes a moment for it.
const LEAD_WITHIN: Duration = Duration::from_millis(1500);
const LEAD_AGAIN: Duration = Duration::from_millis(50);
/// `idle_session_timeout` came with 14.
const OLDEST: i32 = 140_000;
/// "kiln": what a lock of ours is told from those of others by.
const LOCK: i32 = 0x6b69_6c6e;
/// Events that are read at once, so that no statement is ever long.
const PAGE: i64 = 5000;

const TABLES: &str = "BEGIN; \
    CREATE TABLE IF NOT EXISTS kiln_floor (one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one), \
        id TEXT NOT NULL, form BIGINT NOT NULL, epoch BIGINT NOT NULL); \
    CREATE TABLE IF NOT EXISTS kiln_floor_event (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, body TEXT NOT NULL, \
        chain TEXT NOT NULL, epoch BIGINT NOT NULL); \
    INSERT INTO kiln_floor (id, form, epoch) VALUES (gen_random_uuid()::text, 3, 0) ON CONFLICT DO NOTHING; \
    COMMIT";
/// One statement is one transaction: no pause between two of ours leaves one open. The lead is locked until the commit, so that
/// it is not taken between the look at the epoch and the events.
const INSERT: &str = "INSERT INTO kiln_floor_event (seq, at, body, chain, epoch) \
    SELECT fresh.seq, fresh.at, fresh.body, fresh.chain, lead.epoch \
    FROM (SELECT epoch FROM kiln_floor WHERE epoch = $1 FOR SHARE) AS lead, \
    unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[]) AS fresh (seq, at, body, chain)";

#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error("the floor's database {at} does not answer: {why}")]
    Away { at: String, why: String },
    #[error(
        "another kiln-floor leads with the events in {0}; this one can begin once that one has ended, or has been away for half a minute"
    )]
    Led(String),
    #[error(
        "another kiln-floor has taken the lead in {at} (epoch {theirs}; this one had {ours}): this one decides nothing any more, and \
         what it had not kept by then is not decided"
    )]
    LeadTaken { at: String, ours: i64, theirs: i64 },
    #[error(
        "{at} has {found} events, and lacks what this floor had kept there (it knows of {kept}): it is a copy from before, or a server \
         that followed too late; bring the newest copy back"
    )]
    Rewound { at: String, kept: u64, found: u64 },
    #[error(
        "{at} does not let user {user} in ({why}); check the user in --store and the password in --store-password FILE or PGPASSWORD"
    )]
    Login { at: String, user: String, why: String },
    #[error("{at}: there is no such database ({why}); as PostgreSQL's administrator: createdb -O {user} NAME")]
    NoDatabase { at: String, user: String, why: String },
    #[error(
        "{at}: user {user} lacks a right ({why}); let the database be this user's own (ALTER DATABASE … OWNER TO {user})"
    )]
    NoRights { at: String, user: String, why: String },
    #[error("{at} is PostgreSQL {found}, and a floor needs 14 or newer")]
    TooOld { at: String, found: String },
    #[error("{at} keeps text as {found}, and a floor has names in every language; make the database anew with -E UTF8")]
    Encoding { at: String, found: String },
    #[error(
        "{0} has no events of a floor; was --store meant for another database? `kiln-floor serve` makes what it needs"
    )]
    NoFloor(String),
    #[error("{0} is a floor's, and its table kiln_floor_event is gone; restore it from a copy")]
    Incomplete(String),
    #[error("{at} holds {found} events already; give a database without any")]
    InTheWay { at: String, found: u64 },
    #[error("the floor's database {at}: {why}")]
    Other { at: String, why: String },
}

/// A session with the server, and what works for it.
#[derive(Debug)]
struct Session {
    client: Client,
    work: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// What reaches the database. Every call is bounded, whatever the server or the way to it does.
#[derive(Debug)]
struct Line {
    /// There until the end.
    runtime: Option<Runtime>,
    address: Address,
    session: Option<Session>,
}

impl Drop for Line {
    /// Without waiting for anything: the last that has it may be a task that must not wait.
    fn drop(&mut self) {
        self.session = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a database says of the floor whose events it has.
struct Lead {
    id: String,
    form: i64,
    epoch: i64,
    /// By which its lock is told from that of another floor in the same database.
    table: i32,
}

impl Line {
    fn open(address: &Address, name: &str) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| StoreError::Io { path: "runtime".into(), source })?;
        let mut address = address.clone();
        address.config.application_name(name);
        let mut line = Self { runtime: Some(runtime), address, session: None };
        line.reach()?;
        Ok(line)
    }

    /// Makes the session, anew if there was one.
    fn reach(&mut self) -> Result<(), StoreError> {
        self.session = None;
        let (config, connector) = (self.address.config.clone(), self.address.connector());
        let reaching = async {
            let (client, connection) = config.connect(connector).await?;
            let work = tokio::spawn(async move { drop(connection.await) });
            Ok(Session { client, work })
        };
        let session = self.bounded(reaching)?;
        let about = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
                     current_setting('server_encoding')";
        let row = self.bounded(session.client.query_one(about, &[]))?;
        let at = || self.address.name().to_owned();
        if self.value::<i32>(&row, 0)? < OLDEST {
            return Err(PostgresError::TooOld { at: at(), found: self.value(&row, 1)? }.into());
        }
        let encoding: String = self.value(&row, 2)?;
        if encoding != "UTF8" {
            return Err(PostgresError::Encoding { at: at(), found: encoding }.into());
        }
        self.bounded(session.client.batch_execute(SETTINGS))?;
        self.bounded(session.client.batch_execute(SILENT_MOST))?;
        self.session = Some(session);
        Ok(())
    }

    /// Does something with the server, for as long as that may take.
    fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let Some(runtime) = &self.runtime else { return Err(self.away("the floor ends".to_owned()).into()) };
        match runtime.block_on(async { timeout(PATIENCE, work).await }) {
            Ok(done) => done.map_err(|error| self.told(&error).into()),
            Err(_) => Err(self.away(format!("it said nothing for {} s", PATIENCE.as_secs())).into()),
        }
    }

    fn away(&self, why: String) -> PostgresError {
        PostgresError::Away { at: self.address.name().to_owned(), why }
    }

    fn client(&self) -> Result<&Client, StoreError> {
        let session = self.session.as_ref().filter(|session| !session.client.is_closed());
        session.map(|session| &session.client).ok_or_else(|| self.away("the connection is lost".to_owned()).into())
    }

    fn value<'a, T: tokio_postgres::types::FromSql<'a>>(
        &self,
        row: &'a tokio_postgres::Row,
        at: usize,
    ) -> Result<T, StoreError> {
        row.try_get(at).map_err(|error| self.told(&error).into())
    }

    /// What an error means for who runs the floor.
    fn told(&self, error: &Error) -> PostgresError {
        let at = self.address.name().to_owned();
        let user = self.address.user().to_owned();
        let Some(server) = error.as_db_error() else {
            let mut why = causes(error);
            let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
            let is_io = std::iter::from_fn(|| {
                let this = cause?;
                cause = this.source();
                Some(this.is::<std::io::Error>())
            })
            .any(|is| is);
            if is_io || error.is_closed() {
                return PostgresError::Away { at, why };
            }
            if !self.address.has_password() {
                why.push_str("; no password was given (--store-password FILE, or PGPASSWORD)");
            }
            return PostgresError::Other { at, why };
        };
        let why = server.message().to_owned();
        match *server.code() {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                PostgresError::Login { at, user, why }
            }
            SqlState::INVALID_CATALOG_NAME => PostgresError::NoDatabase { at, user, why },
            SqlState::INSUFFICIENT_PRIVILEGE => PostgresError::NoRights { at, user, why },
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::IDLE_SESSION_TIMEOUT
            | SqlState::TOO_MANY_CONNECTIONS
            // What was the first server follows another one now.
            | SqlState::READ_ONLY_SQL_TRANSACTION => PostgresError::Away { at, why },
            _ => PostgresError::Other { at, why },
        }
    }

    /// Whose database this is; None of one that no floor has used.
    fn lead(&self) -> Result<Option<Lead>, StoreError> {
        let client = self.client()?;
        let tables = "SELECT to_regclass('kiln_floor')::oid, to_regclass('kiln_floor_event')::oid";
        let row = self.bounded(client.query_one(tables, &[]))?;
        let (lead, events): (Option<u32>, Option<u32>) = (self.value(&row, 0)?, self.value(&row, 1)?);
        let Some(table) = lead else { return Ok(None) };
        if events.is_none() {
            return Err(PostgresError::Incomplete(self.address.name().to_owned()).into());
        }
        let row = self.bounded(client.query_one("SELECT id, form, epoch FROM kiln_floor", &[]))?;
        let table = i32::from_ne_bytes(table.to_ne_bytes());
        let lead = Lead { id: self.value(&row, 0)?, form: self.value(&row, 1)?, epoch: self.value(&row, 2)?, table };
        if lead.form > VERSION {
            return Err(StoreError::Newer { at: self.address.name().to_owned(), found: lead.form });
        }
        if lead.form < READ_FROM {
            return Err(StoreError::Older);
        }
        Ok(Some(lead))
    }

    /// Takes the lock of the lead, for as long as the session lasts; false if another one has it.
    fn lock(&self, table: i32) -> Result<bool, StoreError> {
        let client = self.client()?;
        let trying = async {
            loop {
                let row = client.query_one("SELECT pg_try_advisory_lock($1, $2)", &[&LOCK, &table]).await?;
                if row.try_get(0)? {
                    return Ok(true);
                }
                sleep(LEAD_AGAIN).await;
            }
        };
        self.bounded(async { timeout(LEAD_WITHIN, trying).await.unwrap_or(Ok(false)) })
    }

    /// All events, of which none was altered, taken out or put in.
    fn events(&self) -> Result<Vec<Kept>, StoreError> {
        let client = self.client()?;
        let page = "SELECT seq, body, chain FROM kiln_floor_event WHERE seq >= $1 ORDER BY seq LIMIT $2";
        let (mut events, mut chain, mut from) = (Vec::new(), Chain::default(), i64::MIN);
        loop {
            let rows = self.bounded(client.query(page, &[&from, &PAGE]))?;
            for row in &rows {
                let said: String = self.value(row, 2)?;
                events.push(chain.row(self.value(row, 0)?, self.value(row, 1)?, Some(&said))?);
            }
            if (rows.len() as i64) < PAGE {
                return Ok(events);
            }
            from = events.len() as i64;
        }
    }

    /// Leads from now on, under the epoch that is given back.
    fn take_lead(&self, table: i32) -> Result<i64, StoreError> {
        let at = || self.address.name().to_owned();
        if !self.lock(table)? {
            return Err(PostgresError::Led(at()).into());
        }
        let take = "UPDATE kiln_floor SET epoch = epoch + 1, form = $1 WHERE form <= $1 RETURNING epoch";
        let row = self.bounded(self.client()?.query_one(take, &[&VERSION]))?;
        self.value(&row, 0)
    }

    /// Inserts, all or none, if this epoch still leads; the one that does if not.
    fn insert(&self, epoch: i64, events: &[Kept]) -> Result<Result<(), i64>, StoreError> {
        let seqs: Vec<i64> = events.iter().map(|kept| kept.event.seq as i64).collect();
        let ats: Vec<i64> = events.iter().map(|kept| kept.event.at as i64).collect();
        let bodies: Vec<&str> = events.iter().map(|kept| kept.body.as_str()).collect();
        let chains: Vec<&str> = events.iter().map(|kept| kept.chain.as_str()).collect();
        let client = self.client()?;
        if self.bounded(client.execute(INSERT, &[&epoch, &seqs, &ats, &bodies, &chains]))? == events.len() as u64 {
            return Ok(Ok(()));
        }
        let row = self.bounded(client.query_one("SELECT epoch FROM kiln_floor", &[]))?;
        Ok(Err(self.value(&row, 0)?))
    }

    /// Ends sessions that this floor had before and the server has not given up yet: one of them may hold the lock.
    fn end_earlier_sessions(&self) -> Result<(), StoreError> {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name = current_setting('application_name') AND usename = current_user \
                   AND pid <> pg_backend_pid()";
        self.bounded(self.client()?.query(end, &[])).map(drop)
    }
}

/// The list of events in PostgreSQL, of the floor that leads.
#[derive(Debug)]
pub(crate) struct Postgres {
    line: Line,
    id: String,
    epoch: i64,
    /// How many events are known to be kept, and the value of the hash chain after them.
    kept: u64,
    chain: String,
    /// Held until the process ends, by whatever end.
    _lock: kiln_disk::Lock,
}

impl Postgres {
    /// Takes the lead, and makes the tables in a database that no floor has used.
    pub(crate) fn open(dir: &Path, address: &Address) -> Result<Self, StoreError> {
        let lock = lock(dir)?;
        // Told from every other floor's sessions, and from those of this one's earlier life.
        let line = Line::open(address, &format!("kiln-floor {}", uuid::Uuid::now_v7()))?;
        let lead = if let Some(lead) = line.lead()? {
            lead
        } else {
            line.bounded(line.client()?.batch_execute(TABLES))?;
            line.lead()?.ok_or_else(|| PostgresError::NoFloor(address.name().to_owned()))?
        };
        super::belongs(dir, address.name(), &lead.id)?;
        let epoch = line.take_lead(lead.table)?;
        let events = line.events()?;
        super::note(dir, &lead.id)?;
        Ok(Self { line, id: lead.id, epoch, kept: events.len() as u64, chain: end_of(&events), _lock: lock })
    }

    fn at(&self) -> String {
        self.line.address.name().to_owned()
    }

    fn taken_by(&self, theirs: i64) -> StoreError {
        PostgresError::LeadTaken { at: self.at(), ours: self.epoch, theirs }.into()
    }

    /// Makes sure that there is a session, and that it leads under this floor's own epoch.
    fn lead_again(&mut self) -> Result<(), StoreError> {
        if self.line.client().is_err() {
            self.line.reach()?;
            self.line.end_earlier_sessions()?;
        }
        let lead = self.line.lead()?.ok_or_else(|| PostgresError::NoFloor(self.at()))?;
        if lead.id != self.id {
            return Err(PostgresError::NoFloor(self.at()).into());
        }
        if lead.epoch != self.epoch {
            return Err(self.taken_by(lead.epoch));
        }
        if !self.line.lock(lead.table)? {
            self.line.session = None;
            return Err(self.line.away("another session holds the lead".to_owned()).into());
        }
        // Between the look and the lock another one may have led.
        match self.line.lead()? {
            Some(lead) if lead.epoch == self.epoch => Ok(()),
            other => Err(self.taken_by(other.map_or(0, |lead| lead.epoch))),
        }
    }

    /// A session on which a call was not answered in time may still do what it was told; nothing more is said on it.
    fn minding<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.as_ref().is_err_and(StoreError::is_away) {
            self.line.session = None;
        }
        done
    }
}

impl Store for Postgres {
    fn events(&mut self) -> Result<Vec<Stamped>, StoreError> {
        let read = self.line.events();
        Ok(plain(self.minding(read)?))
    }

    fn append(&mut self, events: &[Stamped]) -> Result<(), StoreError> {
        let Some(last) = events.last() else { return Ok(()) };
        let linked = linked(&self.chain, events)?;
        let done = self.line.insert(self.epoch, &linked);
        if let Err(theirs) = self.minding(done)? {
            return Err(self.taken_by(theirs));
        }
        (self.kept, self.chain) = (last.seq + 1, end_of(&linked));
        Ok(())
    }

    fn look_again(&mut self) -> Result<Vec<Stamped>, StoreError> {
        let leads = self.lead_again();
        self.minding(leads)?;
        let read = self.line.events();
        let events = self.minding(read)?;
        let (kept, found) = (self.kept, events.len() as u64);
        let is_ours = kept == 0 || events.get(kept as usize - 1).is_some_and(|last| last.chain == self.chain);
        if !is_ours {
            return Err(PostgresError::Rewound { at: self.at(), kept, found }.into());
        }
        (self.kept, self.chain) = (found, end_of(&events));
        Ok(plain(events))
    }

    fn beat(&mut self) -> Result<(), StoreError> {
        let lead = self.line.lead();
        match self.minding(lead)? {
            Some(lead) if lead.epoch == self.epoch => Ok(()),
            other => Err(self.taken_by(other.map_or(0, |lead| lead.epoch))),
        }
    }

    fn may_be_away(&self) -> bool {
        true
    }
}

/// The events with their chain, read beside a floor that may be at work.
pub(crate) fn read_beside(dir: &Path, address: &Address) -> Result<Vec<Kept>, StoreError> {
    let line = Line::open(address, "kiln-floor beside")?;
    let lead = line.lead()?.ok_or_else(|| PostgresError::NoFloor(address.name().to_owned()))?;
    super::belongs(dir, address.name(), &lead.id)?;
    line.events()
}

/// Keeps events that were read elsewhere, all of them or none, in a database that has none.
pub(crate) fn restore(dir: &Path, address: &Address, events: &[Kept]) -> Result<(), StoreError> {
    let line = Line::open(address, "kiln-floor restoring")?;
    line.bounded(line.client()?.batch_execute(TABLES))?;
    let lead = line.lead()?.ok_or_else(|| PostgresError::NoFloor(address.name().to_owned()))?;
    let epoch = line.take_lead(lead.table)?;
    let row = line.bounded(line.client()?.query_one("SELECT count(*) FROM kiln_floor_event", &[]))?;
    let found: i64 = line.value(&row, 0)?;
    if found > 0 {
        return Err(PostgresError::InTheWay { at: address.name().to_owned(), found: found as u64 }.into());
    }
    line.bounded(line.client()?.batch_execute("BEGIN"))?;
    for batch in events.chunks(PAGE as usize) {
        if let Err(theirs) = line.insert(epoch, batch)? {
            return Err(PostgresError::LeadTaken { at: address.name().to_owned(), ours: epoch, theirs }.into());
        }
    }
    line.bounded(line.client()?.batch_execute("COMMIT"))?;
    super::note(dir, &lead.id)
}
