"""From the token of a workload to the client that it is."""

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import structlog
from redis.asyncio import Redis

from auth_service.accounts.claim_rules import meets_all
from auth_service.audit_recorder import AuditRecorder, RequestSource
from auth_service.declaration import DeclaredClient
from auth_service.declared_providers import ClaimCondition
from auth_service.errors import TemporarilyUnavailable
from auth_service.federation.foreign_tokens import mark_used
from auth_service.federation.provider_errors import ProviderFailure, ProviderProblem
from auth_service.http.metrics import Metrics
from auth_service.protocol import Clock
from auth_service.workloads.workload_issuer import WorkloadIssuer
from auth_service.workloads.workload_token_rules import WorkloadRefused, WorkloadToken, check_workload_token
from security_common.audit import Action, EventType
from security_common.strict_json import parse_json

__all__ = ["MAX_TOKEN_CHARACTERS", "ClientWorkload", "Workload", "WorkloadTokens", "client_workloads", "read_part"]

MAX_TOKEN_CHARACTERS = 16 * 1024

_PREFIX = "auth:workload-token:"
_RETRY_AFTER_SECONDS = 30
_MAX_DEPTH = 8

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientWorkload:
    """Workloads of one issuer (by its id in auth.yaml) that act as a client: those that meet all conditions."""

    client_id: str
    issuer_id: str
    conditions: tuple[ClaimCondition, ...]


def client_workloads(clients: Iterable[DeclaredClient]) -> tuple[ClientWorkload, ...]:
    """The workloads of all clients, as auth.yaml declares them."""
    return tuple(
        ClientWorkload(client_id=client.client_id, issuer_id=workload.issuer, conditions=workload.conditions)
        for client in clients
        for workload in client.workloads
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload whose token satisfies all rules, and the client that it is."""

    client_id: str
    issuer: WorkloadIssuer
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadTokens:
    """Verifies the tokens of workloads. `issuers` are by their `iss`; `audiences` identify this service.

    Implements `clients.authentication.WorkloadAuthenticator`.
    """

    issuers: Mapping[str, WorkloadIssuer]
    workloads: tuple[ClientWorkload, ...]
    audiences: frozenset[str]
    redis: Redis
    record: AuditRecorder
    metrics: Metrics
    clock: Clock

    def has_issuer_of(self, token: str) -> bool:
        """Whether `iss` of the token is a workload issuer. Nothing is verified yet."""
        return self._find_issuer(token) is not None

    async def authenticate(self, token: str, source: RequestSource) -> str | None:
        """The id of the client that the workload is, or None. A token of an issuer with `single_use` counts once.

        Raises `TemporarilyUnavailable` if the keys of the issuer are not available, `RedisError`, `JournalUnavailable`.
        """
        workload = await self.identify(token, source)
        if workload is None or not await self.mark_used(workload, source):
            return None
        return workload.client_id

    async def identify(self, token: str, source: RequestSource) -> Workload | None:
        """The workload with this token, which is not marked as used yet; None if it is refused.

        The cause is only in the log: a response must not reveal which issuers and conditions are declared. Raises
        `TemporarilyUnavailable` if the keys of the issuer are not available.
        """
        issuer = self._find_issuer(token)
        if issuer is None:
            self._log_refusal("unknown", WorkloadRefused("no declared workload issuer signed it"), source)
            return None
        try:
            return await self._verify(token, issuer)
        except WorkloadRefused as refusal:
            self._log_refusal(issuer.declared.id, refusal, source)
        except ProviderFailure as failure:
            if failure.problem is not ProviderProblem.BAD_ID_TOKEN:
                self.metrics.workload_tokens.labels(issuer.declared.id, "unavailable").inc()
                raise TemporarilyUnavailable(
                    "the keys of the workload issuer are not available",
                    hint=failure.hint,
                    retry_after_seconds=_RETRY_AFTER_SECONDS,
                ) from failure
            self._log_refusal(issuer.declared.id, WorkloadRefused(failure.description), source)
        return None

    async def mark_used(self, workload: Workload, source: RequestSource) -> bool:
        """Records that the workload acts as its client. False if its token was used before and counts only once."""
        declared, claims = workload.issuer.declared, workload.claims
        if declared.accepts_once and not await mark_used(self.redis, _PREFIX, claims, self.clock()):
            self._log_refusal(declared.id, WorkloadRefused("the token was used before"), source)
            return False
        self.metrics.workload_tokens.labels(declared.id, "accepted").inc()
        await self.record(
            source,
            event_type=EventType.WORKLOAD_AUTHENTICATED,
            action=Action.AUTHENTICATED,
            client_id=workload.client_id,
            reason=f"{declared.id}: {claims['sub']}",
        )
        return True

    async def close(self) -> None:
        for issuer in self.issuers.values():
            await issuer.close()

    def _find_issuer(self, token: str) -> WorkloadIssuer | None:
        """The issuer that the token names."""
        if not self.issuers or len(token) > MAX_TOKEN_CHARACTERS or token.count(".") != 2:
            return None
        named: Any = read_part(token, 1).get("iss")
        return self.issuers.get(named) if isinstance(named, str) else None

    async def _verify(self, token: str, issuer: WorkloadIssuer) -> Workload:
        try:
            signed = await issuer.verify(token)
            declared = issuer.declared
            audiences = self.audiences if declared.audience is None else frozenset({declared.audience})
            check_workload_token(
                WorkloadToken(
                    header=signed.header, claims=signed.claims, issuer=declared, audiences=audiences, now=self.clock()
                )
            )
            client_id = self._find_client(declared.id, signed.claims)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
            raise WorkloadRefused(f"a claim has an unusable value ({type(error).__name__})") from error
        return Workload(client_id=client_id, issuer=issuer, claims=signed.claims)

    def _find_client(self, issuer_id: str, claims: Mapping[str, Any]) -> str:
        """Raises `WorkloadRefused` if the claims do not meet the conditions of exactly one client."""
        found = {
            workload.client_id
            for workload in self.workloads
            if workload.issuer_id == issuer_id and meets_all(claims, workload.conditions)
        }
        if len(found) > 1:
            raise WorkloadRefused(f"it meets the conditions of several clients: {', '.join(sorted(found))}")
        if not found:
            raise WorkloadRefused(
                "it does not meet the conditions of any client",
                hint="compare the claims of the token with `when` below `workloads` in auth.yaml",
            )
        return found.pop()

    def _log_refusal(self, issuer_id: str, refusal: WorkloadRefused, source: RequestSource) -> None:
        self.metrics.workload_tokens.labels(issuer_id, "refused").inc()
        log.warning(
            "workload_token_refused",
            issuer=issuer_id,
            cause=refusal.description,
            hint=refusal.hint,
            trace_id=source.trace_id,
        )


def read_part(token: str, index: int) -> Mapping[str, Any]:
    """The header (0) or the claims (1) of a compact JWS, not verified; empty if they cannot be read."""
    try:
        part = parse_json(urlsafe_b64decode(f"{token.split('.')[index]}=="), max_depth=_MAX_DEPTH)
    except (ValueError, IndexError, RecursionError):
        return {}
    return cast("Mapping[str, Any]", part) if isinstance(part, dict) else {}
