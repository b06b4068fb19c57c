//! A node of which only some GPUs are under test: what the others read and log is kept back, and which they are is told.

use std::collections::BTreeSet;

use kiln_model::{
    Answer, Arrivals, Dut, Gpu, GpuIndex, Inventory, KernelRecord, LoadId, LoadOrder, Moment, PciFunction, Probe,
    StopHow,
};

/// A device under test, less some of its GPUs. Those that are left keep their numbers.
pub struct Narrowed {
    inner: Box<dyn Dut>,
    chosen: BTreeSet<GpuIndex>,
    /// Lines that came before the first inventory: only that tells whose they are.
    early: Vec<KernelRecord>,
    /// Addresses of the others and of the ports above them alone, as kernel lines write them; `None` before an inventory.
    others: Option<Vec<String>>,
    /// Filled by the inner device and emptied at each look.
    came: Arrivals,
}

impl Narrowed {
    pub fn new(inner: Box<dyn Dut>, chosen: BTreeSet<GpuIndex>) -> Self {
        Self { inner, chosen, early: Vec::new(), others: None, came: Arrivals::default() }
    }

    fn narrow(&mut self, inventory: &mut Inventory) {
        let (chosen, others): (Vec<Gpu>, Vec<Gpu>) =
            std::mem::take(&mut inventory.gpus).into_iter().partition(|gpu| self.chosen.contains(&gpu.index));
        let addresses = |gpus: &[Gpu]| -> Vec<String> {
            gpus.iter().filter_map(|gpu| gpu.identity.pci_address.value()).map(|one| one.to_lowercase()).collect()
        };
        let away = addresses(&others);
        let is_away = |function: &PciFunction| away.contains(&function.address.to_lowercase());
        let functions = inventory.pci.value().map(Vec::as_slice).unwrap_or_default();
        let ports = |wanted: bool| -> BTreeSet<&String> {
            functions.iter().filter(|function| is_away(function) == wanted).flat_map(|one| &one.ports).collect()
        };
        let mut known: Vec<String> = away.iter().filter_map(|address| in_the_log(address)).collect();
        known.extend(ports(true).difference(&ports(false)).filter_map(|port| in_the_log(&port.to_lowercase())));
        if let kiln_model::Reading::Value(functions) = &mut inventory.pci {
            functions.retain(|function| !is_away(function));
        }
        inventory.gpus = chosen;
        inventory.left_out = others.iter().map(|gpu| gpu.index).collect();
        self.others.get_or_insert(known);
    }

    /// The lines that do not speak of a GPU that is left out.
    fn of_the_chosen(&mut self, lines: Vec<KernelRecord>) -> Vec<KernelRecord> {
        let Some(others) = &self.others else {
            self.early.extend(lines);
            return Vec::new();
        };
        let speaks_of_others = |line: &KernelRecord| {
            let text = line.text.to_lowercase();
            others.iter().any(|address| names(&text, address))
        };
        let early = std::mem::take(&mut self.early);
        early.into_iter().chain(lines).filter(|line| !speaks_of_others(line)).collect()
    }
}

impl std::fmt::Debug for Narrowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Narrowed").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}

/// `0000:5d:00` of `00000000:5d:00.0`: the kernel writes four digits of the domain, or as many as it has, and the driver's
/// messages leave out the function.
fn in_the_log(address: &str) -> Option<String> {
    let (domain, rest) = address.split_once(':')?;
    let domain = format!("{:0>4}", domain.trim_start_matches('0'));
    let device = rest.split('.').next()?;
    Some(format!("{domain}:{device}"))
}

/// Whether a line names the address, and not a longer one that ends alike.
fn names(text: &str, address: &str) -> bool {
    text.match_indices(address).any(|(at, _)| !text[..at].ends_with(|before: char| before.is_ascii_hexdigit()))
}

impl Dut for Narrowed {
    fn read_inventory(&mut self, now: Moment) {
        self.inner.read_inventory(now);
    }

    fn sample(&mut self, now: Moment) {
        self.inner.sample(now);
    }

    fn ask(&mut self, now: Moment, probe: Probe) {
        self.inner.ask(now, probe);
    }

    fn start_load(&mut self, now: Moment, order: &LoadOrder) {
        self.inner.start_load(now, order);
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.inner.stop_load(now, load, how);
    }

    fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        let mut came = std::mem::take(&mut self.came);
        self.inner.collect(now, &mut came);
        for inventory in came.inventories.drain(..) {
            arrivals.inventories.push(inventory.map(|mut inventory| {
                self.narrow(&mut inventory);
                inventory
            }));
        }
        for (probe, mut answer) in came.answers.drain(..) {
            match &mut answer {
                Answer::Inventory(Ok(inventory)) => self.narrow(inventory),
                Answer::Counters(Ok(counters)) => counters.retain(|one| self.chosen.contains(&one.gpu)),
                Answer::Inventory(Err(_)) | Answer::Counters(Err(_)) => {}
            }
            arrivals.answers.push((probe, answer));
        }
        arrivals.samples.extend(came.samples.drain(..).filter(|sample| self.chosen.contains(&sample.gpu)));
        arrivals.kernel.extend(self.of_the_chosen(std::mem::take(&mut came.kernel)));
        arrivals.loads.append(&mut came.loads);
        arrivals.sources.append(&mut came.sources);
        self.came = came;
    }

    fn next_arrival(&self) -> Option<Moment> {
        self.inner.next_arrival()
    }

    fn on_arrival(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        self.inner.on_arrival(wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{FaultUse, NodeFile, SimNode};
    use kiln_model::Span;

    fn narrowed(chosen: &[u8], faults: &[&str]) -> (Narrowed, Inventory) {
        let file = NodeFile::find("hgx-h200-8").expect("node");
        let faults: Vec<FaultUse> = faults.iter().map(|text| FaultUse::parse(text).expect("fault")).collect();
        let node = SimNode::new(&file, 1, &faults).expect("node");
        let mut node = Narrowed::new(Box::new(node), chosen.iter().copied().map(GpuIndex).collect());
        node.read_inventory(Moment::ZERO);
        let mut arrivals = Arrivals::default();
        node.collect(Moment::ZERO, &mut arrivals);
        let inventory = *arrivals.inventories.pop().expect("answer").expect("inventory");
        (node, inventory)
    }

    #[test]
    fn the_chosen_keep_their_numbers_and_the_others_are_named_and_not_seen() {
        let (mut node, inventory) = narrowed(&[0, 5], &[]);
        let gpus: Vec<u8> = inventory.gpus.iter().map(|gpu| gpu.index.0).collect();
        assert_eq!(gpus, [0, 5]);
        assert_eq!(inventory.left_out, [1, 2, 3, 4, 6, 7].map(GpuIndex));
        assert_eq!(inventory.pci.value().map(Vec::len), Some(2));
        let now = Moment::ZERO + Span::from_secs(1);
        node.sample(now);
        node.ask(now, Probe::Counters);
        let mut arrivals = Arrivals::default();
        node.collect(now, &mut arrivals);
        assert_eq!(arrivals.samples.iter().map(|sample| sample.gpu.0).collect::<Vec<u8>>(), [0, 5]);
        let (_, Answer::Counters(Ok(counters))) = &arrivals.answers[0] else { panic!("counters") };
        assert_eq!(counters.iter().map(|one| one.gpu.0).collect::<Vec<u8>>(), [0, 5]);
    }

    #[test]
    fn lines_of_a_gpu_that_is_left_out_are_kept_back_and_those_of_the_chosen_are_not() {
        for (chosen, heard) in [(&[0, 5][..], false), (&[3, 5][..], true)] {
            let (mut node, _) = narrowed(chosen, &["fell-off-bus@gpu/3"]);
            let order = LoadOrder {
                id: LoadId(1),
                kind: kiln_model::LoadKind::Burn(kiln_model::BurnKernel::Bf16),
                gpus: (0..8).map(GpuIndex).collect(),
                seed: 1,
                span: None,
            };
            node.start_load(Moment::ZERO, &order);
            let mut arrivals = Arrivals::default();
            for minute in 1..=60 {
                node.collect(Moment::ZERO + Span::from_secs(minute * 60), &mut arrivals);
            }
            let xid = arrivals.kernel.iter().any(|line| line.text.contains("): 79,"));
            assert_eq!(xid, heard, "{chosen:?}: {:?}", arrivals.kernel);
        }
    }

    #[test]
    fn an_address_is_known_as_the_log_writes_it() {
        assert_eq!(in_the_log("00000000:5d:00.0").as_deref(), Some("0000:5d:00"));
        assert_eq!(in_the_log("00010000:01:00.0").as_deref(), Some("10000:01:00"));
        assert!(names("NVRM: Xid (PCI:0000:01:00): 79", "0000:01:00") && !names("pci 10000:01:00.0", "0000:01:00"));
        assert_eq!(in_the_log("nonsense"), None);
    }
}
