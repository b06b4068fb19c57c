//! Bandwidths as heat maps: from every GPU to every other, and every link of every GPU.

use super::super::phrase::Phrase;
use super::page::{Page, escaped};
use super::svg::{number, short};
use super::timeline::LINES_MAX;
use crate::event::RunRecord;
use crate::limit::{Judged, Judgement};
use crate::model::{Component, GpuIndex, LinkState};

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

fn draw(page: &mut Page, matrix: &Matrix) {
    let (down, across) = (matrix.rows.len(), matrix.columns.len());
    let values: Vec<f64> = matrix.cells.iter().flatten().map(|cell| cell.value).collect();
    let (Some(least), Some(greatest)) =
        (values.iter().copied().min_by(f64::total_cmp), values.iter().copied().max_by(f64::total_cmp))
    else {
        return;
    };
    let least = least.min(greatest * (1.0 - SPREAD_MIN));
    let shade = |value: f64| {
        let share = if greatest > least { (value - least) / (greatest - least) } else { 1.0 };
        ((share * SHADES as f64) as usize).min(SHADES - 1)
    };
    let written = down.max(across) <= LINES_MAX + 2;
    let size = if written { 46.0 } else { (760.0 / across as f64).clamp(8.0, 22.0) };
    let (high, left, top) = (if written { 24.0 } else { size }, 48.0, 22.0);
    let (width, height) = (left + size * across as f64 + 4.0, top + high * down as f64 + 4.0);
    let cells: Vec<String> =
        matrix.cells.iter().map(|cell| cell.map_or_else(String::new, |cell| short(cell.value))).collect();
    page.put(format_args!("<svg viewBox=\"0 0 {width} {height}\" width={width} role=img"));
    if !written {
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
    let every = if written { 1 } else { 8 };
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
        let line = &matrix.cells[row * across..(row + 1) * across];
        let class = |cell: &Option<Cell>| cell.map_or(SHADES, |cell| shade(cell.value));
        let mut column = 0;
        // Neighbours of one shade are one shape: a matrix of 72 has 5112 cells.
        for part in line.chunk_by(|one, two| class(one) == class(two)) {
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
        for (column, cell) in line.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let x = left + size * column as f64;
            if written {
                let class = if shade(cell.value) >= 4 { "mid on" } else { "mid ink" };
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
    page.raw("</svg>\n");
}

/// What fits into a cell.
fn rounded(value: f64) -> String {
    number(value, usize::from(value.abs() < 100.0))
}
