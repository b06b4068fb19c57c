//! Every kind of load through the real supervisor, the real worker process and a driver without a GPU, healthy and with
//! every fault a detector is there for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use kiln::engine::Arrivals;
use kiln::load::supervisor::{Supervisor, WorkerCommand};
use kiln::load::worker::{Injection, Variant};
use kiln::model::{
    BurnKernel, CopyDirection, Endpoint, GpuIndex, LoadEnd, LoadId, LoadKind, LoadOrder, LoadSaid, Moment, StopHow,
};

const BF16: LoadKind = LoadKind::Burn(BurnKernel::Bf16);
const MARCH: LoadKind = LoadKind::March { coverage: 0.98 };

/// Long enough for anything here; whoever needs it has failed.
const DEADLINE: Duration = Duration::from_secs(100);

pub(crate) struct Bench {
    kind: LoadKind,
    gpus: u8,
    env: BTreeMap<&'static str, &'static str>,
    injection: Option<Injection>,
    variant: Variant,
    span: Option<Duration>,
    /// Stops the load once it says something like this.
    until: fn(&LoadSaid) -> bool,
}

impl Bench {
    pub(crate) fn of(kind: LoadKind) -> Self {
        let (env, injection, variant) = (BTreeMap::new(), None, Variant::default());
        Self { kind, gpus: 1, env, injection, variant, span: None, until: |_| false }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.insert(name, value);
        self
    }

    pub(crate) fn fault(self, fault: &'static str) -> Self {
        self.with("KILN_FAKE_CUDA_FAULT", fault)
    }

    pub(crate) fn vary(self, variant: Variant) -> Self {
        Self { variant, ..self }
    }

    pub(crate) fn inject(self, injection: Injection) -> Self {
        Self { injection: Some(injection), ..self }
    }

    pub(crate) fn gpus(self, gpus: u8) -> Self {
        Self { gpus, ..self }
    }

    pub(crate) fn lasting(self, millis: u64) -> Self {
        Self { span: Some(Duration::from_millis(millis)), ..self }
    }

    pub(crate) fn until(self, until: fn(&LoadSaid) -> bool) -> Self {
        Self { until, ..self }
    }

    pub(crate) fn run(self) -> Told {
        let mut env = vec![("KILN_CUDA_LIB".into(), library().into_os_string())];
        env.extend(self.env.iter().map(|(name, value)| (name.into(), value.into())));
        let command = WorkerCommand { program: env!("CARGO_BIN_EXE_kiln").into(), args: vec!["worker".into()], env };
        let mut supervisor = Supervisor::new(command);
        supervisor.inject(self.injection);
        supervisor.vary(self.variant);
        let (wake, woken) = channel();
        supervisor.on_arrival(Box::new(move || {
            let _ = wake.send(());
        }));
        let order = LoadOrder {
            id: LoadId(1),
            kind: self.kind,
            gpus: (0..self.gpus).map(GpuIndex).collect(),
            seed: 4711,
            span: self.span,
        };
        supervisor.start_load(Moment::ZERO, &order);
        Told(follow(&mut supervisor, &woken, self.until))
    }
}

#[expect(clippy::disallowed_methods, reason = "real processes run on the clock of the world")]
fn follow(supervisor: &mut Supervisor, woken: &Receiver<()>, until: fn(&LoadSaid) -> bool) -> Vec<LoadSaid> {
    let began = Instant::now();
    let mut told = Vec::new();
    let mut stopped = false;
    loop {
        let now = Moment::ZERO + began.elapsed();
        assert!(began.elapsed() < DEADLINE, "it never ended: {told:#?}");
        let mut arrivals = Arrivals::default();
        supervisor.collect(now, &mut arrivals);
        told.extend(arrivals.loads.into_iter().map(|report| report.said));
        if told.iter().any(|said| matches!(said, LoadSaid::Ended { gpu: None, .. })) {
            return told;
        }
        if !stopped && told.iter().any(until) {
            stopped = true;
            supervisor.stop_load(now, LoadId(1), StopHow::Gently);
        }
        let next = supervisor.next_arrival().map_or(Duration::from_millis(20), |next| next.since(now));
        let _ = woken.recv_timeout(next.clamp(Duration::from_millis(1), Duration::from_millis(500)));
    }
}

/// The fake driver, built beside the tests because they depend on it.
fn library() -> PathBuf {
    let tests = std::env::current_exe().expect("the test's own path");
    let library = tests.with_file_name("libkiln_fake_driver.so");
    assert!(library.exists(), "{} is not there", library.display());
    library
}

pub(crate) struct Told(pub(crate) Vec<LoadSaid>);

impl Told {
    pub(crate) fn end(&self) -> &LoadEnd {
        match self.0.last() {
            Some(LoadSaid::Ended { gpu: None, end }) => end,
            other => panic!("no end: {other:?}"),
        }
    }

    fn failure(&self) -> String {
        match self.end() {
            LoadEnd::Failed(why) => why.to_string(),
            end => panic!("not a failure: {end:?}, after {:#?}", self.0),
        }
    }

    /// Results compared and results wrong, as told last.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let counts = |said: &LoadSaid| match said {
            LoadSaid::Progress { verified, mismatches, .. } => Some((*verified, *mismatches)),
            _ => None,
        };
        self.0.iter().rev().find_map(counts).unwrap_or_default()
    }

    pub(crate) fn places(&self) -> Vec<String> {
        let place =
            |said: &LoadSaid| if let LoadSaid::Mismatched(wrong) = said { Some(wrong.place.to_string()) } else { None };
        self.0.iter().filter_map(place).collect()
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        fn note(said: &LoadSaid) -> Option<String> {
            if let LoadSaid::Noted { what, .. } = said { Some(what.to_string()) } else { None }
        }
        self.0.iter().filter_map(note).collect()
    }

    fn covered(&self) -> Option<f64> {
        let covered =
            |said: &LoadSaid| if let LoadSaid::Covered { percent, .. } = said { Some(*percent) } else { None };
        self.0.iter().rev().find_map(covered)
    }

    /// The ways measured, without their speeds.
    fn ways(&self) -> String {
        let end = |end| match end {
            Endpoint::Host => "host".to_owned(),
            Endpoint::Gpu(gpu) => gpu.0.to_string(),
        };
        let way = |said: &LoadSaid| match said {
            LoadSaid::Moved(moved) if moved.gb_per_s > 0.0 => Some(format!("{}>{}", end(moved.from), end(moved.to))),
            _ => None,
        };
        self.0.iter().filter_map(way).collect::<Vec<_>>().join(" ")
    }

    fn speed(&self) -> f64 {
        let speed = |said: &LoadSaid| if let LoadSaid::Moved(moved) = said { Some(moved.gb_per_s) } else { None };
        self.0.iter().find_map(speed).expect("a speed")
    }

    /// The best second of a burn.
    fn rate(&self) -> f64 {
        let rate = |said: &LoadSaid| if let LoadSaid::Progress { tflops, .. } = said { Some(*tflops) } else { None };
        self.0.iter().filter_map(rate).fold(0.0, f64::max)
    }

    fn is_clean(&self) -> bool {
        self.places().is_empty() && self.counts().1 == 0
    }
}

fn progress(said: &LoadSaid) -> bool {
    matches!(said, LoadSaid::Progress { .. })
}

fn mismatch(said: &LoadSaid) -> bool {
    matches!(said, LoadSaid::Mismatched(_))
}

#[test]
fn burns_of_every_kernel_verify_what_they_compute() {
    let cases = [
        (BurnKernel::Bf16, "8.0"),
        (BurnKernel::Bf16, "9.0"),
        (BurnKernel::Fp8, "9.0"),
        (BurnKernel::Bf16, "10.3"),
        (BurnKernel::Fp8, "10.0"),
        (BurnKernel::Fp8, "12.0"),
        (BurnKernel::Fp8, "8.9"),
        (BurnKernel::Fp32, "9.0"),
        (BurnKernel::Fp64, "9.0"),
    ];
    for (kernel, capability) in cases {
        let bench = Bench::of(LoadKind::Burn(kernel)).with("KILN_FAKE_CUDA_CAPABILITY", capability);
        let told = bench.lasting(300).run();
        assert_eq!(told.end(), &LoadEnd::Finished, "{kernel:?} on {capability}");
        assert!(told.is_clean() && told.counts().0 > 64 * 64, "{kernel:?} on {capability}: {:#?}", told.0);
        assert!(told.0.contains(&LoadSaid::Running) && told.notes().is_empty());
    }
}

#[test]
fn a_burn_on_two_gpus_runs_until_it_is_stopped() {
    let told = Bench::of(BF16).gpus(2).until(progress).run();
    assert_eq!(told.end(), &LoadEnd::Stopped);
    assert_eq!(told.0.iter().filter(|said| **said == LoadSaid::Running).count(), 1);
    let gpu = |said: &LoadSaid| match said {
        LoadSaid::Progress { gpu, tflops, .. } if *tflops > 0.0 => Some(gpu.0),
        _ => None,
    };
    assert_eq!(told.0.iter().filter_map(gpu).collect::<BTreeSet<u8>>(), [0, 1].into());
}

#[test]
fn a_pulse_beats_on_two_gpus() {
    let kind = LoadKind::Pulse { kernel: BurnKernel::Bf16, hertz: 2.0, duty: 0.5 };
    let told = Bench::of(kind).gpus(2).lasting(2_500).run();
    assert_eq!(told.end(), &LoadEnd::Finished);
    assert!(told.is_clean() && told.counts().0 > 0);
}

#[test]
fn a_march_covers_nearly_all_memory_and_finds_nothing_wrong_in_it() {
    let told = Bench::of(MARCH).run();
    assert_eq!(told.end(), &LoadEnd::Finished);
    assert!(told.is_clean() && told.covered() > Some(95.0), "{:#?}", told.0);
    // A pass has 19 sweeps that read.
    assert!(told.counts().0 > 19 * (60 << 20) / 8, "{:?}", told.counts());
}

#[test]
fn copies_are_measured_on_every_way() {
    let table = [
        ("to the device", Bench::of(LoadKind::HostCopy(CopyDirection::HostToDevice)).gpus(2)),
        ("to the host", Bench::of(LoadKind::HostCopy(CopyDirection::DeviceToHost)).gpus(2)),
        ("both", Bench::of(LoadKind::HostCopy(CopyDirection::Both))),
        ("pairs", Bench::of(LoadKind::PairCopy).gpus(3).with("KILN_FAKE_CUDA_GPUS", "3")),
        ("all", Bench::of(LoadKind::AllToAll).gpus(2).lasting(10)),
    ]
    .map(|(name, bench)| {
        let told = bench.run();
        assert!(told.is_clean(), "{name}: {:#?}", told.0);
        format!("{name}: {} {:?}\n", told.ways(), told.end())
    });
    insta::assert_snapshot!(table.concat(), @"
    to the device: host>0 host>1 Finished
    to the host: 0>host 1>host Finished
    both: host>0 0>host Finished
    pairs: 0>1 0>2 1>0 1>2 2>0 2>1 Finished
    all: 0>1 1>0 Finished
    ");
}

#[test]
fn a_bit_flipped_on_purpose_is_found_by_every_load() {
    let flip = Injection::BitFlip { iteration: 3 };
    for kind in [
        BF16,
        LoadKind::Burn(BurnKernel::Fp64),
        LoadKind::Pulse { kernel: BurnKernel::Bf16, hertz: 10.0, duty: 0.5 },
        MARCH,
        LoadKind::HostCopy(CopyDirection::Both),
        LoadKind::PairCopy,
    ] {
        let told = Bench::of(kind.clone()).gpus(2).inject(flip).until(mismatch).run();
        assert!(!told.places().is_empty(), "{kind:?}: {:#?}", told.0);
        let one_bit = |said: &LoadSaid| !matches!(said, LoadSaid::Mismatched(found) if found.flipped_bits != 1);
        assert!(told.0.iter().all(one_bit), "{kind:?}: {:#?}", told.0);
    }
}

#[test]
fn a_multiprocessor_that_computes_wrong_is_named() {
    let told = Bench::of(BF16).fault("wrong").until(mismatch).run();
    // Two units to a block on Hopper: unit 1 is on the first multiprocessor.
    assert!(!told.places().is_empty() && told.places().iter().all(|place| place.starts_with("SM 0")), "{:#?}", told.0);
}

#[test]
fn a_gpu_that_is_wrong_everywhere_alike_is_found_by_the_known_results() {
    let told = Bench::of(BF16).fault("systematic").until(mismatch).run();
    assert!(!told.places().is_empty());
}

#[test]
fn not_a_number_is_found() {
    let told = Bench::of(LoadKind::Burn(BurnKernel::Fp32)).fault("nan").until(mismatch).run();
    assert!(!told.places().is_empty());
}

#[test]
fn a_stuck_bit_of_memory_is_told_with_its_place_and_kind() {
    let told = Bench::of(MARCH).fault("stuck").run();
    assert_eq!(told.places().first().map(String::as_str), Some("chunk 0 at 0x1f40, bits 0x200000000, storage"));
    assert!(told.counts().1 >= 6, "every algorithm finds it: {:?}", told.counts());
}

#[test]
fn a_copy_that_arrives_wrong_is_told_with_its_way() {
    let host = Bench::of(LoadKind::HostCopy(CopyDirection::DeviceToHost)).fault("spoiled-copy").run();
    assert_eq!(host.places(), ["copy to the host at 0x1f40"]);
    let pair = Bench::of(LoadKind::PairCopy).gpus(2).fault("spoiled-copy").run();
    assert_eq!(pair.places(), ["copy from gpu/0 at 0x1f40", "copy from gpu/1 at 0x1f40"]);
}

#[test]
fn slow_copies_measure_slow() {
    let kind = LoadKind::HostCopy(CopyDirection::HostToDevice);
    let (fast, slow) = (Bench::of(kind.clone()).run().speed(), Bench::of(kind).fault("slow-copy").run().speed());
    assert!(slow < fast / 2.0, "{slow} against {fast}");
}

#[test]
fn a_burn_that_is_slow_on_purpose_measures_slow() {
    let fast = Bench::of(BF16).lasting(1_500).run().rate();
    let slow = Bench::of(BF16).inject(Injection::Slow).lasting(1_500).run().rate();
    assert!(slow < fast / 1.5, "{slow} against {fast}");
}

#[test]
fn kernels_that_hang_end_the_load_and_not_the_run() {
    let patience = |bench: Bench| bench.with("KILN_LOAD_PATIENCE_MS", "1500");
    let burn = patience(Bench::of(BF16).inject(Injection::Hang)).run();
    assert_eq!(burn.failure(), "burn_bf16_wgmma hangs: it did not end within 1.5 s");
    let march = patience(Bench::of(MARCH).fault("hang")).run();
    assert_eq!(march.failure(), "moving inversions hangs: it did not end within 1.5 s");
}

#[test]
fn less_memory_than_there_should_be_is_told_as_less_coverage() {
    let told = Bench::of(MARCH).fault("memory=60").run();
    let covered = told.covered().expect("a coverage");
    assert!((50.0..60.1).contains(&covered), "{covered}");
    assert!(told.notes().iter().any(|note| note.starts_with("only ")), "{:?}", told.notes());
}

#[test]
fn everything_that_can_be_in_the_way_has_its_own_message() {
    let fp8 = LoadKind::Burn(BurnKernel::Fp8);
    let cases = [
        ("no memory", Bench::of(MARCH).fault("memory=1")),
        ("no memory to burn with", Bench::of(BF16).fault("memory=1")),
        ("no device", Bench::of(BF16).fault("init=100")),
        ("fabric", Bench::of(BF16).fault("init=802")),
        ("versions", Bench::of(BF16).fault("init=803")),
        ("stub", Bench::of(BF16).fault("init=34")),
        ("taken", Bench::of(BF16).fault("taken")),
        ("exclusive", Bench::of(BF16).with("KILN_FAKE_CUDA_COMPUTE_MODE", "3")),
        ("MIG", Bench::of(BF16).with("KILN_FAKE_CUDA_MIG", "1")),
        ("too old a GPU", Bench::of(BF16).with("KILN_FAKE_CUDA_CAPABILITY", "7.5")),
        ("no image", Bench::of(BF16).fault("images")),
        ("no FP8", Bench::of(fp8).with("KILN_FAKE_CUDA_CAPABILITY", "8.0")),
        ("ECC in a kernel", Bench::of(BF16).fault("launch=214@5")),
        ("failed launch", Bench::of(MARCH).fault("launch=719@3")),
        ("contained", Bench::of(BF16).fault("launch=721@4")),
        ("one GPU", Bench::of(LoadKind::PairCopy)),
        ("no library", Bench::of(BF16).with("KILN_CUDA_LIB", "/nowhere/libcuda.so.1")),
    ]
    .map(|(name, bench)| {
        let told = bench.run();
        // Which call is the first to see an error that stays is a matter of timing.
        let stays = ["ECC in a kernel", "failed launch", "contained"].contains(&name);
        let failure = told.failure();
        let why = failure.split_once(" failed: ").filter(|_| stays).map_or(failure.as_str(), |(_, why)| why);
        format!("{name}: {why}\n")
    });
    insta::assert_snapshot!(cases.concat(), @"
    no memory: out of memory: not one chunk of 63 MiB free could be had
    no memory to burn with: cuMemAlloc_v2 failed: out of GPU memory (CUDA error 2)
    no device: cuInit failed: the driver sees no GPU (CUDA error 100)
    fabric: cuInit failed: the system is not ready: start nvidia-fabricmanager and wait until the fabric is up (CUDA error 802)
    versions: cuInit failed: library and kernel driver are of different versions; reboot or reload the driver (CUDA error 803)
    stub: cuInit failed: the library is a stub for linking, not a driver; take the toolkit's stubs out of the library path (CUDA error 34)
    taken: gpu/0 cannot be used: cuDevicePrimaryCtxRetain failed: the GPU is taken: it is in exclusive mode and another process has it, or use is prohibited (CUDA error 46)
    exclusive: gpu/0 is in compute mode exclusive; set it to default with `nvidia-smi -i ID -c 0`
    MIG: MIG is on for gpu/0 (NVIDIA Fake MIG 1g.10gb); a load needs the whole GPU: turn MIG off with `nvidia-smi -i ID -mig 0`
    too old a GPU: gpu/0 (NVIDIA Fake) has compute capability 7.5; the kernels need 8.0 or newer
    no image: no kernel image runs on gpu/0 (NVIDIA Fake, compute capability 9.0): cuModuleLoadDataEx failed: the driver does not take this kernel image (CUDA error 209): ptxas application ptx input, line 9; fatal   : Unsupported .version 9.9; current version is '8.8'
    no FP8: NVIDIA Fake has no FP8 kernel in sm_80; burn it with bf16
    ECC in a kernel: an uncorrectable memory error (ECC) hit the running kernel (CUDA error 214)
    failed launch: a kernel failed on the GPU; the kernel log may name an Xid (CUDA error 719)
    contained: the GPU contained an error and must be reset (CUDA error 721)
    one GPU: copies between GPUs need two of them
    no library: the NVIDIA driver's library /nowhere/libcuda.so.1 cannot be opened: /nowhere/libcuda.so.1: cannot open shared object file: No such file or directory; install the driver, or name the library in KILN_CUDA_LIB
    ");
}

#[test]
fn a_gpu_that_goes_away_is_lost_and_not_a_failure_of_ours() {
    let told = Bench::of(BF16).fault("launch=101@5").run();
    assert_eq!(told.end(), &LoadEnd::GpuLost);
}

#[test]
fn a_fallback_to_portable_kernels_is_said() {
    let refused = Bench::of(BF16).fault("image").lasting(100).run();
    let unknown = Bench::of(BF16).with("KILN_FAKE_CUDA_CAPABILITY", "13.0").lasting(100).run();
    assert!(refused.is_clean() && unknown.is_clean());
    let notes = [refused.notes().join("\n"), unknown.notes().join("\n")].join("\n");
    insta::assert_snapshot!(notes, @"
    NVIDIA Fake (compute capability 9.0, driver CUDA 12.9): kernels from compute_80 PTX, slower than it could be: the first choice of kernel image was refused: cuModuleLoadDataEx failed: the driver does not take this kernel image (CUDA error 209)
    NVIDIA Fake (compute capability 13.0, driver CUDA 12.9): kernels from compute_80 PTX, slower than it could be: this architecture has no image of its own
    ");
}
