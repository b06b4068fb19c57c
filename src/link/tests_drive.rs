//! The loop around an agent, one effect at a time: what processes and files come to.

use kiln_wire::Position;

use super::*;

struct Nothing;

impl Clock for Nothing {
    fn now(&self) -> Duration {
        Duration::ZERO
    }
    fn wait(&self, _: Duration) {}
    fn jitter(&self) -> f64 {
        0.5
    }
}

impl Program for Nothing {
    fn start(&self, _: &Assignment, _: Option<&Path>, _: &Path) -> Result<Command, String> {
        Err("this is a test".to_owned())
    }
    fn resume(&self, _: &Path) -> Command {
        Command::new("true")
    }
    fn tell(&self, _: &str) {}
}

fn driver(dir: &Path) -> Driver<'static> {
    let name = "agent-1".parse::<AgentId>().expect("a name");
    let settings = Settings {
        boot: "boot-1".parse().expect("a name"),
        serial: None,
        slot: None,
        fresh_id: name.clone(),
        evidence: BTreeMap::new(),
        once: false,
        being: Being::default(),
        programs_key: None,
    };
    let spool = Spool::open(dir).expect("a spool");
    let own = std::env::current_exe().expect("this test");
    Driver {
        lists: Lists::open(&spool).expect("lists"),
        programs: Programs::open(&spool, &own, None).expect("programs"),
        changed: false,
        client: Client::of("http://127.0.0.1:1").expect("an address"),
        program: &Nothing,
        clock: &Nothing,
        id: name,
        settings,
        spool,
        child: None,
        facts: Facts::default(),
        sealed: BTreeSet::new(),
        unwanted: false,
        told: String::new(),
    }
}

#[test]
fn what_a_process_that_refused_its_run_said_last_is_the_reason_and_other_ends_have_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut driver = driver(dir.path());
    let run: RunId = "run-1".parse().expect("a run");
    let mut ends = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        driver.spawn(run.clone(), command).expect("a process");
        let (_, child) = driver.child.as_mut().expect("a process");
        child.wait().expect("its end");
        driver.look().expect("a look")
    };
    let why = "the node says `B`".to_owned();
    let said = "echo at work; echo 'error: the node says `B`' >&2; echo; exit 2";
    assert_eq!(ends(said), Some(RefusedRun { run: run.clone(), why }));
    for script in ["exit 0", "exit 3", "kill -9 $$"] {
        assert_eq!(ends(script), None, "{script}");
    }
    let long = ends("head -c 9000 /dev/zero | tr '\\0' x; exit 2").expect("refused");
    assert_eq!(long.why.len(), 400);
}

#[test]
fn a_journal_that_cannot_be_read_is_no_fork_and_one_that_is_gone_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut driver = driver(dir.path());
    let run: RunId = "run-1".parse().expect("a run");
    let position = Position { offset: 7, ..Position::default() };
    let compare = || Effect::Compare { run: run.clone(), position };
    let gone = driver.carry_out(compare()).expect("carried out");
    assert_eq!(gone, Some(Input::Compared { run: run.clone(), position, same: false }));
    // A folder in its place opens as no file does.
    std::fs::create_dir_all(driver.spool.run(&run).join(kiln_disk::JOURNAL.name)).expect("made");
    assert_eq!(driver.carry_out(compare()).expect("carried out"), None);
    assert!(driver.told.contains("run-1"), "{}", driver.told);
}
