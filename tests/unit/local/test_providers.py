"""Provider overlays of the local run."""

import json

import pytest

from local.children import LocalRunError
from local.providers import demo, overlays, refusals


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_an_overlay_adds_a_provider_with_its_credentials(tmp_path, suffix):
    """
    JSON and YAML alike: record fields on one side, credentials on the other.
    """
    file = tmp_path / f"overlay{suffix}"
    entry = {"issuer": "https://id.example", "credentials": {"client_id": "c", "client_secret": "s"}}
    file.write_text(json.dumps({"corp": entry}))

    (registration,) = overlays(file)

    assert registration.provider_id == "corp"
    assert registration.record == {"issuer": "https://id.example"}
    assert (registration.client_id, registration.client_secret) == ("c", "s")
    assert "'s'" not in repr(registration)


@pytest.mark.parametrize(
    "content", ["[]", "corp: text", "corp: {issuer: x}", "corp: {credentials: {}}", "a: [", "\x00"]
)
def test_a_malformed_overlay_is_one_sentence(tmp_path, content):
    """
    The file and what is wrong with it, never a traceback.
    """
    file = tmp_path / "overlay.yaml"
    file.write_text(content)

    with pytest.raises(LocalRunError, match=r"overlay\.yaml"):
        overlays(file)


def test_a_missing_overlay_is_one_sentence(tmp_path):
    """
    A typo in the option's value is told at once.
    """
    with pytest.raises(LocalRunError, match="cannot be read"):
        overlays(tmp_path / "typo.json")


def test_the_demo_provider_is_told_as_it_is():
    """
    Its endpoints are those that oidc-provider-mock publishes.
    """
    from oidc_provider_mock import app

    url = "http://127.0.0.1:9400"
    published = app().test_client().get("/.well-known/openid-configuration", base_url=url).get_json()
    record = demo(url).record

    names = ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    assert {name: record[name] for name in names} == {name: published[name] for name in names}


def test_a_provider_that_will_not_redirect_here_is_told_before_anybody_tries(tmp_path):
    """By its record's rule; what only its issuer can complete says nothing yet."""
    credentials = {"credentials": {"client_id": "c", "client_secret": "s"}}
    file = tmp_path / "mine.json"
    file.write_text(
        json.dumps(
            {"spotify": credentials, "google": credentials, "acme": {"issuer": "https://a.example"} | credentials}
        )
    )

    (sentence,) = refusals(overlays(file), issuer="http://localhost:8080")

    assert sentence == (
        "Spotify will not redirect to http://localhost:8080/oauth2/callback/spotify: "
        "localhost over http is refused by the provider."
    )
    assert refusals(overlays(file), issuer="http://127.0.0.1:8080") == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"refresh": {"rotation": "sometimes"}},
            "google: refresh.rotation: One of none, optional, always is expected.",
        ),
        ({"token_endpoint": "http://198.51.100.7/t"}, "google: token_endpoint: An https URL is expected."),
    ],
)
def test_an_unsound_record_is_told_before_anything_starts(tmp_path, entry, message):
    """With file, record and field."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"google": entry | {"credentials": {"client_id": "c", "client_secret": "s"}}}))

    with pytest.raises(LocalRunError) as caught:
        overlays(file)

    assert str(caught.value) == f"{file}: {message}"
