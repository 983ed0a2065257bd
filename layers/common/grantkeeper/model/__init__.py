"""
The records of the domain, all frozen, in the words of the design.

Times are epoch seconds. A hash is the unpadded base64url of SHA-256
(`ids.digest`), stored where the value itself must not be.

Every word is taken from here and lives in the module of its aggregate, which
is loaded with the first of its words: to make a dataclass takes a third of a
millisecond, and a cold start pays for those it uses and for no other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grantkeeper.model.audit import AuditEvent as AuditEvent
    from grantkeeper.model.branch_keys import BranchKey as BranchKey
    from grantkeeper.model.callers import ALL_SCOPES as ALL_SCOPES
    from grantkeeper.model.callers import ApiKey as ApiKey
    from grantkeeper.model.callers import Principal as Principal
    from grantkeeper.model.clients import Client as Client
    from grantkeeper.model.connect_sessions import ConnectSession as ConnectSession
    from grantkeeper.model.connections import CONFIRM_SLACK as CONFIRM_SLACK
    from grantkeeper.model.connections import Connection as Connection
    from grantkeeper.model.connections import ConnectionStatus as ConnectionStatus
    from grantkeeper.model.connections import Pending as Pending
    from grantkeeper.model.connections import Profile as Profile
    from grantkeeper.model.consents import Consent as Consent
    from grantkeeper.model.consents import consent_of as consent_of
    from grantkeeper.model.erasure import Erased as Erased
    from grantkeeper.model.erasure import Remains as Remains
    from grantkeeper.model.erasure import Trace as Trace
    from grantkeeper.model.errands import Errand as Errand
    from grantkeeper.model.grants import Binding as Binding
    from grantkeeper.model.grants import Grant as Grant
    from grantkeeper.model.grants import GrantStatus as GrantStatus
    from grantkeeper.model.grants import Lease as Lease
    from grantkeeper.model.grants import LeaseHeld as LeaseHeld
    from grantkeeper.model.grants import Reason as Reason
    from grantkeeper.model.grants import Saved as Saved
    from grantkeeper.model.grants import TokenSet as TokenSet
    from grantkeeper.model.http import HttpRequest as HttpRequest
    from grantkeeper.model.http import HttpResponse as HttpResponse
    from grantkeeper.model.people import Avatar as Avatar
    from grantkeeper.model.people import Identity as Identity
    from grantkeeper.model.people import Role as Role
    from grantkeeper.model.people import User as User
    from grantkeeper.model.providers import AuthMethod as AuthMethod
    from grantkeeper.model.providers import BreakerState as BreakerState
    from grantkeeper.model.providers import ProviderCredentials as ProviderCredentials
    from grantkeeper.model.sessions import AuthorizationCode as AuthorizationCode
    from grantkeeper.model.sessions import Rotation as Rotation
    from grantkeeper.model.sessions import Session as Session
    from grantkeeper.model.signing_keys import SigningKey as SigningKey
    from grantkeeper.model.signing_keys import SigningKeyRing as SigningKeyRing
    from grantkeeper.model.trips import AuthorizationRequest as AuthorizationRequest
    from grantkeeper.model.trips import Purpose as Purpose
    from grantkeeper.model.work import DueGrant as DueGrant
    from grantkeeper.model.work import ShardMark as ShardMark
    from grantkeeper.model.work import Work as Work

_WORDS = {
    "audit": "AuditEvent",
    "branch_keys": "BranchKey",
    "callers": "ALL_SCOPES ApiKey Principal",
    "clients": "Client",
    "connect_sessions": "ConnectSession",
    "connections": "CONFIRM_SLACK Connection ConnectionStatus Pending Profile",
    "consents": "Consent consent_of",
    "erasure": "Erased Remains Trace",
    "errands": "Errand",
    "grants": "Binding Grant GrantStatus Lease LeaseHeld Reason Saved TokenSet",
    "http": "HttpRequest HttpResponse",
    "signing_keys": "SigningKey SigningKeyRing",
    "people": "Avatar Identity Role User",
    "providers": "AuthMethod BreakerState ProviderCredentials",
    "sessions": "AuthorizationCode Rotation Session",
    "trips": "AuthorizationRequest Purpose",
    "work": "DueGrant ShardMark Work",
}
_HOMES = {word: module for module, words in _WORDS.items() for word in words.split()}


def __getattr__(name: str) -> Any:
    """Load the module of a word when somebody first asks for it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found
