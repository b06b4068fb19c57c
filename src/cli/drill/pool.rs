//! Work spread over threads. What comes out lies where the job lay, so that the number of threads changes nothing.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// As many threads as there are cores.
pub(super) fn all_cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Does every job, several at a time; `done` is told of each on the calling thread. Jobs not done when `stop` is raised
/// give `None`.
pub(super) fn spread<J: Sync, R: Send>(
    jobs: &[J],
    threads: NonZeroUsize,
    stop: &AtomicBool,
    work: impl Fn(&J) -> Option<R> + Sync,
    mut done: impl FnMut(),
) -> Vec<Option<R>> {
    let mut results: Vec<Option<R>> = jobs.iter().map(|_| None).collect();
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.get().min(jobs.len()) {
            let (send, next, work) = (send.clone(), &next, &work);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { break };
                    // Nobody listens any more only when the drill itself went away.
                    if work(job).is_some_and(|result| send.send((at, result)).is_err()) {
                        break;
                    }
                }
            });
        }
        drop(send);
        for (at, result) in receive {
            results[at] = Some(result);
            done();
        }
    });
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let jobs: Vec<u64> = (0..100).collect();
        let run = |threads| {
            let threads = NonZeroUsize::new(threads).expect("some");
            let mut told = 0;
            let results = spread(&jobs, threads, &AtomicBool::new(false), |job| Some(job * job), || told += 1);
            assert_eq!(told, 100);
            results
        };
        assert_eq!(run(1), run(7));
    }

    #[test]
    fn a_raised_stop_leaves_the_rest_undone() {
        let stop = AtomicBool::new(false);
        let work = |job: &u64| {
            stop.store(*job == 3, Ordering::Relaxed);
            Some(*job)
        };
        let results = spread(&[1, 2, 3, 4, 5], NonZeroUsize::MIN, &stop, work, || {});
        assert_eq!(results, [Some(1), Some(2), Some(3), None, None]);
    }
}
