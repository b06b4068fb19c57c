"""Counts the instructions that the built kernels issue, in the SASS that ptxas made of them, and holds the table in a page against it.

    kernel_sass.py NVDISASM BUILT PAGE          fails unless the page has the table that the kernels give
    kernel_sass.py NVDISASM BUILT PAGE write    writes it there

Of a burn it is the loop with the most products; of the march all loops with accesses of 16 bytes, which differ by pattern.
"""

import pathlib
import re
import subprocess
import sys

PRODUCT = re.compile(r"^(?:@!?U?P\d+ )?((?:HGMMA|QGMMA|UTCHMMA|UTCQMMA|HMMA|QMMA|DMMA|FFMA|FFMA2)[\w.]*)")
BEGIN = "<!-- sass: made by `ci/kernels sass` -->\n"
END = "<!-- end of sass -->\n"
WIDE = re.compile(r"^(?:@!?U?P\d+ )?(?:LDG|STG)\.E[\w.]*\.128")


def functions(sass):
    """Name, and addresses with instructions and labels, of each kernel."""
    for part in re.split(r"(?m)^\.text\.", sass)[1:]:
        name, body = part.split(":", 1)
        lines, labels = [], {}
        for line in body.splitlines():
            if label := re.match(r"\s*(\.L_x?_?\w+):", line):
                labels[label[1]] = len(lines)
            elif line.startswith("\t.section"):
                break
            elif found := re.match(r"\s*/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;", line):
                lines.append(found[2])
        yield name, lines, labels


def loops(lines, labels):
    """The bodies of all loops: from a label to a branch back to it."""
    for at, line in enumerate(lines):
        target = re.search(r"\bBRA\b.*`\((\.L\w+)\)", line)
        start = labels.get(target[1]) if target else None
        if start is not None and start < at:
            yield lines[start : at + 1]


def row(image, name, lines, labels):
    bodies = list(loops(lines, labels))
    if name.startswith("burn_"):
        counted = [(sum(bool(PRODUCT.match(line)) for line in body), -len(body), body) for body in bodies]
        products, _, body = max(counted, key=lambda one: one[:2], default=(0, 0, []))
        if products == 0:
            sys.exit(f"{image}: {name} has no loop with products")
        kinds = sorted({PRODUCT.match(line)[1] for line in body if PRODUCT.match(line)})
        each = f"{len(body) / products:.2f}"
        return f"| {image} | `{name}` | {', '.join(f'`{kind}`' for kind in kinds)} | {products} | {len(body)} | {each} |"
    if name == "march":
        wide = [(sum(bool(WIDE.match(line)) for line in body), len(body)) for body in bodies]
        wide = sorted(length / count for count, length in wide if count >= 4)
        if not wide:
            sys.exit(f"{image}: march has no loop with accesses of 16 bytes")
        return f"| {image} | `march` | accesses of 16 bytes, {len(wide)} loops | | | {wide[0]:.1f} to {wide[-1]:.1f} |"
    return None


def table(nvdisasm, built):
    lines = [
        "| image | kernel | product or access | in the loop | instructions of the loop | for each |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for cubin in sorted(built.glob("*.cubin")):
        run = subprocess.run([nvdisasm, "-c", str(cubin)], capture_output=True, text=True, check=True)
        image = cubin.stem.removeprefix("kiln_")
        rows = [row(image, *function) for function in functions(run.stdout)]
        lines += sorted(line for line in rows if line)
    return "\n".join(lines) + "\n"


def main(nvdisasm, built, page, write):
    made = table(nvdisasm, built)
    text = page.read_text()
    before, rest = text.split(BEGIN)
    old, behind = rest.split(END)
    if write:
        page.write_text(before + BEGIN + made + END + behind)
    elif old != made:
        sys.exit(f"{page} has other counts than the kernels; run `ci/kernels sass`:\n{made}")


main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4:] == ["write"])
