"""One module per vendor, written from the fact sheet; `DIALECTS` by key."""

from __future__ import annotations

from tests.conformance.dialects.github import GitHub, GitHubApp
from tests.conformance.dialects.google import Google
from tests.conformance.dialects.microsoft import Microsoft
from tests.conformance.vendor import Vendor

DIALECTS: dict[str, type[Vendor]] = {
    dialect.key: dialect
    for dialect in (
        Google,
        GitHub,
        GitHubApp,
        Microsoft,
    )
}
