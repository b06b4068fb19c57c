//! Statistics over many runs: with nothing kept beside the runs (cold), and again (warm).

use std::fmt::Write as _;

use crate::measure;

/// Makes so many runs of different units and has the commands on lots look at them.
pub(crate) fn table(runs: usize) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let lot = folder.path().join("lot");
    for seed in 1..=runs {
        let run = lot.join(format!("{seed:04}"));
        let seed = seed.to_string();
        let made = ["run", "acceptance", "--sim", "hgx-h200-8", "--seed", &seed, "--out", &run.display().to_string()];
        measure(1, &made, None);
        // Only the journal counts; reports and telemetry of a thousand runs are gigabytes.
        for file in std::fs::read_dir(&run).expect("a run").map(|entry| entry.expect("an entry").path()) {
            if file.is_dir() {
                std::fs::remove_dir_all(file).expect("removed");
            } else if file.file_name().is_some_and(|name| name != "journal.jsonl") {
                std::fs::remove_file(file).expect("removed");
            }
        }
    }
    let (named, facts) = (lot.display().to_string(), folder.path().join("facts.json").display().to_string());
    let commands: [(&str, &[&str]); 3] = [
        ("stats", &["stats", &named]),
        ("lot build", &["lot", "build", &named, "--out", &facts]),
        ("rejudge", &["rejudge", &named, "--profile", "acceptance"]),
    ];
    let mut text =
        format!("| over {runs} runs of `acceptance` | cold | warm | peak resident |\n| --- | --- | --- | --- |\n");
    for (name, arguments) in commands {
        let state = Some(folder.path());
        let ((cold, _), (warm, peak)) = (measure(1, arguments, state), measure(3, arguments, state));
        let (cold, warm) = (cold.as_secs_f64(), warm.as_secs_f64());
        let _ = writeln!(text, "| `kiln {name}` | {cold:.2} s | {warm:.2} s | {} MiB |", peak / 1024);
    }
    text
}
