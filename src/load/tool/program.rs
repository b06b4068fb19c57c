//! The programs that are known: the arguments that make them readable and tell their version, who reads their output.

use super::{dcgm, gpu_burn, host, nccl, network, nvbandwidth};
use crate::limit::{Measured, Measurement, Scalar};
use crate::model::{Component, Tool, Unit};

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

    /// The arguments that make it say its version and nothing else, where it has such.
    pub(super) const fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Self::DcgmDiag | Self::StressNg | Self::Fio | Self::Iperf3 | Self::IbWriteBw => &["--version"],
            Self::NvBandwidth | Self::NcclTests | Self::GpuBurn | Self::StressAppTest => &[],
        }
    }

    /// The version that stands in its output, for those that tell it nowhere else.
    pub(super) fn version_in(self, output: &str) -> Option<String> {
        let after = |start: &str, end: char| {
            let rest = &output[output.find(start)? + start.len()..];
            rest.split([end, '\n']).next().map(|version| version.trim().to_owned())
        };
        let version = match self {
            Self::NvBandwidth => after("\"version\": \"", '"').or_else(|| after("\"version\":\"", '"')),
            Self::NcclTests => after("nccl-tests version ", ' '),
            Self::StressAppTest => after("SAT revision ", ','),
            _ => None,
        };
        version.filter(|version| !version.is_empty())
    }

    /// What an exit code says of the program's own trouble, which is nothing against the unit.
    pub(super) const fn trouble(self, exit: i32) -> Option<&'static str> {
        match (self, exit) {
            (Self::StressNg, 1) => Some("it refused its arguments or could not set itself up"),
            (Self::StressNg, 3) => Some("it lacked the resources for a stressor"),
            (Self::StressNg, 4) => Some("it cannot run a stressor on this machine"),
            (Self::StressNg, 7) => Some("it does not trust its own figures"),
            _ => None,
        }
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
        let unreadable = |why| Unreadable { program: self.name(), exit, why, text: end_of(output) };
        let mut measured = read.map_err(unreadable)?;
        if measured.is_empty() {
            return Err(unreadable("there is no result in it".to_owned()));
        }
        let said = measured.iter().position(|one| one.name == "passed" && one.component == Component::Node);
        if said.is_none() || exit != 0 {
            said.map(|at| measured.remove(at));
            measured.push(verdict(&measured, exit));
        }
        Ok(measured)
    }
}

/// The verdict of a program that gives none of its own, or whose exit code is against it. One that skipped everything has
/// not passed.
fn verdict(measured: &[Measurement], exit: i32) -> Measurement {
    let failed = |one: &Measurement| one.value == Measured::Value(Scalar::Flag(false));
    if exit != 0 || measured.iter().any(failed) {
        return Measurement::flag("passed", Component::Node, false);
    }
    if measured.iter().any(|one| matches!(one.value, Measured::Value(_))) {
        return Measurement::flag("passed", Component::Node, true);
    }
    Measurement::missing("passed", Component::Node, Unit::One, "everything was skipped")
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
    use crate::profile::ValueKind;

    fn table(tool: Tool, output: &str, exit: i32) -> String {
        let line = |one: &Measurement| format!("{} {} = {}\n", one.component, one.name, one.shown());
        tool.read(output, exit).expect("readable").iter().map(line).collect()
    }

    #[test]
    fn dcgm_tells_each_test_of_each_gpu() {
        let text = include_str!("../../../fixtures/tools/dcgmi-diag.json");
        insta::assert_snapshot!(table(Tool::DcgmDiag, text, 226), @r#"
        gpu/0 software.passed = false
        gpu/1 software.passed = true
        gpu/0 pcie.passed = true
        gpu/1 pcie.passed = missing: skipped: ["not in the table"]
        node passed = false
        "#);
    }

    #[test]
    fn nvbandwidth_tells_each_way() {
        let text = include_str!("../../../fixtures/tools/nvbandwidth.json");
        insta::assert_snapshot!(table(Tool::NvBandwidth, text, 0), @"
        gpu/0/pcie host_to_device_memcpy_ce = 55.63 GB/s
        gpu/1/pcie host_to_device_memcpy_ce = 55.6 GB/s
        gpu/0-gpu/1 device_to_device_memcpy_read_ce = 276.07 GB/s
        gpu/1-gpu/0 device_to_device_memcpy_read_ce = 276.36 GB/s
        gpu/0/pcie host_device_latency_sm = 0.77258 µs
        gpu/1/pcie host_device_latency_sm = 0.7728 µs
        node multinode_device_to_device_memcpy_read_ce = missing: Waived
        node passed = true
        ");
    }

    #[test]
    fn nccl_tests_tell_the_same_in_both_their_forms() {
        let json = table(Tool::NcclTests, include_str!("../../../fixtures/tools/nccl-tests.json"), 0);
        let text = table(Tool::NcclTests, include_str!("../../../fixtures/tools/nccl-tests.txt"), 1);
        insta::assert_snapshot!(format!("{json}--\n{text}"), @"
        node message.size = 8589934592 B
        node algorithm.bandwidth = 274.5 GB/s
        node bus.bandwidth = 480.4 GB/s
        node wrong = 0
        node passed = true
        --
        node message.size = 8589934592 B
        node algorithm.bandwidth = 429.37 GB/s
        node bus.bandwidth = 846.82 GB/s
        node wrong = 3
        node passed = false
        ");
    }

    #[test]
    fn gpu_burn_is_believed_by_its_text_as_it_always_exits_with_zero() {
        insta::assert_snapshot!(table(Tool::GpuBurn, include_str!("../../../fixtures/tools/gpu-burn.txt"), 0), @"
        gpu/0 passed = true
        gpu/1 passed = false
        gpu/0 throughput = 6311 GFLOP/s
        gpu/0 errors = 0
        gpu/1 throughput = 6440 GFLOP/s
        gpu/1 errors = 524288000
        node passed = false
        ");
    }

    #[test]
    fn programs_of_the_host_are_read() {
        let stress = table(Tool::StressNg, include_str!("../../../fixtures/tools/stress-ng.yaml"), 0);
        let memory = table(Tool::StressAppTest, include_str!("../../../fixtures/tools/stressapptest.txt"), 0);
        let disk = table(Tool::Fio, include_str!("../../../fixtures/tools/fio.json"), 0);
        let net = table(Tool::Iperf3, include_str!("../../../fixtures/tools/iperf3.json"), 0);
        let rdma = table(Tool::IbWriteBw, include_str!("../../../fixtures/tools/ib_write_bw.txt"), 0);
        insta::assert_snapshot!([stress, memory, disk, net, rdma].join("--\n"), @"
        node cpu.operations = 291.34 Hz
        node cpu.time = 3.00337 s
        node vm.operations = 13766.3 Hz
        node vm.time = 3.02347 s
        node passed = true
        --
        node memory.bandwidth = 1006.91 MB/s
        node incidents = 0
        node errors = 0
        node passed = true
        --
        node t.read.bandwidth = 419.43 MB/s
        node t.read.operations = 3200 Hz
        node t.read.latency.p99 = 8093.7 µs
        node t.write.bandwidth = 417.047 MB/s
        node t.write.operations = 3181.82 Hz
        node t.write.latency.p99 = 80.384 µs
        node errors = 0
        node passed = true
        --
        node sent.bandwidth = 1.59512 GB/s
        node received.bandwidth = 1.58365 GB/s
        node retransmits = 2
        node passed = true
        --
        node 65536.peak.bandwidth = 49.218 GB/s
        node 65536.average.bandwidth = 49.2124 GB/s
        node passed = true
        ");
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
    fn a_run_in_which_everything_was_skipped_has_not_passed() {
        let text = r#"{"DCGM Diagnostic": {"test_categories": [{"category": "Hardware", "tests": [{"name": "memory",
            "results": [{"entity_group": "GPU", "entity_id": 0, "status": "Skip"}]}]}]}}"#;
        insta::assert_snapshot!(table(Tool::DcgmDiag, text, 0), @"
        gpu/0 memory.passed = missing: skipped: null
        node passed = missing: everything was skipped
        ");
    }

    #[test]
    fn everything_read_is_declared_by_its_check_in_the_same_unit() {
        let fixtures: [(Tool, &str, &str); 10] = [
            (Tool::DcgmDiag, "tool.dcgmi", include_str!("../../../fixtures/tools/dcgmi-diag.json")),
            (Tool::NvBandwidth, "tool.nvbandwidth", include_str!("../../../fixtures/tools/nvbandwidth.json")),
            (Tool::NcclTests, "tool.nccl", include_str!("../../../fixtures/tools/nccl-tests.json")),
            (Tool::NcclTests, "tool.nccl", include_str!("../../../fixtures/tools/nccl-tests.txt")),
            (Tool::GpuBurn, "tool.gpu-burn", include_str!("../../../fixtures/tools/gpu-burn.txt")),
            (Tool::StressNg, "tool.stress-ng", include_str!("../../../fixtures/tools/stress-ng.yaml")),
            (Tool::StressAppTest, "tool.stressapptest", include_str!("../../../fixtures/tools/stressapptest.txt")),
            (Tool::Fio, "tool.fio", include_str!("../../../fixtures/tools/fio.json")),
            (Tool::Iperf3, "tool.iperf3", include_str!("../../../fixtures/tools/iperf3.json")),
            (Tool::IbWriteBw, "tool.ib-write-bw", include_str!("../../../fixtures/tools/ib_write_bw.txt")),
        ];
        for (tool, check, text) in fixtures {
            let spec = crate::check::find(check).expect("the check of the tool").spec();
            assert_eq!(spec.param("program").and_then(|param| param.default), Some(tool.name()));
            for measured in tool.read(text, 0).expect("readable") {
                let declared = spec.measurement(&measured.name).map(|declared| (declared.unit, declared.kind));
                let kind = match measured.value {
                    Measured::Value(Scalar::Flag(_)) => ValueKind::Flag,
                    Measured::Value(_) => ValueKind::Number,
                    // What is missing has no value to be of another unit.
                    _ => continue,
                };
                assert_eq!(declared, Some((measured.unit, kind)), "{check}: {}", measured.name);
            }
        }
    }

    #[test]
    fn versions_stand_in_the_output_of_some() {
        let version = |tool: Tool, text| tool.version_in(text).unwrap_or_default();
        let table = [
            version(Tool::NvBandwidth, include_str!("../../../fixtures/tools/nvbandwidth.json")),
            version(Tool::StressAppTest, include_str!("../../../fixtures/tools/stressapptest.txt")),
            version(Tool::NcclTests, "# nccl-tests version 2.17.6 nccl-headers=22807\n"),
            version(Tool::NcclTests, include_str!("../../../fixtures/tools/nccl-tests.json")),
        ];
        assert_eq!(table, ["v0.8", "1.0.6_autoconf", "2.17.6", ""]);
    }

    #[test]
    fn arguments_stay_a_list() {
        let wanted = ["-r".to_owned(), "3; rm -rf /".to_owned()];
        assert_eq!(Tool::DcgmDiag.arguments(&wanted), ["diag", "-j", "-r", "3; rm -rf /"]);
    }
}
