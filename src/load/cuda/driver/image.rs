//! The kernel images that ship inside the program, and which of them a GPU takes.

use crate::worker::Images;

/// One image.
#[derive(Debug, Clone, Copy)]
pub struct Image {
    pub name: &'static str,
    pub bytes: &'static [u8],
}

const SM_80: Image = Image { name: "sm_80", bytes: include_bytes!("../kernels/built/kiln_sm_80.cubin") };
const SM_89: Image = Image { name: "sm_89", bytes: include_bytes!("../kernels/built/kiln_sm_89.cubin") };
const SM_90A: Image = Image { name: "sm_90a", bytes: include_bytes!("../kernels/built/kiln_sm_90a.cubin") };
const SM_100F: Image = Image { name: "sm_100f", bytes: include_bytes!("../kernels/built/kiln_sm_100f.cubin") };
/// Blackwell Ultra: the text of `sm_100f`, assembled for the chip itself.
const SM_103A: Image = Image { name: "sm_103a", bytes: include_bytes!("../kernels/built/kiln_sm_103a.cubin") };
const SM_120: Image = Image { name: "sm_120", bytes: include_bytes!("../kernels/built/kiln_sm_120.cubin") };
/// Text that the driver compiles for whatever it has; it ends with a zero, as the driver asks.
const FALLBACK: Image = Image {
    name: "compute_80 PTX",
    bytes: concat!(include_str!("../kernels/built/kiln_compute_80.ptx"), "\0").as_bytes(),
};

/// The images to offer in turn; the last is always the text that the driver compiles.
pub(super) fn offered(major: i32, minor: i32, images: Images) -> &'static [Image] {
    let all = images_for(major, minor);
    match images {
        Images::Best => all,
        Images::Fallback => &all[all.len().saturating_sub(1)..],
    }
}

/// The images to try in turn on a compute capability; none for one that is too old.
pub const fn images_for(major: i32, minor: i32) -> &'static [Image] {
    match (major, minor) {
        (..8, _) => &[],
        (8, 9) => &[SM_89, FALLBACK],
        (8, _) => &[SM_80, FALLBACK],
        (9, 0) => &[SM_90A, FALLBACK],
        (10, 3) => &[SM_103A, SM_100F, FALLBACK],
        (10, _) => &[SM_100F, FALLBACK],
        (12, _) => &[SM_120, FALLBACK],
        _ => &[FALLBACK],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gpu_is_offered_what_it_can_run() {
        let names =
            |major, minor| images_for(major, minor).iter().map(|image| image.name).collect::<Vec<_>>().join(", ");
        let table: String = [(7, 5), (8, 0), (8, 9), (9, 0), (9, 1), (10, 0), (10, 3), (11, 0), (12, 0), (13, 0)]
            .map(|(major, minor)| format!("{major}.{minor}: {}\n", names(major, minor)))
            .concat();
        insta::assert_snapshot!(table, @"
        7.5: 
        8.0: sm_80, compute_80 PTX
        8.9: sm_89, compute_80 PTX
        9.0: sm_90a, compute_80 PTX
        9.1: compute_80 PTX
        10.0: sm_100f, compute_80 PTX
        10.3: sm_103a, sm_100f, compute_80 PTX
        11.0: compute_80 PTX
        12.0: sm_120, compute_80 PTX
        13.0: compute_80 PTX
        ");
    }

    #[test]
    fn images_are_what_they_are_called() {
        for image in [SM_80, SM_89, SM_90A, SM_100F, SM_103A, SM_120] {
            assert!(image.bytes.starts_with(b"\x7fELF"), "{}", image.name);
        }
        assert!(FALLBACK.bytes.ends_with(b"\0"));
    }
}
