//! The management library: a GPU node behind its C interface.
//!
//! The node is chosen by the environment, as a library has no arguments:
//! `KILN_FAKE_NODE` a node file or the name of one (`hgx-h200-8`), `KILN_FAKE_SEED` a number, `KILN_FAKE_FAULTS` faults as
//! `--fault` takes them, with commas between, `KILN_FAKE_SPEED` how many seconds of the node pass in one of ours,
//! `KILN_FAKE_KMSG` a file to which the node's kernel log is written in the form of `/dev/kmsg`,
//! `KILN_FAKE_DRIVER` another version of the driver, which offers what that release did, `KILN_FAKE_PART=ampere` parts without
//! T.limit, `KILN_FAKE_ERRORS` calls that are to fail (see `refusals`),
//! `KILN_FAKE_INIT` a code with which to refuse initialisation, `KILN_FAKE_VANISH` a GPU that is counted but gone,
//! `KILN_FAKE_GPUS` how many GPUs the driver shows at the most, `KILN_FAKE_HOST` a folder that stands for `/` and is filled with what the kernel would tell, `KILN_FAKE_BENCH` a folder by which the CUDA drivers of
//! worker processes load the node.
//!
//! No call panics across the boundary: a panic becomes the code for an unknown error.

#![expect(unsafe_code, reason = "this is the foreign side of a C interface")]
#![expect(unreachable_pub, reason = "every function is found by its name in the library, not by a path")]

mod answer;
mod device;
mod errors;
mod events;
mod fields;
mod host;
mod links;
mod loads;
mod node;
mod processes;
mod refusals;
mod release;
mod system;
