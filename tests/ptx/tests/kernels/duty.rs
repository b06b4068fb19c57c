//! How much of its time each tensor kernel keeps its pipes busy, predicted from the instructions that it issues and the rates
//! that are documented: no GPU has been timed. `ci/kernels duty` writes the table into docs/kernels.md.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::cuda::layout::{BURN_EXACT_EVERY, BURN_EXACT_SECONDS, BURN_RANDOM_SECONDS, BURN_STEPS, Burn, Number};
use crate::cuda::reference::steps_while_exact;
use crate::images::{Image, burns, image};
use crate::rig::{Setting, burn};

/// Asks for the page to be written instead of compared.
const WRITE: &str = "KILN_WRITE_KERNELS_PAGE";
const BEGIN: &str = "<!-- duty: made by `ci/kernels duty` -->\n";
const END: &str = "<!-- end of duty -->\n";

/// A chip with what is documented of it.
struct Chip {
    name: &'static str,
    image: &'static str,
    megahertz: f64,
    /// Dense operations of one SM in a clock, by kernel.
    rates: &'static [(&'static str, f64)],
}

/// Dense peak of the data sheet over SMs and boost clock: 312 TFLOP/s over 108 x 1410 MHz; 733 over 142 x 2520 MHz (fp8) and
/// half of it (bf16); 989 over 132 x 1830 MHz; 2250 over 148 x 1850 MHz. Eight bits twice that. FP64 on tensor cores: 19.5 TFLOP/s of
/// A100, 66.9 of H100 (at 1980 MHz), 37 of B200 (at 1965 MHz).
const CHIPS: &[Chip] = &[
    Chip {
        name: "A100",
        image: "compute_80",
        megahertz: 1410.0,
        rates: &[("burn_bf16_mma", 2048.0), ("burn_fp64_mma", 128.0)],
    },
    Chip {
        name: "L40S",
        image: "sm_89",
        megahertz: 2520.0,
        rates: &[("burn_bf16_mma", 1024.0), ("burn_fp8_mma", 2048.0)],
    },
    Chip {
        name: "H100, H200",
        image: "sm_90a",
        megahertz: 1830.0,
        rates: &[("burn_bf16_wgmma", 4096.0), ("burn_fp8_wgmma", 8192.0), ("burn_fp64_mma", 256.0)],
    },
    Chip {
        name: "B200",
        image: "sm_100f",
        megahertz: 1850.0,
        rates: &[("burn_bf16_tcgen05", 8192.0), ("burn_fp8_tcgen05", 16384.0), ("burn_fp64_mma", 128.0)],
    },
];

/// Schedulers of an SM, each of which issues one instruction of a warp in a clock (CUDA programming guide, since 7.0).
const ISSUED: f64 = 4.0;
/// Clocks until a load that missed the first cache is back, under traffic: three to four times the 260 to 290 that pointer
/// chases through the L2 of A100 and H100 measure at rest.
const ROUND_TRIP: f64 = 1000.0;
/// Pairs of a thread on their way at once when results are looked at; the `LOOK_UNROLL` of the kernels.
const AT_ONCE: u32 = 4;
/// Between two launches: the host looks every 100 us, then copies the log.
const GAP_SECONDS: f64 = 0.0003;

/// Shares of the time in which the pipes are busy.
struct Duty {
    random: f64,
    exact: f64,
    all: f64,
}

fn duty(chip: &Chip, kernel: Burn, rate: f64) -> Duty {
    let module = &image(chip.image).module;
    let issued = |windows: u32, steps: u32| {
        let mut setting = Setting::new(kernel, 3, steps, 2);
        setting.args.windows = windows;
        burn(module, kernel, &setting).expect("a burn that is proven").outcome.instructions as f64
    };
    let (one, longer, twice) = (issued(1, 4), issued(1, 8), issued(2, 4));
    let per_step = (longer - one) / 4.0;
    let per_window = twice - one - 4.0 * per_step;
    let shape = kernel.shape;
    let busy = (shape.flop() * u64::from(shape.units)) as f64 / rate;
    let step = busy.max(per_step / ISSUED);
    let words = if kernel.number == Number::F64 { 2 } else { 4 };
    let rounds = shape.cells() / words / (shape.threads / shape.units * AT_ONCE);
    // Results are put, then looked at in rounds.
    let look = per_window / ISSUED + f64::from(rounds + 1) * ROUND_TRIP;
    let of = |steps: f64| steps * busy / (steps * step + look);
    let limit = kernel.number.exact_limit();
    let random = of(f64::from(BURN_STEPS));
    // Four tiles, or the three that Ada has room for: a step more or less.
    let exact = of(f64::from(steps_while_exact(kernel.number, shape, limit, 4)));
    let launches = BURN_EXACT_EVERY as f64;
    let seconds = (launches - 1.0) * BURN_RANDOM_SECONDS;
    let worked = seconds + BURN_EXACT_SECONDS;
    let gaps = launches * GAP_SECONDS;
    let all = (seconds * random + BURN_EXACT_SECONDS * exact) / (worked + gaps);
    Duty { random, exact, all }
}

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/kernels.md")
}

#[test]
fn the_page_tells_the_duty_that_the_kernels_text_gives() {
    let mut table = String::from(
        "| chip | kernel | clocks of a window | random operands | exact operands | all of a burn |\n\
         | --- | --- | ---: | ---: | ---: | ---: |\n",
    );
    for chip in CHIPS {
        for (name, rate) in chip.rates {
            let has = |found: &(&Image, Burn)| found.1.name == *name && found.0.name == chip.image;
            let (_, kernel) = burns().find(has).expect("a kernel of that name");
            let duty = duty(chip, kernel, *rate);
            let flop = kernel.shape.flop() as f64 * f64::from(kernel.shape.units * BURN_STEPS);
            let clocks = flop / rate / duty.random;
            let micros = clocks / chip.megahertz;
            let [random, exact, all] =
                [duty.random, duty.exact, duty.all].map(|share| format!("{:.1} %", 100.0 * share));
            let few = if duty.all < 0.95 { " **below 95 %**" } else { "" };
            let _ = writeln!(
                table,
                "| {} | `{name}` | {clocks:.2e} ({micros:.0} us) | {random} | {exact} | {all}{few} |",
                chip.name
            );
        }
    }
    let text = fs::read_to_string(page()).expect("docs/kernels.md");
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (old, behind) = rest.split_once(END).expect("where the table ends");
    if std::env::var_os(WRITE).is_some() {
        fs::write(page(), format!("{before}{BEGIN}{table}{END}{behind}")).expect("docs/kernels.md is written");
    } else {
        assert!(old == table, "docs/kernels.md is not what the kernels give; run `ci/kernels duty`:\n{table}");
    }
}
