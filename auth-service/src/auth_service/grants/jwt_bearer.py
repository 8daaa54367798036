"""The grant jwt-bearer: the token of a workload is exchanged for an access token of its client (RFC 7523 section 2.1).

The assertion says which client it is, so the client does not have to authenticate (section 3.1). If it does, it must be
the same one. No user, no refresh token: when the access token has expired, the workload sends a new token.
"""

from dataclasses import dataclass
from typing import NoReturn

from auth_service.audit_recorder import AuditRecorder, RequestSource
from auth_service.clients.client import Client
from auth_service.clients.client_directory import ClientDirectory
from auth_service.clients.credentials import REFUSAL, has_client_authentication
from auth_service.errors import InvalidClient, InvalidGrant, InvalidRequest
from auth_service.grants.client_credentials import ClientCredentialsGrantHandler
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter
from auth_service.protocol import GrantType
from auth_service.workloads.workload_tokens import MAX_TOKEN_CHARACTERS, WorkloadTokens
from security_common.audit import Action, EventType, Outcome
from security_common.edge import RequestContext

__all__ = ["ASSERTION_REFUSAL", "JwtBearerGrantHandler"]

# One text for every failure: a response must not reveal which issuers and conditions are declared.
ASSERTION_REFUSAL = "the assertion is not accepted; the cause is in the log of this server"


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtBearerGrantHandler:
    """A workload gets the tokens that its client gets with client_credentials. Its own token is accepted last."""

    workloads: WorkloadTokens
    directory: ClientDirectory
    client_tokens: ClientCredentialsGrantHandler
    record: AuditRecorder
    grant_type: GrantType = GrantType.JWT_BEARER
    parameters: tuple[Parameter, ...] = (Parameter("assertion", "The token of a workload (RFC 7523 section 2.1)."),)

    async def find_client(self, form: Form, source: RequestContext) -> Client | None:
        """The client that the assertion proves; None if the request authenticates its client.

        Raises `InvalidRequest`, `InvalidGrant`, and `InvalidClient` if the request names another client.
        """
        assertion = _check_assertion(form.get("assertion"))
        if has_client_authentication(source.headers.all(b"authorization"), form):
            return None
        workload = await self.workloads.identify(assertion, source)
        client = await self.directory.find(workload.client_id) if workload is not None else None
        if client is None:
            raise InvalidGrant(ASSERTION_REFUSAL)
        if form.get("client_id") not in {None, client.client_id}:
            await self._refuse_client(client, source)
        return client

    async def exchange(self, request: TokenRequest) -> TokenResponse:
        assertion = _check_assertion(request.parameters.get("assertion"))
        workload = await self.workloads.identify(assertion, request)
        if workload is None:
            raise InvalidGrant(ASSERTION_REFUSAL)
        if workload.client_id != request.client.client_id:
            await self._refuse_client(request.client, request)
        response = await self.client_tokens.exchange(request)
        if not await self.workloads.mark_used(workload, request):
            raise InvalidGrant(ASSERTION_REFUSAL)
        return response

    async def _refuse_client(self, client: Client, source: RequestSource) -> NoReturn:
        """Records and raises `InvalidClient`: the request names one client, and its assertion is another one's."""
        await self.record(
            source,
            event_type=EventType.CLIENT_REFUSED,
            action=Action.REFUSED,
            client_id=client.client_id,
            reason=InvalidClient.error,
            outcome=Outcome.REFUSED,
        )
        raise InvalidClient(REFUSAL)


def _check_assertion(assertion: str | None) -> str:
    """Raises `InvalidRequest` for an assertion that is missing, too long, or not a signed JWT."""
    if assertion is None:
        raise InvalidRequest("assertion is missing")
    if len(assertion) > MAX_TOKEN_CHARACTERS:
        raise InvalidRequest(f"the assertion is longer than {MAX_TOKEN_CHARACTERS} characters")
    if assertion.count(".") != 2:
        raise InvalidRequest("the assertion is not a signed JWT (RFC 7519)")
    return assertion
