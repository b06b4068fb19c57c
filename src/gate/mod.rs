//! The floor's server: agents call it, people look at it, and what it decides is kept in SQLite before it is said.
//!
//! `desk` puts every input in one order, has the pure machine of `kiln_floor` decide, and keeps the events. `copies` are
//! the run directories, grown byte by byte from what agents offer. Of a run only what `proof` reads in the floor's own
//! copy counts. `api` is for agents, `pages` for people.

mod acts;
mod api;
mod board;
mod building;
mod copies;
mod desk;
mod doors;
mod html;
mod load;
mod metrics;
mod outlet;
mod pages;
mod phrase;
mod places;
mod proof;
mod rules;
mod scan;
mod serve;
mod store;
mod stream;
mod unit_page;
mod visitor;

pub use load::{LoadSettings, load};
pub use rules::{RulesError, Source, rules, summary};
pub use serve::{ServeError, ServeSettings, serve};
