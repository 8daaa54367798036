"""How a client proves who it is: credentials are found, the client is looked up, then all rules are judged."""

from collections.abc import Callable
from dataclasses import dataclass

from auth_service.clients.assertions import AssertionVerifier
from auth_service.clients.credentials import REFUSAL, Credentials, find_credentials
from auth_service.clients.model import Client, ClientDirectory
from auth_service.clients.secrets import SecretKeeper
from auth_service.errors import InvalidClient, TooManyFailures
from auth_service.http.forms import Form
from auth_service.http.messages import HttpRequest
from auth_service.http.throttle import Throttle
from auth_service.record import Recorder
from auth_service.vocabulary import AuthMethod
from security_common.journal import Outcome

__all__ = ["JUDGEMENTS", "ClientAuthenticator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAuthenticator:
    """Finds the client that a request is from and checks its proof. Failures are counted and recorded."""

    directory: ClientDirectory
    secrets: SecretKeeper
    assertions: AssertionVerifier
    throttle: Throttle
    record: Recorder

    async def authenticate(self, request: HttpRequest, form: Form) -> Client:
        """The client. Raises `InvalidClient`, with the same words whatever was wrong, or `InvalidRequest`.

        Whoever failed too often waits, known by client and address together: neither a stranger who guesses at
        somebody's client id nor a neighbour behind the same address can lock a client out elsewhere.
        """
        try:
            credentials = find_credentials(request, form)
            who = (credentials.client_id[:200], request.source_address)
            self.throttle.check(*who)
            client = await self.directory.find(credentials.client_id, source_address=request.source_address)
        except InvalidClient as error:
            waits = isinstance(error, TooManyFailures)
            await self._record_refusal(request, None, "too_many_failures" if waits else error.error)
            raise
        proven = await self._prove(client, credentials)
        if client is None or not proven or not all(judge(client, credentials) for judge in JUDGEMENTS):
            await self.throttle.count(*who)
            await self._record_refusal(request, client, InvalidClient.error)
            raise InvalidClient(REFUSAL)
        return client

    async def _record_refusal(self, request: HttpRequest, client: Client | None, reason: str) -> None:
        """Without the id that was sent when no client has it: people paste secrets there."""
        await self.record(
            request,
            event_type="client_refused",
            action="refused",
            client_id=client.client_id if client else None,
            reason=reason,
            outcome=Outcome.REFUSED,
        )

    async def _prove(self, client: Client | None, credentials: Credentials) -> bool:
        """The same work for a client that does not exist, so that time does not tell (RFC 6749 section 10.10)."""
        match credentials.method:
            case AuthMethod.NONE:
                return True
            case AuthMethod.PRIVATE_KEY_JWT:
                return await self.assertions.verify(client, credentials.proof)
            case _:
                return self.secrets.matches(client, credentials.proof)


def uses_a_registered_method(client: Client, credentials: Credentials) -> bool:
    """Which also keeps a client with a secret from passing as a public one."""
    return credentials.method in client.auth_methods


JUDGEMENTS: tuple[Callable[[Client, Credentials], bool], ...] = (uses_a_registered_method,)
