//! Finds the file a program's name stands for. Starting it is left to `launch`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use kiln_model::ProgramAbsent;

/// The file to run. A name without a slash is looked for in the directories of `path`, as a shell would.
pub(super) fn find(program: &str, directory: Option<&Path>, path: Option<&OsStr>) -> Result<PathBuf, ProgramAbsent> {
    if program.contains('/') {
        // As typed in the profile, it is a place seen from where the program is to run.
        let file = directory.map_or_else(|| PathBuf::from(program), |directory| directory.join(program));
        return if runs(&file) { Ok(file) } else { Err(ProgramAbsent::NoProgram { path: file.display().to_string() }) };
    }
    let directories: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    let found = directories.iter().map(|directory| directory.join(program)).find(|file| runs(file));
    found.ok_or_else(|| ProgramAbsent::NotInPath {
        program: program.to_owned(),
        directories: directories.iter().map(|directory| directory.display().to_string()).collect(),
    })
}

fn runs(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_the_path_and_a_file_where_it_is() {
        let path = Some(OsStr::new("/nonexistent:/bin"));
        assert_eq!(find("sh", None, path), Ok(PathBuf::from("/bin/sh")));
        assert_eq!(find("/bin/sh", None, None), Ok(PathBuf::from("/bin/sh")));
        assert_eq!(find("./sh", Some(Path::new("/bin")), None), Ok(PathBuf::from("/bin/./sh")));
        let why = [
            find("no-such-tool", None, path).unwrap_err(),
            find("/etc/passwd", None, None).unwrap_err(),
            find("/bin", None, None).unwrap_err(),
        ];
        insta::assert_snapshot!(why.map(|why| why.to_string()).join("\n"), @"
        `no-such-tool` is not installed: it is in no directory of PATH (/nonexistent, /bin); install it, or name its file under `program`
        /etc/passwd is no program that can be run
        /bin is no program that can be run
        ");
    }
}
