//! No kernel lands without a proof, and no cubin without its text.

use std::collections::BTreeSet;
use std::fs;

use crate::cuda::layout::{BURNS, BurnArgs, ChaseArgs, ChecksumArgs, HangArgs, MarchArgs};

use crate::images::{IMAGES, Proof, built, burns, proof_of};

#[test]
fn every_kernel_of_every_image_has_a_proof() {
    for image in IMAGES.iter() {
        let without: Vec<_> =
            image.module.entries().filter(|entry| proof_of(&entry.name).is_none()).map(|entry| &entry.name).collect();
        assert!(without.is_empty(), "{}: {without:?} are launched by nothing here", image.name);
    }
}

#[test]
fn every_burn_of_the_layout_is_in_some_image() {
    let found: BTreeSet<&str> = burns().map(|(_, burn)| burn.name).collect();
    assert_eq!(found, BURNS.iter().map(|burn| burn.name).collect());
}

#[test]
fn every_kernel_takes_the_arguments_the_host_gives() {
    for image in IMAGES.iter() {
        for entry in image.module.entries() {
            let size = match proof_of(&entry.name) {
                Some(Proof::Burn(_)) => size_of::<BurnArgs>(),
                Some(Proof::March) => size_of::<MarchArgs>(),
                Some(Proof::Checksum) => size_of::<ChecksumArgs>(),
                Some(Proof::Chase) => size_of::<ChaseArgs>(),
                Some(Proof::Hang) => size_of::<HangArgs>(),
                None => continue,
            };
            assert_eq!(entry.parameters, [size], "{} of {}", entry.name, image.name);
        }
    }
}

/// The one text for `sm_80` and for what has no image of its own is called after its virtual architecture; Blackwell Ultra has the text
/// of its family.
fn text_of(cubin: &str) -> &str {
    match cubin {
        "sm_80" => "compute_80",
        "sm_103a" => "sm_100f",
        cubin => cubin,
    }
}

#[test]
fn every_cubin_has_the_kernels_of_its_text() {
    let mut texts = BTreeSet::new();
    for entry in fs::read_dir(built()).expect("the folder of built kernels") {
        let path = entry.expect("entry").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().replace("kiln_", "");
        if path.extension().is_some_and(|extension| extension == "cubin") {
            let bytes = fs::read(&path).expect("a readable cubin");
            let image = crate::images::image(text_of(&stem));
            texts.insert(image.name.clone());
            for kernel in image.module.entries() {
                // Sections of an ELF file end their names with a zero.
                let section = format!(".text.{}\0", kernel.name);
                let there = bytes.windows(section.len()).any(|window| window == section.as_bytes());
                assert!(there, "{stem} has no {}", kernel.name);
            }
        }
    }
    assert_eq!(texts, IMAGES.iter().map(|image| image.name.clone()).collect(), "texts that no cubin is made of");
}
