//! Parts of the host that were there when the run began and no longer are.
//!
//! A drive or interface that drops out under load needs no parts list to be missed: the run's own first inventory is one.

use super::sheet::{Gauged, Sheet};
use kiln_limit::Missing;
use kiln_model::{Component, Host, Nic, Nvme, Psu, Reading};

/// What the host has lost since the run began; no parts list is needed to see that.
pub(super) fn put_gone(sheet: &mut Sheet<'_>, before: &Host, now: &Host) {
    let names = |nics: &Vec<Nic>| nics.iter().map(|nic| nic.name.clone()).collect();
    let drives = |nvmes: &Vec<Nvme>| nvmes.iter().map(|nvme| format!("{} {}", nvme.name, nvme.serial)).collect();
    sheet.put("nics.gone", Component::Node, gone(before.nics.as_ref().map(names), now.nics.as_ref().map(names)));
    sheet.put("nvmes.gone", Component::Node, gone(before.nvmes.as_ref().map(drives), now.nvmes.as_ref().map(drives)));
    let counted = |count: usize| (0..count).map(|nth| nth.to_string()).collect::<Vec<String>>();
    let modules = |dimms: u16| counted(usize::from(dimms));
    sheet.put("dimms.gone", Component::Node, gone(before.dimms.map(modules), now.dimms.map(modules)));
    let supplies = |psus: &Vec<Psu>| counted(psus.len());
    sheet.put("psus.gone", Component::Node, gone(before.psus.as_ref().map(supplies), now.psus.as_ref().map(supplies)));
}

fn gone(before: Reading<Vec<String>>, now: Reading<Vec<String>>) -> Gauged {
    match (before, now) {
        (Reading::Value(before), Reading::Value(now)) => {
            Gauged::count(before.iter().filter(|one| !now.contains(one)).count())
        }
        (Reading::Unsupported, _) => Gauged::Unsupported,
        (Reading::Value(_), Reading::Unsupported) => Gauged::Missing(Missing::NoLongerOffered),
        (Reading::Failed(why), _) | (_, Reading::Failed(why)) => Gauged::Missing(Missing::Read(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::ReadingFailure;

    fn read(names: &[&str]) -> Reading<Vec<String>> {
        Reading::Value(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn what_is_away_is_counted_and_what_was_added_is_not() {
        assert_eq!(gone(read(&["a", "b", "c"]), read(&["d", "c", "a"])), Gauged::count(1));
        assert_eq!(gone(read(&["a"]), read(&["a", "b"])), Gauged::count(0));
    }

    #[test]
    fn what_could_be_read_and_no_longer_can_is_missing_and_what_never_could_is_unsupported() {
        assert!(matches!(gone(read(&["a"]), Reading::Unsupported), Gauged::Missing(_)));
        assert!(matches!(gone(read(&["a"]), Reading::Failed(ReadingFailure::Timeout)), Gauged::Missing(_)));
        assert_eq!(gone(Reading::Unsupported, read(&["a"])), Gauged::Unsupported);
    }
}
