"""Client authentication: credentials are found, clients looked up, proofs and rules checked (RFC 6749 section 2.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from auth_service.audit_recorder import AuditRecorder, RequestSource
from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.client_assertions import AssertionVerifier
from auth_service.clients.client_directory import ClientDirectory
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.credentials import REFUSAL, Credentials, find_assertion, find_credentials
from auth_service.declaration import MAX_CLIENT_ID_LENGTH
from auth_service.errors import InvalidClient, TooManyFailures
from auth_service.http.forms import Form
from auth_service.http.rate_limits import Throttle
from auth_service.protocol import SECRET_METHODS, AuthMethod
from security_common.audit import Action, EventType, Outcome, Reason
from security_common.edge import RequestContext

__all__ = ["CLIENT_RULES", "ClientAuthenticator", "WorkloadAuthenticator"]


class WorkloadAuthenticator(Protocol):
    """Finds the clients of workloads; implemented by `workloads.workload_tokens.WorkloadTokens`."""

    def has_issuer_of(self, token: str) -> bool:
        """Whether `iss` of the token is a workload issuer. Nothing is verified yet."""
        ...

    async def authenticate(self, token: str, source: RequestSource) -> str | None:
        """The id of the client that the workload with this token is, or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAuthenticator:
    """Finds the client that sent a request and verifies its proof. Failures are counted and recorded."""

    directory: ClientDirectory
    secrets: ClientSecrets
    assertions: AssertionVerifier
    workloads: WorkloadAuthenticator
    throttle: Throttle
    record: AuditRecorder

    async def authenticate(self, form: Form, source: RequestContext) -> Client:
        """The client that sent the form with this request.

        Raises `InvalidClient`, with the same text for an unknown client and a wrong secret, or `InvalidRequest`.

        After too many failures a client has to wait. Failures are counted for client and address together: guesses from
        another address do not lock a client out, and neither do failures of other clients behind the same address.
        """
        authorization = source.headers.all(b"authorization")
        assertion = find_assertion(authorization, form)
        if assertion is not None and self.workloads.has_issuer_of(assertion):
            return await self._authenticate_workload(assertion, form, source)
        try:
            candidates = find_credentials(authorization, form)
            for credentials in candidates:
                self.throttle.check(_counted_name(credentials), source.source_address)
            clients = [
                await self.directory.find(credentials.client_id, source_address=source.source_address)
                for credentials in candidates
            ]
        except InvalidClient as error:
            reason = Reason.TOO_MANY_FAILURES if isinstance(error, TooManyFailures) else error.error
            await self._record_refusal(source, None, reason)
            raise
        refusal = InvalidClient(REFUSAL)
        for client, credentials in zip(clients, candidates, strict=True):
            # The proof is verified for an unknown client too, so that both take the same time.
            proven = await self._verify_proof(client, credentials, source)
            if client is None or not proven:
                continue
            try:
                for check in CLIENT_RULES:
                    check(client, credentials)
            except InvalidClient as error:
                refusal = error
            else:
                return client
        await self._count_failures(clients, candidates, source)
        raise refusal

    async def _authenticate_workload(self, token: str, form: Form, source: RequestSource) -> Client:
        """The client of a workload whose token is the client assertion (RFC 7523 section 2.2).

        Failures are not counted: such a token cannot be guessed, and many workloads of a platform share an address.
        """
        client_id = await self.workloads.authenticate(token, source)
        client = await self.directory.find(client_id) if client_id is not None else None
        if client is None or form.get("client_id") not in {None, client.client_id}:
            await self._record_refusal(source, client, InvalidClient.error)
            raise InvalidClient(REFUSAL)
        return client

    async def _count_failures(
        self, clients: Sequence[Client | None], candidates: Sequence[Credentials], source: RequestSource
    ) -> None:
        """Counts and records a request with a wrong proof. `clients` are those that the candidates name."""
        # Both readings of a Basic header may name the same client: then this is one failure.
        known: dict[str, bool] = {}
        for client, credentials in zip(clients, candidates, strict=True):
            known[_counted_name(credentials)] = client is not None
        for name, is_known in known.items():
            await self.throttle.count(name, source.source_address, shared=is_known)
        first_known = next((client for client in clients if client is not None), None)
        await self._record_refusal(source, first_known, InvalidClient.error)

    async def _record_refusal(self, source: RequestSource, client: Client | None, reason: str) -> None:
        """An id that no client has is not recorded, because people paste secrets there by mistake."""
        await self.record(
            source,
            event_type=EventType.CLIENT_REFUSED,
            action=Action.REFUSED,
            client_id=client.client_id if client else None,
            reason=reason,
            outcome=Outcome.REFUSED,
        )

    async def _verify_proof(self, client: Client | None, credentials: Credentials, source: RequestSource) -> bool:
        """Takes as long for a client that does not exist, so that the time reveals nothing (RFC 6749 section 10.10)."""
        match credentials.method:
            case AuthMethod.NONE:
                return True
            case AuthMethod.PRIVATE_KEY_JWT:
                return await self.assertions.verify(client, credentials.proof, source_address=source.source_address)
            case _:
                return self.secrets.matches(client, credentials.proof)


def _counted_name(credentials: Credentials) -> str:
    # Cut, because clients choose it and the counters are kept in memory.
    return credentials.client_id[:MAX_CLIENT_ID_LENGTH]


def require_a_registered_method(client: Client, credentials: Credentials) -> None:
    """A client must use a method that it registered; so a client with a secret cannot pass as a public one.

    A client that registered itself may send its secret in the header or in the body: many confuse the two methods, and
    neither is weaker. An operator who declares one of them gets exactly that one.
    """
    allowed = client.auth_methods
    if client.origin is ClientOrigin.REGISTERED and allowed & SECRET_METHODS:
        allowed |= SECRET_METHODS
    if credentials.method in allowed:
        return
    if credentials.method is AuthMethod.NONE:
        raise InvalidClient(REFUSAL)
    # The proof was valid, so this text reveals nothing to anyone but the client itself.
    methods = " or ".join(sorted(client.auth_methods))
    raise InvalidClient(
        f"the client must authenticate with {methods}, and this was {credentials.method}; "
        "change the client, or its auth_methods in auth.yaml"
    )


CLIENT_RULES: tuple[Callable[[Client, Credentials], None], ...] = (require_a_registered_method,)
