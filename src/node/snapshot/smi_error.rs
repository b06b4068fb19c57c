//! What is wrong with a file that should be the tool's XML.

/// Why the XML gives no inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmiError {
    #[error("not well-formed XML at byte {at}: {detail}; write the file anew with `nvidia-smi -q -x > smi.xml`")]
    Malformed { at: u64, detail: String },
    #[error(
        "this is text and not XML, it begins with `{begin}`; write the file anew with `nvidia-smi -q -x > smi.xml`"
    )]
    Text { begin: String },
    #[error("nested deeper than any report of nvidia-smi; is this another file?")]
    TooDeep,
    #[error("the document is `{found}`, not `nvidia_smi_log`; write it with `nvidia-smi -q -x > smi.xml`")]
    AnotherDocument { found: String },
    #[error("nvidia-smi itself failed: `{said}`; put the driver right first (`kiln doctor`), then write the file anew")]
    ToolFailed { said: String },
    #[error("the report has no GPU in it")]
    NoGpus,
    #[error("the report has {count} GPUs; at most 255 can be told apart")]
    TooMany { count: usize },
}
