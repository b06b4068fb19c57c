//! Error counters of one GPU: memory, PCIe and NVLink errors as they come with temperature, time and traffic.
//!
//! Each is a Poisson process whose rate follows the model. What an error means for loads and the kernel log is told as an
//! [`Incident`]; the station acts on it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use super::build::GpuPart;
use super::gpu::Activity;
use super::noise::{Hazard, Noise};
use super::parameter::{GpuParameter as G, GpuValues, LinkParameter as L, LinkValues};

/// Kelvin for the corrected-error rate of HBM to grow e-fold: it doubles about every 10 K, as retention does.
const CORRECTED_GROWTH: f64 = 14.4;
/// Share of its corrected-error rate that memory has without traffic: scrubbing finds the rest later.
const CORRECTED_AT_REST: f64 = 0.2;

/// Something that happened to a GPU and that others must hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incident {
    /// An uncorrectable memory error; its row is remapped after the next reset, if a spare one is left.
    Uncorrected {
        contained: bool,
        remapped: bool,
    },
    SramUncorrected,
    /// A result of arithmetic came out wrong.
    WrongResult,
}

/// Error totals of one link since the driver loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LinkErrors {
    pub(super) crc: u64,
    pub(super) replay: u64,
    pub(super) recovery: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Errors {
    pub(super) corrected: u64,
    pub(super) uncorrected: u64,
    pub(super) sram_uncorrected: u64,
    pub(super) remaps_uncorrected: u64,
    pub(super) remaps_corrected: u64,
    pub(super) remap_pending: bool,
    pub(super) remap_failed: bool,
    pub(super) replays: u64,
    pub(super) fatal: u64,
    pub(super) retrains: u64,
    pub(super) links: Vec<LinkErrors>,
    pub(super) link_total: u64,
    /// Set when the die passed its shutdown temperature.
    pub(super) overheated: bool,
    pub(super) incidents: Vec<Incident>,
    corrected_hazard: Hazard,
    uncorrected_hazard: Hazard,
    replay_hazard: Hazard,
    link_hazard: Hazard,
    wrong_hazard: Hazard,
    /// Sums over the links: errors for each TB of a link's traffic, and for each second without.
    link_rate: f64,
    link_idle_rate: f64,
    /// Links that are up.
    links_up: f64,
}

impl Errors {
    pub(super) fn new(part: &GpuPart, noise: &mut Noise) -> Self {
        Self {
            corrected: 0,
            uncorrected: 0,
            sram_uncorrected: 0,
            remaps_uncorrected: 0,
            remaps_corrected: 0,
            remap_pending: false,
            remap_failed: false,
            replays: part.replays,
            fatal: 0,
            retrains: 0,
            links: vec![LinkErrors::default(); part.links.len()],
            link_total: 0,
            overheated: false,
            incidents: Vec::new(),
            corrected_hazard: Hazard::new(noise),
            uncorrected_hazard: Hazard::new(noise),
            replay_hazard: Hazard::new(noise),
            link_hazard: Hazard::new(noise),
            wrong_hazard: Hazard::new(noise),
            link_rate: 0.0,
            link_idle_rate: 0.0,
            links_up: 0.0,
        }
    }

    /// Takes over changed link parameters.
    pub(super) fn relink(&mut self, links: &[LinkValues]) {
        let up = || links.iter().filter(|link| link[L::Active] > 0.5);
        self.links_up = up().count() as f64;
        self.link_rate = up().map(rate).sum();
        self.link_idle_rate = up().map(|link| link[L::IdleErrors] / 3600.0).sum();
    }

    pub(super) fn step(
        &mut self,
        values: &GpuValues,
        activity: &Activity,
        (memory_temperature, tiles): (f64, f64),
        on: f64,
        dt: f64,
        noise: &mut Noise,
    ) {
        let hours = dt / 3600.0;
        let traffic = activity.memory * on;
        if values[G::Ecc] > 0.5 {
            let rate = values[G::CorrectedRate] * libm::exp((memory_temperature - 60.0) / CORRECTED_GROWTH);
            let share = CORRECTED_AT_REST + (1.0 - CORRECTED_AT_REST) * traffic;
            self.corrected += self.corrected_hazard.pass(rate * share * hours, noise);
        }
        if values[G::UncorrectedRate] > 0.0 {
            let count = self.uncorrected_hazard.pass(values[G::UncorrectedRate] * traffic * hours, noise);
            self.uncorrectable(count, values, noise);
        }
        let carried = values[G::PcieReplayRate] * activity.host * dt / 1000.0;
        self.replays += self.replay_hazard.pass(carried + values[G::PcieReplayIdle] * hours, noise);
        let wrong = values[G::WrongRate] * activity.arithmetic * hours + values[G::WrongShare] * tiles * dt;
        if activity.arithmetic > 0.0 && wrong > 0.0 {
            let count = self.wrong_hazard.pass(wrong * on, noise);
            self.wrong(count);
        }
    }

    /// Wrong results, for the load to find.
    pub(super) fn wrong(&mut self, count: u64) {
        // More than this in one step only costs time: a load tells the first 64 one by one.
        self.incidents.extend((0..count.min(256)).map(|_| Incident::WrongResult));
    }

    /// `traffic` GB/s out over all links for `dt` seconds.
    pub(super) fn links_carry(&mut self, traffic: f64, links: &[LinkValues], dt: f64, noise: &mut Noise) {
        let each = if self.links_up > 0.0 { traffic / self.links_up / 1000.0 } else { 0.0 };
        let expected = (self.link_rate * each + self.link_idle_rate) * dt;
        if expected <= 0.0 {
            return;
        }
        let count = self.link_hazard.pass(expected, noise);
        if count > 0 {
            self.spread_over_links(count, each, links, noise);
        }
    }

    fn spread_over_links(&mut self, count: u64, each: f64, links: &[LinkValues], noise: &mut Noise) {
        self.link_total += count;
        // Many errors are shared out by their rates; the few that remain are drawn one by one.
        let whole = if count > 64 { count - 32 } else { 0 };
        let total = self.link_rate * each + self.link_idle_rate;
        let mut shared = 0;
        for (link, errors) in links.iter().zip(&mut self.links).filter(|(link, _)| link[L::Active] > 0.5) {
            let part = |rate: f64| (whole as f64 * rate / total) as u64;
            let add = LinkErrors {
                crc: part(link[L::CrcRate] * each + link[L::IdleErrors] / 3600.0),
                replay: part(link[L::ReplayRate] * each),
                recovery: part(link[L::RecoveryRate] * each),
            };
            shared += add.crc + add.replay + add.recovery;
            errors.crc += add.crc;
            errors.replay += add.replay;
            errors.recovery += add.recovery;
        }
        for _ in shared..count {
            let mut at = noise.uniform() * total;
            for (link, errors) in links.iter().zip(&mut self.links).filter(|(link, _)| link[L::Active] > 0.5) {
                let kinds = [
                    (link[L::CrcRate] * each + link[L::IdleErrors] / 3600.0, &mut errors.crc),
                    (link[L::ReplayRate] * each, &mut errors.replay),
                    (link[L::RecoveryRate] * each, &mut errors.recovery),
                ];
                let mut found = false;
                for (rate, counter) in kinds {
                    if !found && at < rate {
                        *counter += 1;
                        found = true;
                    }
                    at -= rate;
                }
                if found {
                    break;
                }
            }
        }
    }

    /// Uncorrectable memory errors and the row remaps that follow.
    pub(super) fn uncorrectable(&mut self, count: u64, values: &GpuValues, noise: &mut Noise) {
        for _ in 0..count {
            self.uncorrected += 1;
            let spare = values[G::SpareRows] > (self.remaps_uncorrected + self.remaps_corrected) as f64;
            if spare {
                self.remaps_uncorrected += 1;
                self.remap_pending = true;
            } else {
                self.remap_failed = true;
            }
            let contained = noise.uniform() >= values[G::Uncontained];
            self.incidents.push(Incident::Uncorrected { contained, remapped: spare });
        }
    }

    pub(super) fn sram(&mut self, count: u64) {
        for _ in 0..count {
            self.uncorrected += 1;
            self.sram_uncorrected += 1;
            self.incidents.push(Incident::SramUncorrected);
        }
    }
}

fn rate(link: &LinkValues) -> f64 {
    link[L::CrcRate] + link[L::ReplayRate] + link[L::RecoveryRate]
}
