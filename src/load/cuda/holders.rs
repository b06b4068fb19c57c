//! Who else has a GPU open, by the files that processes hold: the driver itself does not tell.

use std::fs;
use std::path::Path;

/// The processes that hold the device file of a GPU, as words to follow a sentence: `, held by python (pid 4711)`. Empty
/// where there is none or it cannot be seen.
pub(crate) fn holders(pci: &str) -> String {
    let found = find(Path::new("/proc"), pci);
    if found.is_empty() { String::new() } else { format!(", held by {}", found.join(", ")) }
}

fn find(proc: &Path, pci: &str) -> Vec<String> {
    let Some(device) = device_file(proc, pci) else { return Vec::new() };
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for process in fs::read_dir(proc).into_iter().flatten().flatten() {
        let pid = process.file_name().to_string_lossy().into_owned();
        if pid == own || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let holds = files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target == Path::new(&device));
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            found.push(format!("{} (pid {pid})", name.trim()));
        }
    }
    found.sort();
    found
}

/// `/dev/nvidiaN`, from the driver's own list: its folders are named by PCI address in lower case.
fn device_file(proc: &Path, pci: &str) -> Option<String> {
    let information = proc.join("driver/nvidia/gpus").join(pci.to_lowercase()).join("information");
    let text = fs::read_to_string(information).ok()?;
    let minor = text.lines().find_map(|line| line.strip_prefix("Device Minor:"))?;
    Some(format!("/dev/nvidia{}", minor.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_holds_the_gpu_is_named() {
        let proc = tempfile::tempdir().unwrap();
        let folder = |path: &str| {
            let path = proc.path().join(path);
            fs::create_dir_all(&path).unwrap();
            path
        };
        fs::write(folder("driver/nvidia/gpus/0000:17:00.0").join("information"), "Model: H200\nDevice Minor: \t 3\n")
            .unwrap();
        for (pid, name, device) in
            [("71", "python", "/dev/nvidia3"), ("72", "sshd", "/dev/null"), ("73", "hostengine", "/dev/nvidia4")]
        {
            fs::write(folder(pid).join("comm"), format!("{name}\n")).unwrap();
            std::os::unix::fs::symlink(device, folder(&format!("{pid}/fd")).join("5")).unwrap();
        }
        assert_eq!(find(proc.path(), "0000:17:00.0"), ["python (pid 71)"]);
        assert_eq!(find(proc.path(), "0000:18:00.0"), [""; 0]);
    }
}
