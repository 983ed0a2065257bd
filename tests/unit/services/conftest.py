"""Worlds with a connection whose token ends in ten minutes, at every kind of provider."""

from __future__ import annotations

import pytest

from tests.doubles.refresh_world import GRACE, LASTING, RULES, STRICT, RefreshWorld

UNTIL_SOON = 3000  # seconds


def _soon_due(monkeypatch, rule):
    world = RefreshWorld(monkeypatch, rule=rule)
    world.pass_time(UNTIL_SOON)
    return world


@pytest.fixture(params=RULES)
def world(request, monkeypatch):
    """Each kind of provider in turn."""
    return _soon_due(monkeypatch, RULES[request.param])


@pytest.fixture
def strict(monkeypatch):
    """A refresh token dies with its use."""
    return _soon_due(monkeypatch, STRICT)


@pytest.fixture
def grace(monkeypatch):
    """The predecessor may be spent again for ten minutes, for the same successor."""
    return _soon_due(monkeypatch, GRACE)


@pytest.fixture
def lasting(monkeypatch):
    """Refresh tokens are never replaced."""
    return _soon_due(monkeypatch, LASTING)
