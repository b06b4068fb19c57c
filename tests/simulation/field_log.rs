//! Kernel logs of the forms that people published (`fixtures/kernel-log`), each logged on a simulated node under the base
//! profile's own guards and limits: the verdict, and what is found on which part, with what to do.

use std::fmt::Write as _;

use kiln::engine::{Arrivals, Dut};
use kiln::model::{
    Inventory, KernelRecord, KernelSource, LoadId, LoadOrder, Moment, PciFunction, Probe, Reading, Span, StopHow,
};
use kiln::node::sim::{NodeFile, SimNode};

use crate::trial::{Trial, Tried};
use crate::withheld::Withheld;

/// The node at rest, while the lines are logged, and the look at the log that ends every shipped profile.
const PROFILE: &str = "schema: kiln.profile/1
id: field-log
revision: 1
title: { en: Kernel log }
extends: base
without: [after.inventory, after.config, after.fabric, after.pcie-link, after.counters, after.ports, after.nvlinks]
stages: [rest, { id: after }]
";

/// One log: its name, what it is to come to, its lines.
struct Log {
    name: String,
    expected: String,
    lines: Vec<String>,
}

/// Logs begin with `== name: what it comes to`. Lines of one record are joined by `\\n`, as nothing else is written so.
fn logs() -> Vec<Log> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/kernel-log/field.txt"));
    let mut logs: Vec<Log> = Vec::new();
    for line in text.expect("the logs").lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if let Some(head) = line.strip_prefix("== ") {
            let (name, expected) = head.split_once(": ").unwrap_or((head, ""));
            logs.push(Log { name: name.to_owned(), expected: expected.to_owned(), lines: Vec::new() });
        } else if let Some(log) = logs.last_mut() {
            log.lines.push(line.replace("\\n", "\n"));
        }
    }
    logs
}

/// Two GPUs, each alone below its ports, two network cards with an address, two drives.
fn fit(inventory: &mut Inventory) {
    let function = |address: &str, ports: [&str; 2]| PciFunction {
        address: address.to_owned(),
        device: "233010de".to_owned(),
        ports: ports.map(str::to_owned).to_vec(),
    };
    inventory.pci = Reading::Value(vec![
        function("00000000:18:00.0", ["00000000:15:01.0", "00000000:17:00.0"]),
        function("00000000:5d:00.0", ["00000000:5a:01.0", "00000000:5c:00.0"]),
    ]);
    if let Reading::Value(nvmes) = &mut inventory.host.nvmes {
        nvmes.retain(|drive| ["nvme0", "nvme3"].contains(&drive.name.as_str()));
    }
    if let Reading::Value(nics) = &mut inventory.host.nics {
        for (nic, bus) in nics.iter_mut().zip(["c1", "c2"]) {
            nic.pci_address = Reading::Value(format!("00000000:{bus}:00.0"));
        }
    }
}

/// A node whose kernel logs lines of its own: those of before the run at once, the others while it rests.
struct Logging<'a> {
    node: Withheld<'a>,
    before: Vec<KernelRecord>,
    during: Vec<&'a str>,
}

/// When the lines of the run are logged: the idle step lasts at least a minute.
const LOGGED_AT: Moment = Moment::from_secs(20);

impl Dut for Logging<'_> {
    fn read_inventory(&mut self, now: Moment) {
        self.node.read_inventory(now);
    }

    fn sample(&mut self, now: Moment) {
        self.node.sample(now);
    }

    fn ask(&mut self, now: Moment, probe: Probe) {
        self.node.ask(now, probe);
    }

    fn start_load(&mut self, now: Moment, order: &LoadOrder) {
        self.node.start_load(now, order);
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.node.stop_load(now, load, how);
    }

    fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        self.node.collect(now, arrivals);
        arrivals.kernel.append(&mut self.before);
        if now >= LOGGED_AT {
            let source = KernelSource::KernelLog;
            let record = |text: &str| KernelRecord { at: now, source, text: text.to_owned() };
            arrivals.kernel.extend(self.during.drain(..).map(record));
        }
    }

    fn next_arrival(&self) -> Option<Moment> {
        self.node.next_arrival()
    }

    fn on_arrival(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        self.node.on_arrival(wake);
    }
}

fn run(trial: &Trial, file: &NodeFile, lines: &[String]) -> Tried {
    let node = SimNode::new(file, 1, &[]).expect("a node");
    let (mut before, mut during) = (Vec::new(), Vec::new());
    for line in lines {
        match line.strip_prefix("before: ") {
            Some(text) => before.push(KernelRecord {
                at: Moment::ZERO,
                source: KernelSource::BeforeRun(Span::from_secs(300)),
                text: text.to_owned(),
            }),
            None => during.push(line.as_str()),
        }
    }
    let node = Withheld { node, inventory: &fit, sample: &|_| {}, counters: &|_| {} };
    trial.run_on(&mut Logging { node, before, during }, 1)
}

/// What a run comes to, on one line.
fn told(tried: &Tried) -> String {
    let verdict = tried.record.verdict.as_ref().expect("a verdict");
    let mut text = format!("{:?}", verdict.word).to_uppercase();
    for finding in &tried.record.findings {
        let _ = write!(text, "; {} {} {:?}", finding.code, finding.component, finding.action);
        let part = finding.cause.en.rsplit_once(". ").map(|(_, remark)| remark.trim_end_matches('.'));
        if let Some(remark) =
            part.filter(|part| ["Memory", "Drive", "Processor"].iter().any(|word| part.starts_with(word)))
        {
            let _ = write!(text, " ({remark})");
        } else if finding.component.gpu_index().is_none()
            && let Some(address) = &finding.pci_address
        {
            let _ = write!(text, " ({address})");
        }
    }
    text
}

#[test]
fn every_published_form_of_a_log_comes_to_what_it_proves_and_names_the_part() {
    let logs = logs();
    assert!(logs.len() > 100, "{} logs", logs.len());
    let trial = Trial::written(PROFILE);
    let mut file = NodeFile::find("hgx-h100-8").expect("a node file");
    file.slots.truncate(2);
    for (slot, bus) in file.slots.iter_mut().zip(["18", "5d"]) {
        slot.address = format!("00000000:{bus}:00.0");
    }
    let mut wrong = String::new();
    for log in &logs {
        let tried = run(&trial, &file, &log.lines);
        let told = told(&tried);
        if told != log.expected {
            let blemishes = tried.blemishes();
            let _ = writeln!(wrong, "== {}: {told}\n   and not {}\n{blemishes}", log.name, log.expected);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
