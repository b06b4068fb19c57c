//! A node played from a recording: the node half of a station.

use super::line::Recording;
use kiln_model::Arrivals;
use kiln_model::{
    Answer, Inventory, KernelSource, Moment, Probe, Reach, Sample, Source, SourceReport, SourceState, SourceTrouble,
    Span, Unanswered,
};

/// A recording that answers as the node did, at the same distance from its start.
///
/// Behind its end it is silent, as a node that stopped answering would be: nothing is made up.
#[derive(Debug)]
pub struct Replay {
    recording: Recording,
    /// The run's moment that the recording's first one falls on.
    began: Option<Moment>,
    pending: Arrivals,
    /// How many kernel records have been handed on.
    logged: usize,
    /// How many reports on sources have been handed on.
    told: usize,
}

impl Replay {
    pub fn new(mut recording: Recording) -> Self {
        if recording.sources.is_empty() {
            recording.sources = sources_untold(&recording);
        }
        Self { recording, began: None, pending: Arrivals::default(), logged: 0, told: 0 }
    }

    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// How long the recording is.
    pub fn span(&self) -> Span {
        self.recording.ended().since(self.recording.began())
    }

    /// Whether the recording has nothing more to show at `now`.
    pub fn is_over(&self, now: Moment) -> bool {
        self.began.is_some_and(|began| now.since(began) > self.span())
    }

    pub fn read_inventory(&mut self, now: Moment) {
        let inventory = self.inventory(now);
        self.pending.inventories.push(Ok(inventory));
    }

    pub fn sample(&mut self, now: Moment) {
        let then = self.then(now);
        if then > self.recording.ended() {
            return;
        }
        let before = self.recording.samples.partition_point(|sample| sample.at <= then);
        let mut found: Vec<Sample> = Vec::new();
        for sample in self.recording.samples[..before].iter().rev().take(LOOK_BACK) {
            if found.iter().all(|other| other.gpu != sample.gpu) {
                let mut sample = sample.clone();
                sample.at = now;
                found.push(sample);
            }
        }
        found.sort_by_key(|sample| sample.gpu);
        self.pending.samples.append(&mut found);
    }

    pub fn ask(&mut self, now: Moment, probe: Probe) {
        let answer = match probe {
            Probe::Inventory => Answer::Inventory(Ok(self.inventory(now))),
            Probe::Counters => {
                let then = self.then(now);
                let counters = self.recording.counters.iter().rev().find(|(at, _)| *at <= then);
                let counters = counters.or(self.recording.counters.first()).map(|(_, counters)| counters.clone());
                Answer::Counters(counters.ok_or(Unanswered::CountersNotRecorded))
            }
        };
        self.pending.answers.push((probe, answer));
    }

    pub fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        let then = self.then(now);
        while let Some(record) = self.recording.kernel.get(self.logged).filter(|record| record.at <= then) {
            let mut record = record.clone();
            record.at = now;
            self.pending.kernel.push(record);
            self.logged += 1;
        }
        while let Some(report) = self.recording.sources.get(self.told).filter(|report| report.at <= then) {
            arrivals.sources.push(SourceReport { at: now, ..*report });
            self.told += 1;
        }
        arrivals.samples.append(&mut self.pending.samples);
        arrivals.inventories.append(&mut self.pending.inventories);
        arrivals.answers.append(&mut self.pending.answers);
        arrivals.kernel.append(&mut self.pending.kernel);
    }

    pub fn next_arrival(&self) -> Option<Moment> {
        let began = self.began?;
        if !self.pending.is_empty() {
            return Some(began);
        }
        let record = self.recording.kernel.get(self.logged).map(|record| record.at);
        let report = self.recording.sources.get(self.told).map(|report| report.at);
        record.into_iter().chain(report).min().map(|at| began + at.since(self.recording.began()))
    }

    /// Nothing comes in on its own but what `next_arrival` tells.
    pub fn on_arrival(&mut self, _wake: Box<dyn Fn() + Send + Sync>) {}

    /// The moment of the recording that `now` falls on.
    fn then(&mut self, now: Moment) -> Moment {
        let began = *self.began.get_or_insert(now);
        self.recording.began() + now.since(began)
    }

    /// The last inventory by then, or the first there is.
    fn inventory(&mut self, now: Moment) -> Box<Inventory> {
        let then = self.then(now);
        let inventories = &self.recording.inventories;
        let found = inventories.iter().rev().find(|(at, _)| *at <= then).or(inventories.first());
        found.map(|(_, inventory)| inventory.clone()).unwrap_or_default()
    }
}

/// The sources of a recording that tells of none, as earlier versions wrote them: a line of the log shows that the log was
/// followed; without one nothing shows it.
fn sources_untold(recording: &Recording) -> Vec<SourceReport> {
    let followed = recording.kernel.iter().any(|record| record.source == KernelSource::KernelLog);
    let state = if followed { SourceState::Followed(Reach::Now) } else { SourceState::Closed(SourceTrouble::NotTold) };
    vec![SourceReport { at: recording.began(), source: Source::KernelLog, state }]
}

/// How far back a GPU's last sample is looked for: a few ticks of the largest node.
const LOOK_BACK: usize = 256;

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "what a driver or a text tells is within the range of what it measures")]
mod tests {
    use super::super::Recorder;
    use super::*;
    use kiln_model::{Gpu, GpuIndex, KernelRecord, KernelSource, Reading, ReadingFailure, Sensor};

    fn at(seconds: u64) -> Moment {
        Moment::from_secs(seconds)
    }

    fn recorded() -> Vec<u8> {
        let mut text = Vec::new();
        let mut recorder = Recorder::new(&mut text, "hardware").expect("head");
        let mut arrivals = Arrivals::default();
        let gpus = (0..2).map(|index| Gpu::bare(GpuIndex(index))).collect();
        arrivals.inventories.push(Ok(Box::new(Inventory { gpus, ..Inventory::default() })));
        recorder.take(at(100), &mut arrivals).expect("written");
        for second in 100..103 {
            for gpu in [GpuIndex(0), GpuIndex(1)] {
                let mut sample = Sample::new(gpu, at(second));
                sample.put(Sensor::TempGpu, 40.0 + (second - 100) as f64);
                if gpu == GpuIndex(1) && second == 102 {
                    sample.fail_all(ReadingFailure::Lost);
                }
                arrivals.samples.push(sample);
            }
            let text = format!("line {second}");
            arrivals.kernel.push(KernelRecord { at: at(second), source: KernelSource::KernelLog, text });
            recorder.take(at(second), &mut arrivals).expect("written");
        }
        text
    }

    #[test]
    fn a_recording_reads_back_as_written_and_survives_a_cut() {
        let text = recorded();
        let whole = Recording::read(text.as_slice()).expect("recording");
        assert_eq!((whole.samples.len(), whole.kernel.len()), (6, 3));
        assert_eq!(whole.samples[0][Sensor::Power], Reading::Unsupported);
        assert!(whole.samples[5].is_lost());
        let cut = Recording::read(&text[..text.len() - 5]).expect("recording");
        assert_eq!((cut.samples.len(), cut.kernel.len()), (6, 2));
    }

    #[test]
    fn a_replay_answers_at_the_same_distance_from_its_start_and_ends() {
        let mut replay = Replay::new(Recording::read(recorded().as_slice()).expect("recording"));
        replay.read_inventory(at(0));
        let mut told = Vec::new();
        for second in 0..4 {
            let mut arrivals = Arrivals::default();
            replay.sample(at(second));
            replay.collect(at(second), &mut arrivals);
            let samples: Vec<String> = arrivals.samples.iter().map(|s| s[Sensor::TempGpu].to_string()).collect();
            let kernel: Vec<&str> = arrivals.kernel.iter().map(|record| record.text.as_str()).collect();
            told.push(format!("{second}: {} | {}", samples.join(", "), kernel.join(", ")));
        }
        insta::assert_snapshot!(told.join("\n"), @r"
        0: 40, 40 | line 100
        1: 41, 41 | line 101
        2: 42, GPU is lost | line 102
        3:  | 
        ");
    }

    #[test]
    fn what_is_no_recording_is_refused_with_the_reason() {
        let refused = |text: &str| Recording::read(text.as_bytes()).expect_err("refused").to_string();
        let told = [
            refused(""),
            refused("{\"kernel\":{\"at\":0,\"source\":\"gap\",\"text\":\"\"}}\n"),
            refused("{\"head\":{\"schema\":\"kiln.recording/2\",\"source\":\"hardware\"}}\n"),
            refused("{\"head\":{\"schema\":\"kiln.recording/1\",\"source\":\"hardware\"}}\nnonsense\n"),
            refused("{\"head\":{\"schema\":\"kiln.recording/1\",\"source\":\"hardware\"}}\n"),
        ];
        insta::assert_snapshot!(told.join("\n"), @r"
        the recording does not begin with its schema; is it one that `kiln record` wrote?
        the recording does not begin with its schema; is it one that `kiln record` wrote?
        the recording says `kiln.recording/2`; this version reads `kiln.recording/1`
        line 2: not a line of a recording; a recording is written by `kiln record`
        the recording has no inventory, so that nothing is known of the node; record it again
        ");
    }
}
