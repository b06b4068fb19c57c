//! Why a load failed, and why a program's output says nothing. In English the fault's own message says it.

use crate::language::Language;
use kiln_model::{LoadFault, ProgramAbsent, Unreadable, WorkerBreach, cuda_error};

/// Why a load failed.
pub(crate) fn load_fault(language: Language, fault: &LoadFault) -> String {
    if language == Language::English {
        return fault.to_string();
    }
    match fault {
        LoadFault::Driver { call, code, holders } => {
            let (meaning, held) = (cuda_error::meaning(*code).1, holders.trim_start_matches(", held by "));
            let held = if held.is_empty() { String::new() } else { format!("、使用中のプロセス: {held}") };
            format!("`{call}` が失敗した: {meaning} (CUDAエラー {code}){held}")
        }
        LoadFault::Hung { what, after } => {
            format!("GPU上の処理 `{what}` が {} 秒以内に終わらない", after.as_secs_f64())
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

fn breach(why: &WorkerBreach) -> String {
    match why {
        WorkerBreach::DidNotComeUp { after } => format!("{} 秒以内に起動しなかった", after.as_secs()),
        WorkerBreach::DidNotGetReady { after } => format!("{} 秒以内に準備が終わらなかった", after.as_secs()),
        WorkerBreach::Silent { after } => format!("{} 秒間応答がなかった", after.as_secs()),
        WorkerBreach::Protocol(what) => format!("通信規約に反した `{what}`"),
    }
}

fn written(wrote: &str) -> String {
    if wrote.is_empty() { String::new() } else { format!("。出力: {wrote}") }
}

/// Where a program was looked for in vain.
pub(super) fn absent(language: Language, said: &ProgramAbsent) -> String {
    match said {
        _ if language == Language::English => said.to_string(),
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

/// Why a program's output says nothing of the unit.
pub(super) fn unreadable(language: Language, why: &Unreadable) -> String {
    let seen = |first: &Option<String>| match first {
        Some(line) => format!("先頭の行: `{line}`"),
        None => "出力なし".to_owned(),
    };
    match why {
        _ if language == Language::English => why.to_string(),
        Unreadable::Endless => "出力が際限なく続いたため停止した".to_owned(),
        Unreadable::Form { title, expected, first } => {
            format!("{title} のどの既知の版の出力とも異なる (想定: `{expected}`)。{}", seen(first))
        }
        Unreadable::Place { title, what, expected, first } => {
            format!("{title} の出力に想定外の内容がある: `{what}` (想定: `{expected}`)。{}", seen(first))
        }
        Unreadable::Refused { title, words } => format!("{title} が試験を行わなかった: `{words}`"),
        Unreadable::Words(words) => words.clone(),
    }
}
