//! What a simulated node is made from, as one digest: under the same names there may be other files later.

use super::{FaultUse, NodeFile};
use kiln_profile::digest_of;

/// One digest of a node file and the files of all faults in it.
pub fn source_digest(file: &NodeFile, faults: &[FaultUse]) -> String {
    let all: Vec<&str> =
        std::iter::once(file.digest.as_str()).chain(faults.iter().map(|fault| fault.file.digest.as_str())).collect();
    digest_of(all.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_content_is_another_digest_and_the_same_is_the_same() {
        let text = NodeFile::embedded_text("hgx-h200-8").expect("embedded");
        let of = |text: &str, faults: &[FaultUse]| {
            source_digest(&NodeFile::read("n.yaml", text.as_bytes()).expect("a node"), faults)
        };
        let fault = [FaultUse::parse("wrong-always").expect("a fault")];
        assert_eq!(of(text, &fault), of(text, &fault));
        assert_ne!(of(text, &fault), of(text, &[]));
        assert_ne!(of(text, &[]), of(&text.replace("143771", "81559"), &[]));
    }
}
