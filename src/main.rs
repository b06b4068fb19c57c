//! The thin binary: parse, call the command line's library half, return its exit code.

use kiln::cli::{self, Exit};

fn main() -> Exit {
    cli::main()
}
