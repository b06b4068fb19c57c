//! Burns that are spoiled on purpose, one way at a time, in their PTX: the proofs must notice every one of them.

use kiln_ptx::Module;
use regex::Regex;

use crate::burns::PARTS;
use crate::images::{Proof, image, proof_of};
use crate::rig::{Setting, burn};

/// One way to spoil a kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spoiling {
    pub(crate) image: &'static str,
    pub(crate) kernel: &'static str,
    pub(crate) what: &'static str,
    /// Part of the name of the function that is changed: the kernel or what it calls.
    pub(crate) within: &'static str,
    pub(crate) pattern: &'static str,
    pub(crate) replacement: &'static str,
    /// Which of the places that match, from 0; all where there is none.
    pub(crate) place: Option<usize>,
}

/// The text of one function, in three parts: before, itself, behind.
fn function<'a>(text: &'a str, name: &str) -> (&'a str, &'a str, &'a str) {
    let head = Regex::new(&format!(r"(?m)^(?:\.visible \.entry|\.func[^\n]*) \w*{name}\w*\(\n(?:[^;{{]*)\{{\n"))
        .expect("a pattern");
    let start = head.find(text).unwrap_or_else(|| panic!("there is no function {name}")).start();
    let end = start + text[start..].find("\n}\n").expect("a function ends") + 3;
    (&text[..start], &text[start..end], &text[end..])
}

impl Spoiling {
    pub(crate) fn apply(&self) -> Module {
        let text = &image(self.image).text;
        let (before, body, behind) = function(text, self.within);
        let pattern = Regex::new(self.pattern).expect("a pattern");
        let mut at = 0;
        let mut changed = 0;
        let spoiled = pattern.replace_all(body, |found: &regex::Captures<'_>| {
            let this = self.place.is_none_or(|place| place == at);
            at += 1;
            changed += usize::from(this);
            let mut out = String::new();
            if this {
                found.expand(self.replacement, &mut out);
            } else {
                out.push_str(&found[0]);
            }
            out
        });
        assert!(changed > 0 && spoiled != body, "{} of {}: {} does not occur", self.kernel, self.image, self.what);
        Module::parse(&format!("{before}{spoiled}{behind}")).unwrap_or_else(|fault| panic!("{}: {fault}", self.what))
    }
}

const fn spoil(
    image: &'static str,
    kernel: &'static str,
    what: &'static str,
    pattern: &'static str,
    replacement: &'static str,
) -> Spoiling {
    Spoiling { image, kernel, what, within: kernel, pattern, replacement, place: None }
}

const fn at(spoiling: Spoiling, place: usize) -> Spoiling {
    Spoiling { place: Some(place), ..spoiling }
}

const fn within(spoiling: Spoiling, within: &'static str) -> Spoiling {
    Spoiling { within, ..spoiling }
}

/// How elements are made, spoiled in the function that makes them.
fn of_elements(image: &'static str, kernel: &'static str, function: &'static str) -> Vec<Spoiling> {
    let spoil = |what, pattern, replacement| within(spoil(image, kernel, what, pattern, replacement), function);
    vec![
        spoil("neighbours are no complements", r"popc\.b32\s+(%r\d+), %r\d+;", "mov.u32 $1, 0;"),
        if kernel.contains("fp8") {
            spoil("the ring of tiles is open", r"selp\.b32\s+(%r\d+), 1, (%r\d+), %p\d+;", "mov.u32 $1, $2;")
        } else {
            spoil("all tiles have one sign", r"shl\.b32\s+(%r\d+), %r\d+, 31;", "mov.u32 $1, 0;")
        },
    ]
}

const HOPPER: [&str; 2] = ["burn_bf16_wgmma", "burn_fp8_wgmma"];
const BLACKWELL: [&str; 2] = ["burn_bf16_tcgen05", "burn_fp8_tcgen05"];

fn of_hopper(kernel: &'static str) -> Vec<Spoiling> {
    let spoil = |what, pattern, replacement| spoil("sm_90a", kernel, what, pattern, replacement);
    vec![
        spoil("the swizzle leaves a row bit out", r"(and\.b32\s+%r\d+, %r\d+), 112;", "$1, 48;"),
        // 1 << 62 for the swizzle of 128 bytes, 64 << 32 for 1024 bytes.
        spoil("eight rows are half as far apart", "4611686293305360384", "4611686155866341376"),
        spoil("the descriptor says a swizzle of 64 bytes", "4611686293305360384", "9223372311732682752"),
        spoil("the descriptor says no swizzle", "4611686293305360384", "274877906944"),
        spoil("no proxy fence", r"fence\.proxy\.async\.shared::cta;", ""),
        at(spoil("k goes on twice as fast", r"(add\.s64\s+%rd\d+, %rd\d+), 2;", "$1, 4;"), 0),
        spoil("no wgmma.fence", r"wgmma\.fence\.sync\.aligned;", ""),
        spoil("the last group is not waited for", r"(wgmma\.wait_group\.sync\.aligned) 0;", "$1 1;"),
        spoil("products are not committed", r"wgmma\.commit_group\.sync\.aligned;", ""),
        spoil("accumulators start anew", r"setp\.ne\.b32 p, %r\d+, 0;", "setp.ne.b32 p, 0, 0;"),
        at(spoil("one product starts anew", r"setp\.ne\.b32 p, %r\d+, 0;", "setp.ne.b32 p, 0, 0;"), 5),
        at(spoil("two accumulators change places", r"(mma_async\S+ \{)(%f\d+),(%f\d+)", "$1$3,$2"), 0),
        spoil(
            "rows of the results change places",
            r"(mma_async\S+ \{)(%f\d+),(%f\d+),(%f\d+),(%f\d+)",
            "$1$4,$5,$2,$3",
        ),
        at(spoil("operands are not waited for", r"bar\.sync\s+0;", ""), 0),
        at(spoil("results are looked at too early", r"bar\.sync\s+0;", ""), 1),
        at(spoil("results are overwritten too early", r"bar\.sync\s+0;", ""), 2),
        spoil(
            "another type of elements",
            r"bf16\.bf16|e4m3\.e4m3",
            if kernel == HOPPER[0] { "f16.f16" } else { "e5m2.e5m2" },
        ),
    ]
}

fn of_blackwell(kernel: &'static str) -> Vec<Spoiling> {
    let spoil = |what, pattern, replacement| spoil("sm_100f", kernel, what, pattern, replacement);
    let halves = if kernel == BLACKWELL[0] { "136316048" } else { "136314896" };
    let other = if kernel == BLACKWELL[0] { "138413072" } else { "138412176" };
    vec![
        spoil("A is said to have another type", "138413200|138412048", other),
        spoil("half the columns", "138413200|138412048", halves),
        spoil("the swizzle leaves a row bit out", r"(and\.b32\s+%r\d+, %r\d+), 112;", "$1, 48;"),
        // 2 << 61 for the swizzle, 1 << 46, 64 << 32, 1 << 16.
        spoil("the descriptor says a swizzle of 64 bytes", "4611756662049538048", "-9223301393232625664"),
        spoil("eight rows are half as far apart", "4611756662049538048", "4611756524610584576"),
        spoil("accumulators start anew", r"setp\.ne\.b32 p, %r\d+, 0;", "setp.ne.b32 p, 0, 0;"),
        spoil("accumulators are never started", r"setp\.ne\.b32 p, %r\d+, 0;", "setp.ne.b32 p, 1, 0;"),
        at(spoil("k goes on twice as fast", r"(add\.s64\s+%rd\d+, %rd\d+), 2;", "$1, 4;"), 0),
        spoil("no proxy fence", r"fence\.proxy\.async\.shared::cta;", ""),
        spoil("no fence after barriers", r"tcgen05\.fence::after_thread_sync;", ""),
        spoil("no fence before barriers", r"tcgen05\.fence::before_thread_sync;", ""),
        spoil("loads are not waited for", r"tcgen05\.wait::ld\.sync\.aligned;", ""),
        spoil("products are not waited for", r"@!p bra again;", ""),
        spoil("products are not committed", r"tcgen05\.commit[^;]*;", ""),
        spoil("tensor memory is kept", r"tcgen05\.dealloc[^;]*;", ""),
        spoil("tensor memory is not asked for", r"tcgen05\.alloc[^;]*;", ""),
        spoil("every lane issues", r"mov\.u32(\s+%r\d+), %tid\.x;", "mov.u32$1, 0;"),
        at(spoil("operands are not waited for", r"bar\.sync\s+0;", ""), 0),
        at(spoil("results are looked at too early", r"bar\.sync\s+0;", ""), 2),
    ]
}

fn of_portable(image: &'static str, kernel: &'static str) -> Vec<Spoiling> {
    let spoil = |what, pattern, replacement| spoil(image, kernel, what, pattern, replacement);
    let mut all = vec![
        at(spoil("operands are not waited for", r"bar\.sync\s+0;", ""), 0),
        at(spoil("results are looked at too early", r"bar\.sync\s+0;", ""), 1),
        at(spoil("results are overwritten too early", r"bar\.sync\s+0;", ""), 2),
    ];
    match kernel {
        "burn_fp32" => all.push(at(
            spoil("one product is of other operands", r"(fma\.rn\.f32\s+%f\d+), %f\d+, (%f\d+)", "$1, $2, $2"),
            9,
        )),
        "burn_fp64_mma" if image == "sm_90a" => {
            let a = r"(mma\S+ \S+, )\{(%fd\d+),(%fd\d+),(%fd\d+),";
            all.push(spoil("rows of A change places", a, "${1}{$3,$2,$4,"));
            all.push(spoil("k of A changes places", a, "${1}{$4,$3,$2,"));
            all.push(at(spoil("rows of one product change places", a, "${1}{$3,$2,$4,"), 5));
            let b = r"(mma\S+ \S+, \S+, )\{(%fd\d+),(%fd\d+),(%fd\d+),";
            all.push(spoil("k of B changes places", b, "${1}{$3,$2,$4,"));
            all.push(at(spoil("k of B changes places in one product", b, "${1}{$4,$3,$2,"), 2));
            let zeros = "${1}{0d0000000000000000,0d0000000000000000,0d0000000000000000,0d0000000000000000};";
            let lost = spoil("sums are lost", r"(mma\S+ \S+, \S+, \S+, )\{[^}]*\};", zeros);
            all.extend([lost, at(lost, 3)]);
            let rows = r"(mma\S+ )\{(%fd\d+),(%fd\d+),(%fd\d+),(%fd\d+)\}(, \S+, \S+, )\{[^}]*\};";
            all.push(spoil("rows of the results change places", rows, "${1}{$4,$5,$2,$3}$6{$4,$5,$2,$3};"));
        }
        "burn_fp64_mma" => {
            all.push(spoil("A and B change places", r"\{(%fd\d+)\}, \{(%fd\d+)\}", "{$2}, {$1}"));
            let lost = spoil(
                "sums are lost",
                r"(mma\S+ \S+, \S+, \S+, )\{[^}]*\};",
                "${1}{0d0000000000000000,0d0000000000000000};",
            );
            all.extend([lost, at(lost, 3)]);
        }
        _ => {
            let a = r"(mma\S+ \S+, )\{(%r\d+),(%r\d+),(%r\d+),(%r\d+)\}";
            all.push(spoil("rows and k of A change places", a, "${1}{$2,$4,$3,$5}"));
            all.push(at(spoil("rows of one product change places", a, "${1}{$3,$2,$5,$4}"), 7));
            all.push(spoil("halves of B change places", r"\{(%r\d+),(%r\d+)\}, \{%f", "{$2,$1}, {%f"));
            let zeros = "${1}{0f00000000,0f00000000,0f00000000,0f00000000};";
            let lost = spoil("sums are lost", r"(mma\S+ \S+, \S+, \S+, )\{[^}]*\};", zeros);
            all.extend([lost, at(lost, 11)]);
        }
    }
    all
}

/// What all burns call, spoiled in the image and for the kernel named.
fn of_settle(image: &'static str, kernel: &'static str, bits: &'static str) -> Vec<Spoiling> {
    let spoil = |what, pattern, replacement| within(spoil(image, kernel, what, pattern, replacement), bits);
    vec![
        spoil("the hash has another constant", "-4658895280553007687", "-4658895280553007685"),
        at(
            spoil(
                "wrong words are not counted",
                r"atom\.(?:global\.)?add\.u64\s+%rd\d+, \[%rd\d+(?:\+8)?\], %rd\d+;",
                "",
            ),
            0,
        ),
        spoil(
            "too many words are said to be verified",
            r"(atom\.(?:global\.)?add\.u64\s+%rd\d+, \[%rd\d+\]), \d{4,5};",
            "$1, 99999;",
        ),
        spoil("the window is another", r"(ld\.local\.u64\s+%rd\d+, \[%rd\d+)\+56\]", "$1+48]"),
        spoil("no second look", r"ld\.global\.cv\.(u\d+) (%rd?\d+), \[%rd\d+\];", "mov.$1 $2, 0;"),
        spoil("the end is not looked at", r"(setp\.lt\.u32\s+%p\d+, %r\d+), (4096|2048);", "$1, 1024;"),
    ]
}

/// What the proofs say of a spoiled kernel.
fn noticed(spoiling: &Spoiling) -> Option<String> {
    let Some(Proof::Burn(kernel)) = proof_of(spoiling.kernel) else { panic!("{} is no burn", spoiling.kernel) };
    let module = spoiling.apply();
    let by_result = PARTS[..4].iter().find_map(|part| part(&module, kernel).err());
    by_result.or_else(|| {
        (0..6).find_map(|order| {
            let mut setting = Setting::new(kernel, 9, 3, 2);
            (setting.blocks, setting.args.windows, setting.order) = (2, 2, 1000 + order);
            burn(&module, kernel, &setting).err().map(|fault| fault.to_string())
        })
    })
}

fn all_noticed(spoilings: &[Spoiling]) {
    let mut missed = Vec::new();
    for spoiling in spoilings {
        if noticed(spoiling).is_none() {
            missed.push(spoiling);
        }
    }
    assert!(missed.is_empty(), "{} of {} were not noticed: {missed:#?}", missed.len(), spoilings.len());
}

#[test]
fn spoiled_kernels_of_hopper_are_noticed() {
    all_noticed(&HOPPER.map(of_hopper).concat());
    all_noticed(&HOPPER.map(|kernel| of_elements("sm_90a", kernel, kernel)).concat());
}

#[test]
fn spoiled_kernels_of_blackwell_are_noticed() {
    all_noticed(&BLACKWELL.map(of_blackwell).concat());
    all_noticed(&BLACKWELL.map(|kernel| of_elements("sm_100f", kernel, kernel)).concat());
}

#[test]
fn spoiled_portable_kernels_are_noticed() {
    let portable = [
        ("compute_80", "burn_bf16_mma"),
        ("compute_80", "burn_fp64_mma"),
        ("compute_80", "burn_fp32"),
        ("sm_120", "burn_fp8_mma"),
        ("sm_90a", "burn_fp64_mma"),
    ];
    all_noticed(&portable.map(|(image, kernel)| of_portable(image, kernel)).concat());
    let elements = [
        ("compute_80", "burn_bf16_mma", "packedIt"),
        ("sm_120", "burn_fp8_mma", "packedIh"),
        ("compute_80", "burn_fp32", "element_number"),
    ];
    all_noticed(&elements.map(|(image, kernel, function)| of_elements(image, kernel, function)).concat());
}

#[test]
fn a_spoiled_look_at_the_results_is_noticed() {
    let looks = [("compute_80", "burn_bf16_mma", "settleIj"), ("sm_100f", "burn_fp64_mma", "settleIy")];
    all_noticed(&looks.map(|(image, kernel, bits)| of_settle(image, kernel, bits)).concat());
}
