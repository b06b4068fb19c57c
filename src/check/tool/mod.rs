//! Programs of other people as checks. Each known program is one file: its name, its arguments, what reads its output, and
//! what its check declares. [`adapter()`] is their table.
//!
//! Reading is a function of text. Starting programs and hearing what they print is left to the load adapters, which order
//! the arguments here and give the output back.

mod adapter;
pub(super) mod custom;
pub(super) mod dcgmi;
mod dcgmi_text;
mod declared;
pub(super) mod fio;
pub(super) mod gpu_burn;
pub(super) mod ib_write_bw;
pub(super) mod iperf3;
pub(super) mod nccl;
pub(super) mod nvbandwidth;
mod output;
mod program;
pub(super) mod stress_ng;
pub(super) mod stressapptest;

use kiln_model::Tool;

pub use adapter::Adapter;
pub use output::{Output, Unread};

/// What is known of a program.
pub fn adapter(tool: Tool) -> &'static Adapter {
    match tool {
        Tool::DcgmDiag => &dcgmi::ADAPTER,
        Tool::NvBandwidth => &nvbandwidth::ADAPTER,
        Tool::NcclTests => &nccl::ADAPTER,
        Tool::GpuBurn => &gpu_burn::ADAPTER,
        Tool::StressNg => &stress_ng::ADAPTER,
        Tool::StressAppTest => &stressapptest::ADAPTER,
        Tool::Fio => &fio::ADAPTER,
        Tool::Iperf3 => &iperf3::ADAPTER,
        Tool::IbWriteBw => &ib_write_bw::ADAPTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_program_is_a_row_and_a_check_under_its_own_name() {
        for tool in Tool::ALL {
            let known = adapter(tool);
            assert_eq!(known.tool, tool);
            let spec = crate::find(known.spec.name).expect("a check").spec();
            assert_eq!(spec.param("program").and_then(|param| param.default), Some(tool.name()));
        }
    }

    #[test]
    fn what_an_output_is_known_by_has_no_words_of_ours() {
        for tool in Tool::ALL {
            let outside: String = adapter(tool).expected.split('`').step_by(2).collect();
            assert!(!outside.contains(|letter: char| letter.is_ascii_lowercase()), "{tool:?}: {outside}");
        }
    }

    #[test]
    fn arguments_stay_a_list() {
        let wanted = ["-r".to_owned(), "3; rm -rf /".to_owned()];
        assert_eq!(adapter(Tool::DcgmDiag).arguments(&wanted), ["diag", "-j", "-r", "3; rm -rf /"]);
        assert_eq!(adapter(Tool::StressNg).arguments(&[]), ["--metrics", "--yaml", "/dev/stdout"]);
        // A report of nccl-tests goes to a file that must be new: there is none on a pipe.
        assert_eq!(adapter(Tool::NcclTests).arguments(&wanted[..1]), ["-r"]);
    }

    #[test]
    fn an_output_that_says_nothing_is_an_error_in_plain_words() {
        for tool in Tool::ALL {
            for text in ["", "Segmentation fault\n", "{}", "[1, 2", "null"] {
                let output = Output { stdout: text, stderr: "", exit: 139, args: &[] };
                let error = adapter(tool).read(&output).expect_err("nothing was measured").to_string();
                let first = text.lines().next().map_or("it printed nothing".to_owned(), |line| format!("`{line}`"));
                assert!(error.contains(adapter(tool).title), "{tool:?}: {error}");
                assert!(error.contains(&first) || error.contains("Segmentation fault"), "{tool:?} {text:?}: {error}");
            }
        }
    }
}
