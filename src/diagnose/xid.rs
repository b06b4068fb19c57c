//! The words in which the Xid and SXid tables are written, and the look-up by code.
//!
//! The data is in `xid_table` and `sxid_table`; reading codes out of log lines is `kernel_line`'s.

use kiln_event::Action;
use kiln_model::ComponentKind;

use super::kernel_line::{Declared, SxidLine, XidLine};
use super::sxid_table::SXIDS;
use super::xid_table::XIDS;

/// How grave the maker of the driver holds a code to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XidSeverity {
    /// The GPU cannot go on without a reset or more.
    Fatal,
    Error,
    Warning,
    Info,
    /// One code for harmless and fatal events; the text of the line decides.
    NeedsSubcode,
    /// Not used on Ampere and later. Seeing one is news in itself.
    Unused,
}

/// Who can cause a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Hardware,
    /// The program that runs on the GPU. Here that is the load, which is known to be good.
    LoadProgram,
    /// Driver, firmware or the software around them.
    Software,
    /// Hardware or software; the code does not tell.
    Either,
}

/// What the operator of a running data centre does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldAction {
    Ignore,
    /// Note and count it.
    Record,
    RerunLoad,
    CheckProgram,
    /// Act on the event that came before.
    FollowPrimary,
    /// Do what the driver announced.
    DoAnnounced,
    /// Read the status words in the text first.
    DecodeStatus,
    ResetGpu,
    /// Reset the GPUs and switches of the partition.
    ResetFabric,
    Reboot,
    RestartVm,
    /// Look at cables, seating and power feeds.
    CheckMechanicals,
    UpdateSoftware,
    /// Ask the maker.
    Support,
}

/// What a factory does, where the part is new and the load known to be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactoryAction {
    Nothing,
    /// Note and count it; growth during a burn-in is a reason to look.
    Record,
    /// Act on the event that came before.
    FollowPrimary,
    /// Read the status words in the text first.
    DecodeStatus,
    /// Test again for longer before believing either way.
    RetestLonger,
    /// Reset, read the counters again, repeat the test.
    ResetAndRetest,
    RestartFabric,
    UpdateFirmware,
    /// Seat module, cable or riser again and repeat the test.
    Reseat,
    CheckCooling,
    ReplaceFru,
    CallEngineer,
}

impl FactoryAction {
    /// The one thing a finding asks for; `None` where the code alone is no reason to act.
    pub const fn action(self) -> Option<Action> {
        Some(match self {
            Self::Nothing | Self::Record | Self::FollowPrimary => return None,
            Self::RetestLonger => Action::RetestLonger,
            Self::ResetAndRetest => Action::ResetGpu,
            Self::RestartFabric => Action::Reconfigure,
            Self::UpdateFirmware => Action::UpdateFirmware,
            Self::Reseat => Action::Reseat,
            Self::CheckCooling => Action::CheckCooling,
            Self::ReplaceFru => Action::ReplaceFru,
            Self::DecodeStatus | Self::CallEngineer => Action::CallEngineer,
        })
    }
}

/// What a code seen during a burn-in does to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BurnIn {
    /// No bearing on the unit.
    Tolerated,
    /// One is harmless by itself; what counts is how many, or what it follows.
    Counts,
    /// Not proof, but the unit may not pass without an explanation or a longer test.
    Suspect,
    /// Proof against the unit.
    Fails,
}

/// How a code stands to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Independent,
    /// Comes after almost any other; means something by itself only when nothing came before.
    Follower,
    /// Announces what another code made necessary.
    Announcement,
    /// Says more about the given code and comes with it.
    DetailOf(u32),
    /// Takes the given code back.
    Cancels(u32),
}

/// What is known of one Xid code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XidRow {
    pub code: u32,
    /// Short, for a column.
    pub name: &'static str,
    /// One clause, for a person.
    pub meaning: &'static str,
    pub severity: XidSeverity,
    pub origin: Origin,
    /// What the code points at. Power feeds are `Psu`, chip-to-chip links and GPU firmware are `Gpu`.
    pub component: ComponentKind,
    pub field: FieldAction,
    pub factory: FactoryAction,
    pub burn_in: BurnIn,
    pub relation: Relation,
    /// Codes that on the same GPU, shortly after this one, are its effects and no findings of their own.
    pub followers: &'static [u32],
}

impl XidRow {
    /// What one line with this code does to the verdict, which is the text's to say where one code stands for several events.
    pub fn burn_in_of(&self, line: &XidLine) -> BurnIn {
        if let (74, Some(registers)) = (self.code, line.link_registers()) {
            return of_link_registers(&registers).unwrap_or(self.burn_in);
        }
        // Bit errors of a link beyond what it is made for, for which NVIDIA's Xid catalogue has signals and cables looked at.
        if self.code == 149 && line.text.contains("BER_EVENT") && line.declared == Some(Declared::NonFatal) {
            return BurnIn::Suspect;
        }
        self.burn_in_when(line.declared)
    }

    /// The same, given what the line declared.
    pub fn burn_in_when(&self, declared: Option<Declared>) -> BurnIn {
        match (self.severity, declared) {
            (XidSeverity::NeedsSubcode, Some(Declared::Fatal)) => BurnIn::Fails,
            (XidSeverity::NeedsSubcode, Some(Declared::NonFatal)) => BurnIn::Counts,
            _ => self.burn_in,
        }
    }

    /// Whether `later`, seen after this one on the same GPU, is its effect.
    pub fn explains(&self, later: &XidRow) -> bool {
        self.followers.contains(&later.code)
            || match later.relation {
                Relation::Follower | Relation::Announcement => self.code != later.code,
                Relation::DetailOf(code) => code == self.code,
                Relation::Independent | Relation::Cancels(_) => false,
            }
    }
}

/// Bits of the first register of an Xid 74 of which NVIDIA's Xid catalogue (`WORKFLOW_NVLINK_ERR`, quoted in issue 364 of
/// NVIDIA/NVSentinel) says that they can be safely ignored.
const LINK_IGNORABLE: u32 = 1 | 1 << 23 | 1 << 30;
/// Of these it says that they come with other errors and mean those.
const LINK_SYMPATHETIC: u32 = 1 << 1 | 1 << 20;

/// What the registers of an Xid 74 make of it, where they have none of the bits that tell of a failed link.
fn of_link_registers(registers: &[u32]) -> Option<BurnIn> {
    let (first, others) = registers.split_first()?;
    let only = |bits: u32| *first != 0 && first & !bits == 0 && others.iter().all(|other| *other == 0);
    match () {
        () if only(LINK_IGNORABLE) => Some(BurnIn::Tolerated),
        () if only(LINK_IGNORABLE | LINK_SYMPATHETIC) => Some(BurnIn::Suspect),
        () => None,
    }
}

/// How far an error of an NVLink switch reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SxidSeverity {
    /// An event of the host interface.
    HostEvent,
    NonFatal,
    /// One port or one partition is lost.
    Fatal,
    /// The whole fabric is lost.
    AlwaysFatal,
}

/// What is known of one SXid code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SxidRow {
    pub code: u32,
    /// What happened, in a few words.
    pub name: &'static str,
    pub severity: SxidSeverity,
    pub component: ComponentKind,
    pub field: FieldAction,
    pub factory: FactoryAction,
    pub burn_in: BurnIn,
}

impl SxidLine {
    /// What one line does to the verdict. One that the driver itself calls fatal took a port down or more, whatever most lines
    /// with its code say; of a code that is newer than the table, events that are not fatal are for information (NVIDIA Fabric
    /// Manager user guide, on `SXids`).
    pub fn burn_in(&self) -> BurnIn {
        // Both thermal codes come with it (`therm_lr10.c` of open-gpu-kernel-modules).
        let shuts_down = self.text.contains("OVERT Threshold reached");
        match (sxid(self.code), self.declared) {
            _ if shuts_down => BurnIn::Fails,
            (Some(_), Some(Declared::Fatal)) => BurnIn::Fails,
            (Some(row), _) => row.burn_in,
            (None, Some(Declared::NonFatal)) => BurnIn::Counts,
            (None, _) => BurnIn::Suspect,
        }
    }

    /// What to do about it, where the code alone is a reason to act.
    pub fn action(&self) -> Option<Action> {
        // What a code means that is newer than the table is for somebody to look up.
        let Some(row) = sxid(self.code) else { return Some(Action::CallEngineer) };
        if self.burn_in() == BurnIn::Fails && row.severity == SxidSeverity::NonFatal {
            return FactoryAction::ResetAndRetest.action();
        }
        row.factory.action()
    }
}

/// The row of an Xid code. A code without a row is newer than this table: treat it as suspect.
pub fn xid(code: u32) -> Option<&'static XidRow> {
    XIDS.binary_search_by_key(&code, |row| row.code).ok().map(|at| &XIDS[at])
}

/// The row of an SXid code. A code without a row is newer than this table: treat it as suspect.
pub fn sxid(code: u32) -> Option<&'static SxidRow> {
    SXIDS.binary_search_by_key(&code, |row| row.code).ok().map(|at| &SXIDS[at])
}

/// All Xid codes, ascending.
pub const fn xids() -> &'static [XidRow] {
    XIDS
}

/// All SXid codes, ascending.
pub const fn sxids() -> &'static [SxidRow] {
    SXIDS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn codes(wanted: impl Fn(&XidRow) -> bool) -> Vec<u32> {
        xids().iter().filter(|row| wanted(row)).map(|row| row.code).collect()
    }

    #[test]
    fn every_row_is_found_by_its_code_and_no_other() {
        assert_eq!(codes(|_| true), (1..=176).collect::<Vec<u32>>());
        for code in 1..=176 {
            assert_eq!(xid(code).map(|row| row.code), Some(code));
        }
        assert_eq!(sxids().len(), 97);
        assert!(sxids().is_sorted_by(|one, two| one.code < two.code));
        for row in sxids() {
            assert_eq!(sxid(row.code), Some(row));
        }
        assert_eq!((xid(0), xid(177), xid(u32::MAX), sxid(0)), (None, None, None, None));
    }

    #[test]
    fn the_codes_of_the_load_program_are_four() {
        assert_eq!(codes(|row| row.origin == Origin::LoadProgram), [13, 31, 43, 45]);
    }

    #[test]
    fn codes_the_field_forgives_are_suspect_or_worse_in_a_factory() {
        for code in [13, 31, 43, 63, 92, 94] {
            assert!(xid(code).is_some_and(|row| row.burn_in >= BurnIn::Suspect), "{code}");
        }
    }

    #[test]
    fn every_fatal_code_fails_a_burn_in_and_what_fails_has_an_action() {
        for row in xids() {
            if row.severity == XidSeverity::Fatal {
                assert_eq!(row.burn_in, BurnIn::Fails, "{}", row.code);
            }
            if row.burn_in == BurnIn::Fails {
                assert!(row.factory.action().is_some(), "{}", row.code);
            }
        }
        for row in sxids() {
            let fatal = matches!(row.severity, SxidSeverity::Fatal | SxidSeverity::AlwaysFatal);
            assert_eq!(row.burn_in == BurnIn::Fails, fatal, "{}", row.code);
        }
    }

    #[test]
    fn the_codes_that_fail_a_burn_in() {
        let failing = codes(|row| row.burn_in == BurnIn::Fails);
        assert_eq!(
            failing,
            [
                46, 48, 54, 57, 58, 61, 62, 64, 74, 79, 94, 95, 109, 110, 119, 120, 136, 140, 143, 150, 155, 157, 158,
                161, 167, 168, 169, 171, 172, 173, 175
            ]
        );
    }

    #[test]
    fn names_and_meanings_are_there_and_names_short() {
        for (name, meaning) in xids().iter().map(|row| (row.name, row.meaning)) {
            assert!(!name.is_empty() && name.len() <= 40, "{name}");
            assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{meaning}");
        }
        let names: BTreeSet<&str> = sxids().iter().map(|row| row.name).collect();
        assert_eq!(names.len(), sxids().len(), "each SXid has a name of its own");
    }

    #[test]
    fn what_a_reset_may_cure_asks_for_a_reset_and_not_for_patience() {
        let rows =
            xids().iter().map(|row| (row.code, row.factory)).chain(sxids().iter().map(|row| (row.code, row.factory)));
        for (code, factory) in rows {
            let asks = factory.action();
            assert_eq!(factory == FactoryAction::ResetAndRetest, asks == Some(Action::ResetGpu), "{code}");
            assert_eq!(factory == FactoryAction::RetestLonger, asks == Some(Action::RetestLonger), "{code}");
        }
    }

    #[test]
    fn relations_name_codes_that_exist() {
        for row in xids() {
            let related = match row.relation {
                Relation::DetailOf(code) | Relation::Cancels(code) => Some(code),
                Relation::Independent | Relation::Follower | Relation::Announcement => None,
            };
            for code in row.followers.iter().copied().chain(related) {
                assert!(xid(code).is_some() && code != row.code, "{} names {code}", row.code);
            }
        }
    }

    #[test]
    fn a_lost_gpu_explains_what_follows_and_not_the_other_way_round() {
        let row = |code| xid(code).expect("code");
        for later in [43, 45, 119, 154] {
            assert!(row(79).explains(row(later)), "{later}");
            assert!(!row(later).explains(row(79)), "{later}");
        }
        assert!(!row(79).explains(row(48)), "a memory error is no effect of a lost GPU");
        assert!(row(48).explains(row(171)) && row(48).explains(row(172)));
        assert!(row(13).explains(row(45)) && !row(45).explains(row(45)));
        assert_eq!(row(162).relation, Relation::Cancels(163));
    }

    #[test]
    fn the_registers_of_a_link_error_say_whether_it_means_anything() {
        let of = |registers: &str| {
            let text = format!("NVRM: Xid (PCI:0000:5d:00): 74, NVLink: fatal error detected on link 7({registers}");
            let Some(crate::KernelLine::Xid(line)) = crate::read_kernel_line(&text) else { panic!("{text}") };
            xid(74).map(|row| row.burn_in_of(&line))
        };
        assert_eq!(of("0x800000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)"), Some(BurnIn::Tolerated));
        assert_eq!(of("0x40000001, 0x0, 0x0)"), Some(BurnIn::Tolerated));
        assert_eq!(of("0x100000, 0x0, 0x0)"), Some(BurnIn::Suspect));
        for failed in ["0x810000, 0x0, 0x0)", "0x0, 0x0, 0x10000)", "0x800000, 0x0, 0x1)", "0x800000", "0x0, 0x0)"] {
            assert_eq!(of(failed), Some(BurnIn::Fails), "{failed}");
        }
    }

    #[test]
    fn the_text_decides_where_a_code_stands_for_both() {
        let row = xid(149).expect("code");
        assert_eq!(row.burn_in_when(Some(Declared::Fatal)), BurnIn::Fails);
        assert_eq!(row.burn_in_when(Some(Declared::NonFatal)), BurnIn::Counts);
        assert_eq!(row.burn_in_when(None), BurnIn::Suspect);
        assert_eq!(xid(79).map(|row| row.burn_in_when(Some(Declared::NonFatal))), Some(BurnIn::Fails));
    }
}
