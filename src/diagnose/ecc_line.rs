//! Which memory of a GPU a line about an uncorrectable error speaks of: the DRAM beside the die, an SRAM on it, or neither.
//!
//! Names of units are those of `error_cont.h` of open-gpu-kernel-modules, the forms of lines those of
//! `kern_gpu_error_cont_ga100.c` (Xid 94 and 95) and `kern_gpu_tu102.c` (140).

use super::kernel_line::XidLine;

/// Where an uncorrectable error was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultyMemory {
    Dram,
    Sram,
    /// The unit was handed data that were already marked as broken: their origin is either.
    PassedOn,
}

/// What the text says, if it is in a form that says anything.
pub(super) fn faulty_memory(line: &XidLine) -> Option<FaultyMemory> {
    match line.code {
        // The memory of the system processor, without a word of containment (kernel_gsp_ecc_gb100.c, kernel_gsp_gb100.c).
        48 | 94 | 95 if line.text.trim_start().starts_with("GSP-RISCV") => Some(FaultyMemory::Sram),
        94 | 95 => of_unit(&line.text),
        140 => of_counts(&line.text),
        171 => Some(FaultyMemory::Dram),
        172 => Some(FaultyMemory::Sram),
        _ => None,
    }
}

/// Errors that a unit found in its own memory: the level 2 cache (LTC, SYSLTC), in data, tags and what tells of compression.
const OF_CACHE: [&str; 8] = [
    "LTC Data",
    "LTC TAG",
    "LTC CBC",
    "LTC Data Fatal",
    "SYSLTC Data",
    "SYSLTC Tag",
    "SYSLTC CBC",
    "SYSLTC Data Fatal",
];
/// Errors of two bits in the frame buffer, also where that was read for the cache (`E01_FB_ECC_DED`, `E02_..._IN_CBC_STORE`).
const OF_FRAME_BUFFER: [&str; 2] = ["FB DED", "DED CBC"];
/// Units that were handed broken data (`..._POISON`).
const HANDED: [&str; 17] = [
    "LTC GPC",
    "FBHUB",
    "SM",
    "CE User Channel",
    "CE Kernel Channel",
    "MMU",
    "GCC",
    "CTXSW",
    "PCIE Egress",
    "PCIE Ingress",
    "PMU",
    "SEC2",
    "GSP",
    "FB Falcon",
    "NVDEC",
    "NVJPG",
    "OFA",
];

/// `Contained: SM (0x1). RST: No, D-RST: No`, `Uncontained: FBHUB. RST: Yes, D-RST: No`.
fn of_unit(text: &str) -> Option<FaultyMemory> {
    let (_, rest) = text.split_once("ontained: ")?;
    let unit = rest.split(['(', '.']).next()?.trim();
    match unit {
        _ if OF_FRAME_BUFFER.contains(&unit) => Some(FaultyMemory::Dram),
        _ if OF_CACHE.contains(&unit) => Some(FaultyMemory::Sram),
        _ if HANDED.contains(&unit) => Some(FaultyMemory::PassedOn),
        _ => None,
    }
}

/// `An uncorrectable ECC error detected (possible firmware handling failure) DRAM:0, LTC:0, MMU:0, PCIE:2`. With no count at
/// all it was the hub of the frame buffer that was handed broken data.
fn of_counts(text: &str) -> Option<FaultyMemory> {
    let count = |key: &str| -> Option<i64> {
        let (_, rest) = text.split_once(key)?;
        rest.split(|end: char| end != '-' && !end.is_ascii_digit()).next()?.parse().ok()
    };
    let (dram, others) = (count("DRAM:")?, count("LTC:")? + count("MMU:")? + count("PCIE:")?);
    Some(match (dram != 0, others != 0) {
        (true, _) => FaultyMemory::Dram,
        (false, true) => FaultyMemory::Sram,
        (false, false) => FaultyMemory::PassedOn,
    })
}

#[cfg(test)]
mod tests {
    use super::super::kernel_line::{KernelLine, read_kernel_line};
    use super::*;

    fn said(code: u32, text: &str) -> Option<FaultyMemory> {
        let line = format!("NVRM: Xid (PCI:0000:5d:00): {code}, pid=7, name=x, {text}");
        let Some(KernelLine::Xid(line)) = read_kernel_line(&line) else { panic!("{line}") };
        faulty_memory(&line)
    }

    #[test]
    fn a_unit_tells_of_its_own_memory_or_of_what_it_was_handed() {
        for (text, memory) in [
            ("Contained: FB DED (0x3, 0x1). physAddr: 0x0012ab40 RST: No, D-RST: No", FaultyMemory::Dram),
            ("Uncontained: LTC TAG (0x2,0x0). RST: Yes, D-RST: No", FaultyMemory::Sram),
            ("Uncontained: SYSLTC Data Fatal (0, 1, 2). RST: Yes, D-RST: No", FaultyMemory::Sram),
            ("Uncontained: FBHUB. RST: Yes, D-RST: No", FaultyMemory::PassedOn),
            ("Ch 00000008, Contained: MMU (0x4). RST: No, D-RST: No", FaultyMemory::PassedOn),
        ] {
            assert_eq!(said(95, text), Some(memory), "{text}");
        }
        assert_eq!(said(94, "Contained ECC error"), None);
        assert_eq!(said(94, "Contained: a unit to come (0x1)"), None);
    }

    #[test]
    fn the_counts_of_an_escaped_error_tell_where_it_was() {
        let counts = |dram: u8, ltc: u8, mmu: u8, pcie: u8| {
            said(
                140,
                &format!(
                    "An uncorrectable ECC error detected (possible firmware handling failure) DRAM:{dram}, LTC:{ltc}, MMU:{mmu}, PCIE:{pcie}"
                ),
            )
        };
        assert_eq!(counts(1, 0, 0, 0), Some(FaultyMemory::Dram));
        assert_eq!(counts(0, 0, 0, 2), Some(FaultyMemory::Sram));
        assert_eq!(counts(0, 0, 0, 0), Some(FaultyMemory::PassedOn));
        assert_eq!(said(140, "An uncorrectable ECC error detected DRAM:"), None);
    }
}
