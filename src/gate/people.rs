//! People: name, badge, role and PIN, in `keys/people.json`. A PIN lies there as its argon2id digest.
//!
//! `kiln-floor person` writes the file, also while a floor is served: it is read again when it has changed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use argon2::Argon2;
use kiln_disk as disk;
use kiln_floor::{Listed, Rights};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use super::authority::{self, AuthorityError};
use super::random::{self, hex};
use super::tls::sha256;

const SCHEMA: &str = "kiln.people/1";
const MOST: u64 = 1 << 20;
/// The shortest PIN. With five tries before a person is locked out, one in 200,000 guesses right.
const PIN_LEAST: usize = 6;
const PIN_MOST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub name: String,
    pub badge: String,
    pub role: Rights,
    salt: String,
    pin: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeopleFile {
    schema: String,
    people: Vec<Person>,
}

#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error("{}: {what}", .path.display())]
    File { path: PathBuf, what: String },
    #[error(transparent)]
    Keys(#[from] AuthorityError),
    #[error("a name has 1 to 40 letters, none of which is invisible, and a badge 1 to 80")]
    Name,
    #[error("a PIN has {PIN_LEAST} to {PIN_MOST} characters that are not all the same")]
    Pin,
    #[error("{0} is known already, by this name or badge; remove that person first")]
    Known(String),
    #[error("nobody is called {0}")]
    Nobody(String),
    #[error("the PIN cannot be kept: {0}")]
    Digest(String),
}

/// Everybody who may log in.
#[derive(Debug)]
pub struct People {
    path: PathBuf,
    read: Mutex<(Option<SystemTime>, Vec<Person>)>,
}

/// Names and badges as a scanner or a keyboard with wide letters gives them, with one space where there are many.
pub(crate) fn plain(text: &str) -> String {
    text.nfkc().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same, for a comparison.
fn same_letters(text: &str) -> String {
    plain(text).to_lowercase()
}

/// Whether a letter is not seen where a name is shown, so that two names could look alike.
pub(crate) fn is_unseen(letter: char) -> bool {
    // Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt, and the blank of Braille.
    let is_ignored = |letter| {
        matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
            || matches!(letter, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}')
            || matches!(letter, '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}')
            || matches!(letter, '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
    };
    letter.is_control() || is_ignored(letter)
}

fn digest(pin: &str, salt: &str) -> Result<String, PeopleError> {
    let mut bytes = [0; 32];
    let made = Argon2::default().hash_password_into(pin.as_bytes(), salt.as_bytes(), &mut bytes);
    made.map_err(|error| PeopleError::Digest(error.to_string()))?;
    Ok(hex(&bytes))
}

impl Person {
    /// What of a person stands in the floor's events: nothing that a PIN could be guessed by faster than at the door.
    fn listed(&self) -> Listed {
        let pin = format!("sha256:{}", sha256(format!("{}{}", self.salt, self.pin).as_bytes()));
        let pin = pin.parse().expect("hexadecimal digits after a name");
        Listed { name: self.name.clone(), badge: self.badge.clone(), rights: self.role, pin }
    }

    /// Whether this is the person's PIN. Takes a while by design.
    pub(crate) fn has(&self, pin: &str) -> bool {
        digest(pin, &self.salt).is_ok_and(|digest| random::same(&digest, &self.pin))
    }
}

/// Takes as long as a look at a PIN does, so that an unknown badge is not told by its speed.
pub(crate) fn take_as_long(pin: &str) {
    let _ = digest(pin, "0123456789abcdef");
}

impl People {
    pub fn open(data: &Path) -> Result<Self, PeopleError> {
        let path = authority::folder(data)?.join("people.json");
        let people = Self { path, read: Mutex::default() };
        people.all()?;
        Ok(people)
    }

    /// Everybody, as the file has it now.
    pub fn all(&self) -> Result<Vec<Person>, PeopleError> {
        let changed = match self.path.metadata().and_then(|found| found.modified()) {
            Ok(at) => at,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.wrong(&error)),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.0 != Some(changed) {
            let text = authority::read_secret(&self.path)?;
            if text.len() as u64 > MOST {
                return Err(self.wrong(&"it is longer than any list of people"));
            }
            let file: PeopleFile = serde_json::from_str(&text).map_err(|error| self.wrong(&error))?;
            if file.schema != SCHEMA {
                return Err(self.wrong(&format!("it says `{}` where this version knows `{SCHEMA}`", file.schema)));
            }
            *read = (Some(changed), file.people);
        }
        Ok(read.1.clone())
    }

    /// Everybody as the floor's events list them.
    pub(crate) fn listed(&self) -> Result<Vec<Listed>, PeopleError> {
        Ok(self.all()?.iter().map(Person::listed).collect())
    }

    fn wrong(&self, what: &dyn std::fmt::Display) -> PeopleError {
        PeopleError::File { path: self.path.clone(), what: what.to_string() }
    }

    pub(crate) fn by_badge(&self, badge: &str) -> Result<Option<Person>, PeopleError> {
        let badge = same_letters(badge);
        Ok(self.all()?.into_iter().find(|person| same_letters(&person.badge) == badge))
    }

    pub(crate) fn by_name(&self, name: &str) -> Result<Option<Person>, PeopleError> {
        Ok(self.all()?.into_iter().find(|person| person.name == name))
    }

    pub fn add(&self, name: &str, badge: &str, role: Rights, pin: &str) -> Result<(), PeopleError> {
        let (name, badge, pin) = (name.trim(), badge.trim(), pin.trim());
        let fits = |text: &str, most: usize| (1..=most).contains(&text.chars().count()) && !text.chars().any(is_unseen);
        if !fits(name, 40) || !fits(badge, 80) {
            return Err(PeopleError::Name);
        }
        let first = pin.chars().next();
        let one_letter = pin.chars().all(|letter| Some(letter) == first);
        if one_letter || !(PIN_LEAST..=PIN_MOST).contains(&pin.chars().count()) {
            return Err(PeopleError::Pin);
        }
        let mut people = self.all()?;
        let same = |one: &str, other: &str| same_letters(one) == same_letters(other);
        let same = |person: &Person| same(&person.name, name) || same(&person.badge, badge);
        if people.iter().any(same) {
            return Err(PeopleError::Known(name.to_owned()));
        }
        let salt = hex(&random::bytes::<16>().map_err(|error| PeopleError::Digest(error.to_string()))?);
        let pin = digest(pin, &salt)?;
        people.push(Person { name: name.to_owned(), badge: badge.to_owned(), role, salt, pin });
        self.write(people)
    }

    pub fn remove(&self, name: &str) -> Result<(), PeopleError> {
        let mut people = self.all()?;
        let before = people.len();
        people.retain(|person| person.name != name);
        if people.len() == before {
            return Err(PeopleError::Nobody(name.to_owned()));
        }
        self.write(people)
    }

    /// The whole file or none of it, for its owner alone from the beginning.
    fn write(&self, people: Vec<Person>) -> Result<(), PeopleError> {
        let file = PeopleFile { schema: SCHEMA.to_owned(), people };
        let text = serde_json::to_string_pretty(&file).map_err(|error| self.wrong(&error))?;
        disk::replace_secret(&self.path, text.as_bytes()).map_err(|error| self.wrong(&error))?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = (None, Vec::new());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_person_is_known_by_badge_and_pin_and_the_file_holds_neither_pin() {
        let dir = tempfile::tempdir().expect("a folder");
        let people = People::open(dir.path()).expect("none yet");
        people.add("sato", "B-0042", Rights::Operator, "493817").expect("added");
        let found = people.by_badge("ｂ-0042 ").expect("read").expect("sato, scanned with wide letters");
        assert!(found.name == "sato" && found.has("493817") && !found.has("493818") && !found.has(""));
        let text = std::fs::read_to_string(dir.path().join("keys/people.json")).expect("the file");
        assert!(!text.contains("493817"), "{text}");
        let mode = std::fs::metadata(dir.path().join("keys/people.json")).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "for its owner alone");
        for (name, badge) in [("SATO", "x"), ("mori", "b-0042")] {
            assert!(matches!(people.add(name, badge, Rights::Admin, "493817"), Err(PeopleError::Known(_))));
        }
        people.remove("sato").expect("removed");
        assert!(matches!(people.remove("sato"), Err(PeopleError::Nobody(_))));
        assert_eq!(people.by_badge("B-0042").expect("read"), None);
    }

    #[test]
    fn what_anybody_would_guess_is_no_pin() {
        let dir = tempfile::tempdir().expect("a folder");
        let people = People::open(dir.path()).expect("none yet");
        for pin in ["", "12345", "111111", &"9".repeat(40), &"12".repeat(40)] {
            assert!(matches!(people.add("sato", "b", Rights::Viewer, pin), Err(PeopleError::Pin)), "{pin}");
        }
        for (name, badge) in [("", "b"), ("sato\u{7}", "b"), ("sa\u{200b}to", "b"), ("sato", "")] {
            assert!(matches!(people.add(name, badge, Rights::Viewer, "493817"), Err(PeopleError::Name)), "{name}");
        }
    }

    #[test]
    fn another_program_that_writes_the_file_is_seen_and_a_damaged_one_lets_nobody_in() {
        let dir = tempfile::tempdir().expect("a folder");
        let people = People::open(dir.path()).expect("none yet");
        People::open(dir.path()).expect("the command").add("sato", "b", Rights::Viewer, "493817").expect("added");
        assert!(people.by_name("sato").expect("read").is_some());
        std::fs::write(dir.path().join("keys/people.json"), "{}").expect("damaged");
        assert!(matches!(People::open(dir.path()), Err(PeopleError::File { .. })));
    }
}
