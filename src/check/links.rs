//! Lists of NVLinks in measurements: `none`, or the numbers of the links as `3, 7`.
//!
//! The form is fixed, so that findings can name the link and not only its GPU.

use std::collections::BTreeMap;

use super::delta::between;
use super::sheet::{Gauged, Sheet};
use kiln_limit::{Missing, write_list};
use kiln_model::{Component, GpuCounters, GpuIndex, LinkCounters, Reading};

/// The list of links as a text.
pub(super) fn list(links: &[u8]) -> Gauged {
    Gauged::Text(write_list(links))
}

/// The counters of one GPU among those of all.
pub(super) fn of_gpu(counters: &[GpuCounters], gpu: GpuIndex) -> Option<&GpuCounters> {
    counters.iter().find(|one| one.gpu == gpu)
}

/// Errors of each link between two looks.
fn growth(first: &GpuCounters, last: &GpuCounters) -> Result<BTreeMap<u8, Gauged>, Gauged> {
    let (before, after) = match (&first.links, &last.links) {
        (Reading::Value(before), Reading::Value(after)) => (before, after),
        (Reading::Unsupported, _) | (_, Reading::Unsupported) => return Err(Gauged::Unsupported),
        (Reading::Failed(why), _) | (_, Reading::Failed(why)) => return Err(Gauged::Missing(Missing::Read(*why))),
    };
    Ok(after
        .iter()
        .map(|link| {
            let grown = match before.iter().find(|one| one.link == link.link) {
                Some(earlier) => errors_between(earlier, link),
                None => Gauged::Missing(Missing::LinkIsNew),
            };
            (link.link, grown)
        })
        .collect())
}

/// All kinds of error of one link together. A kind the part does not count adds nothing, as long as one kind is counted.
fn errors_between(first: &LinkCounters, last: &LinkCounters) -> Gauged {
    let kinds = [
        between(&first.crc, &last.crc),
        between(&first.replay, &last.replay),
        between(&first.recovery, &last.recovery),
    ];
    let counted: Vec<Gauged> = kinds.into_iter().filter(|kind| *kind != Gauged::Unsupported).collect();
    counted.into_iter().reduce(Gauged::plus).unwrap_or(Gauged::Unsupported)
}

/// Puts the growth of one GPU's link errors down: `nvlink.errors` and `nvlink.error-links` of the GPU, and `link.errors`
/// of every link the step is about.
pub(super) fn put_growth(
    sheet: &mut Sheet<'_>,
    components: &[Component],
    gpu: GpuIndex,
    first: Option<&GpuCounters>,
    last: Option<&GpuCounters>,
) {
    let whole = Component::Gpu(gpu);
    let grown = match (first, last) {
        (Some(first), Some(last)) => growth(first, last),
        _ => Err(Gauged::Missing(Missing::CountersUnread)),
    };
    let grown = match grown {
        Ok(grown) if grown.is_empty() => Err(Gauged::Unsupported),
        other => other,
    };
    match grown {
        Ok(grown) => {
            let sum = grown.values().cloned().reduce(Gauged::plus).unwrap_or(Gauged::Unsupported);
            let with_errors = |gauged: &Gauged| gauged.number().is_some_and(|errors| errors > 0.0);
            let bad: Vec<u8> = grown.iter().filter(|(_, errors)| with_errors(errors)).map(|(link, _)| *link).collect();
            let text = if sum.number().is_some() { list(&bad) } else { sum.clone() };
            sheet.put("nvlink.errors", whole, sum);
            sheet.put("nvlink.error-links", whole, text);
            for (link, errors) in grown {
                let component = Component::NvLink(gpu, link);
                if components.contains(&component) {
                    sheet.put("link.errors", component, errors);
                }
            }
        }
        Err(why) => {
            sheet.put("nvlink.errors", whole, why.clone());
            sheet.put("nvlink.error-links", whole, why.clone());
            for component in components.iter().filter(|it| matches!(it, Component::NvLink(of, _) if *of == gpu)) {
                sheet.put("link.errors", *component, why.clone());
            }
        }
    }
}
