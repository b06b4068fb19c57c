//! The SKU facts there are: name, unit of declaration, meaning. An API: profiles stand limits against these names.

use kiln_model::Unit;

/// One fact a SKU file may state.
#[derive(Debug, Clone, Copy)]
pub struct FactSpec {
    pub name: &'static str,
    pub unit: Unit,
    pub summary: &'static str,
    /// Whether every part has it.
    pub everywhere: bool,
}

/// The fact that says whether a load can run on the part.
pub const KERNELS: &str = "kernels";

impl FactSpec {
    /// Whether it is a floor for what a load gets done: nobody can hold it against a part that no load runs on.
    pub fn is_floor(&self) -> bool {
        self.name.rsplit('.').next() == Some("min") && self.name != "power.min"
    }
}

const fn fact(name: &'static str, unit: Unit, everywhere: bool, summary: &'static str) -> FactSpec {
    FactSpec { name, unit, summary, everywhere }
}

/// All of them, in the order SKU files list them.
pub const FACTS: &[FactSpec] = &[
    fact("tdp", Unit::Watt, true, "default and highest board power limit"),
    fact("power.min", Unit::Watt, true, "lowest power limit the driver accepts"),
    fact("power.idle.max", Unit::Watt, true, "highest idle board power of a healthy, settled part"),
    fact("memory", Unit::Mebibyte, true, "frame buffer in total, with the reserved part"),
    fact("memory.bandwidth", Unit::TerabytePerSecond, true, "theoretical peak of the memory"),
    fact(
        "memory.bandwidth.min",
        Unit::TerabytePerSecond,
        true,
        "floor for a march through memory, reads and writes counted",
    ),
    fact("bar1", Unit::Mebibyte, true, "BAR1 in total"),
    fact("clock.sm.max", Unit::Megahertz, true, "highest SM clock"),
    fact("clock.memory.max", Unit::Megahertz, true, "highest memory clock"),
    fact("clock.sm.load.min", Unit::Megahertz, true, "lowest mean SM clock of a healthy part burning at its power cap"),
    fact(KERNELS, Unit::One, false, "0 if no kernel of this program runs on the part, so that it has no floors"),
    fact("pcie.gen", Unit::One, true, "PCIe generation the part trains to under load"),
    fact("pcie.width", Unit::One, true, "PCIe lanes the part trains to"),
    fact("pcie.h2d.min", Unit::GigabytePerSecond, true, "floor for a copy from the host, one GPU, pinned memory"),
    fact("pcie.d2h.min", Unit::GigabytePerSecond, true, "floor for a copy to the host, one GPU, pinned memory"),
    fact("nvlink.links", Unit::One, false, "links that must be active"),
    fact("nvlink.speed", Unit::MegabytePerSecond, false, "one link in one direction, as the driver reports it"),
    fact("nvlink.pair.min", Unit::GigabytePerSecond, false, "floor for one pair in one direction, others idle"),
    fact("nvlink.all-to-all.min", Unit::GigabytePerSecond, false, "floor for what one GPU sends while all copy to all"),
    fact("c2c.links", Unit::One, false, "chip-to-chip links to the Grace CPU"),
    fact("c2c.speed", Unit::MegabytePerSecond, false, "one chip-to-chip link in one direction"),
    fact(
        "bf16.per-clock",
        Unit::One,
        false,
        "million dense bf16 operations that all SMs can do in one cycle of their clock",
    ),
    fact("bf16.of-peak.min", Unit::Percent, false, "floor for the share of those operations that a burn gets done"),
    fact("throughput.bf16.min", Unit::Teraflops, true, "floor for a bf16 burn at TDP, dense"),
    fact("throughput.fp8.min", Unit::Teraflops, false, "floor for an fp8 burn at TDP, dense"),
    fact("throughput.fp32.min", Unit::Teraflops, true, "floor for an fp32 burn without tensor cores"),
    fact("throughput.fp64.min", Unit::Teraflops, false, "floor for an fp64 burn"),
    fact(
        "temp.slowdown",
        Unit::Celsius,
        true,
        "where slowdown begins: an offset (<= 0) on Hopper and later, absolute before",
    ),
    fact("temp.shutdown", Unit::Celsius, true, "where the part shuts down: offset or absolute, as temp.slowdown"),
    fact(
        "temp.max-operating",
        Unit::Celsius,
        true,
        "highest operating temperature: offset or absolute, as temp.slowdown",
    ),
    fact("temp.memory.max", Unit::Celsius, false, "highest memory temperature, absolute"),
    fact("temp.slowdown.die", Unit::Celsius, true, "about where slowdown begins as an absolute die temperature"),
    fact("thermal.inlet.max", Unit::Celsius, true, "hottest inlet air or coolant the part is meant for"),
    fact(
        "thermal.inlet.liquid.max",
        Unit::Celsius,
        false,
        "hottest coolant supply of the part's liquid-cooled variant",
    ),
    fact(
        "thermal.resistance.max",
        Unit::KelvinPerWatt,
        true,
        "highest die-to-inlet resistance that holds TDP at the hottest inlet",
    ),
    fact("fabric", Unit::One, true, "1 if the part must register with an NVLink fabric, 0 if not"),
    fact("fabric.rack", Unit::One, false, "1 if the fabric is a rack's, whose cluster id is never zeros"),
];

/// Names and units, as limits are checked against.
pub(super) fn fact_units() -> Vec<(&'static str, Unit)> {
    FACTS.iter().map(|fact| (fact.name, fact.unit)).collect()
}
