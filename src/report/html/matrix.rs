//! Bandwidths as heat maps: from every GPU to every other, and every link of every GPU.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "seconds, counts and pixels on a page are small"
)]

use super::super::phrase::Phrase;
use super::page::{Page, escaped};
use super::svg::{number, short};
use super::timeline::LINES_MAX;
use kiln_event::RunRecord;
use kiln_limit::{Judged, Judgement};
use kiln_model::{Component, GpuIndex, LinkState};

/// Shades from least to greatest.
const SHADES: usize = 7;
/// Values nearer together than this share of the greatest are not shown as far apart.
const SPREAD_MIN: f64 = 0.15;

/// Numbers in rows and columns.
struct Matrix {
    rows: Vec<String>,
    columns: Vec<String>,
    cells: Vec<Option<Cell>>,
    unit: &'static str,
}

impl Matrix {
    fn row(&self, row: usize) -> &[Option<Cell>] {
        let across = self.columns.len();
        &self.cells[row * across..(row + 1) * across]
    }
}

#[derive(Clone, Copy)]
struct Cell {
    value: f64,
    missed: bool,
}

/// All pair measurements of all steps, the last round of each.
pub(super) fn pairs(page: &mut Page, record: &RunRecord) {
    for step in record.decisive_steps() {
        let judgements: Vec<&Judgement> = step.cases.iter().flat_map(|case| &case.judgements).collect();
        let mut names: Vec<&str> = judgements
            .iter()
            .filter(|one| matches!(one.measurement.component, Component::Pair(..)))
            .map(|one| one.measurement.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        let last = record.steps.iter().rev().find(|other| other.key.path == step.key.path);
        if last.is_some_and(|last| last.key != step.key) {
            continue;
        }
        for name in names {
            let matrix = pair_matrix(record, &judgements, name);
            page.raw("<figure><figcaption>");
            page.say(Phrase::PairMatrix);
            page.put(format_args!(
                " <span class=code>{} {}</span> <small>{}</small></figcaption>\n",
                escaped(&step.key.path),
                escaped(name),
                matrix.unit
            ));
            draw(page, &matrix);
            page.raw("</figure>\n");
        }
    }
}

fn pair_matrix(record: &RunRecord, judgements: &[&Judgement], name: &str) -> Matrix {
    let mut gpus: Vec<GpuIndex> =
        record.inventory.iter().flat_map(|inventory| &inventory.gpus).map(|gpu| gpu.index).collect();
    gpus.sort();
    let mut matrix = Matrix {
        rows: gpus.iter().map(|gpu| format!("gpu/{}", gpu.0)).collect(),
        columns: gpus.iter().map(|gpu| format!("gpu/{}", gpu.0)).collect(),
        cells: vec![None; gpus.len() * gpus.len()],
        unit: "",
    };
    for judgement in judgements.iter().filter(|one| one.measurement.name == name) {
        if let Component::Pair(from, to) = judgement.measurement.component
            && let (Ok(row), Ok(column)) = (gpus.binary_search(&from), gpus.binary_search(&to))
            && let Some(value) = judgement.measurement.as_number()
        {
            let missed = judgement.limit.is_some() && judgement.outcome == Judged::Fail;
            matrix.cells[row * gpus.len() + column] = Some(Cell { value, missed });
            matrix.unit = judgement.measurement.unit.symbol();
        }
    }
    matrix
}

/// The links of every GPU as the inventory has them: their speed, and which are down.
pub(super) fn links(page: &mut Page, record: &RunRecord) {
    let Some(inventory) = record.inventory.as_deref() else { return };
    let gpus: Vec<_> = inventory.gpus.iter().filter_map(|gpu| Some((gpu.index, gpu.nvlinks.value()?))).collect();
    let most = gpus.iter().flat_map(|(_, links)| links.iter()).map(|link| usize::from(link.link) + 1).max();
    let Some(most) = most else { return };
    let mut matrix = Matrix {
        rows: gpus.iter().map(|(gpu, _)| format!("gpu/{}", gpu.0)).collect(),
        columns: (0..most).map(|link| link.to_string()).collect(),
        cells: vec![None; gpus.len() * most],
        unit: "MB/s",
    };
    for (row, (_, links)) in gpus.iter().enumerate() {
        for link in *links {
            let up = link.state.get() == Some(LinkState::Active);
            let speed = link.speed_mb_per_s.get().map(f64::from);
            let value = if up { speed } else { Some(0.0) };
            matrix.cells[row * most + usize::from(link.link)] = value.map(|value| Cell { value, missed: !up });
        }
    }
    page.raw("<figure><figcaption>");
    page.say(Phrase::LinkMatrix);
    page.raw(" <small>MB/s</small></figcaption>\n");
    draw(page, &matrix);
    page.raw("</figure>\n");
}

/// Where the cells are and how they are shaded.
struct Layout {
    size: f64,
    high: f64,
    left: f64,
    top: f64,
    /// Values stand in the cells.
    written: bool,
    least: f64,
    greatest: f64,
}

impl Layout {
    fn of(matrix: &Matrix) -> Option<Self> {
        let values = || matrix.cells.iter().flatten().map(|cell| cell.value);
        let (least, greatest) = (values().min_by(f64::total_cmp)?, values().max_by(f64::total_cmp)?);
        let across = matrix.columns.len();
        let written = matrix.rows.len().max(across) <= LINES_MAX + 2;
        let size = if written { 46.0 } else { (760.0 / across as f64).clamp(8.0, 22.0) };
        let high = if written { 24.0 } else { size };
        Some(Self {
            size,
            high,
            left: 48.0,
            top: 22.0,
            written,
            least: least.min(greatest * (1.0 - SPREAD_MIN)),
            greatest,
        })
    }

    fn shade(&self, value: f64) -> usize {
        let span = self.greatest - self.least;
        let share = if span > 0.0 { (value - self.least) / span } else { 1.0 };
        ((share * SHADES as f64) as usize).min(SHADES - 1)
    }
}

fn draw(page: &mut Page, matrix: &Matrix) {
    let Some(layout) = Layout::of(matrix) else { return };
    let Layout { size, high, left, top, .. } = layout;
    let (down, across) = (matrix.rows.len(), matrix.columns.len());
    let (width, height) = (left + size * across as f64 + 4.0, top + high * down as f64 + 4.0);
    page.put(format_args!("<svg viewBox=\"0 0 {width} {height}\" width={width} role=img"));
    if !layout.written {
        let cells: Vec<String> =
            matrix.cells.iter().map(|cell| cell.map_or_else(String::new, |cell| short(cell.value))).collect();
        page.put(format_args!(
            " data-cells=\"{}\" data-across={across} data-size=\"{size}\" data-left=\"{left}\" data-top=\"{top}\" data-unit=\"{}\" \
             data-rows=\"{}\" data-columns=\"{}\"",
            cells.join(","),
            matrix.unit,
            matrix.rows.join(","),
            matrix.columns.join(",")
        ));
    }
    page.raw(">\n");
    let every = if layout.written { 1 } else { 8 };
    for (column, name) in matrix.columns.iter().enumerate().step_by(every) {
        let x = number(left + size * (column as f64 + 0.5), 1);
        page.put(format_args!("<text class=mid x={x} y=15>{name}</text>"));
    }
    for (row, name) in matrix.rows.iter().enumerate() {
        let y = top + high * row as f64;
        if row % every == 0 {
            page.put(format_args!(
                "<text class=end x={} y={} dy=4>{name}</text>",
                left - 6.0,
                number(y + high / 2.0, 1)
            ));
        }
        shades(page, matrix, &layout, row, y);
        values(page, matrix, &layout, row, y);
    }
    page.raw("</svg>\n");
}

/// Neighbours of one shade are one shape: a matrix of 72 has 5112 cells.
fn shades(page: &mut Page, matrix: &Matrix, layout: &Layout, row: usize, y: f64) {
    let Layout { size, high, left, .. } = *layout;
    let class = |cell: &Option<Cell>| cell.map_or(SHADES, |cell| layout.shade(cell.value));
    let mut column = 0;
    for part in matrix.row(row).chunk_by(|one, two| class(one) == class(two)) {
        let (x, wide) = (number(left + size * column as f64, 1), number(size * part.len() as f64 - 1.0, 1));
        let shade = class(&part[0]);
        let shade = if shade == SHADES { "none".to_owned() } else { format!("h{shade}") };
        page.put(format_args!(
            "<path class={shade} d=\"M{x} {}h{wide}v{}h-{wide}Z\"/>",
            number(y, 1),
            number(high - 1.0, 1)
        ));
        column += part.len();
    }
}

/// Numbers where there is room for them, and a frame around each that missed its limit.
fn values(page: &mut Page, matrix: &Matrix, layout: &Layout, row: usize, y: f64) {
    let Layout { size, high, left, .. } = *layout;
    for (column, cell) in matrix.row(row).iter().enumerate() {
        let Some(cell) = cell else { continue };
        let x = left + size * column as f64;
        if layout.written {
            let class = if layout.shade(cell.value) >= 4 { "mid on" } else { "mid ink" };
            page.put(format_args!(
                "<text class=\"{class}\" x={} y={} dy=4>{}</text>",
                number(x + size / 2.0 - 0.5, 1),
                number(y + high / 2.0, 1),
                rounded(cell.value)
            ));
        }
        if cell.missed {
            page.put(format_args!(
                "<rect class=missed x={} y={} width={} height={}><title>{} → {}: {} {}</title></rect>",
                number(x, 1),
                number(y, 1),
                number(size - 1.0, 1),
                number(high - 1.0, 1),
                matrix.rows[row],
                matrix.columns[column],
                short(cell.value),
                matrix.unit
            ));
        }
    }
}

/// What fits into a cell.
fn rounded(value: f64) -> String {
    number(value, usize::from(value.abs() < 100.0))
}
