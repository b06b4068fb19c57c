//! The driver's library of a simulated node in this very process, told which calls are to fail, and a node behind it.

#![expect(unsafe_code, reason = "a library of our own is told at run time what to refuse")]

use std::ffi::{CString, c_char};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use kiln::engine::Arrivals;
use kiln::model::{Inventory, Moment, Sample};
use kiln::node::nvml::{NvmlNode, NvmlOptions};

fn library() -> PathBuf {
    std::env::current_exe().expect("the test's own path").with_file_name("libkiln_fake_driver.so")
}

/// The library of this process, told which calls are to fail.
pub(crate) struct Refusing(libloading::Library);

impl Refusing {
    pub(crate) fn open() -> Self {
        // SAFETY: a library of our own that does nothing when it is loaded.
        Self(unsafe { libloading::Library::new(library()) }.expect("the library"))
    }

    pub(crate) fn refuse(&self, what: &str) {
        let text = CString::new(what).expect("a text");
        // SAFETY: the signature is the library's own; the text lives through the call.
        let code = unsafe {
            let told: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char) -> u32> =
                self.0.get(b"kiln_fake_errors").expect("the function");
            told(text.as_ptr())
        };
        assert_eq!(code, 0);
    }
}

/// A node with its arrivals, woken as answers come.
pub(crate) struct Looked {
    node: NvmlNode,
    woken: Receiver<()>,
    arrivals: Arrivals,
}

impl Looked {
    pub(crate) fn open() -> Self {
        let root = std::env::temp_dir().join("kiln-no-such-host");
        let options = NvmlOptions { lib: Some(library()), root, ..NvmlOptions::default() };
        let mut node = NvmlNode::open_with(&options).expect("a node");
        let (wake, woken) = channel();
        node.on_arrival(Box::new(move || {
            let _ = wake.send(());
        }));
        Self { node, woken, arrivals: Arrivals::default() }
    }

    fn until(&mut self, enough: impl Fn(&Arrivals) -> bool) {
        for _ in 0..1000 {
            self.node.collect(Moment::from_secs(1), &mut self.arrivals);
            if enough(&self.arrivals) {
                return;
            }
            let _ = self.woken.recv_timeout(Duration::from_millis(50));
        }
        panic!("nothing came");
    }

    pub(crate) fn inventory(&mut self) -> Inventory {
        self.node.read_inventory(Moment::from_secs(1));
        self.until(|arrivals| !arrivals.inventories.is_empty());
        *self.arrivals.inventories.remove(0).expect("an inventory")
    }

    pub(crate) fn samples(&mut self) -> Vec<Sample> {
        self.arrivals.samples.clear();
        self.node.sample(Moment::from_secs(1));
        self.until(|arrivals| arrivals.samples.len() == 8);
        let mut samples = std::mem::take(&mut self.arrivals.samples);
        samples.sort_by_key(|sample| sample.gpu);
        samples
    }
}
