//! A simulated node: a model with time, from a node file, a seed and a list of faults.
//!
//! Nothing here is a table of answers. Parts are drawn, loads make power, power makes heat, heat makes leakage and errors, and
//! a governor keeps clocks, power and temperature where a real one would. What a part shows goes through sensors that round,
//! wobble, stick or fail. Serial numbers begin with `SIM`; nothing outside this folder looks at that.
//!
//! # The model
//!
//! **A part** is its kind's node file times `1 + spread * b`, where `b` is bell-shaped and cut at ±1 (`build`). Cooling
//! ±4 %, leakage ±15 %, switched capacitance ±2 %, voltage ±0.8 %, bandwidth ±1 %, power at rest ±5 %: together clocks at the
//! cap lie within about ±1.5 %.
//!
//! **Power** (`gpu`), with clock `f` in MHz, voltage `V`, share of the die that switches `a`, die temperature `T`:
//! ```text
//! V(f)    = low_volts                                      up to the knee
//!         = low_volts + slope (f - knee)                   above it, times the part's own voltage factor
//! P_die   = capacitance a f V²  +  leakage (V / V_nominal)² exp((T - 60 °C) / leakage_growth)
//! P_board = P_idle + (1 + regulator_loss) P_die + watt_per_gb_s * memory traffic
//! ```
//! Each kind of work has its `a` and its memory traffic. `capacitance`, the knee and the two voltages are fitted to what burns
//! of the board publish: the clock at the cap, and how it moves with the cap. Leakage is a tenth of the cap at 60 °C and
//! doubles every 28 K, as fin transistors do; 4 pJ for each bit of HBM3, 7 pJ for GDDR6.
//!
//! **The governor** takes the highest clock that ceiling and application clock allow; lowers it until `P_board` is 99.7 % of
//! the cap (Newton's method on the formula above); from a margin of 0 on lowers it further by 4 MHz for each kelvin and second
//! too much (software slowdown); at the hardware slowdown and under the power brake halves it; at the shutdown temperature
//! the GPU is gone. Each sets its clock event reason and counts its seconds.
//!
//! **Heat** (`thermal`): die, HBM and plate, joined by `contact`, `contact_memory` and `bridge`, and by `sink` to what passes
//! the plate, where `sink = sink_at_full_flow * flow^-n`. Between changes of parameters the network is linear and is solved
//! exactly in its three modes, so any step gives the same temperatures. Power is there at once; the die follows with
//! `contact * die_capacity` (about 12 s), the plate with `sink * plate_capacity` (2 to 3 minutes in air, 25 s on a cold
//! plate, where the coolant loop's 2.5 minutes take over).
//!
//! **Around it** (`site`): GPUs of a branch (fan zone or coolant branch) share its flow. The branch warms by `stream * watts /
//! flow` with its own lag; a GPU sees the inlet plus its place's share of that. Fans follow the hottest die. The inlet wanders
//! slowly, and gets back what recirculates. Supplies that are overdrawn pull every GPU's power brake.
//!
//! **Errors** (`errors`) are Poisson processes, drawn by waiting times so that no step width changes them: corrected HBM errors
//! double every 10 K and follow traffic; replays and NVLink errors follow the bytes carried; an uncorrectable error remaps a
//! row, or fails to, logs its Xids and throws the job off.
//!
//! **Copies** (`bandwidth`): PCIe lanes times generation times efficiency, or chip-to-chip links; NVLink traffic is striped
//! over all links that are up, so a pair runs at their number times the slowest, with the time lost to replays and recoveries.
//!
//! **Work** (`load`): burns and pulses go on until stopped and tell what they did each second; copies, exchanges and marches take
//! as long as their bytes and end. **Time** moves when somebody looks, in steps of at most a second that end at whole seconds.
//!
//! **The same digits everywhere.** IEEE 754 fixes sums, products, quotients and roots. For `exp` and its like it does not, and C libraries
//! choose by processor how they compute them; a last digit that differs grows over hours into another verdict. Here the crate `libm`
//! computes them, so a seed gives the same run on every machine.
//!
//! # Faults
//!
//! A fault file changes parameters ([`Parameter`] lists them with unit and range) while its conditions hold, and makes events
//! happen at its moments. [`FaultUse::parse`] reads `NAME@COMPONENT:SEVERITY`. Values are clamped to the parameter's range.
//!
//! # Where constants come from
//!
//! Identity, limits, offsets and values at rest: hardware listings of H100, GB200 and L40S nodes and the SKU facts. Everything
//! else is fitted or estimated, and each value in a node file says which. No response of a GPU to a load step was at hand to
//! fit time constants to: they are estimates from masses and resistances.

mod bandwidth;
mod build;
mod catalogue;
mod copies;
mod digest;
mod draw;
mod errors;
mod exert;
mod fault_change;
mod fault_file;
mod fault_lines;
mod fault_part;
mod fault_run;
mod fault_use;
mod fault_when;
mod file;
mod gpu;
mod incident;
mod inventory;
mod library;
mod load;
mod march;
mod noise;
mod parameter;
mod port;
mod sensor;
mod sim_node;
mod site;
mod sources;
mod speeds;
mod thermal;
#[cfg(test)]
mod trial;

pub use catalogue::NodeFileError;
pub use digest::source_digest;
pub use fault_file::{FaultFile, FaultFileError, Severity};
pub use fault_use::{FaultUse, Injected};
pub use file::NodeFile;
pub use parameter::{Meaning, Parameter, ParameterSpec};
pub use sim_node::SimNode;
pub use speeds::{GpuSpeeds, Presence};
