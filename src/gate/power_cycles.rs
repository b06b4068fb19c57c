//! Starts the site's own program for each power cycle that the floor has ordered, and tells the floor how it ended. Whether the
//! node went off and on is not asked here: only another boot of its agent says so.
//!
//! A floor that was paused after it had ordered may find that another one leads, and that the node works again. So who keeps the events is
//! asked right before the start whether this floor leads, and what is started is started within a moment of that. What remains is a pause between
//! the last look at the clock and the start itself, and one of a whole machine whose clock stands still with it: no BMC that we know takes an epoch.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_floor::{CycleEnd, Floor, Input};
use kiln_wire::SlotId;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::desk::{AllHeard, DeskError, Led, now};
use super::outlet::tell;
use super::serve::Site;

/// How often the floor is looked at for orders.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after it led a floor may start a program. A database that hears nothing of a floor keeps its lead for half a minute
/// (`SILENT_MOST` of the store), so that a pause which costs the lead is far longer.
const START_WITHIN: Duration = Duration::from_secs(2);
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

async fn carry_out(site: Arc<Site>, order: Order, command: Vec<String>) {
    let Some(started) = start_as_lead(&site, &order, &command).await else { return };
    let end = match started {
        Ok(child) => end_of(child).await,
        Err(error) => CycleEnd::NotStarted { error },
    };
    let (slot, order) = order;
    if end != CycleEnd::Said {
        tell(&format!("the power cycle of slot {slot} by `{}`: {end:?}", command.join(" ")));
    }
    // Events may be away; what is not told now is found open when the floor begins again.
    while site.desk.tell(Input::PowerCycleEnded { slot: slot.clone(), order, end: end.clone() }).await.is_err() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What an order comes to at the moment at which its program would be started.
#[derive(Debug, PartialEq, Eq)]
enum Stands {
    /// It is to be carried out.
    Still,
    /// The node speaks, and the floor has not decided on that yet: its events were away.
    Speaks,
    /// It counts no more.
    NoMore,
}

fn stands(floor: &Floor, heard: &AllHeard, (slot, order): &Order, at: Instant) -> Stands {
    let cycle = floor.state().cycles.get(slot).filter(|cycle| cycle.order == *order && cycle.ended.is_none());
    let (Some(cycle), Some(rules)) = (cycle, &floor.policy().power_cycle) else { return Stands::NoMore };
    let last = heard.get(&cycle.agent).map(|heard| heard.at);
    let speaks = last.is_some_and(|last| at.saturating_duration_since(last) < rules.after);
    if speaks { Stands::Speaks } else { Stands::Still }
}

/// Starts the program of an order if it still counts and this floor leads, however long it was paused; None if nothing is to be started any
/// more.
async fn start_as_lead(site: &Site, order: &Order, command: &[String]) -> Option<Result<Child, String>> {
    loop {
        let of = order.clone();
        let led = site.desk.look_as_lead(move |floor, heard| stands(floor, heard, &of, now())).await;
        match led {
            Ok(Led { seen: Stands::NoMore, .. }) | Err(DeskError::Stopped) => return None,
            Ok(Led { seen: Stands::Still, after }) => {
                if let Some(started) = start(command, after, now) {
                    return Some(started);
                }
            }
            // Its events are away, or the node's next call decides.
            Ok(Led { seen: Stands::Speaks, .. }) | Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Starts a program for a floor that led after this moment; None if that is too long ago.
fn start(words: &[String], led_after: Instant, now: impl FnOnce() -> Instant) -> Option<Result<Child, String>> {
    let Some((program, arguments)) = words.split_first() else {
        return Some(Err("no program is named".to_owned()));
    };
    let mut command = std::process::Command::new(program);
    // In a group of its own: what ends the floor must not take the order back.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut command = Command::from(command);
    // Nothing may stand between this look and the start.
    if now().saturating_duration_since(led_after) > START_WITHIN {
        return None;
    }
    Some(command.spawn().map_err(|error| error.to_string()))
}

async fn end_of(mut child: Child) -> CycleEnd {
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
    use kiln_floor::{Actor, CycleRules, FloorEvent, OrderedBy, Policy, Stamped};

    use super::*;
    use crate::desk::Heard;

    async fn ended(words: &[&str]) -> CycleEnd {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match start(&words, now(), now).expect("it leads") {
            Ok(child) => end_of(child).await,
            Err(error) => CycleEnd::NotStarted { error },
        }
    }

    #[test]
    fn an_order_stands_until_it_has_ended_or_its_node_speaks() {
        let order: Order = ("r1-01".parse().expect("a name"), 0);
        let (agent, boot): (kiln_wire::AgentId, _) = ("agent-1".parse().expect("a name"), "boot-1".parse());
        let ordered = FloorEvent::PowerCycleOrdered {
            unit: "A".parse().expect("a serial"),
            slot: order.0.clone(),
            agent: agent.clone(),
            boot: boot.expect("a name"),
            tries: 1,
            why: "hangs".to_owned(),
        };
        let after = Duration::from_secs(60);
        let rules = CycleRules {
            program: vec!["true".to_owned()],
            after,
            by: OrderedBy::Person,
            back: Duration::from_secs(900),
            tries: 3,
        };
        let mut policy = Policy::one_profile("smoke");
        let floor = |policy: &Policy, events: &[FloorEvent]| {
            let stamp = |(seq, event): (usize, &FloorEvent)| Stamped {
                seq: seq as u64,
                at: 1,
                actor: Actor::Floor,
                event: event.clone(),
            };
            Floor::of(policy.clone(), &events.iter().enumerate().map(stamp).collect::<Vec<_>>())
        };
        let silent = AllHeard::new();
        let is_nothing = |floor: &Floor, order: &Order| stands(floor, &silent, order, now()) == Stands::NoMore;
        assert!(is_nothing(&floor(&policy, std::slice::from_ref(&ordered)), &order), "a site without rules any more");
        policy.power_cycle = Some(rules);
        let open = floor(&policy, std::slice::from_ref(&ordered));
        assert_eq!(stands(&open, &silent, &order, now()), Stands::Still);
        assert!(is_nothing(&open, &(order.0.clone(), 7)), "another order");
        let end = FloorEvent::PowerCycleEnded { slot: order.0.clone(), order: 0, end: CycleEnd::Unknown };
        assert!(is_nothing(&floor(&policy, &[ordered, end]), &order), "another floor has begun since");
        let at = now();
        let heard = AllHeard::from([(agent, Heard { at, doing: kiln_wire::Doing::Idle })]);
        let just_before = at + after.checked_sub(Duration::from_millis(1)).expect("longer");
        assert_eq!(stands(&open, &heard, &order, just_before), Stands::Speaks);
        assert_eq!(stands(&open, &heard, &order, at + after), Stands::Still);
    }

    #[test]
    fn a_floor_that_was_paused_after_it_led_starts_nothing() {
        let words = ["no-such-program-of-this-test".to_owned()];
        let led = now();
        for (paused, starts) in [(0, true), (2000, true), (2001, false), (86_400_000, false)] {
            let then = move || led + Duration::from_millis(paused);
            assert_eq!(start(&words, led, then).is_some(), starts, "{paused} ms");
        }
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
