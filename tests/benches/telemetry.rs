//! Telemetry of a simulated 72-hour run: bytes per value and time, beside the same readings as CSV with zstd and as Parquet
//! with its defaults.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln::engine::{Arrivals, Dut as _};
use kiln::event::RunRecord;
use kiln::model::{BurnKernel, GpuIndex, LoadId, LoadKind, LoadOrder, Moment, Sample, Sensor, StopHow};
use kiln::node::sim::{NodeFile, SimNode};
use kiln::report::{Languages, Traces, run_page};
use kiln::telemetry::{FILE_NAME, FOLDER, Labels, Reader, Safety, Telemetry, export};
use parquet::basic::{Repetition, Type as Physical};
use parquet::data_type::{DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

/// One way of keeping the readings.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) form: &'static str,
    pub(crate) bytes: u64,
    pub(crate) values: u64,
    pub(crate) time: Duration,
}

impl Figure {
    pub(crate) fn bytes_per_value(&self) -> f64 {
        self.bytes as f64 / self.values as f64
    }

    pub(crate) fn nanos_per_value(&self) -> f64 {
        self.time.as_nanos() as f64 / self.values as f64
    }
}

/// Compares all forms over the samples that `feed` gives, a piece at a time until it says that was the last. Only what a
/// form costs is timed, not the making of the samples.
pub(crate) fn figures(feed: &mut dyn FnMut(&mut Vec<Sample>) -> bool) -> Vec<Figure> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut blocks = Telemetry::create(folder.path(), Safety::AtTheEnd).expect("telemetry");
    let csv_path = folder.path().join("samples.csv.zst");
    let mut csv = zstd::Encoder::new(std::fs::File::create(&csv_path).expect("csv"), 3).expect("zstd");
    let plain_path = folder.path().join("plain.parquet");
    let mut plain = plain_parquet(&plain_path);
    let (mut block_time, mut csv_time, mut plain_time) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut samples = Vec::new();
    let mut values = 0;
    let mut line = Vec::new();
    loop {
        samples.clear();
        let more = feed(&mut samples);
        values += samples
            .iter()
            .map(|sample| Sensor::ALL.iter().filter(|sensor| sample.get(**sensor).is_some()).count() as u64)
            .sum::<u64>();
        timed(&mut block_time, || samples.iter().for_each(|sample| blocks.sample(sample)));
        timed(&mut csv_time, || {
            for sample in &samples {
                line.clear();
                write!(line, "{},{}", sample.at.seconds(), sample.gpu.0).expect("a line");
                for sensor in Sensor::ALL {
                    match sample.get(*sensor) {
                        Some(value) => write!(line, ",{value}").expect("a line"),
                        None => line.push(b','),
                    }
                }
                line.push(b'\n');
                csv.write_all(&line).expect("csv");
            }
        });
        timed(&mut plain_time, || row_group(&mut plain, &samples));
        if !more {
            break;
        }
    }
    timed(&mut block_time, || blocks.close().expect("closed"));
    timed(&mut csv_time, || drop(csv.finish().expect("csv")));
    timed(&mut plain_time, || drop(plain.close().expect("parquet")));
    let size = |path: &Path| std::fs::metadata(path).expect("written").len();
    let export_path = folder.path().join("export.parquet");
    let mut export_time = Duration::ZERO;
    timed(&mut export_time, || {
        let mut reader = Reader::open(folder.path()).expect("telemetry");
        let file = std::fs::File::create(&export_path).expect("parquet");
        export(&mut reader, &Labels::default(), file).expect("exported");
    });
    let (page, page_time) = page(folder.path());
    let blocks_path = folder.path().join(FOLDER).join(FILE_NAME);
    vec![
        Figure { form: "kiln blocks, appended while running", bytes: size(&blocks_path), values, time: block_time },
        Figure { form: "Parquet from the blocks", bytes: size(&export_path), values, time: export_time },
        Figure { form: "report.html from the blocks", bytes: page, values, time: page_time },
        Figure { form: "Parquet, defaults", bytes: size(&plain_path), values, time: plain_time },
        Figure { form: "CSV, zstd 3", bytes: size(&csv_path), values, time: csv_time },
    ]
}

/// Size of the page with the plots of all readings, and the time it takes to read and draw them.
fn page(run: &Path) -> (u64, Duration) {
    let mut time = Duration::ZERO;
    let mut size = 0;
    timed(&mut time, || {
        let mut reader = Reader::open(run).expect("telemetry");
        let record = RunRecord { last_at: Moment::from_secs(72 * 3600), ..RunRecord::default() };
        let mut traces = Traces::of(&record);
        while let Some(block) = reader.next_block().expect("sound") {
            for gpu in &block.gpus {
                traces.take(gpu.gpu, &gpu.at, |sensor| gpu.column(sensor));
            }
        }
        size = run_page(&record, &traces, &[], Languages::BOTH).len() as u64;
    });
    (size, time)
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn timed(total: &mut Duration, work: impl FnOnce()) {
    let begin = Instant::now();
    work();
    *total += begin.elapsed();
}

fn plain_parquet(path: &Path) -> SerializedFileWriter<std::fs::File> {
    let field = |name: &str, physical, repetition| {
        Arc::new(Type::primitive_type_builder(name, physical).with_repetition(repetition).build().expect("a column"))
    };
    let mut fields =
        vec![field("at", Physical::INT64, Repetition::REQUIRED), field("gpu", Physical::INT32, Repetition::REQUIRED)];
    fields.extend(Sensor::ALL.iter().map(|sensor| field(sensor.name(), Physical::DOUBLE, Repetition::OPTIONAL)));
    let schema = Type::group_type_builder("samples").with_fields(fields).build().expect("a schema");
    let file = std::fs::File::create(path).expect("parquet");
    SerializedFileWriter::new(file, Arc::new(schema), Arc::new(WriterProperties::new())).expect("parquet")
}

fn row_group(writer: &mut SerializedFileWriter<std::fs::File>, samples: &[Sample]) {
    let mut group = writer.next_row_group().expect("a group");
    let at: Vec<i64> = samples.iter().map(|sample| sample.at.nanos() as i64).collect();
    let gpus: Vec<i32> = samples.iter().map(|sample| i32::from(sample.gpu.0)).collect();
    let mut column = group.next_column().expect("column").expect("at");
    column.typed::<Int64Type>().write_batch(&at, None, None).expect("written");
    column.close().expect("closed");
    let mut column = group.next_column().expect("column").expect("gpu");
    column.typed::<Int32Type>().write_batch(&gpus, None, None).expect("written");
    column.close().expect("closed");
    for sensor in Sensor::ALL {
        let values: Vec<f64> = samples.iter().filter_map(|sample| sample.get(*sensor)).collect();
        let levels: Vec<i16> = samples.iter().map(|sample| i16::from(sample.get(*sensor).is_some())).collect();
        let mut column = group.next_column().expect("column").expect("sensor");
        column.typed::<DoubleType>().write_batch(&values, Some(&levels), None).expect("written");
        column.close().expect("closed");
    }
    group.close().expect("closed");
}

/// The table for people.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = format!("{:40} {:>10} {:>12} {:>10} {:>8}\n", "form", "MB", "bytes/value", "ns/value", "s");
    for figure in figures {
        let _ = writeln!(
            text,
            "{:40} {:>10.1} {:>12.3} {:>10.1} {:>8.2}",
            figure.form,
            figure.bytes as f64 / 1e6,
            figure.bytes_per_value(),
            figure.nanos_per_value(),
            figure.time.as_secs_f64()
        );
    }
    text
}

/// A simulated soak of `hours` on an HGX H200, an hour of samples at a time: burn for 50 minutes, rest for 10, so that
/// there are edges to keep as well.
pub(crate) fn soak(hours: u32) -> impl FnMut(&mut Vec<Sample>) -> bool {
    let file = NodeFile::find("hgx-h200-8").expect("a node");
    let mut node = SimNode::new(&file, 1, &[]).expect("a simulated node");
    let mut arrivals = Arrivals::default();
    let mut hour = 0;
    move |samples| {
        let begin = Moment::from_secs(u64::from(hour) * 3600);
        for second in 0..3600 {
            let now = begin + Duration::from_secs(second);
            match second {
                0 => node.start_load(now, &order(hour)),
                3000 => node.stop_load(now, LoadId(hour), StopHow::Gently),
                _ => {}
            }
            node.sample(now);
            node.collect(now, &mut arrivals);
            samples.append(&mut arrivals.samples);
            arrivals.loads.clear();
            arrivals.kernel.clear();
        }
        hour += 1;
        hour < hours
    }
}

fn order(id: u32) -> LoadOrder {
    LoadOrder {
        id: LoadId(id),
        kind: LoadKind::Burn(BurnKernel::Bf16),
        gpus: (0..8).map(GpuIndex).collect(),
        seed: 1,
        span: None,
    }
}
