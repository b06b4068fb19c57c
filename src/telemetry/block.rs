//! A block: the columns of all GPUs for some minutes, and how they become one payload.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "columns are bounded by the length of a block, and values are kept in the width they came in"
)]

use super::column::{self, Encoder, Form};
use super::header::Header;
use super::varint::{Cursor, put};
use kiln_model::{GpuIndex, Moment, Reading, Sample, Sensor};

/// Moments are kept in microseconds: a reading takes longer than that to come about.
const NANOS: u64 = 1000;
/// Moments are nearly evenly spaced.
const TIME: Form = Form { steps: 1.0, even: true };
/// No writer puts more into a block; what claims more is no block.
const ROWS_MAX: u64 = 1 << 20;
const RAW_MAX: u64 = 256 << 20;

/// The columns of one GPU being made.
#[derive(Debug, Clone)]
pub(super) struct GpuEncoder {
    gpu: GpuIndex,
    rows: u64,
    at: Encoder,
    sensors: Vec<Encoder>,
}

impl GpuEncoder {
    pub(super) fn new(gpu: GpuIndex, header: &Header) -> Self {
        let sensors = header.sensors.iter().map(|sensor| Encoder::new(sensor.form())).collect();
        Self { gpu, rows: 0, at: Encoder::new(TIME), sensors }
    }

    /// How many rows the block has; returned after taking in one more.
    #[inline]
    pub(super) fn push(&mut self, sample: &Sample) -> u64 {
        self.at.push_number((sample.at.nanos() / NANOS) as i64);
        for (encoder, sensor) in self.sensors.iter_mut().zip(Sensor::ALL) {
            encoder.push(sample[*sensor]);
        }
        self.rows += 1;
        self.rows
    }

    /// Moves the rows to `out`, if there are any, and begins anew.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.rows == 0 {
            return;
        }
        out.push(self.gpu.0);
        put(out, self.rows);
        self.rows = 0;
        self.at.finish(out);
        for encoder in &mut self.sensors {
            encoder.finish(out);
        }
    }
}

/// Puts the raw bytes of a block into the form that is written.
pub(super) fn pack(raw: &[u8], compressor: &mut zstd::bulk::Compressor<'_>, out: &mut Vec<u8>) -> std::io::Result<()> {
    out.clear();
    put(out, raw.len() as u64);
    out.append(&mut compressor.compress(raw)?);
    Ok(())
}

/// Some minutes of all GPUs.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub gpus: Vec<GpuColumns>,
}

/// Some minutes of one GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuColumns {
    pub gpu: GpuIndex,
    pub at: Vec<Moment>,
    /// By [`Sensor`]; one that the file does not have is unsupported throughout, one that is not wanted empty.
    columns: Vec<Vec<Reading<f64>>>,
    /// Likewise whether any reading failed.
    failed: Vec<bool>,
}

impl GpuColumns {
    pub const fn rows(&self) -> usize {
        self.at.len()
    }

    /// As many readings as there are rows, of a sensor that was wanted.
    pub fn column(&self, sensor: Sensor) -> &[Reading<f64>] {
        let column = &self.columns[sensor as usize];
        debug_assert_eq!(column.len(), self.rows(), "{} was not asked for", sensor.name());
        column
    }

    /// Whether any reading of a sensor that was wanted failed.
    pub(super) fn any_failed(&self, sensor: Sensor) -> bool {
        self.failed[sensor as usize]
    }
}

impl Block {
    /// `None` where the payload is none.
    pub(super) fn unpack(payload: &[u8], header: &Header, wanted: &dyn Fn(Sensor) -> bool) -> Option<Self> {
        let mut cursor = Cursor(payload);
        let length = cursor.number().filter(|length| *length <= RAW_MAX)?;
        let raw = zstd::bulk::decompress(cursor.0, length as usize).ok()?;
        if raw.len() as u64 != length {
            return None;
        }
        let mut cursor = Cursor(&raw);
        let mut gpus = Vec::new();
        while !cursor.is_empty() {
            gpus.push(GpuColumns::take(&mut cursor, header, wanted)?);
        }
        Some(Self { gpus })
    }
}

impl GpuColumns {
    fn take(cursor: &mut Cursor<'_>, header: &Header, wanted: &dyn Fn(Sensor) -> bool) -> Option<Self> {
        let gpu = GpuIndex(cursor.byte()?);
        let rows = cursor.number().filter(|rows| *rows <= ROWS_MAX)? as usize;
        let at = column::numbers(cursor, rows, TIME.even)?;
        let at =
            at.into_iter().map(|micros| Moment::from_nanos((micros.max(0) as u64).saturating_mul(NANOS))).collect();
        let mut columns = vec![Vec::new(); Sensor::COUNT];
        let mut failed = vec![false; Sensor::COUNT];
        for form in &header.sensors {
            match Sensor::by_name(&form.name).filter(|sensor| wanted(*sensor)) {
                Some(sensor) => {
                    (columns[sensor as usize], failed[sensor as usize]) = column::readings(cursor, rows, form.form())?;
                }
                None => column::skip(cursor)?,
            }
        }
        for sensor in Sensor::ALL.iter().filter(|sensor| wanted(**sensor)) {
            columns[*sensor as usize].resize(rows, Reading::Unsupported);
        }
        Some(Self { gpu, at, columns, failed })
    }
}
