"""What a package is made of: an SPDX 2.3 document, and the licence texts of every dependency, from `cargo metadata`.

Usage: sbom.py CRATE PACKAGE TRIPLE OUT_SPDX OUT_LICENCES. SOURCE_DATE_EPOCH and KILN_COMMIT come from `ci/package`.
Only what is linked or run at build time counts: dependencies of tests are left out.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

crate, package, triple, out_spdx, out_licences = sys.argv[1:]
root = pathlib.Path(__file__).resolve().parent.parent.parent
metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", triple],
        cwd=root, check=True, stdout=subprocess.PIPE,
    ).stdout
)
packages = {found["id"]: found for found in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
with open(root / "Cargo.lock", "rb") as file:
    lock = {(found["name"], found["version"]): found.get("checksum") for found in tomllib.load(file)["package"]}

start = next(found["id"] for found in metadata["packages"] if found["name"] == crate)
needs: dict[str, list[str]] = {}
waiting = [start]
while waiting:
    one = waiting.pop()
    if one in needs:
        continue
    linked = [dep for dep in nodes[one]["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
    needs[one] = sorted(dep["pkg"] for dep in linked)
    waiting.extend(needs[one])
order = sorted(needs, key=lambda one: (packages[one]["name"], packages[one]["version"]))


def identifier(found):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{found['name']}-{found['version']}")


def licence(found):
    """The declared expression; Cargo's old form wrote `/` for OR."""
    text = found["license"]
    if not text:
        sys.exit(f"sbom.py: {found['name']} {found['version']} declares no licence")
    return re.sub(r"\s*/\s*", " OR ", text)


def described(found):
    checksum = lock.get((found["name"], found["version"]))
    entry = {
        "SPDXID": identifier(found),
        "name": found["name"],
        "versionInfo": found["version"],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseDeclared": licence(found),
        "licenseConcluded": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    }
    if found["source"]:
        entry["downloadLocation"] = f"https://static.crates.io/crates/{found['name']}/{found['version']}/download"
        purl = f"pkg:cargo/{found['name']}@{found['version'].replace('+', '%2B')}"
        entry["externalRefs"] = [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
        ]
        if checksum:
            entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": checksum}]
    return entry


def compiled_in(found):
    """Sources in C that a crate carries and builds, which Cargo knows nothing of."""
    folder = pathlib.Path(found["manifest_path"]).parent
    if found["name"] == "zstd-sys":
        return "zstd", found["version"].partition("+zstd.")[2], "BSD-3-Clause OR GPL-2.0-only"
    if found["name"] == "libsqlite3-sys":
        header = (folder / "sqlite3" / "sqlite3.h").read_text(encoding="utf-8", errors="replace")
        return "sqlite", re.search(r'#define SQLITE_VERSION\s+"([^"]+)"', header).group(1), "blessing"
    return None


entries, relations = [], []
for one in order:
    found = packages[one]
    entries.append(described(found))
    for other in needs[one]:
        relations.append((identifier(found), "DEPENDS_ON", identifier(packages[other])))
    if carried := compiled_in(found):
        name, version, terms = carried
        inner = {
            "SPDXID": f"SPDXRef-{name}-{version}", "name": name, "versionInfo": version,
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseDeclared": terms,
            "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION",
        }
        entries.append(inner)
        relations.append((identifier(found), "CONTAINS", inner["SPDXID"]))

moment = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
version = packages[start]["version"]
document = {
    "spdxVersion": "SPDX-2.3",
    "dataLicense": "CC0-1.0",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": f"{package}-{version}",
    "documentNamespace": f"https://kiln.invalid/spdx/{package}-{version}-{triple}-{os.environ['KILN_COMMIT']}",
    "creationInfo": {"created": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: kiln-ci-package"]},
    "packages": entries,
    "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                       "relatedSpdxElement": identifier(packages[start])}]
    + [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b} for a, kind, b in relations],
}
pathlib.Path(out_spdx).write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")

# Each text once, after the crates that carry it: most are the same three.
texts: dict[str, tuple[str, list[str]]] = {}
without = []
for one in order:
    found = packages[one]
    if not found["source"]:
        continue
    folder = pathlib.Path(found["manifest_path"]).parent
    named = re.compile(r"^(licen[cs]e|copying|notice|unlicense|copyright)", re.IGNORECASE)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and named.match(path.name)
                   and path.suffix not in {".rs", ".c", ".h"} and len(path.relative_to(folder).parts) <= 2)
    label = f"{found['name']} {found['version']} ({licence(found)})"
    if not files:
        authors = ", ".join(found["authors"]) or "authors not named"
        without.append(f"{label}: carries no text; {authors}; {found['repository'] or 'no address'}")
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace").strip() + "\n"
        key = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
        texts.setdefault(key, (text, []))[1].append(label)
with open(out_licences, "w", encoding="utf-8") as out:
    out.write(f"Licences of what {package} {version} is built from. Kiln itself: Apache-2.0 or MIT.\n")
    for text, labels in texts.values():
        out.write("\n" + "=" * 80 + "\n" + "\n".join(dict.fromkeys(labels)) + "\n" + "-" * 80 + "\n" + text)
    if without:
        out.write("\n" + "=" * 80 + "\nWithout a text of their own:\n" + "\n".join(without) + "\n")
print(f"sbom.py: {package}: {len(entries)} packages, {len(texts)} licence texts, {len(without)} crates without one",
      file=sys.stderr)
