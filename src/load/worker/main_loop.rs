//! The worker's main loop: takes one order from the pipe, lets the engine do it under the lease, tells how it ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;

use super::engine::Engine;
use super::pipe::{Cause, LEASE, LEAVE, Pipe};
use super::protocol::{FromWorker, ToWorker, WorkOrder, decode};
use crate::clock;
use crate::tool::runner;
use kiln_model::{LoadEnd, LoadFault, LoadKind, LoadSaid, Span};

/// Runs a worker to the end of its one order. `stdout` carries the protocol and nothing else.
///
/// The worker dies with whoever started it: by the kernel's signal, and by the closed pipe where that is lost.
pub fn main(stdin: impl Read + Send + 'static, stdout: impl Write + Send + 'static, engine: &mut dyn Engine) {
    runner::become_program_if_asked();
    clock::become_holder_if_asked();
    die_with_parent();
    serve(stdin, stdout, engine);
}

fn serve(stdin: impl Read + Send + 'static, stdout: impl Write + Send + 'static, engine: &mut dyn Engine) {
    let pipe = Arc::new(Pipe::new(Box::new(stdout)));
    let (orders, order) = mpsc::channel();
    let heard = Arc::clone(&pipe);
    // Ends with the pipe, or with the process.
    std::thread::spawn(move || listen(stdin, &heard, &orders));
    let watched = Arc::clone(&pipe);
    let watch = std::thread::spawn(move || {
        if !watched.watch(LEASE, LEAVE) {
            end_by_force();
        }
    });
    pipe.send(&FromWorker::Hello { pid: std::process::id() });
    let end = match order.recv() {
        Ok(order) => work(engine, &order, &pipe),
        Err(mpsc::RecvError) => LoadEnd::Stopped,
    };
    pipe.say(LoadSaid::Ended { gpu: None, end });
    pipe.over();
    // It has nothing left to wait for.
    let _ = watch.join();
}

fn work(engine: &mut dyn Engine, order: &WorkOrder, pipe: &Pipe) -> LoadEnd {
    let end = catch_unwind(AssertUnwindSafe(|| match &order.order.kind {
        LoadKind::Program(program) => runner::run(program, pipe),
        _ => engine.work(order, pipe),
    }));
    match (end, pipe.cause()) {
        (Err(panic), _) => LoadEnd::Failed(LoadFault::WorkerPanicked { message: panic_text(&*panic).to_owned() }),
        (Ok(LoadEnd::Stopped), Some(Cause::LeaseLost)) => {
            LoadEnd::Failed(LoadFault::LeaseLost { after: Span::from_secs(LEASE.as_secs()) })
        }
        (Ok(end), _) => end,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}

fn listen(stdin: impl Read, pipe: &Pipe, orders: &mpsc::Sender<Box<WorkOrder>>) {
    for line in BufReader::new(stdin).lines() {
        let Ok(line) = line else { break };
        match decode(&line) {
            Ok(ToWorker::Order(order)) => {
                pipe.renew();
                // One order a worker: a second has nobody to take it.
                let _ = orders.send(order);
            }
            Ok(ToWorker::Lease(_)) => pipe.renew(),
            Ok(ToWorker::Begin { at }) => pipe.begin(at),
            Ok(ToWorker::Stop) => pipe.stop(Cause::Told),
            // Whoever speaks like that cannot be relied on to say stop.
            Err(_) => break,
        }
    }
    pipe.stop(Cause::Abandoned);
}

fn die_with_parent() {
    // Where the kernel refuses, the closed pipe and the lease still end the load.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

fn end_by_force() {
    // The engine sits in a driver call that does not return, so nothing of the process can be left in order. Its death
    // makes the driver take the work off the GPU.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{Device, encode};
    use super::super::variant::Variant;
    use super::*;
    use kiln_model::{GpuIndex, LoadId, LoadOrder};
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    struct Toy(fn(&Pipe) -> LoadEnd);

    impl Engine for Toy {
        fn work(&mut self, _: &WorkOrder, pipe: &Pipe) -> LoadEnd {
            (self.0)(pipe)
        }
    }

    fn order() -> ToWorker {
        let order =
            LoadOrder { id: LoadId(1), kind: LoadKind::AllToAll, gpus: [GpuIndex(0)].into(), seed: 1, span: None };
        let devices = vec![Device { gpu: GpuIndex(0), pci: None }];
        ToWorker::Order(Box::new(WorkOrder { order, devices, injection: None, variant: Variant::default() }))
    }

    fn run(input: &[ToWorker], engine: fn(&Pipe) -> LoadEnd) -> Vec<FromWorker> {
        let text: String = input.iter().map(encode).collect();
        let paper = Paper::default();
        serve(std::io::Cursor::new(text), paper.clone(), &mut Toy(engine));
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| decode(line).unwrap()).collect()
    }

    fn ended(said: &[FromWorker]) -> LoadEnd {
        match said.last() {
            Some(FromWorker::Said(LoadSaid::Ended { gpu: None, end })) => end.clone(),
            other => panic!("no end: {other:?}"),
        }
    }

    fn until_stopped(pipe: &Pipe) -> LoadEnd {
        while pipe.wait_until(u64::MAX) {}
        LoadEnd::Stopped
    }

    #[test]
    fn a_closed_pipe_stops_the_work() {
        let said = run(&[order()], until_stopped);
        assert_eq!(said.first(), Some(&FromWorker::Hello { pid: std::process::id() }));
        assert_eq!(ended(&said), LoadEnd::Stopped);
    }

    #[test]
    fn a_worker_without_an_order_leaves() {
        assert_eq!(ended(&run(&[], |_| LoadEnd::Finished)), LoadEnd::Stopped);
    }

    #[test]
    fn a_panic_of_the_engine_is_told_as_a_failure() {
        let end = ended(&run(&[order()], |_| panic!("no such luck")));
        assert_eq!(end, LoadEnd::Failed(LoadFault::WorkerPanicked { message: "no such luck".to_owned() }));
    }

    #[test]
    fn work_that_ends_by_itself_is_told_as_it_ended() {
        assert_eq!(ended(&run(&[order()], |_| LoadEnd::Finished)), LoadEnd::Finished);
    }
}
