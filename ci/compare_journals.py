"""Two journals of the same run on two machines, compared value by value: `compare_journals.py ONE OTHER`.

Left out is what must differ: when it was by the wall clock, the run's id, and the chain of digests over both. Everything
else, times since the start of the run included, has to be the same. Numbers are compared as they are written.
"""

import json
import sys

DIFFERS = {"wall", "run_id", "chain"}
SHOWN = 40


def values(value, place=""):
    """Every leaf with the way to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in DIFFERS:
                yield from values(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from values(inner, f"{place}[{number}]")
    else:
        yield place, value


def read(path):
    with open(path, encoding="utf-8") as file:
        # Numbers stay text: rounding must not make two the same.
        return [json.loads(line, parse_float=lambda text: f"number {text}") for line in file]


one, other = read(sys.argv[1]), read(sys.argv[2])
compared, different = 0, []
if len(one) != len(other):
    different.append(f"{len(one)} lines in one, {len(other)} in the other")
for number, (left, right) in enumerate(zip(one, other), start=1):
    left, right = dict(values(left)), dict(values(right))
    for place in list(left) + [place for place in right if place not in left]:
        compared += 1
        a, b = left.get(place, "nothing"), right.get(place, "nothing")
        if a != b:
            different.append(f"line {number} {place}: {a} in one, {b} in the other")
for text in different[:SHOWN]:
    print(text)
if len(different) > SHOWN:
    print(f"... and {len(different) - SHOWN} more")
print(f"compared {compared} values in {len(one)} lines: {len(different)} differ")
if compared == 0:
    sys.exit("nothing was compared")
sys.exit(1 if different else 0)
