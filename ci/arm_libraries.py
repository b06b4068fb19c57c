#!/usr/bin/env python3
"""Runs the library tests of the core crates, built for 64-bit Arm, under qemu-aarch64; `ci/arm --libraries` calls it.

    ci/arm_libraries.py TRIPLE PROFILE [MINUTES]

Core crates are those that neither start processes nor open sockets nor talk to devices: an emulated program can be run as it
is. They come in the order of their layers. After MINUTES no further crate is begun. Crates that were not run are named, and why.
Exit 1 if a test failed, a crate did not build, a crate ran no test, or nothing was run at all."""

import json
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# By the table in src/ARCHITECTURE.md. Every other crate is named as left out, so that a new one cannot be forgotten unseen.
CORE = "yaml disk model limit profile plan event diagnose lot wire agent floor check telemetry engine journal seal report".split()
# A test that hangs under emulation must not take the others with it.
MOST_SECONDS = 1800
RESULT = re.compile(r"^test result: .* (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)


def built(crate, triple, profile):
    """The program of a crate's library tests, or None where it does not build; what the compiler says is shown."""
    command = ["cargo", "test", "--locked", "--profile", profile, "--target", triple, "-p", f"kiln-{crate}", "--lib"]
    command += ["--no-run", "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return None
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    programs = [message["executable"] for message in messages if message.get("executable") and message["profile"]["test"]]
    return programs[0] if len(programs) == 1 else None


def run(crate, program):
    """Passed, failed and ignored, and what was said; None for the counts where the program did not come to its end."""
    # Where cargo runs tests: recorded outputs lie beside the sources.
    command, folder = ["qemu-aarch64", program], ROOT / "src" / crate
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        return None, f"it was ended after {MOST_SECONDS} s"
    counts = RESULT.search(done.stdout)
    return (tuple(map(int, counts.groups())) if counts else None), done.stdout


def main():
    triple, profile = sys.argv[1], sys.argv[2]
    minutes = float(sys.argv[3]) if len(sys.argv) > 3 else None
    began, sums, bad, late, ran = time.monotonic(), [0, 0, 0], [], [], []
    for crate in CORE:
        if minutes is not None and time.monotonic() - began >= minutes * 60:
            late.append(crate)
            continue
        program = built(crate, triple, profile)
        if program is None:
            bad.append(f"{crate}: its tests did not build")
            continue
        at = time.monotonic()
        counts, said = run(crate, program)
        ran.append(crate)
        if counts is None or counts[1] > 0 or counts[0] == 0:
            print(said[-4000:], file=sys.stderr)
            bad.append(f"{crate}: {'the tests did not come to their end' if counts is None else f'{counts[1]} failed, {counts[0]} passed'}")
        if counts is not None:
            sums = [one + more for one, more in zip(sums, counts)]
            print(f"{crate}: {counts[0]} passed, {counts[1]} failed, {counts[2]} ignored, {time.monotonic() - at:.0f} s", flush=True)
    others = sorted(manifest.parent.name for manifest in ROOT.glob("src/*/Cargo.toml") if manifest.parent.name not in CORE)
    print(f"{len(ran)} of {len(CORE)} core crates: {sums[0]} passed, {sums[1]} failed, {sums[2]} ignored under qemu-aarch64")
    if late:
        print(f"NOT run, for the {minutes:g} minutes were over: {' '.join(late)}")
    print(f"NOT run, for they are no core crates (`ci/arm --tests` has them): {' '.join(others)} and kiln itself")
    for line in bad:
        print(f"ci/arm: {line}", file=sys.stderr)
    return 1 if bad or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
