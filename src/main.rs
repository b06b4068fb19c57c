//! The thin binary. Only the hidden verb is here; the command line is wired above it.

fn main() {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        let mut engine = kiln::load::cuda::CudaEngine::from_environment();
        kiln::load::worker::main(std::io::stdin(), std::io::stdout(), &mut engine);
    }
}
