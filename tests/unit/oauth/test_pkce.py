"""Proof Key for Code Exchange."""

import pytest

from grantkeeper import ids
from grantkeeper.oauth.pkce import code_challenge


def test_the_challenge_is_the_one_of_rfc_7636_appendix_b():
    """The RFC's own vector."""
    assert code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_c01_challenges_of_our_verifiers_have_43_characters_and_do_not_repeat():
    """A thousand trips, a thousand challenges."""
    challenges = {code_challenge(ids.new_secret()) for _ in range(1000)}

    assert len(challenges) == 1000
    assert {len(challenge) for challenge in challenges} == {43}


@pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, "a" * 42 + "+", "é" * 43, "a" * 43 + "\n"])
def test_what_is_not_a_verifier_is_refused(verifier):
    """A short or odd verifier would weaken the proof without anybody noticing."""
    with pytest.raises(ValueError, match="43 to 128"):
        code_challenge(verifier)
