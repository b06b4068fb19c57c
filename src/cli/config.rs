//! Settings of a station that need not be typed for every run: `schema: kiln.config/1`, read from the file that is named, or
//! from the user's file over the machine's.
//!
//! The command line wins over the environment, the environment over these files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::args::Color;
use super::command_error::{CommandError, Sorted as _};
use super::restart::RestartCommands;
use crate::disk::{self, MIB};
use crate::report::Languages;
use crate::yaml::{Diagnostic, Diagnostics, Document, Fields};

/// What `schema:` says in such a file.
const SCHEMA: &str = "kiln.config/1";

/// The file of the whole machine.
const OF_THE_MACHINE: &str = "/etc/kiln/config.yaml";

/// What a station sets once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Config {
    pub station: Option<String>,
    pub lang: Option<Languages>,
    /// The folder under which runs are put whose own is not named.
    pub runs: Option<PathBuf>,
    pub color: Option<Color>,
    /// What starts the machine anew.
    pub restarts: RestartCommands,
}

impl Config {
    /// Reads the named file, which must be there, or the two usual ones as far as they are.
    pub(super) fn read(named: Option<&Path>) -> Result<Self, CommandError> {
        if let Some(path) = named {
            let bytes = disk::read(path, MIB).with_context(|| format!("{} cannot be read", path.display())).usage()?;
            return Ok(Self::parse(&path.display().to_string(), &bytes)?);
        }
        let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let user = home("XDG_CONFIG_HOME").or_else(|| Some(home("HOME")?.join(".config")));
        let files = [user.map(|folder| folder.join("kiln/config.yaml")), Some(PathBuf::from(OF_THE_MACHINE))];
        files.into_iter().flatten().try_fold(Self::default(), |known, path| Ok(known.over(Self::optional(&path)?)))
    }

    /// A file that may be missing; one that is there and cannot be read is told, for its settings would be missed in silence.
    fn optional(path: &Path) -> Result<Self, CommandError> {
        match disk::read(path, MIB) {
            Ok(bytes) => Ok(Self::parse(&path.display().to_string(), &bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            // Who may not look into another's home has no settings there.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && path != Path::new(OF_THE_MACHINE) => {
                Ok(Self::default())
            }
            Err(error) => Err(CommandError::Usage(
                anyhow!(error).context(format!("{} cannot be read; mend or remove it", path.display())),
            )),
        }
    }

    /// Every setting from here, or from `other` where there is none.
    fn over(self, other: Self) -> Self {
        Self {
            station: self.station.or(other.station),
            lang: self.lang.or(other.lang),
            runs: self.runs.or(other.runs),
            color: self.color.or(other.color),
            restarts: self.restarts.over(other.restarts),
        }
    }

    fn parse(name: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let document = Document::parse(name, bytes)?;
        let mut all = Diagnostics::new();
        let mut config = Self::default();
        if let Some(mut fields) = Fields::of(&document.root, "a file of settings", &mut all) {
            fields.schema(SCHEMA, &mut all);
            let mut text = |key| {
                let node = fields.optional(key, &mut all)?;
                let text = node.text(&mut all)?;
                if text.trim().is_empty() {
                    all.push(Diagnostic::new(&node.place, "this is empty").help("fill it in, or leave the line out"));
                    return None;
                }
                Some((node, text.to_owned()))
            };
            config.station = text("station").map(|(_, station)| station);
            config.runs = text("runs").map(|(_, folder)| PathBuf::from(folder));
            config.restarts.reboot = text("reboot").map(|(_, command)| command);
            config.restarts.power_cycle = text("power-cycle").map(|(_, command)| command);
            if let Some(node) = fields.optional("lang", &mut all) {
                config.lang = node.parse_with(str::parse::<Languages>, &mut all);
            }
            if let Some(node) = fields.optional("color", &mut all) {
                let words = [("auto", Color::Auto), ("always", Color::Always), ("never", Color::Never)];
                config.color = node.one_of("choice of colour", &words, &mut all);
            }
            fields.finish(&mut all);
        }
        all.or(Some(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Config, String> {
        Config::parse("config.yaml", text.as_bytes()).map_err(|errors| errors.render(false))
    }

    #[test]
    fn a_file_sets_station_language_folder_and_colour() {
        let config =
            parsed("schema: kiln.config/1\nstation: ST-7\nlang: ja,en\nruns: /srv/runs\ncolor: never\n").unwrap();
        assert_eq!(config.station.as_deref(), Some("ST-7"));
        assert_eq!(config.lang, Some("ja,en".parse().unwrap()));
        assert_eq!((config.runs, config.color), (Some(PathBuf::from("/srv/runs")), Some(Color::Never)));
    }

    #[test]
    fn a_file_names_the_commands_that_start_the_machine_anew_and_without_them_there_are_none() {
        let config = parsed("schema: kiln.config/1\nreboot: systemctl reboot\npower-cycle: cycle-me now\n").unwrap();
        let (reboot, power_cycle) = (Some("systemctl reboot".to_owned()), Some("cycle-me now".to_owned()));
        assert_eq!(config.restarts, RestartCommands { reboot, power_cycle });
        assert_eq!(parsed("schema: kiln.config/1\n").unwrap().restarts, RestartCommands::default());
        assert!(parsed("schema: kiln.config/1\nreboot: \"\"\n").unwrap_err().contains("this is empty"));
    }

    #[test]
    fn the_users_file_wins_over_the_machines_setting_by_setting() {
        let user = parsed("schema: kiln.config/1\nstation: A\n").unwrap();
        let machine = parsed("schema: kiln.config/1\nstation: B\nlang: ja\n").unwrap();
        let both = user.over(machine);
        assert_eq!((both.station.as_deref(), both.lang), (Some("A"), Some("ja".parse().unwrap())));
    }

    #[test]
    fn unknown_keys_words_and_schemas_are_refused_with_their_place_all_at_once() {
        let errors = parsed("schema: kiln.config/2\nstatoin: A\nlang: fr\ncolor: blue\n").unwrap_err();
        for part in
            ["config.yaml:1:9", "`kiln.config/1`", "did you mean `station`", "config.yaml:3:7", "config.yaml:4:8"]
        {
            assert!(errors.contains(part), "{part} is not in:\n{errors}");
        }
        assert!(parsed("schema: kiln.config/1\nruns: \"\"\n").unwrap_err().contains("this is empty"));
        assert!(parsed("station: A\n").unwrap_err().contains("needs `schema`"));
    }
}
