//! The programs that are known: their names, the arguments that make them readable, who reads their output.

use super::{dcgm, gpu_burn, host, nccl, network, nvbandwidth};
use crate::limit::Measurement;
use crate::model::Component;

/// A program whose output is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    DcgmDiag,
    NvBandwidth,
    NcclTests,
    GpuBurn,
    StressNg,
    StressAppTest,
    Fio,
    Iperf3,
    IbWriteBw,
}

/// Output that does not say what it should, with the output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the output of {program} (exit code {exit}) is not understood: {why}; it said:\n{text}")]
pub struct Unreadable {
    pub program: &'static str,
    pub exit: i32,
    pub why: String,
    pub text: String,
}

/// Longest output that is kept; its end, which is where programs say what went wrong.
const KEPT: usize = 16 * 1024;

impl Tool {
    pub const ALL: [Self; 9] = [
        Self::DcgmDiag,
        Self::NvBandwidth,
        Self::NcclTests,
        Self::GpuBurn,
        Self::StressNg,
        Self::StressAppTest,
        Self::Fio,
        Self::Iperf3,
        Self::IbWriteBw,
    ];

    /// The program's usual name.
    pub const fn program(self) -> &'static str {
        match self {
            Self::DcgmDiag => "dcgmi",
            Self::NvBandwidth => "nvbandwidth",
            Self::NcclTests => "all_reduce_perf",
            Self::GpuBurn => "gpu_burn",
            Self::StressNg => "stress-ng",
            Self::StressAppTest => "stressapptest",
            Self::Fio => "fio",
            Self::Iperf3 => "iperf3",
            Self::IbWriteBw => "ib_write_bw",
        }
    }

    /// The arguments as a list, never a line for a shell: those wanted, and those that make the output readable.
    pub fn arguments(self, wanted: &[String]) -> Vec<String> {
        let (first, last): (&[&str], &[&str]) = match self {
            Self::DcgmDiag => (&["diag", "-j"], &[]),
            Self::NvBandwidth => (&["-j"], &[]),
            // Its report goes to a file; this one is its standard output.
            Self::NcclTests => (&[], &["-J", "/dev/stdout"]),
            Self::StressNg => (&[], &["--metrics", "--yaml", "/dev/stdout"]),
            Self::Fio => (&["--output-format=json"], &[]),
            Self::Iperf3 => (&["-J"], &[]),
            Self::GpuBurn | Self::StressAppTest | Self::IbWriteBw => (&[], &[]),
        };
        let own = |arguments: &[&str]| arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
        [own(first), wanted.to_vec(), own(last)].concat()
    }

    /// Reads what the program printed. Its verdict, where it gives one, is the measurement `passed`; an exit code that
    /// tells of failure makes it false whatever the text says.
    pub fn read(self, output: &str, exit: i32) -> Result<Vec<Measurement>, Unreadable> {
        let read = match self {
            Self::DcgmDiag => dcgm::read(output),
            Self::NvBandwidth => nvbandwidth::read(output),
            Self::NcclTests => nccl::read(output),
            Self::GpuBurn => gpu_burn::read(output),
            Self::StressNg => host::stress_ng(output),
            Self::StressAppTest => host::stressapptest(output),
            Self::Fio => host::fio(output),
            Self::Iperf3 => network::iperf3(output),
            Self::IbWriteBw => network::ib_write_bw(output),
        };
        let unreadable = |why| Unreadable { program: self.program(), exit, why, text: end_of(output) };
        let mut measured = read.map_err(unreadable)?;
        if measured.is_empty() {
            return Err(unreadable("there is no result in it".to_owned()));
        }
        let said = measured.iter().position(|one| one.name == "passed" && one.component == Component::Node);
        let passed = |flag| Measurement::flag("passed", Component::Node, flag);
        match said {
            Some(at) if exit != 0 => measured[at] = passed(false),
            Some(_) => {}
            None => measured.push(passed(exit == 0)),
        }
        Ok(measured)
    }
}

fn end_of(output: &str) -> String {
    let mut from = output.len().saturating_sub(KEPT);
    while !output.is_char_boundary(from) {
        from += 1;
    }
    output[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(tool: Tool, output: &str, exit: i32) -> String {
        let line = |one: &Measurement| format!("{} {} = {}\n", one.component, one.name, one.shown());
        tool.read(output, exit).expect("readable").iter().map(line).collect()
    }

    #[test]
    fn dcgm_tells_each_test_of_each_gpu() {
        let text = include_str!("../../../fixtures/tools/dcgmi-diag.json");
        insta::assert_snapshot!(table(Tool::DcgmDiag, text, 226), @"");
    }

    #[test]
    fn nvbandwidth_tells_each_way() {
        let text = include_str!("../../../fixtures/tools/nvbandwidth.json");
        insta::assert_snapshot!(table(Tool::NvBandwidth, text, 0), @"");
    }

    #[test]
    fn nccl_tests_tell_the_same_in_both_their_forms() {
        let json = table(Tool::NcclTests, include_str!("../../../fixtures/tools/nccl-tests.json"), 0);
        let text = table(Tool::NcclTests, include_str!("../../../fixtures/tools/nccl-tests.txt"), 1);
        insta::assert_snapshot!(format!("{json}--\n{text}"), @"");
    }

    #[test]
    fn gpu_burn_is_believed_by_its_text_as_it_always_exits_with_zero() {
        insta::assert_snapshot!(table(Tool::GpuBurn, include_str!("../../../fixtures/tools/gpu-burn.txt"), 0), @"");
    }

    #[test]
    fn programs_of_the_host_are_read() {
        let stress = table(Tool::StressNg, include_str!("../../../fixtures/tools/stress-ng.yaml"), 0);
        let memory = table(Tool::StressAppTest, include_str!("../../../fixtures/tools/stressapptest.txt"), 0);
        let disk = table(Tool::Fio, include_str!("../../../fixtures/tools/fio.json"), 0);
        let net = table(Tool::Iperf3, include_str!("../../../fixtures/tools/iperf3.json"), 0);
        let rdma = table(Tool::IbWriteBw, include_str!("../../../fixtures/tools/ib_write_bw.txt"), 0);
        insta::assert_snapshot!([stress, memory, disk, net, rdma].join("--\n"), @"");
    }

    #[test]
    fn a_bad_exit_code_outweighs_a_good_text() {
        let text = include_str!("../../../fixtures/tools/stressapptest.txt");
        assert!(table(Tool::StressAppTest, text, 1).contains("node passed = false"));
    }

    #[test]
    fn output_that_says_nothing_is_an_error_that_keeps_the_text() {
        for tool in Tool::ALL {
            for text in ["", "Segmentation fault\n", "{}", "[1, 2", "null"] {
                let error = tool.read(text, 139).expect_err("nothing was measured");
                assert!(error.text == text && error.exit == 139 && !error.why.is_empty(), "{tool:?} {text:?}");
            }
        }
    }

    #[test]
    fn a_program_that_says_it_could_not_run_is_not_read_as_measured() {
        let refused = Tool::Iperf3.read(r#"{"start": {}, "end": {}, "error": "unable to connect to server"}"#, 1);
        let fatal = Tool::DcgmDiag.read(r#"{"DCGM Diagnostic": {"version": "4", "runtime_error": "no GPUs"}}"#, 255);
        let why = |result: Result<_, Unreadable>| result.map(|_: Vec<Measurement>| ()).unwrap_err().why;
        assert_eq!((why(refused).as_str(), why(fatal).as_str()), ("unable to connect to server", "no GPUs"));
    }

    #[test]
    fn arguments_stay_a_list() {
        let wanted = ["-r".to_owned(), "3; rm -rf /".to_owned()];
        assert_eq!(Tool::DcgmDiag.arguments(&wanted), ["diag", "-j", "-r", "3; rm -rf /"]);
    }
}
