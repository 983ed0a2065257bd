"""Two stacks that know one provider: everything is in the one, nothing in the other."""

from __future__ import annotations

import pytest

from tests.doubles.two_stacks import LASTING, STRICT, Stacks, made


@pytest.fixture
def stacks(monkeypatch, tmp_path) -> Stacks:
    """With a provider that replaces the refresh token at every use, and ends the grant for whoever spends it twice."""
    return made(monkeypatch, tmp_path, rule=STRICT)


@pytest.fixture
def lasting(monkeypatch, tmp_path) -> Stacks:
    """With a provider whose refresh tokens last."""
    return made(monkeypatch, tmp_path, rule=LASTING)
