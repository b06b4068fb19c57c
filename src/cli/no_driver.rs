//! Why this machine's GPUs could not be opened, in the language of the console.

use crate::node::nvml::NvmlOpenError;
use crate::report::Language;

/// What people without a driver most likely want.
const WITHOUT_GPUS: &str =
    "to run without GPUs, simulate a node: `--sim hgx-h200-8`; `kiln doctor` looks at this machine";

/// The whole message. In English the error's own words say it.
pub(super) fn told(language: Language, error: &NvmlOpenError) -> String {
    let is_missing = matches!(error, NvmlOpenError::LibraryMissing { .. });
    if language != Language::Japanese {
        return if is_missing { format!("error: {error}\n{WITHOUT_GPUS}") } else { format!("error: {error}") };
    }
    let words = japanese(error);
    if is_missing {
        return format!(
            "エラー: {words}\nGPUなしで試すにはノードをシミュレーションする: `--sim hgx-h200-8`。装置の確認は `kiln doctor`"
        );
    }
    format!("エラー: {words}")
}

fn japanese(error: &NvmlOpenError) -> String {
    match error {
        NvmlOpenError::LibraryMissing { library } => format!(
            "{library} がない。NVIDIAドライバー (パッケージ `libnvidia-ml1`、`nvidia-driver-*`、`nvidia-utils`) を入れるか、\
             `--nvml-lib` でファイルを指定する"
        ),
        NvmlOpenError::WrongArchitecture { library, detail } => format!(
            "{library} は別の種類のプロセッサー用である (`{detail}`)。`--nvml-lib` でこのプロセッサー用のライブラリを指定する"
        ),
        NvmlOpenError::Unloadable { library, detail } => format!(
            "{library} を読み込めない (`{detail}`)。`--nvml-lib` で別のファイルを指定するか、ドライバーを入れ直す"
        ),
        NvmlOpenError::SymbolMissing { library, symbol } => format!(
            "{library} が古すぎるか、NVIDIAの管理ライブラリではない: `{symbol}` がない。リリース535以降のドライバーが必要である"
        ),
        NvmlOpenError::DriverNotLoaded => {
            "NVIDIAのカーネルドライバーがロードされていない。`modprobe nvidia` でロードし、理由は `dmesg` で調べる".to_owned()
        }
        NvmlOpenError::NoPermission => {
            "GPUを使用する権限がない。rootで実行するか、/dev/nvidiactl と /dev/nvidia* をこの利用者に開放する".to_owned()
        }
        NvmlOpenError::VersionMismatch { library } => format!(
            "ロードされているNVIDIAのカーネルドライバーと {library} の版が異なる。再起動するか、nvidiaモジュールをロードし直して、\
             両方を同じインストールのものにする"
        ),
        NvmlOpenError::InitRefused { library, code, text } => {
            format!("{library} の初期化がコード {code} で拒否された (`{text}`)。ドライバーの記録を `dmesg` で調べる")
        }
        NvmlOpenError::InitHung { library, seconds } => format!(
            "{library} の初期化が {seconds} 秒以内に終わらない。GPUがドライバーを止めている可能性がある。`dmesg` を調べ、\
             リセットまたは再起動する"
        ),
        NvmlOpenError::NoGpus => {
            "ドライバーからGPUが見えない。バスから見えるかは `lspci -d 10de:`、ドライバーから見えない理由は `dmesg` で調べる"
                .to_owned()
        }
        NvmlOpenError::Vanished { index, count } => format!(
            "ドライバーはGPUを {count} 台数えたが、GPU {index} を開くときには消えていた。`dmesg` を調べ、台数が安定してから\
             やり直す"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_told_in_japanese_with_no_english_of_ours() {
        let library = || "libnvidia-ml.so.1".to_owned();
        let quoted = || "QUOTED".to_owned();
        let all = [
            NvmlOpenError::LibraryMissing { library: library() },
            NvmlOpenError::WrongArchitecture { library: library(), detail: quoted() },
            NvmlOpenError::Unloadable { library: library(), detail: quoted() },
            NvmlOpenError::SymbolMissing { library: library(), symbol: "nvmlInit_v2" },
            NvmlOpenError::DriverNotLoaded,
            NvmlOpenError::NoPermission,
            NvmlOpenError::VersionMismatch { library: library() },
            NvmlOpenError::InitRefused { library: library(), code: 999, text: quoted() },
            NvmlOpenError::InitHung { library: library(), seconds: 30 },
            NvmlOpenError::NoGpus,
            NvmlOpenError::Vanished { index: 7, count: 8 },
        ];
        for error in all {
            let told = told(Language::Japanese, &error);
            let outside: String = told.split('`').step_by(2).collect();
            let words: Vec<&str> = outside.split([' ', '。', '、', '(', ')']).collect();
            let is_word = |word: &&str| word.len() > 1 && word.chars().all(|letter| letter.is_ascii_lowercase());
            assert!(!words.windows(2).any(|pair| pair.iter().all(is_word)), "{told}");
            assert!(told.starts_with("エラー: ") && !told.contains(&error.to_string()), "{told}");
            assert!(super::told(Language::English, &error).starts_with(&format!("error: {error}")));
        }
    }
}
