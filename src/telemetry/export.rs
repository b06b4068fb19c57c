//! Parquet from the blocks: one row per GPU and tick, a typed column per sensor, units in the metadata.
//!
//! Rows are taken in by the hour and become pages at once; a row group holds a day of them, since each has its dictionaries
//! anew. A reading that is unsupported or failed is null; `failure` says which of them failed and how, so that the two stay
//! apart.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "columns are bounded by the length of a block, and values are kept in the width they came in"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::{ColumnWriter, get_column_writer, get_typed_column_writer_mut};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::block::GpuColumns;
use super::error::TelemetryError;
use super::gap::Gap;
use super::header::is_whole;
use super::read::Reader;
use kiln_model::{GpuIndex, Moment, Reading, ReadingFailure, Sensor, SensorKind, WallTime};

/// Rows that are taken in at once: an hour of eight GPUs at a sample a second.
const PART_ROWS: usize = 28_800;
/// Rows of a row group at least: a day of them. Of 72 simulated hours, groups of an hour make 13.7 MB, of a day 12.0 MB.
const GROUP_ROWS: usize = 24 * PART_ROWS;
/// As the blocks have it.
const LEVEL: i32 = 3;

/// What the rows are of: told in every row or in the file's metadata.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// Serial numbers of the GPUs.
    pub serials: BTreeMap<GpuIndex, String>,
    /// When the wall clock showed what: at the start and after every resume.
    pub clock: Vec<(Moment, WallTime)>,
    /// Key-value metadata of the file.
    pub facts: Vec<(String, String)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("the Parquet file cannot be written")]
    Parquet(#[from] ParquetError),
}

/// Writes all that the reader gives, and returns what was missing.
pub fn export(reader: &mut Reader, labels: &Labels, out: impl Write + Send) -> Result<Vec<Gap>, ExportError> {
    let mut writer = SerializedFileWriter::new(out, schema()?, Arc::new(properties(reader.written_by())?))?;
    while let Some(first) = Part::read(reader)? {
        write_group(&mut writer, first, reader, labels)?;
    }
    for (key, value) in facts(labels, reader.gaps()) {
        writer.append_key_value_metadata(KeyValue::new(key, value));
    }
    writer.close()?;
    Ok(reader.gaps().to_vec())
}

/// How the columns are kept. A dictionary is best for what comes again and again; what never does is told by its differences,
/// or, where it is no whole number, byte by byte of all rows: the upper ones hardly change.
fn properties(written_by: &str) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        // By page they cost time, and no reader needs them of pages of some thousand rows.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(written_by.to_owned());
    let rising = Sensor::ALL.iter().filter(|sensor| sensor.kind() == SensorKind::Counter && !is_whole(**sensor));
    for name in [TIME, ELAPSED].into_iter().chain(rising.map(|sensor| sensor.name())) {
        let whole = name == TIME || name == DECIMAL.name();
        let encoding = if whole { Encoding::DELTA_BINARY_PACKED } else { Encoding::BYTE_STREAM_SPLIT };
        // Names have dots and are no paths.
        let column = ColumnPath::from(vec![name.to_owned()]);
        properties =
            properties.set_column_dictionary_enabled(column.clone(), false).set_column_encoding(column, encoding);
    }
    Ok(properties.build())
}

/// Writes one row group: `first` and what comes after it. Every column is made in memory, where its pages take some megabytes.
fn write_group<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    first: Part,
    reader: &mut Reader,
    labels: &Labels,
) -> Result<(), ExportError> {
    let columns = writer.schema_descr().columns().to_vec();
    let mut pages: Vec<TrackedWrite<Vec<u8>>> = columns.iter().map(|_| TrackedWrite::new(Vec::new())).collect();
    let to_pages = columns.into_iter().zip(&mut pages).map(|(column, pages)| {
        get_column_writer(column, Arc::clone(writer.properties()), Box::new(SerializedPageWriter::new(pages)))
    });
    let mut columns: Vec<ColumnWriter<'_>> = to_pages.collect();
    let mut rows = 0;
    let mut next = Some(first);
    while let Some(part) = next {
        part.write(&mut columns, labels)?;
        rows += part.rows;
        next = if rows < GROUP_ROWS { Part::read(reader)? } else { None };
    }
    let closed = columns.into_iter().map(ColumnWriter::close).collect::<Result<Vec<_>, _>>()?;
    let mut group = writer.next_row_group()?;
    for (pages, closed) in pages.into_iter().zip(closed) {
        group.append_column(&Bytes::from(pages.into_inner()?), closed)?;
    }
    group.close()?;
    Ok(())
}

/// Columns that are not of a sensor.
const TIME: &str = "time";
const ELAPSED: &str = "elapsed";
const GPU: &str = "gpu";
const SERIAL: &str = "serial";
const FAILURE: &str = "failure";

/// A total that grows with every row. As a decimal it is the same number, and takes a third of the bytes of a float.
const DECIMAL: Sensor = Sensor::Energy;
/// Digits of it, all and behind the point: thousandths of a joule, as NVML counts them.
const DIGITS: (i32, i32) = (18, 3);
/// Thousandths beyond this are not exact as a float.
const DECIMAL_MOST: f64 = 9_007_199_254_740_992.0;

fn decimal(value: f64) -> Option<i64> {
    let thousandths = (value * 1000.0).round();
    (thousandths.abs() < DECIMAL_MOST).then_some(thousandths as i64)
}

fn schema() -> Result<TypePtr, ParquetError> {
    let field = |name: &str, physical, logical, repetition| -> Result<TypePtr, ParquetError> {
        let builder = Type::primitive_type_builder(name, physical);
        Ok(Arc::new(builder.with_logical_type(logical).with_repetition(repetition).build()?))
    };
    let stamp = Some(LogicalType::timestamp(true, TimeUnit::MICROS));
    let (precision, scale) = DIGITS;
    let mut fields = vec![
        field(TIME, Physical::INT64, stamp, Repetition::OPTIONAL)?,
        field(ELAPSED, Physical::DOUBLE, None, Repetition::REQUIRED)?,
        field(GPU, Physical::INT32, Some(LogicalType::integer(8, false)), Repetition::REQUIRED)?,
        field(SERIAL, Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::OPTIONAL)?,
    ];
    for sensor in Sensor::ALL {
        if *sensor == DECIMAL {
            let total = Type::primitive_type_builder(sensor.name(), Physical::INT64)
                .with_logical_type(Some(LogicalType::decimal(scale, precision)))
                .with_precision(precision)
                .with_scale(scale)
                .with_repetition(Repetition::OPTIONAL);
            fields.push(Arc::new(total.build()?));
        } else {
            let physical = if is_whole(*sensor) { Physical::INT64 } else { Physical::DOUBLE };
            fields.push(field(sensor.name(), physical, None, Repetition::OPTIONAL)?);
        }
    }
    fields.push(field(FAILURE, Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::OPTIONAL)?);
    Ok(Arc::new(Type::group_type_builder("telemetry").with_fields(fields).build()?))
}

/// The file's metadata: the labels, the unit of every column, what is missing.
fn facts(labels: &Labels, gaps: &[Gap]) -> Vec<(String, String)> {
    let mut facts = labels.facts.clone();
    facts.push((format!("unit:{ELAPSED}"), "s".to_owned()));
    for sensor in Sensor::ALL {
        facts.push((format!("unit:{}", sensor.name()), sensor.unit().symbol().to_owned()));
        let kind = match sensor.kind() {
            SensorKind::Gauge => "gauge",
            SensorKind::Counter => "counter",
            SensorKind::Bits => "bits",
        };
        facts.push((format!("kind:{}", sensor.name()), kind.to_owned()));
    }
    for (index, gap) in gaps.iter().enumerate() {
        facts.push((format!("gap:{index}"), gap.to_string()));
    }
    facts
}

/// Rows being gathered, each GPU's together: they differ less from row to row.
#[derive(Debug, Default)]
struct Part {
    rows: usize,
    gpus: BTreeMap<GpuIndex, Vec<GpuColumns>>,
}

impl Part {
    /// `None` at the end.
    fn read(reader: &mut Reader) -> Result<Option<Self>, TelemetryError> {
        let mut part = Self::default();
        while part.rows < PART_ROWS {
            let Some(block) = reader.next_block()? else { break };
            for columns in block.gpus {
                part.rows += columns.rows();
                part.gpus.entry(columns.gpu).or_default().push(columns);
            }
        }
        Ok((part.rows > 0).then_some(part))
    }

    fn parts(&self) -> impl Iterator<Item = &GpuColumns> {
        self.gpus.values().flatten()
    }

    fn write(&self, columns: &mut [ColumnWriter<'_>], labels: &Labels) -> Result<(), ParquetError> {
        let mut columns = columns.iter_mut();
        let mut next = || columns.next().ok_or_else(|| ParquetError::General("a column too many".to_owned()));
        self.put_times(next()?, &labels.clock)?;
        let mut seconds = Vec::with_capacity(self.rows);
        self.parts().for_each(|part| seconds.extend(part.at.iter().map(|at| at.seconds())));
        get_typed_column_writer_mut::<DoubleType>(next()?).write_batch(&seconds, None, None)?;
        let mut gpus = Vec::with_capacity(self.rows);
        self.parts().for_each(|part| gpus.extend(std::iter::repeat_n(i32::from(part.gpu.0), part.rows())));
        get_typed_column_writer_mut::<Int32Type>(next()?).write_batch(&gpus, None, None)?;
        let serial = |part: &GpuColumns| labels.serials.get(&part.gpu).map(|serial| ByteArray::from(serial.as_str()));
        put::<ByteArrayType>(next()?, self.rows, self.parts().map(|part| (serial(part), part.rows())))?;
        for sensor in Sensor::ALL {
            let readings = self.parts().map(|part| part.column(*sensor));
            if *sensor == DECIMAL {
                put_readings::<Int64Type>(next()?, self.rows, readings, decimal)?;
            } else if is_whole(*sensor) {
                put_readings::<Int64Type>(next()?, self.rows, readings, |value| Some(value as i64))?;
            } else {
                put_readings::<DoubleType>(next()?, self.rows, readings, Some)?;
            }
        }
        put::<ByteArrayType>(next()?, self.rows, self.parts().flat_map(failures))
    }

    /// What the wall clock showed at each row; nothing where none was ever read.
    fn put_times(&self, column: &mut ColumnWriter<'_>, clock: &[(Moment, WallTime)]) -> Result<(), ParquetError> {
        let clock: Vec<(Moment, i64)> = clock.iter().map(|(from, stamp)| (*from, stamp.as_microsecond())).collect();
        let column = get_typed_column_writer_mut::<Int64Type>(column);
        let Some(first) = clock.first() else {
            column.write_batch(&[], Some(&vec![0; self.rows]), None)?;
            return Ok(());
        };
        let wall = |at: &Moment| {
            let (from, stamp) = clock.iter().rev().find(|(from, _)| from <= at).unwrap_or(first);
            stamp + ((at.nanos() as i64 - from.nanos() as i64) / 1000)
        };
        let mut times = Vec::with_capacity(self.rows);
        self.parts().for_each(|part| times.extend(part.at.iter().map(wall)));
        column.write_batch(&times, Some(&vec![1; self.rows]), None)?;
        Ok(())
    }
}

/// Writes a column in which rows may be empty: what stands in them, and in how many of them.
fn put<T: DataType>(
    column: &mut ColumnWriter<'_>,
    rows: usize,
    cells: impl Iterator<Item = (Option<T::T>, usize)>,
) -> Result<(), ParquetError>
where
    T::T: Sized,
{
    let mut values = Vec::with_capacity(rows);
    let mut levels = Vec::with_capacity(rows);
    for (cell, times) in cells {
        levels.extend(std::iter::repeat_n(i16::from(cell.is_some()), times));
        values.extend(cell.into_iter().flat_map(|cell| std::iter::repeat_n(cell, times)));
    }
    get_typed_column_writer_mut::<T>(column).write_batch(&values, Some(&levels), None)?;
    Ok(())
}

/// The same of readings, which are most of all there is: column by column, so that the loop is a short one.
fn put_readings<'r, T: DataType>(
    column: &mut ColumnWriter<'_>,
    rows: usize,
    parts: impl Iterator<Item = &'r [Reading<f64>]>,
    cell: impl Fn(f64) -> Option<T::T>,
) -> Result<(), ParquetError>
where
    T::T: Sized,
{
    let mut values = Vec::with_capacity(rows);
    let mut levels = Vec::with_capacity(rows);
    for part in parts {
        let cells = || part.iter().map(|reading| reading.get().and_then(&cell));
        // Nearly always there is something in all of them, and then the loop is a third as long.
        if cells().all(|cell| cell.is_some()) {
            values.extend(cells().map(Option::unwrap_or_default));
            levels.resize(levels.len() + part.len(), 1);
        } else {
            values.extend(cells().flatten());
            levels.extend(cells().map(|cell| i16::from(cell.is_some())));
        }
    }
    get_typed_column_writer_mut::<T>(column).write_batch(&values, Some(&levels), None)?;
    Ok(())
}

/// For each row which readings failed, and how; one text if all failed alike.
fn failures(part: &GpuColumns) -> Vec<(Option<ByteArray>, usize)> {
    let out_of_range = || part.column(DECIMAL).iter().any(|reading| failure(DECIMAL, *reading).is_some());
    let failed = |sensor: &Sensor| part.any_failed(*sensor) || (*sensor == DECIMAL && out_of_range());
    let failed: Vec<Sensor> = Sensor::ALL.iter().copied().filter(failed).collect();
    if failed.is_empty() {
        return vec![(None, part.rows())];
    }
    let told = |row: usize| {
        let of_row = |sensor: &Sensor| Some((*sensor, failure(*sensor, part.column(*sensor)[row])?));
        let of_row: Vec<(Sensor, Failure)> = failed.iter().filter_map(of_row).collect();
        let (_, first) = of_row.first()?;
        if of_row.len() == Sensor::COUNT && of_row.iter().all(|(_, failure)| failure == first) {
            return Some(ByteArray::from(first.to_string().as_str()));
        }
        let told: Vec<String> =
            of_row.iter().map(|(sensor, failure)| format!("{}: {failure}", sensor.name())).collect();
        Some(ByteArray::from(told.join("; ").as_str()))
    };
    (0..part.rows()).map(|row| (told(row), 1)).collect()
}

/// Why a cell is empty that has a sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Failure {
    Of(ReadingFailure),
    /// No total that a decimal holds.
    OutOfRange(f64),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(failure) => failure.fmt(f),
            Self::OutOfRange(value) => write!(f, "{value} is out of range"),
        }
    }
}

fn failure(sensor: Sensor, reading: Reading<f64>) -> Option<Failure> {
    match reading {
        Reading::Failed(failure) => Some(Failure::Of(failure)),
        Reading::Value(value) if sensor == DECIMAL && decimal(value).is_none() => Some(Failure::OutOfRange(value)),
        Reading::Value(_) | Reading::Unsupported => None,
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    reason = "columns are bounded by the length of a block, and values are kept in the width they came in"
)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    use super::super::write::{Safety, Telemetry};
    use super::*;
    use kiln_model::Sample;

    /// What the file holds of one column, row by row.
    fn exported(samples: &[Sample], column: &str) -> Vec<Field> {
        let run = tempfile::tempdir().expect("a folder");
        let mut telemetry = Telemetry::create(run.path(), Safety::AtTheEnd).expect("telemetry");
        for sample in samples {
            telemetry.sample(sample);
        }
        telemetry.close().expect("closed");
        let mut bytes = Vec::new();
        export(&mut Reader::open(run.path()).expect("telemetry"), &Labels::default(), &mut bytes).expect("exported");
        let file = SerializedFileReader::new(Bytes::from(bytes)).expect("parquet");
        let rows = file.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
        rows.filter_map(|row| {
            let mut cells = row.get_column_iter();
            cells.find(|(name, _)| *name == column).map(|(_, cell)| cell.clone())
        })
        .collect()
    }

    fn samples(count: u64, make: impl Fn(u64, &mut Sample)) -> Vec<Sample> {
        let one = |second: u64| {
            let mut sample = Sample::new(GpuIndex((second % 8) as u8), Moment::from_secs(second / 8));
            make(second, &mut sample);
            sample
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_run_of_more_than_one_row_group_comes_back_row_by_row() {
        let count = GROUP_ROWS as u64 + 100;
        let made = samples(count, |second, sample| sample.put(Sensor::ClockSm, (second % 1000) as f64));
        let mut seen: Vec<i64> = exported(&made, "clock.sm")
            .into_iter()
            .map(|cell| match cell {
                Field::Long(value) => value,
                other => panic!("{other:?}"),
            })
            .collect();
        let mut wanted: Vec<i64> = (0..count as i64).map(|second| second % 1000).collect();
        seen.sort_unstable();
        wanted.sort_unstable();
        assert!(seen == wanted, "{} rows of {}", seen.len(), wanted.len());
    }

    #[test]
    fn energy_is_told_to_the_millijoule_and_what_is_no_energy_as_a_failure() {
        let put = |second: u64, sample: &mut Sample| {
            sample.put(Sensor::Energy, if second == 3 { f64::INFINITY } else { 123_456_789.012 });
        };
        let made = samples(5, put);
        let told: Vec<String> = exported(&made, "energy").iter().map(ToString::to_string).collect();
        let exact = "123456789.012";
        assert_eq!(told, [exact, exact, exact, "null", exact]);
        let failed: Vec<String> = exported(&made, "failure").iter().map(ToString::to_string).collect();
        assert_eq!(failed[3], "\"energy: inf is out of range\"");
        assert_eq!(failed[0], "null");
    }
}
