//! Runs programs of other people inside a worker. What each of them is called with and what its output says is known to
//! the checks of programs.

pub(crate) mod runner;
mod values;
