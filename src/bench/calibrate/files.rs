//! Proposals as files to review: the file of facts and the node file there are, with the proposed values in place of the old
//! ones and everything else as it was, so that a comparison of the files shows just what is proposed.

use super::{Calibration, short};
use kiln_model::Unit;

/// The file of facts with what is proposed. Facts that the file does not have are not added: a model that has no such link
/// must not get a limit for it.
pub fn sku_file_text(text: &str, calibration: &Calibration) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for proposal in &calibration.proposals {
        let Some(at) = lines.iter().position(|line| *line == format!("  {}:", proposal.fact)) else { continue };
        let unit = if proposal.unit == Unit::One { String::new() } else { format!(" {}", proposal.unit) };
        for line in lines.iter_mut().skip(at + 1).take_while(|line| line.starts_with("    ")) {
            if line.starts_with("    value: ") {
                *line = format!("    value: {}{unit}", short(proposal.value));
            } else if line.starts_with("    source: ") {
                *line = format!("    source: {}", quoted(&proposal.source));
            }
        }
    }
    marked(&lines, calibration)
}

/// The node file with what is proposed.
pub fn node_file_text(text: &str, calibration: &Calibration) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for parameter in &calibration.parameters {
        let mut path = parameter.path.split('.');
        let (Some(section), Some(key)) = (path.next(), path.next()) else { continue };
        let Some(at) = lines.iter().position(|line| section_of(line) == Some(section)) else { continue };
        let inside = lines.iter_mut().skip(at + 1).take_while(|line| line.starts_with(' ') || line.is_empty());
        let prefix = format!("  {key}:");
        let Some(line) = { inside }.find(|line| line.starts_with(&prefix)) else { continue };
        // In a map on one line the value stands behind its own key.
        let from = path
            .next()
            .map_or(Some(prefix.len()), |inner| line.find(&format!("{inner}:")).map(|at| at + inner.len() + 1));
        if let Some(changed) = from.and_then(|from| scaled(line, from, parameter.factor)) {
            let kept = changed.split(" #").next().unwrap_or_default().trim_end().to_owned();
            *line = format!("{kept}  # was {}; {}", old(line, from), parameter.source);
        }
    }
    marked(&lines, calibration)
}

fn section_of(line: &str) -> Option<&str> {
    let name = line.split(" #").next()?.trim_end().strip_suffix(':')?;
    (!name.starts_with(' ')).then_some(name)
}

/// Where the number after a place of a line begins and ends.
fn number(line: &str, from: usize) -> Option<(usize, usize)> {
    let begin = from + line.get(from..)?.find(|letter: char| letter.is_ascii_digit())?;
    let length = line[begin..].find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    Some((begin, length.map_or(line.len(), |length| begin + length)))
}

fn old(line: &str, from: Option<usize>) -> String {
    from.and_then(|from| number(line, from)).map_or_else(String::new, |(begin, end)| line[begin..end].to_owned())
}

fn scaled(line: &str, from: usize, factor: f64) -> Option<String> {
    let (begin, end) = number(line, from)?;
    let value: f64 = line[begin..end].parse().ok()?;
    Some(format!("{}{}{}", &line[..begin], short(value * factor), &line[end..]))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn marked(lines: &[String], calibration: &Calibration) -> String {
    let what = if calibration.simulated {
        "# SIMULATED: proposed by `kiln calibrate` from benches that are not of hardware. Not for use.\n"
    } else {
        "# Proposed by `kiln calibrate`: to be compared with the file it is made of, and reviewed.\n"
    };
    format!("{what}{}\n", lines.join("\n"))
}
