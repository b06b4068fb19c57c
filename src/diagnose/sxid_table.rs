//! The SXid codes of NVLink switches: what each means and what to do, in the field and in a factory.
//!
//! Data only; the words it is written in are those of `xid`. Facts from the NVIDIA Fabric Manager user guide (DU-09883, which
//! says of 22013 that it can be safely ignored) as the gpud agent carries them; 10006 to 10009 from `ctrl_dev_nvswitch.h`,
//! `nvswitch.c`, `therm_lr10.c` and `ls10.c` of open-gpu-kernel-modules. A bit that was mended counts; a switch that mends many during one burn-in is to be looked at.

use kiln_model::ComponentKind;

use super::xid::{BurnIn, FactoryAction, FieldAction, SxidRow, SxidSeverity};

macro_rules! rows {
    ($($code:literal, $name:literal, $severity:ident, $component:ident, $field:ident, $factory:ident,
        $burn_in:ident;)*) => {
        &[$(SxidRow {
            code: $code,
            name: $name,
            severity: SxidSeverity::$severity,
            component: ComponentKind::$component,
            field: FieldAction::$field,
            factory: FactoryAction::$factory,
            burn_in: BurnIn::$burn_in,
        },)*]
    };
}

/// Code, name, severity, component, field action, factory action, burn-in. Ascending by code.
pub(super) const SXIDS: &[SxidRow] = rows! {
    10001, "host access refused", HostEvent, Switch, Record, Record, Counts;
    10002, "host access timeout", HostEvent, Switch, Record, Record, Counts;
    10003, "unhandled interrupt", HostEvent, Switch, Record, Record, Counts;
    10004, "thermal event began", HostEvent, Switch, CheckMechanicals, CheckCooling, Suspect;
    10005, "thermal event ended", HostEvent, Switch, Ignore, Nothing, Tolerated;
    10006, "thermal shutdown", AlwaysFatal, Switch, CheckMechanicals, CheckCooling, Fails;
    10007, "switch cannot be read", AlwaysFatal, Switch, Reboot, ReplaceFru, Fails;
    10008, "switch firmware did not start", AlwaysFatal, Switch, Reboot, ReplaceFru, Fails;
    10009, "switch firmware in recovery mode", AlwaysFatal, Switch, UpdateSoftware, UpdateFirmware, Fails;
    11001, "ingress: invalid command", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    11004, "ingress: access list refused", NonFatal, Switch, Reboot, RestartFabric, Suspect;
    11009, "ingress: invalid channel set", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    11012, "ingress: header bit mended", NonFatal, Switch, Record, Record, Counts;
    11013, "ingress: header uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    11018, "ingress: request id uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    11019, "ingress: route id uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    11020, "ingress: control parity", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    11021, "ingress: request id bit mended", NonFatal, Switch, Record, Record, Counts;
    11022, "ingress: route id bit mended", NonFatal, Switch, Record, Record, Counts;
    11023, "ingress: table bit mended", NonFatal, Switch, Record, Record, Counts;
    12001, "egress: crossbar overflow", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    12002, "egress: packet misrouted", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    12020, "egress: sequence number", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    12021, "egress: input bit mended", NonFatal, Switch, Record, Record, Counts;
    12022, "egress: input uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    12023, "egress: output bit mended", NonFatal, Switch, Record, Record, Counts;
    12024, "egress: output uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    12025, "egress: credit overflow", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    12026, "egress: wrong request target", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    12027, "egress: wrong response target", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    12028, "egress: privileged access refused", NonFatal, Switch, Reboot, RestartFabric, Suspect;
    12030, "egress: control parity", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    12031, "egress: credit parity", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    12032, "egress: flit type mismatch", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    14017, "tracker: access timeout", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    15001, "route: buffer over- or underflow", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    15006, "route: completion over- or underflow", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    15008, "route: bit mended", NonFatal, Switch, Record, Record, Counts;
    15009, "route: table uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    15010, "route: parity", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    15011, "route: incoming bit mended", NonFatal, Switch, Record, Record, Counts;
    15012, "route: incoming uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    15013, "route: credit parity", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19047, "interface: header uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19048, "interface: data uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19049, "interface: bit mended", NonFatal, Switch, Record, Record, Counts;
    19054, "header memory uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19055, "header memory bit mended", NonFatal, Switch, Record, Record, Counts;
    19056, "data memory 0 uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19057, "data memory 0 bit mended", NonFatal, Switch, Record, Record, Counts;
    19058, "data memory 1 uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19059, "data memory 1 bit mended", NonFatal, Switch, Record, Record, Counts;
    19060, "request memory header uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19061, "request memory data uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19062, "request memory bit mended", NonFatal, Switch, Record, Record, Counts;
    19063, "response memory header uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19064, "response memory data uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19065, "response memory bit mended", NonFatal, Switch, Record, Record, Counts;
    19066, "common memory header uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19067, "common memory data uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19068, "common memory bit mended", NonFatal, Switch, Record, Record, Counts;
    19069, "second response memory header uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19070, "second response memory data uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    19071, "second response memory bit mended", NonFatal, Switch, Record, Record, Counts;
    19084, "heartbeat missing", NonFatal, Switch, Reboot, RestartFabric, Suspect;
    20001, "link: transmit replay", NonFatal, NvLink, Record, Record, Counts;
    20009, "link: short-term error rate", NonFatal, NvLink, Record, Record, Counts;
    20012, "link: broken or inconsistent connection", NonFatal, NvLink, CheckMechanicals, Reseat, Suspect;
    20034, "link: fault state", Fatal, NvLink, CheckMechanicals, Reseat, Fails;
    22003, "link controller halted", AlwaysFatal, Switch, Reboot, ReplaceFru, Fails;
    22011, "link controller error", AlwaysFatal, Switch, Reboot, ReplaceFru, Fails;
    22012, "link controller interrupt", NonFatal, Switch, Record, Record, Counts;
    22013, "link controller request", NonFatal, Switch, Ignore, Nothing, Tolerated;
    23001, "ingress source buffer overflow", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23002, "ingress source buffer underflow", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23003, "egress credit overflow", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23004, "egress credit underflow", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23005, "ingress packet burst", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23006, "ingress packet sticky", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23007, "ingress bubbles", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23008, "ingress wrong destination", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23009, "ingress packet parity", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23010, "ingress source buffer overflow (second)", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23011, "ingress source buffer underflow (second)", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23012, "egress credit overflow (second)", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23013, "egress credit underflow (second)", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23014, "ingress packet burst (second)", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23015, "ingress packet sticky (second)", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23016, "ingress bubbles (second)", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    23017, "ingress credit parity", AlwaysFatal, Switch, Reboot, ResetAndRetest, Fails;
    24001, "source tracker 0 bit mended", NonFatal, Switch, Record, Record, Counts;
    24002, "source tracker 1 bit mended", NonFatal, Switch, Record, Record, Counts;
    24003, "source tracker 2 bit mended", NonFatal, Switch, Record, Record, Counts;
    24004, "source tracker 0 uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    24005, "source tracker 0 table uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    24006, "source tracker 1 uncorrectable", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
    24007, "source tracker timeout", Fatal, Switch, ResetFabric, ResetAndRetest, Fails;
};
