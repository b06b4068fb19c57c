//! What a screen for silent corruption excludes, and which multiprocessors it caught, in words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kiln_model::{Screened, WrongPlace, excluded_one_in, missed, rarest_excluded};

use super::document::{Bench, GpuMeasured};
use super::phase::Work;

/// The places of wrong results, with how many were told there.
fn places(gpu: &GpuMeasured) -> BTreeMap<WrongPlace, usize> {
    let mut places = BTreeMap::new();
    for wrong in &gpu.told {
        *places.entry(wrong.place.whole()).or_insert(0) += 1;
    }
    places
}

/// The same in words: `3 WRONG: SM 17 (3 told)`.
pub(super) fn wrong(gpu: &GpuMeasured) -> String {
    let named: Vec<String> = places(gpu).iter().map(|(place, told)| format!("{place} ({told} told)")).collect();
    format!("{} WRONG: {}", gpu.wrong(), named.join(", "))
}

pub(super) fn tell(text: &mut String, bench: &Bench) {
    for phase in bench.phases.iter().filter(|phase| matches!(phase.work, Work::Screen { .. })) {
        for gpu in phase.gpus.iter().filter(|gpu| gpu.screened.is_some() || gpu.wrong() > 0) {
            let _ = write!(text, "{}, gpu/{}: {} results", phase.name, gpu.gpu.0, gpu.verified);
            if let Some(screened) = &gpu.screened {
                let _ = write!(text, " of {:.1e} products", screened.products);
            }
            let _ = match &gpu.screened {
                _ if gpu.wrong() > 0 => write!(text, ", {}", wrong(gpu)),
                Some(screened) => write!(text, ", none wrong: {}", excluded(screened.products)),
                None => Ok(()),
            };
            let _ = writeln!(text);
            if let Some(screened) = &gpu.screened {
                let _ = writeln!(text, "  {}", reached(screened));
            }
        }
    }
}

fn excluded(products: f64) -> String {
    let rarest = rarest_excluded(products);
    format!(
        "wrong results rarer than 1 in 10^{rarest} products were not excluded (95 %); one in 10^{} would have been missed \
         with a probability of {:.0} %",
        rarest + 1,
        100.0 * missed(products, 10f64.powf(f64::from(rarest) + 1.0)),
    )
}

/// How much each multiprocessor was asked alone, and which was not.
fn reached(screened: &Screened) -> String {
    let (sms, unreached) = (screened.sms as usize, &screened.unreached);
    if unreached.len() >= sms {
        return format!("none of {sms} SMs was reached alone");
    }
    let (least, one_in) = (screened.least_alone, excluded_one_in(screened.least_alone));
    let gave = format!("gave {least:.1e} products or more alone (one wrong in {one_in:.1e} excluded)");
    if unreached.is_empty() {
        return format!("each of {sms} SMs {gave}");
    }
    let missing: Vec<String> = unreached.iter().map(u32::to_string).collect();
    format!("{} of {sms} SMs {gave}; not reached alone: SM {}", sms - unreached.len(), missing.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::GpuIndex;

    #[test]
    fn a_multiprocessor_that_was_not_reached_alone_is_told() {
        let told = |sms, unreached: &[u32]| {
            let (unreached, gpu) = (unreached.to_vec(), GpuIndex(0));
            reached(&Screened { gpu, sms, products: 6e13, least_alone: 3e12, unreached })
        };
        assert_eq!(told(4, &[]), "each of 4 SMs gave 3.0e12 products or more alone (one wrong in 1.0e12 excluded)");
        assert_eq!(
            told(4, &[2, 3]),
            "2 of 4 SMs gave 3.0e12 products or more alone (one wrong in 1.0e12 excluded); not reached alone: SM 2, 3"
        );
        assert_eq!(told(2, &[0, 1]), "none of 2 SMs was reached alone");
    }
}
