//! Figures that the README names, measured.

mod telemetry;

#[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
fn main() {
    println!("{}", telemetry::table(&telemetry::figures(&mut telemetry::soak(72))));
}
