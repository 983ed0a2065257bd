"""
Take Swagger UI and ReDoc over from their npm packages, compressed, with their licences and digests.

    npm pack swagger-ui-dist@5.35.0 redoc@2.5.4
    python -m local.vendor_pages swagger-ui-dist-5.35.0.tgz redoc-2.5.4.tgz

The pages under /docs and /redoc load nothing from anywhere else.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import tarfile
from pathlib import Path

from local.aws import ROOT

PAGES = ROOT / "functions" / "discovery" / "pages"
TAKEN = {
    "swagger-ui-dist": {
        "package/swagger-ui-bundle.js": "swagger-ui-bundle.js.gz",
        "package/swagger-ui.css": "swagger-ui.css.gz",
        "package/LICENSE": "swagger-ui.LICENSE",
        "package/swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE",
    },
    "redoc": {
        "package/bundles/redoc.standalone.js": "redoc.standalone.js.gz",
        "package/LICENSE": "redoc.LICENSE",
        "package/bundles/redoc.standalone.js.LICENSE.txt": "redoc.standalone.js.LICENSE",
    },
}


def main() -> int:
    """Returns 0."""
    vendored = {}
    for place in map(Path, sys.argv[1:]):
        with tarfile.open(place) as package:
            described = json.loads(_read(package, "package/package.json"))
            for inside, name in TAKEN[described["name"]].items():
                content = _read(package, inside)
                (PAGES / name).write_bytes(gzip.compress(content, 9, mtime=0) if name.endswith(".gz") else content)
                vendored[name] = {
                    "package": f"{described['name']}@{described['version']}",
                    "file": inside.removeprefix("package/"),
                    "license": described["license"],
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
    (PAGES / "vendored.json").write_text(json.dumps(vendored, indent=2) + "\n")
    return 0


def _read(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(name)
    if file is None:
        raise LookupError(name)
    return file.read()


if __name__ == "__main__":
    sys.exit(main())
