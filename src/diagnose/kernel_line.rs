//! Reads the lines of a kernel log that accuse a GPU, a switch or a PCIe link. Pure: one line in, what it says out.
//!
//! What the codes mean is `xid`'s. Lines of other kinds, truncated ones and nonsense give `None`, never a panic: a log holds
//! whatever programs got into it.

use super::PciAddress;
use super::device_line::is_out_of_reach;
use super::kernel_event::Severity;

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelLine {
    Xid(XidLine),
    Sxid(SxidLine),
    /// The driver says the GPU is not reachable. Some drivers give no address.
    OffTheBus {
        pci: Option<PciAddress>,
    },
    /// The driver could not initialise the GPU (`RmInitAdapter failed`), with its three numbers where given.
    InitFailed {
        pci: Option<PciAddress>,
        codes: Option<String>,
        cause: InitCause,
    },
    Aer(AerLine),
}

/// Why a GPU could not be initialised, as lines before the failure tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitCause {
    Untold,
    /// The driver has no firmware for the GPU or that of another release, or is of a flavour that cannot run it: what is installed is
    /// to blame.
    Installation,
    /// A cable for power is not plugged in.
    NoPower,
    /// The driver itself asks for a reset.
    NeedsReset,
}

/// Whether the line itself calls its event fatal. Not the same as the severity of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    Fatal,
    NonFatal,
}

/// An error of the NVIDIA driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XidLine {
    pub pci: PciAddress,
    pub code: u32,
    /// The process whose work was hit, where the driver knows it.
    pub pid: Option<u32>,
    pub process: Option<String>,
    /// What follows code, process id and name.
    pub text: String,
    pub declared: Option<Declared>,
    /// The NVLink that the text names.
    pub link: Option<u8>,
    /// The Xid that the text names as the cause of this one.
    pub caused_by: Option<u32>,
}

impl XidLine {
    /// The registers behind the link of an Xid 74: `NVLink: fatal error detected on link 7(0x800000, 0x0, 0x0)`.
    pub fn link_registers(&self) -> Option<Vec<u32>> {
        let (_, rest) = self.text.split_once("on link ")?;
        // Cut off, or in another form, they are none.
        let (inside, _) = rest.split_once('(')?.1.split_once(')')?;
        inside.split(',').map(|word| u32::from_str_radix(word.trim().strip_prefix("0x")?, 16).ok()).collect()
    }
}

/// An error of an NVLink switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SxidLine {
    /// The switch as its driver counts.
    pub switch: u8,
    pub pci: PciAddress,
    pub code: u32,
    /// What follows the code.
    pub text: String,
    pub declared: Option<Declared>,
    /// The port of the switch that the text names.
    pub link: Option<u8>,
}

impl SxidLine {
    /// Whether the line only goes on with the event of the line before: the driver prints severity and data apart.
    pub fn continues(&self) -> bool {
        self.text.starts_with("Severity ") || self.text.starts_with("Data {")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AerSeverity {
    Corrected,
    NonFatal,
    Fatal,
}

impl AerSeverity {
    /// How grave an event of the log is that says so.
    pub const fn of_the_event(self) -> Severity {
        match self {
            Self::Corrected => Severity::Corrected,
            Self::NonFatal => Severity::Recoverable,
            Self::Fatal => Severity::Fatal,
        }
    }
}

/// An error that PCIe itself reported (advanced error reporting).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AerLine {
    /// The device that had the error; without it, the device that logged it.
    pub pci: PciAddress,
    pub severity: AerSeverity,
    /// `Physical Layer`, `Data Link Layer` or `Transaction Layer`, where the line says so.
    pub layer: Option<String>,
    /// The port that told of the error, where the line names both.
    pub port: Option<PciAddress>,
    /// Whether this line announces errors whose detail lines follow; counting both would count twice.
    pub announces: bool,
    /// Whether the line itself says that the kernel found no error in any device (since Linux 6.16).
    pub without_details: bool,
}

/// Reads one line, with or without the time and facility that log readers put before it.
pub fn read_kernel_line(line: &str) -> Option<KernelLine> {
    let message = without_prefix(line);
    if let Some(message) = message.strip_prefix("NVRM: ") {
        return read_driver(message);
    }
    if let Some(rest) = message.strip_prefix("nvidia-nvswitch") {
        return read_sxid(rest).map(KernelLine::Sxid);
    }
    // The bus says of a GPU what the driver has not noticed yet.
    if let Some((address, said)) = message.strip_prefix("nvidia ").and_then(|rest| rest.split_once(": "))
        && is_out_of_reach(said)
    {
        return Some(KernelLine::OffTheBus { pci: Some(address.parse().ok()?) });
    }
    read_aer(message).map(KernelLine::Aer)
}

/// The messages of a record: one, unless a later line of it begins with a code of its own.
pub(super) fn own_lines(text: &str) -> Vec<String> {
    let is_code = |line: &str| matches!(read_kernel_line(line), Some(KernelLine::Xid(_) | KernelLine::Sxid(_)));
    if text.lines().skip(1).any(is_code) {
        return text.lines().map(str::to_owned).collect();
    }
    vec![one_line(text)]
}

/// A record with line breaks inside as one line; the driver begins each with its own name.
pub(super) fn one_line(text: &str) -> String {
    if !text.contains('\n') {
        return text.to_owned();
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut joined = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        joined.push(' ');
        joined.push_str(line.strip_prefix("NVRM: ").unwrap_or(line));
    }
    joined
}

/// Cuts `<4>`, `[ 12.345678]` and `Nov 25 10:00:00 host kernel: ` off.
pub(super) fn without_prefix(line: &str) -> &str {
    let mut rest = line.trim();
    // A syslog prefix is a few words with the time among them. Anything else before `kernel: ` is another program's message
    // that quotes a kernel line.
    if let Some((head, tail)) = rest.split_once("kernel: ")
        && head.split_whitespace().count() <= 4
        && head
            .split_whitespace()
            .any(|word| word.contains(':') && word.starts_with(|first: char| first.is_ascii_digit()))
    {
        rest = tail.trim_start();
    }
    if let Some((priority, tail)) = rest.strip_prefix('<').and_then(|inside| inside.split_once('>'))
        && priority.parse::<u32>().is_ok()
    {
        rest = tail.trim_start();
    }
    while let Some((inside, tail)) = rest.strip_prefix('[').and_then(|inside| inside.split_once(']'))
        && is_stamp(inside)
    {
        rest = tail.trim_start();
    }
    rest
}

/// Whether the text in brackets before a line is a time or a thread: `  812.304711`, `Mon Nov 25 10:00:01 2026`, `    T184`.
/// Others, such as `[Hardware Error]`, are what the line begins with.
fn is_stamp(text: &str) -> bool {
    text.ends_with(|last: char| last.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" .:+-".contains(&byte))
}

fn read_driver(message: &str) -> Option<KernelLine> {
    if let Some(rest) = message.strip_prefix("Xid (") {
        return read_xid(rest).map(KernelLine::Xid);
    }
    // Some drivers leave out the domain, of which there is one.
    let short = |word: &str| word.contains('.').then(|| address_in(&format!("0000:{word}")))?;
    let pci = || message.split_whitespace().find_map(|word| address_in(word).or_else(|| short(word)));
    if message.contains("fallen off the bus") {
        return Some(KernelLine::OffTheBus { pci: pci() });
    }
    let (_, after) =
        message.split_once("RmInitAdapter failed").or_else(|| message.split_once("rm_init_adapter failed"))?;
    let codes = after.split_once('(').and_then(|(_, inside)| inside.split_once(')')).map(|(codes, _)| codes.to_owned());
    Some(KernelLine::InitFailed { pci: pci(), codes, cause: InitCause::Untold })
}

/// The address in a word such as `0000:b5:00.0:`. Words without a colon inside are none.
fn address_in(word: &str) -> Option<PciAddress> {
    word.trim_start_matches("PCI:").trim_matches(|end: char| !end.is_ascii_hexdigit()).parse().ok()
}

/// Reads what follows `Xid (`: `PCI:0000:b5:00): 79, pid=1234, name=python, GPU has fallen off the bus.`
fn read_xid(rest: &str) -> Option<XidLine> {
    let (place, rest) = rest.split_once("): ")?;
    // A GPU instance (MIG) may follow the address.
    let address = place.split_whitespace().next()?;
    // Drivers of ten years ago leave out the domain, of which there is one.
    let pci = address_in(address).or_else(|| address_in(&format!("0000:{}", address.trim_start_matches("PCI:"))))?;
    let (code, mut text) = leading_code(rest)?;
    let mut pid = None;
    let mut process = None;
    if let Some(tail) = text.strip_prefix("pid=") {
        let (value, tail) = tail.split_once(',').unwrap_or((tail, ""));
        pid = value.trim_matches('\'').parse().ok();
        text = tail.trim_start();
    }
    if let Some(tail) = text.strip_prefix("name=") {
        let (value, tail) = tail.split_once(',').unwrap_or((tail, ""));
        process = Some(value.trim_matches('\'')).filter(|name| !matches!(*name, "" | "<unknown>")).map(str::to_owned);
        text = tail.trim_start();
    }
    let caused_by = text.split_once("caused by previous Xid ").and_then(|(_, cause)| leading_number(cause));
    let (declared, link) = (declared_in(text), link_in(text));
    Some(XidLine { pci, code, pid, process, text: text.to_owned(), declared, link, caused_by })
}

/// Reads what follows `nvidia-nvswitch`: `2: SXid (PCI:0000:85:00.0): 12028, Non-fatal, Link 61 egress ...`
fn read_sxid(rest: &str) -> Option<SxidLine> {
    let (switch, rest) = rest.split_once(": SXid (")?;
    let (place, rest) = rest.split_once("): ")?;
    let (code, text) = leading_code(rest)?;
    let text = text.to_owned();
    Some(SxidLine {
        switch: switch.parse().ok()?,
        pci: address_in(place)?,
        code,
        declared: declared_in(&text),
        link: link_in(&text),
        text,
    })
}

fn leading_number(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

/// A code, and the text after its comma. A line cut off inside or right after its code still names it; one whose code is
/// followed by anything else is none of ours.
fn leading_code(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (code, rest) = text.split_at(digits);
    let rest = if rest.is_empty() { rest } else { rest.strip_prefix(',')? };
    Some((code.parse().ok()?, rest.trim_start()))
}

/// The word `Fatal` or `Non-fatal` where lines carry it: among their first words.
fn declared_in(text: &str) -> Option<Declared> {
    text.split([' ', ',', '\t']).filter(|word| !word.is_empty()).take(3).find_map(|word| {
        Some(match word.to_ascii_lowercase().as_str() {
            "fatal" => Declared::Fatal,
            "non-fatal" | "nonfatal" => Declared::NonFatal,
            _ => return None,
        })
    })
}

/// The number after the word `Link`.
fn link_in(text: &str) -> Option<u8> {
    let mut words = text.split([' ', ',', '\t', '(']).filter(|word| !word.is_empty());
    words.by_ref().find(|word| word.eq_ignore_ascii_case("link"))?;
    words.next()?.parse().ok()
}

/// Reads `nvidia 0000:65:00.0: PCIe Bus Error: severity=Corrected, type=Data Link Layer, (Receiver ID)` and the lines of a
/// port that announce such errors.
fn read_aer(message: &str) -> Option<AerLine> {
    let (_, rest) = message.split_once(' ')?;
    let (logger, rest) = rest.split_once(": ")?;
    let logger = logger.parse::<PciAddress>().ok()?;
    let rest = rest.strip_prefix("AER: ").unwrap_or(rest);
    if let Some(rest) = rest.strip_prefix("PCIe Bus Error: severity=") {
        let (severity, rest) = rest.split_once(',').unwrap_or((rest, ""));
        let layer =
            rest.trim_start().strip_prefix("type=").map(|layer| layer.split(',').next().unwrap_or(layer).trim());
        let layer = layer.filter(|layer| !layer.is_empty()).map(str::to_owned);
        return Some(AerLine {
            pci: logger,
            severity: aer_severity(severity)?,
            layer,
            port: None,
            announces: false,
            without_details: false,
        });
    }
    let rest = rest.strip_prefix("Multiple ").unwrap_or(rest);
    let (severity, origin) = rest.split_once(" error ")?;
    if !origin.contains("received") {
        return None;
    }
    let source = origin.split_whitespace().find_map(address_in);
    let (pci, port) = (source.unwrap_or(logger), source.map(|_| logger));
    let without_details = origin.ends_with("(no details found)");
    Some(AerLine { pci, severity: aer_severity(severity)?, layer: None, port, announces: true, without_details })
}

/// Kernels up to 6.11 say `Corrected` and `Uncorrected (Fatal)`, later ones `Correctable` and `Uncorrectable (Fatal)`.
fn aer_severity(text: &str) -> Option<AerSeverity> {
    Some(match text.trim() {
        "Corrected" | "Correctable" => AerSeverity::Corrected,
        "Uncorrected (Non-Fatal)" | "Uncorrectable (Non-Fatal)" => AerSeverity::NonFatal,
        "Uncorrected (Fatal)" | "Uncorrectable (Fatal)" => AerSeverity::Fatal,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines as drivers and kernels wrote them; addresses made up.
    const REAL: &[&str] = &[
        "NVRM: Xid (PCI:0000:b5:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
        "[  812.304711] NVRM: Xid (PCI:0000:3b:00): 13, pid=8523, name=gpu_burn, Graphics SM Warp Exception on (GPC 0, TPC 1, SM 0): Illegal Instruction Encoding",
        "Nov 25 10:00:01 node7 kernel: NVRM: Xid (PCI:0008:06:00): 149, NETIR_LINK_EVT   Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000)",
        "<4>[17.2] NVRM: Xid (PCI:0000:9b:00 GPU-I:03): 94, pid=7194, name=kiln, Contained: SM (0x1). RST: No, D-RST: No",
        "NVRM: Xid (0000:03:00): 48, An uncorrectable double bit error (DBE) has been detected",
        "NVRM: Xid (PCI:0000:b5:00): 74, pid=1, name=x, NVLink: fatal error detected on link 6(0x10000, 0x0)",
        "2026-11-25T10:00:01+09:00 node7 kernel: nvidia-nvswitch2: SXid (PCI:0000:85:00.0): 12028, Non-fatal, Link 61 egress non-posted PRIV error (First)",
        "nvidia-nvswitch0: SXid (PCI:0000:83:00.0): 20034, Fatal, Link 30 LTSSM Fault Up",
        "nvidia-nvswitch0: SXid (PCI:0000:83:00.0): 20034, Data {0x50610002, 0x00000000, 0x00000000}",
        "NVRM: GPU 0000:b5:00.0: GPU has fallen off the bus.",
        "NVRM: The NVIDIA GPU 0000:b5:00.0 (PCI ID: 10de:2330) installed in this system has fallen off the bus and is not responding to commands.",
        "NVRM: GPU 0000:b5:00.0: RmInitAdapter failed! (0x26:0x56:1474)",
        "NVRM: RmInitAdapter failed!",
        "pcieport 0000:64:01.0: AER: Corrected error received: 0000:65:00.0",
        "pcieport 0000:64:01.0: AER: Multiple Corrected error received: id=0908",
        "pcieport 0000:64:01.0: AER: Uncorrectable (Non-Fatal) error message received from 0000:65:00.0",
        "nvidia 0000:65:00.0: PCIe Bus Error: severity=Corrected, type=Data Link Layer, (Receiver ID)",
        "nvidia 0000:65:00.0: AER: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer, (Requester ID)",
    ];

    /// One line for one reading, so that a snapshot shows every field.
    fn shown(line: &str) -> String {
        let address = |pci: Option<PciAddress>| pci.map_or("-".to_owned(), |pci| pci.to_string());
        match read_kernel_line(line) {
            None => "-".to_owned(),
            Some(KernelLine::Xid(x)) => format!(
                "xid {} {} pid {:?} process {:?} {:?} link {:?} | {}",
                x.pci, x.code, x.pid, x.process, x.declared, x.link, x.text
            ),
            Some(KernelLine::Sxid(s)) => {
                format!("sxid switch {} {} {} {:?} link {:?} | {}", s.switch, s.pci, s.code, s.declared, s.link, s.text)
            }
            Some(KernelLine::OffTheBus { pci }) => format!("off the bus {}", address(pci)),
            Some(KernelLine::InitFailed { pci, codes, .. }) => format!("init failed {} {codes:?}", address(pci)),
            Some(KernelLine::Aer(a)) => {
                format!("aer {} {:?} {:?} announces {}", a.pci, a.severity, a.layer, a.announces)
            }
        }
    }

    #[test]
    fn real_lines_read_as_they_are_meant() {
        let read: Vec<String> = REAL.iter().map(|line| shown(line)).collect();
        insta::assert_snapshot!(read.join("\n"), @r#"
        xid 00000000:b5:00.0 79 pid None process None None link None | GPU has fallen off the bus.
        xid 00000000:3b:00.0 13 pid Some(8523) process Some("gpu_burn") None link None | Graphics SM Warp Exception on (GPC 0, TPC 1, SM 0): Illegal Instruction Encoding
        xid 00000008:06:00.0 149 pid None process None Some(Fatal) link Some(8) | NETIR_LINK_EVT   Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000)
        xid 00000000:9b:00.0 94 pid Some(7194) process Some("kiln") None link None | Contained: SM (0x1). RST: No, D-RST: No
        xid 00000000:03:00.0 48 pid None process None None link None | An uncorrectable double bit error (DBE) has been detected
        xid 00000000:b5:00.0 74 pid Some(1) process Some("x") Some(Fatal) link Some(6) | NVLink: fatal error detected on link 6(0x10000, 0x0)
        sxid switch 2 00000000:85:00.0 12028 Some(NonFatal) link Some(61) | Non-fatal, Link 61 egress non-posted PRIV error (First)
        sxid switch 0 00000000:83:00.0 20034 Some(Fatal) link Some(30) | Fatal, Link 30 LTSSM Fault Up
        sxid switch 0 00000000:83:00.0 20034 None link None | Data {0x50610002, 0x00000000, 0x00000000}
        off the bus 00000000:b5:00.0
        off the bus 00000000:b5:00.0
        init failed 00000000:b5:00.0 Some("0x26:0x56:1474")
        init failed - None
        aer 00000000:65:00.0 Corrected None announces true
        aer 00000000:64:01.0 Corrected None announces true
        aer 00000000:65:00.0 NonFatal None announces true
        aer 00000000:65:00.0 Corrected Some("Data Link Layer") announces false
        aer 00000000:65:00.0 Fatal Some("Transaction Layer") announces false
        "#);
    }

    #[test]
    fn lines_of_other_kinds_say_nothing() {
        let others = [
            "",
            "NVRM: ",
            "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.105.08",
            "NVRM: GPU at PCI:0000:b5:00: GPU-00000000-0000-0000-0000-000000000000",
            "nvidia-nvswitch0: open (major=238)",
            "nvidia 0000:65:00.0: enabling device (0140 -> 0142)",
            "pcieport 0000:64:01.0: AER: enabled with IRQ 37",
            "usb 1-1: new high-speed USB device number 2",
            "audit: type=1400 comm=\"NVRM: Xid (PCI:0000:b5:00): 79, x\"",
            "python[77]: my log says kernel: NVRM: Xid (PCI:0000:b5:00): 79, pid=1, name=x, y",
        ];
        for line in others {
            assert_eq!(read_kernel_line(line), None, "{line}");
        }
    }

    #[test]
    fn hostile_lines_say_nothing() {
        let hostile = [
            "NVRM: Xid (PCI:0000:b5:00): 99999999999999999999, pid=1, name=x, y",
            "NVRM: Xid (PCI:0000:b5:00): -79, pid=1",
            "NVRM: Xid (PCI:0000:b5:00): 79; rm",
            "NVRM: Xid (PCI:0000:b5:00): , pid=1",
            "NVRM: Xid (PCI:zzzz:b5:00): 79, pid=1",
            "NVRM: Xid (): 79, pid=1",
            "NVRM: Xid (((((): 79",
            "nvidia-nvswitch999: SXid (PCI:0000:85:00.0): 12028, Fatal",
            "nvidia-nvswitch: SXid (PCI:0000:85:00.0): 12028, Fatal",
            "pcieport é: AER: Corrected error received",
            "nvidia 0000:65:00.0: PCIe Bus Error: severity=Worse, type=Physical Layer",
        ];
        for line in hostile {
            assert_eq!(read_kernel_line(line), None, "{line}");
        }
    }

    #[test]
    fn a_name_with_commas_or_numbers_too_big_costs_only_itself() {
        let line = "NVRM: Xid (PCI:0000:b5:00): 31, pid=99999999999, name=a, b, Ch 00000008, Link 300";
        let Some(KernelLine::Xid(xid)) = read_kernel_line(line) else { panic!("not an Xid") };
        assert_eq!((xid.code, xid.pid, xid.process.as_deref(), xid.link), (31, None, Some("a"), None));
    }

    #[test]
    fn a_line_cut_at_any_byte_never_panics_and_never_changes_its_address() {
        for line in REAL {
            let whole = read_kernel_line(line);
            for end in (0..line.len()).filter(|end| line.is_char_boundary(*end)) {
                match (read_kernel_line(&line[..end]), &whole) {
                    (Some(KernelLine::Xid(cut)), Some(KernelLine::Xid(whole))) => assert_eq!(cut.pci, whole.pci),
                    (Some(KernelLine::Sxid(cut)), Some(KernelLine::Sxid(whole))) => {
                        assert_eq!((cut.pci, cut.switch), (whole.pci, whole.switch));
                    }
                    (Some(cut), Some(whole)) => {
                        assert_eq!(std::mem::discriminant(&cut), std::mem::discriminant(whole), "{}", &line[..end]);
                    }
                    (None, _) => {}
                    (Some(cut), None) => panic!("{line} cut at {end} reads {cut:?}"),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}", line in 0..REAL.len(), at in 0_usize..200) {
            let real = REAL[line];
            let at = (0..=at.min(real.len())).rev().find(|at| real.is_char_boundary(*at)).unwrap_or(0);
            let _ = read_kernel_line(&text);
            let _ = read_kernel_line(&format!("{}{text}{}", &real[..at], &real[at..]));
            let _ = read_kernel_line(&format!("NVRM: Xid ({text}"));
        }
    }
}
