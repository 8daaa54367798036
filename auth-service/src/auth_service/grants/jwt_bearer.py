"""The grant jwt-bearer: an assertion is exchanged for an access token (RFC 7523 section 2.1).

The `typ` of the assertion distinguishes its two kinds. An ID-JAG is about a user, and the client authenticates. The
token of a workload says itself which client it is, so the client does not have to authenticate (section 3.1); if it
does, it must be the same one. There is no refresh token: the client sends another assertion.
"""

from dataclasses import dataclass
from typing import NoReturn

from auth_service.audit_recorder import AuditRecorder, RequestSource
from auth_service.clients.client import Client
from auth_service.clients.client_directory import ClientDirectory
from auth_service.clients.credentials import REFUSAL, has_client_authentication
from auth_service.errors import InvalidClient, InvalidGrant, InvalidRequest
from auth_service.federation.id_jag_rules import is_id_jag_type
from auth_service.grants.client_credentials import ClientCredentialsGrantHandler
from auth_service.grants.grant_handler import TokenRequest, TokenResponse
from auth_service.grants.id_jag import ASSERTION_REFUSAL, IdJagRedemption
from auth_service.http.forms import Form
from auth_service.http.parameters import Parameter
from auth_service.protocol import GrantType
from auth_service.workloads.workload_tokens import MAX_TOKEN_CHARACTERS, WorkloadTokens, read_part
from security_common.audit import Action, EventType, Outcome
from security_common.edge import RequestContext

__all__ = ["JwtBearerGrantHandler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtBearerGrantHandler:
    """A workload gets the tokens that its client gets with client_credentials. Its own token is accepted last."""

    workloads: WorkloadTokens
    id_jags: IdJagRedemption
    directory: ClientDirectory
    client_tokens: ClientCredentialsGrantHandler
    record: AuditRecorder
    grant_type: GrantType = GrantType.JWT_BEARER
    parameters: tuple[Parameter, ...] = (
        Parameter("assertion", "The token of a workload, or an ID-JAG (RFC 7523 section 2.1)."),
    )

    async def find_client(self, form: Form, source: RequestContext) -> Client | None:
        """The client that the assertion proves; None if it is an ID-JAG or the request authenticates its client.

        Raises `InvalidRequest`, `InvalidGrant`, and `InvalidClient` if the request names another client.
        """
        assertion = _check_assertion(form.get("assertion"))
        if _is_id_jag(assertion) or has_client_authentication(source.headers.all(b"authorization"), form):
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
        if _is_id_jag(assertion):
            return await self.id_jags.redeem(request, assertion, read_part(assertion, 1).get("iss"))
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


def _is_id_jag(assertion: str) -> bool:
    """Whether `typ` in the header is that of an ID-JAG; nothing is verified yet."""
    return is_id_jag_type(read_part(assertion, 0).get("typ"))


def _check_assertion(assertion: str | None) -> str:
    """Raises `InvalidRequest` for an assertion that is missing, too long, or not a signed JWT."""
    if assertion is None:
        raise InvalidRequest("assertion is missing")
    if len(assertion) > MAX_TOKEN_CHARACTERS:
        raise InvalidRequest(f"the assertion is longer than {MAX_TOKEN_CHARACTERS} characters")
    if assertion.count(".") != 2:
        raise InvalidRequest("the assertion is not a signed JWT (RFC 7519)")
    return assertion
