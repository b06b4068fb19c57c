"""Builds the kernels: CUDA C to PTX by NVRTC, PTX to cubin by ptxas, both from the pinned wheels.

Fails where ptxas warns (a serialised wgmma, C75xx) or a kernel spills registers: such a kernel computes the right thing at
the wrong heat. Use ci/kernels, which brings the toolchain.

    build_kernels.py SOURCES BUILT      builds into BUILT
    build_kernels.py --assemble BUILT   fails unless each cubin there is what ptxas makes of the PTX beside it
"""

import ctypes
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile

PORTABLE = ["march.cu", "burn_portable.cu"]
# name of the file, architecture of the PTX, of the cubin, sources
TARGETS = [
    # Ada, for its eight-bit products.
    ("sm_89", "compute_89", "sm_89", PORTABLE),
    ("sm_90a", "compute_90a", "sm_90a", PORTABLE + ["burn_hopper.cu"]),
    ("sm_100f", "compute_100f", "sm_100f", PORTABLE + ["burn_blackwell.cu"]),
    ("sm_120", "compute_120", "sm_120", PORTABLE),
]
# Cubins of a text that another target has already, by the name of that: what is proven of the text holds for both. Blackwell Ultra
# runs the family's cubin too; this one is scheduled for it, and does not rest on the driver taking the other.
SECOND_CUBINS = [("sm_103a", "sm_100f")]
# The oldest PTX whose language has all that the portable kernels use: drivers since R450 take it.
FALLBACK_VERSION = "7.0"

packages = pathlib.Path(sysconfig.get_paths()["purelib"]) / "nvidia"
nvrtc = ctypes.CDLL(str(packages / "cuda_nvrtc/lib/libnvrtc.so.12"))
ptxas = packages / "cuda_nvcc/bin/ptxas"


def compile_to_ptx(folder, sources, architecture):
    # One translation unit for each target, so that there is one module to load.
    # Each source has its own constants; the namespace keeps them apart, and `extern "C"` names stay as they are.
    text = '#include "shared.cuh"\n' + "".join(
        f'namespace unit{number} {{\n#include "{source}"\n}}\n' for number, source in enumerate(sources)
    )
    headers = {path.name: path.read_bytes() for path in sorted(folder.glob("*.cu*"))}
    program = ctypes.c_void_p()
    names = (ctypes.c_char_p * len(headers))(*[name.encode() for name in headers])
    bodies = (ctypes.c_char_p * len(headers))(*headers.values())
    check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kiln.cu", len(headers), bodies, names))
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    code = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    log = fetch(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog).decode().strip()
    if code != 0 or "warning" in log:
        sys.exit(f"{architecture}: {log}")
    return fetch(program, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX).decode()


def fetch(program, size_of, get):
    size = ctypes.c_size_t()
    check(size_of(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    check(get(program, buffer))
    return buffer.value


def check(code):
    if code != 0:
        sys.exit(f"NVRTC failed with code {code}")


def assemble(ptx, architecture, target):
    source = target.with_suffix(".ptx.tmp")
    source.write_text(ptx)
    run = subprocess.run(
        [str(ptxas), "-v", "-warn-spills", f"-arch={architecture}", str(source), "-o", str(target)],
        capture_output=True,
        text=True,
    )
    source.unlink()
    said = run.stdout + run.stderr
    if run.returncode != 0 or "warning" in said.lower() or re.search(r"C75\d\d", said):
        sys.exit(f"{target.name}: {said}")
    kernels = re.findall(r"Compiling entry function '(\w+)'.*?\n.*?(\d+) bytes spill stores.*?\n.*?Used (\d+) registers", said, re.S)
    for name, spilled, registers in kernels:
        print(f"{target.name}: {name}: {registers} registers, {spilled} bytes spilled", file=sys.stderr)
        if int(spilled) > 0:
            sys.exit(f"{target.name}: {name} spills registers")
    if not kernels:
        sys.exit(f"{target.name}: ptxas did not say what the kernels use: {said}")


def lower_version(ptx):
    lowered, count = re.subn(r"(?m)^\.version \S+$", f".version {FALLBACK_VERSION}", ptx)
    if count != 1:
        sys.exit("the PTX has no version to lower")
    # A hint to the assembler that older versions do not know.
    return re.sub(r'(?m)^\s*\.pragma "used_bytes_mask[^"]*";\n', "", lowered)


def main(folder, built):
    # The PTX is kept beside each cubin: tests execute it, and the cubin is assembled from that very text.
    for name, virtual, real, sources in TARGETS:
        ptx = compile_to_ptx(folder, sources, virtual)
        (built / f"kiln_{name}.ptx").write_text(ptx)
        assemble(ptx, real, built / f"kiln_{name}.cubin")
    for name, text in SECOND_CUBINS:
        assemble((built / f"kiln_{text}.ptx").read_text(), name, built / f"kiln_{name}.cubin")
    fallback = lower_version(compile_to_ptx(folder, PORTABLE, "compute_80"))
    (built / "kiln_compute_80.ptx").write_text(fallback)
    assemble(fallback, "sm_80", built / "kiln_sm_80.cubin")
    # That every kind of chip takes the fallback is shown by assembling it for each; the results are not kept.
    for real in ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_103", "sm_120"]:
        probe = built / f"probe_{real}.cubin"
        assemble(fallback, real, probe)
        probe.unlink()


def compare(built):
    # Tests execute the PTX and nodes load the cubin: what is shown of the one must hold for the other.
    pairs = [(f"kiln_{name}", f"kiln_{name}", real) for name, _, real, _ in TARGETS]
    pairs += [(f"kiln_{text}", f"kiln_{name}", name) for name, text in SECOND_CUBINS]
    pairs.append(("kiln_compute_80", "kiln_sm_80", "sm_80"))
    assembled = {f"{cubin}.cubin" for _, cubin, _ in pairs}
    unlike = sorted({path.name for path in built.glob("*.cubin")} ^ assembled)
    with tempfile.TemporaryDirectory() as folder:
        for ptx, cubin, real in pairs:
            target = pathlib.Path(folder) / f"{cubin}.cubin"
            assemble((built / f"{ptx}.ptx").read_text(), real, target)
            committed = built / target.name
            if committed.exists() and committed.read_bytes() != target.read_bytes():
                unlike.append(target.name)
    if unlike:
        sys.exit(f"not what ptxas makes of the PTX beside it: {' '.join(unlike)}")


if sys.argv[1] == "--assemble":
    compare(pathlib.Path(sys.argv[2]))
else:
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
