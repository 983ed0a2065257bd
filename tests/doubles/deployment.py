"""A deployment in memory with its keys made, its clients registered and one provider to sign in at."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from typing import Any

from grantkeeper import ids
from grantkeeper.jws import thumbprint
from grantkeeper.key_maker import KmsKeyMaker
from grantkeeper.model import AuditEvent, Client, Identity, SigningKey, SigningKeyRing, User
from tests.doubles.aws import ENVIRONMENT, InMemoryAws, memory_wiring
from tests.doubles.kms import VAULT_KEY_ARN, InMemoryKms
from tests.doubles.provider import NOON, FakeProvider

ISSUER = ENVIRONMENT["ISSUER"]
REDIRECT_URI = "https://app.example.com/callback"
SECRET = "s3cret of:the %client+"
VERIFIER = "v" * 43
ORIGIN = "https://app.example.com"

PUBLIC_CLIENT = Client(
    client_id="spa",
    client_name="Example <App>",
    redirect_uris=(REDIRECT_URI, "http://127.0.0.1/callback"),
    created_at=NOON - 1000,
    origins=(ORIGIN,),
    post_logout_redirect_uris=("https://app.example.com/bye",),
    scopes=(
        "openid",
        "profile",
        "email",
        "connections:read",
        "connections:write",
        "connections:token",
        "account:write",
    ),
    resources=("https://reports.example.com",),
)
CONFIDENTIAL_CLIENT = replace(
    PUBLIC_CLIENT,
    client_id="backend",
    client_name="Example backend",
    token_endpoint_auth_method="client_secret_basic",
    secret_hashes=(ids.digest(SECRET),),
)
ALICE = User(
    sub="usr_alice",
    created_at=NOON - 1000,
    updated_at=NOON - 1000,
    email="alice@example.com",
    email_verified=True,
    name="Alice Example",
)


def deployment(*, aws: InMemoryAws | None = None, **environment: str) -> Any:
    """A wiring whose signing keys exist since long ago, so that any clock may sign. Args: aws: empty as yet."""
    aws = InMemoryAws() if aws is None else aws
    aws.__dict__["kms"] = _kms()
    wiring = memory_wiring(aws=aws, **environment)
    keys = {key.kid: wrapped for key, wrapped in _signing_keys()}
    ring = SigningKeyRing(version=1, keys=tuple(key for key, _ in _signing_keys()), wrapped=keys)
    assert wiring.signing_keys.replace(ring, audit=audit_event("signing_key.created"))
    register(wiring, PUBLIC_CLIENT)
    register(wiring, CONFIDENTIAL_CLIENT)
    return wiring


def register(wiring: Any, client: Client) -> None:
    """Register or change a client."""
    wiring.clients.put(client, audit=audit_event("client.changed"))


def register_provider(wiring: Any, provider: FakeProvider, **changes: Any) -> None:
    """Register a provider as an operator does, with its secret in Parameter Store, and put it behind the port."""
    record = json.loads(json.dumps(asdict(provider.record(**changes))))
    parameter = f"/grantkeeper/providers/{provider.id}"
    wiring.secrets.put(parameter, provider.client_secret)
    wiring.provider_items.put(
        provider.id,
        record={name: value for name, value in record.items() if name != "id"},
        registrations=[{"client_id": provider.client_id, "secret_parameter": parameter, "state": "active"}],
        disabled=False,
        audit=audit_event("provider.changed"),
    )
    wiring.__dict__["provider_http"] = provider


def provision(wiring: Any, user: User = ALICE, *, issuer: str = "https://idp.example", subject: str = "alice") -> None:
    """Make a user with one identity."""
    identity = Identity(issuer=issuer, subject=subject, sub=user.sub, provider="example", linked_at=user.created_at)
    wiring.users.provision(user, identity, audit=audit_event("user.provisioned"))


def audit_event(action: str) -> AuditEvent:
    """An entry of some operator's."""
    return AuditEvent(id=ids.new_id("evt"), time=NOON, action=action, actor="system:test")


def trail(wiring: Any) -> list[dict[str, Any]]:
    """Every audit entry, as stored."""
    items = wiring.aws.dynamodb.scan(TableName=ENVIRONMENT["AUDIT_TABLE"])["Items"]
    return [{name: next(iter(value.values())) for name, value in item.items()} for item in items]


def actions(wiring: Any) -> list[str]:
    """The actions in the trail, in no order."""
    return [entry["action"] for entry in trail(wiring)]


@cache
def _kms() -> InMemoryKms:
    return InMemoryKms()


@cache
def _signing_keys() -> tuple[tuple[SigningKey, bytes], ...]:
    """One pair of each kind for the whole run: making an RSA key takes longer than most tests."""
    maker = KmsKeyMaker(_kms(), VAULT_KEY_ARN)
    made = []
    for alg in ("ES256", "RS256"):
        jwk, wrapped = maker.signing_pair(alg)
        made.append((SigningKey(kid=thumbprint(jwk), alg=alg, public_jwk=jwk, created_at=1, active_from=1), wrapped))
    return tuple(made)
