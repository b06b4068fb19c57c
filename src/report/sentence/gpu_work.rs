//! What a GPU was given to do, and where a result was wrong. In English the fact's own message says it.

use crate::language::Language;
use kiln_model::{Endpoint, GpuWork, ReadAgain, WrongCell, WrongPlace};

/// The work that a load waited for in vain.
pub(super) fn gpu_work(language: Language, work: &GpuWork) -> String {
    let words = match work {
        _ if language != Language::Japanese => return work.to_string(),
        GpuWork::Kernel { name } => return format!("カーネル `{name}`"),
        GpuWork::March { algorithm } => return format!("メモリ試験 `{algorithm}`"),
        GpuWork::StreamBegins => "メモリ連続アクセスの最初の書込み",
        GpuWork::Stream => "負荷と並行するメモリ連続アクセス",
        GpuWork::EmptyLog => "誤りの記録の消去",
        GpuWork::WritePattern => "コピー元のデータの書込み",
        GpuWork::Copies => "コピー",
        GpuWork::CopyIn => "GPUへのコピー",
        GpuWork::CopyOut => "GPUからのコピー",
        GpuWork::CopyWithin => "GPU内のコピー",
        GpuWork::Compare { from } => return format!("{}からのコピーの照合", end(*from)),
        GpuWork::Checksum => "チェックサムの計算",
        GpuWork::PointerChase => "読出し時間の測定",
        GpuWork::Words(words) => return format!("`{words}`"),
    };
    words.to_owned()
}

/// Where a result was wrong.
pub(crate) fn wrong_place(language: Language, place: &WrongPlace) -> String {
    match place {
        _ if language != Language::Japanese => place.to_string(),
        WrongPlace::Sm { sm, unit: None } => format!("SM {sm}"),
        WrongPlace::Sm { sm, unit: Some(unit) } => format!("SM {sm} (ユニット {unit})"),
        WrongPlace::SmAlone { sm, agree, units } => {
            format!("SM {sm} ({units} ユニット中 {agree} ユニットの結果と不一致)")
        }
        WrongPlace::Stream { byte } => format!("メモリ連続アクセスの {byte:#x}"),
        WrongPlace::Chunk { chunk, cell: None } => format!("メモリ領域 {chunk}"),
        WrongPlace::Chunk { chunk, cell: Some(WrongCell { byte, bits, again }) } => {
            let again = match again {
                ReadAgain::Right => "再読出しでは正しく、転送の誤り",
                ReadAgain::Wrong => "再読出しでも誤り",
            };
            format!("メモリ領域 {chunk} の {byte:#x} (ビット {bits:#x}、{again})")
        }
        WrongPlace::CopyFrom { from, byte } => format!("{}からのコピーの {byte:#x}", end(*from)),
        WrongPlace::CopyToHost { byte } => format!("ホストへのコピーの {byte:#x}"),
        WrongPlace::Words(words) => words.clone(),
    }
}

fn end(end: Endpoint) -> String {
    match end {
        Endpoint::Host => "ホスト".to_owned(),
        Endpoint::Gpu(gpu) => format!("gpu/{}", gpu.0),
    }
}
