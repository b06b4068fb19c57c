//! Why a load failed, and what it notes. In English the fact's own message says it.

use super::gpu_work::gpu_work;
use super::program::words_after;
use crate::language::Language;
use kiln_model::{
    ClockRefusal, DriverCall, KernelFallback, LoadFault, NoteFact, OpenError, ProgramAbsent, WorkerBreach, cuda_error,
};

/// Why a load failed.
pub(crate) fn load_fault(language: Language, fault: &LoadFault) -> String {
    if language != Language::Japanese {
        return fault.to_string();
    }
    match fault {
        LoadFault::Driver { failed, holders } => format!("{}{}", call(failed), held(holders)),
        LoadFault::Open(why) => unopened(why),
        LoadFault::NoChunk { mib, holders } => {
            format!("メモリが不足している: 空きの {mib} MiB から一つの領域も確保できない{}", held(holders))
        }
        LoadFault::NoFp8 { gpu, image } => {
            format!("{gpu} の {image} にはFP8のカーネルがない。`bf16` で負荷をかける")
        }
        LoadFault::LittleSharedMemory { gpu, kernel } => format!("{gpu} の共有メモリが {kernel} には足りない"),
        LoadFault::NoMajority { gpu, agree, units } => {
            format!("{gpu} の計算結果が半数以上一致しない: {units} 個のうち {agree} 個だけが一致")
        }
        LoadFault::NeedsTwoGpus => "GPU間のコピーには2台のGPUが必要である".to_owned(),
        LoadFault::BadOrder { what } => format!("負荷の指示を実行できない: `{what}`"),
        LoadFault::ClockNotHeld(why) => format!("SMクロックを固定できない: {}", unheld(why)),
        LoadFault::Hung { what, after } => {
            let what = gpu_work(language, what);
            format!("GPU上の処理が {} 秒以内に終わらない: {what}", after.as_secs_f64())
        }
        LoadFault::NoWorker { error } => format!("負荷プロセスを起動できない: {error}"),
        LoadFault::NoWorkers => "負荷プロセスを一つも起動できない".to_owned(),
        LoadFault::WorkerKilled { why, wrote } => {
            format!("負荷プロセスを強制終了した: {}{}", breach(why), written(wrote))
        }
        LoadFault::WorkerStayed { wrote } => {
            format!("負荷プロセスがパイプを閉じたまま終わらず、終了させた{}", written(wrote))
        }
        LoadFault::WorkerLeft { code, wrote } => {
            format!("負荷プロセスが終了コード {code} で終わった{}", written(wrote))
        }
        LoadFault::WorkerCrashed { signal, wrote } => {
            format!("負荷プロセスがシグナル {signal} で異常終了した{}", written(wrote))
        }
        LoadFault::WorkerPanicked { message } => format!("負荷プロセスの内部エラー: {message}"),
        LoadFault::LeaseLost { after } => {
            format!("試験プログラムから {} 秒間連絡がなく、負荷プロセスが停止した", after.as_secs())
        }
        LoadFault::NoDirectory { path } => format!("実行するディレクトリ {path} がない"),
        LoadFault::Absent(said) => absent(language, said),
        LoadFault::NotStarted { path, error } => format!("{path} を起動できない: {error}"),
        LoadFault::NoInterpreter { path } => {
            format!("{path} を起動できない: インタープリターまたはローダーがこの装置にない")
        }
        LoadFault::NoPrograms => "シミュレーションのノードではプログラムを実行できない".to_owned(),
        LoadFault::Rebooted => "ノードが再起動した".to_owned(),
        LoadFault::RecordedAtRest { gpu, from } => {
            format!("{from} 以降、記録にgpu/{}の負荷がない", gpu.0)
        }
        LoadFault::RecordedIdle { gpus } => format!("この時刻の記録に {} の負荷がない", super::gpus(gpus)),
        LoadFault::RecordingOver => "記録が終わっており、これ以降の負荷がない".to_owned(),
        LoadFault::ReadingsOnly => "記録には読み取り値しかなく、コピー・書込み・実行はできない".to_owned(),
        LoadFault::Words(words) => words.clone(),
    }
}

fn unheld(why: &ClockRefusal) -> String {
    match why {
        ClockRefusal::NotPermitted => "rootの権限が必要である。kilnをrootで実行する".to_owned(),
        ClockRefusal::NotOffered => "このGPUまたはドライバーにはその設定がない".to_owned(),
        ClockRefusal::NoLibrary { library, why } => {
            format!("NVIDIAの管理ライブラリー {library} を開けない: {why}")
        }
        ClockRefusal::Call { call, code } => format!("{call} が失敗した (NVMLエラー {code})"),
        ClockRefusal::NoHolder { error } => format!("クロックを元に戻すプロセスを起動できない: {error}"),
    }
}

/// What a load noted.
pub(crate) fn note_fact(language: Language, note: &NoteFact) -> String {
    match note {
        _ if language != Language::Japanese => note.to_string(),
        NoteFact::MemoryTaken { mib, holders } => {
            format!("メモリ試験の開始前に {mib} MiB が使用されている{}", held(holders))
        }
        NoteFact::LessMemory { got, wanted, holders } => {
            format!("{wanted} MiB のうち {got} MiB しか確保できない{}", held(holders))
        }
        NoteFact::ClockStaysLocked { why } => {
            format!("SMクロックが固定されたままである。`nvidia-smi -rgc` で元に戻す: {}", unheld(why))
        }
        NoteFact::OwnReadTakes { nanos } => format!("自身のメモリの読出しに {nanos} ns かかる"),
        NoteFact::HostReadTakes { nanos } => format!("ホストのメモリの読出しに {nanos} ns かかる"),
        NoteFact::NoDirectWay { peer } => format!("gpu/{} への直接の経路がなく、ホスト経由でコピーする", peer.0),
        NoteFact::TooManyPeers { peer } => {
            format!("ドライバーが gpu/{} への直接の経路をこれ以上開けず、ホスト経由でコピーする", peer.0)
        }
        NoteFact::SlowerKernel { name, capability, cuda, image, why } => format!(
            "{name} (Compute Capability {capability}、ドライバーのCUDA {cuda}): {image} のカーネルを使用し、本来より遅い: {}",
            fallback(why)
        ),
        NoteFact::Words(words) => words.clone(),
    }
}

fn fallback(why: &KernelFallback) -> String {
    match why {
        KernelFallback::Refused { failed, log } => {
            format!("最適なカーネルイメージが拒否された: {}{}", call(failed), words_after(Some(log)))
        }
        KernelFallback::NoOwnImage => "このアーキテクチャー専用のカーネルイメージがない".to_owned(),
        KernelFallback::Asked => "代替のカーネルイメージが指定された".to_owned(),
    }
}

fn unopened(why: &OpenError) -> String {
    match why {
        OpenError::NoLibrary { library, why } => format!(
            "NVIDIAドライバーのライブラリ {library} を開けない: `{why}`。ドライバーを入れるか、KILN_CUDA_LIBでライブラリを指定する"
        ),
        OpenError::TooOld { symbol } => {
            format!("NVIDIAドライバーが古すぎる: ライブラリに {symbol} がない。リリース535以降を入れる")
        }
        OpenError::Mig { gpu, name } => {
            format!("{gpu} ({name}) のMIGが有効で、GPU全体を使えない。`nvidia-smi -i ID -mig 0` で無効にする")
        }
        OpenError::ComputeMode { gpu, mode, holders } => {
            format!("{gpu} の計算モードが `{mode}` になっている{}。`nvidia-smi -i ID -c 0` で既定に戻す", held(holders))
        }
        OpenError::Taken { gpu, holders, failed } => {
            format!("{gpu} を使用できない{}: {}", held(holders), call(failed))
        }
        OpenError::TooOldGpu { gpu, name, capability } => {
            format!("{gpu} ({name}) のCompute Capabilityが {capability} で、カーネルには8.0以上が必要である")
        }
        OpenError::NoImage { gpu, name, capability, failed, log } => format!(
            "{gpu} ({name}、Compute Capability {capability}) で動作するカーネルイメージがない: {}{}",
            call(failed),
            words_after(Some(log))
        ),
        OpenError::Call(failed) => call(failed),
    }
}

fn call(failed: &DriverCall) -> String {
    let DriverCall { call, code } = failed;
    format!("`{call}` が失敗した: {} (CUDAエラー {code})", cuda_error::meaning(*code).1)
}

/// The other processes on a GPU, from the end of an English sentence.
fn held(holders: &str) -> String {
    let held = holders.trim_start_matches(", held by ");
    if held.is_empty() { String::new() } else { format!("、使用中のプロセス: {held}") }
}

fn breach(why: &WorkerBreach) -> String {
    match why {
        WorkerBreach::DidNotComeUp { after } => format!("{} 秒以内に起動しなかった", after.as_secs()),
        WorkerBreach::DidNotGetReady { after } => format!("{} 秒以内に準備が終わらなかった", after.as_secs()),
        WorkerBreach::Silent { after } => format!("{} 秒間応答がなかった", after.as_secs()),
        WorkerBreach::EndlessLine => "終わりのない行を書いた".to_owned(),
        WorkerBreach::HalfLine { half } => format!("行の途中で終わった `{half}`"),
        WorkerBreach::Floods { most } => format!("1秒間に {most} 件を超えるメッセージを送った"),
        WorkerBreach::OtherVersion { theirs, ours } => {
            format!("プロトコルの版が {theirs} で、この kiln の版は {ours}。同じ kiln を入れる")
        }
        WorkerBreach::BadLine { excerpt } => format!("解釈できない行を書いた `{excerpt}`"),
        WorkerBreach::SpokeEarly => "最初の挨拶の前にメッセージを送った".to_owned(),
        WorkerBreach::OutOfTurn { message } => format!("順序に反したメッセージを送った `{message}`"),
        WorkerBreach::Protocol(what) => format!("通信規約に反した `{what}`"),
    }
}

fn written(wrote: &str) -> String {
    if wrote.is_empty() { String::new() } else { format!("。出力: {wrote}") }
}

/// Where a program was looked for in vain.
pub(super) fn absent(language: Language, said: &ProgramAbsent) -> String {
    match said {
        _ if language != Language::Japanese => said.to_string(),
        ProgramAbsent::NotInPath { program, directories } => {
            let directories = directories.join(", ");
            format!(
                "`{program}` がインストールされていない: PATHのディレクトリ ({directories}) にない。インストールするか、\
                 `program` でファイルを指定する"
            )
        }
        ProgramAbsent::NoProgram { path } => format!("{path} は実行できるプログラムではない"),
        ProgramAbsent::Words(words) => words.clone(),
    }
}
