//! Ports of RDMA devices, InfiniBand or Ethernet: state, rate, and error counters, as the kernel shows them.
//!
//! Names and meaning are those of `/sys/class/infiniband` (Documentation/ABI/stable/sysfs-class-infiniband in the Linux source).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Reading;

/// What a port speaks on its wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkLayer {
    Infiniband,
    /// RoCE or iWARP.
    Ethernet,
}

/// The logical state of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortState {
    Down,
    /// The link is up and no subnet manager has set the port up.
    Init,
    Armed,
    Active,
    /// The link failed a moment ago and may come back.
    ActiveDefer,
}

/// The state of the wire below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireState {
    Sleep,
    /// It looks for a far end and finds none.
    Polling,
    Disabled,
    Training,
    LinkUp,
    ErrorRecovery,
    Test,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident $name:literal $full:expr;)*) => {
        /// One error counter of a port.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum PortCounter { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl PortCounter {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name of its file in the kernel.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The value at which the counter stands still, where the standard gives it few bits: from there on it says nothing
            /// (`PortCounters` of the InfiniBand architecture; widths as in the kernel's drivers/infiniband/core/sysfs.c).
            pub const fn full(self) -> Option<u64> {
                match self { $(Self::$variant => $full,)* }
            }
        }
    };
}

counters! {
    /// Symbols that were none; after error correction, where the link has it.
    SymbolErrors "symbol_error" Some(0xffff);
    /// Times the link trained again without going down.
    Recoveries "link_error_recovery" Some(0xff);
    /// Times the link went down.
    LinkDowned "link_downed" Some(0xff);
    /// Packets that came in damaged.
    ReceiveErrors "port_rcv_errors" Some(0xffff);
    /// Times that too many packets in a row came in damaged.
    IntegrityErrors "local_link_integrity_errors" Some(0xf);
    /// Times that the far end sent more than there was room for.
    BufferOverruns "excessive_buffer_overrun_errors" Some(0xf);
    /// RoCE packets whose checksum was wrong.
    ChecksumErrors "rx_icrc_encapsulated" None;
    /// Packets that arrived before their turn: some were lost on the way.
    OutOfSequence "out_of_sequence" None;
    /// Times the carrier of the port's network interface went away.
    CarrierDown "carrier_down_count" None;
}

/// One port of an RDMA device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// As the kernel counts: from 1.
    pub number: u8,
    pub layer: Reading<LinkLayer>,
    pub state: Reading<PortState>,
    pub wire: Reading<WireState>,
    /// Of a port without a link none: what the kernel then shows is a default.
    pub rate_mb_per_s: Reading<u32>,
    pub width: Reading<u8>,
    /// What of the counters the port has.
    pub counters: BTreeMap<PortCounter, Reading<u64>>,
}

impl Port {
    /// Whether it can carry traffic.
    pub const fn is_up(&self) -> Reading<bool> {
        match (&self.state, &self.wire) {
            (Reading::Value(PortState::Active), Reading::Value(WireState::LinkUp) | Reading::Unsupported) => {
                Reading::Value(true)
            }
            (Reading::Value(_), _) => Reading::Value(false),
            (Reading::Unsupported, _) => Reading::Unsupported,
            (Reading::Failed(failure), _) => Reading::Failed(*failure),
        }
    }

    pub fn counter(&self, counter: PortCounter) -> Reading<u64> {
        self.counters.get(&counter).copied().unwrap_or_default()
    }
}

impl PortCounter {
    /// The folder of the port that its file is in. None where it is the network interface's.
    pub const fn folder(self) -> Option<&'static str> {
        match self {
            Self::ChecksumErrors | Self::OutOfSequence => Some("hw_counters"),
            Self::CarrierDown => None,
            _ => Some("counters"),
        }
    }
}

impl PortState {
    /// By the number and name in a `state` file: `4: ACTIVE`.
    pub fn read(text: &str) -> Option<Self> {
        Some(match text.split(':').next()?.trim() {
            "1" => Self::Down,
            "2" => Self::Init,
            "3" => Self::Armed,
            "4" => Self::Active,
            "5" => Self::ActiveDefer,
            _ => return None,
        })
    }
}

impl WireState {
    /// By the number and name in a `phys_state` file: `5: LinkUp`.
    pub fn read(text: &str) -> Option<Self> {
        Some(match text.split(':').next()?.trim() {
            "1" => Self::Sleep,
            "2" => Self::Polling,
            "3" => Self::Disabled,
            "4" => Self::Training,
            "5" => Self::LinkUp,
            "6" => Self::ErrorRecovery,
            "7" => Self::Test,
            _ => return None,
        })
    }
}

/// In the kernel's word, as it stands in a `state` file.
impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "DOWN",
            Self::Init => "INIT",
            Self::Armed => "ARMED",
            Self::Active => "ACTIVE",
            Self::ActiveDefer => "ACTIVE_DEFER",
        })
    }
}

/// In the kernel's word, as it stands in a `phys_state` file.
impl fmt::Display for WireState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sleep => "Sleep",
            Self::Polling => "Polling",
            Self::Disabled => "Disabled",
            Self::Training => "PortConfigurationTraining",
            Self::LinkUp => "LinkUp",
            Self::ErrorRecovery => "LinkErrorRecovery",
            Self::Test => "Phy Test",
        })
    }
}

/// In one line and in the kernel's words, so that it needs no translation: `ACTIVE, LinkUp, 50000 MB/s, 4X`. What could not be
/// read is a question mark; the measurement `up` says why.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |read: Option<String>| read.unwrap_or_else(|| "?".to_owned());
        let (state, wire) = (self.state.value().map(ToString::to_string), self.wire.value().map(ToString::to_string));
        write!(f, "{}, {}", word(state), word(wire))?;
        if let Reading::Value(rate) = self.rate_mb_per_s {
            write!(f, ", {rate} MB/s")?;
        }
        if let Reading::Value(width) = self.width {
            write!(f, ", {width}X")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_read_as_the_kernel_writes_them_and_others_are_none() {
        assert_eq!(PortState::read("4: ACTIVE"), Some(PortState::Active));
        assert_eq!(PortState::read("0: NOP"), None);
        assert_eq!(WireState::read("2: Polling"), Some(WireState::Polling));
        assert_eq!(WireState::read("<unknown>"), None);
    }

    #[test]
    fn a_port_is_up_with_link_and_subnet_manager_only() {
        let port = |state, wire| {
            let (state, wire) = (Reading::Value(state), Reading::Value(wire));
            let none = Reading::Unsupported;
            let rate_mb_per_s = Reading::Unsupported;
            let width = Reading::Unsupported;
            Port { number: 1, layer: none, state, wire, rate_mb_per_s, width, counters: BTreeMap::new() }.is_up()
        };
        assert_eq!(port(PortState::Active, WireState::LinkUp), Reading::Value(true));
        assert_eq!(port(PortState::Init, WireState::LinkUp), Reading::Value(false));
        assert_eq!(port(PortState::Active, WireState::ErrorRecovery), Reading::Value(false));
    }

    #[test]
    fn counters_keep_their_names_when_written() {
        for counter in PortCounter::ALL {
            assert_eq!(serde_json::to_string(counter).expect("written"), format!("\"{}\"", counter.name()));
        }
    }
}
