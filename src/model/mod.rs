//! Pure data every other layer speaks in: time, units, components, sensors, samples and the inventory of a node.
//!
//! Nothing here reads a clock, a file or a device.

mod change;
#[cfg(test)]
mod change_tests;
mod component;
pub mod cuda_error;
mod driver_call;
mod dut;
mod gpu_set;
mod gpu_work;
mod inventory;
mod kernel;
mod lacking;
mod load;
mod load_fault;
mod load_note;
mod median;
mod missing;
mod port;
mod probe;
mod program;
mod program_output;
mod quantity;
mod reading;
mod restart;
mod sample;
mod screen;
mod sensor;
mod source;
mod spread;
mod text;
mod time;

pub use change::{Change, Fact, FactState, changes, is_recognised};
pub use component::{Component, ComponentKind, GpuIndex, ParseComponentError};
pub use driver_call::DriverCall;
pub use dut::{Arrivals, Dut};
pub use gpu_set::{GpuSet, ParseGpuSetError};
pub use gpu_work::{GpuWork, ReadAgain, WrongCell, WrongPlace, march_pass};
pub use inventory::{
    C2c, ClockLimits, Config, Fabric, FabricState, Gpu, GpuIdentity, Host, Inventory, LEAST_DRIVER, LinkState, Nic,
    NodeIdentity, NvLink, Nvme, PciFunction, PcieCapability, PowerLimits, Process, Psu, Remote, ThermalLimits,
};
pub use kernel::{KernelRecord, KernelSource};
pub use lacking::Lacking;
pub use load::{
    BurnKernel, CopyDirection, Endpoint, LoadEnd, LoadId, LoadKind, LoadOrder, LoadReport, LoadSaid, Mismatch,
    NoteKind, StopHow, Transfer, Turns,
};
pub use load_fault::{ClockRefusal, LoadFault, OpenError, ProgramAbsent, WorkerBreach};
pub use load_note::{KernelFallback, NoteFact};
pub use median::median;
pub use missing::{Missing, Setting};
pub use port::{LinkLayer, Port, PortCounter, PortState, WireState};
pub use probe::{Answer, GpuCounters, LinkCounters, Probe, Unanswered};
pub use program::{
    NamedValue, ProgramNumber, ProgramOrder, ProgramReader, ProgramSaid, ProgramValue, Tool, Unreadable,
};
pub use program_output::{ExitMeaning, OutputGap, Unproven};
pub use quantity::{Dimension, ParseQuantityError, Quantity, Unit};
pub use reading::{Reading, ReadingFailure};
pub use restart::{Restart, RestartRefusal, Restarting};
pub use sample::Sample;
pub use screen::{Screened, excluded_one_in, missed, rarest_excluded};
pub use sensor::{ClockReasons, Sensor, SensorKind};
pub use source::{Reach, Source, SourceReport, SourceState, SourceTrouble, overwritten, trouble_of};
pub use spread::Spread;
pub use text::Text;
pub use time::{Moment, ParseSpanError, Span, WallTime, format_span, parse_span};
