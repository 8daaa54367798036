"""How a client proves who it is: credentials are found, clients are looked up, proofs and rules are checked."""

from collections.abc import Callable
from dataclasses import dataclass

from auth_service.audit_recorder import AuditRecorder
from auth_service.clients.client import Client, ClientOrigin
from auth_service.clients.client_assertions import AssertionVerifier
from auth_service.clients.client_directory import ClientDirectory
from auth_service.clients.client_secrets import ClientSecrets
from auth_service.clients.credentials import REFUSAL, Credentials, find_credentials
from auth_service.errors import InvalidClient, TooManyFailures
from auth_service.http.forms import Form
from auth_service.http.messages import HttpRequest
from auth_service.http.throttle import Throttle
from auth_service.protocol import SECRET_METHODS, AuthMethod
from security_common.audit import Action, EventType, Outcome, Reason

__all__ = ["JUDGEMENTS", "ClientAuthenticator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAuthenticator:
    """Finds the client that a request is from and checks its proof. Failures are counted and recorded."""

    directory: ClientDirectory
    secrets: ClientSecrets
    assertions: AssertionVerifier
    throttle: Throttle
    record: AuditRecorder

    async def authenticate(self, request: HttpRequest, form: Form) -> Client:
        """The client. Raises `InvalidClient`, with the same words whether the client or its secret is unknown, or
        `InvalidRequest`.

        Whoever failed too often waits, known by client and address together: neither a stranger who guesses at
        somebody's client id nor a neighbour behind the same address can lock a client out elsewhere.
        """
        try:
            readings = find_credentials(request, form)
            for reading in readings:
                self.throttle.check(_counted_name(reading), request.source_address)
            clients = [await self._find(reading, request) for reading in readings]
        except InvalidClient as error:
            waits = isinstance(error, TooManyFailures)
            await self._record_refusal(request, None, Reason.TOO_MANY_FAILURES if waits else error.error)
            raise
        refusal = InvalidClient(REFUSAL)
        for client, credentials in zip(clients, readings, strict=True):
            if not await self._prove(client, credentials, request) or client is None:
                continue
            try:
                for judge in JUDGEMENTS:
                    judge(client, credentials)
            except InvalidClient as error:
                refusal = error
            else:
                return client
        # Both readings may name one client, which then failed once.
        known = {_counted_name(each): client is not None for client, each in zip(clients, readings, strict=True)}
        for name, is_known in known.items():
            await self.throttle.count(name, request.source_address, shared=is_known)
        await self._record_refusal(request, next(filter(None, clients), None), InvalidClient.error)
        raise refusal

    async def _find(self, credentials: Credentials, request: HttpRequest) -> Client | None:
        return await self.directory.find(credentials.client_id, source_address=request.source_address)

    async def _record_refusal(self, request: HttpRequest, client: Client | None, reason: str) -> None:
        """Without the id that was sent when no client has it: people paste secrets there."""
        await self.record(
            request,
            event_type=EventType.CLIENT_REFUSED,
            action=Action.REFUSED,
            client_id=client.client_id if client else None,
            reason=reason,
            outcome=Outcome.REFUSED,
        )

    async def _prove(self, client: Client | None, credentials: Credentials, request: HttpRequest) -> bool:
        """The same work for a client that does not exist, so that time does not tell (RFC 6749 section 10.10)."""
        match credentials.method:
            case AuthMethod.NONE:
                return True
            case AuthMethod.PRIVATE_KEY_JWT:
                return await self.assertions.verify(client, credentials.proof, source_address=request.source_address)
            case _:
                return self.secrets.matches(client, credentials.proof)


def _counted_name(credentials: Credentials) -> str:
    return credentials.client_id[:200]


def require_a_registered_method(client: Client, credentials: Credentials) -> None:
    """Also keeps a client with a secret from passing as a public one.

    A client that registered itself may send its secret in the header or in the body, whichever it registered for: many
    mix the two up, and neither is weaker than the other. An operator who declares one of them gets exactly that one.
    """
    allowed = client.auth_methods
    if client.origin is ClientOrigin.REGISTERED and allowed & SECRET_METHODS:
        allowed |= SECRET_METHODS
    if credentials.method in allowed:
        return
    if credentials.method is AuthMethod.NONE:
        raise InvalidClient(REFUSAL)
    # The proof was right, so this tells nobody anything about the client that is not theirs to know.
    methods = " or ".join(sorted(client.auth_methods))
    raise InvalidClient(
        f"the client must authenticate with {methods}, and this was {credentials.method}; "
        "change the client, or its auth_methods in auth.yaml"
    )


JUDGEMENTS: tuple[Callable[[Client, Credentials], None], ...] = (require_a_registered_method,)
