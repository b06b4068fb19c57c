//! Fans and inlet air as the kernel's hardware monitors show them. Most baseboards keep both to their controller.

use std::path::Path;

use super::source::{entries, name, parsed, text};
use kiln_model::Reading;

/// One fan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FanSpeed {
    /// The monitor's name and the fan's label or number.
    pub name: String,
    pub rpm: u32,
}

/// Every fan of every monitor.
pub fn fans(root: &Path) -> Reading<Vec<FanSpeed>> {
    let found = monitored(root, |monitor, file| {
        let number = file.strip_prefix("fan")?.strip_suffix("_input")?;
        let rpm = text(&monitor.join(file)).value()?.parse().ok()?;
        let label = text(&monitor.join(format!("fan{number}_label"))).value().cloned();
        let owner = text(&monitor.join("name")).value().cloned().unwrap_or_else(|| name(monitor));
        Some(FanSpeed { name: format!("{owner} {}", label.unwrap_or_else(|| number.to_owned())), rpm })
    });
    some(found)
}

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

/// None at all is not a list of none: the machine shows nothing of the kind.
fn some<T>(found: Reading<Vec<T>>) -> Reading<Vec<T>> {
    match found {
        Reading::Value(list) if list.is_empty() => Reading::Unsupported,
        other => other,
    }
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
        let files =
            [("name", "acpi\n"), ("temp1_label", "CPU\n"), ("temp1_input", "61000\n"), ("fan2_input", "9800\n")];
        for (file, text) in files {
            fs::write(monitor.join(file), text).expect("file");
        }
        assert_eq!(inlet_celsius(root.path()), Reading::Unsupported);
        fs::write(monitor.join("temp2_label"), "Front Inlet\n").expect("file");
        fs::write(monitor.join("temp2_input"), "24500\n").expect("file");
        assert_eq!(inlet_celsius(root.path()), Reading::Value(24.5));
        assert_eq!(fans(root.path()), Reading::Value(vec![FanSpeed { name: "acpi 2".to_owned(), rpm: 9800 }]));
    }

    #[test]
    fn a_machine_that_shows_no_fan_has_not_none() {
        let root = tempfile::tempdir().expect("folder");
        fs::create_dir_all(root.path().join("sys/class/hwmon")).expect("folder");
        assert_eq!(fans(root.path()), Reading::Unsupported);
    }
}
