//! The floor's server: agents call it, people look at it, and what it decides is kept before it is said, in SQLite or PostgreSQL.
//!
//! `desk` puts every input in one order, has the pure machine of `kiln_floor` decide, and keeps the events. `copies` are
//! the run directories, grown byte by byte from what agents offer. Of a run only what `proof` reads in the floor's own
//! copy counts. `api` is for agents, `pages` for people.
//!
//! Over TLS, `authority` makes certificates, `enrol` has a person approve each agent, `session` and `people` are who has logged
//! in, and `visitor` is the one place that lets pass or refuses.

mod acts;
mod api;
mod audit;
mod authority;
mod board;
mod building;
#[cfg(test)]
mod contrast;
mod copies;
mod desk;
mod doors;
mod enrol;
mod html;
mod identities;
mod intake;
mod lists;
mod load;
mod mes;
mod messages;
mod metrics;
mod nats;
mod outlet;
mod outlets;
mod pages;
mod papers;
mod people;
mod phrase;
mod places;
mod power_cycles;
mod programs;
mod proof;
mod random;
mod reindex;
mod rollout;
mod rules;
mod scan;
mod seals;
mod serve;
mod session;
mod store;
mod stream;
#[cfg(test)]
mod tests_reindex;
mod tls;
mod unit_page;
mod visitor;
mod ways;

pub use audit::{AuditError, audit};
pub use load::{LoadSettings, load};
pub use messages::Form;
pub use outlets::{NatsSettings, OutletSettings};
pub use papers::{PapersOutError, papers};
pub use people::{People, PeopleError, Person};
pub use programs::ProgramsError;
pub use reindex::{Difference, ReindexError, Reindexed, reindex};
pub use rules::{RulesError, Source, real_runs, rules, summary};
pub use serve::{ServeError, ServeSettings, TlsSettings, serve};
pub use store::{Address, AddressError, Database, PostgresError, StoreError};
pub use tls::KnownByError;
pub use ways::WayError;
