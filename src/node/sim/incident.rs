//! What follows from something happening to a GPU: kernel messages, loads thrown off, links and GPUs gone.
//!
//! Lines have the form in which the driver logs them: `NVRM: Xid (PCI:0000:b5:00): 79, ...`.

use super::errors::Incident;
use super::gpu::Gpu;
use super::parameter::{LinkParameter as L, Word};
use super::sim_node::SimNode;
use kiln_model::{DriverCall, LoadEnd, LoadFault};

impl SimNode {
    pub(super) fn log_xid(&mut self, gpu: usize, code: u32, text: &str) {
        let address = short_address(&self.gpus[gpu]);
        self.log(format!("NVRM: Xid (PCI:{address}): {code}, {text}"));
    }

    /// Acts on everything that happened to GPUs in the last step.
    pub(super) fn handle_incidents(&mut self) {
        for gpu in 0..self.gpus.len() {
            if std::mem::take(&mut self.gpus[gpu].errors.overheated) {
                self.lose(gpu, "GPU has fallen off the bus: it shut itself down for heat.");
            }
            // Handling one may not bring another, so that the list can be taken whole.
            let incidents = std::mem::take(&mut self.gpus[gpu].errors.incidents);
            for incident in &incidents {
                self.handle(gpu, *incident);
            }
            let mut emptied = incidents;
            emptied.clear();
            self.gpus[gpu].errors.incidents = emptied;
        }
    }

    fn handle(&mut self, gpu: usize, incident: Incident) {
        match incident {
            Incident::WrongResult => {
                self.tell_loads(|load, now, bench| load.wrong_result(now, gpu, bench));
            }
            Incident::Uncorrected { contained, remapped } => self.memory_failed(gpu, contained, remapped),
            Incident::SramUncorrected => {
                self.log_xid(gpu, 48, "pid='<unknown>', name=<unknown>, An uncorrectable double bit error (DBE) has been detected on GPU in the SRAM.");
                self.log_xid(gpu, 172, "pid='<unknown>', name=<unknown>, Uncorrectable SRAM error.");
                self.throw_off(gpu);
            }
        }
    }

    fn memory_failed(&mut self, gpu: usize, contained: bool, remapped: bool) {
        self.log_xid(gpu, 48, "pid='<unknown>', name=<unknown>, An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer.");
        if remapped {
            self.log_xid(
                gpu,
                63,
                "pid='<unknown>', name=<unknown>, Row Remapper: New row marked for remapping, reset gpu to activate.",
            );
        } else {
            self.log_xid(
                gpu,
                64,
                "pid='<unknown>', name=<unknown>, Row Remapper: Failed to remap row, no spare rows left.",
            );
        }
        let busy = self.gpus[gpu].activity.busy;
        if !contained {
            self.log_xid(gpu, 95, "pid='<unknown>', name=<unknown>, Uncontained: FBHUB. RST: Yes, D-RST: No");
        } else if busy {
            self.log_xid(gpu, 94, "pid=4711, name=kiln, Contained: SM (0x1). RST: No, D-RST: Yes");
        }
        if busy {
            self.log_xid(gpu, 45, "pid=4711, name=kiln, Ch 00000008, preemptive channel removal");
            self.throw_off(gpu);
        }
    }

    /// Ends what runs on a GPU as the driver does when an uncorrectable error (ECC) hits a kernel.
    fn throw_off(&mut self, gpu: usize) {
        let failed = DriverCall::new("cuStreamQuery", 214);
        let end = LoadEnd::Failed(LoadFault::Driver { failed, holders: String::new() });
        self.tell_loads(|load, now, bench| load.leave(now, gpu, &end, bench));
    }

    pub(super) fn link_down(&mut self, gpu: usize, link: u8) {
        let code = self.kind().xid_of_link;
        let place = usize::from(link);
        if self.gpus[gpu].links.get(place).is_none_or(|values| values[L::Active] < 0.5) {
            return;
        }
        self.gpus[gpu].part.links[place][L::Active] = 0.0;
        self.gpus[gpu].links[place][L::Active] = 0.0;
        let text = if code == 74 {
            format!(
                "pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link {link}(0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)"
            )
        } else {
            format!(
                "pid='<unknown>', name=<unknown>, NETIR_LINK_DOWN Fatal XC0 i0 Link {link:02} (0x00000005 0x00000000 0x00000000 0x00000000)"
            )
        };
        self.log_xid(gpu, code, &text);
        self.refit();
    }

    /// The GPU is gone until the node is started again.
    pub(super) fn lose(&mut self, gpu: usize, text: &str) {
        if self.gpus[gpu].lost {
            return;
        }
        self.gpus[gpu].lost = true;
        self.log_xid(gpu, 79, &format!("pid='<unknown>', name=<unknown>, {text}"));
        let busy = self.gpus[gpu].activity.busy;
        if busy {
            self.log_xid(gpu, 45, "pid=4711, name=kiln, Ch 00000008, preemptive channel removal");
        }
        self.log_xid(gpu, 154, "pid='<unknown>', name=<unknown>, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)");
        self.tell_loads(|load, now, bench| load.leave(now, gpu, &LoadEnd::GpuLost, bench));
    }

    pub(super) fn log_start(&mut self) {
        let version = self.file.driver.version.clone();
        let _ = version;
        let unstarted: Vec<String> = self.unstarted.iter().map(|function| function.address.clone()).collect();
        for address in unstarted {
            let short = address.trim_start_matches("0000").trim_end_matches(".0");
            self.log(format!("NVRM: GPU {}: RmInitAdapter failed! (0x62:0x40:2011)", address.to_lowercase()));
            self.log(format!(
                "NVRM: Xid (PCI:{}): 143, pid='<unknown>', name=<unknown>, GPU initialization failed.",
                short.to_lowercase()
            ));
        }
    }
}

/// An address as kernel lines print it: `0000:b5:00` of `00000000:B5:00.0`.
pub(super) fn short_address(gpu: &Gpu) -> String {
    let address = gpu.part.words.get(&Word::PciAddress).map_or("00000000:00:00.0", String::as_str);
    let address = address.to_lowercase();
    let domain_cut = address.get(4..).unwrap_or(&address);
    domain_cut.split('.').next().unwrap_or(domain_cut).to_owned()
}
