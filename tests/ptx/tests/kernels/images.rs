//! The PTX that is committed, and how each kernel in it is proven.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use crate::cuda::layout::{BURNS, Burn};
use kiln_ptx::Module;

#[derive(Debug)]
pub(crate) struct Image {
    /// `sm_90a` and the like.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) module: Module,
}

/// How a kernel is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Burn(Burn),
    March,
    Checksum,
    Chase,
    Hang,
}

pub(crate) fn built() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../src/load/cuda/kernels/built")
}

/// Every image, by its name.
pub(crate) static IMAGES: LazyLock<Vec<Image>> = LazyLock::new(|| {
    let mut paths: Vec<PathBuf> = fs::read_dir(built())
        .expect("the folder of built kernels")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ptx"))
        .collect();
    paths.sort();
    let image = |path: &PathBuf| {
        let stem = path.file_stem().expect("a name").to_string_lossy();
        let name = stem.strip_prefix("kiln_").expect("images are called kiln_...").to_owned();
        let text = fs::read_to_string(path).expect("readable PTX");
        let module = Module::parse(&text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        Image { name, text, module }
    };
    paths.iter().map(image).collect()
});

/// How the kernel of this name is proven; none for one that has no proof.
pub(crate) fn proof_of(kernel: &str) -> Option<Proof> {
    match kernel {
        "march" => Some(Proof::March),
        "checksum" => Some(Proof::Checksum),
        "chase" => Some(Proof::Chase),
        "hang" => Some(Proof::Hang),
        _ => BURNS.iter().find(|burn| burn.name == kernel).map(|burn| Proof::Burn(*burn)),
    }
}

/// All burn kernels of all images.
pub(crate) fn burns() -> impl Iterator<Item = (&'static Image, Burn)> {
    IMAGES.iter().flat_map(|image| {
        image.module.entries().filter_map(move |entry| match proof_of(&entry.name) {
            Some(Proof::Burn(burn)) => Some((image, burn)),
            _ => None,
        })
    })
}

pub(crate) fn image(name: &str) -> &'static Image {
    IMAGES.iter().find(|image| image.name == name).unwrap_or_else(|| panic!("there is no image {name}"))
}
