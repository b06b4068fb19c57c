//! What is known of one program: its check, the arguments that make its output readable, and what reads that output.

use super::output::{Output, Told, Unread, Verdict, first_line, shortened};
use kiln_limit::Measurement;
use kiln_limit::Missing;
use kiln_model::{Component, Tool, Unit, Unproven, Unreadable};
use kiln_profile::CheckSpec;

/// One known program. Each stands in a file of its own and is a row of [`super::adapter()`].
#[derive(Debug)]
pub struct Adapter {
    pub(super) tool: Tool,
    /// What people call it; the file that runs may have another name.
    pub(super) title: &'static str,
    pub(crate) spec: CheckSpec,
    /// Arguments that go before and after those of the profile.
    pub(super) first: &'static [&'static str],
    pub(super) last: &'static [&'static str],
    /// Arguments that make it say its version and nothing else; empty where it has none.
    pub(super) version: &'static [&'static str],
    /// Where its output tells the version: behind one of the texts, up to the character.
    pub(super) version_in: (&'static [&'static str], char),
    /// What its output is known by: keys and lines of its own in backticks, `/` between those of different forms. No words of
    /// ours, so that it is the same in every language.
    pub(super) expected: &'static str,
    /// Whether these arguments leave the choice of GPUs to the program, which then tests all of them.
    pub(super) takes_every_gpu: fn(&[String]) -> bool,
    pub(super) read: fn(&Output<'_>) -> Result<Told, Unread>,
}

/// What CUDA says where a program met an error of memory or of a link that could not be corrected: by name (`cuGetErrorName`,
/// the runtime's) and in words (`cuGetErrorString`, of errors 214 and 220). Whatever else became of the program, that is proof.
const BROKEN_PART: &[&str] = &[
    "CUDA_ERROR_ECC_UNCORRECTABLE",
    "cudaErrorECCUncorrectable",
    "uncorrectable ECC error encountered",
    "CUDA_ERROR_NVLINK_UNCORRECTABLE",
    "cudaErrorNvlinkUncorrectable",
    "uncorrectable NVLink error detected",
];

/// For a program that tests no GPUs, or does not tell them apart.
pub(super) const fn names_no_gpu(_: &[String]) -> bool {
    false
}

impl Adapter {
    /// The arguments as a list, never a line for a shell: those wanted, and those that make the output readable.
    pub fn arguments(&self, wanted: &[String]) -> Vec<String> {
        let own = |arguments: &[&str]| arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
        [own(self.first), wanted.to_vec(), own(self.last)].concat()
    }

    /// What its check declares.
    pub const fn check(&'static self) -> &'static CheckSpec {
        &self.spec
    }

    pub const fn version_arguments(&self) -> &'static [&'static str] {
        self.version
    }

    /// The version that stands in its output, for those that tell it nowhere else.
    pub fn version_told(&self, output: &str) -> Option<String> {
        let (starts, end) = self.version_in;
        let rest = starts.iter().find_map(|start| Some(&output[output.find(start)? + start.len()..]))?;
        let version = rest.split([end, '\n']).next().map(|version| version.trim().to_owned());
        version.filter(|version| !version.is_empty())
    }

    /// Reads what the program printed. Its verdict is the measurement `passed` of the node: true only where the output
    /// proves it and the exit code does not speak against it. What the program itself says of a failure is `failure`.
    pub fn read(&self, output: &Output<'_>) -> Result<Vec<Measurement>, Unreadable> {
        // Whatever else became of the program, these words prove that a part is broken.
        let broken = output.words(BROKEN_PART).map(|words| Verdict::Failed(words.to_owned()));
        let told = match ((self.read)(output), &broken) {
            (Ok(told), _) => told,
            (Err(_), Some(broken)) => Told::new(Vec::new(), broken.clone()),
            (Err(why), None) => return Err(why.told(self.title, self.expected, first_line(output))),
        };
        let verdict = match (told.verdict, broken) {
            (Verdict::Failed(words), _) => Verdict::Failed(words),
            (_, Some(broken)) => broken,
            // Its text says that all is well, and its exit code does not: a crash, somebody's hand or trouble of its own, but no
            // verdict. Where an exit code alone is one, the program's own reader knows it.
            (Verdict::Passed, None) if output.exit != 0 => Verdict::Unproven(Unproven::Words(output.bad_exit())),
            (other, None) => other,
        };
        let mut measured = told.measured;
        match verdict {
            Verdict::Passed => measured.push(Measurement::flag("passed", Component::Node, true)),
            Verdict::Failed(words) => {
                measured.push(Measurement::flag("passed", Component::Node, false));
                measured.push(Measurement::text("failure", Component::Node, shortened(&words)));
            }
            Verdict::Unproven(why) => {
                measured.push(Measurement::missing(
                    "passed",
                    Component::Node,
                    Unit::One,
                    Missing::Program(why.shortened(&shortened)),
                ));
            }
        }
        if !told.warnings.is_empty() {
            let warnings = shortened(&told.warnings.join("; "));
            measured.push(Measurement::text("warning", Component::Node, warnings));
        }
        Ok(measured)
    }
}
