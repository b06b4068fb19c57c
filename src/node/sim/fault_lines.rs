//! The driver's words beside the codes that faults log.

/// What the driver says beside some Xids.
pub(super) fn xid_text(code: u32) -> &'static str {
    const TEXTS: &[(u32, &str)] = &[
        (13, "pid=4711, name=kiln, Graphics SM Warp Exception on (GPC 0, TPC 1, SM 0): Illegal Instruction Encoding"),
        (
            31,
            "pid=4711, name=kiln, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted @ 0x7f00_00000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ",
        ),
        (43, "pid=4711, name=kiln, Ch 00000008"),
        (45, "pid=4711, name=kiln, Ch 00000008, preemptive channel removal"),
        (54, "pid='<unknown>', name=<unknown>, Auxiliary power is not connected to the GPU board."),
        (62, "pid='<unknown>', name=<unknown>, Internal micro-controller halt"),
        (
            74,
            "pid='<unknown>', name=<unknown>, NVLink: error detected on link 0(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)",
        ),
        (92, "pid='<unknown>', name=<unknown>, High single-bit ECC error rate detected."),
        (93, "pid='<unknown>', name=<unknown>, InfoROM erase limit exceeded."),
        (
            119,
            "pid=4711, name=kiln, Timeout after 45s of waiting for RPC response from GPU0 GSP! Expected function 76 (GSP_RM_CONTROL).",
        ),
        (120, "pid='<unknown>', name=<unknown>, GSP Error: Task 1 raised error code 0x5"),
        (140, "pid='<unknown>', name=<unknown>, An uncorrectable ECC error has escaped."),
    ];
    TEXTS.iter().find(|row| row.0 == code).map_or("pid='<unknown>', name=<unknown>", |row| row.1)
}

pub(super) fn sxid_line(switch: u8, code: u32) -> String {
    let severity = if code / 1000 == 20 || code / 1000 == 19 { "Fatal" } else { "Non-fatal" };
    format!("nvidia-nvswitch{switch}: SXid (PCI:0000:{:02x}:00.0): {code}, {severity}, Link 07 error", 0x83 + switch)
}
