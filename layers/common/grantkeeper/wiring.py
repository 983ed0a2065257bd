"""
The one place that knows which class stands behind which port.

`from_environment` reads nothing but its argument; every attribute is made at
first use and kept for the life of the execution environment, so a function
pays at start for what it touches and for nothing else.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grantkeeper import admin_ports, ports, recount_ports
    from grantkeeper.key_rotation import Rotations, SealedGrants
    from grantkeeper.providers.catalog import Catalog
    from grantkeeper.services.admin_connections import Seen
    from grantkeeper.services.provider_keys import ProviderKeys
    from grantkeeper.stores.aws import Aws
    from grantkeeper.stores.erasure import DynamoErasure
    from grantkeeper.stores.people import DynamoPeople
    from grantkeeper.stores.sweep_mark import DynamoSweepMark


@dataclass
class Wiring:
    """Everything a function may need, each part built when first asked for."""

    env: Mapping[str, str]

    def warm_up(self, *parts: str) -> None:
        """
        Build parts now, inside Lambda's init, where the processor is whole and the first caller does not wait.

        Elsewhere nothing happens: a test brings its own world, and a part is built when first asked for.

        Args:
            parts: Names of attributes, e.g. `"grants"`; each brings its module and its client with it.
        """
        if "AWS_LAMBDA_FUNCTION_NAME" in self.env:
            for part in parts:
                getattr(self, part)
            gc.freeze()  # what lives now lives as long as the process: no later collection looks at it
            gc.enable()

    # --- plain configuration ---

    @property
    def issuer(self) -> str:
        """Our issuer and base URL, without a trailing slash."""
        return self.env["ISSUER"].rstrip("/")

    @property
    def due_shards(self) -> int:
        """Shards of the due index that new rows are spread over."""
        return int(self.env.get("DUE_SHARDS", "16"))

    @cached_property
    def calls_per_minute(self) -> int:
        """Token calls that one client may make in a minute; every other limit is a share of it."""
        return int(self.env.get("CALLS_PER_MINUTE", "6400"))

    @property
    def audit_retention_days(self) -> int:
        """Days an audit entry is kept."""
        from grantkeeper.stores.audit_item import RETENTION_DAYS

        return int(self.env.get("AUDIT_RETENTION_DAYS") or RETENTION_DAYS)

    @property
    def local(self) -> bool:
        """True on the local run: plain http and loopback providers are allowed."""
        return self.env.get("LOCAL_RUN", "") == "1"

    # --- AWS ---

    @cached_property
    def aws(self) -> Aws:
        """One botocore session and its clients, made at first use."""
        from grantkeeper.stores.aws import Aws

        return Aws(self.env)

    @cached_property
    def users(self) -> ports.Users:
        from grantkeeper.stores.users import DynamoUsers

        return DynamoUsers(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def people(self) -> DynamoPeople:
        """Everybody, for the administration."""
        from grantkeeper.stores.people import DynamoPeople

        return DynamoPeople(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def erasure(self) -> DynamoErasure:
        """What stands of a user, and its end."""
        from grantkeeper.stores.erasure import DynamoErasure

        return DynamoErasure(self.aws.dynamodb, self._grants, self._requests, self._audit)

    @cached_property
    def seen_connections(self) -> Seen:
        """Connections without anything sealed, for the administration."""
        from grantkeeper.stores.seen_connections import SeenConnections

        return SeenConnections(self.aws.dynamodb, self._grants, self._audit, due_shards=self.due_shards)

    @cached_property
    def avatars(self) -> ports.Avatars:
        from grantkeeper.stores.avatars import DynamoAvatars

        return DynamoAvatars(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def clients(self) -> ports.Clients:
        from grantkeeper.stores.clients import DynamoClients

        return DynamoClients(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def client_versions(self) -> admin_ports.ClientVersions:
        """Clients as they are edited."""
        from grantkeeper.stores.client_versions import DynamoClientVersions

        return DynamoClientVersions(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def api_keys(self) -> ports.ApiKeys:
        from grantkeeper.stores.api_keys import DynamoApiKeys

        return DynamoApiKeys(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def api_key_pages(self) -> admin_ports.ApiKeyPages:
        """All API keys, for the administration."""
        from grantkeeper.stores.api_key_pages import DynamoApiKeyPages

        return DynamoApiKeyPages(self.aws.dynamodb, self._grants)

    @cached_property
    def authorization_requests(self) -> ports.AuthorizationRequests:
        from grantkeeper.stores.authorization_requests import DynamoAuthorizationRequests

        return DynamoAuthorizationRequests(self.aws.dynamodb, self._requests)

    @cached_property
    def codes(self) -> ports.Codes:
        from grantkeeper.stores.codes import DynamoCodes

        return DynamoCodes(self.aws.dynamodb, self._requests)

    @cached_property
    def connect_sessions(self) -> ports.ConnectSessions:
        from grantkeeper.stores.connect_sessions import DynamoConnectSessions

        return DynamoConnectSessions(self.aws.dynamodb, self._requests, self._audit)

    @cached_property
    def errands(self) -> ports.Errands:
        from grantkeeper.stores.errands import DynamoErrands

        return DynamoErrands(self.aws.dynamodb, self._requests, self._grants, self._audit)

    @cached_property
    def consents(self) -> ports.Consents:
        from grantkeeper.stores.consents import DynamoConsents

        return DynamoConsents(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def sessions(self) -> ports.Sessions:
        from grantkeeper.stores.sessions import DynamoSessions

        return DynamoSessions(self.aws.dynamodb, self._requests, self._audit)

    @cached_property
    def connections(self) -> ports.Connections:
        from grantkeeper.stores.connections import DynamoConnections

        return DynamoConnections(
            self.aws.dynamodb, self._grants, self._requests, self._audit, due_shards=self.due_shards
        )

    @cached_property
    def grants(self) -> ports.Grants:
        from grantkeeper.stores.grants import DynamoGrants

        return DynamoGrants(self.aws.dynamodb, self._grants, self._audit, due_shards=self.due_shards)

    @cached_property
    def audit(self) -> ports.AuditTrail:
        from grantkeeper.stores.audit import DynamoAuditTrail

        return DynamoAuditTrail(self.aws.dynamodb, self._audit)

    @cached_property
    def audit_search(self) -> admin_ports.Trail:
        """The audit table as an auditor asks it."""
        from grantkeeper.stores.audit_search import DynamoAuditSearch

        return DynamoAuditSearch(self.aws.dynamodb, self._audit)

    @cached_property
    def counters(self) -> ports.Counters:
        from grantkeeper.stores.counters import DynamoCounters

        return DynamoCounters(self.aws.dynamodb, self._grants)

    @cached_property
    def recount_records(self) -> recount_ports.Records:
        """What the counters are judged by."""
        from grantkeeper.stores.recount import DynamoRecords

        return DynamoRecords(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def recount_notes(self) -> recount_ports.Notes:
        """How far the recount is, and what the last one found."""
        from grantkeeper.stores.reconciliation import DynamoNotes

        return DynamoNotes(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def deployment_secrets(self) -> ports.DeploymentSecrets:
        from grantkeeper.stores.deployment_secrets import DynamoDeploymentSecrets

        return DynamoDeploymentSecrets(self.aws.dynamodb, self._requests)

    @cached_property
    def breakers(self) -> ports.Breakers:
        from grantkeeper.stores.breakers import DynamoBreakers

        return DynamoBreakers(self.aws.dynamodb, self._grants)

    @cached_property
    def breakers_seen(self) -> admin_ports.BreakersSeen:
        """Breakers with all that stands in their items, for operators."""
        from grantkeeper.stores.breakers_seen import DynamoBreakersSeen

        return DynamoBreakersSeen(self.aws.dynamodb, self._grants)

    @cached_property
    def dead_rows(self) -> admin_ports.DeadRows:
        """What is dead and only takes up room."""
        from grantkeeper.stores.dead_rows import DynamoDeadRows

        return DynamoDeadRows(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def shard_mark(self) -> ports.DueShards:
        from grantkeeper.stores.due_shards import DynamoDueShards

        return DynamoDueShards(self.aws.dynamodb, self._grants)

    @cached_property
    def sweep_mark(self) -> DynamoSweepMark:
        """What the last sweep left, for whoever asks whether there is one."""
        from grantkeeper.stores.sweep_mark import DynamoSweepMark

        return DynamoSweepMark(self.aws.dynamodb, self._grants)

    @cached_property
    def probes(self) -> admin_ports.Probes:
        """What the deep health check looks at."""
        from grantkeeper.stores.health_probes import AwsProbes

        return AwsProbes(self.aws, self.env)

    @cached_property
    def rate_limits(self) -> ports.RateLimits:
        from grantkeeper.stores.rate_limits import DynamoRateLimits

        return DynamoRateLimits(self.aws.dynamodb, self._requests)

    @cached_property
    def provider_items(self) -> ports.Providers:
        from grantkeeper.stores.providers import DynamoProviders

        return DynamoProviders(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def secrets(self) -> ports.Secrets:
        from grantkeeper.stores.secrets import SsmSecrets

        return SsmSecrets(self.aws.ssm, key_arn=self.env.get("TABLE_KEY_ARN"))

    @cached_property
    def work_queue(self) -> ports.WorkQueue:
        from grantkeeper.stores.queues import SqsWorkQueue

        return SqsWorkQueue(self.aws.sqs, self.env["WORK_QUEUE_URL"])

    @cached_property
    def rescue_queue(self) -> ports.RescueQueue:
        from grantkeeper.stores.queues import SqsRescueQueue

        return SqsRescueQueue(self.aws.rescue_sqs, self.env["RESCUE_QUEUE_URL"])

    @cached_property
    def dead_letters(self) -> ports.DeadLetters:
        from grantkeeper.stores.queues import SqsDeadLetters

        return SqsDeadLetters(self.aws.sqs, self.env["DEAD_LETTER_QUEUE_URL"])

    @cached_property
    def event_bus(self) -> ports.EventBus:
        from grantkeeper.stores.event_bus import EventBridgeBus

        return EventBridgeBus(self.aws.events, self.env["EVENT_BUS_NAME"])

    # --- providers ---

    @property
    def catalog(self) -> Catalog:
        """Built-in records with the deployment's own on top; the overrides are cached for a minute."""
        from grantkeeper.providers.catalog import Catalog

        return Catalog(overrides=self.provider_items.overrides(), allow_private_addresses=self.local)

    @cached_property
    def credentials(self) -> ports.Credentials:
        from grantkeeper.stores.credentials import RegisteredCredentials

        return RegisteredCredentials(self.provider_items, self.secrets)

    @cached_property
    def public_credentials(self) -> ports.Credentials:
        """Without secrets, for the function that sends browsers away."""
        from grantkeeper.stores.public_credentials import PublicCredentials

        return PublicCredentials(self.provider_items)

    @cached_property
    def provider_http(self) -> ports.ProviderHttp:
        from grantkeeper.provider_http import Httpx2ProviderHttp

        return Httpx2ProviderHttp(allow_private_addresses=self.local)

    @cached_property
    def provider_keys(self) -> ProviderKeys:
        """Providers' published keys, kept per execution environment."""
        from grantkeeper.services.provider_keys import ProviderKeys

        return ProviderKeys(self.provider_http)

    # --- crypto ---

    @cached_property
    def sealer(self) -> ports.Sealer:
        from grantkeeper.vault import KmsSealer

        return KmsSealer(self.aws.kms, self.env["VAULT_KEY_ARN"], on_refusal=self._refusals)

    @cached_property
    def vault(self) -> ports.Vault:
        from grantkeeper.vault import KmsVault

        return KmsVault(self.aws.kms, self.env["VAULT_KEY_ARN"], self.branch_keys)

    @cached_property
    def branch_keys(self) -> ports.BranchKeys:
        from grantkeeper.stores.branch_keys import DynamoBranchKeys

        return DynamoBranchKeys(self.aws.dynamodb, self._grants, self._audit_if_any)

    @cached_property
    def rotations(self) -> Rotations:
        """For the operator's command."""
        from grantkeeper.stores.rotations import DynamoRotations

        return DynamoRotations(self.aws.dynamodb, self._grants, self._audit)

    @cached_property
    def sealed_grants(self) -> SealedGrants:
        """For the operator's command: no function may scan."""
        from grantkeeper.stores.sealed_grants import DynamoSealedGrants

        return DynamoSealedGrants(self.aws.dynamodb, self._grants)

    @cached_property
    def signing_keys(self) -> ports.SigningKeys:
        from grantkeeper.stores.signing_keys import DynamoSigningKeys

        return DynamoSigningKeys(self.aws.dynamodb, self._grants, self._audit_if_any)

    @cached_property
    def signer(self) -> ports.Signer:
        from grantkeeper.signer import KmsSigner

        return KmsSigner(self.aws.kms, self.env["VAULT_KEY_ARN"], self.signing_keys, on_refusal=self._refusals)

    @cached_property
    def key_set(self) -> ports.KeySet:
        from grantkeeper.signer import PublishedKeySet

        return PublishedKeySet(self.signing_keys)

    @cached_property
    def key_maker(self) -> ports.KeyMaker:
        from grantkeeper.key_maker import KmsKeyMaker

        return KmsKeyMaker(self.aws.kms, self.env["VAULT_KEY_ARN"])

    @property
    def _refusals(self) -> Callable[[], None]:
        """For the functions that seal or sign, which count nothing else; the others report the error itself."""
        from grantkeeper.edge.reports import counting

        return counting(self.env, "KmsRefused")

    @property
    def count_misconfigured(self) -> Callable[[], None]:
        """For the callback: a provider refused our registration."""
        from grantkeeper.edge.reports import counting

        return counting(self.env, "ProviderMisconfigured")

    # --- table names ---

    @property
    def _grants(self) -> str:
        return self.env["GRANTS_TABLE"]

    @property
    def _requests(self) -> str:
        return self.env["REQUESTS_TABLE"]

    @property
    def _audit(self) -> str:
        from grantkeeper.stores.audit_item import AuditTableName

        return AuditTableName(self.env["AUDIT_TABLE"], retention_days=self.audit_retention_days)

    @property
    def _audit_if_any(self) -> str:
        return self._audit if "AUDIT_TABLE" in self.env else ""


def from_environment(env: Mapping[str, str]) -> Wiring:
    """Wire the product from environment variables, taken as an argument so that a test can bring its own."""
    return Wiring(dict(env))
