"""`grantkeeper keys`: what signs, and an emergency."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.stack import Stack
from grantkeeper.errors import NotFound, Unauthenticated
from grantkeeper.services.verify_token import verify_access_token
from tests.doubles.aws import memory_wiring


@pytest.fixture
def wiring():
    return memory_wiring(LOCAL_RUN="1")


@pytest.fixture
def run(wiring, monkeypatch):
    monkeypatch.setattr(Stack, "wiring", wiring)

    def invoke(*arguments, given=None):
        return CliRunner(mix_stderr=False).invoke(cli, ["keys", *arguments], input=given)

    CliRunner().invoke(cli, ["init"])
    return invoke


def listed(run):
    return json.loads(run("list", "--json").stdout)


def test_each_algorithm_has_one_key_that_signs(run):
    """And the list says which."""
    assert sorted((key["alg"], key["state"]) for key in listed(run)) == [("ES256", "signs"), ("RS256", "signs")]


def test_s26_a_revoked_key_signs_no_more_and_another_one_does(run):
    """At once, with nobody waiting for the sweeper."""
    old = next(key["kid"] for key in listed(run) if key["alg"] == "ES256")

    told = run("revoke", old, "--yes")

    assert told.exit_code == 0
    assert "five minutes" in told.stdout
    states = {key["kid"]: key["state"] for key in listed(run) if key["alg"] == "ES256"}
    assert states.pop(old) == "revoked"
    assert list(states.values()) == ["signs"]


def test_s26_tokens_of_a_revoked_key_are_refused(run, wiring):
    """Whoever reads the JWK Set anew does not find it."""
    issuer = wiring.issuer
    claims = {
        "iss": issuer, "aud": issuer, "sub": "usr_a", "client_id": "app", "scope": "openid", "sid": "sid_a",
        "jti": "jti_a", "iat": 1_800_000_000, "exp": 1_800_000_900,
    }  # fmt: skip
    token = wiring.signer.sign(claims, alg="ES256", typ="at+jwt")
    assert verify_access_token(token, issuer=issuer, key_set=wiring.key_set, now=1_800_000_000)["sub"] == "usr_a"
    kid = next(key["kid"] for key in listed(run) if key["alg"] == "ES256")
    run("revoke", kid, "--yes")
    del wiring.__dict__["key_set"]  # another function, which read nothing before

    with pytest.raises(Unauthenticated):
        verify_access_token(token, issuer=issuer, key_set=wiring.key_set, now=1_800_000_000)


def test_revoking_twice_is_no_error(run):
    """Who is in a hurry presses twice."""
    kid = listed(run)[0]["kid"]
    run("revoke", kid, "--yes")

    assert "before" in run("revoke", kid, "--yes").stdout


def test_an_unknown_key_and_a_no_change_nothing(run):
    """One sentence each."""
    before = listed(run)

    unknown = run("revoke", "nobody", "--yes")
    declined = run("revoke", before[0]["kid"], given="n\n")

    assert (unknown.exit_code, declined.exit_code) == (1, 1)
    assert listed(run) == before


def test_a_kid_may_begin_with_a_dash(run):
    """One in 64 does: it is a key that is not known, and no option that is not."""
    told = run("revoke", "-nobody", "--yes")

    assert told.exit_code == 1
    assert isinstance(told.exception, NotFound)
