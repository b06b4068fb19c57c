use kiln::engine::{Inbox, Station};
use kiln::model::*;
use kiln::node::sim::*;
use std::time::Duration;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let file = match NodeFile::find(&args[2]) {
        Ok(f) => f,
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(2)
        }
    };
    let faults: Vec<FaultUse> = args[3..]
        .iter()
        .map(|a| {
            FaultUse::parse(a).unwrap_or_else(|e| {
                eprintln!("{e}");
                std::process::exit(2)
            })
        })
        .collect();
    let mut node = SimNode::new(&file, 1, &faults).unwrap_or_else(|e| {
        eprintln!("{e}");
        std::process::exit(2)
    });
    let gpus: std::collections::BTreeSet<GpuIndex> = (0..file.slots.len() as u8).map(GpuIndex).collect();
    let mut inbox = Inbox::default();
    let order = |id, kind, span| LoadOrder { id: LoadId(id), kind, gpus: gpus.clone(), seed: 1, span };
    match args[1].as_str() {
        "speed" => {
            node.start_load(Moment::ZERO, &order(1, LoadKind::Burn(BurnKernel::Bf16), None));
            let start = std::time::Instant::now();
            let hours = 24;
            let mut n = 0u64;
            for s in 1..=hours * 3600 {
                let t = Moment::from_secs(s);
                node.sample(t);
                node.collect(t, &mut inbox);
                n += inbox.samples.len() as u64 + inbox.loads.len() as u64;
                inbox.samples.clear();
                inbox.loads.clear();
                inbox.kernel.clear();
            }
            let wall = start.elapsed().as_secs_f64();
            println!(
                "{hours} h in {wall:.3} s: {:.0} x real time, {:.2} us per node-second, {n}",
                hours as f64 * 3600.0 / wall,
                wall * 1e6 / (hours as f64 * 3600.0)
            );
        }
        "step" => {
            println!("t,gpu,power,instant,die,hbm,clock,reasons,margin,inlet");
            for s in 0..1500u64 {
                let t = Moment::from_secs(s);
                if s == 60 {
                    node.start_load(t, &order(1, LoadKind::Burn(BurnKernel::Bf16), None));
                }
                if s == 660 {
                    node.stop_load(t, LoadId(1), StopHow::Gently);
                }
                node.sample(t);
                node.collect(t, &mut inbox);
                for x in inbox.samples.drain(..) {
                    println!(
                        "{s},{},{},{},{},{},{},{},{},{}",
                        x.gpu.0,
                        x.get(Sensor::Power).unwrap_or(f64::NAN),
                        x.get(Sensor::PowerInstant).unwrap_or(f64::NAN),
                        x.get(Sensor::TempGpu).unwrap_or(f64::NAN),
                        x.get(Sensor::TempMemory).unwrap_or(f64::NAN),
                        x.get(Sensor::ClockSm).unwrap_or(f64::NAN),
                        x.get(Sensor::ClockReasons).unwrap_or(f64::NAN),
                        x.get(Sensor::TempMargin).unwrap_or(f64::NAN),
                        x.get(Sensor::TempInlet).unwrap_or(f64::NAN)
                    );
                }
            }
        }
        "table" => {
            let mut t = Moment::ZERO;
            let mut id = 0;
            let show = |node: &mut SimNode, t: Moment, inbox: &mut Inbox, what: &str| {
                node.sample(t);
                node.collect(t, inbox);
                for x in inbox.samples.drain(..) {
                    println!(
                        "{what} gpu{} P {:7.1} die {:3} hbm {:3} margin {:3} clk {:5.0} reasons {:3x} fan {} inlet {:.1} sw {:.0} hw {:.0} cap {:.0} brake {:.0} ecc {} repl {} nvl {} gen {}",
                        x.gpu.0,
                        x.get(Sensor::Power).unwrap_or(f64::NAN),
                        x.get(Sensor::TempGpu).unwrap_or(f64::NAN),
                        x.get(Sensor::TempMemory).unwrap_or(f64::NAN),
                        x.get(Sensor::TempMargin).unwrap_or(f64::NAN),
                        x.get(Sensor::ClockSm).unwrap_or(f64::NAN),
                        x.get(Sensor::ClockReasons).unwrap_or(0.0) as u64,
                        x[Sensor::Fan],
                        x.get(Sensor::TempInlet).unwrap_or(f64::NAN),
                        x.get(Sensor::ThrottleSwThermal).unwrap_or(f64::NAN),
                        x.get(Sensor::ThrottleHwThermal).unwrap_or(f64::NAN),
                        x.get(Sensor::ThrottlePowerCap).unwrap_or(f64::NAN),
                        x.get(Sensor::ThrottlePowerBrake).unwrap_or(f64::NAN),
                        x[Sensor::EccCorrected],
                        x[Sensor::PcieReplays],
                        x[Sensor::NvlinkErrors],
                        x[Sensor::PcieGeneration]
                    );
                }
                for k in inbox.kernel.drain(..) {
                    println!("  {} {}", k.at, k.text);
                }
            };
            show(&mut node, t, &mut inbox, "idle");
            for kind in [
                LoadKind::Burn(BurnKernel::Bf16),
                LoadKind::Burn(BurnKernel::Fp8),
                LoadKind::Burn(BurnKernel::Fp32),
                LoadKind::Burn(BurnKernel::Fp64),
                LoadKind::March { coverage: 0.95 },
                LoadKind::HostCopy(CopyDirection::Both),
                LoadKind::PairCopy,
                LoadKind::AllToAll,
            ] {
                id += 1;
                node.start_load(t, &order(id, kind, None));
                let steady = matches!(kind, LoadKind::Burn(_));
                let start = t;
                let mut last = Vec::new();
                let mut n = 0;
                loop {
                    t = t + Duration::from_secs(1);
                    n += 1;
                    node.collect(t, &mut inbox);
                    let mut over = false;
                    for r in inbox.loads.drain(..) {
                        if matches!(r.said, LoadSaid::Ended { gpu: None, .. }) {
                            over = true;
                        }
                        last.push(r);
                    }
                    if over || n > 3000 {
                        break;
                    }
                    if n == 900 && steady {
                        show(&mut node, t, &mut inbox, &format!("{kind:?}"));
                        node.stop_load(t, LoadId(id), StopHow::Gently);
                    }
                    if n == 10 && !steady {
                        show(&mut node, t, &mut inbox, &format!("{kind:?}"));
                    }
                }
                println!("{kind:?} took {:.1} s, {} reports", t.since(start).as_secs_f64(), last.len());
                let skip = last.len().saturating_sub(6);
                for r in &last[skip..] {
                    println!("   {} {:?}", r.at, r.said);
                }
                t = t + Duration::from_secs(600);
            }
        }
        _ => {}
    }
}
