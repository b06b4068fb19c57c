//! Starts the site's own program for each power cycle that the floor has ordered, and tells the floor how it ended. Whether the
//! node went off and on is not asked here: only another boot of its agent says so.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use kiln_floor::{CycleEnd, Floor, Input};
use kiln_wire::SlotId;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::outlet::tell;
use super::serve::Site;

/// How often the floor is looked at for orders.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a program may take. A BMC that answers does so within seconds; its tools try again for some.
const WITHIN: Duration = Duration::from_secs(60);
/// The most that is kept of what it printed.
const PRINTED: u64 = 400;

/// An order: of which slot, by which event.
type Order = (SlotId, u64);

/// Orders whose programs have not ended.
fn open(floor: &Floor) -> Vec<(Order, Vec<String>)> {
    let Some(rules) = &floor.policy().power_cycle else { return Vec::new() };
    let open = floor.state().cycles_open();
    let commands = open.filter_map(|(slot, order)| {
        let bmc = floor.policy().site.bmc(slot)?;
        Some(((slot.clone(), order), rules.command(bmc)))
    });
    commands.collect()
}

/// Orders that an earlier process of the floor left open. Whether it started their programs nobody knows, so none is started here.
pub(crate) async fn left_open(site: &Site) {
    let Ok(orders) = site
        .desk
        .look(|floor, _| floor.state().cycles_open().map(|(slot, order)| (slot.clone(), order)).collect::<Vec<_>>())
        .await
    else {
        return;
    };
    for (slot, order) in orders {
        let _ = site.desk.tell(Input::PowerCycleEnded { slot, order, end: CycleEnd::Unknown }).await;
    }
}

/// Starts what is ordered for as long as the floor is served, each order once.
pub(crate) async fn keep_cycling(site: Arc<Site>) {
    let mut started: BTreeSet<Order> = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // Nothing is started by a floor that may not lead any more.
        if site.desk.away().is_some() {
            continue;
        }
        let Ok(orders) = site.desk.look(|floor, _| open(floor)).await else { return };
        for (order, command) in orders {
            if started.insert(order.clone()) {
                tokio::spawn(carry_out(Arc::clone(&site), order, command));
            }
        }
    }
}

async fn carry_out(site: Arc<Site>, (slot, order): Order, command: Vec<String>) {
    let end = run(&command).await;
    if end != CycleEnd::Said {
        tell(&format!("the power cycle of slot {slot} by `{}`: {end:?}", command.join(" ")));
    }
    // Events may be away; what is not told now is found open when the floor begins again.
    while site.desk.tell(Input::PowerCycleEnded { slot: slot.clone(), order, end: end.clone() }).await.is_err() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn run(words: &[String]) -> CycleEnd {
    let Some((program, arguments)) = words.split_first() else {
        return CycleEnd::NotStarted { error: "no program is named".to_owned() };
    };
    let mut command = std::process::Command::new(program);
    // In a group of its own: what ends the floor must not take the order back.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = match Command::from(command).spawn() {
        Ok(child) => child,
        Err(error) => return CycleEnd::NotStarted { error: error.to_string() },
    };
    let mut printed = Vec::new();
    let errors = child.stderr.take();
    let ended = tokio::time::timeout(WITHIN, async {
        if let Some(errors) = errors {
            let mut errors = errors.take(PRINTED);
            let _ = errors.read_to_end(&mut printed).await;
            // More than is kept is read as well, or the program could wait for ever.
            let _ = tokio::io::copy(&mut errors.into_inner(), &mut tokio::io::sink()).await;
        }
        child.wait().await
    });
    match ended.await {
        Ok(Ok(status)) if status.success() => CycleEnd::Said,
        Ok(Ok(status)) => {
            let printed = String::from_utf8_lossy(&printed);
            let is_plain = |letter: char| if letter.is_control() { ' ' } else { letter };
            let printed: String = printed.trim().chars().map(is_plain).collect();
            CycleEnd::Failed { exit: status.code(), printed }
        }
        Ok(Err(error)) => CycleEnd::Failed { exit: None, printed: error.to_string() },
        Err(_) => {
            let _ = child.kill().await;
            CycleEnd::Hung
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ended(words: &[&str]) -> CycleEnd {
        run(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).await
    }

    #[tokio::test]
    async fn a_program_is_told_by_how_it_ended_and_what_it_printed() {
        assert_eq!(ended(&["true"]).await, CycleEnd::Said);
        let CycleEnd::Failed { exit: Some(exit), printed } = ended(&["ls", "/no-such-folder-of-this-test"]).await
        else {
            panic!("it was taken");
        };
        assert!(exit != 0 && printed.contains("no-such-folder-of-this-test"), "{printed}");
        assert!(matches!(ended(&["no-such-program-of-this-test"]).await, CycleEnd::NotStarted { .. }));
        assert!(matches!(ended(&[]).await, CycleEnd::NotStarted { .. }));
    }
}
