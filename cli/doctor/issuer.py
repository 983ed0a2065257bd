"""The issuer, from outside: does it answer, under its own name, with the keys that sign?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cli.doctor.findings import Family, Finding, failing, ok, warning
from cli.doctor.patient import Patient

SECONDS = 8.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def scheme(patient: Patient) -> Iterator[Finding]:
    """Whether tokens travel over TLS."""
    issuer = patient.outputs["PublicUrl"]
    parts = urlsplit(issuer)
    if parts.scheme == "https" or parts.hostname in LOOPBACK:
        yield ok("issuer.scheme", issuer)
    else:
        mend = patient.deploy("PublicUrl=https://…")
        yield failing("issuer.scheme", f"{issuer} is not https.", mend=mend)


def discovery(patient: Patient) -> Iterator[Finding]:
    """Whether the discovery document names this issuer, and its JWK Set has the keys that sign."""
    issuer = patient.outputs["PublicUrl"].rstrip("/")
    address = f"{issuer}/.well-known/openid-configuration"
    document = _json(address)
    if isinstance(document, str):
        mend = f"curl -iv {address}  # DNS, certificate, the custom domain's mapping, the stage"
        yield failing("issuer.reachable", f"{address}: {document}", mend=mend)
        return
    yield ok("issuer.reachable", address)
    told = document.get("issuer")
    if told != issuer:
        yield failing(
            "issuer.name", f"It calls itself {told!r}: no client will believe its tokens.",
            mend=patient.deploy(f"PublicUrl={issuer}"),
        )  # fmt: skip
    else:
        yield ok("issuer.name", "It calls itself what the stack says.")
    yield from _keys(patient, str(document.get("jwks_uri", "")))


def _keys(patient: Patient, address: str) -> Iterator[Finding]:
    jwks = _json(address)
    if isinstance(jwks, str):
        yield failing("issuer.keys", f"{address or 'jwks_uri'}: {jwks}", mend=f"curl -iv {address}")
        return
    published = {key.get("kid") for key in jwks.get("keys", []) if isinstance(key, dict)}
    ring = patient.wiring.signing_keys.public()
    wanted = {key.kid for key in ring if key.is_live(patient.now) and key.active_from <= patient.now}
    missing = wanted - published
    if missing:
        told = f"{len(missing)} keys that sign are not published there: a cache in between, or another stack answers."
        yield warning(
            "issuer.keys", told, mend="Run it again in five minutes; then look at what is in front of the API."
        )
    else:
        yield ok("issuer.keys", f"{len(published)} keys are published, those that sign among them.")


def _json(address: str) -> dict[str, Any] | str:
    """The JSON object behind an address, or what is wrong with it."""
    import httpx2

    try:
        answer = httpx2.get(address, timeout=SECONDS, follow_redirects=False)
        body = answer.json() if answer.status_code == 200 else None
    except httpx2.HTTPError as error:
        return f"{type(error).__name__}."
    except (ValueError, httpx2.InvalidURL):
        return "It is no JSON."
    if answer.status_code != 200:
        return f"It answers {answer.status_code}."
    return body if isinstance(body, dict) else "It is no JSON object."


FAMILY = Family("issuer", (scheme, discovery))
