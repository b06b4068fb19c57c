//! Starts worker processes, all from one thread that lives as long as the supervisor: a worker asks to be killed when
//! its parent dies, and the kernel takes the thread that made it for the parent.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

/// How a worker is started.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
}

impl WorkerCommand {
    /// This very program with its hidden verb.
    pub fn own() -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, args: vec!["worker".into()], env: Vec::new() })
    }
}

type Reply = Sender<io::Result<Child>>;

#[derive(Debug)]
pub(super) struct Spawner {
    requests: Sender<Reply>,
}

impl Spawner {
    pub(super) fn new(command: WorkerCommand) -> Self {
        let (requests, asked) = channel::<Reply>();
        std::thread::spawn(move || {
            // Ends when the supervisor is dropped; workers still there then die by the kernel's signal.
            while let Ok(reply) = asked.recv() {
                let _ = reply.send(spawn(&command));
            }
        });
        Self { requests }
    }

    pub(super) fn spawn(&self) -> io::Result<Child> {
        let (reply, answer) = channel();
        let gone = || io::Error::other("the thread that starts workers is gone");
        self.requests.send(reply).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

fn spawn(command: &WorkerCommand) -> io::Result<Child> {
    let mut child = Command::new(&command.program);
    child.args(&command.args).envs(command.env.iter().map(|(name, value)| (name, value)));
    // The order in which the management library counts GPUs.
    child.env("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
    // A visible subset would renumber them.
    child.env_remove("CUDA_VISIBLE_DEVICES");
    child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: an interrupt from the terminal goes to the run, which then stops its loads in order.
    child.process_group(0).spawn()
}
