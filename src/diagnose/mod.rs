//! From measurements and events to findings: what is wrong, with which component, why, and what to do.
//!
//! Pure data and folds; nothing here reads a log or a device.

mod accused;
mod alike;
mod board;
mod catalogue;
mod catalogue_page;
mod charge;
mod device_line;
mod doubtful_zero;
mod drive_line;
mod driver_words;
mod ecc_line;
mod elsewhere;
mod findings;
mod general_words;
mod heat_map;
mod host_block;
mod host_line;
mod kernel_event;
mod kernel_join;
mod kernel_line;
mod line_table;
mod one_sm;
mod pci_address;
mod relation;
mod rest_gap;
mod rule_heat;
mod rule_kernel;
mod rule_links;
mod rule_memory;
mod rule_results;
mod rule_sensor;
mod rule_speed;
mod rule_station;
mod rule_table;
mod rule_tools;
mod scene;
mod shared_heat;
mod sxid_table;
mod xid;
mod xid_table;

use accused::{drive_at, nic_at, silent_gpu};
pub use accused::{failing_xid, gpu_at};
pub use alike::{AllAlike, LEAST_ALIKE, if_all_alike};
pub use catalogue::{Entry, Words, action_words, entries, entry};
pub use catalogue_page::codes_page;
pub use charge::{Charge, CodeCharge, Places, charges};
pub use findings::findings;
pub use kernel_event::{Class, KernelEvent, Place, Severity, kernel_events, names_trouble};
pub use kernel_line::{AerLine, AerSeverity, Declared, InitCause, KernelLine, SxidLine, XidLine, read_kernel_line};
pub use one_sm::{OneSm, one_sm, same_sm_everywhere};
pub use pci_address::{ParsePciAddressError, PciAddress};
pub use rule_station::SENSORS_SILENT;
pub use xid::{
    BurnIn, FactoryAction, FieldAction, Origin, Relation, SxidRow, SxidSeverity, XidRow, XidSeverity, sxid, sxids, xid,
    xids,
};
