//! Parquet from the blocks: one row per GPU and tick, a typed column per sensor, units in the metadata.
//!
//! Row groups hold about an hour of eight GPUs each, so that memory does not grow with the run. A reading that is
//! unsupported or failed is null; `failure` says which of them failed and how, so that the two stay apart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::block::{Block, GpuColumns};
use super::error::TelemetryError;
use super::gap::Gap;
use super::header::is_whole;
use super::read::Reader;
use kiln_model::{GpuIndex, Moment, Reading, Sensor, SensorKind, WallTime};

/// Rows of a row group at least: an hour of eight GPUs at a sample a second.
const GROUP_ROWS: usize = 28_800;

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
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder()
        .set_compression(compression)
        // By page they cost time, and no reader needs them of pages of some thousand rows.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(reader.written_by().into());
    let mut writer = SerializedFileWriter::new(out, schema()?, Arc::new(properties.build()))?;
    let mut group = Group::default();
    while let Some(block) = reader.next_block()? {
        group.add(block);
        if group.rows >= GROUP_ROWS {
            std::mem::take(&mut group).write(&mut writer, labels)?;
        }
    }
    if group.rows > 0 {
        group.write(&mut writer, labels)?;
    }
    for (key, value) in facts(labels, reader.gaps()) {
        writer.append_key_value_metadata(KeyValue::new(key, value));
    }
    writer.close()?;
    Ok(reader.gaps().to_vec())
}

/// Columns that are not of a sensor.
const TIME: &str = "time";
const ELAPSED: &str = "elapsed";
const GPU: &str = "gpu";
const SERIAL: &str = "serial";
const FAILURE: &str = "failure";

fn schema() -> Result<TypePtr, ParquetError> {
    let field = |name: &str, physical, logical, repetition| -> Result<TypePtr, ParquetError> {
        let builder = Type::primitive_type_builder(name, physical);
        Ok(Arc::new(builder.with_logical_type(logical).with_repetition(repetition).build()?))
    };
    let stamp = Some(LogicalType::timestamp(true, TimeUnit::MICROS));
    let mut fields = vec![
        field(TIME, Physical::INT64, stamp, Repetition::OPTIONAL)?,
        field(ELAPSED, Physical::DOUBLE, None, Repetition::REQUIRED)?,
        field(GPU, Physical::INT32, Some(LogicalType::integer(8, false)), Repetition::REQUIRED)?,
        field(SERIAL, Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::OPTIONAL)?,
    ];
    for sensor in Sensor::ALL {
        let physical = if is_whole(*sensor) { Physical::INT64 } else { Physical::DOUBLE };
        fields.push(field(sensor.name(), physical, None, Repetition::OPTIONAL)?);
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
struct Group {
    rows: usize,
    gpus: BTreeMap<GpuIndex, Vec<GpuColumns>>,
}

impl Group {
    fn add(&mut self, block: Block) {
        for columns in block.gpus {
            self.rows += columns.rows();
            self.gpus.entry(columns.gpu).or_default().push(columns);
        }
    }

    fn parts(&self) -> impl Iterator<Item = &GpuColumns> {
        self.gpus.values().flatten()
    }

    fn write<W: Write + Send>(self, writer: &mut SerializedFileWriter<W>, labels: &Labels) -> Result<(), ParquetError> {
        let mut out = writer.next_row_group()?;
        let moments = || self.parts().flat_map(|part| &part.at);
        let each_gpu = || self.parts().flat_map(|part| part.at.iter().map(|_| part.gpu));
        let stamps = moments().map(|at| wall(&labels.clock, *at));
        put::<Int64Type, _>(&mut out, stamps)?;
        put_all::<DoubleType>(&mut out, moments().map(|at| at.seconds()))?;
        put_all::<Int32Type>(&mut out, each_gpu().map(|gpu| i32::from(gpu.0)))?;
        let serials: BTreeMap<_, _> =
            labels.serials.iter().map(|(gpu, serial)| (*gpu, ByteArray::from(serial.as_str()))).collect();
        put::<ByteArrayType, _>(&mut out, each_gpu().map(|gpu| serials.get(&gpu).cloned()))?;
        for sensor in Sensor::ALL {
            let readings = self.parts().flat_map(|part| part.column(*sensor)).map(Reading::get);
            if is_whole(*sensor) {
                put::<Int64Type, _>(&mut out, readings.map(|value| value.map(|value| value as i64)))?;
            } else {
                put::<DoubleType, _>(&mut out, readings)?;
            }
        }
        let failures = self.parts().flat_map(|part| (0..part.rows()).map(|row| failure(part, row)));
        put::<ByteArrayType, _>(&mut out, failures)?;
        out.close()?;
        Ok(())
    }
}

/// Writes a column in which rows may be empty.
fn put<T: DataType, I: Iterator<Item = Option<T::T>>>(
    out: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    rows: I,
) -> Result<(), ParquetError>
where
    T::T: Sized,
{
    let mut values = Vec::new();
    let mut levels = Vec::new();
    for row in rows {
        levels.push(i16::from(row.is_some()));
        values.extend(row);
    }
    let mut column = out.next_column()?.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?;
    column.typed::<T>().write_batch(&values, Some(&levels), None)?;
    column.close()
}

fn put_all<T: DataType>(
    out: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    rows: impl Iterator<Item = T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = rows.collect();
    let mut column = out.next_column()?.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?;
    column.typed::<T>().write_batch(&values, None, None)?;
    column.close()
}

/// What the wall clock showed, in microseconds since 1970.
fn wall(clock: &[(Moment, WallTime)], at: Moment) -> Option<i64> {
    let (from, stamp) = clock.iter().rev().find(|(from, _)| *from <= at).or_else(|| clock.first())?;
    Some(stamp.as_microsecond() + ((at.nanos() as i64 - from.nanos() as i64) / 1000))
}

/// Which readings of a row failed, and how; one text if all failed alike.
fn failure(part: &GpuColumns, row: usize) -> Option<ByteArray> {
    let failed = |sensor: Sensor| match part.column(sensor)[row] {
        Reading::Failed(failure) => Some(failure),
        Reading::Value(_) | Reading::Unsupported => None,
    };
    let mut failures = Sensor::ALL.iter().filter_map(|sensor| failed(*sensor).map(|failure| (sensor, failure)));
    let (sensor, first) = failures.next()?;
    let mut text = format!("{}: {first}", sensor.name());
    let mut alike = 1;
    for (sensor, failure) in failures {
        alike += usize::from(failure == first);
        let _ = write!(text, "; {}: {failure}", sensor.name());
    }
    if alike == Sensor::COUNT {
        text = first.to_string();
    }
    Some(ByteArray::from(text.into_bytes()))
}
