"""Fixtures of the tests that call every function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.openapi import apps
from tests.support.functions import Function


@pytest.fixture(scope="module")
def functions() -> Iterator[dict[str, Any]]:
    """Every function that answers HTTP, by its routes, with metrics where the template says; a test wires them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
        patch.setenv("POWERTOOLS_SERVICE_NAME", "grantkeeper")
        found = {}
        for name, app in apps():
            module = Function(name, None).module
            found |= dict.fromkeys(app.operations, module)
        yield found
