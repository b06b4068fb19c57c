//! From measurements and events to findings.

mod stub;
pub use stub::{failing_xid, findings};
