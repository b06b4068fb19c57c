//! The building on one screen, what it is told while it is open, and what a monitoring system reads.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::bench::{Bench, wait};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/floor/floor.yaml");

/// A page that listens.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn of(bench: &Bench, path: &str) -> Self {
        let mut stream = TcpStream::connect(&bench.address).expect("the floor listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", bench.address).expect("sent");
        Self(BufReader::new(stream))
    }

    fn next(&mut self) -> serde_json::Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).expect("a line in time"), 0, "the floor closed the stream");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }
}

#[test]
fn an_open_page_is_told_of_every_tile_at_first_then_of_changes_and_that_the_floor_lives() {
    let (bench, _floor) = Bench::with(&["--floor", EXAMPLE]);
    let mut building = Listener::of(&bench, "/events?tiles=1&lang=en");
    let mut list = Listener::of(&bench, "/events?lang=en");
    let first =
        wait("all tiles", || Some(building.next()).filter(|told| !told["t"].as_array().expect("tiles").is_empty()));
    assert_eq!(first["t"].as_array().map(Vec::len), Some(12));
    let before = list.next();
    assert_eq!(before["t"].as_array().map(Vec::len), Some(0), "a list has no tiles");
    bench.sends("/scan", "serial=SRV1&by=sato&slot=r02-04");
    let changed =
        wait("a change", || Some(building.next()).filter(|told| !told["t"].as_array().expect("tiles").is_empty()));
    assert_eq!(changed["t"].as_array().map(Vec::len), Some(1), "{changed}");
    assert_eq!((&changed["t"][0][0], &changed["t"][0][4]), (&"r02-04".into(), &"SRV1".into()));
    assert_ne!(wait("a revision", || Some(list.next()).filter(|told| told["r"] != before["r"]))["r"], before["r"]);
    // Nothing happens any more, and still something is heard.
    let quiet = wait("a quiet beat", || Some(building.next()).filter(|told| told["t"] == serde_json::json!([])));
    assert!(quiet["s"].as_str().is_some_and(|sums| sums.contains("First-pass yield")), "{quiet}");
}

#[test]
fn the_building_and_its_racks_show_every_slot_in_words_as_well() {
    let (bench, _floor) = Bench::with(&["--floor", EXAMPLE]);
    bench.sends("/scan", "serial=SRV1&by=sato&slot=r02-04");
    let shown = |page: &String| page.contains("r02-04 SRV1 Arrived");
    let page = wait("the tile", || Some(bench.get("/building?lang=en").1).filter(shown));
    assert_eq!(page.matches("class=\"tile ").count(), 12);
    let (status, rack) = bench.get("/racks/r02?lang=ja");
    assert!(status == 200 && rack.contains("SRV1") && rack.matches("scope=\"row\"").count() == 6, "{rack}");
    assert_eq!(bench.get("/racks/r09").0, 404);
    let (_, metrics) = bench.get("/metrics");
    for line in [
        "kiln_floor_units{stage=\"arrived\"} 1",
        "kiln_floor_limit_watts{place=\"feed-a\"} 120000",
        "kiln_floor_granted_watts{place=\"r02\"} 0",
        "kiln_floor_starts_stopped 0",
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line} is not in {metrics}");
    }
    assert!(metrics.contains("text/plain; version=0.0.4"));
}
