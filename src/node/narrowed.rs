//! A node of which only some GPUs are under test: what the others read and log is kept back, and which they are is told.

use std::collections::BTreeSet;

use kiln_model::{
    Answer, Arrivals, Dut, Gpu, GpuIndex, Inventory, KernelRecord, LoadId, LoadOrder, Moment, PciFunction, Probe,
    Restart, RestartRefusal, Restarting, StopHow,
};

/// A device under test, less some of its GPUs. Those that are left keep their numbers.
pub struct Narrowed {
    inner: Box<dyn Dut>,
    chosen: BTreeSet<GpuIndex>,
    /// Lines that came before the first inventory: only that tells whose they are.
    early: Vec<KernelRecord>,
    /// Whose lines are kept back; `None` before an inventory.
    addresses: Option<Addresses>,
    /// Filled by the inner device and emptied at each look.
    came: Arrivals,
}

impl Narrowed {
    pub fn new(inner: Box<dyn Dut>, chosen: BTreeSet<GpuIndex>) -> Self {
        Self { inner, chosen, early: Vec::new(), addresses: None, came: Arrivals::default() }
    }

    fn narrow(&mut self, inventory: &mut Inventory) {
        let (chosen, others): (Vec<Gpu>, Vec<Gpu>) =
            std::mem::take(&mut inventory.gpus).into_iter().partition(|gpu| self.chosen.contains(&gpu.index));
        let of = |gpus: &[Gpu]| -> Vec<String> {
            gpus.iter().filter_map(|gpu| gpu.identity.pci_address.value()).map(|one| one.to_lowercase()).collect()
        };
        let away = of(&others);
        let is_away = |function: &PciFunction| away.contains(&function.address.to_lowercase());
        let functions = inventory.pci.value().map(Vec::as_slice).unwrap_or_default();
        let addresses = Addresses::of(&away, &of(&chosen), functions);
        if let kiln_model::Reading::Value(functions) = &mut inventory.pci {
            functions.retain(|function| !is_away(function));
        }
        inventory.gpus = chosen;
        inventory.left_out = others.iter().map(|gpu| gpu.index).collect();
        self.addresses.get_or_insert(addresses);
    }

    /// The lines that do not speak of a GPU that is left out.
    fn of_the_chosen(&mut self, lines: Vec<KernelRecord>) -> Vec<KernelRecord> {
        let Some(addresses) = &self.addresses else {
            self.early.extend(lines);
            return Vec::new();
        };
        let early = std::mem::take(&mut self.early);
        early.into_iter().chain(lines).filter(|line| !addresses.are_of_others_alone(&line.text)).collect()
    }
}

/// How kernel lines name the GPUs of both sides.
#[derive(Debug, Default)]
struct Addresses {
    others: Vec<String>,
    chosen: Vec<String>,
}

impl Addresses {
    fn of(others: &[String], chosen: &[String], functions: &[PciFunction]) -> Self {
        // The port right above a device leads to it and to nothing else. Ports further up may lead to a drive or a card.
        let port = |function: &PciFunction| in_the_log(&function.ports.last()?.to_lowercase());
        let own = |gpus: &[String]| -> Vec<String> {
            let above = functions.iter().filter(|one| gpus.contains(&one.address.to_lowercase())).filter_map(port);
            gpus.iter().filter_map(|address| device_in_the_log(address)).chain(above).collect()
        };
        Self { others: own(others), chosen: own(chosen) }
    }

    /// Whether a line names one that is left out and none of the chosen: of a link between the two, both are told.
    fn are_of_others_alone(&self, line: &str) -> bool {
        let text = line.to_lowercase();
        let any = |addresses: &[String]| addresses.iter().any(|address| names(&text, address));
        any(&self.others) && !any(&self.chosen)
    }
}

impl std::fmt::Debug for Narrowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Narrowed").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}

/// `0000:5d:00.0` of `00000000:5d:00.0`: the kernel writes four digits of the domain, or as many as it has.
fn in_the_log(address: &str) -> Option<String> {
    let (domain, rest) = address.split_once(':')?;
    Some(format!("{:0>4}:{rest}", domain.trim_start_matches('0')))
}

/// The same without the function, which the driver's messages leave out. A GPU has its device to itself; a port has not.
fn device_in_the_log(address: &str) -> Option<String> {
    Some(in_the_log(address)?.split('.').next()?.to_owned())
}

/// Whether a line names the address, and not a longer one that begins or ends alike.
fn names(text: &str, address: &str) -> bool {
    let hex = |letter: char| letter.is_ascii_hexdigit();
    text.match_indices(address)
        .any(|(at, found)| !text[..at].ends_with(hex) && !text[at + found.len()..].starts_with(hex))
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

    fn restart(&mut self, now: Moment, how: Restart) -> Result<Restarting, RestartRefusal> {
        self.inner.restart(now, how)
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
            match inventory {
                Ok(mut inventory) => {
                    self.narrow(&mut inventory);
                    arrivals.inventories.push(Ok(inventory));
                }
                Err(why) => {
                    // Whose the lines are will not be known, and they may say why there is no inventory.
                    arrivals.kernel.append(&mut self.early);
                    arrivals.inventories.push(Err(why));
                }
            }
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
        assert_eq!(device_in_the_log("00000000:5d:00.0").as_deref(), Some("0000:5d:00"));
        assert_eq!(in_the_log("00010000:01:00.0").as_deref(), Some("10000:01:00.0"));
        assert!(!names("pcieport 0000:01:00.10: x", "0000:01:00.1"));
        assert!(names("NVRM: Xid (PCI:0000:01:00): 79", "0000:01:00") && !names("pci 10000:01:00.0", "0000:01:00"));
        assert_eq!(in_the_log("nonsense"), None);
    }
    #[test]
    fn only_what_is_of_a_left_out_gpu_alone_is_kept_back() {
        let function = |address: &str, ports: &[&str]| PciFunction {
            address: address.to_owned(),
            device: "233510de".to_owned(),
            ports: ports.iter().map(|port| (*port).to_owned()).collect(),
        };
        // Two ports of one device, as root complexes have them: one leads to the GPU that is left out, one to the chosen.
        let functions = [
            function("00000000:19:00.0", &["00000000:00:01.0", "00000000:17:00.0", "00000000:18:01.1"]),
            function("00000000:3B:00.0", &["00000000:00:01.0", "00000000:17:00.0", "00000000:18:01.2"]),
        ];
        let addresses = Addresses::of(&["00000000:19:00.0".to_owned()], &["00000000:3b:00.0".to_owned()], &functions);
        for kept_back in [
            "NVRM: Xid (PCI:0000:19:00): 79, GPU has fallen off the bus.",
            "pcieport 0000:18:01.1: AER: Corrected error received",
        ] {
            assert!(addresses.are_of_others_alone(kept_back), "{kept_back}");
        }
        for heard in [
            "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
            "pcieport 0000:18:01.2: AER: Corrected error received",
            // Above both, and above whatever else hangs there.
            "pcieport 0000:00:01.0: AER: Uncorrected (Fatal) error received",
            "pcieport 0000:17:00.0: AER: Uncorrected (Fatal) error received",
            "NVRM: Xid (PCI:0000:19:00): 31, peer 0000:3b:00 faulted",
            "pcieport 0000:18:01.12: pciehp: Slot(3): Link Down",
            "nvme nvme0: I/O timeout",
        ] {
            assert!(!addresses.are_of_others_alone(heard), "{heard}");
        }
    }
}
