//! A call of the GPU's driver that failed: which, and with what code.

use serde::{Deserialize, Serialize};

use super::cuda_error;

/// A call of the CUDA driver that failed, as it is carried in records and between processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{call} failed: {} (CUDA error {code})", cuda_error::meaning(*code).0)]
pub struct DriverCall {
    pub call: String,
    pub code: i32,
}

impl DriverCall {
    pub fn new(call: &str, code: i32) -> Self {
        Self { call: call.to_owned(), code }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KernelFallback, LoadFault, OpenError};
    use super::*;

    #[test]
    fn a_failed_call_is_written_beside_the_other_fields_as_it_always_was() {
        let failed = || DriverCall::new("cuInit", 46);
        let fault = LoadFault::Driver { failed: failed(), holders: String::new() };
        let open = OpenError::Taken { gpu: "gpu/3".to_owned(), holders: String::new(), failed: failed() };
        let fallback = KernelFallback::Refused { failed: failed(), log: "x".to_owned() };
        for (text, written) in [
            (r#"{"driver":{"call":"cuInit","code":46}}"#, serde_json::to_string(&fault)),
            (r#"{"taken":{"gpu":"gpu/3","holders":"","call":"cuInit","code":46}}"#, serde_json::to_string(&open)),
            (r#"{"call":{"call":"cuInit","code":46}}"#, serde_json::to_string(&OpenError::Call(failed()))),
            (r#"{"refused":{"call":"cuInit","code":46,"log":"x"}}"#, serde_json::to_string(&fallback)),
        ] {
            assert_eq!(written.expect("written"), text);
        }
        let read = |text: &str| serde_json::from_str::<LoadFault>(text).expect("read");
        assert_eq!(read(r#"{"driver":{"call":"cuInit","code":46}}"#), fault);
        assert_eq!(
            read(r#"{"open":{"call":{"call":"cuInit","code":46}}}"#),
            LoadFault::Open(Box::new(OpenError::Call(failed())))
        );
    }
}
