"""What gcm's reader of `dcgmi diag -j` makes of a run that passed, one that failed and one that ended in ERROR."""

import pathlib
import sys

from gcm.health_checks.checks.check_dcgmi import process_dcgmi_diag_output
from gcm.health_checks.types import ExitCode

# It knows the root of DCGM 3 alone, and no third word between a pass and a failure. A root that it does not know is no pass to it.
EXPECTED = {
    "pass.3": ExitCode.OK,
    "fail.3": ExitCode.CRITICAL,
    "error.3": ExitCode.CRITICAL,
    "pass.4": ExitCode.WARN,
    "fail.4": ExitCode.WARN,
    "error.4": ExitCode.WARN,
}

folder = pathlib.Path(sys.argv[1])
wrong = []
for name, expected in EXPECTED.items():
    text = (folder / f"{name}.json").read_text(encoding="utf-8")
    code, said = process_dcgmi_diag_output(text, 0, [])
    print(f"{name}: {code.name}: {said.strip().splitlines()[0]}")
    if code != expected:
        wrong.append(f"{name} is {code.name}, not {expected.name}")
if wrong:
    sys.exit("; ".join(wrong))
