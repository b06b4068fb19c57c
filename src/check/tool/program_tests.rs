//! What a program is run with, when it is heard, and what its end comes to.

use std::collections::BTreeMap;

use super::*;
use crate::find;
use crate::rig::{defaults, inventory};
use crate::{Check, Want};
use kiln_model::{LoadId, LoadReport, NoteFact, NoteKind, Unproven};
use kiln_profile::ParamValue;

/// Feeds a check with messages of a load, one per second, and returns what it wanted in words, its end last.
fn story(check: &str, params: &[(&str, ParamValue)], said: &[LoadSaid]) -> String {
    let check: &dyn Check = find(check).expect("a check");
    let mut all = defaults(check.spec());
    all.0.insert("args".to_owned(), ParamValue::Texts(vec!["-t".to_owned(), "3 s".to_owned()]));
    all.0.extend(params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let (inventory, skus) = (inventory(2), BTreeMap::new());
    let lost = BTreeMap::from([(GpuIndex(1), Moment::from_secs(7))]);
    let context = StepContext {
        components: &[Component::Node],
        params: &all,
        inventory: &inventory,
        skus: &skus,
        every: Span::from_secs(1),
        first_counters: None,
        kernel: &[],
        sources: &[],
        lost: &lost,
        began: Moment::ZERO,
        resting_links: &std::collections::BTreeSet::new(),
    };
    let mut run = check.begin(&context);
    let mut wants = Wants::default();
    run.observe(&context, Moment::ZERO, Seen::Began, &mut wants);
    for (second, said) in (1..).zip(said) {
        let at = Moment::from_secs(second);
        // This note stands for the deadline.
        let late =
            *said == LoadSaid::Noted { gpu: None, kind: NoteKind::Plain, what: NoteFact::Words("late".to_owned()) };
        let report = LoadReport { load: LoadId(1), at, said: said.clone() };
        run.observe(&context, at, if late { Seen::Woken } else { Seen::Load(&report) }, &mut wants);
    }
    wants.drain().map(|want| told(&want)).collect::<Vec<_>>().join("\n")
}

fn told(want: &Want) -> String {
    let lines = |measured: &[Measurement]| {
        let line = |one: &Measurement| format!("\n  {} {} {:?}", one.component, one.name, crate::rig::told(one));
        measured.iter().map(line).collect::<String>()
    };
    match want {
        Want::StartLoad { kind: LoadKind::Program(order), gpus, span } => {
            format!("run {} {:?} on {} GPUs for {span:?}", order.program, order.args, gpus.len())
        }
        Want::End(Done::Measured(measured)) => format!("measured{}", lines(measured)),
        Want::End(Done::Failed { why, measured }) => {
            format!("failed, {}: {why:?}{}", why.kind().word(), lines(measured))
        }
        Want::WakeAt(at) => format!("wake at {at}"),
        other => format!("{other:?}"),
    }
}

fn found() -> LoadSaid {
    LoadSaid::Program(ProgramSaid::Found { path: "/usr/bin/x".to_owned(), version: Some("x 1.0".to_owned()) })
}

fn printed(text: &str) -> LoadSaid {
    LoadSaid::Program(ProgramSaid::Printed(text.to_owned()))
}

fn exited(code: i32) -> LoadSaid {
    LoadSaid::Program(ProgramSaid::Exited { code })
}

fn ended(end: LoadEnd) -> LoadSaid {
    LoadSaid::Ended { gpu: None, end }
}

#[test]
fn what_a_program_measures_is_told_with_the_evidence() {
    let value = |name: &str, component, value| ProgramValue {
        name: name.to_owned(),
        component,
        unit: if name == "throughput" { Unit::Gigaflops } else { Unit::One },
        value,
    };
    let number = |value| ProgramNumber::Number { value, samples: 1 };
    let said = [
        found(),
        LoadSaid::Running,
        exited(0),
        printed("Tested 2 "),
        printed("GPUs\n"),
        LoadSaid::Program(ProgramSaid::Measured(vec![
            value("throughput", Component::gpu(0), number(6311.0)),
            value("passed", Component::gpu(0), ProgramNumber::Flag(true)),
        ])),
        LoadSaid::Program(ProgramSaid::Measured(vec![
            value("throughput", Component::gpu(1), number(6311.0)),
            value("passed", Component::Node, ProgramNumber::Missing(Missing::Program(Unproven::AllSkipped))),
        ])),
        ended(LoadEnd::Finished),
    ];
    insta::assert_snapshot!(story("tool.gpu-burn", &[], &said), @r#"
    Enter { phase: Measuring, until: None }
    run gpu_burn ["-t", "3 s"] on 2 GPUs for Some(600s)
    Enter { phase: Measuring, until: Some(Moment(602000000000)) }
    wake at 00:10:02
    measured
      gpu/0 throughput "6311 GFLOP/s"
      gpu/0 passed "true"
      gpu/1 throughput "missing: GpuLost { at: Moment(7000000000) }"
      node passed "missing: Program(AllSkipped)"
      node program "/usr/bin/x"
      node version "x 1.0"
      node output "Tested 2 GPUs\n"
      node exit-code "0"
    "#);
}

#[test]
fn a_program_that_chooses_its_gpus_itself_has_to_tell_of_all_of_them() {
    let cell = |component| ProgramValue {
        name: "device_local_copy".to_owned(),
        component,
        unit: Unit::GigabytePerSecond,
        value: ProgramNumber::Number { value: 2100.0, samples: 1 },
    };
    let passed = |cells: &[Component]| {
        let well = ProgramNumber::Flag(true);
        let verdict =
            ProgramValue { name: "passed".to_owned(), component: Component::Node, unit: Unit::One, value: well };
        let values = cells.iter().copied().map(cell).chain([verdict]).collect();
        let said = [exited(0), LoadSaid::Program(ProgramSaid::Measured(values)), ended(LoadEnd::Finished)];
        let told = story("tool.nvbandwidth", &[], &said);
        told.lines().find(|line| line.contains("node passed")).map(str::to_owned)
    };
    let one = passed(&[Component::Pcie(GpuIndex(0))]);
    assert!(one.as_ref().is_some_and(|line| line.contains("SilentOn { gpus: [GpuIndex(1)] }")), "{one:?}");
    let (from, to) = (GpuIndex(0), GpuIndex(1));
    for all in [vec![Component::Pcie(from), Component::Pcie(to)], vec![Component::Pair(from, to)]] {
        assert_eq!(passed(&all).as_deref().map(str::trim), Some("node passed \"true\""));
    }
}

#[test]
fn what_says_nothing_of_the_unit_is_our_trouble_with_the_text() {
    let absent =
        || LoadSaid::Program(ProgramSaid::NotInstalled(ProgramAbsent::Words("`fio` is not installed".to_owned())));
    let failed = || ended(LoadEnd::Failed("it is not there".to_owned().into()));
    let unreadable =
        || LoadSaid::Program(ProgramSaid::Unreadable(Unreadable::Words("expected value at line 1".to_owned())));
    let late = || LoadSaid::Noted { gpu: None, kind: NoteKind::Plain, what: NoteFact::Words("late".to_owned()) };
    let skip = ("not-installed", ParamValue::Text("skip".to_owned()));
    let table = [
        story("tool.fio", &[], &[absent(), failed()]),
        story("tool.fio", &[skip], &[absent(), failed()]),
        story("tool.fio", &[], &[exited(1), printed("oops\n"), unreadable(), ended(LoadEnd::Finished)]),
        story("tool.fio", &[], &[exited(0), unreadable(), ended(LoadEnd::Finished)]),
        story("tool.fio", &[], &[LoadSaid::Running, late(), printed("half"), ended(LoadEnd::Stopped)]),
        story("tool.fio", &[], &[ended(LoadEnd::Failed("the worker crashed".to_owned().into()))]),
        story("tool.run", &[], &[]),
        story("tool.run", &[("values", ParamValue::Texts(vec!["Iops: 3".to_owned()]))], &[]),
    ];
    insta::assert_snapshot!(table.join("\n\n"), @r#"
    Enter { phase: Measuring, until: None }
    run fio ["-t", "3 s"] on 0 GPUs for Some(600s)
    failed, not-installed: NotInstalled { said: Words("`fio` is not installed") }

    Enter { phase: Measuring, until: None }
    run fio ["-t", "3 s"] on 0 GPUs for Some(600s)
    End(NotApplicable { why: NotApplicable { said: Words("`fio` is not installed") } })

    Enter { phase: Measuring, until: None }
    run fio ["-t", "3 s"] on 0 GPUs for Some(600s)
    failed, unreadable: Program { program: "fio", trouble: Unreadable { exit: Some(1), why: Words("expected value at line 1"), printed: Some("oops") } }
      node output "oops\n"

    Enter { phase: Measuring, until: None }
    run fio ["-t", "3 s"] on 0 GPUs for Some(600s)
    failed, unreadable: Program { program: "fio", trouble: Unreadable { exit: Some(0), why: Words("expected value at line 1"), printed: None } }

    Enter { phase: Measuring, until: None }
    run fio ["-t", "3 s"] on 0 GPUs for Some(600s)
    Enter { phase: Measuring, until: Some(Moment(601000000000)) }
    wake at 00:10:01
    StopLoads
    failed, timeout: Program { program: "fio", trouble: Overdue { after: 600s, printed: Some("half") } }
      node output "half"

    Enter { phase: Measuring, until: None }
    run fio ["-t", "3 s"] on 0 GPUs for Some(600s)
    failed, load: Program { program: "fio", trouble: Ended(Failed(Words("the worker crashed"))) }

    failed, parameter: Parameter(NoProgram)

    failed, parameter: Parameter(Value("Iops: 3"))
    "#);
}

#[test]
fn long_output_is_quoted_from_its_end() {
    let said = [
        printed(&"x".repeat(5000)),
        LoadSaid::Program(ProgramSaid::Unreadable(Unreadable::Words("no".to_owned()))),
        ended(LoadEnd::Finished),
    ];
    let quoted = story("tool.iperf3", &[], &said);
    let quoted = quoted.lines().find(|line| line.starts_with("failed")).expect("a failure");
    assert!(quoted.contains(&format!("\"…{}\"", "x".repeat(QUOTED))) && quoted.len() < 800, "{quoted}");
}
