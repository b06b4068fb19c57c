//! Inlet air as the kernel's hardware monitors show it. Most baseboards keep it to their controller, and their fans as well:
//! nothing of a chassis fan is read here, since no check could judge it.

use std::path::Path;

use super::source::{entries, name, parsed, text};
use kiln_model::Reading;

/// The inlet temperature, where a sensor is labelled as that. The warmest, if several are.
pub fn inlet_celsius(root: &Path) -> Reading<f64> {
    let found = monitored(root, |monitor, file| {
        let number = file.strip_prefix("temp")?.strip_suffix("_label")?;
        let label = text(&monitor.join(file)).value()?.to_ascii_lowercase();
        if !["inlet", "ambient", "intake"].iter().any(|word| label.contains(word)) {
            return None;
        }
        Some(parsed(text(&monitor.join(format!("temp{number}_input"))), |text| text.parse::<i32>().ok()))
    });
    match found {
        Reading::Value(found) => {
            let warmest = found.iter().filter_map(Reading::get).max();
            warmest.map_or(Reading::Unsupported, |millidegrees| Reading::Value(f64::from(millidegrees) / 1e3))
        }
        Reading::Unsupported => Reading::Unsupported,
        Reading::Failed(failure) => Reading::Failed(failure),
    }
}

/// What `read` makes of the files of all monitors.
fn monitored<T>(root: &Path, read: impl Fn(&Path, &str) -> Option<T>) -> Reading<Vec<T>> {
    entries(&root.join("sys/class/hwmon")).map(|monitors| {
        let files = monitors.iter().flat_map(|monitor| {
            entries(monitor).value().cloned().unwrap_or_default().into_iter().map(move |file| (monitor, name(&file)))
        });
        files.filter_map(|(monitor, file)| read(monitor, &file)).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_inlet_is_one_only_if_its_label_says_so() {
        let root = tempfile::tempdir().expect("folder");
        let monitor = root.path().join("sys/class/hwmon/hwmon3");
        fs::create_dir_all(&monitor).expect("folder");
        let files = [("name", "acpi\n"), ("temp1_label", "CPU\n"), ("temp1_input", "61000\n")];
        for (file, text) in files {
            fs::write(monitor.join(file), text).expect("file");
        }
        assert_eq!(inlet_celsius(root.path()), Reading::Unsupported);
        fs::write(monitor.join("temp2_label"), "Front Inlet\n").expect("file");
        fs::write(monitor.join("temp2_input"), "24500\n").expect("file");
        assert_eq!(inlet_celsius(root.path()), Reading::Value(24.5));
    }
}
