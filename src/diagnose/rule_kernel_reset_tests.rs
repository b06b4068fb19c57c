//! Logs of firmware that is silent more than once: whether a reset was tried. What single logs of the field come to is seen in
//! whole runs, with the limits of the base profile.

use super::tests::found;
use kiln_event::Action;
use kiln_model::{Component, GpuIndex};

const SILENT: &str =
    "NVRM: Xid (PCI:0000:5d:00): 119, pid=77, name=x, Timeout after 6s of waiting for RPC response from GPU1 GSP!";
const FAILED: &str = "NVRM: Xid (PCI:0000:5d:00): 120, pid=77, name=x, GSP task exception: instruction page fault";

/// What a run asks for that found these lines.
fn asked(lines: &[&str]) -> Action {
    let gpu = Component::Gpu(GpuIndex(1));
    let findings = found(lines, &[("xid.failing", gpu)]);
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((finding.code.as_str(), finding.component), ("GPU-HANG", gpu));
    finding.action
}

#[test]
fn a_silent_system_processor_is_reset_and_replaced_only_where_it_came_back_after_it_had_answered_again() {
    let earlier = format!("before: {SILENT}");
    assert_eq!(asked(&[SILENT]), Action::ResetGpu);
    assert_eq!(asked(&[FAILED, SILENT]), Action::ResetGpu);
    assert_eq!(asked(&[&earlier]), Action::ResetGpu);
    assert_eq!(asked(&[&earlier, FAILED]), Action::ReplaceFru);
    let other = earlier.replace("5d", "18");
    let both = found(&[&other, SILENT], &[("xid.failing", Component::gpu(1))]);
    assert!(both.iter().all(|finding| finding.action != Action::ReplaceFru), "the other one was another GPU: {both:?}");
}
