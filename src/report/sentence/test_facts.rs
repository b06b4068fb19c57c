//! One fact of each kind that loads and programs come to, for the tests of their sentences.

use super::tests::{AT, GPU, quoted};
use kiln_event::RunFailure;
use kiln_model::{
    ClockRefusal, DriverCall, Endpoint, ExitMeaning, GpuWork, KernelFallback, LoadFault, NoteFact, OpenError,
    OutputGap, ProgramAbsent, ReadAgain, Span, Unproven, Unreadable, WorkerBreach, WrongCell, WrongPlace,
};

pub(super) fn absent() -> ProgramAbsent {
    ProgramAbsent::NotInPath { program: "fio".to_owned(), directories: vec!["/usr/bin".to_owned()] }
}

pub(super) fn load_faults() -> Vec<LoadFault> {
    let (after, path) = (Span::from_secs(30), quoted);
    let killed = |why| LoadFault::WorkerKilled { why, wrote: quoted() };
    let codes =
        [1, 2, 3, 34, 46, 100, 101, 200, 214, 220, 222, 500, 700, 701, 702, 715, 716, 719, 721, 801, 802, 803, 999];
    let driver = |code| LoadFault::Driver { failed: DriverCall::new("cuStreamQuery", code), holders: String::new() };
    let mut all = vec![
        LoadFault::Driver { failed: DriverCall::new("cuMemAlloc", 2), holders: ", held by x (pid 7)".to_owned() },
        LoadFault::NoWorker { error: quoted() },
        LoadFault::NoWorkers,
        killed(WorkerBreach::DidNotComeUp { after }),
        killed(WorkerBreach::DidNotGetReady { after }),
        killed(WorkerBreach::Silent { after }),
        killed(WorkerBreach::EndlessLine),
        killed(WorkerBreach::HalfLine { half: quoted() }),
        killed(WorkerBreach::Floods { most: 4000 }),
        killed(WorkerBreach::OtherVersion { theirs: 1, ours: 2 }),
        killed(WorkerBreach::BadLine { excerpt: quoted() }),
        killed(WorkerBreach::SpokeEarly),
        killed(WorkerBreach::OutOfTurn { message: quoted() }),
        killed(WorkerBreach::Protocol(quoted())),
        LoadFault::WorkerStayed { wrote: String::new() },
        LoadFault::WorkerLeft { code: 3, wrote: quoted() },
        LoadFault::WorkerCrashed { signal: 11, wrote: quoted() },
        LoadFault::WorkerPanicked { message: quoted() },
        LoadFault::LeaseLost { after },
        LoadFault::NoDirectory { path: path() },
        LoadFault::Absent(absent()),
        LoadFault::NotStarted { path: path(), error: quoted() },
        LoadFault::NoInterpreter { path: path() },
        LoadFault::NoPrograms,
        LoadFault::Rebooted,
        LoadFault::RecordedAtRest { gpu: GPU, from: AT },
        LoadFault::RecordedIdle { gpus: vec![GPU] },
        LoadFault::RecordingOver,
        LoadFault::ReadingsOnly,
        LoadFault::NoChunk { mib: 512, holders: ", held by python (pid 7)".to_owned() },
        LoadFault::NoFp8 { gpu: quoted(), image: "sm_80".to_owned() },
        LoadFault::LittleSharedMemory { gpu: quoted(), kernel: "burn_fp64_mma".to_owned() },
        LoadFault::NoMajority { gpu: quoted(), agree: 3, units: 8 },
        LoadFault::NeedsTwoGpus,
        LoadFault::ClockNotHeld(ClockRefusal::NotPermitted),
        LoadFault::ClockNotHeld(ClockRefusal::NotOffered),
        LoadFault::ClockNotHeld(ClockRefusal::NoLibrary { library: "libnvidia-ml.so.1".to_owned(), why: quoted() }),
        LoadFault::ClockNotHeld(ClockRefusal::Call { call: "nvmlDeviceSetGpuLockedClocks".to_owned(), code: 999 }),
        LoadFault::ClockNotHeld(ClockRefusal::NoHolder { error: quoted() }),
        LoadFault::BadOrder { what: "pulse: 300 Hz, duty 2".to_owned() },
        LoadFault::Words(quoted()),
    ];
    all.extend(open_errors().into_iter().map(|why| LoadFault::Open(Box::new(why))));
    all.extend(codes.map(driver));
    all.extend(gpu_works().into_iter().map(|what| LoadFault::Hung { what, after }));
    all
}

pub(super) fn gpu_works() -> Vec<GpuWork> {
    vec![
        GpuWork::Kernel { name: "burn_bf16_wgmma".to_owned() },
        GpuWork::March { algorithm: quoted() },
        GpuWork::StreamBegins,
        GpuWork::Stream,
        GpuWork::EmptyLog,
        GpuWork::WritePattern,
        GpuWork::Copies,
        GpuWork::CopyIn,
        GpuWork::CopyOut,
        GpuWork::CopyWithin,
        GpuWork::Compare { from: Endpoint::Host },
        GpuWork::Compare { from: Endpoint::Gpu(GPU) },
        GpuWork::Checksum,
        GpuWork::PointerChase,
        GpuWork::Words(quoted()),
    ]
}

pub(super) fn wrong_places() -> Vec<WrongPlace> {
    let cell = |again| Some(WrongCell { byte: 64, bits: 0x800, again });
    vec![
        WrongPlace::Sm { sm: 41, unit: None },
        WrongPlace::Sm { sm: 41, unit: Some(82) },
        WrongPlace::SmAlone { sm: 41, agree: 263, units: 264 },
        WrongPlace::Stream { byte: 64 },
        WrongPlace::Chunk { chunk: 3, cell: None },
        WrongPlace::Chunk { chunk: 3, cell: cell(ReadAgain::Right) },
        WrongPlace::Chunk { chunk: 3, cell: cell(ReadAgain::Wrong) },
        WrongPlace::CopyFrom { from: Endpoint::Host, byte: 64 },
        WrongPlace::CopyFrom { from: Endpoint::Gpu(GPU), byte: 64 },
        WrongPlace::CopyToHost { byte: 64 },
        WrongPlace::Words(quoted()),
    ]
}

pub(super) fn run_failures() -> [RunFailure; 3] {
    [
        RunFailure::Unwritten { path: "runs/1/journal.jsonl".to_owned(), error: quoted() },
        RunFailure::OutOfOrder { path: "runs/1/journal.jsonl".to_owned(), came: 3, due: 2 },
        RunFailure::Words(quoted()),
    ]
}

pub(super) fn open_errors() -> Vec<OpenError> {
    let gpu = || "gpu/3".to_owned();
    let call = |code| DriverCall::new("cuInit", code);
    let held = || ", held by python (pid 7)".to_owned();
    let capability = || "7.5".to_owned();
    let image = |log: String| OpenError::NoImage {
        gpu: gpu(),
        name: quoted(),
        capability: capability(),
        failed: call(209),
        log: log.into(),
    };
    vec![
        OpenError::NoLibrary { library: "libcuda.so.1".to_owned(), why: quoted() },
        OpenError::TooOld { symbol: "cuLaunchKernelEx".to_owned() },
        OpenError::Mig { gpu: gpu(), name: quoted() },
        OpenError::ComputeMode { gpu: gpu(), mode: "prohibited".to_owned(), holders: held() },
        OpenError::Taken { gpu: gpu(), holders: held(), failed: call(46) },
        OpenError::TooOldGpu { gpu: gpu(), name: quoted(), capability: capability() },
        image(String::new()),
        image(quoted()),
        OpenError::Call(call(100)),
    ]
}

pub(super) fn note_facts() -> Vec<NoteFact> {
    let slower = |why| NoteFact::SlowerKernel {
        name: quoted(),
        capability: "9.0".to_owned(),
        cuda: "12.4".to_owned(),
        image: "sm_80".to_owned(),
        why,
    };
    let refused = |log| KernelFallback::Refused { failed: DriverCall::new("cuModuleLoadDataEx", 209), log };
    vec![
        NoteFact::MemoryTaken { mib: 4096, holders: ", held by python (pid 7)".to_owned() },
        NoteFact::LessMemory { got: 3, wanted: 4, holders: String::new() },
        NoteFact::OwnReadTakes { nanos: 700 },
        NoteFact::HostReadTakes { nanos: 1500 },
        NoteFact::NoDirectWay { peer: GPU },
        NoteFact::TooManyPeers { peer: GPU },
        NoteFact::ClockStaysLocked { why: ClockRefusal::Call { call: "x".to_owned(), code: 999 } },
        slower(refused(quoted())),
        slower(refused(String::new())),
        slower(KernelFallback::NoOwnImage),
        slower(KernelFallback::Asked),
        NoteFact::Words(quoted()),
    ]
}

pub(super) fn unproven() -> Vec<Unproven> {
    let words = quoted;
    vec![
        Unproven::Idle { what: "scratch".to_owned() },
        Unproven::NothingMoved { what: "#bytes 65536".to_owned() },
        Unproven::NothingBetweenGpus,
        Unproven::NothingChecked,
        Unproven::EndedBefore { line: "# Out of bounds values".to_owned(), words: None },
        Unproven::EndedBefore { line: "# Out of bounds values".to_owned(), words: Some(words()) },
        Unproven::Unfinished,
        Unproven::Skipped { words: words() },
        Unproven::AllSkipped,
        Unproven::AllWaived,
        Unproven::NotDone { words: words() },
        Unproven::StoppedEarly { words: words() },
        Unproven::NotStarted { words: words() },
        Unproven::AllSkipped.of("gpu/3"),
        Unproven::Words(words()),
    ]
}

pub(super) fn gaps() -> Vec<OutputGap> {
    let text = quoted;
    vec![
        OutputGap::Lacks { place: "jobs".to_owned(), key: "jobname".to_owned() },
        OutputGap::Empty { list: "jobs".to_owned() },
        OutputGap::NoNumber { text: text() },
        OutputGap::Unknown { text: text() },
        OutputGap::NoSuchPart { text: text() },
        OutputGap::EndedBefore { text: "Status:".to_owned() },
        OutputGap::OtherCount { wanted: 8, found: 7 },
        OutputGap::BrokenLine { line: text(), setting: "NCCL_DEBUG_FILE".to_owned() },
        OutputGap::Broken { error: text() },
        OutputGap::Words(text()),
    ]
}

pub(super) fn unreadables() -> Vec<Unreadable> {
    let fio = || "fio".to_owned();
    let expected = || "JSON `jobs`".to_owned();
    let exit = |meaning| Unreadable::Exit { title: fio(), meaning, words: Some(quoted()) };
    let mut all = vec![
        Unreadable::Endless,
        Unreadable::Form { title: fio(), expected: expected(), first: None },
        Unreadable::Form { title: fio(), expected: expected(), first: Some(quoted()) },
        Unreadable::Refused { title: fio(), words: quoted() },
        Unreadable::Exit { title: fio(), meaning: ExitMeaning::Resources, words: None },
        Unreadable::NotJson { error: quoted() },
        Unreadable::Words(quoted()),
    ];
    let meanings = [ExitMeaning::Arguments, ExitMeaning::Resources, ExitMeaning::NotHere, ExitMeaning::Untrusted];
    all.extend(meanings.map(exit));
    let place =
        |what| Unreadable::Place { title: fio(), what: Box::new(what), expected: expected(), first: Some(quoted()) };
    all.extend(gaps().into_iter().map(place));
    all
}
