"""
Take libraries over from their npm packages, compressed, with their licences and digests.

    npm pack swagger-ui-dist@5.35.0 redoc@2.5.4 preact@11.2.0 htm@3.1.1 uplot@1.6.32 oauth4webapi@3.8.8
    python -m local.vendor_pages *.tgz

The pages under /docs and /redoc, and those of the console, load nothing from anywhere else. A package that is given
replaces what its folder had of it; the others stay.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.aws import ROOT

DOCS = ROOT / "functions" / "discovery" / "pages"
CONSOLE = ROOT / "functions" / "console" / "pages"


@dataclass(frozen=True)
class Taken:
    """What is taken of a package: file inside → name here; `{version}` is the package's."""

    folder: Path
    files: dict[str, str]
    rewritten: dict[str, str] = field(default_factory=dict)  # browsers resolve no bare names of modules


PACKAGES = {
    "swagger-ui-dist": Taken(
        DOCS,
        {
            "swagger-ui-bundle.js": "swagger-ui-bundle.js.gz",
            "swagger-ui.css": "swagger-ui.css.gz",
            "LICENSE": "swagger-ui.LICENSE",
            "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE",
        },
    ),
    "redoc": Taken(
        DOCS,
        {
            "bundles/redoc.standalone.js": "redoc.standalone.js.gz",
            "LICENSE": "redoc.LICENSE",
            "bundles/redoc.standalone.js.LICENSE.txt": "redoc.standalone.js.LICENSE",
        },
    ),
    "preact": Taken(
        CONSOLE,
        {
            "dist/preact.mjs": "preact-{version}.js.gz",
            "hooks/dist/hooks.mjs": "preact-hooks-{version}.js.gz",
            "LICENSE": "preact.LICENSE",
        },
        rewritten={'from"preact"': 'from"./preact-{version}.js"'},
    ),
    "htm": Taken(CONSOLE, {"dist/htm.module.js": "htm-{version}.js.gz", "LICENSE": "htm.LICENSE"}),
    "uplot": Taken(
        CONSOLE,
        {
            "dist/uPlot.esm.js": "uplot-{version}.js.gz",
            "dist/uPlot.min.css": "uplot-{version}.css.gz",
            "LICENSE": "uplot.LICENSE",
        },
    ),
    "oauth4webapi": Taken(
        CONSOLE, {"build/index.js": "oauth4webapi-{version}.js.gz", "LICENSE.md": "oauth4webapi.LICENSE"}
    ),
}


def main() -> int:
    """Returns 0."""
    for place in map(Path, sys.argv[1:]):
        with tarfile.open(place) as package:
            _take(package)
    return 0


def _take(package: tarfile.TarFile) -> None:
    described = json.loads(_read(package, "package.json"))
    taken, version = PACKAGES[described["name"]], described["version"]
    record = taken.folder / "vendored.json"
    vendored: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    for name in [name for name, entry in vendored.items() if entry["package"].startswith(f"{described['name']}@")]:
        (taken.folder / name).unlink(missing_ok=True)
        del vendored[name]
    rewritten = {old: new.format(version=version) for old, new in taken.rewritten.items()}
    for inside, pattern in taken.files.items():
        name, content = pattern.format(version=version), _read(package, inside)
        vendored[name] = {
            "package": f"{described['name']}@{version}",
            "file": inside,
            "license": described["license"],
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        applied = {old: new for old, new in rewritten.items() if old.encode() in content}
        if applied:
            vendored[name]["rewritten"] = applied
        for old, new in applied.items():
            content = content.replace(old.encode(), new.encode())
        (taken.folder / name).write_bytes(gzip.compress(content, 9, mtime=0) if name.endswith(".gz") else content)
    record.write_text(json.dumps(vendored, indent=2) + "\n")


def _read(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(f"package/{name}")
    if file is None:
        raise LookupError(name)
    return file.read()


if __name__ == "__main__":
    sys.exit(main())
